/*
 * The name cache's inside: dentries as fs/ itself sees them; file systems see those of inode.h.
 * Theory in dentry.c.
 *
 * Functions give a reference where they return a dentry, but for those that say RCU. A dentry that
 * one has a reference to may be renamed and unlinked meanwhile: its name and parent are stable only
 * under dentry_lock, or with its directory locked.
 */
#pragma once

#include <pith/fs.h>

/* One component of a path, with its hash. */
struct name {
    const char *text; /* not ended by NUL */
    u32 bytes;
    u32 hash;
};

#define DENTRY_HASHED      BIT(0)
#define DENTRY_ANONYMOUS   BIT(1) /* of a pipe, socket, ...: `kind` and not a name */
#define DENTRY_FLEETING    BIT(2) /* dies with its last user; set before it is hashed */
#define DENTRY_INLINE_NAME 40

struct dentry {
    /* What a walk reads. All [rcu]; changed under dentry_lock. */
    struct dentry *hash_next;
    struct dentry *parent; /* itself: a root; holds a reference */
    struct inode *inode;   /* from NULL to one inode, once; holds a reference */
    u32 hash;
    u16 name_bytes;
    u16 mounts; /* how many mounts lie on it; guarded by the mounts' mutex */
    const char *name;
    u64 valid_until_ns; /* [atomic] */
    char inline_name[DENTRY_INLINE_NAME];

    s32 references;                  /* [atomic] 0: only cached; DENTRY_DEAD: going */
    u8 flags;                        /* DENTRY_*; guarded by dentry_lock */
    u8 used;                         /* [atomic] since the reclaiming hand came by */
    struct file_system *file_system; /* [const] */
    struct list children, sibling;   /* guarded by dentry_lock */
    union {
        u64 asked_ns;        /* [atomic] when valid_until_ns was set; while somebody refers to it */
        struct rcu_head rcu; /* afterwards */
    };
};
/* So far below 0 that no number of mistaken gets brings it back. */
#define DENTRY_DEAD (-0x40000000)

/* Even while names and mounts are as they were; a walk without references compares it. [atomic] */
extern u32 namespace_sequence;
extern struct spinlock dentry_lock; /* LOCK_DENTRY */

/*
 * Around every move of a name and every change of the mount tree that a walk can see: holds
 * dentry_lock, and namespace_sequence is odd in between.
 */
void namespace_change_begin(void) acquires(&dentry_lock);
void namespace_change_end(void) releases(&dentry_lock);

u32 name_hash(const char *text, u32 bytes);
static inline struct name name_of(const char *text, u32 bytes)
{
    return (struct name){text, bytes, name_hash(text, bytes)};
}

void dentry_init(void);
/* Under RCU, without a reference; a concurrent rename may hide it: check namespace_sequence. */
struct dentry *dentry_lookup_rcu(const struct dentry *parent, const struct name *name);
/* With a reference, or NULL: not cached. */
struct dentry *dentry_lookup(struct dentry *parent, const struct name *name) must_check;
/*
 * Looks in the cache, then asks the file system. The dentry may be negative. -EINTR (a fatal
 * signal, while waiting for the directory), -ENAMETOOLONG, -ENOTDIR, -ENOMEM, and what the file
 * system says. Sleeps.
 */
int dentry_lookup_or_read(struct dentry *parent, const struct name *name,
                          struct dentry **dentry_out) must_check;
/*
 * The same for a caller that holds the directory's inode.lock: what it says stays true meanwhile.
 */
int dentry_lookup_locked(struct dentry *parent, const struct name *name, struct dentry **dentry_out)
    must_check;
/* A name that is cached and may change behind our back: the next lookup asks for it anew. */
void dentry_expire(struct dentry *parent, const struct name *name);
/*
 * For an open: a name that its file system believes for some time is asked for anew all the same,
 * unless that was just now. -ESTALE: it leads elsewhere by now, and left the cache.
 */
int dentry_renew(struct dentry *dentry) must_check;
/* `dentry` is as valid as `lower`, from which it comes. */
void dentry_copy_validity(struct dentry *dentry, const struct dentry *lower);
/* False if it is dying. */
bool dentry_get_if_alive(struct dentry *dentry);
/*
 * The next four follow what the file system has just done; the directories are still locked.
 * A negative dentry becomes the name of `inode`, whose reference it takes over.
 */
void dentry_instantiate(struct dentry *dentry, struct inode *inode);
/* The name was removed: out of the cache, though its users keep the dentry. */
void dentry_delete(struct dentry *dentry);
/* `from` takes the place of `to`, which leaves the cache. */
void dentry_move(struct dentry *from, struct dentry *to);
void dentry_exchange(struct dentry *a, struct dentry *b);
/* A dentry in no directory. NULL: no memory. Takes over the inode's reference on success. */
struct dentry *dentry_create_anonymous(struct inode *inode, const char *kind) must_check;
/*
 * Forgets what is below `root`, and gives up `root` itself. Nobody has a path in the file system
 * any more, so nobody but reclaim may still refer to a dentry, for a moment. Sleeps.
 */
void dentry_tree_destroy(struct dentry *root);
/* Whether `ancestor` is `dentry` or above it. dentry_lock or the rename lock is held. */
bool dentry_is_below(const struct dentry *dentry, const struct dentry *ancestor);
/* Forgets all unused names below (a directory is removed, or changed behind our back). */
void dentry_prune_children(struct dentry *parent);

static inline bool dentry_is_root(const struct dentry *dentry)
{
    return READ_ONCE(dentry->parent) == dentry;
}
static inline bool dentry_is_expired(const struct dentry *dentry)
{
    u64 until = READ_ONCE(dentry->valid_until_ns);

    return unlikely(until != U64_MAX) && clock_monotonic_ns() >= until;
}
