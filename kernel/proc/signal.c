/*
 * Signals: what is pending and what is blocked, and what each one does by default.
 *
 *     kill(pid)   --> process.pending   a set of bits, and a queue of who sent what: for any thread
 *     tgkill(tid) --> identity.pending  the same for one thread alone; it is looked at first
 *
 *     a thread takes   (its own, then the process's) & ~blocked: faults first, then by number
 *
 * A signal is a bit in a set, and mostly an entry in the queue with a siginfo_t. The numbers below
 * SIGRTMIN are pending at most once; the others as often as they were sent, in that order. A bit
 * without an entry is a signal that found no memory, or no room below RLIMIT_SIGPENDING, for one.
 *
 * WORK_SIGNAL of a thread says that it has to look (signal_deliver.c). It is set by whoever sends,
 * and by the thread itself when it unblocks; it is cleared by the thread alone, under signals_lock,
 * when nothing is left to do. So a signal and a change of masks cannot miss each other:
 *
 *     sender                                    a thread that blocks it
 *     lock(signals_lock)                        lock(signals_lock)
 *     pending; a thread that wants it? mark it  blocked; pending, and other threads want it?
 *     unlock                                    mark them (signals_offer_others); unlock
 *
 * If the sender comes first, its taker may just be blocking what it was to take, and hands it on;
 * if second, it does not choose that thread any more.
 *
 * Invariants: a queued signal is in one queue, or is a timer's that waits for its next time. It is
 *             charged to the user of the process that it was for (user.c).
 * Locking:    process.signals_lock guards masks, both kinds of pending signals and stops. A thread
 *             reads its own mask without it. The list of threads changes under process_table_lock
 *             and signals_lock; either is enough to walk it.
 * Context:    sends come from anywhere, interrupts included: entries are taken without waiting.
 *             Masks are changed by their own thread alone. Only signal_wait sleeps.
 */
#include "internal.h"

static struct slab_cache *queued_cache;

void signals_init(void)
{
    queued_cache = slab_cache_create("queued_signal", sizeof(struct queued_signal), 8);
    assert(queued_cache);
}

bool signal_default_is_ignore(int signal)
{
    return signal_bit(signal) &
           (signal_bit(SIGCHLD) | signal_bit(SIGCONT) | signal_bit(SIGURG) | signal_bit(SIGWINCH));
}

bool signal_default_is_stop(int signal)
{
    return signal_bit(signal) & SIGNALS_STOP;
}

/* ---- Pending signals ---- */

void pending_init(struct pending_signals *pending)
{
    pending->set = 0;
    list_init(&pending->queue);
}

static struct queued_signal *entry_alloc(struct process *process) must_hold(&process->signals_lock)
{
    struct queued_signal *queued = slab_alloc(queued_cache, ALLOC_NOWAIT);

    if (!queued)
        return NULL;
    list_init(&queued->link);
    queued->timer = NULL;
    queued->charged = user_charge(process);
    return queued;
}

struct queued_signal *queued_signal_alloc(struct process *process)
{
    bool is_reached = user_pending(process) >= process->limits[RLIMIT_SIGPENDING].soft;

    return is_reached ? NULL : entry_alloc(process);
}

/* The count goes to who was charged: a timer's entry may outlive the timer in a queue. */
void queued_signal_free(struct queued_signal *queued)
{
    user_discharge(queued->charged);
    slab_free(queued_cache, queued);
}

/* Out of its list; a timer keeps its entry for the next time. */
static void queued_remove(struct queued_signal *queued)
{
    list_remove(&queued->link);
    if (!queued->timer)
        queued_signal_free(queued);
}

/* An entry of a timer stays the timer's, out of the queue, for its next time. */
void pending_flush(struct pending_signals *pending, u64 set)
{
    struct queued_signal *queued, *following;

    pending->set &= ~set;
    list_for_each_safe (queued, following, &pending->queue, link)
        if (signal_bit(queued->info.signal) & set)
            queued_remove(queued);
}

void pending_flush_all(struct process *process, u64 set)
{
    struct thread_identity *identity;

    pending_flush(&process->pending, set);
    thread_for_each (identity, process)
        pending_flush(&identity->pending, set);
}

/*
 * What the kernel and kill(2) say with a standard signal (the address of a fault, the child that
 * ended) is told over the limit too: at most one of each is pending. Of other standard signals, and
 * of a real-time one that kill(2) sends, the bit is noted at least; a real-time signal that has
 * more to say is refused (tgkill(2), sigqueue(3); fcntl(2), F_SETSIG).
 */
int pending_add(struct pending_signals *pending, struct process *process,
                const struct signal_info *info)
{
    bool is_standard = info->signal < SIGRTMIN;
    struct queued_signal *queued =
        is_standard && info->code >= 0 ? entry_alloc(process) : queued_signal_alloc(process);

    if (!queued && !is_standard && info->code != SI_USER)
        return -EAGAIN;
    pending->set |= signal_bit(info->signal);
    if (!queued)
        return 0;
    queued->info = *info;
    list_push_back(&pending->queue, &queued->link);
    return 0;
}

void pending_add_queued(struct pending_signals *pending, struct queued_signal *queued)
{
    pending->set |= signal_bit(queued->info.signal);
    list_push_back(&pending->queue, &queued->link);
}

/* Takes the first entry of `signal`; its bit goes with the last. */
static void pending_take_one(struct pending_signals *pending, int signal,
                             struct signal_info *info_out)
{
    struct queued_signal *queued, *found = NULL;
    bool more = false;

    list_for_each (queued, &pending->queue, link) {
        if (queued->info.signal != signal)
            continue;
        more = found;
        if (more)
            break;
        found = queued;
    }
    if (!more)
        pending->set &= ~signal_bit(signal);
    if (!found) {
        signal_info_init(info_out, signal, SI_USER);
        return;
    }
    *info_out = found->info;
    if (found->timer)
        posix_timer_signal_taken(found->timer, info_out);
    queued_remove(found);
}

/*
 * The lowest number first, but faults before all others: they are about the instruction that the
 * thread stands on.
 */
static int pending_take(struct pending_signals *pending, u64 set, struct signal_info *info_out)
{
    u64 candidates = pending->set & set;
    int signal;

    if (!candidates)
        return 0;
    if (candidates & SIGNALS_OF_FAULTS)
        candidates &= SIGNALS_OF_FAULTS;
    signal = __builtin_ctzl(candidates) + 1;
    pending_take_one(pending, signal, info_out);
    return signal;
}

/*
 * A thread's own before the process's. An interval timer learns here that its SIGALRM was taken
 * (itimer.c).
 */
int signal_take_locked(struct process *process, struct thread_identity *identity, u64 set,
                       struct signal_info *info_out)
{
    int signal = pending_take(&identity->pending, set, info_out);

    if (!signal)
        signal = pending_take(&process->pending, set, info_out);
    if (signal == SIGALRM)
        itimer_signal_taken(process);
    return signal;
}

int signal_take(u64 set, struct signal_info *info_out)
{
    struct process *process = process_current();
    int signal;

    spin_lock(&process->signals_lock);
    signal = signal_take_locked(process, identity_current(), set, info_out);
    spin_unlock(&process->signals_lock);
    return signal;
}

/*
 * Waits for one of `set`, which the caller has blocked or not: while it waits they count as wanted
 * by this thread (waits_for), so that a sender wakes it and none of them is delivered meanwhile.
 */
int signal_wait(u64 set, u64 deadline_ns, struct signal_info *info_out)
{
    struct process *process = process_current();
    struct thread_identity *identity = identity_current();
    int signal, error = 0;

    set &= ~SIGNALS_UNBLOCKABLE;
    spin_lock(&process->signals_lock);
    identity->waits_for = set;
    for (;;) {
        signal = signal_take_locked(process, identity, set, info_out);
        if (signal || error)
            break;
        signal_work_update_locked(process, identity);
        error = thread_block_until(WAIT_INTERRUPTIBLE, WAIT_FOR_SIGNAL, &process->signals_lock,
                                   deadline_ns);
    }
    identity->waits_for = 0;
    signal_work_update_locked(process, identity);
    spin_unlock(&process->signals_lock);
    if (signal)
        return signal;
    return error == -ETIMEDOUT ? -EAGAIN : error;
}

/* ---- What is sent along ---- */

void signal_info_init(struct signal_info *info, int signal, int code)
{
    *info = (struct signal_info){.signal = signal, .code = code};
}

void signal_info_init_sender(struct signal_info *info, int signal, int code)
{
    s32 pid = process_pid(process_current());
    u32 uid = thread_current()->credentials->uid;

    signal_info_init(info, signal, code);
    memcpy(info->payload, &pid, sizeof(pid));
    memcpy(info->payload + sizeof(pid), &uid, sizeof(uid));
}

void signal_info_to_abi(const struct signal_info *info, struct abi_siginfo *abi_out)
{
    memset(abi_out, 0, sizeof(*abi_out));
    memcpy(abi_out, info, sizeof(*info));
}

/* ---- The calling thread's mask ---- */

/* A stop or an end of the process counts as something to look at, even with no signal pending. */
void signal_work_update_locked(struct process *process, struct thread_identity *identity)
{
    u64 blocked = identity->blocked | identity->waits_for;
    u64 pending = (identity->pending.set | process->pending.set) & ~blocked;
    u64 *work = &identity->thread->pending_work;

    if (pending || process->group_exit || process->exec_thread ||
        (process->stop_wanted && !identity->stopped))
        __atomic_fetch_or(work, WORK_SIGNAL, __ATOMIC_RELEASE);
    else if (READ_ONCE(*work) & WORK_SIGNAL)
        __atomic_fetch_and(work, ~WORK_SIGNAL, __ATOMIC_RELAXED);
}

/*
 * Signals for the process that only this thread would have taken are offered to the others when it
 * blocks them: one that waits must not sleep over a signal that nobody looks for.
 */
void signals_offer_others(struct process *process, struct thread_identity *own, u64 set)
{
    struct thread_identity *other;

    thread_for_each (other, process) {
        if (other == own || other->exiting || !(set & ~other->blocked))
            continue;
        __atomic_fetch_or(&other->thread->pending_work, WORK_SIGNAL, __ATOMIC_RELEASE);
        thread_notify(other->thread);
    }
}

/*
 * What becomes blocked while it is pending for the process is offered to the others; what becomes
 * unblocked sets WORK_SIGNAL, so it is delivered before the call returns (sigprocmask(2)).
 */
void signal_mask_set(u64 mask)
{
    struct process *process = process_current();
    struct thread_identity *identity = identity_current();
    u64 newly_blocked;

    mask &= ~SIGNALS_UNBLOCKABLE;
    spin_lock(&process->signals_lock);
    newly_blocked = mask & ~identity->blocked & process->pending.set;
    identity->blocked = mask;
    if (newly_blocked && process->thread_count > 1)
        signals_offer_others(process, identity, newly_blocked);
    signal_work_update_locked(process, identity);
    spin_unlock(&process->signals_lock);
}

/*
 * The old mask comes back on the way to user mode: after the handler, whose frame has it, or at
 * once if none ran. So no signal falls between the call's end and the old mask.
 */
void signal_mask_replace_temporarily(u64 mask)
{
    struct thread_identity *identity = identity_current();

    identity->saved_mask = identity->blocked;
    identity->mask_is_saved = true;
    signal_mask_set(mask);
}

void signal_mask_restore(void)
{
    struct thread_identity *identity = identity_current();

    if (!identity->mask_is_saved)
        return;
    identity->mask_is_saved = false;
    signal_mask_set(identity->saved_mask);
}

/* Without the lock: a signal that comes right now is found on the way out. */
bool signal_is_pending(void)
{
    struct thread_identity *identity = identity_current();
    u64 pending = READ_ONCE(identity->pending.set) | READ_ONCE(process_current()->pending.set);

    return pending & ~identity->blocked;
}

bool signal_is_ignored_or_blocked(int signal)
{
    return (identity_current()->blocked & signal_bit(signal)) ||
           signal_handler_of(process_current(), signal) == SIG_IGN;
}
