/* Between mount.c (the tree) and mount_calls.c (what changes it). */
#pragma once

#include "mount.h"

#define MOUNT_BUCKETS 64

/* The mount tree: there is one. */
struct mounts {
    struct mutex lock;                    /* LOCK_MOUNTS */
    struct mount *buckets[MOUNT_BUCKETS]; /* [rcu] */
    struct mount *first;                  /* guarded_by(&lock) the root of the tree */
    u32 ids;                              /* [atomic] */
};
extern struct mounts mounts;

/* mounts.lock is held for all three. Takes over one reference of `mount`, its own on the place. */
void mount_attach(struct mount *mount, const struct path *where);
/* Leaves the tree; the reference that the tree held and the place are the caller's then. */
void mount_detach(struct mount *mount, struct path *place_out);
/* The next mount of the tree below `top`, in the order parent before child; NULL: all were. */
struct mount *mount_next(struct mount *mount, const struct mount *top);
