/*
 * read(2), write(2) and their kin: at the file's offset or at a given one, from one buffer or many.
 *
 * The offset of a file that several threads or descriptors share is locked for the length of the
 * call, so that no two reads get the same bytes (read(2), POSIX 2.9.7).
 */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "syscalls.h"
#include "user_vector.h"

/* A transfer that was decoded: which file, where, and the user's memory. */
struct transfer {
    struct fd_use use;
    struct io_buffer io;
    struct io_segment one;
    struct io_segment *many; /* of a vector: to be freed */
};

typedef ssize_t transfer_function(struct file *file, struct io_buffer *io, u64 *offset);

/* ---- Buffers ---- */

int user_buffer_get(struct user_ptr at, u64 bytes, struct io_segment *segment_out,
                    struct io_buffer *io_out)
{
    if ((s64)bytes < 0)
        return -EINVAL;
    bytes = MIN(bytes, IO_BYTES_MAX);
    if (!user_range_is_valid(at.address, bytes))
        return -EFAULT;
    io_buffer_init_user(io_out, segment_out, at, bytes);
    return 0;
}

/* Checks the segments and sums them up. */
static int segments_check(struct io_segment *segments, u32 count, u64 *bytes_out)
{
    u64 bytes = 0;

    for (u32 i = 0; i < count; i++) {
        if ((s64)segments[i].bytes < 0)
            return -EINVAL;
        segments[i].bytes = MIN(segments[i].bytes, IO_BYTES_MAX - bytes);
        if (!user_range_is_valid(segments[i].address, segments[i].bytes))
            return -EFAULT;
        bytes += segments[i].bytes;
    }
    *bytes_out = bytes;
    return 0;
}

int user_vector_get(struct user_ptr vector, u64 count, struct io_segment **segments_out,
                    struct io_buffer *io_out)
{
    struct io_segment *segments;
    u64 bytes;
    int error;

    _Static_assert(sizeof(struct io_segment) == sizeof(struct iovec), "copied as they are");
    if (count > UIO_MAXIOV)
        return -EINVAL;
    segments = kmalloc(MAX(count, 1ul) * sizeof(*segments), 0);
    if (!segments)
        return -ENOMEM;
    error = copy_in(segments, vector, count * sizeof(*segments));
    if (!error)
        error = segments_check(segments, (u32)count, &bytes);
    if (error) {
        kfree(segments);
        return error;
    }
    io_buffer_init(io_out, segments, bytes, 0);
    *segments_out = segments;
    return 0;
}

/* ---- Transfers ---- */

/* At the file's own offset, which is locked if anybody else could move it. */
static inline long transfer_at_offset(struct transfer *transfer, transfer_function *function)
{
    struct file *file = transfer->use.file;
    bool is_alone = !transfer->use.counted && refcount_read(&file->references) == 1;
    long result;

    if (is_alone || (file->operations->flags & FILE_OPERATIONS_STREAM))
        return function(file, &transfer->io, &file->offset);
    mutex_lock(&file->offset_lock);
    result = function(file, &transfer->io, &file->offset);
    mutex_unlock(&file->offset_lock);
    return result;
}

static long transfer_at(struct transfer *transfer, transfer_function *function, s64 position)
{
    u64 offset = (u64)position;

    if (position < 0)
        return -EINVAL;
    if (transfer->use.file->operations->flags & FILE_OPERATIONS_STREAM)
        return -ESPIPE;
    return function(transfer->use.file, &transfer->io, &offset);
}

static inline long transfer_one(const struct syscall_args *args, transfer_function *function)
{
    struct transfer transfer;
    long result;

    transfer.use = fd_enter(arg_int(args, 0));
    if (unlikely(!transfer.use.file))
        return -EBADF;
    result = user_buffer_get(arg_user_ptr(args, 1), arg_u64(args, 2), &transfer.one, &transfer.io);
    if (likely(!result))
        result = transfer_at_offset(&transfer, function);
    fd_leave(transfer.use);
    return result;
}

long sys_read(const struct syscall_args *args)
{
    return transfer_one(args, file_read);
}

long sys_write(const struct syscall_args *args)
{
    return transfer_one(args, file_write);
}

static long transfer_one_at(const struct syscall_args *args, transfer_function *function)
{
    struct transfer transfer;
    long result;

    if (arg_s64(args, 3) < 0)
        return -EINVAL;
    transfer.use = fd_enter(arg_int(args, 0));
    if (!transfer.use.file)
        return -EBADF;
    result = user_buffer_get(arg_user_ptr(args, 1), arg_u64(args, 2), &transfer.one, &transfer.io);
    if (!result)
        result = transfer_at(&transfer, function, arg_s64(args, 3));
    fd_leave(transfer.use);
    return result;
}

long sys_pread64(const struct syscall_args *args)
{
    return transfer_one_at(args, file_read);
}

long sys_pwrite64(const struct syscall_args *args)
{
    return transfer_one_at(args, file_write);
}

/* `position`: where, or -1: at the file's offset. flags: IO_BUFFER_*. */
static long transfer_vector(const struct syscall_args *args, transfer_function *function,
                            s64 position, u32 flags)
{
    struct transfer transfer;
    long result;

    transfer.use = fd_enter(arg_int(args, 0));
    if (!transfer.use.file)
        return -EBADF;
    result =
        user_vector_get(arg_user_ptr(args, 1), (u32)arg_int(args, 2), &transfer.many, &transfer.io);
    if (!result) {
        transfer.io.flags |= flags;
        result = position == -1 ? transfer_at_offset(&transfer, function)
                                : transfer_at(&transfer, function, position);
        kfree(transfer.many);
    }
    fd_leave(transfer.use);
    return result;
}

long sys_readv(const struct syscall_args *args)
{
    return transfer_vector(args, file_read, -1, 0);
}

long sys_writev(const struct syscall_args *args)
{
    return transfer_vector(args, file_write, -1, 0);
}

long sys_preadv(const struct syscall_args *args)
{
    return arg_s64(args, 3) < 0 ? -EINVAL : transfer_vector(args, file_read, arg_s64(args, 3), 0);
}

long sys_pwritev(const struct syscall_args *args)
{
    return arg_s64(args, 3) < 0 ? -EINVAL : transfer_vector(args, file_write, arg_s64(args, 3), 0);
}

int rwf_to_io_flags(u32 flags, u32 *io_flags_out)
{
    if (flags & ~(u32)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
        return -EOPNOTSUPP;
    *io_flags_out =
        (flags & RWF_NOWAIT ? IO_BUFFER_NOWAIT : 0) | (flags & RWF_APPEND ? IO_BUFFER_APPEND : 0);
    return 0;
}

/* After a write with RWF_SYNC or RWF_DSYNC; what cannot be synchronised needs not be. */
static int sync_written(int fd, int data_only)
{
    struct fd_use use = fd_enter(fd);
    int error = 0;

    if (use.file && inode_is_regular(use.file->inode))
        error = file_sync(use.file, data_only);
    fd_leave(use);
    return error;
}

static long transfer_vector_flags(const struct syscall_args *args, transfer_function *function)
{
    s64 position = arg_s64(args, 3);
    long result;
    u32 flags;
    int error = rwf_to_io_flags(arg_u32(args, 5), &flags);

    if (error)
        return error;
    if (position < -1)
        return -EINVAL;
    result = transfer_vector(args, function, position, flags);
    if (result > 0 && (arg_u32(args, 5) & (RWF_DSYNC | RWF_SYNC)))
        error = sync_written(arg_int(args, 0), !(arg_u32(args, 5) & RWF_SYNC));
    return error ? error : result;
}

long sys_preadv2(const struct syscall_args *args)
{
    return transfer_vector_flags(args, file_read);
}

long sys_pwritev2(const struct syscall_args *args)
{
    return transfer_vector_flags(args, file_write);
}

long sys_lseek(const struct syscall_args *args)
{
    struct fd_use use = fd_enter(arg_int(args, 0));
    long result;

    if (!use.file)
        return -EBADF;
    result = file_seek(use.file, arg_s64(args, 1), arg_int(args, 2));
    fd_leave(use);
    return result;
}
