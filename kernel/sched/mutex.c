/*
 * Mutexes: one holder, who may sleep.
 *
 * `owner` is the holding thread's address; its bit 0 says that others wait. Free and unwaited-for
 * locks are taken and given back with one compare-and-exchange. With the bit set, the holder gives
 * back under queue.lock and wakes one waiter, which tries again there: a thread on the CPU may get
 * the lock before it (no convoy), and then it waits on.
 *
 *     owner         lock                              unlock
 *     0             0 -> self                         -
 *     A             -> A | 1 under queue.lock, sleep  A -> 0
 *     A | 1         sleep                             -> 0 under queue.lock, wake the first waiter
 *     0, woken one  0 -> self | 1 if others wait      -
 *
 * The bit is set and tested under queue.lock, and cleared there: so a holder that finds no bit has
 * no waiter, and one that finds it wakes somebody who is in the queue already. A waiter that a
 * signal takes away may leave the bit behind; that costs its holder one look at an empty queue.
 *
 * Invariant: whoever sleeps in the queue has seen the bit set while he held queue.lock; the bit is
 *            cleared only under queue.lock, with an owner who then wakes.
 * Context:   threads only. Not recursive. No priority is lent to the holder.
 */
#include "sleep_check.h"

#define WAITED_FOR BIT(0)

void mutex_init(struct mutex *mutex, enum lock_class class)
{
    mutex->owner = 0;
    mutex->class = class;
    wait_queue_init(&mutex->queue);
}

static bool owner_replace(struct mutex *mutex, u64 from, u64 to)
{
    return __atomic_compare_exchange_n(&mutex->owner, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

static u64 self(void)
{
    return (u64)thread_current();
}

/* queue.lock is held. Takes a free mutex, or leaves word that somebody waits. */
static bool take_or_mark(struct mutex *mutex)
{
    for (;;) {
        u64 owner = READ_ONCE(mutex->owner);
        u64 mark = list_is_empty(&mutex->queue.waiters) ? 0 : WAITED_FOR;

        if ((owner & ~WAITED_FOR) == 0) {
            if (owner_replace(mutex, owner, self() | mark))
                return true;
        } else if ((owner & WAITED_FOR) || owner_replace(mutex, owner, owner | WAITED_FOR)) {
            return false;
        }
    }
}

/*
 * Under queue.lock, where the holder also looks before it gives the lock back to those that wait.
 */
static noinline int lock_slowly(struct mutex *mutex, enum wait_kind kind)
{
    u64 since_ns = clock_monotonic_ns();
    int error = 0;

    assert((READ_ONCE(mutex->owner) & ~WAITED_FOR) != self());
    spin_lock(&mutex->queue.lock);
    while (!take_or_mark(mutex)) {
        error = wait_queue_wait(&mutex->queue, kind, WAIT_FOR_LOCK);
        if (error)
            break;
    }
    spin_unlock(&mutex->queue.lock);
    lock_waited(mutex->class, since_ns);
    return error;
}

void mutex_lock(struct mutex *mutex)
{
    sleep_check_acquire(mutex->class);
    if (unlikely(!owner_replace(mutex, 0, self())))
        (void)lock_slowly(mutex, WAIT_UNINTERRUPTIBLE);
}

int mutex_lock_killable(struct mutex *mutex)
{
    int error;

    sleep_check_acquire(mutex->class);
    if (likely(owner_replace(mutex, 0, self())))
        return 0;
    error = lock_slowly(mutex, WAIT_KILLABLE);
    if (error)
        sleep_check_release(mutex->class);
    return error;
}

/* Never waits, and so is no link in a chain of locks that are waited for. */
bool mutex_try_lock(struct mutex *mutex)
{
    if (!owner_replace(mutex, 0, self()))
        return false;
    if (SAN) /* in any order: it does not wait */
        thread_current()->sleep_locks_held |= BIT(mutex->class);
    return true;
}

/* Free before the wake-up: who is on a CPU takes it now, and the woken one tries again. */
static noinline void unlock_slowly(struct mutex *mutex)
{
    spin_lock(&mutex->queue.lock);
    /* Release pairs with the acquire of whoever takes it. */
    __atomic_store_n(&mutex->owner, 0, __ATOMIC_RELEASE);
    wait_queue_wake_locked(&mutex->queue, 1, 0);
    spin_unlock(&mutex->queue.lock);
}

void mutex_unlock(struct mutex *mutex)
{
    sleep_check_release(mutex->class);
    assert(mutex_is_held(mutex));
    if (unlikely(!owner_replace(mutex, self(), 0)))
        unlock_slowly(mutex);
    sched_shake();
}

bool mutex_is_held(const struct mutex *mutex)
{
    return (READ_ONCE(mutex->owner) & ~WAITED_FOR) == self();
}
