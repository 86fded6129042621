/*
 * sjf: the shortest job, here the shortest burst on the CPU, first; it runs until it waits or ends
 * (OSTEP 7.4).
 *
 * A tree ordered by the expected burst; equals in the order of their arrival. When all arrive
 * together, no order has a smaller average turnaround: swapping a longer burst with a shorter one
 * behind it makes the shorter one end earlier by more than the longer one ends later.
 *
 * Long bursts starve while short ones keep coming.
 */
#include <pith/policy.h>

static struct policy_thread *thread_of(const struct tree_node *node)
{
    return tree_entry(node, struct policy_thread, node);
}

static bool burst_before(const struct tree_node *a, const struct tree_node *b)
{
    return thread_of(a)->expected_burst_ns < thread_of(b)->expected_burst_ns;
}

static void sjf_init(struct policy_queue *queue)
{
    queue->tree = (struct tree)TREE_INIT;
    queue->count = 0;
}

static void sjf_push(struct policy_queue *queue, struct policy_thread *thread, enum policy_push why,
                     u64 now_ns)
{
    tree_insert(&queue->tree, &thread->node, burst_before);
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
}

static void sjf_block(struct policy_queue *queue, struct policy_thread *running, u64 now_ns)
{
}

static bool sjf_should_preempt(struct policy_queue *queue, const struct policy_thread *running,
                               u64 now_ns)
{
    return false;
}

static u64 sjf_slice_ns(const struct policy_queue *queue, const struct policy_thread *running,
                        u64 now_ns)
{
    return 0;
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
