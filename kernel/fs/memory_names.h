/*
 * A directory's names in memory, as tmpfs and the overlay have them. Theory in memory_names.c. The
 * names are guarded by the directory's inode.lock, which the caller holds; but for the beginning
 * (memory_names_init) and the end (memory_names_drain), when nobody else knows the directory.
 */
#pragma once

#include <pith/inode.h>
#include <pith/tree.h>

struct memory_name {
    struct tree_node by_name, by_position;
    u64 position;        /* [const] where a listing stands when it comes to it */
    struct inode *inode; /* a reference; NULL: whatever the file system takes it for */
    u32 hash;            /* [const] name_hash of the text */
    u16 bytes;           /* [const] */
    char text[];         /* [const] not ended by NUL */
};

/* The size of an empty directory: "." and "..", counted as tmpfs(5) of Linux does. */
#define EMPTY_DIRECTORY_BYTES 40

struct memory_names {
    struct tree names, positions;
    u64 next_position;
    struct list link; /* in memory_drain.waiting */
    void *node;       /* [const] what it lies in, which goes with it */
};

/* Of a file system: its directories that go, while they give up their names one after the other. */
struct memory_drain {
    struct spinlock lock; /* LOCK_LEAF */
    struct list waiting;  /* guarded_by(&lock) of memory_names */
    bool is_draining;     /* guarded_by(&lock) somebody is at it */
};

/* Positions are given out from `first_position` on. `node`: kmalloc'ed, what `names` lies in. */
void memory_names_init(struct memory_names *names, u64 first_position, void *node);
/* NULL: there is none. */
struct memory_name *memory_name_find(const struct memory_names *names, const char *text, u32 bytes);
/* Adds a name, which is not there yet, for no inode. -ENOSPC: there are too many; -ENOMEM. */
int memory_name_create(struct memory_names *names, const char *text, u32 bytes,
                       struct memory_name **name_out) must_check;
/* Takes the name out and gives its inode's reference up. */
void memory_name_destroy(struct memory_names *names, struct memory_name *name);
/* The name is one of `inode` now (which may be NULL), of which it takes a reference. */
void memory_name_set(struct memory_name *name, struct inode *inode);
/* The first name at or behind a position; NULL: none. */
struct memory_name *memory_name_from(const struct memory_names *names, u64 position);
struct memory_name *memory_name_next(struct memory_name *name);
/* Gives up all names of a directory that goes, if there are any, and frees its node. Sleeps. */
void memory_names_drain(struct memory_drain *drain, struct memory_names *names);
void memory_drain_init(struct memory_drain *drain);

/*
 * `symlink` of a directory whose `mknod` also makes links: keeps the text in memory, and takes room
 * for it. -ENOSPC: there is none.
 */
int memory_symlink(struct inode *directory, struct dentry *dentry, const char *target,
                   struct inode **inode_out);
/* An inode goes that memory_symlink may have made: gives the room of its text back. */
void memory_symlink_release(const struct inode *inode);
