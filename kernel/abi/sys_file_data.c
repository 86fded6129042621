/* sendfile(2), copy_file_range(2), fsync(2), fallocate(2), fadvise(2) and their kin. */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "syscalls.h"

/* ---- Copying between files ---- */

/* An offset that the caller keeps in memory; NULL: the file's own. */
struct user_offset {
    struct user_ptr at;
    u64 value;
    u64 *pointer; /* to value, or NULL */
};

static int user_offset_get(struct user_ptr at, struct user_offset *offset)
{
    *offset = (struct user_offset){.at = at};
    if (user_ptr_is_null(at))
        return 0;
    if (copy_in(&offset->value, at, sizeof(offset->value)))
        return -EFAULT;
    offset->pointer = &offset->value;
    return (s64)offset->value < 0 ? -EINVAL : 0;
}

static long user_offset_put(const struct user_offset *offset, long result)
{
    if (offset->pointer && copy_out(offset->at, &offset->value, sizeof(offset->value)))
        return -EFAULT;
    return result;
}

static bool file_is_stream(const struct file *file)
{
    return file->operations->flags & FILE_OPERATIONS_STREAM;
}

/* Both descriptors, with the modes that a copy needs. */
static int ends_enter(int from_fd, int to_fd, struct fd_use *from, struct fd_use *to)
{
    *from = fd_enter(from_fd);
    *to = fd_enter(to_fd);
    if (from->file && to->file && (from->file->mode & FILE_READ) && (to->file->mode & FILE_WRITE))
        return 0;
    fd_leave(*from);
    fd_leave(*to);
    return -EBADF;
}

long sys_sendfile(const struct syscall_args *args)
{
    struct user_offset offset;
    struct fd_use from, to;
    long result = user_offset_get(arg_user_ptr(args, 2), &offset);

    if (result)
        return result;
    result = ends_enter(arg_int(args, 1), arg_int(args, 0), &from, &to);
    if (result)
        return result;
    if (to.file->flags & O_APPEND)
        result = -EINVAL;
    else if (offset.pointer && file_is_stream(from.file))
        result = -ESPIPE;
    else if (!inode_is_regular(from.file->inode) && (from.file->inode->mode & S_IFMT) != S_IFCHR)
        result = -EINVAL;
    else
        result = file_copy_between(from.file, offset.pointer, to.file, NULL, arg_u64(args, 3), 0);
    fd_leave(from);
    fd_leave(to);
    return result < 0 ? result : user_offset_put(&offset, result);
}

static int copy_range_check(const struct file *from, const struct file *to, u32 flags)
{
    if (flags)
        return -EINVAL;
    if (inode_is_directory(from->inode) || inode_is_directory(to->inode))
        return -EISDIR;
    if (!inode_is_regular(from->inode) || !inode_is_regular(to->inode))
        return -EINVAL;
    if (to->flags & O_APPEND)
        return -EBADF;
    return 0;
}

static int ranges_overlap(const struct file *from, u64 from_at, const struct file *to, u64 to_at,
                          u64 bytes)
{
    return from->inode == to->inode && from_at < to_at + bytes && to_at < from_at + bytes;
}

long sys_copy_file_range(const struct syscall_args *args)
{
    struct user_offset from_offset, to_offset;
    struct fd_use from, to;
    u64 bytes = MIN(arg_u64(args, 4), IO_BYTES_MAX);
    long result = user_offset_get(arg_user_ptr(args, 1), &from_offset);

    if (!result)
        result = user_offset_get(arg_user_ptr(args, 3), &to_offset);
    if (!result)
        result = ends_enter(arg_int(args, 0), arg_int(args, 2), &from, &to);
    if (result)
        return result;
    result = copy_range_check(from.file, to.file, arg_u32(args, 5));
    if (!result &&
        ranges_overlap(from.file, from_offset.pointer ? from_offset.value : from.file->offset,
                       to.file, to_offset.pointer ? to_offset.value : to.file->offset, bytes))
        result = -EINVAL;
    if (!result)
        result =
            file_copy_between(from.file, from_offset.pointer, to.file, to_offset.pointer, bytes, 0);
    fd_leave(from);
    fd_leave(to);
    if (result >= 0)
        result = user_offset_put(&from_offset, result);
    return result < 0 ? result : user_offset_put(&to_offset, result);
}

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
