/*
 * lottery: a ticket is drawn for each quantum, and its owner runs (Waldspurger and Weihl, 1994;
 * OSTEP 9.1).
 *
 * A thread's weight is the number of its tickets. The threads lie in a tree in the order in which
 * they came, and each node knows the tickets of all below and with it, so the winner is found on
 * one way down. Over n draws a thread with the share p wins n * p times, give or take
 * sqrt(n * p * (1 - p)).
 *
 * Promises: nobody starves who has a ticket, though there is no bound on how long he may wait. Who
 * blocks before his quantum ends gets less than his share; there are no compensation tickets.
 */
#include <pith/policy.h>

#define QUANTUM_NS 10000000ull
#define GAMMA      0x9e3779b97f4a7c15ull

static struct policy_thread *thread_of(const struct tree_node *node)
{
    return tree_entry(node, struct policy_thread, node);
}

static u64 tickets_of(const struct tree_node *node)
{
    return node ? thread_of(node)->subtree : 0;
}

static void tickets_summarize(struct tree_node *node)
{
    thread_of(node)->subtree =
        thread_of(node)->weight + tickets_of(node->left) + tickets_of(node->right);
}

/* Nobody is before anybody: the tree keeps the order of insertion. */
static bool came_before(const struct tree_node *a, const struct tree_node *b)
{
    return false;
}

/* splitmix64 (Steele, Lea and Flood, 2014). */
static u64 random_next(struct policy_queue *queue)
{
    u64 z = queue->random_state += GAMMA;

    z = (z ^ (z >> 30)) * 0xbf58476d1ce4e5b9ull;
    z = (z ^ (z >> 27)) * 0x94d049bb133111ebull;
    return z ^ (z >> 31);
}

/* A number below `limit`, each as likely: what the last, incomplete round yields is thrown away. */
static u64 random_below(struct policy_queue *queue, u64 limit)
{
    u64 incomplete = -limit % limit, random;

    do {
        random = random_next(queue);
    } while (random < incomplete);
    return random % limit;
}

static void lottery_init(struct policy_queue *queue)
{
    if (!queue->parameters.quantum_ns)
        queue->parameters.quantum_ns = QUANTUM_NS;
    queue->tree = (struct tree){.summarize = tickets_summarize};
    queue->count = 0;
    queue->random_state = queue->parameters.seed;
}

static void lottery_push(struct policy_queue *queue, struct policy_thread *thread,
                         enum policy_push why, u64 now_ns)
{
    tree_insert(&queue->tree, &thread->node, came_before);
    queue->count++;
}

static void lottery_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns)
{
    tree_remove(&queue->tree, &thread->node);
    queue->count--;
}

/* The winning ticket is looked for as in a list of all tickets in the order of the tree. */
static struct policy_thread *lottery_pick(struct policy_queue *queue, u64 now_ns)
{
    struct tree_node *node = queue->tree.root;
    u64 ticket;

    if (!node)
        return NULL;
    ticket = random_below(queue, tickets_of(node));
    for (;;) {
        u64 left = tickets_of(node->left), own = thread_of(node)->weight;

        if (ticket < left) {
            node = node->left;
        } else if (ticket < left + own) {
            break;
        } else {
            ticket -= left + own;
            node = node->right;
        }
    }
    lottery_remove(queue, thread_of(node), now_ns);
    thread_of(node)->slice_left_ns = queue->parameters.quantum_ns;
    return thread_of(node);
}

const struct policy policy_lottery = {
    .name = "lottery",
    .init = lottery_init,
    .push = lottery_push,
    .remove = lottery_remove,
    .pick = lottery_pick,
    .charge = policy_turn_charge,
    .block = policy_block_nothing,
    .should_preempt = policy_turn_is_over,
    .slice_ns = policy_turn_left_ns,
};
