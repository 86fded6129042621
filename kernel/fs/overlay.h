/* Between the files of the overlay. Theory in overlay.c. */
#pragma once

#include <pith/fs.h>

#include "dentry.h"
#include "memory_names.h"

/* An instance: file_system.private_data. */
struct overlay {
    struct path lower;   /* [const] the directory below, with references */
    struct inode *root;  /* [const] not counted: its name holds it */
    u64 pages_max;       /* [atomic] changes with remounts; 0: no limit */
    u64 pages;           /* [atomic] dirty pages of all files */
    u64 inodes_max;      /* [const] of files that are all ours: their memory is the kernel's */
    u64 own_inodes;      /* [atomic] */
    u64 last_id;         /* [atomic] of overlay_node.id */
    struct tree inodes;  /* those with a lower, by its address; file_system.inode_lock */
    struct list changed; /* those of them that hold themselves; file_system.inode_lock */
    bool is_gone;        /* no name is left: nothing need be held; file_system.inode_lock */
    struct memory_drain drain; /* of directories that go */
};

/* What the overlay keeps of a file: inode.private_data. */
struct overlay_node {
    struct inode *inode;       /* [const] not counted */
    u64 id;                    /* [const] for the listing of changes; the root's is 1 */
    struct dentry *lower;      /* [const] a reference, positive; NULL: all of it is ours */
    struct tree_node by_lower; /* in overlay.inodes */
    struct list link;          /* in overlay.changed, holding a reference */
    u32 is_changed;            /* [atomic] differs from the lower: never looks there again */
    u64 lower_bytes;           /* [atomic] of the lower's data that still show through */
    u64 lower_blocks;          /* [atomic] of 512 bytes, when last asked */
    u64 parent_number;         /* a directory's ".."; guarded by its inode.lock */
    struct memory_names names; /* a directory's; inode NULL: a whiteout. inode.lock */
    struct list xattrs;        /* if has_xattrs; inode.lock */
    bool has_xattrs;           /* the lower's do not count any more; inode.lock */
    s64 lower_modified_ns, lower_changed_ns; /* the lower as last seen; guarded by inode.lock */
};

static inline struct overlay *overlay_of(const struct inode *inode)
{
    return inode->file_system->private_data;
}
static inline struct overlay_node *overlay_node_of(const struct inode *inode)
{
    return inode->private_data;
}
/* NULL: the file is ours alone. */
static inline struct inode *overlay_lower_inode(const struct inode *inode)
{
    const struct overlay_node *node = overlay_node_of(inode);

    return node->lower ? dentry_inode(node->lower) : NULL;
}

/* overlay_inode.c */
/* A new file that is all ours, with one reference. -ENOSPC, -ENOMEM. */
int overlay_inode_create(struct file_system *file_system, const struct inode *directory, u32 mode,
                         u64 rdev, struct inode **inode_out) must_check;
/* The inode over a lower name, with a reference. -ENOMEM. */
int overlay_inode_get(struct file_system *file_system, struct dentry *lower,
                      struct inode **inode_out) must_check;
/* The file is about to differ from the lower one: from now on it stays until it is deleted. */
void overlay_inode_change(struct inode *inode);
/* Its last name has gone. */
void overlay_inode_deleted(struct inode *inode);
/* Takes over what is new of the lower; if the inode's lock is taken, another time. */
void overlay_inode_refresh_nowait(struct inode *inode);
/* The same after asking the lower file system. inode->lock is not held. Sleeps. */
int overlay_inode_refresh(struct inode *inode) must_check;
void overlay_inode_release(struct inode *inode);
int overlay_get_attributes(struct inode *inode, struct attributes *attributes_out);
int overlay_set_attributes(struct inode *inode, const struct attribute_change *change);

/* overlay_xattr.c */
ssize_t overlay_get_xattr(struct inode *inode, const char *name, void *value, size_t size);
int overlay_set_xattr(struct inode *inode, const char *name, const void *value, size_t size,
                      int flags);
ssize_t overlay_list_xattr(struct inode *inode, char *list, size_t size);
int overlay_remove_xattr(struct inode *inode, const char *name);
#define OVERLAY_INODE_OPERATIONS                                                        \
    .get_attributes = overlay_get_attributes, .set_attributes = overlay_set_attributes, \
    .get_xattr = overlay_get_xattr, .set_xattr = overlay_set_xattr,                     \
    .list_xattr = overlay_list_xattr, .remove_xattr = overlay_remove_xattr

/* overlay_directory.c */
/* What the lower directory has under a name: a dentry with a reference, or NULL: nothing. */
int overlay_lower_find(const struct inode *directory, const struct dentry *name,
                       struct dentry **lower_out) must_check;
int overlay_lookup(struct inode *directory, struct dentry *dentry, struct inode **inode_out);
int overlay_revalidate(struct inode *directory, struct dentry *dentry);
/* -ENOTEMPTY. The directory is locked. */
int overlay_directory_check_empty(struct inode *directory) must_check;
extern const struct file_operations overlay_directory_file_operations;

/* overlay_changes.c */
long overlay_directory_ioctl(struct file *directory, u32 command, u64 argument);

extern const struct inode_operations overlay_directory_operations; /* overlay_names.c */
extern const struct inode_operations overlay_file_operations;      /* overlay_file.c */
extern const struct file_operations overlay_regular_operations;
extern const struct page_cache_operations overlay_page_operations;

void overlay_init(void);
