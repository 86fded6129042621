/* Between the files of tmpfs. */
#pragma once

#include <pith/fs.h>

#include "memory_names.h"

#define TMPFS_FIRST_POSITION 2 /* of a directory's names: behind "." and ".." */

/* An instance. */
struct tmpfs {
    u64 pages_max, inodes_max; /* [const] but for remounts; 0: no limit */
    u64 pages;                 /* [atomic] dirty pages of all files */
    u64 inodes;                /* [atomic] */
    u32 mode, uid, gid;        /* [const] of the root, at first */
    struct memory_drain drain; /* of directories that go */
};

/* What tmpfs keeps of an inode (inode.private_data). guarded_by(&inode->lock) */
struct tmpfs_node {
    struct memory_names names; /* a directory's */
    u64 parent_number;
    struct list xattrs;
};

static inline struct tmpfs *tmpfs_of(const struct inode *inode)
{
    return inode->file_system->private_data;
}
static inline struct tmpfs_node *tmpfs_node_of(const struct inode *inode)
{
    return inode->private_data;
}

/* A new inode with one reference. -ENOSPC, -ENOMEM. */
int tmpfs_inode_create(struct file_system *file_system, const struct inode *directory, u32 mode,
                       u64 rdev, struct inode **inode_out) must_check;

/* A number of bytes with an optional k, m, g, or % (of memory). -EINVAL. Cuts the unit off. */
int memory_size_parse(char *text, u64 *bytes_out) must_check;

/* memory_xattr.c: extended attributes in a list. inode->lock is held. */
ssize_t memory_xattr_get(struct list *xattrs, const char *name, void *value, size_t size);
int memory_xattr_set(struct list *xattrs, const char *name, const void *value, size_t size,
                     int flags);
ssize_t memory_xattr_list(struct list *xattrs, char *list, size_t size);
int memory_xattr_remove(struct list *xattrs, const char *name);
void memory_xattr_free_all(struct list *xattrs);

extern const struct inode_operations tmpfs_directory_operations;
extern const struct inode_operations tmpfs_file_operations; /* and links, devices, ... */
extern const struct file_operations tmpfs_directory_file_operations;

void tmpfs_init(void);
