/*
 * Between the files of the name cache: how a dentry dies. dentry.c has the picture; the order is
 * begin_death and unlink_dead under one hold of dentry_lock, then finish_death without it.
 */
#pragma once

#include "dentry.h"

/* The table of all dentries: there is one. */
struct name_cache {
    struct dentry **buckets; /* [const] the array; [rcu] what is in it */
    u32 shift;               /* [const] 64 - log2(number of buckets) */
    u32 mask;                /* [const] */
    u32 hand;                /* guarded by dentry_lock: the bucket that is looked at next */
    struct slab_cache *slab; /* [const] */
};
extern struct name_cache names;

/*
 * A dentry with one reference, not hashed, negative; takes a reference on the parent (NULL: it is
 * its own). NULL: no memory.
 */
struct dentry *dentry_alloc(struct dentry *parent, const struct name *name,
                            struct file_system *file_system) must_check;
/* Enters the chain of its parent and name. */
void dentry_hash_locked(struct dentry *dentry) must_hold(&dentry_lock);
/* Leaves the chain, if it is in one. */
void dentry_unhash_locked(struct dentry *dentry) must_hold(&dentry_lock);
/* How a dentry dies: its count goes from 0 to DENTRY_DEAD; false: it is used. */
bool dentry_begin_death_locked(struct dentry *dentry) must_hold(&dentry_lock);
/* Out of chain and tree. Returns the parent, whose reference is to be put, or NULL. */
struct dentry *dentry_unlink_dead_locked(struct dentry *dentry) must_hold(&dentry_lock);
/* Without the lock: gives up its inode and its memory. */
void dentry_finish_death(struct dentry *dentry);

void dentry_reclaim_init(void);
