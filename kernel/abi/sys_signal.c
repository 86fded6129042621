/*
 * The calls about signals: actions, masks, sending, waiting (signal(7)).
 *
 * Sending is one question and one act under process_table_lock: is it a signal, may the caller,
 * then to whom. The lock keeps the process from being reaped, and its number from becoming
 * another's, between the two. Signal 0 asks only.
 *
 *     call                  finds by                   for           si_code
 *     kill                  number, group, everybody   a process     SI_USER
 *     tkill, tgkill         number                     that thread   SI_TKILL
 *     rt_sigqueueinfo       number                     a process     the caller's, below 0
 *     rt_tgsigqueueinfo     number                     that thread   the caller's, below 0
 *     pidfd_send_signal     descriptor                 a process     either
 *
 * A number is any thread's, as on Linux, also where the process is meant.
 *
 * Errors: -ESRCH before -EINVAL (no such signal) before -EPERM, as on Linux, for the signal is
 * looked at where the process is.
 * Locking: process_table_lock around finding and sending; masks and the alternate stack are the
 * thread's own.
 */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/proc.h>

#include "syscalls.h"
#include "timeout.h"

#define SET_BYTES 8

static bool signal_is_valid(int signal)
{
    return signal >= 1 && signal <= SIGNALS;
}

/* ---- Actions and masks ---- */

/*
 * -EFAULT of the new action before -EINVAL: no signal, or a new action for SIGKILL or SIGSTOP,
 * which may be asked about. When the old one cannot be told (-EFAULT), the new one holds already.
 */
long sys_rt_sigaction(const struct syscall_args *args)
{
    int signal = arg_int(args, 0);
    struct user_ptr new_at = arg_user_ptr(args, 1), old_at = arg_user_ptr(args, 2);
    struct abi_sigaction changed, before;
    bool changes = !user_ptr_is_null(new_at);

    if (arg_u64(args, 3) != SET_BYTES)
        return -EINVAL;
    if (changes && copy_in(&changed, new_at, sizeof(changed)))
        return -EFAULT;
    if (!signal_is_valid(signal) || (changes && (signal == SIGKILL || signal == SIGSTOP)))
        return -EINVAL;
    signal_action_exchange(signal, changes ? &changed : NULL, &before);
    if (!user_ptr_is_null(old_at) && copy_out(old_at, &before, sizeof(before)))
        return -EFAULT;
    return 0;
}

static int mask_combine(int how, u64 set, u64 *mask)
{
    switch (how) {
    case SIG_BLOCK:
        *mask |= set;
        return 0;
    case SIG_UNBLOCK:
        *mask &= ~set;
        return 0;
    case SIG_SETMASK:
        *mask = set;
        return 0;
    default:
        return -EINVAL;
    }
}

/*
 * `how` counts only with a new mask, which holds already when the old one cannot be told (-EFAULT).
 */
long sys_rt_sigprocmask(const struct syscall_args *args)
{
    struct user_ptr new_at = arg_user_ptr(args, 1), old_at = arg_user_ptr(args, 2);
    u64 before = identity_current()->blocked, mask = before, set;
    int error;

    if (arg_u64(args, 3) != SET_BYTES)
        return -EINVAL;
    if (!user_ptr_is_null(new_at)) {
        if (copy_in(&set, new_at, sizeof(set)))
            return -EFAULT;
        error = mask_combine(arg_int(args, 0), set, &mask);
        if (error)
            return error;
        signal_mask_set(mask);
    }
    if (!user_ptr_is_null(old_at) && copy_out(old_at, &before, sizeof(before)))
        return -EFAULT;
    return 0;
}

/*
 * As much of the set as the caller has room for: fewer than 8 bytes are no error, more are -EINVAL.
 */
long sys_rt_sigpending(const struct syscall_args *args)
{
    struct thread_identity *identity = identity_current();
    u64 pending, bytes = arg_u64(args, 1);

    if (bytes > SET_BYTES)
        return -EINVAL;
    pending = READ_ONCE(identity->pending.set) | READ_ONCE(process_current()->pending.set);
    pending &= identity->blocked;
    return copy_out(arg_user_ptr(args, 0), &pending, bytes);
}

/*
 * sigaltstack(2). -EPERM: the stack is in use, and nothing else is looked at; -EINVAL; -ENOMEM:
 * less than MINSIGSTKSZ.
 */
static int altstack_set(struct alternate_stack *stack, const struct abi_sigaltstack *wanted,
                        u64 stack_pointer)
{
    u32 mode = wanted->flags & ~SS_AUTODISARM;

    if (alternate_stack_status(stack, stack_pointer) & SS_ONSTACK)
        return -EPERM;
    if (mode != 0 && mode != SS_ONSTACK && mode != SS_DISABLE)
        return -EINVAL;
    if (mode == SS_DISABLE) {
        *stack = (struct alternate_stack){.flags = wanted->flags};
        return 0;
    }
    if (wanted->bytes < MINSIGSTKSZ)
        return -ENOMEM;
    stack->address = wanted->address;
    stack->bytes = wanted->bytes;
    stack->flags = wanted->flags & SS_AUTODISARM;
    return 0;
}

/* The old stack is told as it was before the change, whether the program stands on it included. */
long sys_sigaltstack(const struct syscall_args *args)
{
    struct user_ptr new_at = arg_user_ptr(args, 0), old_at = arg_user_ptr(args, 1);
    struct alternate_stack *stack = &identity_current()->alternate;
    struct abi_sigaltstack wanted, before = {
                                       .address = stack->address,
                                       .bytes = stack->bytes,
                                       .flags = alternate_stack_status(stack, args->frame.rsp),
                                   };
    int error;

    if (!user_ptr_is_null(new_at)) {
        if (copy_in(&wanted, new_at, sizeof(wanted)))
            return -EFAULT;
        error = altstack_set(stack, &wanted, args->frame.rsp);
        if (error)
            return error;
    }
    if (!user_ptr_is_null(old_at) && copy_out(old_at, &before, sizeof(before)))
        return -EFAULT;
    return 0;
}

/*
 * Back from a handler: all registers are the frame's, rax too. A frame that cannot be read is a
 * SIGSEGV that is neither ignored nor blocked. The alternate stack comes back as it was, unless the
 * program stands on it.
 */
long sys_rt_sigreturn(const struct syscall_args *args)
{
    struct trap_frame *frame = (struct trap_frame *)&args->frame;
    struct thread_identity *identity = identity_current();
    struct abi_sigaltstack stack;
    struct signal_return back;
    struct signal_info info;

    thread_current()->restart.function = NULL;
    if (signal_frame_pop(frame, &back)) {
        signal_info_init(&info, SIGSEGV, SI_KERNEL);
        signal_force(&info);
        return 0;
    }
    signal_mask_set(back.mask);
    stack.address = back.alternate_stack;
    stack.bytes = back.alternate_stack_size;
    stack.flags = back.alternate_stack_flags & ~SS_ONSTACK;
    (void)altstack_set(&identity->alternate, &stack, frame->rsp);
    return frame->rax;
}

/* ---- Sending ---- */

/* Signal 0 only asks whether it could be sent. A kernel thread takes none. */
static int send_locked(struct process *process, const struct signal_info *info)
    must_hold(&process_table_lock)
{
    int error = signal_permission_locked(process, info->signal);

    return error || !info->signal || process->is_kernel ? error
                                                        : signal_send_process(process, info);
}

/*
 * Every process that the caller may signal, but itself and process 1. That it may not signal some,
 * or any, is no error; and there always is one, a kernel thread, so that nobody is not one either.
 */
static long kill_all(const struct signal_info *info)
{
    struct process *process;
    long result = 0;

    for (process = process_next(1); process; process = process_next_put(process)) {
        int error;

        if (process == process_current())
            continue;
        spin_lock(&process_table_lock);
        error = send_locked(process, info);
        spin_unlock(&process_table_lock);
        if (error != -EPERM)
            result = error;
    }
    return result;
}

/* A thread's number means its process: the signal is for all of it. */
static long send_to_process(int pid, const struct signal_info *info)
{
    struct process *process;
    long result;

    spin_lock(&process_table_lock);
    process = process_find_by_tid_locked(pid);
    result = process ? send_locked(process, info) : -ESRCH;
    spin_unlock(&process_table_lock);
    return result;
}

/* Its number may be another's by now. */
static long send_by_pidfd(struct process *process, const struct signal_info *info)
{
    long result;

    spin_lock(&process_table_lock);
    result = process->state == PROCESS_REAPED ? -ESRCH : send_locked(process, info);
    spin_unlock(&process_table_lock);
    return result;
}

static long send_to_group(int id, const struct signal_info *info)
{
    struct process_group *group;
    long result = -ESRCH;

    spin_lock(&process_table_lock);
    group = id ? group_find_locked(id) : process_current()->group;
    if (group)
        result = signal_send_members_locked(group, info);
    spin_unlock(&process_table_lock);
    return result;
}

/* `pid` 0: any process. */
static long send_to_thread(int pid, int tid, const struct signal_info *info)
{
    struct thread_identity *identity;
    long result = -ESRCH;

    spin_lock(&process_table_lock);
    identity = identity_find_locked(tid);
    if (identity && (!pid || identity->process->pid == pid)) {
        result = signal_permission_locked(identity->process, info->signal);
        if (!result && info->signal)
            result = signal_send_thread(identity->thread, info);
    }
    spin_unlock(&process_table_lock);
    return result;
}

long sys_kill(const struct syscall_args *args)
{
    int pid = arg_int(args, 0), signal = arg_int(args, 1);
    struct signal_info info;

    signal_info_init_sender(&info, signal, SI_USER);
    if (pid > 0)
        return send_to_process(pid, &info);
    if (pid == -1)
        return kill_all(&info);
    return pid == (int)0x80000000 ? -ESRCH : send_to_group(-pid, &info);
}

static long thread_kill(int pid, int tid, int signal)
{
    struct signal_info info;

    if (tid <= 0)
        return -EINVAL;
    signal_info_init_sender(&info, signal, SI_TKILL);
    return send_to_thread(pid, tid, &info);
}

long sys_tkill(const struct syscall_args *args)
{
    return thread_kill(0, arg_int(args, 0), arg_int(args, 1));
}

long sys_tgkill(const struct syscall_args *args)
{
    if (arg_int(args, 0) <= 0)
        return -EINVAL;
    return thread_kill(arg_int(args, 0), arg_int(args, 1), arg_int(args, 2));
}

/*
 * The caller's own siginfo. -EPERM: it claims to be the kernel's or kill(2)'s, and `target` is not
 * the calling thread's own id, to which one may say anything.
 */
static int info_copy_in(struct user_ptr at, int signal, int target, struct signal_info *info)
{
    if (copy_in(info, at, sizeof(*info)))
        return -EFAULT;
    info->signal = signal;
    if (target == identity_current()->tid)
        return 0;
    return info->code >= 0 || info->code == SI_TKILL ? -EPERM : 0;
}

long sys_rt_sigqueueinfo(const struct syscall_args *args)
{
    int pid = arg_int(args, 0);
    struct signal_info info;
    int error = info_copy_in(arg_user_ptr(args, 2), arg_int(args, 1), pid, &info);

    return error ? error : send_to_process(pid, &info);
}

long sys_rt_tgsigqueueinfo(const struct syscall_args *args)
{
    int pid = arg_int(args, 0), tid = arg_int(args, 1), error;
    struct signal_info info;

    if (pid <= 0 || tid <= 0)
        return -EINVAL;
    error = info_copy_in(arg_user_ptr(args, 3), arg_int(args, 2), tid, &info);
    return error ? error : send_to_thread(pid, tid, &info);
}

/* -EINVAL: the caller's siginfo tells of another signal than the call. */
static int pidfd_info_get(const struct syscall_args *args, struct process *process,
                          struct signal_info *info)
{
    struct user_ptr at = arg_user_ptr(args, 2);
    int signal = arg_int(args, 1);
    s32 told;

    if (user_ptr_is_null(at)) {
        signal_info_init_sender(info, signal, SI_USER);
        return 0;
    }
    if (copy_in(&told, at, sizeof(told)))
        return -EFAULT;
    return told == signal ? info_copy_in(at, signal, process->pid, info) : -EINVAL;
}

long sys_pidfd_send_signal(const struct syscall_args *args)
{
    struct process *process;
    struct signal_info info;
    int error;

    if (arg_u32(args, 3))
        return -EINVAL;
    process = pidfd_process_to_signal(arg_int(args, 0));
    if (!process)
        return -EBADF;
    error = pidfd_info_get(args, process, &info);
    if (!error)
        error = send_by_pidfd(process, &info);
    process_put(process);
    return error;
}

/* ---- Waiting ---- */

/*
 * Until a signal that runs a handler or ends the process; one that is ignored, or a stop, goes on.
 */
static long wait_for_handler(void)
{
    int error = 0;

    while (!error)
        error = thread_block(WAIT_INTERRUPTIBLE, WAIT_FOR_SIGNAL, NULL);
    return -ERESTARTNOHAND;
}

long sys_pause(const struct syscall_args *args)
{
    return wait_for_handler();
}

/* The mask holds from here to the handler's start, which saves the one before for its return. */
long sys_rt_sigsuspend(const struct syscall_args *args)
{
    u64 mask;

    if (arg_u64(args, 1) != SET_BYTES)
        return -EINVAL;
    if (copy_in(&mask, arg_user_ptr(args, 0), sizeof(mask)))
        return -EFAULT;
    signal_mask_replace_temporarily(mask);
    return wait_for_handler();
}

/* -EAGAIN: the time is over, or was 0 and none is pending; -EINTR: another signal's handler ran. */
long sys_rt_sigtimedwait(const struct syscall_args *args)
{
    struct user_ptr info_at = arg_user_ptr(args, 1), limit_at = arg_user_ptr(args, 2);
    u64 set, deadline_ns = U64_MAX;
    struct abi_siginfo abi;
    struct signal_info info;
    int signal;

    if (arg_u64(args, 3) != SET_BYTES)
        return -EINVAL;
    if (copy_in(&set, arg_user_ptr(args, 0), sizeof(set)))
        return -EFAULT;
    if (!user_ptr_is_null(limit_at)) {
        int error = deadline_from_timespec(limit_at, &deadline_ns);

        if (error)
            return error;
    }
    signal = signal_wait(set, deadline_ns, &info);
    if (signal < 0 || user_ptr_is_null(info_at))
        return signal;
    signal_info_to_abi(&info, &abi);
    return copy_out(info_at, &abi, sizeof(abi)) ? -EFAULT : signal;
}

/* ---- Going on with a call that a stop interrupted ---- */

/* Goes on with a call that a stop interrupted; nobody calls it by hand. -EINTR: there is none. */
long sys_restart_syscall(const struct syscall_args *args)
{
    struct restart *restart = &thread_current()->restart;

    return restart->function ? restart->function(restart) : -EINTR;
}
