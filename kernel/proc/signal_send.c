/*
 * Sending signals: what is dropped, where it is put, and who is told.
 *
 *     no threads, or doomed already        dropped
 *     SIGCONT                              drops pending stop signals; continues a stopped process
 *     a stop signal                        drops a pending SIGCONT
 *     would do nothing, and not blocked    dropped (ignored, or ignored by default)
 *     SIGKILL                              dooms the process; nothing is queued
 *     below SIGRTMIN and pending           dropped: one says as much as two
 *     else                                 pending; one thread that wants it is told
 *
 * One that is blocked is kept even if it would do nothing now: its action may change before it is
 * delivered. The main thread's mask decides that for the whole process, as on Linux.
 *
 * Telling is a bit and a wake-up. The bit is set with release after the signal was put, and the
 * thread tests it with acquire under thread.lock before it sleeps (sched/block.c); thread_notify
 * takes that lock. So either the thread sees the bit, or it is WAITING already and is woken with
 * -EINTR.
 *
 * Dooming sets group_exit first, under signals_lock. From then on no signal comes, no thread joins
 * (fork.c), and each thread ends on its way to user mode; waits end but for the uninterruptible.
 *
 * Process 1 gets only signals that it handles, so that nobody ends the machine by mistake; faults
 * of its own are the exception (signal_force).
 *
 * Locking: signals_lock; process_table_lock outside it where a group or a session is walked.
 * Context: any; interrupt handlers send too (terminals, timers). Nothing sleeps.
 */
#include "internal.h"

/* One that a sigtimedwait waits for is wanted, blocked or not. */
static bool signal_would_do_nothing(struct process *process, struct thread_identity *target,
                                    int signal)
{
    u64 handler = signal_handler_of(process, signal);

    if (target && ((target->blocked | target->waits_for) & signal_bit(signal)))
        return false;
    if (handler == SIG_IGN)
        return true;
    if (handler != SIG_DFL)
        return false;
    return signal_default_is_ignore(signal) || process == process_init || process->is_kernel;
}

/* A stopped thread takes nothing but SIGKILL until it is continued. */
static bool thread_wants(const struct thread_identity *identity, int signal)
{
    u64 bit = signal_bit(signal);

    if (identity->exiting || ((identity->blocked & ~identity->waits_for) & bit))
        return false;
    return signal == SIGKILL || !identity->stopped;
}

static void thread_tell(struct thread_identity *identity, u64 work)
{
    /* Release pairs with the acquire in block.c: what is pending is seen with the bit. */
    __atomic_fetch_or(&identity->thread->pending_work, work, __ATOMIC_RELEASE);
    if (identity->thread != thread_current())
        thread_notify(identity->thread);
}

/* The thread that will take it; one is enough. NULL: all block it, whoever unblocks it sees it. */
static struct thread_identity *taker_of(struct process *process, int signal)
{
    struct thread_identity *identity;

    if (process_current() == process && thread_wants(identity_current(), signal))
        return identity_current();
    thread_for_each (identity, process)
        if (thread_wants(identity, signal))
            return identity;
    return NULL;
}

/* In a hurry: a thread of the idle class could hold its memory for minutes beside busy ones. */
void process_kill_threads_locked(struct process *process, struct thread *except)
{
    struct thread_identity *identity;

    thread_for_each (identity, process) {
        if (identity->thread == except)
            continue;
        thread_hasten(identity->thread);
        thread_tell(identity, WORK_SIGNAL | WORK_KILLED);
    }
}

/* No entry is queued: group_exit says it all, and cannot fail for want of memory. */
void process_doom_locked(struct process *process, int signal)
{
    process->group_exit = true;
    process->exit_status = signal;
    process->stop_wanted = false;
    process_kill_threads_locked(process, NULL);
}

/* signalfd_tell comes first: its readers may take the signal before any thread looks. */
static void taker_tell(struct process *process, struct thread_identity *target, int signal)
{
    struct thread_identity *taker = target;

    signalfd_tell();
    if (!taker)
        taker = taker_of(process, signal);
    if (taker && thread_wants(taker, signal))
        thread_tell(taker, WORK_SIGNAL);
}

/* The main thread's mask decides whether a signal for the process would do nothing. */
static struct thread_identity *judge_of(struct process *process, struct thread_identity *target)
{
    return target ? target : process_leader_locked(process);
}

/* `target`: this thread's alone; NULL: any of the process's. */
static int send_locked(struct process *process, struct thread_identity *target,
                       const struct signal_info *info) must_hold(&process->signals_lock)
{
    struct pending_signals *pending = target ? &target->pending : &process->pending;
    int signal = info->signal, error;

    if (process->group_exit || list_is_empty(&process->threads))
        return 0;
    if (signal == SIGCONT) {
        pending_flush_all(process, SIGNALS_STOP);
        process_continue_locked(process);
    } else if (signal_default_is_stop(signal)) {
        pending_flush_all(process, signal_bit(SIGCONT));
    }
    if (signal_would_do_nothing(process, judge_of(process, target), signal))
        return 0;
    if (signal == SIGKILL) {
        process_doom_locked(process, SIGKILL);
        return 0;
    }
    if (signal < SIGRTMIN && (pending->set & signal_bit(signal)))
        return 0;
    error = pending_add(pending, process, info);
    if (!error)
        taker_tell(process, target, signal);
    return error;
}

/*
 * A timer's signal. Those that do more than be pending go the usual way, and leave the timer its
 * entry.
 */
void signal_send_queued_locked(struct process *process, struct thread *target,
                               struct queued_signal *queued)
{
    struct thread_identity *identity = target ? target->identity : NULL;
    int signal = queued->info.signal;

    if (process->group_exit || list_is_empty(&process->threads) || (identity && identity->exiting))
        return;
    if (signal == SIGKILL || signal == SIGCONT || signal_default_is_stop(signal)) {
        (void)send_locked(process, identity, &queued->info);
        return;
    }
    if (signal_would_do_nothing(process, judge_of(process, identity), signal))
        return;
    pending_add_queued(identity ? &identity->pending : &process->pending, queued);
    taker_tell(process, identity, signal);
}

int signal_send_process_locked(struct process *process, const struct signal_info *info)
{
    return send_locked(process, NULL, info);
}

int signal_send_process(struct process *process, const struct signal_info *info)
{
    int error;

    spin_lock(&process->signals_lock);
    error = send_locked(process, NULL, info);
    spin_unlock(&process->signals_lock);
    return error;
}

int signal_send_thread_locked(struct thread *thread, const struct signal_info *info)
{
    return thread->identity->exiting ? 0 : send_locked(thread->process, thread->identity, info);
}

int signal_send_thread(struct thread *thread, const struct signal_info *info)
{
    struct process *process = thread->process;
    int error;

    spin_lock(&process->signals_lock);
    error = signal_send_thread_locked(thread, info);
    spin_unlock(&process->signals_lock);
    return error;
}

void signal_send_current(int signal)
{
    struct signal_info info;

    signal_info_init_sender(&info, signal, SI_USER);
    if (process_current()->is_kernel)
        return;
    (void)signal_send_thread(thread_current(), &info);
}

/* A fault cannot wait: a blocked or ignored one takes its default action, even in process 1. */
void signal_force(const struct signal_info *info)
{
    struct process *process = process_current();
    struct thread_identity *identity = identity_current();
    u64 bit = signal_bit(info->signal);

    spin_lock(&process->signals_lock);
    if ((identity->blocked & bit) || signal_handler_of(process, info->signal) == SIG_IGN) {
        signal_handler_reset(process, info->signal);
        identity->blocked &= ~bit;
    }
    identity->forced |= bit;
    if (pending_add(&identity->pending, process, info))
        identity->pending.set |= bit;
    __atomic_fetch_or(&identity->thread->pending_work, WORK_SIGNAL, __ATOMIC_RELAXED);
    spin_unlock(&process->signals_lock);
}

/* ---- Groups ---- */

bool signal_ids_permit(u32 uid, u32 euid, const struct credentials *theirs)
{
    return euid == theirs->suid || euid == theirs->uid || uid == theirs->suid || uid == theirs->uid;
}

int signal_permission_locked(struct process *process, int signal)
{
    const struct credentials *own = thread_current()->credentials;
    const struct credentials *theirs = process_credentials_locked(process);

    if (signal < 0 || signal > SIGNALS)
        return -EINVAL;
    if (process == process_current() || !theirs)
        return 0;
    if (signal_ids_permit(own->uid, own->euid, theirs) || credentials_can(own, CAPABILITY_KILL))
        return 0;
    if (signal == SIGCONT && process_session(process) == process_session(process_current()))
        return 0;
    return -EPERM;
}

/*
 * kill(2) of a group succeeds if one member could be signalled, and else says why the last could
 * not.
 */
int signal_send_members_locked(struct process_group *group, const struct signal_info *info)
{
    struct process *member;
    int result = -ESRCH;

    list_for_each (member, &group->members, group_link) {
        int error = signal_permission_locked(member, info->signal);

        if (!error && info->signal)
            error = signal_send_process(member, info);
        if (!error || result == -ESRCH)
            result = error;
    }
    return result;
}

int signal_send_group(s32 group_id, int signal)
{
    struct process_group *group;
    struct signal_info info;
    struct process *member;

    signal_info_init(&info, signal, SI_KERNEL);
    spin_lock(&process_table_lock);
    group = group_find_locked(group_id);
    if (group)
        list_for_each (member, &group->members, group_link)
            (void)signal_send_process(member, &info);
    spin_unlock(&process_table_lock);
    return group ? 0 : -ESRCH;
}

void signal_send_session_leader(s32 session_id, int signal)
{
    struct signal_info info;
    struct process *leader;

    signal_info_init(&info, signal, SI_KERNEL);
    spin_lock(&process_table_lock);
    leader = process_find_locked(session_id);
    if (leader)
        (void)signal_send_process(leader, &info);
    spin_unlock(&process_table_lock);
}
