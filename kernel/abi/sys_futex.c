/*
 * futex(2) and what belongs to it.
 *
 * One call with many operations whose arguments change their meaning: here each becomes a struct
 * futex_request, and proc/futex.c and futex_pi.c do the rest.
 *
 *     operation            limit in `timeout`              when a signal comes
 *     WAIT                 how long                        goes on to the same moment (restart)
 *     WAIT_BITSET          a moment of one of two clocks   made again, but not after a handler
 *     WAITV                a moment of one of two clocks   made again, the moment is the same
 *     LOCK_PI              a moment of CLOCK_REALTIME      made again
 *     LOCK_PI2             a moment of one of two clocks   made again
 *     REQUEUE, WAKE_OP     no limit: a second count        do not wait
 *
 * A moment of CLOCK_REALTIME becomes one of the monotonic clock when the call begins, so a wait
 * does not follow a date that is set meanwhile.
 *
 * Errors: -ENOSYS for an unknown operation, and for FUTEX_CLOCK_REALTIME with one that has no
 * clock; -EINVAL for a limit or a count that is none; -EAGAIN: the word is not what the caller saw.
 */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/proc.h>

#include "syscalls.h"
#include "timeout.h"

#define ROBUST_HEAD_BYTES 24

/* FUTEX_WAIT's limit is how long; the bitset form's is a moment of one of two clocks. */
static int futex_deadline(const struct syscall_args *args, int operation, u64 *deadline_out)
{
    struct user_ptr at = arg_user_ptr(args, 3);
    struct abi_timespec time;
    u64 ns, clock_ns;

    *deadline_out = U64_MAX;
    if (user_ptr_is_null(at))
        return 0;
    if ((operation & FUTEX_COMMAND) == FUTEX_WAIT)
        return deadline_from_timespec(at, deadline_out);
    if (copy_in(&time, at, sizeof(time)))
        return -EFAULT;
    if (time.seconds < 0 || time.nanoseconds < 0 || time.nanoseconds >= (s64)NS_PER_SECOND)
        return -EINVAL;
    if ((u64)time.seconds >= U64_MAX / NS_PER_SECOND / 2)
        return 0;
    ns = time.seconds * NS_PER_SECOND + time.nanoseconds;
    *deadline_out = ns;
    if (operation & FUTEX_CLOCK_REALTIME) {
        clock_ns = clock_realtime_ns();
        *deadline_out = ns > clock_ns ? clock_monotonic_ns() + (ns - clock_ns) : 0;
    }
    return 0;
}

static long wait_again(struct restart *restart)
{
    struct futex_request request = {
        .at = user_ptr_at(restart->values[0]),
        .is_private = restart->values[1],
        .value = restart->values[2],
        .bitset = restart->values[3],
        .deadline_ns = restart->values[4],
    };
    int result = futex_wait(&request);

    return result == -EINTR ? -ERESTART_RESTARTBLOCK : result;
}

/* A wait with a relative limit that is interrupted goes on to the same moment. */
static long restart_timed(const struct futex_request *request)
{
    struct restart *restart = &thread_current()->restart;

    restart->function = wait_again;
    restart->values[0] = request->at.address;
    restart->values[1] = request->is_private;
    restart->values[2] = request->value;
    restart->values[3] = request->bitset;
    restart->values[4] = request->deadline_ns;
    return -ERESTART_RESTARTBLOCK;
}

static long wait_call(const struct syscall_args *args, int operation, u32 bitset)
{
    struct futex_request request;
    int error = futex_deadline(args, operation, &request.deadline_ns);

    if (error)
        return error;
    request.at = arg_user_ptr(args, 0);
    request.is_private = operation & FUTEX_PRIVATE_FLAG;
    request.value = arg_u32(args, 2);
    request.bitset = bitset;
    error = futex_wait(&request);
    if (error != -EINTR || request.deadline_ns == U64_MAX)
        return error;
    return (operation & FUTEX_COMMAND) == FUTEX_WAIT ? restart_timed(&request) : -ERESTARTNOHAND;
}

/*
 * FUTEX_REQUEUE and its kin. They give a second count in the place of the time limit. -EINVAL: a
 * count below 0, or another than 1 for FUTEX_CMP_REQUEUE_PI, which wakes one at most.
 */
static long two_words_call(const struct syscall_args *args, int operation)
{
    struct futex_request request = {
        .at = arg_user_ptr(args, 0),
        .second = arg_user_ptr(args, 4),
        .operation = operation & FUTEX_COMMAND,
        .is_private = operation & FUTEX_PRIVATE_FLAG,
        .count = arg_u32(args, 2),
        .value = arg_u32(args, 3),
        .third = arg_u32(args, 5),
    };

    if ((s32)request.count < 0 || (s32)request.value < 0)
        return -EINVAL;
    if (request.operation == FUTEX_CMP_REQUEUE_PI)
        return request.count == 1 ? futex_requeue_pi(&request) : -EINVAL;
    return futex_two(&request);
}

/* Their limit is a moment, so that they are just made again after a signal. */
static long pi_wait_call(const struct syscall_args *args, int operation)
{
    struct futex_request request = {
        .at = arg_user_ptr(args, 0),
        .second = arg_user_ptr(args, 4),
        .operation = operation & FUTEX_COMMAND,
        .is_private = operation & FUTEX_PRIVATE_FLAG,
        .value = arg_u32(args, 2),
        .deadline_ns = U64_MAX,
    };
    int error = 0;

    if (request.operation == FUTEX_LOCK_PI)
        operation |= FUTEX_CLOCK_REALTIME;
    if (request.operation != FUTEX_TRYLOCK_PI)
        error = futex_deadline(args, operation, &request.deadline_ns);
    if (error)
        return error;
    error = request.operation == FUTEX_WAIT_REQUEUE_PI ? futex_wait_requeue_pi(&request)
                                                       : futex_lock_pi(&request);
    return error == -EINTR ? -ERESTARTNOINTR : error;
}

static bool takes_clock(int command)
{
    return command == FUTEX_WAIT_BITSET || command == FUTEX_WAIT_REQUEUE_PI ||
           command == FUTEX_LOCK_PI2;
}

long sys_futex(const struct syscall_args *args)
{
    int operation = arg_int(args, 1), command = operation & FUTEX_COMMAND;
    bool is_private = operation & FUTEX_PRIVATE_FLAG;

    if ((operation & FUTEX_CLOCK_REALTIME) && !takes_clock(command))
        return -ENOSYS;
    switch (command) {
    case FUTEX_WAIT:
        return wait_call(args, operation, FUTEX_BITSET_MATCH_ANY);
    case FUTEX_WAIT_BITSET:
        return wait_call(args, operation, arg_u32(args, 5));
    case FUTEX_WAKE:
        return futex_wake(arg_user_ptr(args, 0), arg_int(args, 2), FUTEX_BITSET_MATCH_ANY,
                          is_private);
    case FUTEX_WAKE_BITSET:
        return futex_wake(arg_user_ptr(args, 0), arg_int(args, 2), arg_u32(args, 5), is_private);
    case FUTEX_REQUEUE:
    case FUTEX_CMP_REQUEUE:
    case FUTEX_WAKE_OP:
    case FUTEX_CMP_REQUEUE_PI:
        return two_words_call(args, operation);
    case FUTEX_LOCK_PI:
    case FUTEX_LOCK_PI2:
    case FUTEX_TRYLOCK_PI:
    case FUTEX_WAIT_REQUEUE_PI:
        return pi_wait_call(args, operation);
    case FUTEX_UNLOCK_PI:
        return futex_unlock_pi(arg_user_ptr(args, 0), is_private);
    default:
        return -ENOSYS;
    }
}

/* ---- futex_waitv ---- */

/* -EINVAL: anything but 32-bit words, or a value of more bits. */
static int waitv_read(struct user_ptr at, u32 count, struct futex_request *requests)
{
    for (u32 i = 0; i < count; i++) {
        struct abi_futex_waitv one;

        if (copy_in(&one, user_ptr_add(at, i * sizeof(one)), sizeof(one)))
            return -EFAULT;
        if ((one.flags & ~(FUTEX_32 | FUTEX_PRIVATE_FLAG)) || !(one.flags & FUTEX_32) ||
            one.reserved || one.value > U32_MAX)
            return -EINVAL;
        requests[i] = (struct futex_request){
            .at = user_ptr_at(one.address),
            .is_private = one.flags & FUTEX_PRIVATE_FLAG,
            .value = (u32)one.value,
        };
    }
    return 0;
}

/* The limit is a moment of one of two clocks, named by number. */
static int waitv_deadline(const struct syscall_args *args, u64 *deadline_out)
{
    int clock = arg_int(args, 4), operation = FUTEX_WAIT_BITSET;

    *deadline_out = U64_MAX;
    if (user_ptr_is_null(arg_user_ptr(args, 3)))
        return 0;
    if (clock != CLOCK_MONOTONIC && clock != CLOCK_REALTIME)
        return -EINVAL;
    if (clock == CLOCK_REALTIME)
        operation |= FUTEX_CLOCK_REALTIME;
    return futex_deadline(args, operation, deadline_out);
}

/*
 * Which of up to 128 words was woken. -EINVAL, -EFAULT, -EAGAIN, -ETIMEDOUT, -ENOMEM; a signal: the
 * call is made again by the table's mark.
 */
long sys_futex_waitv(const struct syscall_args *args)
{
    u32 count = arg_u32(args, 1);
    struct futex_request *requests;
    u64 deadline_ns;
    long result;

    if (arg_u32(args, 2) || count == 0 || count > FUTEX_WAITV_MAX ||
        user_ptr_is_null(arg_user_ptr(args, 0)))
        return -EINVAL;
    result = waitv_deadline(args, &deadline_ns);
    if (result)
        return result;
    requests = kmalloc(count * sizeof(*requests), 0);
    if (!requests)
        return -ENOMEM;
    result = waitv_read(arg_user_ptr(args, 0), count, requests);
    if (!result)
        result = futex_wait_any(requests, count, deadline_ns);
    kfree(requests);
    return result;
}

/*
 * The list is only looked at when the thread ends; a wrong pointer then means that nobody is woken.
 */
long sys_set_robust_list(const struct syscall_args *args)
{
    if (arg_u64(args, 1) != ROBUST_HEAD_BYTES)
        return -EINVAL;
    identity_current()->robust_list = arg_user_ptr(args, 0);
    return 0;
}

/* Of another thread: to whom its memory may be shown (ptrace(2), PTRACE_MODE_READ). */
long sys_get_robust_list(const struct syscall_args *args)
{
    int tid = arg_int(args, 0);
    struct thread *thread = thread_find(tid ? tid : identity_current()->tid);
    u64 head, bytes = ROBUST_HEAD_BYTES;
    bool allowed;

    if (!thread)
        return -ESRCH;
    allowed = process_may_inspect(thread->process);
    head = thread->identity->robust_list.address;
    thread_put(thread);
    if (!allowed)
        return -EPERM;
    if (copy_out(arg_user_ptr(args, 2), &bytes, sizeof(bytes)))
        return -EFAULT;
    return copy_out(arg_user_ptr(args, 1), &head, sizeof(head));
}
