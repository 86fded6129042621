/*
 * splice(2), tee(2), vmsplice(2), sendfile(2), copy_file_range(2): from file to file without the
 * program's memory.
 *
 *     from      to        is
 *     pipe      pipe      references to pages move (splice) or double (tee)
 *     pipe      file      written from the pipe's pages
 *     file      pipe      references to the page cache's pages
 *     memory    pipe      references to the program's pages (vmsplice)
 *     file      file      sendfile, copy_file_range: read and written by the kernel
 *
 * An offset in the user's memory is copied in first and out last, with what was done. splice and
 * sendfile take what can be had in one go; the caller makes a loop.
 *
 * Errors: -EBADF of either end's mode, -EINVAL and -ESPIPE of the pair, -EFAULT of an offset last:
 * the data have moved then.
 * Context: sleeps on either end, unless SPLICE_F_NONBLOCK or the pipe's O_NONBLOCK.
 */
#include <pith/abi.h>

#include <pith/file_calls.h>
#include <pith/pipe.h>

#include "files.h"
#include "syscalls.h"
#include "user_vector.h"

#define SPLICE_F_ALL 15u

/* ---- Both ends ---- */

/* An offset that the caller keeps in memory; NULL: the file's own. */
struct user_offset {
    struct user_ptr at;
    u64 value;
    u64 *pointer; /* to value, or NULL */
};

static int user_offset_copy(struct user_ptr at, struct user_offset *offset)
{
    *offset = (struct user_offset){.at = at};
    if (user_ptr_is_null(at))
        return 0;
    if (copy_in(&offset->value, at, sizeof(offset->value)))
        return -EFAULT;
    offset->pointer = &offset->value;
    return 0;
}

static int user_offset_check(const struct user_offset *offset)
{
    return offset->pointer && (s64)offset->value < 0 ? -EINVAL : 0;
}

static int user_offset_get(struct user_ptr at, struct user_offset *offset)
{
    int error = user_offset_copy(at, offset);

    return error ? error : user_offset_check(offset);
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

/* ---- splice, tee, vmsplice ---- */

/*
 * What splice does depends on which end is a pipe; a pipe has no offset here. -EINVAL: none is one,
 * both are the same, an offset for a stream, or the file appends.
 */
static long splice_between(struct file *from, const struct user_offset *from_offset,
                           struct file *to, const struct user_offset *to_offset, u64 bytes,
                           u32 nonblock)
{
    bool from_pipe = file_is_pipe(from), to_pipe = file_is_pipe(to);

    if (from_pipe && to_pipe) {
        nonblock |= (from->flags | to->flags) & O_NONBLOCK;
        return from->inode == to->inode
                   ? -EINVAL
                   : pipe_splice_to_pipe(from, to, bytes, SPLICE_MOVE, nonblock);
    }
    if ((from_offset->pointer && file_is_stream(from)) ||
        (to_offset->pointer && file_is_stream(to)))
        return -EINVAL;
    if (from_pipe)
        return to->flags & O_APPEND
                   ? -EINVAL
                   : file_splice_from_pipe(from, to, to_offset->pointer, bytes, nonblock);
    if (to_pipe)
        return file_splice_to_pipe(from, from_offset->pointer, to, bytes,
                                   nonblock | (to->flags & O_NONBLOCK));
    return -EINVAL;
}

long sys_splice(const struct syscall_args *args)
{
    struct user_offset from_offset, to_offset;
    u64 bytes = MIN(arg_u64(args, 4), IO_BYTES_MAX);
    u32 flags = arg_u32(args, 5);
    struct fd_use from, to;
    long result;

    if (bytes == 0)
        return 0;
    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    result = ends_enter(arg_int(args, 0), arg_int(args, 2), &from, &to);
    if (result)
        return result;
    if ((file_is_pipe(from.file) && !user_ptr_is_null(arg_user_ptr(args, 1))) ||
        (file_is_pipe(to.file) && !user_ptr_is_null(arg_user_ptr(args, 3))))
        result = -ESPIPE;
    if (!result)
        result = user_offset_get(arg_user_ptr(args, 1), &from_offset);
    if (!result)
        result = user_offset_get(arg_user_ptr(args, 3), &to_offset);
    if (!result)
        result = splice_between(from.file, &from_offset, to.file, &to_offset, bytes,
                                flags & SPLICE_F_NONBLOCK);
    fd_leave(from);
    fd_leave(to);
    if (result >= 0)
        result = user_offset_put(&from_offset, result);
    return result < 0 ? result : user_offset_put(&to_offset, result);
}

long sys_tee(const struct syscall_args *args)
{
    u64 bytes = MIN(arg_u64(args, 2), IO_BYTES_MAX);
    u32 flags = arg_u32(args, 3);
    struct fd_use from, to;
    long result;

    if (flags & ~SPLICE_F_ALL)
        return -EINVAL;
    if (bytes == 0)
        return 0;
    result = ends_enter(arg_int(args, 0), arg_int(args, 1), &from, &to);
    if (result)
        return result;
    if (!file_is_pipe(from.file) || !file_is_pipe(to.file) || from.file->inode == to.file->inode)
        result = -EINVAL;
    else
        result = pipe_splice_to_pipe(from.file, to.file, bytes, SPLICE_DOUBLE,
                                     (flags & SPLICE_F_NONBLOCK) |
                                         ((from.file->flags | to.file->flags) & O_NONBLOCK));
    fd_leave(from);
    fd_leave(to);
    return result;
}

/* Into a pipe pages go by reference; out of it bytes are copied, as by readv(2). */
static long splice_memory(struct file *pipe, const struct syscall_args *args)
{
    u32 flags = arg_u32(args, 3);
    struct io_segment *segments;
    struct io_buffer io;
    long result = user_vector_get(arg_user_ptr(args, 1), arg_u64(args, 2), &segments, &io);

    if (result)
        return result;
    io.flags |= flags & SPLICE_F_NONBLOCK ? IO_BUFFER_NOWAIT : 0;
    if (io.bytes_left && !file_is_pipe(pipe))
        result = -EBADF;
    else if (io.bytes_left && (pipe->mode & FILE_WRITE))
        result = memory_splice_to_pipe(&io, pipe,
                                       (flags & SPLICE_F_NONBLOCK) | (pipe->flags & O_NONBLOCK));
    else if (io.bytes_left)
        result = file_read(pipe, &io, NULL);
    kfree(segments);
    return result;
}

long sys_vmsplice(const struct syscall_args *args)
{
    return arg_u32(args, 3) & ~SPLICE_F_ALL ? -EINVAL : fd_apply(args, splice_memory);
}

/* ---- sendfile, copy_file_range ---- */

long sys_sendfile(const struct syscall_args *args)
{
    struct user_offset offset;
    struct fd_use from, to;
    long result = user_offset_copy(arg_user_ptr(args, 2), &offset);

    if (result)
        return result;
    result = ends_enter(arg_int(args, 1), arg_int(args, 0), &from, &to);
    if (result)
        return result;
    if (offset.pointer && file_is_stream(from.file))
        result = -ESPIPE;
    else if (user_offset_check(&offset))
        result = -EINVAL;
    else if (!inode_is_regular(from.file->inode) && (from.file->inode->mode & S_IFMT) != S_IFCHR)
        result = -EINVAL;
    else if (file_is_pipe(to.file))
        result =
            file_splice_to_pipe(from.file, offset.pointer, to.file,
                                MIN(arg_u64(args, 3), IO_BYTES_MAX), to.file->flags & O_NONBLOCK);
    else if (to.file->flags & O_APPEND)
        result = -EINVAL;
    else
        result = file_copy_between(from.file, offset.pointer, to.file, NULL, arg_u64(args, 3));
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
    return from->inode->file_system == to->inode->file_system ? 0 : -EXDEV;
}

static u64 place_of(const struct file *file, const struct user_offset *offset)
{
    return offset->pointer ? offset->value : file->offset;
}

/*
 * How much of `bytes` there is to copy: what is written behind the source's end in the same file is
 * no source any more. -EINVAL: the ranges overlap (copy_file_range(2)); -EOVERFLOW: one wraps.
 */
static int copy_range_cut(const struct file *from, u64 from_at, const struct file *to, u64 to_at,
                          u64 *bytes)
{
    u64 size = READ_ONCE(from->inode->size), left = size > from_at ? size - from_at : 0;

    if (from_at + *bytes < from_at || to_at + *bytes < to_at)
        return -EOVERFLOW;
    *bytes = MIN(*bytes, left);
    return from->inode == to->inode && from_at < to_at + *bytes && to_at < from_at + *bytes
               ? -EINVAL
               : 0;
}

long sys_copy_file_range(const struct syscall_args *args)
{
    struct user_offset from_offset, to_offset;
    struct fd_use from, to;
    u64 bytes = MIN(arg_u64(args, 4), IO_BYTES_MAX);
    long result = ends_enter(arg_int(args, 0), arg_int(args, 2), &from, &to);

    if (result)
        return result;
    result = user_offset_copy(arg_user_ptr(args, 1), &from_offset);
    if (!result)
        result = user_offset_copy(arg_user_ptr(args, 3), &to_offset);
    if (!result)
        result = copy_range_check(from.file, to.file, arg_u32(args, 5));
    if (!result)
        result = copy_range_cut(from.file, place_of(from.file, &from_offset), to.file,
                                place_of(to.file, &to_offset), &bytes);
    if (!result)
        result = user_offset_check(&from_offset);
    if (!result)
        result = user_offset_check(&to_offset);
    if (!result)
        result =
            file_copy_between(from.file, from_offset.pointer, to.file, to_offset.pointer, bytes);
    fd_leave(from);
    fd_leave(to);
    if (result >= 0)
        result = user_offset_put(&from_offset, result);
    return result < 0 ? result : user_offset_put(&to_offset, result);
}
