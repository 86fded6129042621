/*
 * round_robin: everybody in turn, for a quantum each (OSTEP 7.7).
 *
 * One list. Who is woken, who has used up his quantum and who yields goes to the tail, so nobody
 * waits longer than a quantum for each thread before him.
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

static void round_robin_charge(struct policy_queue *queue, struct policy_thread *running,
                               u64 ran_ns, u64 now_ns)
{
    policy_charge_slice(running, ran_ns);
}

static void round_robin_block(struct policy_queue *queue, struct policy_thread *running, u64 now_ns)
{
}

static bool round_robin_should_preempt(struct policy_queue *queue,
                                       const struct policy_thread *running, u64 now_ns)
{
    return queue->count > 0 && running->slice_left_ns == 0;
}

static u64 round_robin_slice_ns(const struct policy_queue *queue,
                                const struct policy_thread *running, u64 now_ns)
{
    return running->slice_left_ns;
}

const struct policy policy_round_robin = {
    .name = "round_robin",
    .init = round_robin_init,
    .push = round_robin_push,
    .remove = round_robin_remove,
    .pick = round_robin_pick,
    .charge = round_robin_charge,
    .block = round_robin_block,
    .should_preempt = round_robin_should_preempt,
    .slice_ns = round_robin_slice_ns,
};
