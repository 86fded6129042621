/*
 * mlfq: the multi-level feedback queue (OSTEP 8), which learns from the past which threads wait for
 * people and which compute.
 *
 *     rule 1   a higher level runs before a lower one
 *     rule 2   equals take turns, a quantum each; the quantum doubles with each level down
 *     rule 3   a new thread starts at the top
 *     rule 4   who has used up his quantum, in one go or in many, moves down a level
 *     rule 5   after each boost interval everybody returns to the top
 *
 * The time that a thread used at its level survives waits, which is rule 4: giving up the CPU just
 * before the quantum ends gains nothing. (POLICY_MLFQ_ACCOUNT_LOST is the rule as the book first
 * had it, for the experiment that games it.)
 *
 * Boosts are numbered by the clock. The queue's lists are joined when a call first sees a new
 * number; each thread remembers the last one that it has had and catches up when it is next looked
 * at, so a boost costs as much as there are levels, not threads, and also reaches those who sleep
 * or come from another CPU.
 *
 * Invariant: a thread in the queue is in the list that level_of says.
 */
#include <pith/policy.h>

#define QUANTUM_NS        10000000ull
#define BOOST_INTERVAL_NS 1000000000ull
#define LEVELS            3

/* The thread's list: one that has missed a boost is at the top. */
static u32 level_of(const struct policy_queue *queue, const struct policy_thread *thread)
{
    return thread->boost == queue->boost ? thread->level : 0;
}

/* Doubled a level; a shift that would overflow means no limit. */
static u64 quantum_of(const struct policy_queue *queue, u32 level)
{
    u64 quantum = queue->parameters.quantum_ns;

    return level < (u32)__builtin_clzl(quantum) ? quantum << level : U64_MAX;
}

static void thread_boost(const struct policy_queue *queue, struct policy_thread *thread)
{
    if (thread->boost == queue->boost)
        return;
    thread->boost = queue->boost;
    thread->level = 0;
    thread->level_used_ns = 0;
    thread->slice_left_ns = 0;
}

/* Rule 5, for the queue. */
static void queue_boost(struct policy_queue *queue, u64 now_ns)
{
    u64 boost = now_ns / queue->parameters.boost_interval_ns;

    if (boost <= queue->boost)
        return;
    queue->boost = boost;
    for (u32 level = 1; level < queue->parameters.levels; level++)
        level_lists_append(&queue->levels, 0, level);
}

static void mlfq_init(struct policy_queue *queue)
{
    struct policy_parameters *parameters = &queue->parameters;

    if (!parameters->quantum_ns)
        parameters->quantum_ns = QUANTUM_NS;
    if (!parameters->boost_interval_ns)
        parameters->boost_interval_ns = BOOST_INTERVAL_NS;
    if (!parameters->levels)
        parameters->levels = LEVELS;
    level_lists_init(&queue->levels);
    queue->count = 0;
    queue->boost = 0;
}

/*
 * Preempted within its quantum it goes to the head and keeps the rest: it did not use up its turn.
 */
static void mlfq_push(struct policy_queue *queue, struct policy_thread *thread,
                      enum policy_push why, u64 now_ns)
{
    bool keeps_turn = why == POLICY_PUSH_PREEMPTED && thread->slice_left_ns > 0;

    queue_boost(queue, now_ns);
    thread_boost(queue, thread);
    if (keeps_turn)
        level_lists_push_front(&queue->levels, thread->level, &thread->link);
    else
        level_lists_push_back(&queue->levels, thread->level, &thread->link);
    queue->count++;
}

static void mlfq_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    level_lists_remove(&queue->levels, level_of(queue, thread), &thread->link);
    queue->count--;
}

static struct policy_thread *mlfq_pick(struct policy_queue *queue, u64 now_ns)
{
    struct policy_thread *thread;
    struct list *link;

    queue_boost(queue, now_ns);
    link = level_lists_pop(&queue->levels);
    if (!link)
        return NULL;
    queue->count--;
    thread = list_entry(link, struct policy_thread, link);
    thread_boost(queue, thread);
    thread->slice_left_ns = quantum_of(queue, thread->level) - thread->level_used_ns;
    return thread;
}

/* Rule 4: the time fills the quanta of one level after the other; at the bottom in turns. */
static void mlfq_charge(struct policy_queue *queue, struct policy_thread *running, u64 ran_ns,
                        u64 now_ns)
{
    u32 bottom = queue->parameters.levels - 1;
    u64 used = running->level_used_ns + ran_ns;

    policy_charge_slice(running, ran_ns);
    while (running->level < bottom && used >= quantum_of(queue, running->level))
        used -= quantum_of(queue, running->level++);
    running->level_used_ns = used % quantum_of(queue, running->level);
    queue_boost(queue, now_ns);
    thread_boost(queue, running);
}

/*
 * Under the book's first rule a thread that waits gets a new quantum: the experiment that games it.
 */
static void mlfq_block(struct policy_queue *queue, struct policy_thread *running, u64 now_ns)
{
    if (queue->parameters.mlfq_account == POLICY_MLFQ_ACCOUNT_LOST)
        running->level_used_ns = 0;
}

static bool mlfq_should_preempt(struct policy_queue *queue, const struct policy_thread *running,
                                u64 now_ns)
{
    u32 top, level;

    queue_boost(queue, now_ns);
    top = level_lists_top(&queue->levels);
    level = level_of(queue, running);
    return top < level || (top == level && running->slice_left_ns == 0);
}

/* Whoever waits is asked about again when the running one's level changes, or everybody's. */
static u64 mlfq_slice_ns(const struct policy_queue *queue, const struct policy_thread *running,
                         u64 now_ns)
{
    u64 interval = queue->parameters.boost_interval_ns;
    u64 until_boost = interval - now_ns % interval;
    u64 until_down = quantum_of(queue, running->level) - running->level_used_ns;

    return MIN(until_down, until_boost);
}

const struct policy policy_mlfq = {
    .name = "mlfq",
    .init = mlfq_init,
    .push = mlfq_push,
    .remove = mlfq_remove,
    .pick = mlfq_pick,
    .charge = mlfq_charge,
    .block = mlfq_block,
    .should_preempt = mlfq_should_preempt,
    .slice_ns = mlfq_slice_ns,
};
