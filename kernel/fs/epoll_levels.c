/*
 * Sets that watch sets: how deep they may lie, and how far an event may go.
 *
 *     file --event--> set --its own file became readable--> set --...--> who waits for the
 * outermost
 *
 * A waker goes up this graph on the kernel's stack, with the spinlocks of all queues on the way; a
 * poll goes down it as deep. Who links two sets therefore counts first:
 *
 *     levels   how many sets lie one below the other; a circle would be endless. It is found below
 *              the file that is to be watched: the set is there already.
 *     ways     by how many ways an event gets from a file to the ends of the graph, for the waker
 *              goes all of them. Sets that watch each other twice double it at each level.
 *
 * Levels are counted before the link is made, below the one and above the other; ways after it, and
 * the link is undone if they are too many.
 *
 * Each walk looks into a set once, however many ways lead there: the set keeps the walk's number
 * and what it found. So the cost is that of the graph's links, and the depth that of LEVELS_MOST.
 *
 * Invariant: sets lie in no circle, at most LEVELS_MOST of them one below the other.
 * Locking:   epoll_tree_lock, held by the callers. Context: does not sleep.
 */
#include "epoll.h"

#define LEVELS_MOST 6
#define WAYS_MOST   500 /* as Linux allows through two sets */

static u64 walks guarded_by(&epoll_tree_lock); /* the number of the newest */

/*
 * How many sets lie one below the other from `file` down (0: it is no set); more than LEVELS_MOST
 * if `outer` is among them. Each set is looked into once in a walk, however many watch it.
 */
static u32 levels_below(const struct file *file, const struct epoll *outer)
    must_hold(&epoll_tree_lock)
{
    struct epoll *epoll = epoll_of(file);
    struct epoll_item *item;
    u32 most = 0;

    if (!epoll)
        return 0;
    if (epoll == outer)
        return LEVELS_MOST + 1;
    if (epoll->levels_walk == walks)
        return epoll->levels;
    tree_for_each (item, &epoll->items, node) {
        u32 levels = levels_below(item->file, outer);

        most = MAX(most, levels);
    }
    epoll->levels_walk = walks;
    epoll->levels = most + 1;
    return epoll->levels;
}

/* The same, from the set up to those that watch it. */
static u32 levels_above(struct epoll *epoll) must_hold(&epoll_tree_lock)
{
    struct epoll_item *item;
    u32 most = 0;

    if (epoll->levels_walk == walks)
        return epoll->levels;
    list_for_each (item, &epoll->file->epoll_items, file_link) {
        u32 levels = levels_above(item->epoll);

        most = MAX(most, levels);
    }
    epoll->levels_walk = walks;
    epoll->levels = most + 1;
    return epoll->levels;
}

bool epoll_levels_allow(struct epoll *epoll, const struct file *file)
{
    u32 below;

    if (!epoll_of(file))
        return true;
    walks++;
    below = levels_below(file, epoll);
    walks++;
    return below + levels_above(epoll) <= LEVELS_MOST;
}

/* How many ways lead from the set up to one that nobody watches or on the way there, itself one. */
static u32 ways_above(struct epoll *epoll) must_hold(&epoll_tree_lock)
{
    struct epoll_item *item;
    u32 ways = 1;

    if (epoll->ways_walk == walks)
        return epoll->ways;
    list_for_each (item, &epoll->file->epoll_items, file_link)
        ways = MIN(ways + ways_above(item->epoll), WAYS_MOST + 2u);
    epoll->ways_walk = walks;
    epoll->ways = ways;
    return ways;
}

/*
 * Whether an event of the file, or of one below it, goes on from the sets that watch it by no more
 * than WAYS_MOST ways: the waker goes all of them, with interrupts off.
 */
static bool ways_go_on(const struct file *file) must_hold(&epoll_tree_lock)
{
    struct epoll *epoll = epoll_of(file);
    struct epoll_item *item;
    u32 ways = 0;

    if (epoll && epoll->levels_walk == walks)
        return true;
    list_for_each (item, &file->epoll_items, file_link) {
        ways += ways_above(item->epoll) - 1;
        if (ways > WAYS_MOST)
            return false;
    }
    if (!epoll)
        return true;
    epoll->levels_walk = walks;
    tree_for_each (item, &epoll->items, node)
        if (!ways_go_on(item->file))
            return false;
    return true;
}

/* After the link was made. One between a file that is no set and a set that nobody watches adds
 * none. */
bool epoll_ways_allow(const struct epoll *epoll, const struct file *file)
{
    if (!epoll_of(file) && list_is_empty(&epoll->file->epoll_items))
        return true;
    walks++;
    return ways_go_on(file);
}
