/*
 * fifo: the highest priority runs until it waits, ends or yields (POSIX SCHED_FIFO; with one
 * priority for all, the book's first come, first served, OSTEP 7.3).
 *
 *     level 0   priority 99   [ a ]            a bit for each list says whether it has anybody: the
 *     level 1   priority 98   [ ]              topmost is found without a search
 *     ...
 *     level 99  priority 0    [ b ] [ c ]
 *
 * A thread that had to give way to a higher priority goes to the head of its list and everybody
 * else to the tail (sched(7), "SCHED_FIFO"), so among equals the order is that of arrival.
 *
 * Promises nothing to the lower priorities, which may starve; on a real machine run_queue.c bounds
 * that from outside. No slices.
 *
 * Invariant: a thread's priority does not change while it is in the queue.
 */
#include <pith/policy.h>

/* The list of the thread's priority: the largest is the top. */
static u32 level_of(const struct policy_thread *thread)
{
    return POLICY_PRIORITIES - 1 - thread->priority;
}

static void fifo_init(struct policy_queue *queue)
{
    level_lists_init(&queue->levels);
    queue->count = 0;
}

static void fifo_push(struct policy_queue *queue, struct policy_thread *thread,
                      enum policy_push why, u64 now_ns)
{
    if (why == POLICY_PUSH_PREEMPTED)
        level_lists_push_front(&queue->levels, level_of(thread), &thread->link);
    else
        level_lists_push_back(&queue->levels, level_of(thread), &thread->link);
    queue->count++;
}

static void fifo_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    level_lists_remove(&queue->levels, level_of(thread), &thread->link);
    queue->count--;
}

static struct policy_thread *fifo_pick(struct policy_queue *queue, u64 now_ns)
{
    struct list *link = level_lists_pop(&queue->levels);

    if (!link)
        return NULL;
    queue->count--;
    return list_entry(link, struct policy_thread, link);
}

static void fifo_charge(struct policy_queue *queue, struct policy_thread *running, u64 ran_ns,
                        u64 now_ns)
{
}

static bool fifo_should_preempt(struct policy_queue *queue, const struct policy_thread *running,
                                u64 now_ns)
{
    return level_lists_top(&queue->levels) < level_of(running);
}

static u64 fifo_slice_ns(const struct policy_queue *queue, const struct policy_thread *running,
                         u64 now_ns)
{
    return 0;
}

const struct policy policy_fifo = {
    .name = "fifo",
    .init = fifo_init,
    .push = fifo_push,
    .remove = fifo_remove,
    .pick = fifo_pick,
    .charge = fifo_charge,
    .block = policy_block_nothing,
    .should_preempt = fifo_should_preempt,
    .slice_ns = fifo_slice_ns,
};
