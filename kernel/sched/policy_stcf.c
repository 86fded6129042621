/*
 * stcf: the shortest time to completion, here to the end of the burst, first (OSTEP 7.5).
 *
 * sjf that looks again at each arrival: who has less left than the running one takes its place. The
 * rank (policy_burst.c) is what is left of the burst, which does not change while a thread waits.
 * No schedule of one CPU has a smaller average turnaround.
 *
 * Long bursts starve while short ones keep coming, unless the parameters bound it: then a burst at
 * its limit gives way to an equal one.
 */
#include <pith/policy.h>

static void stcf_push(struct policy_queue *queue, struct policy_thread *thread,
                      enum policy_push why, u64 now_ns)
{
    policy_burst_push(queue, thread, thread->remaining_burst_ns, why, now_ns);
}

static bool stcf_should_preempt(struct policy_queue *queue, const struct policy_thread *running,
                                u64 now_ns)
{
    const struct policy_thread *first = policy_burst_first(queue);

    if (!first)
        return false;
    return policy_burst_is_over(queue, running) ||
           first->rank_ns < policy_burst_rank(queue, running, running->remaining_burst_ns);
}

const struct policy policy_stcf = {
    .name = "stcf",
    .init = policy_burst_init,
    .push = stcf_push,
    .remove = policy_burst_remove,
    .pick = policy_burst_pick,
    .charge = policy_turn_charge,
    .block = policy_block_nothing,
    .should_preempt = stcf_should_preempt,
    .slice_ns = policy_turn_left_ns,
};
