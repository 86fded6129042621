/*
 * round_robin: everybody in turn, for a quantum each (OSTEP 7.7).
 *
 * One list. Who is woken, who has used up his quantum and who yields goes to the tail, so nobody
 * waits longer than a quantum for each thread before him: response is bounded, where sjf bounds
 * turnaround. A short quantum answers sooner and spends more of the CPU on switches (OSTEP 7.7,
 * "Amortization can reduce costs").
 *
 * Weights and priorities are ignored.
 */
#include <pith/policy.h>

#define QUANTUM_NS 10000000ull

static void round_robin_init(struct policy_queue *queue)
{
    if (!queue->parameters.quantum_ns)
        queue->parameters.quantum_ns = QUANTUM_NS;
    level_lists_init(&queue->levels);
    queue->count = 0;
}

static void round_robin_push(struct policy_queue *queue, struct policy_thread *thread,
                             enum policy_push why, u64 now_ns)
{
    level_lists_push_back(&queue->levels, 0, &thread->link);
    queue->count++;
}

static void round_robin_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    level_lists_remove(&queue->levels, 0, &thread->link);
    queue->count--;
}

static struct policy_thread *round_robin_pick(struct policy_queue *queue, u64 now_ns)
{
    struct list *link = level_lists_pop(&queue->levels);
    struct policy_thread *thread;

    if (!link)
        return NULL;
    thread = list_entry(link, struct policy_thread, link);
    thread->slice_left_ns = queue->parameters.quantum_ns;
    queue->count--;
    return thread;
}

const struct policy policy_round_robin = {
    .name = "round_robin",
    .init = round_robin_init,
    .push = round_robin_push,
    .remove = round_robin_remove,
    .pick = round_robin_pick,
    .charge = policy_turn_charge,
    .block = policy_block_nothing,
    .should_preempt = policy_turn_is_over,
    .slice_ns = policy_turn_left_ns,
};
