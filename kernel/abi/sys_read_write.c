/*
 * read(2), write(2) and their kin: at the file's offset or at a given one, from one buffer or many.
 *
 * All are a transfer: a file, an io_buffer over the user's memory, and a place. The place is the
 * file's own offset or a copy that the call brought; the file's function moves whichever it gets.
 *
 * The offset of a file that several threads or descriptors share is locked for the length of the
 * call, so that no two reads get the same bytes (read(2), POSIX 2.9.7). Some files (/dev/kmsg) wait
 * meanwhile for as long as nothing comes, so who waits for the lock can be killed.
 *
 * Nobody else can get at the offset when the file has one reference and this thread's table one
 * user, which fd_enter has found out; nor is there one to lock in a stream.
 *
 *     alone: !use.counted (no other thread has the table), references == 1 (no dup, no fork)
 *
 * The table stays so during the call, since only this thread could share it. The file may get a
 * second user meanwhile, by pidfd_getfd(2) of another process, whose calls then race with this one
 * for the offset: both may get the same bytes. Nothing else hangs on the lock: pread(2) takes none.
 *
 * Errors: -EBADF before -EFAULT and -EINVAL of the memory; -ESPIPE: a stream has no places;
 * -EINVAL: a negative one.
 * Context: sleeps as long as the file does.
 */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "files.h"
#include "syscalls.h"
#include "user_vector.h"

#define OWN_OFFSET (-1) /* as a position: where the file is, which then moves */

/* A transfer that was decoded: which file, where, and the user's memory. */
struct transfer {
    struct fd_use use;
    struct io_buffer io;
    struct io_segment one;
    struct io_segment *many; /* of a vector: to be freed */
};

typedef ssize_t transfer_function(struct file *file, struct io_buffer *io, u64 *offset);

/* ---- Buffers ---- */

/*
 * The first checks of access_ok() on Linux: a range that is not the user's is -EFAULT before
 * anything moves; a page that is missing is found while copying, and then what went is the result.
 */
int user_buffer_get(struct user_ptr at, u64 bytes, struct io_segment *segment_out,
                    struct io_buffer *io_out)
{
    if (!user_range_is_valid(at.address, bytes))
        return -EFAULT;
    io_buffer_init_user(io_out, segment_out, at, MIN(bytes, IO_BYTES_MAX));
    return 0;
}

/* Checks the segments and sums them up; more than one call may move is cut off the last ones. */
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

int rwf_to_io_flags(u32 flags, u32 *io_flags_out)
{
    if (flags & ~(u32)(RWF_HIPRI | RWF_DSYNC | RWF_SYNC | RWF_NOWAIT | RWF_APPEND))
        return -EOPNOTSUPP;
    *io_flags_out =
        (flags & RWF_NOWAIT ? IO_BUFFER_NOWAIT : 0) | (flags & RWF_APPEND ? IO_BUFFER_APPEND : 0);
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
    result = mutex_lock_killable(&file->offset_lock);
    if (result)
        return result;
    result = function(file, &transfer->io, &file->offset);
    mutex_unlock(&file->offset_lock);
    return result;
}

static long transfer_at(struct transfer *transfer, transfer_function *function, u64 offset)
{
    if (transfer->use.file->operations->flags & FILE_OPERATIONS_STREAM)
        return -ESPIPE;
    if ((s64)(offset + transfer->io.bytes_left) < 0) /* no file goes that far */
        return -EINVAL;
    return function(transfer->use.file, &transfer->io, &offset);
}

static inline long transfer_run(struct transfer *transfer, transfer_function *function,
                                s64 position)
{
    return position == OWN_OFFSET ? transfer_at_offset(transfer, function)
                                  : transfer_at(transfer, function, (u64)position);
}

/* At `position`, or at OWN_OFFSET. Inline: with a constant one it is a path of its own. */
static inline long transfer_one(const struct syscall_args *args, transfer_function *function,
                                s64 position)
{
    struct transfer transfer;
    long result;

    transfer.use = fd_enter(arg_int(args, 0));
    if (unlikely(!transfer.use.file))
        return -EBADF;
    result = user_buffer_get(arg_user_ptr(args, 1), arg_u64(args, 2), &transfer.one, &transfer.io);
    if (likely(!result))
        result = transfer_run(&transfer, function, position);
    fd_leave(transfer.use);
    return result;
}

long sys_read(const struct syscall_args *args)
{
    return transfer_one(args, file_read, OWN_OFFSET);
}

long sys_write(const struct syscall_args *args)
{
    return transfer_one(args, file_write, OWN_OFFSET);
}

long sys_pread64(const struct syscall_args *args)
{
    return arg_s64(args, 3) < 0 ? -EINVAL : transfer_one(args, file_read, arg_s64(args, 3));
}

long sys_pwrite64(const struct syscall_args *args)
{
    return arg_s64(args, 3) < 0 ? -EINVAL : transfer_one(args, file_write, arg_s64(args, 3));
}

ssize_t rwf_sync_written(struct file *file, u32 rwf, ssize_t result)
{
    int error;

    if (result <= 0 || !(rwf & (RWF_DSYNC | RWF_SYNC)) || !inode_is_regular(file->inode))
        return result;
    error = file_sync(file, !(rwf & RWF_SYNC));
    return error ? error : result;
}

/*
 * What RWF_* asks for is part of the transfer: the file that is synchronised is the one written,
 * whatever another thread makes of the descriptor meanwhile.
 */
static long transfer_many(struct transfer *transfer, transfer_function *function, s64 position,
                          u32 rwf)
{
    u32 io_flags = 0;
    int error = transfer->io.bytes_left ? rwf_to_io_flags(rwf, &io_flags) : 0;
    long result;

    if (error)
        return error;
    transfer->io.flags |= io_flags;
    result = transfer_run(transfer, function, position);
    return function == file_write ? rwf_sync_written(transfer->use.file, rwf, result) : result;
}

/* At `position`, or at OWN_OFFSET. */
static long transfer_vector(const struct syscall_args *args, transfer_function *function,
                            s64 position, u32 rwf)
{
    struct transfer transfer;
    long result;

    transfer.use = fd_enter(arg_int(args, 0));
    if (!transfer.use.file)
        return -EBADF;
    result =
        user_vector_get(arg_user_ptr(args, 1), (u32)arg_int(args, 2), &transfer.many, &transfer.io);
    if (!result) {
        result = transfer_many(&transfer, function, position, rwf);
        kfree(transfer.many);
    }
    fd_leave(transfer.use);
    return result;
}

long sys_readv(const struct syscall_args *args)
{
    return transfer_vector(args, file_read, OWN_OFFSET, 0);
}

long sys_writev(const struct syscall_args *args)
{
    return transfer_vector(args, file_write, OWN_OFFSET, 0);
}

long sys_preadv(const struct syscall_args *args)
{
    return arg_s64(args, 3) < 0 ? -EINVAL : transfer_vector(args, file_read, arg_s64(args, 3), 0);
}

long sys_pwritev(const struct syscall_args *args)
{
    return arg_s64(args, 3) < 0 ? -EINVAL : transfer_vector(args, file_write, arg_s64(args, 3), 0);
}

static long transfer_vector_flags(const struct syscall_args *args, transfer_function *function)
{
    s64 position = arg_s64(args, 3);

    if (position < 0 && position != OWN_OFFSET)
        return -EINVAL;
    return transfer_vector(args, function, position, arg_u32(args, 5));
}

long sys_preadv2(const struct syscall_args *args)
{
    return transfer_vector_flags(args, file_read);
}

long sys_pwritev2(const struct syscall_args *args)
{
    return transfer_vector_flags(args, file_write);
}

static long seek(struct file *file, const struct syscall_args *args)
{
    if (arg_u32(args, 2) > SEEK_HOLE) /* also of a pipe, which has no places at all */
        return -EINVAL;
    return file_seek(file, arg_s64(args, 1), arg_int(args, 2));
}

long sys_lseek(const struct syscall_args *args)
{
    return fd_apply(args, seek);
}
