/* futex(2) and what belongs to it. */
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
    if ((operation & FUTEX_COMMAND) == FUTEX_WAIT)
        return deadline_from_timespec(at, deadline_out);
    if ((operation & FUTEX_COMMAND) != FUTEX_WAIT_BITSET || user_ptr_is_null(at))
        return 0;
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
        .operation = FUTEX_WAIT_BITSET,
        .is_private = restart->values[1],
        .value = restart->values[2],
        .bitset = restart->values[3],
        .deadline_ns = restart->values[4],
    };
    long result = futex_call(&request);

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

long sys_futex(const struct syscall_args *args)
{
    int operation = arg_int(args, 1), command = operation & FUTEX_COMMAND, error;
    bool bitset = command == FUTEX_WAIT_BITSET || command == FUTEX_WAKE_BITSET;
    struct futex_request request = {
        .at = arg_user_ptr(args, 0),
        .second = arg_user_ptr(args, 4),
        .operation = command,
        .is_private = operation & FUTEX_PRIVATE_FLAG,
        .value = arg_u32(args, 2),
        .count = arg_u32(args, 2),
        .bitset = bitset ? arg_u32(args, 5) : FUTEX_BITSET_MATCH_ANY,
        .third = arg_u32(args, 5),
    };
    long result;

    if ((operation & FUTEX_CLOCK_REALTIME) && command != FUTEX_WAIT_BITSET)
        return -ENOSYS;
    error = futex_deadline(args, operation, &request.deadline_ns);
    if (error)
        return error;
    /* The two-word forms give a second count in the place of the time limit. */
    if (command == FUTEX_REQUEUE || command == FUTEX_CMP_REQUEUE || command == FUTEX_WAKE_OP) {
        request.value = arg_u32(args, 3);
        if ((s32)request.count < 0 || (s32)request.value < 0)
            return -EINVAL;
    }
    result = futex_call(&request);
    if (result == -EINTR && command == FUTEX_WAIT && request.deadline_ns != U64_MAX)
        return restart_timed(&request);
    return result;
}

long sys_set_robust_list(const struct syscall_args *args)
{
    if (arg_u64(args, 1) != ROBUST_HEAD_BYTES)
        return -EINVAL;
    identity_current()->robust_list = arg_user_ptr(args, 0);
    return 0;
}

long sys_get_robust_list(const struct syscall_args *args)
{
    int tid = arg_int(args, 0);
    struct thread *thread = thread_find(tid ? tid : identity_current()->tid);
    u64 head, bytes = ROBUST_HEAD_BYTES;
    bool allowed;

    if (!thread)
        return -ESRCH;
    allowed = thread->process == process_current() ||
              credentials_can(thread_current()->credentials, CAPABILITY_SYS_PTRACE);
    head = thread->identity->robust_list.address;
    thread_put(thread);
    if (!allowed)
        return -EPERM;
    if (copy_out(arg_user_ptr(args, 2), &bytes, sizeof(bytes)))
        return -EFAULT;
    return copy_out(arg_user_ptr(args, 1), &head, sizeof(head));
}
