/*
 * How a thread waits, and how it is woken: the protocol below all wait queues and locks.
 *
 * A wake-up cannot be lost. The waiter tests its condition under a lock, and that lock is let go
 * only when the thread is WAITING and its run queue is locked; a waker makes the condition true
 * under the same lock, so it comes before the test or finds a WAITING thread:
 *
 *     waiter                                      waker
 *     lock(condition)
 *     not yet true
 *     lock(thread); state = WAITING
 *     lock(run queue); unlock(thread)
 *     unlock(condition)                           lock(condition); true; thread_wake:
 *     switch to the next                            lock(thread); WAITING -> READY
 *     ... its successor unlocks the run queue       lock(run queue): after the switch is over
 *                                                   push; unlock all
 *     lock(condition); true
 *
 * A waker that is quicker than the switch waits for the run queue's lock, which the waiter's
 * successor lets go: so nobody runs a thread whose context is still being saved.
 *
 * Signals and time limits end a wait in the same way: whoever takes the thread from WAITING to
 * READY under thread.lock decides wake_result, once. A bit of pending_work that is set before
 * thread_notify is seen by the waiter's own test, made under thread.lock, or by thread_notify:
 *
 *     waiter                                      sender of a signal
 *     lock(thread)                                pending_work |= bit  (release)
 *     test pending_work (acquire): not set        thread_notify: lock(thread)
 *     WAITING; unlock                             WAITING, and the bit ends it: READY, -EINTR
 *
 * A time limit is a timer of the CPU that the wait begins on, set with interrupts off: it cannot
 * fire before the state is set. One that did not end the wait is cancelled before the call returns.
 *
 * Locking: any lock that may stand before thread.lock, then thread.lock, then run_queue.lock.
 * Context: thread_wake and thread_notify anywhere; only a thread itself blocks, with no spinlock
 *          but the one that it hands in.
 */
#include "run_queue.h"

#include "life.h"
#include "state.h"

/* Which bits end which kind of wait: the table of wait_kind. */
static bool work_ends_wait(const struct thread *thread, enum wait_kind kind)
{
    static const u64 ends[] = {
        [WAIT_INTERRUPTIBLE] = WORK_SIGNAL | WORK_KILLED,
        [WAIT_KILLABLE] = WORK_KILLED,
        [WAIT_UNINTERRUPTIBLE] = 0,
    };

    /* Acquire pairs with the bit's setting, which comes before thread_notify's lock. */
    return __atomic_load_n(&thread->pending_work, __ATOMIC_ACQUIRE) & ends[kind];
}

/* Leaves the CPU in a state that was just set. Lets thread->lock and `lock` go, then the queue. */
static void leave_cpu(struct thread *thread, struct spinlock *lock, u64 now_ns)
{
    struct run_queue *queue = this_cpu(run_queue);

    spin_lock(&queue->lock);
    spin_unlock(&thread->lock);
    if (lock)
        spin_unlock(lock);
    schedule_locked(queue, LEAVE_BLOCKED, now_ns);
}

/* One spinlock at most, the condition's, or the wait would hold locks asleep. */
static void assert_may_block(const struct thread *thread, const struct spinlock *lock)
{
    const struct cpu *cpu = cpu_current();

    assert(cpu->spinlocks_held == (lock ? 1 : 0) && !cpu->in_interrupt);
    assert(thread != this_cpu(run_queue)->idle);
}

/* Returns how the wait ended; `lock` is not held any more. */
static int block(struct thread *thread, enum wait_kind kind, enum wait_reason reason,
                 struct spinlock *lock)
{
    u64 now_ns;

    spin_lock(&thread->lock);
    if (work_ends_wait(thread, kind)) {
        spin_unlock(&thread->lock);
        if (lock)
            spin_unlock(lock);
        return -EINTR;
    }
    now_ns = clock_monotonic_ns();
    thread->wait_kind = kind;
    thread->wait_reason = reason;
    thread_set_state(thread, THREAD_WAITING, now_ns);
    leave_cpu(thread, lock, now_ns);
    return thread->wake_result;
}

/* thread->lock is held. */
static void make_ready(struct thread *thread, int result)
{
    u64 now_ns = clock_monotonic_ns();

    thread->wake_result = result;
    thread_set_state(thread, THREAD_READY, now_ns);
    thread_make_runnable(thread, POLICY_PUSH_WOKEN, now_ns);
}

/*
 * In the timer's interrupt. It is waited for before another wait begins (thread_block_and_release),
 * so it never ends the wrong one.
 */
void thread_sleep_expired(struct timer *timer)
{
    struct thread *thread = container_of(timer, struct thread, sleep_timer);

    spin_lock(&thread->lock);
    if (thread->state == THREAD_WAITING)
        make_ready(thread, -ETIMEDOUT);
    spin_unlock(&thread->lock);
}

/*
 * A deadline that has passed does not block, but a signal that is pending counts first, as after a
 * block.
 */
int thread_block_and_release(enum wait_kind kind, enum wait_reason reason, struct spinlock *lock,
                             u64 deadline_ns)
{
    struct thread *thread = thread_current();
    int result;

    assert_may_block(thread, lock);
    if (deadline_ns == U64_MAX)
        return block(thread, kind, reason, lock);
    if (deadline_ns <= clock_monotonic_ns()) {
        result = work_ends_wait(thread, kind) ? -EINTR : -ETIMEDOUT;
        if (lock)
            spin_unlock(lock);
        return result;
    }
    /* The timer is this CPU's: with interrupts off it cannot come before the state is set. */
    interrupts_disable();
    timer_set(&thread->sleep_timer, deadline_ns);
    result = block(thread, kind, reason, lock);
    interrupts_enable();
    if (result != -ETIMEDOUT)
        timer_cancel_wait(&thread->sleep_timer);
    return result;
}

int thread_block_until(enum wait_kind kind, enum wait_reason reason, struct spinlock *lock,
                       u64 deadline_ns)
{
    int result = thread_block_and_release(kind, reason, lock, deadline_ns);

    if (lock)
        spin_lock(lock);
    return result;
}

int thread_block(enum wait_kind kind, enum wait_reason reason, struct spinlock *lock)
{
    return thread_block_until(kind, reason, lock, U64_MAX);
}

int thread_sleep_until(u64 deadline_ns, enum wait_kind kind)
{
    int result = thread_block_until(kind, WAIT_FOR_TIMER, NULL, deadline_ns);

    return result == -ETIMEDOUT ? 0 : result;
}

int thread_wake(struct thread *thread)
{
    int woken = 0;

    spin_lock(&thread->lock);
    if (thread->state == THREAD_WAITING) {
        make_ready(thread, 0);
        woken = 1;
    }
    spin_unlock(&thread->lock);
    return woken;
}

/* With thread.lock held it stays as it is, and on_cpu says whether its context is complete. */
void thread_stack_walk(struct thread *thread, void (*visit)(u64 return_address, void *argument),
                       void *argument)
{
    u64 at = (u64)__builtin_frame_address(0);

    if (thread == thread_current()) {
        backtrace_walk(at, at, visit, argument);
        return;
    }
    spin_lock(&thread->lock);
    if ((thread->state == THREAD_WAITING || thread->state == THREAD_STOPPED) &&
        !__atomic_load_n(&thread->on_cpu, __ATOMIC_ACQUIRE)) {
        at = context_frame_pointer(&thread->context);
        backtrace_walk(at, at, visit, argument);
    }
    spin_unlock(&thread->lock);
}

/*
 * A thread that runs user code elsewhere looks when the interrupt takes it into the kernel; one
 * that runs in the kernel looks on its way out, or when it would block.
 */
void thread_notify(struct thread *thread)
{
    spin_lock(&thread->lock);
    if (thread->state == THREAD_WAITING && work_ends_wait(thread, thread->wait_kind))
        make_ready(thread, -EINTR);
    else if ((thread->state == THREAD_STOPPED || thread->state == THREAD_TRACED) &&
             work_ends_wait(thread, WAIT_KILLABLE))
        make_ready(thread, 0);
    else if (thread != thread_current() && READ_ONCE(thread->on_cpu) &&
             thread->cpu != cpu_current()->id)
        cpu_send_interrupt(thread->cpu, VECTOR_RESCHEDULE);
    spin_unlock(&thread->lock);
}

/* Like block(), but only SIGKILL keeps it from stopping; that, or thread_continue, ends it. */
void thread_stop(struct spinlock *lock)
{
    struct thread *thread = thread_current();

    assert_may_block(thread, lock);
    spin_lock(&thread->lock);
    if (work_ends_wait(thread, WAIT_KILLABLE)) {
        spin_unlock(&thread->lock);
        return;
    }
    thread->wait_reason = WAIT_FOR_SIGNAL;
    thread_set_state(thread, THREAD_STOPPED, clock_monotonic_ns());
    leave_cpu(thread, lock, thread->state_since_ns);
    spin_lock(lock);
}

void thread_continue(struct thread *thread)
{
    spin_lock(&thread->lock);
    if (thread->state == THREAD_STOPPED)
        make_ready(thread, 0);
    spin_unlock(&thread->lock);
}
