/*
 * Watches of inodes (notify.c, where the theory stands), for the two who have some: inotify.c, and
 * dnotify.c, whose instances are in no list and not counted, have one watch each and go with it.
 */
#pragma once

#include <pith/event_files.h>

#include "notify.h"

/* An instance: a file that tells events, or (dnotify.c) one watch that tells by signals. */
struct inotify {
    struct wait_queue queue; /* its lock also guards events and event_count */
    struct list events;
    u32 event_count;
    struct tree watches; /* by number; guarded by notify_lock, as all below */
    u32 watch_count;
    s32 last_number;
    u32 uid;          /* [const] who pays */
    struct list link; /* of all instances */
    /* dnotify.c: nobody reads events, a signal to who owns this file tells of them. [const] */
    struct file *told;
    const struct file_table *teller; /* [const] whose descriptor it was; to compare */
};

/*
 * That an instance wants to hear of an inode. guarded by notify_lock, where it does not say const
 */
struct inotify_watch {
    struct tree_node node;      /* in inotify.watches */
    struct inotify *inotify;    /* [const] */
    struct inode *inode;        /* [const] a reference */
    struct inotify_watch *next; /* of the same inode; once it is taken out: of those to be freed */
    s32 number;                 /* [const] what inotify_add_watch(2) returned */
    u32 mask;                   /* IN_* that it wants, and how */
};

extern struct spinlock notify_lock;                            /* LOCK_NOTIFY */
extern struct list inotify_instances guarded_by(&notify_lock); /* inotify.link */

/*
 * Puts a watch of `inode` with that mask into its instance; takes a reference on the inode.
 */
void watch_insert_locked(struct inotify *inotify, struct inode *inode, u32 mask,
                         struct inotify_watch *fresh) must_hold(&notify_lock);
/* Takes it out, tells that it is gone, and puts it on `gone`. */
void watch_remove_locked(struct inotify_watch *watch, struct inotify_watch **gone)
    must_hold(&notify_lock);
/* What was taken out; without the lock. Sleeps. */
void watches_free(struct inotify_watch *gone);

/*
 * inotify.c: an event of one watch waits to be read; dnotify's is a signal at once. `name`: which
 * name in the watched directory, or NULL. Of one that finds no room or memory an overflow tells.
 */
void inotify_event_push(struct inotify *inotify, s32 watch, u32 mask, u32 cookie,
                        const struct name *name) must_hold(&notify_lock);
