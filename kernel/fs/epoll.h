/*
 * Between the files of epoll: sets and items (epoll.c, where the theory stands), what a wait
 * reports (epoll_wait.c), and how sets may watch each other (epoll_levels.c).
 */
#pragma once

#include <pith/epoll.h>

#define EPOLL_QUEUES_PER_ITEM 2 /* a pipe for both directions, at the most */
/* Of an item's events: what says how it is told of, and not of what. */
#define EPOLL_PRIVATE_BITS (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET)

/* Who watches whom: LOCK_EPOLL. */
extern struct mutex epoll_tree_lock;

/* A set: what an epoll descriptor's file has in private_data. */
struct epoll {
    struct tree items;             /* guarded_by(&epoll_tree_lock) by number and file */
    struct wait_queue ready_queue; /* LOCK_WAIT_QUEUE_NESTED: threads in epoll_wait; its lock
                                      guards `ready` and items' ready links */
    struct list ready;             /* items that may have something to tell, oldest first */
    struct wait_queue poll_queue;  /* LOCK_EPOLL_WATCHERS: who watches this set's own file */
    struct file *file;             /* [const] not counted: the file owns the set */
    u64 round;                     /* guarded_by(&epoll_tree_lock) of taking items off `ready` */
    /* What the last walk over the sets found here (epoll_levels.c). guarded_by(&epoll_tree_lock) */
    u64 levels_walk, ways_walk; /* which walk that was */
    u32 levels, ways;
};

struct epoll_item;

/* An item's waiter on one of its file's queues. guarded_by(&epoll_tree_lock) */
struct epoll_entry {
    struct waiter waiter;
    struct wait_queue *queue; /* the file's, which keeps it until the item has left */
    struct epoll_item *item;
};

/* That a set watches a file, under one of its numbers. */
struct epoll_item {
    struct tree_node node;    /* in epoll->items; guarded_by(&epoll_tree_lock) */
    struct list file_link;    /* on file->epoll_items; guarded_by(&epoll_tree_lock) */
    struct list ready_link;   /* guarded by epoll->ready_queue.lock */
    struct epoll *epoll;      /* [const] */
    struct file *file;        /* [const] not counted: it leaves us before it ends */
    int fd;                   /* [const] */
    struct epoll_event event; /* guarded_by(&epoll_tree_lock), `events` also read by wakers */
    u64 round;                /* guarded_by(&epoll_tree_lock) the last one that took it */
    struct epoll_entry entries[EPOLL_QUEUES_PER_ITEM]; /* the first `entry_count` are in use */
    u32 entry_count;                                   /* guarded_by(&epoll_tree_lock) */
};

/* The set behind a file; NULL: the file is none. */
struct epoll *epoll_of(const struct file *file);
/* What the file says now of what the item wants: nothing, for a one-shot item that has fired. */
u32 epoll_item_ask(const struct epoll_item *item) must_hold(&epoll_tree_lock);
/* Takes the item off the ready list, if it is there. */
void epoll_item_unready(struct epoll_item *item) must_hold(&epoll_tree_lock);

/* epoll_wait.c: whether the set would report something. */
bool epoll_is_ready_locked(struct epoll *epoll) must_hold(&epoll_tree_lock);

/*
 * epoll_levels.c: whether the set may come to watch the file, and whether it may go on now that it
 * does. Files that are no sets themselves may, but for how far their events would go.
 */
bool epoll_levels_allow(struct epoll *epoll, const struct file *file) must_hold(&epoll_tree_lock);
bool epoll_ways_allow(const struct epoll *epoll, const struct file *file)
    must_hold(&epoll_tree_lock);
