/*
 * stcf: the shortest time to completion, here to the end of the burst, first (OSTEP 7.5).
 *
 * sjf that looks again at each arrival: who has less left than the running one takes its place. The
 * tree is ordered by rank, which is what is left of the burst and does not change while a thread
 * waits; equals keep the order of their arrival. No schedule of one CPU has a smaller average
 * turnaround.
 *
 * Long bursts starve while short ones keep coming. Where that must not be, the parameters that
 * policy_sjf.c explains bound it: aging, and a limit for bursts, at which equals change places.
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

static void stcf_init(struct policy_queue *queue)
{
    queue->tree = (struct tree)TREE_INIT;
    queue->count = 0;
}

static void stcf_push(struct policy_queue *queue, struct policy_thread *thread,
                      enum policy_push why, u64 now_ns)
{
    policy_burst_push(queue, thread, thread->remaining_burst_ns, why, now_ns);
    tree_insert(&queue->tree, &thread->node, rank_before);
    queue->count++;
}

static void stcf_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    tree_remove(&queue->tree, &thread->node);
    queue->count--;
}

static struct policy_thread *stcf_pick(struct policy_queue *queue, u64 now_ns)
{
    struct tree_node *first = tree_first(&queue->tree);

    if (!first)
        return NULL;
    stcf_remove(queue, thread_of(first), now_ns);
    return thread_of(first);
}

static void stcf_charge(struct policy_queue *queue, struct policy_thread *running, u64 ran_ns,
                        u64 now_ns)
{
    policy_charge_slice(running, ran_ns);
}

static void stcf_block(struct policy_queue *queue, struct policy_thread *running, u64 now_ns)
{
}

static bool stcf_should_preempt(struct policy_queue *queue, const struct policy_thread *running,
                                u64 now_ns)
{
    struct tree_node *first = tree_first(&queue->tree);

    if (!first)
        return false;
    return policy_burst_is_over(queue, running) ||
           thread_of(first)->rank_ns <
               policy_burst_rank(queue, running, running->remaining_burst_ns);
}

static u64 stcf_slice_ns(const struct policy_queue *queue, const struct policy_thread *running,
                         u64 now_ns)
{
    return running->slice_left_ns;
}

const struct policy policy_stcf = {
    .name = "stcf",
    .init = stcf_init,
    .push = stcf_push,
    .remove = stcf_remove,
    .pick = stcf_pick,
    .charge = stcf_charge,
    .block = stcf_block,
    .should_preempt = stcf_should_preempt,
    .slice_ns = stcf_slice_ns,
};
