/*
 * Delivery: what a thread does about its signals on the way to user mode.
 *
 *     user_return (pending_work is not 0)
 *       next_signal: doomed -> end; group stop -> stop; ignored -> next; default -> end or stop
 *       handler: mask, frame on the user's stack, registers into the handler
 *       none: interrupted call made again, mask of sigsuspend put back
 *
 * All stops and most ends happen here and nowhere else: a thread in the kernel holds locks and has
 * half done what it does, one on its way out has not. A signal therefore only wakes a wait
 * (-EINTR), and the call comes back here by itself.
 *
 * An interrupted call left -ERESTART* in rax (abi/dispatch.c):
 *
 *     rax               a handler runs                        none does
 *     ERESTARTSYS       made again if SA_RESTART, else EINTR  made again
 *     ERESTARTNOINTR    made again                            made again
 *     ERESTARTNOHAND    EINTR                                 made again
 *     ERESTART_..BLOCK  EINTR                                 restart_syscall(2) goes on with it
 *
 * That is decided once, by the first handler that runs or by there being none: original_rax is then
 * -1, so that a second handler's frame, on top of the first one's, returns to the first one's
 * start. Making it again means going back over the 2 bytes of the syscall instruction with the
 * number in rax.
 *
 * Several signals at once: each frame interrupts the handler before it at its first instruction, so
 * the last one delivered runs first (signal(7), "Execution of signal handlers").
 *
 * Context: the thread itself, no locks, interrupts on. May sleep, may never return.
 */
#include "internal.h"

#define SYSCALL_INSTRUCTION_BYTES 2
#define SYSCALL_RESTART           219 /* restart_syscall(2) */

/* ---- Which signal ---- */

/*
 * Stop signals of the terminal do nothing to a group that nobody could continue. To know that takes
 * a lock from outside ours; a SIGCONT that comes in between finds no stop signal pending any more
 * and no stop begun, and must not be lost.
 */
static void act_stop(struct process *process, int signal)
{
    if (signal != SIGSTOP) {
        u32 continues = process->continues;
        bool orphaned;

        spin_unlock(&process->signals_lock);
        spin_lock(&process_table_lock);
        orphaned = group_is_orphaned_locked(process->group);
        spin_unlock(&process_table_lock);
        spin_lock(&process->signals_lock);
        if (orphaned || process->continues != continues)
            return;
    }
    process_stop_begin_locked(process, signal);
}

/* Does what the default action says. Returns if the thread goes on; signals_lock is held. */
static void act_by_default(struct process *process, struct thread_identity *identity, int signal)
{
    bool forced = identity->forced & signal_bit(signal);

    if (signal_default_is_ignore(signal) || (process == process_init && !forced))
        return;
    if (signal_default_is_stop(signal)) {
        act_stop(process, signal);
        return;
    }
    spin_unlock(&process->signals_lock);
    process_exit_group(signal);
}

/* Stops and ends come before signals. signals_lock is held. */
static void obey_process(struct process *process, struct thread_identity *identity)
{
    if (process->group_exit || (process->exec_thread && process->exec_thread != identity->thread)) {
        int status = process->group_exit ? process->exit_status : 0;

        spin_unlock(&process->signals_lock);
        process_exit_thread(status);
    }
    if (process->stop_wanted && !process->exec_thread)
        process_stop_self(process, process->stop_signal);
}

/* The next signal that has a handler, with its action. 0: none; then WORK_SIGNAL is cleared. */
static int next_signal(struct process *process, struct thread_identity *identity,
                       struct signal_info *info, struct signal_action *action_out)
{
    int signal;

    spin_lock(&process->signals_lock);
    for (;;) {
        struct signal_action action;

        obey_process(process, identity);
        signal = signal_take_locked(process, identity, ~identity->blocked, info);
        if (!signal)
            break;
        action = signal_action_of(process, signal);
        if (action.handler == SIG_DFL) {
            act_by_default(process, identity, signal);
        } else if (action.handler != SIG_IGN) {
            *action_out = action;
            if (action.flags & SA_RESETHAND)
                signal_handler_reset(process, signal);
            break;
        }
    }
    if (!signal)
        signal_work_update_locked(process, identity);
    spin_unlock(&process->signals_lock);
    return signal;
}

/* ---- Interrupted calls ---- */

static bool frame_is_of_call(const struct trap_frame *frame)
{
    return (s64)frame->original_rax >= 0;
}

/* original_rax is spent: a handler that runs first must not move rip back once more. */
static void call_again(struct trap_frame *frame, u64 number)
{
    frame->rax = number;
    frame->rip -= SYSCALL_INSTRUCTION_BYTES;
    frame->original_rax = -1;
}

static void restart_without_handler(struct trap_frame *frame)
{
    if (!frame_is_of_call(frame))
        return;
    switch ((s64)frame->rax) {
    case -ERESTARTSYS:
    case -ERESTARTNOINTR:
    case -ERESTARTNOHAND:
        call_again(frame, frame->original_rax);
        break;
    case -ERESTART_RESTARTBLOCK:
        call_again(frame, SYSCALL_RESTART);
        break;
    }
}

static void restart_with_handler(struct trap_frame *frame, const struct signal_action *action)
{
    if (!frame_is_of_call(frame))
        return;
    switch ((s64)frame->rax) {
    case -ERESTARTSYS:
        if (action->flags & SA_RESTART)
            call_again(frame, frame->original_rax);
        else
            frame->rax = -EINTR;
        break;
    case -ERESTARTNOINTR:
        call_again(frame, frame->original_rax);
        break;
    case -ERESTARTNOHAND:
    case -ERESTART_RESTARTBLOCK:
        frame->rax = -EINTR;
        break;
    }
    /* Decided: a second handler's frame returns to the first one's start, not to the call. */
    frame->original_rax = -1;
    thread_current()->restart.function = NULL;
}

/* ---- Handlers ---- */

/*
 * With SS_AUTODISARM the thread is never "on" it: the kernel forgot it when the handler began, so
 * that a switch of stacks in it is safe (sigaltstack(2)).
 */
static bool is_on_stack(const struct alternate_stack *stack, u64 stack_pointer)
{
    return !(stack->flags & (SS_DISABLE | SS_AUTODISARM)) &&
           stack_pointer - stack->address - 1 < stack->bytes;
}

u32 alternate_stack_status(const struct alternate_stack *stack, u64 stack_pointer)
{
    if (stack->flags & SS_DISABLE)
        return stack->flags;
    return (stack->flags & SS_AUTODISARM) | (is_on_stack(stack, stack_pointer) ? SS_ONSTACK : 0);
}

/*
 * Nothing of the thread's state changes before the frame is written: one that cannot be written is
 * a SIGSEGV in the state before the signal.
 */
static int handler_enter(struct trap_frame *frame, const struct signal_info *info,
                         const struct signal_action *action)
{
    struct thread_identity *identity = identity_current();
    struct alternate_stack *stack = &identity->alternate;
    struct abi_siginfo siginfo;
    struct signal_delivery delivery = {
        .signal = info->signal,
        .siginfo = &siginfo,
        .handler = action->handler,
        .restorer = action->restorer,
        .mask = identity->mask_is_saved ? identity->saved_mask : identity->blocked,
        .alternate_stack = stack->address,
        .alternate_stack_size = stack->bytes,
        .alternate_stack_flags = alternate_stack_status(stack, frame->rsp),
    };
    u64 mask = identity->blocked | action->mask;
    int error;

    delivery.on_alternate_stack = (action->flags & SA_ONSTACK) && !(stack->flags & SS_DISABLE) &&
                                  !is_on_stack(stack, frame->rsp);
    if (signal_bit(info->signal) & SIGNALS_OF_FAULTS) {
        delivery.trap_number = identity->fault_trap_number;
        delivery.error_code = identity->fault_error_code;
        delivery.fault_address = identity->fault_address;
    }
    signal_info_to_abi(info, &siginfo);
    error = (action->flags & SA_RESTORER) ? signal_frame_push(frame, &delivery) : -EFAULT;
    if (error)
        return error;
    if (delivery.on_alternate_stack && (stack->flags & SS_AUTODISARM))
        *stack = (struct alternate_stack){.flags = SS_DISABLE};
    if (!(action->flags & SA_NODEFER))
        mask |= signal_bit(info->signal);
    identity->mask_is_saved = false;
    signal_mask_set(mask);
    return 0;
}

/*
 * The handler's frame cannot be written: that is a SIGSEGV, which must not find the same handler.
 */
static void handler_failed(int signal)
{
    struct process *process = process_current();
    struct signal_info info;

    if (signal == SIGSEGV) {
        spin_lock(&process->signals_lock);
        signal_handler_reset(process, SIGSEGV);
        spin_unlock(&process->signals_lock);
    }
    signal_info_init(&info, SIGSEGV, SI_KERNEL);
    signal_force(&info);
}

/*
 * Handlers are stacked until nothing is left to deliver; only then is it known whether an
 * interrupted call has to go on.
 */
static void deliver(struct trap_frame *frame)
{
    struct process *process = process_current();
    struct thread_identity *identity = identity_current();
    struct signal_action action;
    struct signal_info info;
    int signal;

    while ((signal = next_signal(process, identity, &info, &action))) {
        restart_with_handler(frame, &action);
        rseq_before_handler(frame);
        if (handler_enter(frame, &info, &action))
            handler_failed(signal);
        else if (!(READ_ONCE(identity->thread->pending_work) & WORK_SIGNAL))
            return;
    }
    restart_without_handler(frame);
    signal_mask_restore();
}

/*
 * `work` is one look: what is set after it is seen by the next, since the way out tests the word
 * again with interrupts off (arch/).
 */
void user_return(struct trap_frame *frame)
{
    struct thread *thread = thread_current();
    u64 work = READ_ONCE(thread->pending_work);

    if (work & WORK_CALLBACK) {
        __atomic_fetch_and(&thread->pending_work, ~WORK_CALLBACK, __ATOMIC_RELAXED);
        thread->on_user_return();
    }
    if (work & WORK_RESTART)
        rseq_return(frame);
    if (work & (WORK_SIGNAL | WORK_KILLED))
        deliver(frame);
    if (work & WORK_RESCHEDULE)
        sched_preempt();
}
