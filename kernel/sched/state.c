/*
 * The states of a thread.
 *
 *            thread_start          picked                 last switch
 *      NEW ---------------> READY --------> RUNNING ---------------------> DEAD
 *                           ^   ^------------' |  preempted, yields
 *                           |                  |
 *                           |   woken          v
 *                           '---------- WAITING, STOPPED, TRACED
 *
 * What may follow what is a table, the state graph of the lecture. Each change of a state anywhere
 * comes through thread_set_state, which checks the edge and charges the time spent in the old
 * state, so that /proc, ps and the timeline cannot disagree. The caller moves the thread from queue
 * to queue: at the change itself it is on none (queue_check.h proves it).
 *
 * Who may change a state follows from the state. A RUNNING thread leaves that state by itself only,
 * for it alone knows that it is between two instructions of its own; a WAITING or STOPPED one is
 * taken out by whoever is first under thread.lock; READY to RUNNING is the CPU's choice.
 *
 * Locking: READY and RUNNING follow each other under the lock of the thread's run queue; every
 *          other change is made under thread.lock. `uninterruptible` is atomic.
 * Context: interrupts are off.
 */
#include "state.h"

#include "queue_check.h"

static const u8 next_states[THREAD_STATES] = {
    [THREAD_NEW] = BIT(THREAD_READY),
    [THREAD_READY] = BIT(THREAD_RUNNING),
    [THREAD_RUNNING] = BIT(THREAD_READY) | BIT(THREAD_WAITING) | BIT(THREAD_STOPPED) |
                       BIT(THREAD_TRACED) | BIT(THREAD_DEAD),
    [THREAD_WAITING] = BIT(THREAD_READY),
    [THREAD_STOPPED] = BIT(THREAD_READY),
    [THREAD_TRACED] = BIT(THREAD_READY),
};

static const char letters[THREAD_STATES] = {
    [THREAD_NEW] = 'R',     [THREAD_READY] = 'R',  [THREAD_RUNNING] = 'R', [THREAD_WAITING] = 'S',
    [THREAD_STOPPED] = 'T', [THREAD_TRACED] = 't', [THREAD_DEAD] = 'X',
};

/* What Linux's wchan would name, in our words. */
static const char *const reason_names[WAIT_REASONS] = {
    [WAIT_FOR_NOTHING] = "0",   [WAIT_FOR_PIPE] = "pipe",         [WAIT_FOR_FUTEX] = "futex",
    [WAIT_FOR_CHILD] = "child", [WAIT_FOR_FILE] = "file",         [WAIT_FOR_LOCK] = "lock",
    [WAIT_FOR_TIMER] = "timer", [WAIT_FOR_TERMINAL] = "terminal", [WAIT_FOR_SIGNAL] = "signal",
    [WAIT_FOR_POLL] = "poll",   [WAIT_FOR_SOCKET] = "socket",     [WAIT_FOR_VFORK] = "vfork",
    [WAIT_FOR_WORK] = "work",   [WAIT_FOR_EXEC] = "exec",
};

static u64 uninterruptible; /* [atomic] */

static void uninterruptible_change(struct thread *thread, s32 change, u64 now_ns)
{
    __atomic_fetch_add(&uninterruptible, (u64)(s64)change, __ATOMIC_RELAXED);
    if (thread->wait_reason == WAIT_FOR_FILE)
        iowait_change(thread, change, now_ns);
}

void thread_set_state(struct thread *thread, enum thread_state next, u64 now_ns)
{
    enum thread_state state = thread->state;
    u64 spent_ns = now_ns - thread->state_since_ns;

    assert(next_states[state] & BIT(next));
    state_check(thread);
    thread->time_in_ns[state] += spent_ns;
    if (state == THREAD_WAITING)
        thread->waited_ns[thread->wait_reason] += spent_ns;
    if (state == THREAD_WAITING && thread->wait_kind == WAIT_UNINTERRUPTIBLE)
        uninterruptible_change(thread, -1, now_ns);
    if (next == THREAD_WAITING && thread->wait_kind == WAIT_UNINTERRUPTIBLE)
        uninterruptible_change(thread, 1, now_ns);
    thread->state_since_ns = now_ns;
    WRITE_ONCE(thread->state, next);
    state_seal(thread);
}

u64 threads_uninterruptible(void)
{
    return __atomic_load_n(&uninterruptible, __ATOMIC_RELAXED);
}

/*
 * Read without a lock, for /proc. Kernel threads that wait for work are idle, and count as no load.
 */
char thread_state_letter(const struct thread *thread)
{
    enum thread_state state = READ_ONCE(thread->state);

    if (state != THREAD_WAITING)
        return letters[state];
    if (thread->kernel_name && thread->wait_reason == WAIT_FOR_WORK)
        return 'I';
    return thread->wait_kind == WAIT_UNINTERRUPTIBLE ? 'D' : 'S';
}

const char *wait_reason_name(enum wait_reason reason)
{
    return reason_names[reason];
}
