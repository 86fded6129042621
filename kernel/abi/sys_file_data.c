/* fsync(2), fallocate(2), fadvise(2) and their kin. */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "syscalls.h"

/* ---- To the disk ---- */

static long sync_fd(int fd, int data_only)
{
    struct fd_use use = fd_enter(fd);
    long result;

    if (!use.file)
        return -EBADF;
    result = file_sync(use.file, data_only);
    fd_leave(use);
    return result;
}

long sys_fsync(const struct syscall_args *args)
{
    return sync_fd(arg_int(args, 0), 0);
}

long sys_fdatasync(const struct syscall_args *args)
{
    return sync_fd(arg_int(args, 0), 1);
}

long sys_sync(const struct syscall_args *args)
{
    file_systems_sync();
    return 0;
}

long sys_syncfs(const struct syscall_args *args)
{
    struct fd_use use = fd_enter(arg_int(args, 0));
    struct file_system *file_system;
    long result = 0;

    if (!use.file)
        return -EBADF;
    file_system = use.file->inode->file_system;
    if (file_system->operations->sync)
        result = file_system->operations->sync(file_system);
    fd_leave(use);
    return result;
}

#define SYNC_FILE_RANGE_KNOWN 7u

long sys_sync_file_range(const struct syscall_args *args)
{
    long result;
    s64 end;

    if ((arg_u32(args, 3) & ~SYNC_FILE_RANGE_KNOWN) || arg_s64(args, 1) < 0 ||
        arg_s64(args, 2) < 0 || __builtin_add_overflow(arg_s64(args, 1), arg_s64(args, 2), &end))
        return -EINVAL;
    result = sync_fd(arg_int(args, 0), 1);
    return result == -EINVAL ? -ESPIPE : result; /* what cannot be synchronised has no ranges */
}

/* ---- Space and advice ---- */

long sys_fallocate(const struct syscall_args *args)
{
    struct fd_use use = fd_enter(arg_int(args, 0));
    long result;

    if (!use.file)
        return -EBADF;
    result = file_allocate(use.file, arg_int(args, 1), arg_s64(args, 2), arg_s64(args, 3));
    fd_leave(use);
    return result;
}

long sys_readahead(const struct syscall_args *args)
{
    struct fd_use use = fd_enter(arg_int(args, 0));
    long result = 0;

    if (!use.file)
        return -EBADF;
    if (!(use.file->mode & FILE_READ))
        result = -EBADF;
    else if (!inode_is_regular(use.file->inode) || !use.file->inode->pages.operations)
        result = -EINVAL;
    else
        file_read_ahead(use.file, arg_u64(args, 1), arg_u64(args, 2));
    fd_leave(use);
    return result;
}

long sys_fadvise64(const struct syscall_args *args)
{
    struct fd_use use = fd_enter(arg_int(args, 0));
    u64 offset = arg_u64(args, 1), bytes = arg_u64(args, 2);
    int advice = arg_int(args, 3);
    long result = 0;

    if (!use.file)
        return -EBADF;
    if ((use.file->inode->mode & S_IFMT) == S_IFIFO)
        result = -ESPIPE;
    else if (advice < 0 || advice > POSIX_FADV_NOREUSE || (s64)bytes < 0)
        result = -EINVAL;
    else if (advice == POSIX_FADV_DONTNEED && inode_is_regular(use.file->inode))
        page_cache_invalidate(use.file->inode, DIV_ROUND_UP(offset, PAGE_SIZE),
                              bytes ? bytes / PAGE_SIZE : U64_MAX / PAGE_SIZE);
    fd_leave(use);
    return result;
}
