/*
 * Names that leave the cache: when memory is short, when a directory goes, when a file system goes.
 *
 * Each collects a few dentries that nobody uses under dentry_lock, where they die, and buries them
 * without it, since giving up their inodes sleeps.
 *
 * When memory is short, a hand goes round the buckets (the clock algorithm; OSTEP 22.8 has it for
 * pages): a name that was used since the hand last came loses its mark and stays for a round, one
 * without the mark goes. Only leaves have no references, so a directory's name goes in a later
 * round than those in it.
 *
 * Between death and burial the dead still hold references on their parents. That is why a tree that
 * is destroyed at the same moment may find a childless dentry with a reference: it goes as soon as
 * the reclaimer has run on, and the destroyer lets him.
 *
 * Locking: dentry_lock, for a batch at a time. Context: all sleep.
 */
#include "dentry_internal.h"

#define RECLAIM_BATCH 32

/* Finishes what a pass under dentry_lock began: `dead` are out of chain and tree. */
static void dentries_bury(struct dentry **dead, struct dentry **parents, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        dentry_finish_death(dead[i]);
        if (parents[i])
            dentry_put(parents[i]);
    }
}

static u32 reclaim_bucket_locked(struct dentry *dentry, struct dentry **dead,
                                 struct dentry **parents, u32 count) must_hold(&dentry_lock)
{
    struct dentry *next;

    for (; dentry && count < RECLAIM_BATCH; dentry = next) {
        next = dentry->hash_next;
        if (READ_ONCE(dentry->references) != 0)
            continue;
        if (READ_ONCE(dentry->used)) {
            WRITE_ONCE(dentry->used, 0);
            continue;
        }
        if (!dentry_begin_death_locked(dentry))
            continue;
        parents[count] = dentry_unlink_dead_locked(dentry);
        dead[count++] = dentry;
    }
    return count;
}

static u64 dentry_reclaim(u64 wanted)
{
    struct dentry *dead[RECLAIM_BATCH], *parents[RECLAIM_BATCH];
    u64 freed = 0;
    u32 dentries_per_frame = PAGE_SIZE / sizeof(struct dentry);

    /* Twice around: the first pass may only clear marks. */
    for (u64 looked = 0; looked < 2ul * (names.mask + 1) && freed < wanted * dentries_per_frame;) {
        u32 count = 0;

        spin_lock(&dentry_lock);
        for (u32 i = 0; i < RECLAIM_BATCH && count < RECLAIM_BATCH; i++, looked++) {
            count = reclaim_bucket_locked(names.buckets[names.hand], dead, parents, count);
            names.hand = (names.hand + 1) & names.mask;
        }
        spin_unlock(&dentry_lock);
        dentries_bury(dead, parents, count);
        freed += count;
        sched_point();
    }
    return freed / dentries_per_frame;
}

void dentry_prune_children(struct dentry *parent)
{
    struct dentry *dead[RECLAIM_BATCH], *parents[RECLAIM_BATCH];
    struct dentry *child, *following;
    u32 count;

    do {
        count = 0;
        spin_lock(&dentry_lock);
        list_for_each_safe (child, following, &parent->children, sibling) {
            if (count == RECLAIM_BATCH)
                break;
            if (!dentry_begin_death_locked(child))
                continue;
            parents[count] = dentry_unlink_dead_locked(child);
            dead[count++] = child;
        }
        spin_unlock(&dentry_lock);
        dentries_bury(dead, parents, count);
    } while (count == RECLAIM_BATCH);
}

/*
 * Goes down to a leaf, drops it, and so on until only the root is left. A leaf that reclaim still
 * has a reference to stays until the next look.
 */
void dentry_tree_destroy(struct dentry *root)
{
    for (;;) {
        struct dentry *leaf = root;
        struct dentry *child;

        spin_lock(&dentry_lock);
        while ((child = list_first_entry(&leaf->children, struct dentry, sibling)))
            leaf = child;
        if (leaf == root) {
            spin_unlock(&dentry_lock);
            break;
        }
        dentry_unhash_locked(leaf);
        dentry_get(leaf);
        spin_unlock(&dentry_lock);
        dentry_put(leaf);
        sched_point();
    }
    dentry_put(root);
}

static struct reclaimer dentry_reclaimer = {.name = "names", .reclaim = dentry_reclaim};

void dentry_reclaim_init(void)
{
    reclaimer_register(&dentry_reclaimer);
}
