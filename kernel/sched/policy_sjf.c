/*
 * sjf: the shortest job, here the shortest burst on the CPU, first; it runs until it waits or ends
 * (OSTEP 7.4).
 *
 * The rank (policy_burst.c) is the expected burst. When all arrive together, no order has a smaller
 * average turnaround: swapping a longer burst with a shorter one behind it makes the shorter one
 * end earlier by more than the longer one ends later.
 *
 * Long bursts starve while short ones keep coming, and all starve behind a burst without end. The
 * simulator shows both; the kernel sets the two parameters that bound it.
 */
#include <pith/policy.h>

static void sjf_push(struct policy_queue *queue, struct policy_thread *thread, enum policy_push why,
                     u64 now_ns)
{
    policy_burst_push(queue, thread, thread->expected_burst_ns, why, now_ns);
}

static bool sjf_should_preempt(struct policy_queue *queue, const struct policy_thread *running,
                               u64 now_ns)
{
    return queue->count > 0 && policy_burst_is_over(queue, running);
}

const struct policy policy_sjf = {
    .name = "sjf",
    .init = policy_burst_init,
    .push = sjf_push,
    .remove = policy_burst_remove,
    .pick = policy_burst_pick,
    .charge = policy_turn_charge,
    .block = policy_block_nothing,
    .should_preempt = sjf_should_preempt,
    .slice_ns = policy_turn_left_ns,
};
