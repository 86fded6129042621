/*
 * The sleeping read-write lock: many readers, or one writer.
 *
 *     state   | WAITED_FOR | WRITER | readers: 32 bits |
 *
 * With nobody waiting, taking and giving back is one atomic operation. Once the waiting bit is set,
 * newcomers queue behind it, readers too, so that writers are not starved; who gives the lock back
 * then hands it on under queue.lock: to the first writer, or to all readers before it. A waiter
 * owns the lock when he is `granted`; he never has to try again:
 *
 *     queue:    R1  R2  W3  R4          a writer gives back: R1 and R2 get it together;
 *                                       the last of them gives it to W3; W3 to R4
 *
 * A reader that loses its exchange to another reader takes the slow way too, and is granted the
 * lock there at once.
 *
 * Invariant: WAITED_FOR is set exactly while the queue has waiters; it changes under queue.lock.
 * Context:   threads only. Not recursive, not even for reading: a second reader's lock would queue
 *            behind a writer that waits for the first.
 */
#include "sleep_check.h"

#define WRITER     BIT(32)
#define WAITED_FOR BIT(33)
#define READERS    (BIT(32) - 1)

struct lock_waiter {
    struct waiter waiter;
    bool writes;
    bool granted; /* guarded by queue.lock */
};

void rwlock_init(struct rwlock *lock, enum lock_class class)
{
    lock->state = 0;
    lock->writer = NULL;
    lock->class = class;
    wait_queue_init(&lock->queue);
}

static bool state_replace(struct rwlock *lock, u64 from, u64 to)
{
    return __atomic_compare_exchange_n(&lock->state, &from, to, false, __ATOMIC_ACQ_REL,
                                       __ATOMIC_RELAXED);
}

/* queue.lock is held and WAITED_FOR set, so that nobody else takes the lock meanwhile. */
static bool grant(struct rwlock *lock, struct lock_waiter *first)
{
    u64 state = READ_ONCE(lock->state);

    if ((state & WRITER) || (first->writes && (state & READERS)))
        return false;
    __atomic_fetch_add(&lock->state, first->writes ? WRITER : 1, __ATOMIC_ACQUIRE);
    list_remove(&first->waiter.link);
    first->granted = true;
    thread_wake(first->waiter.thread);
    return true;
}

/* In the order of the queue, up to the first that may not: so nobody overtakes. */
static void grant_all_that_may(struct rwlock *lock)
{
    struct lock_waiter *first;

    while ((first = list_first_entry(&lock->queue.waiters, struct lock_waiter, waiter.link)))
        if (!grant(lock, first))
            return;
    __atomic_fetch_and(&lock->state, ~WAITED_FOR, __ATOMIC_RELEASE);
}

/*
 * The bit is set before the entry is on the queue, both under queue.lock: from then on all others
 * come here too.
 */
static noinline void lock_slowly(struct rwlock *lock, bool writes)
{
    struct lock_waiter own = {.waiter.thread = thread_current(), .writes = writes};
    u64 since_ns = clock_monotonic_ns();
    bool waits;

    spin_lock(&lock->queue.lock);
    __atomic_fetch_or(&lock->state, WAITED_FOR, __ATOMIC_RELAXED);
    list_push_back(&lock->queue.waiters, &own.waiter.link);
    grant_all_that_may(lock);
    waits = !own.granted; /* else it only lost a race to another reader */
    while (!own.granted)
        thread_block(WAIT_UNINTERRUPTIBLE, WAIT_FOR_LOCK, &lock->queue.lock);
    spin_unlock(&lock->queue.lock);
    if (waits)
        lock_waited(lock->class, since_ns);
}

void rwlock_read_lock(struct rwlock *lock)
{
    u64 state = READ_ONCE(lock->state);

    sleep_check_acquire(lock->class);
    if (unlikely((state & (WRITER | WAITED_FOR)) || !state_replace(lock, state, state + 1)))
        lock_slowly(lock, false);
}

static noinline void hand_on(struct rwlock *lock)
{
    spin_lock(&lock->queue.lock);
    grant_all_that_may(lock);
    spin_unlock(&lock->queue.lock);
}

/* The last reader with somebody waiting; with a writer in the lock there are no readers. */
void rwlock_read_unlock(struct rwlock *lock)
{
    sleep_check_release(lock->class);
    if (unlikely(__atomic_sub_fetch(&lock->state, 1, __ATOMIC_ACQ_REL) == WAITED_FOR))
        hand_on(lock);
    sched_shake();
}

void rwlock_write_lock(struct rwlock *lock)
{
    sleep_check_acquire(lock->class);
    if (unlikely(!state_replace(lock, 0, WRITER)))
        lock_slowly(lock, true);
    lock->writer = thread_current();
}

/* Fails also while anybody waits, though the lock were free. */
bool rwlock_write_try_lock(struct rwlock *lock)
{
    if (!state_replace(lock, 0, WRITER))
        return false;
    if (SAN) /* in any order: it does not wait */
        thread_current()->sleep_locks_held |= BIT(lock->class);
    lock->writer = thread_current();
    return true;
}

void rwlock_write_unlock(struct rwlock *lock)
{
    sleep_check_release(lock->class);
    assert(rwlock_is_write_held(lock));
    lock->writer = NULL;
    if (unlikely(__atomic_and_fetch(&lock->state, ~WRITER, __ATOMIC_ACQ_REL)))
        hand_on(lock);
    sched_shake();
}

bool rwlock_is_write_held(const struct rwlock *lock)
{
    return READ_ONCE(lock->writer) == thread_current();
}
