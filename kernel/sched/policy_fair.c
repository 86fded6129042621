/*
 * fair: each thread gets the share of the CPU that its weight is of all weights (EEVDF, "Earliest
 * Eligible Virtual Deadline First", Stoica and Abdel-Wahab, 1995).
 *
 * A thread's virtual time is the CPU time that it used divided by its weight. On a perfect machine,
 * which runs all at once, all virtual times would be one: the weighted average V, which advances by
 * dt / (sum of weights) whoever runs. A thread's lag, V less its own virtual time, is what the
 * machine owes it. A thread asks for one quantum after another. A request is
 *
 *     eligible    once lag >= 0: nobody is served ahead of his share;
 *     due         at the virtual deadline: when the perfect machine would have served it.
 *
 * pick takes the earliest deadline among the eligible, and the chosen one runs until its request is
 * served or it blocks: a wake-up preempts nobody of about the same weight who is still within his
 * request. From this follows the bound that the paper proves: while nobody joins or leaves but with
 * a lag of 0, no thread is ever owed, or ahead, more than one quantum.
 *
 * A light thread's request is long in virtual time: at nice 19 it is due 200 ms later, in the idle
 * class a second. Whoever comes and would be served twice before that takes its place at once.
 *
 * A thread that leaves takes its lag along, one quantum at most, and comes back with it: sleeping
 * saves up no credit, and is no way to be rid of a debt, which shrinks only as V would have gone by
 * had it stayed. Joining and leaving with a lag moves V for the others, whose lags then go beyond a
 * quantum by their share of it; place() asks for more than the lag to keep, so that the lag is
 * right after V has moved.
 *
 * The tree is ordered by deadline; each node knows the least virtual time below and with it, so the
 * earliest eligible one is found on one way down.
 *
 * Invariants: virtual_now_ns is V, rounded down, of the threads in the queue and the running one;
 *             0 <= virtual_sum + the running one's part < the sum of all weights.
 *             Virtual times may wrap: they are compared by their difference.
 */
#include <pith/policy.h>

#define REQUEST_NS 3000000ull /* short enough for typing, long enough to keep caches warm */

/* A thread of twice the weight ages half as fast. */
static u64 to_virtual(u64 ns, u32 weight)
{
    return ns * POLICY_WEIGHT_DEFAULT / weight;
}

static bool is_before(u64 a, u64 b)
{
    return (s64)(a - b) < 0;
}

static struct policy_thread *thread_of(const struct tree_node *node)
{
    return tree_entry(node, struct policy_thread, node);
}

/* The least virtual time of a subtree that is not empty. */
static void least_summarize(struct tree_node *node)
{
    u64 least = thread_of(node)->virtual_ns;

    if (node->left && is_before(thread_of(node->left)->subtree, least))
        least = thread_of(node->left)->subtree;
    if (node->right && is_before(thread_of(node->right)->subtree, least))
        least = thread_of(node->right)->subtree;
    thread_of(node)->subtree = least;
}

/* Equals keep the order in which they came, since the tree puts a new one behind them. */
static bool deadline_before(const struct tree_node *a, const struct tree_node *b)
{
    return is_before(thread_of(a)->deadline_ns, thread_of(b)->deadline_ns);
}

/* How far the thread is from the average, times its weight. */
static s64 weighted_distance(const struct policy_queue *queue, const struct policy_thread *thread)
{
    return (s64)(thread->virtual_ns - queue->virtual_now_ns) * thread->weight;
}

/* Makes virtual_now_ns the average again, after somebody joined, left or ran. */
static void queue_settle(struct policy_queue *queue)
{
    s64 sum = queue->virtual_sum, weight = (s64)queue->total_weight, step;

    if (queue->running) {
        sum += weighted_distance(queue, queue->running);
        weight += queue->running->weight;
    }
    if (weight == 0)
        return;
    step = (sum < 0 ? sum - (weight - 1) : sum) / weight;
    queue->virtual_now_ns += (u64)step;
    queue->virtual_sum -= step * (s64)queue->total_weight;
}

static void queue_insert(struct policy_queue *queue, struct policy_thread *thread)
{
    tree_insert(&queue->tree, &thread->node, deadline_before);
    queue->virtual_sum += weighted_distance(queue, thread);
    queue->total_weight += thread->weight;
    queue->count++;
}

static void queue_take_out(struct policy_queue *queue, struct policy_thread *thread)
{
    tree_remove(&queue->tree, &thread->node);
    queue->virtual_sum -= weighted_distance(queue, thread);
    queue->total_weight -= thread->weight;
    queue->count--;
}

static u64 request_of(const struct policy_queue *queue, const struct policy_thread *thread)
{
    return to_virtual(queue->parameters.quantum_ns, thread->weight);
}

/*
 * The deadline is where the perfect machine would have served the request, counted from what the
 * thread has had.
 */
static void request_begin(const struct policy_queue *queue, struct policy_thread *thread)
{
    thread->slice_left_ns = queue->parameters.quantum_ns;
    thread->deadline_ns = thread->virtual_ns + request_of(queue, thread);
}

/* Gives a thread that joins a virtual time with which its lag will be what it was. */
static void place(const struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    s64 others = (s64)queue->total_weight + (queue->running ? queue->running->weight : 0);
    s64 lag = 0;

    if (others > 0) {
        u64 away_ns = now_ns - thread->left_ns;
        s64 gone_by = (s64)(away_ns * POLICY_WEIGHT_DEFAULT) / (others + thread->weight);
        s64 limit = (s64)request_of(queue, thread); /* of the weight that it has now */

        lag = thread->lag_ns < 0 ? MIN(thread->lag_ns + gone_by, 0) : thread->lag_ns;
        lag = MAX(-limit, MIN(lag, limit));
        lag += lag * thread->weight / others;
    }
    thread->virtual_ns = queue->virtual_now_ns - (u64)lag;
    request_begin(queue, thread);
}

/* Keeps the lag of one that leaves: within one request, which rounding must not widen. */
static void keep_lag(const struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    s64 lag = (s64)(queue->virtual_now_ns - thread->virtual_ns);
    s64 limit = (s64)request_of(queue, thread);

    thread->lag_ns = MAX(-limit, MIN(lag, limit));
    thread->left_ns = now_ns;
}

static void fair_init(struct policy_queue *queue)
{
    if (!queue->parameters.quantum_ns)
        queue->parameters.quantum_ns = REQUEST_NS;
    queue->tree = (struct tree){.summarize = least_summarize};
    queue->count = 0;
    queue->running = NULL;
    queue->total_weight = 0;
    queue->virtual_now_ns = 0;
    queue->virtual_sum = 0;
}

/*
 * Who yields comes after all that are eligible, and gives up what it is owed: with a share below
 * the average it would hold the others' back from being eligible, and be picked again itself.
 */
static void yield(const struct policy_queue *queue, struct policy_thread *thread)
{
    if (is_before(thread->virtual_ns, queue->virtual_now_ns))
        thread->virtual_ns = queue->virtual_now_ns;
    thread->deadline_ns = queue->virtual_now_ns + 2 * request_of(queue, thread);
}

/*
 * Coming back from running it keeps its place in virtual time; from elsewhere, place() gives it
 * one.
 */
static void fair_push(struct policy_queue *queue, struct policy_thread *thread,
                      enum policy_push why, u64 now_ns)
{
    if (thread == queue->running) {
        queue->running = NULL;
        if (thread->slice_left_ns == 0 || why == POLICY_PUSH_YIELDED)
            request_begin(queue, thread);
        if (why == POLICY_PUSH_YIELDED)
            yield(queue, thread);
    } else {
        place(queue, thread, now_ns);
    }
    queue_insert(queue, thread);
    queue_settle(queue);
}

static void fair_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    keep_lag(queue, thread, now_ns);
    queue_take_out(queue, thread);
    queue_settle(queue);
}

static bool subtree_is_eligible(const struct policy_queue *queue, const struct tree_node *node)
{
    return node && !is_before(queue->virtual_now_ns, thread_of(node)->subtree);
}

/* The earliest deadline among the eligible; NULL: there is none. */
static struct policy_thread *first_eligible(const struct policy_queue *queue)
{
    struct tree_node *node = queue->tree.root;

    if (!subtree_is_eligible(queue, node))
        return NULL;
    for (;;) {
        if (subtree_is_eligible(queue, node->left))
            node = node->left;
        else if (!is_before(queue->virtual_now_ns, thread_of(node)->virtual_ns))
            return thread_of(node);
        else
            node = node->right;
    }
}

/* Somebody is always eligible when nobody runs: the average is not below the least. */
static struct policy_thread *fair_pick(struct policy_queue *queue, u64 now_ns)
{
    queue->running = first_eligible(queue);
    if (queue->running)
        queue_take_out(queue, queue->running);
    return queue->running;
}

static void fair_charge(struct policy_queue *queue, struct policy_thread *running, u64 ran_ns,
                        u64 now_ns)
{
    policy_charge_slice(running, ran_ns);
    running->virtual_ns += to_virtual(ran_ns, running->weight);
    queue_settle(queue);
}

static void fair_block(struct policy_queue *queue, struct policy_thread *running, u64 now_ns)
{
    keep_lag(queue, running, now_ns);
    queue->running = NULL;
    queue_settle(queue);
}

/*
 * Nobody who is as light as the running one interrupts it within its request: two interactive
 * threads would only take turns more often.
 */
static bool fair_should_preempt(struct policy_queue *queue, const struct policy_thread *running,
                                u64 now_ns)
{
    const struct policy_thread *first;

    if (queue->count == 0 || running->slice_left_ns == 0)
        return queue->count > 0;
    if (running->weight >= queue->total_weight) /* nobody waits who is heavier */
        return false;
    first = first_eligible(queue);
    return first && !first->batch &&
           is_before(first->deadline_ns + request_of(queue, first), running->deadline_ns);
}

const struct policy policy_fair = {
    .name = "fair",
    .init = fair_init,
    .push = fair_push,
    .remove = fair_remove,
    .pick = fair_pick,
    .charge = fair_charge,
    .block = fair_block,
    .should_preempt = fair_should_preempt,
    .slice_ns = policy_turn_left_ns,
};
