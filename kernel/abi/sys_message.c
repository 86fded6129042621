/*
 * Sending and receiving: sendto(2), sendmsg(2), sendmmsg(2) and their counterparts.
 *
 * All become one struct socket_message; the forms differ in how the user's memory describes it: one
 * buffer, a struct msghdr, or many of those.
 *
 *     struct msghdr of the user                 struct socket_message
 *     name, its length          <- address ->   address
 *     iovec[]                   <- checked ->   io
 *     control, its length       - copied in ->  control (sending)
 *                               <- written  -   control_at (receiving: net/ packs it there)
 *     flags                     <-              flags_out
 *
 * Control messages are copied in whole before net/ reads them: what was checked cannot change.
 * Going out they are written to the user as they are made, for with a file's descriptor the number
 * must be the program's before it sees it.
 *
 * Errors: sending: -EMSGSIZE (too many segments), -ENOBUFS (control messages above 20 KiB),
 * -EINVAL. sendmmsg and recvmmsg return how many messages went, and the first one's error only if
 * none did.
 * Context: sleeps until there is room or data, unless MSG_DONTWAIT or O_NONBLOCK.
 */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/net.h>

#include "address.h"
#include "syscalls.h"
#include "timeout.h"
#include "user_vector.h"

/* What a call's control messages may be together (/proc/sys/net/core/optmem_max). */
#define CONTROL_BYTES_MAX 20480u

/* A struct msghdr that was taken apart. */
struct message_call {
    struct abi_msghdr header;
    struct socket_message message;
    struct socket_address address;
    struct io_segment *segments; /* to be freed, as is `control` */
    void *control;
};

/* ---- One buffer ---- */

static int message_of_buffer(struct socket_message *message, struct io_segment *segment,
                             const struct syscall_args *args)
{
    *message = (struct socket_message){.flags = arg_u32(args, 3)};
    /* Not as read(2): what is too long is cut before anybody looks whose it is. */
    return user_buffer_get(arg_user_ptr(args, 1), MIN(arg_u64(args, 2), IO_BYTES_MAX), segment,
                           &message->io);
}

static long send_to(struct file *file, const struct syscall_args *args)
{
    struct user_ptr address_at = arg_user_ptr(args, 4);
    struct socket_message message;
    struct socket_address address;
    struct io_segment segment;
    int error = message_of_buffer(&message, &segment, args);

    if (!error && !user_ptr_is_null(address_at))
        error = address_copy_in(&address, address_at, arg_int(args, 5));
    if (error)
        return error;
    if (!user_ptr_is_null(address_at) && address.bytes)
        message.address = &address;
    return socket_send(file, &message);
}

long sys_sendto(const struct syscall_args *args)
{
    return socket_apply(args, send_to);
}

static long receive_from(struct file *file, const struct syscall_args *args)
{
    struct user_ptr address_at = arg_user_ptr(args, 4), bytes_at = arg_user_ptr(args, 5);
    struct socket_address address = {.bytes = 0};
    struct socket_message message;
    struct io_segment segment;
    long result = message_of_buffer(&message, &segment, args);
    int room;

    if (result)
        return result;
    message.address = user_ptr_is_null(address_at) ? NULL : &address;
    result = socket_receive(file, &message);
    if (result < 0 || !message.address)
        return result;
    if (copy_in(&room, bytes_at, sizeof(room)))
        return -EFAULT;
    room = address_copy_out(&address, address_at, room, bytes_at);
    return room ? room : result;
}

long sys_recvfrom(const struct syscall_args *args)
{
    return socket_apply(args, receive_from);
}

/* ---- struct msghdr ---- */

/* Takes the header apart; on success the caller ends with call_put. */
static int header_get(struct message_call *call, struct user_ptr at, u32 flags)
{
    struct abi_msghdr *header = &call->header;

    if (flags & MSG_CMSG_COMPAT)
        return -EINVAL;
    if (copy_in(header, at, sizeof(*header)))
        return -EFAULT;
    if (header->name_bytes < 0)
        return -EINVAL;
    if (header->segment_count > UIO_MAXIOV)
        return -EMSGSIZE;
    call->message = (struct socket_message){.flags = flags};
    call->control = NULL;
    return user_vector_get(user_ptr_at(header->segments), header->segment_count, &call->segments,
                           &call->message.io);
}

static void call_put(struct message_call *call)
{
    kfree(call->control);
    kfree(call->segments);
}

/* What is sent besides the bytes: to whom, and control messages. */
static int header_get_extras(struct message_call *call)
{
    const struct abi_msghdr *header = &call->header;
    int error;

    if (header->name && header->name_bytes) {
        error = address_copy_in(&call->address, user_ptr_at(header->name),
                                MIN(header->name_bytes, (s32)ADDRESS_BYTES_MAX));
        if (error)
            return error;
        call->message.address = &call->address;
    }
    if (!header->control || !header->control_bytes)
        return 0;
    if (header->control_bytes > CONTROL_BYTES_MAX)
        return -ENOBUFS;
    call->control = kmalloc(header->control_bytes, 0);
    if (!call->control)
        return -ENOBUFS;
    call->message.control = call->control;
    call->message.control_bytes = header->control_bytes;
    return copy_in(call->control, user_ptr_at(header->control), header->control_bytes);
}

static long send_message(struct file *file, struct user_ptr at, u32 flags)
{
    struct message_call call;
    long result = header_get(&call, at, flags);

    if (result)
        return result;
    result = header_get_extras(&call);
    if (!result)
        result = socket_send(file, &call.message);
    call_put(&call);
    return result;
}

/* What came besides the bytes goes back into the caller's header. */
static int header_put(const struct message_call *call, struct user_ptr at)
{
    const struct socket_message *message = &call->message;
    const struct abi_msghdr *header = &call->header;
    u64 control_bytes = message->control_at.address - header->control;
    u32 flags = message->flags_out | (message->flags & MSG_CMSG_CLOEXEC);
    int error = 0;

    if (message->address)
        error =
            address_copy_out(message->address, user_ptr_at(header->name), header->name_bytes,
                             user_ptr_add(at, __builtin_offsetof(struct abi_msghdr, name_bytes)));
    if (!error)
        error = copy_out(user_ptr_add(at, __builtin_offsetof(struct abi_msghdr, flags)), &flags,
                         sizeof(flags));
    if (!error)
        error = copy_out(user_ptr_add(at, __builtin_offsetof(struct abi_msghdr, control_bytes)),
                         &control_bytes, sizeof(control_bytes));
    return error;
}

static long receive_message(struct file *file, struct user_ptr at, u32 flags)
{
    struct message_call call;
    long result = header_get(&call, at, flags);
    int error;

    if (result)
        return result;
    call.address.bytes = 0;
    call.message.address = call.header.name ? &call.address : NULL;
    call.message.control_at = user_ptr_at(call.header.control);
    call.message.control_bytes = call.header.control ? call.header.control_bytes : 0;
    result = socket_receive(file, &call.message);
    if (result >= 0) {
        error = header_put(&call, at);
        result = error ? error : result;
    }
    call_put(&call);
    return result;
}

static long send_one(struct file *file, const struct syscall_args *args)
{
    return send_message(file, arg_user_ptr(args, 1), arg_u32(args, 2));
}

long sys_sendmsg(const struct syscall_args *args)
{
    return socket_apply(args, send_one);
}

static long receive_one(struct file *file, const struct syscall_args *args)
{
    return receive_message(file, arg_user_ptr(args, 1), arg_u32(args, 2));
}

long sys_recvmsg(const struct syscall_args *args)
{
    return socket_apply(args, receive_one);
}

/* ---- Several messages ---- */

typedef long message_function(struct file *file, struct user_ptr at, u32 flags);

/* One of a vector; its length goes into it. 0 or an error. */
static int message_of_many(struct file *file, struct user_ptr at, u32 flags,
                           message_function *function)
{
    long result = function(file, at, flags);
    u32 bytes = (u32)result;

    if (result < 0)
        return (int)result;
    return copy_out(user_ptr_add(at, __builtin_offsetof(struct abi_mmsghdr, bytes)), &bytes,
                    sizeof(bytes));
}

static bool has_passed(u64 deadline)
{
    return deadline != U64_MAX && clock_monotonic_ns() >= deadline;
}

/* Until the first error or the deadline. How many were done, or the first's error. */
static long messages_do(struct file *file, const struct syscall_args *args,
                        message_function *function, u64 deadline)
{
    u32 count = MIN(arg_u32(args, 2), (u32)UIO_MAXIOV), flags = arg_u32(args, 3), done = 0;
    struct user_ptr at = arg_user_ptr(args, 1);
    int error = 0;

    while (done < count) {
        error = message_of_many(file, at, flags & ~MSG_WAITFORONE, function);
        if (error)
            break;
        done++;
        at = user_ptr_add(at, sizeof(struct abi_mmsghdr));
        if (flags & MSG_WAITFORONE)
            flags |= MSG_DONTWAIT;
        if (has_passed(deadline))
            break;
        if (sched_point_killable())
            break;
    }
    return done ? (long)done : error;
}

static long send_many(struct file *file, const struct syscall_args *args)
{
    return messages_do(file, args, send_message, U64_MAX);
}

long sys_sendmmsg(const struct syscall_args *args)
{
    return socket_apply(args, send_many);
}

/*
 * The limit is looked at only between messages (recvmmsg(2), BUGS). -EFAULT: also what is left of
 * it could not be written.
 */
long sys_recvmmsg(const struct syscall_args *args)
{
    struct user_ptr limit_at = arg_user_ptr(args, 4);
    struct fd_use use;
    u64 deadline;
    long result = deadline_from_timespec(limit_at, &deadline);

    if (!result)
        result = socket_enter(arg_int(args, 0), &use);
    if (result)
        return result;
    result = messages_do(use.file, args, receive_message, deadline);
    fd_leave(use);
    if (result > 0 && deadline_left_to_timespec(limit_at, deadline))
        return -EFAULT;
    return result;
}
