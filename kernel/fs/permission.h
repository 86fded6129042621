/*
 * Checks of rights that only fs/ needs; those for all are in fs.h. The rules are in permission.c.
 */
#pragma once

#include <pith/fs.h>

/* The owner, or who has CAPABILITY_FOWNER. */
bool inode_is_owned(const struct inode *inode);
/* -EACCES, -EROFS, -ENOENT (the directory itself was removed). */
int may_create(const struct path *directory) must_check;
/*
 * Whether a name may be removed or replaced; the directory is locked. victim_type: S_IFDIR: it must
 * be a directory; S_IFREG: it must not; 0: either. -ENOENT, -EACCES, -EPERM, -ENOTDIR, -EISDIR,
 * -EBUSY, -EROFS.
 */
int may_delete(const struct path *directory, const struct dentry *victim, u32 victim_type)
    must_check;
