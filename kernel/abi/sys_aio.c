/*
 * io_setup(2) and its kin: asynchronous input and output of Linux's own kind.
 *
 * A request is done when it is submitted, as Linux does it for files whose data are in memory and
 * for all that cannot be asynchronous; what it would fail with at once is the call's error,
 * everything else its event's result.
 *
 *     copy in -> check -> files -> reserve an event -> transfer -> event waits -> eventfd
 *                                         |
 *                                         `- no room: -EAGAIN, before anything was done
 *
 * The room for the event is taken before the transfer, for a transfer cannot be undone.
 * io_getevents waits on the context (fs/aio.c), which other threads may fill.
 *
 * Errors: io_submit returns how many requests it took; the first one's error only if it took none.
 * Context: sleeps, as long as the transfer does.
 */
#include <pith/abi.h>

#include <pith/aio.h>
#include <pith/event_files.h>
#include <pith/file_calls.h>
#include <pith/proc.h>

#include "syscalls.h"
#include "timeout.h"
#include "user_vector.h"
#include "wait_mask.h"

#define EVENTS_SENSIBLE (0x10000000u / sizeof(struct io_event)) /* more is EINVAL, as on Linux */

/*
 * -EINVAL: *id_at is not 0, or no sensible number of events; -EAGAIN: more than
 * /proc/sys/fs/aio-max-nr.
 */
long sys_io_setup(const struct syscall_args *args)
{
    struct user_ptr id_at = arg_user_ptr(args, 1);
    u32 events = arg_u32(args, 0);
    u64 id;
    int error;

    if (copy_in(&id, id_at, sizeof(id)))
        return -EFAULT;
    if (id || !events || events > EVENTS_SENSIBLE)
        return -EINVAL;
    error = aio_context_create(events, &id);
    if (error)
        return error;
    if (copy_out(id_at, &id, sizeof(id)) == 0)
        return 0;
    (void)!aio_context_destroy(id);
    return -EFAULT;
}

long sys_io_destroy(const struct syscall_args *args)
{
    return aio_context_destroy(arg_u64(args, 0));
}

/* ---- Submitting ---- */

/* The user's memory of a read or write: one buffer, or a vector, which is to be freed. */
static int request_buffer(const struct iocb *request, struct io_segment *one,
                          struct io_segment **many_out, struct io_buffer *io_out)
{
    *many_out = NULL;
    if (request->opcode == IOCB_CMD_PREADV || request->opcode == IOCB_CMD_PWRITEV)
        return user_vector_get(user_ptr_at(request->buffer), request->bytes, many_out, io_out);
    return user_buffer_get(user_ptr_at(request->buffer), MIN(request->bytes, IO_BYTES_MAX), one,
                           io_out);
}

/* 0 and the event's result, or the call's error. */
static int request_transfer(const struct iocb *request, struct file *file, s64 *result_out)
{
    bool is_read = request->opcode == IOCB_CMD_PREAD || request->opcode == IOCB_CMD_PREADV;
    struct io_segment one, *many;
    struct io_buffer io;
    u64 offset = (u64)request->offset;
    u32 flags;
    int error;

    if (!(file->mode & (is_read ? FILE_READ : FILE_WRITE)))
        return -EBADF;
    if (!(is_read ? file->operations->read : file->operations->write))
        return -EINVAL;
    if (request->offset < 0 && !(file->operations->flags & FILE_OPERATIONS_STREAM))
        return -EINVAL;
    error = rwf_to_io_flags((u32)request->rw_flags, &flags);
    if (!error)
        error = request_buffer(request, &one, &many, &io);
    if (error)
        return error;
    io.flags |= flags;
    if (is_read)
        *result_out = file_read(file, &io, &offset);
    else
        *result_out =
            rwf_sync_written(file, (u32)request->rw_flags, file_write(file, &io, &offset));
    kfree(many);
    return 0;
}

static int request_do(const struct iocb *request, struct file *file, s64 *result_out)
{
    switch (request->opcode) {
    case IOCB_CMD_PREAD:
    case IOCB_CMD_PWRITE:
    case IOCB_CMD_PREADV:
    case IOCB_CMD_PWRITEV:
        return request_transfer(request, file, result_out);
    case IOCB_CMD_FSYNC:
    case IOCB_CMD_FDSYNC:
        if (request->buffer || request->offset || request->bytes || request->rw_flags)
            return -EINVAL;
        *result_out = file_sync(file, request->opcode == IOCB_CMD_FDSYNC);
        return *result_out == -EINVAL ? -EINVAL : 0;
    default:
        return -EINVAL;
    }
}

/* Does it and lets its event wait; tells the eventfd, if it names one. */
static int request_run(struct aio_context *context, const struct iocb *request, u64 at,
                       struct file *file, struct file *told)
{
    struct aio_completion *completion = aio_completion_reserve(context);
    struct io_event event = {.data = request->data, .iocb = at};
    int error;

    if (!completion)
        return -EAGAIN;
    error = request_do(request, file, &event.result);
    if (error) {
        aio_completion_release(context, completion);
        return error;
    }
    if (event.result == -ERESTARTSYS)
        event.result = -EINTR;
    aio_complete(context, completion, &event);
    if (told)
        eventfd_signal(told);
    return 0;
}

static int request_check(const struct iocb *request)
{
    return request->reserved || (s64)request->bytes < 0 ? -EINVAL : 0;
}

/*
 * -EBADF: of the file or the eventfd; -EINVAL: of a field, or an opcode that is not there
 * (polling); -EAGAIN: all events of the context are taken.
 */
static int submit_one(struct aio_context *context, u64 at)
{
    static const u32 key; /* what io_cancel(2) is to find there */
    struct file *file, *told = NULL;
    struct iocb request;
    int error;

    if (copy_in(&request, user_ptr_at(at), sizeof(request)))
        return -EFAULT;
    error = request_check(&request);
    if (error)
        return error;
    file = fd_find((int)request.fd);
    if (!file)
        return -EBADF;
    if (request.flags & IOCB_FLAG_RESFD) {
        told = fd_find((int)request.result_fd);
        error = !told ? -EBADF : file_is_eventfd(told) ? 0 : -EINVAL;
    }
    if (!error && copy_out(user_ptr_at(at + offsetof(struct iocb, key)), &key, sizeof(key)))
        error = -EFAULT;
    if (!error)
        error = request_run(context, &request, at, file, told);
    if (told)
        file_put(told);
    file_put(file);
    return error;
}

long sys_io_submit(const struct syscall_args *args)
{
    struct aio_context *context = aio_context_find(arg_u64(args, 0));
    struct user_ptr list = arg_user_ptr(args, 2);
    s64 most = arg_s64(args, 1), count = 0;
    int error = 0;
    u64 at;

    if (!context)
        return -EINVAL;
    if (most < 0)
        error = -EINVAL;
    while (!error && count < most) {
        if (copy_in(&at, user_ptr_add(list, (u64)count * sizeof(at)), sizeof(at)))
            error = -EFAULT;
        else
            error = submit_one(context, at);
        if (!error)
            count++;
        if (sched_point_killable())
            break;
    }
    aio_context_put(context);
    return count ? count : error;
}

/* Nothing is under way that could be cancelled. */
long sys_io_cancel(const struct syscall_args *args)
{
    struct user_ptr request = arg_user_ptr(args, 1);
    u32 key;

    if (copy_in(&key, user_ptr_add(request, offsetof(struct iocb, key)), sizeof(key)))
        return -EFAULT;
    return -EINVAL;
}

/* ---- Events ---- */

static long get_events(const struct syscall_args *args, u64 deadline)
{
    struct aio_context *context = aio_context_find(arg_u64(args, 0));
    s64 least = arg_s64(args, 1), most = arg_s64(args, 2);
    long result = -EINVAL;

    if (!context)
        return -EINVAL;
    if (least >= 0 && least <= most)
        result = aio_wait_events(context, least, most, arg_user_ptr(args, 3), deadline);
    aio_context_put(context);
    return result;
}

/*
 * -EINVAL: no such context, or `least` is not between 0 and `most`; -EINTR: a signal came and no
 * event.
 */
long sys_io_getevents(const struct syscall_args *args)
{
    u64 deadline;
    int error = deadline_from_timespec(arg_user_ptr(args, 4), &deadline);

    return error ? error : get_events(args, deadline);
}

long sys_io_pgetevents(const struct syscall_args *args)
{
    struct {
        u64 mask_at, mask_bytes;
    } masked = {0, 0};
    u64 deadline;
    long result = deadline_from_timespec(arg_user_ptr(args, 4), &deadline);

    if (result)
        return result;
    if (!user_ptr_is_null(arg_user_ptr(args, 5)) &&
        copy_in(&masked, arg_user_ptr(args, 5), sizeof(masked)))
        return -EFAULT;
    result = wait_mask_begin(user_ptr_at(masked.mask_at), masked.mask_bytes);
    if (result)
        return result;
    result = get_events(args, deadline);
    wait_mask_end(user_ptr_at(masked.mask_at), result);
    return result;
}
