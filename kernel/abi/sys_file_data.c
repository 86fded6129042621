/*
 * fsync(2), fallocate(2), fadvise(2) and their kin.
 *
 * What is on the host's disk is the host's: syncing sends what the page cache holds and asks the
 * file server to sync, memory's own file systems have nothing to do. Advice is advice: only
 * DONTNEED and readahead do something.
 */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "files.h"
#include "syscalls.h"

/* ---- To the disk ---- */

static long sync_all(struct file *file, const struct syscall_args *args)
{
    return file_sync(file, 0);
}

long sys_fsync(const struct syscall_args *args)
{
    return fd_apply(args, sync_all);
}

static long sync_data(struct file *file, const struct syscall_args *args)
{
    return file_sync(file, 1);
}

long sys_fdatasync(const struct syscall_args *args)
{
    return fd_apply(args, sync_data);
}

long sys_sync(const struct syscall_args *args)
{
    file_systems_sync();
    return 0;
}

static long sync_file_system(struct file *file, const struct syscall_args *args)
{
    struct file_system *file_system = file->inode->file_system;

    return file_system->operations->sync ? file_system->operations->sync(file_system) : 0;
}

long sys_syncfs(const struct syscall_args *args)
{
    return fd_apply(args, sync_file_system);
}

#define SYNC_FILE_RANGE_KNOWN 7u

/*
 * A range is synchronised by synchronising the file's data: more than was asked. -ESPIPE: what
 * cannot be synchronised at all.
 */
static long sync_range(struct file *file, const struct syscall_args *args)
{
    long result;
    s64 end;

    if ((arg_u32(args, 3) & ~SYNC_FILE_RANGE_KNOWN) || arg_s64(args, 1) < 0 ||
        arg_s64(args, 2) < 0 || __builtin_add_overflow(arg_s64(args, 1), arg_s64(args, 2), &end))
        return -EINVAL;
    result = file_sync(file, 1);
    return result == -EINVAL ? -ESPIPE : result; /* what cannot be synchronised has no ranges */
}

long sys_sync_file_range(const struct syscall_args *args)
{
    return fd_apply(args, sync_range);
}

/* ---- Space and advice ---- */

static long allocate(struct file *file, const struct syscall_args *args)
{
    return file_allocate(file, arg_int(args, 1), arg_s64(args, 2), arg_s64(args, 3));
}

long sys_fallocate(const struct syscall_args *args)
{
    return fd_apply(args, allocate);
}

static long read_ahead(struct file *file, const struct syscall_args *args)
{
    if (!(file->mode & FILE_READ))
        return -EBADF;
    if (!inode_is_regular(file->inode) || !file->inode->pages.operations)
        return -EINVAL;
    file_read_ahead(file, arg_u64(args, 1), arg_u64(args, 2));
    return 0;
}

long sys_readahead(const struct syscall_args *args)
{
    return fd_apply(args, read_ahead);
}

/*
 * POSIX_FADV_DONTNEED drops the whole pages inside the range that are clean. -ESPIPE of a pipe
 * comes before -EINVAL, as on Linux.
 */
static long advise(struct file *file, const struct syscall_args *args)
{
    u64 offset = arg_u64(args, 1), bytes = arg_u64(args, 2);
    int advice = arg_int(args, 3);

    if ((file->inode->mode & S_IFMT) == S_IFIFO)
        return -ESPIPE;
    if (advice < 0 || advice > POSIX_FADV_NOREUSE || (s64)bytes < 0)
        return -EINVAL;
    if (advice == POSIX_FADV_DONTNEED && inode_is_regular(file->inode))
        page_cache_invalidate(file->inode, DIV_ROUND_UP(offset, PAGE_SIZE),
                              bytes ? bytes / PAGE_SIZE : U64_MAX / PAGE_SIZE);
    return 0;
}

long sys_fadvise64(const struct syscall_args *args)
{
    return fd_apply(args, advise);
}
