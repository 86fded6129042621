/*
 * The queue of sjf and stcf: threads by rank, which is the length of a burst on the CPU.
 *
 * A rank is given when a thread comes and does not change while it waits, so the tree stays in
 * order without being looked at; equals keep the order of their arrival. Two parameters keep long
 * bursts from starving on a machine that people use:
 *
 *     burst_limit_ns   a burst that has lasted so long is over, though the thread goes on
 *     aging            the rank is the burst plus came_ns / aging: who comes later ranks lower, so
 *                      after waiting `aging` times the length of its burst a thread is before
 *                      whatever comes then
 *
 * A burst keeps its came_ns until it is over, however often it is preempted; so a preemption costs
 * nobody his place.
 *
 * Invariant: slice_left_ns is what the burst has left up to the limit.
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

void policy_burst_init(struct policy_queue *queue)
{
    queue->tree = (struct tree)TREE_INIT;
    queue->count = 0;
}

/* In one scale: ns of burst, and of waiting divided by how much that counts. */
u64 policy_burst_rank(const struct policy_queue *queue, const struct policy_thread *thread,
                      u64 burst_ns)
{
    u64 aging = queue->parameters.aging;

    return burst_ns + (aging ? thread->came_ns / aging : 0);
}

bool policy_burst_is_over(const struct policy_queue *queue, const struct policy_thread *running)
{
    return queue->parameters.burst_limit_ns && running->slice_left_ns == 0;
}

const struct policy_thread *policy_burst_first(const struct policy_queue *queue)
{
    const struct tree_node *first = tree_first(&queue->tree);

    return first ? thread_of(first) : NULL;
}

void policy_burst_push(struct policy_queue *queue, struct policy_thread *thread, u64 burst_ns,
                       enum policy_push why, u64 now_ns)
{
    const struct policy_thread *first = policy_burst_first(queue);

    if (why == POLICY_PUSH_NEW || why == POLICY_PUSH_WOKEN || policy_burst_is_over(queue, thread)) {
        thread->came_ns = now_ns;
        thread->slice_left_ns = queue->parameters.burst_limit_ns;
    }
    thread->rank_ns = policy_burst_rank(queue, thread, burst_ns);
    /* Who yields comes behind the first at least. */
    if (why == POLICY_PUSH_YIELDED && first)
        thread->rank_ns = MAX(thread->rank_ns, first->rank_ns);
    tree_insert(&queue->tree, &thread->node, rank_before);
    queue->count++;
}

void policy_burst_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    tree_remove(&queue->tree, &thread->node);
    queue->count--;
}

struct policy_thread *policy_burst_pick(struct policy_queue *queue, u64 now_ns)
{
    struct tree_node *first = tree_first(&queue->tree);

    if (!first)
        return NULL;
    policy_burst_remove(queue, thread_of(first), now_ns);
    return thread_of(first);
}
