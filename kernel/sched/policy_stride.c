/*
 * stride: lottery without chance (Waldspurger and Weihl, 1995; OSTEP 9.6).
 *
 * Running moves a thread's pass (virtual_ns) on by the time divided by its tickets; the least pass
 * runs next, for a quantum. So of any two that are always ready neither is ever more than one
 * quantum away from what their tickets say of the time that the two had together.
 *
 * The queue's pass (virtual_now_ns) is the least of all, the running one's included. Who leaves
 * takes the distance to it along, and comes back as far ahead of it: sleeping saves up no credit,
 * and a short sleep is no way to be rid of a debt.
 *
 * Invariant: neither the running thread nor one in the queue has a pass before the queue's. Passes
 * may wrap: they are compared by their difference.
 */
#include <pith/policy.h>

#define QUANTUM_NS 10000000ull

static bool is_before(u64 a, u64 b)
{
    return (s64)(a - b) < 0;
}

static struct policy_thread *thread_of(const struct tree_node *node)
{
    return tree_entry(node, struct policy_thread, node);
}

static bool pass_before(const struct tree_node *a, const struct tree_node *b)
{
    return is_before(thread_of(a)->virtual_ns, thread_of(b)->virtual_ns);
}

static void stride_init(struct policy_queue *queue)
{
    if (!queue->parameters.quantum_ns)
        queue->parameters.quantum_ns = QUANTUM_NS;
    queue->tree = (struct tree)TREE_INIT;
    queue->count = 0;
    queue->virtual_now_ns = 0;
}

/* From elsewhere it joins as far ahead of the queue's pass as it was when it left. */
static void stride_push(struct policy_queue *queue, struct policy_thread *thread,
                        enum policy_push why, u64 now_ns)
{
    struct tree_node *first = tree_first(&queue->tree);

    if (why != POLICY_PUSH_PREEMPTED && why != POLICY_PUSH_YIELDED)
        thread->virtual_ns = queue->virtual_now_ns - (u64)thread->lag_ns;
    if (why == POLICY_PUSH_YIELDED && first && pass_before(&thread->node, first))
        thread->virtual_ns = thread_of(first)->virtual_ns;    /* and behind it */
    if (is_before(thread->virtual_ns, queue->virtual_now_ns)) /* it changed its class running */
        thread->virtual_ns = queue->virtual_now_ns;
    tree_insert(&queue->tree, &thread->node, pass_before);
    queue->count++;
}

static void stride_leave(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    thread->lag_ns = (s64)(queue->virtual_now_ns - thread->virtual_ns);
}

static void stride_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    tree_remove(&queue->tree, &thread->node);
    queue->count--;
    stride_leave(queue, thread, now_ns);
}

static struct policy_thread *stride_pick(struct policy_queue *queue, u64 now_ns)
{
    struct tree_node *first = tree_first(&queue->tree);

    if (!first)
        return NULL;
    tree_remove(&queue->tree, first);
    queue->count--;
    queue->virtual_now_ns = thread_of(first)->virtual_ns;
    thread_of(first)->slice_left_ns = queue->parameters.quantum_ns;
    return thread_of(first);
}

/*
 * The queue's pass follows the least one, which is the running thread's until it overtakes the
 * first.
 */
static void stride_charge(struct policy_queue *queue, struct policy_thread *running, u64 ran_ns,
                          u64 now_ns)
{
    struct tree_node *first = tree_first(&queue->tree);

    running->virtual_ns += ran_ns * POLICY_WEIGHT_DEFAULT / running->weight;
    queue->virtual_now_ns = running->virtual_ns;
    if (first && pass_before(first, &running->node))
        queue->virtual_now_ns = thread_of(first)->virtual_ns;
    policy_charge_slice(running, ran_ns);
}

const struct policy policy_stride = {
    .name = "stride",
    .init = stride_init,
    .push = stride_push,
    .remove = stride_remove,
    .pick = stride_pick,
    .charge = stride_charge,
    .block = stride_leave,
    .should_preempt = policy_turn_is_over,
    .slice_ns = policy_turn_left_ns,
};
