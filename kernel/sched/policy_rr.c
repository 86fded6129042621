/*
 * rr: fifo in which equals take turns (POSIX SCHED_RR).
 *
 * A thread whose quantum is over goes to the tail of its priority's list with a new one. One that
 * a higher priority interrupts keeps the rest of its quantum and its place at the head. All else is
 * fifo's, whose queue this is, so that threads of both classes may lie in one queue.
 *
 * Invariant: a thread in the queue has some of its quantum left.
 */
#include <pith/policy.h>

#define QUANTUM_NS 100000000ull /* as sched_rr_get_interval(2) says on Linux */

static void rr_init(struct policy_queue *queue)
{
    if (!queue->parameters.quantum_ns)
        queue->parameters.quantum_ns = QUANTUM_NS;
    policy_fifo.init(queue);
}

static void rr_push(struct policy_queue *queue, struct policy_thread *thread, enum policy_push why,
                    u64 now_ns)
{
    if (why == POLICY_PUSH_PREEMPTED && thread->slice_left_ns == 0)
        why = POLICY_PUSH_YIELDED;
    if (why == POLICY_PUSH_YIELDED || thread->slice_left_ns == 0)
        thread->slice_left_ns = queue->parameters.quantum_ns;
    policy_fifo.push(queue, thread, why, now_ns);
}

static void rr_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    policy_fifo.remove(queue, thread, now_ns);
}

static struct policy_thread *rr_pick(struct policy_queue *queue, u64 now_ns)
{
    return policy_fifo.pick(queue, now_ns);
}

/* An equal one only when the quantum is over; a higher one at once. */
static bool rr_should_preempt(struct policy_queue *queue, const struct policy_thread *running,
                              u64 now_ns)
{
    u32 own_level = POLICY_PRIORITIES - 1 - running->priority;

    if (running->slice_left_ns == 0 && level_lists_top(&queue->levels) == own_level)
        return true;
    return policy_fifo.should_preempt(queue, running, now_ns);
}

const struct policy policy_rr = {
    .name = "rr",
    .init = rr_init,
    .push = rr_push,
    .remove = rr_remove,
    .pick = rr_pick,
    .charge = policy_turn_charge,
    .block = policy_block_nothing,
    .should_preempt = rr_should_preempt,
    .slice_ns = policy_turn_left_ns,
};
