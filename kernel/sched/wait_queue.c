/*
 * Wait queues: where threads wait until something is so.
 *
 * A queue's lock also guards the condition that its threads wait for. A waiter tests and queues an
 * entry under that lock; a waker makes the condition true and wakes under it. So no wake-up can
 * fall between the test and the wait:
 *
 *     waiter                                        waker
 *     spin_lock(&queue->lock)                       spin_lock(&queue->lock)
 *     while (!ready && !error)                      ready = true
 *         error = wait_queue_wait(queue, ...)       wait_queue_wake_locked(queue, 1, 0)
 *     spin_unlock(&queue->lock)                     spin_unlock(&queue->lock)
 *
 * An entry says who waits and what to do: poll() puts one on each of its files' queues, epoll one
 * that pushes to its ready list, a plain wait one that makes its thread READY. A thread that was
 * already woken counts as no wake-up, so two wake-ups never fall on one waiter.
 *
 * Invariant: an entry is on queue->waiters exactly while its owner may still be woken by it.
 * Locking:   wait_queue.lock, then thread.lock and run_queue.lock inside thread_wake.
 * Context:   interrupt handlers may wake; only wait_queue_wait sleeps.
 */
#include <pith/sched.h>

void wait_queue_init(struct wait_queue *queue)
{
    wait_queue_init_class(queue, LOCK_WAIT_QUEUE);
}

void wait_queue_init_class(struct wait_queue *queue, enum lock_class class)
{
    spin_init(&queue->lock, class);
    list_init(&queue->waiters);
}

int waiter_wake_thread(struct waiter *waiter, u32 events)
{
    return thread_wake(waiter->thread);
}

int wait_queue_wait(struct wait_queue *queue, enum wait_kind kind, enum wait_reason reason)
{
    return wait_queue_wait_until(queue, kind, reason, U64_MAX);
}

/* One wake-up, or none: the caller looks at its condition again, under the same lock. */
int wait_queue_wait_until(struct wait_queue *queue, enum wait_kind kind, enum wait_reason reason,
                          u64 deadline_ns)
{
    struct waiter waiter = {
        .thread = thread_current(), .wake = waiter_wake_thread, .exclusive = true};
    int error;

    assert_held(&queue->lock);
    list_push_back(&queue->waiters, &waiter.link);
    error = thread_block_until(kind, reason, &queue->lock, deadline_ns);
    list_remove(&waiter.link);
    return error;
}

/*
 * Entries that are not exclusive (polls) are always told; of the others those that came first, and
 * only who did wake counts.
 */
int wait_queue_wake_locked(struct wait_queue *queue, int count, u32 events)
{
    struct waiter *waiter, *following;
    int woken = 0;

    list_for_each_safe (waiter, following, &queue->waiters, link) {
        if (waiter->exclusive && woken == count)
            continue;
        if (waiter->wake(waiter, events) && waiter->exclusive)
            woken++;
    }
    return woken;
}

/*
 * Looks at the list without the lock. That is no lost wake-up: whoever waits holds the lock that
 * guards the condition while he queues himself, and the caller has taken and let go that lock, or
 * made his condition true by an operation that orders like it, before he comes here.
 */
void wait_queue_wake(struct wait_queue *queue, int count, u32 events)
{
    /* Orders the caller's stores to the condition before the load of the list. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (READ_ONCE(queue->waiters.next) == &queue->waiters)
        return;
    spin_lock(&queue->lock);
    wait_queue_wake_locked(queue, count, events);
    spin_unlock(&queue->lock);
}

/* At the end: who came first is woken first. */
void wait_queue_add(struct wait_queue *queue, struct waiter *waiter)
{
    spin_lock(&queue->lock);
    list_push_back(&queue->waiters, &waiter->link);
    spin_unlock(&queue->lock);
    /* Before the caller looks at the condition, which need not take the lock: pairs with
     * wait_queue_wake's. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

void wait_queue_remove(struct wait_queue *queue, struct waiter *waiter)
{
    spin_lock(&queue->lock);
    list_remove(&waiter->link);
    spin_unlock(&queue->lock);
}
