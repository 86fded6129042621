/*
 * Group stops (job control), and how a parent hears of its children.
 *
 *     stop signal taken --> stop_wanted, stop_count = threads that run
 *                               |  each thread, on its way to user mode: STOPPED, stop_count - 1
 *                               v
 *                           the last one (or one that ends instead): complete, the parent is told
 *     SIGCONT sent -------> stop_wanted = false, STOPPED threads go on; the first of them tells
 *
 * A stop of a process with many threads takes time, and SIGCONT may come before it is complete:
 * then it never was one, and the parent hears only that the child was continued. The sender cannot
 * tell the parent itself: that needs process_table_lock, which stands outside the lock that it has.
 *
 * A thread sleeps in thread_stop under signals_lock, which is let go when it is STOPPED. So a
 * SIGCONT comes before its look at stop_wanted, or finds it STOPPED. SIGKILL and exec end a stop in
 * the same way: who is to end must run.
 *
 * What wait(2) may still tell (stop_reportable, continue_reportable) is kept apart from the signal:
 * a parent that ignores SIGCHLD, or has SA_NOCLDSTOP, can wait for stops all the same.
 *
 * Invariant: while stop_wanted, stop_count threads have neither stopped nor begun to exit.
 * Locking:   signals_lock; process_table_lock is taken before it, so it is let go to tell.
 * Context:   process_stop_self sleeps; all else may come from any context.
 */
#include "internal.h"

/* ---- Telling the parent ---- */

static void child_info_init(struct signal_info *info, struct process *child, int signal, int code,
                            int status)
{
    const struct credentials *credentials = process_credentials_locked(child);
    struct cpu_usage usage;
    struct abi_siginfo abi = {.signal = signal, .code = code};

    process_usage_locked(child, &usage);
    abi.child.pid = child->pid;
    abi.child.uid = credentials ? credentials->uid : 0;
    abi.child.status = status;
    abi.child.user_ticks = usage.user_ns / CLOCK_TICK_NS;
    abi.child.system_ticks = usage.system_ns / CLOCK_TICK_NS;
    memcpy(info, &abi, sizeof(*info));
}

/* Each waiter looks for itself: what it waits for is in its own request. */
static void parent_wake_locked(struct process *parent)
{
    struct waiter *waiter;

    list_for_each (waiter, &parent->child_waiters, link)
        thread_wake(waiter->thread);
}

/*
 * A parent that ignores stops by SA_NOCLDSTOP gets no signal, and is woken all the same: it may
 * wait for them.
 */
void parent_notify_locked(struct process *child, int code, int status)
{
    struct process *parent = child->parent;
    bool ended = code == CLD_EXITED || code == CLD_KILLED || code == CLD_DUMPED;
    int signal = ended ? child->exit_signal : SIGCHLD;
    struct signal_info info;

    if (!parent)
        return;
    spin_lock(&parent->signals_lock);
    if (signal && signal <= SIGNALS &&
        (ended || !(signal_action_of(parent, SIGCHLD).flags & SA_NOCLDSTOP))) {
        child_info_init(&info, child, signal, code, status);
        (void)signal_send_process_locked(parent, &info);
    }
    spin_unlock(&parent->signals_lock);
    parent_wake_locked(parent);
}

/* signals_lock is held, let go meanwhile and held again. */
static void parent_notify(struct process *process, int code, int status)
{
    spin_unlock(&process->signals_lock);
    spin_lock(&process_table_lock);
    parent_notify_locked(process, code, status);
    spin_unlock(&process_table_lock);
    spin_lock(&process->signals_lock);
}

/* ---- Stopping ---- */

/*
 * A stop that is on already, or an end, takes this one up. The threads that still run are counted,
 * so that the last to stop is known.
 */
void process_stop_begin_locked(struct process *process, int signal)
{
    struct thread_identity *identity;

    if (process->stop_wanted || process->group_exit)
        return;
    process->stop_wanted = true;
    process->stop_signal = signal;
    process->stop_count = 0;
    process->continue_reportable = false;
    thread_for_each (identity, process) {
        if (identity->exiting || identity->stopped)
            continue;
        process->stop_count++;
        __atomic_fetch_or(&identity->thread->pending_work, WORK_SIGNAL, __ATOMIC_RELEASE);
        if (identity != identity_current())
            thread_notify(identity->thread);
    }
}

/* One thread fewer to wait for. True: the group stop is complete now. */
static bool stop_count_down(struct process *process)
{
    if (!process->stop_wanted || process->stop_count == 0)
        return false;
    if (--process->stop_count)
        return false;
    process->stop_reportable = true;
    return true;
}

/*
 * The loop, because a second stop may have begun when a continued thread gets the lock: then it is
 * still stopped, and nobody was told otherwise.
 */
void process_stop_self(struct process *process, int signal)
{
    struct thread_identity *identity = identity_current();

    identity->stopped = true;
    if (stop_count_down(process))
        parent_notify(process, CLD_STOPPED, process->stop_signal);
    while (process->stop_wanted && !process->group_exit && !process->exec_thread)
        thread_stop(&process->signals_lock);
    identity->stopped = false;
    if (process->continue_to_tell) {
        process->continue_to_tell = false;
        parent_notify(process, CLD_CONTINUED, SIGCONT);
    }
}

/*
 * A thread that ends will not stop; if it was the last one missing, the stop is complete by its
 * end.
 */
bool process_stop_leave_locked(struct process *process, struct thread_identity *identity)
{
    return !identity->stopped && stop_count_down(process);
}

/*
 * continues counts even where nothing was stopped: a stop that is just being decided must see it
 * (signal_deliver.c).
 */
void process_continue_locked(struct process *process)
{
    struct thread_identity *identity;

    process->continues++;
    if (!process->stop_wanted)
        return;
    process->stop_wanted = false;
    process->stop_reportable = false;
    process->continue_reportable = true;
    process->continue_to_tell = true;
    thread_for_each (identity, process)
        thread_continue(identity->thread);
}
