/*
 * sjf: the shortest job, here the shortest burst on the CPU, first; it runs until it waits or ends
 * (OSTEP 7.4).
 *
 * A tree ordered by rank, which is the expected burst; equals in the order of their arrival. When
 * all arrive together, no order has a smaller average turnaround: swapping a longer burst with a
 * shorter one behind it makes the shorter one end earlier by more than the longer one ends later.
 *
 * Long bursts starve while short ones keep coming, and all starve behind a burst without end. The
 * simulator shows both. A machine that people use sets two parameters against them:
 *
 *     burst_limit_ns   who has run so long gives way, though its burst goes on
 *     aging            the rank is the burst plus a part of the time of arrival, so who waits for
 *                      `aging` times the length of its burst is before whatever comes then
 */
#include <pith/policy.h>

static struct policy_thread *thread_of(const struct tree_node *node)
{
    return tree_entry(node, struct policy_thread, node);
}

static bool rank_before(const struct tree_node *a, const struct tree_node *b)
{
    return thread_of(a)->rank_ns < thread_of(b)->rank_ns;
}

static void sjf_init(struct policy_queue *queue)
{
    queue->tree = (struct tree)TREE_INIT;
    queue->count = 0;
}

static void sjf_push(struct policy_queue *queue, struct policy_thread *thread, enum policy_push why,
                     u64 now_ns)
{
    policy_burst_push(queue, thread, thread->expected_burst_ns, why, now_ns);
    tree_insert(&queue->tree, &thread->node, rank_before);
    queue->count++;
}

static void sjf_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    tree_remove(&queue->tree, &thread->node);
    queue->count--;
}

static struct policy_thread *sjf_pick(struct policy_queue *queue, u64 now_ns)
{
    struct tree_node *first = tree_first(&queue->tree);

    if (!first)
        return NULL;
    sjf_remove(queue, thread_of(first), now_ns);
    return thread_of(first);
}

static void sjf_charge(struct policy_queue *queue, struct policy_thread *running, u64 ran_ns,
                       u64 now_ns)
{
    policy_charge_slice(running, ran_ns);
}

static void sjf_block(struct policy_queue *queue, struct policy_thread *running, u64 now_ns)
{
}

static bool sjf_should_preempt(struct policy_queue *queue, const struct policy_thread *running,
                               u64 now_ns)
{
    return queue->count > 0 && policy_burst_is_over(queue, running);
}

static u64 sjf_slice_ns(const struct policy_queue *queue, const struct policy_thread *running,
                        u64 now_ns)
{
    return running->slice_left_ns;
}

const struct policy policy_sjf = {
    .name = "sjf",
    .init = sjf_init,
    .push = sjf_push,
    .remove = sjf_remove,
    .pick = sjf_pick,
    .charge = sjf_charge,
    .block = sjf_block,
    .should_preempt = sjf_should_preempt,
    .slice_ns = sjf_slice_ns,
};
