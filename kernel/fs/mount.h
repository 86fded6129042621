/*
 * The mount tree, as path walks and the mount calls see it. Theory in mount.c.
 *
 * A path is a mount and a dentry, because one dentry may be seen at several places (bind mounts)
 * with different rights, and because ".." at a mount's root must know where the mount lies.
 */
#pragma once

#include <pith/file_calls.h>

#include "dentry.h"

struct mount {
    struct refcount references; /* of paths, child mounts, and one of the tree while it is in it */
    u32 flags;                  /* [atomic] those of MOUNT_FLAGS, and MS_UNBINDABLE */
    struct dentry *root;        /* [const] holds a reference */
    struct file_system *file_system; /* [const] holds a mount's reference */
    /* Where it lies: all NULL for the first mount and for detached ones. [rcu]; holds references.
     */
    struct mount *parent;
    struct dentry *mountpoint;
    struct mount *hash_next;       /* [rcu] */
    struct list children, sibling; /* guarded by the mounts' mutex */
    struct mount *clone;           /* guarded by the mounts' mutex, while a tree is copied */
    s32 writers;                   /* [atomic] files open for writing */
    u32 id;                        /* [const] as /proc/self/mountinfo says */
    char *source;                  /* [const] */
    struct rcu_head rcu;
};
#define MOUNT_FLAGS \
    (MS_RDONLY | MS_NOSUID | MS_NODEV | MS_NOEXEC | MS_ACCESS_TIMES | MS_RELATIME | MS_NOSYMFOLLOW)

void mount_get(struct mount *mount);
void mount_put(struct mount *mount);
/* What lies on a dentry, under RCU; NULL: nothing. */
struct mount *mount_find_rcu(const struct mount *parent, const struct dentry *mountpoint);
/* Goes down into whatever lies on the path, however many lie there; references are exchanged. */
void path_descend(struct path *path);
/* From a mount's root to where the mount lies, one step; false: there is nothing above. */
bool path_ascend(struct path *path);

/* -EROFS: nothing may be written there. */
int mount_check_write(const struct mount *mount) must_check;
static inline bool mount_is_read_only(const struct mount *mount)
{
    return (READ_ONCE(mount->flags) | READ_ONCE(mount->file_system->flags)) & MS_RDONLY;
}

/*
 * A mount that lies nowhere, with one reference. NULL: no memory. Takes over the file system's
 * reference on success, and its own on `root`. `source` is copied, for /proc.
 */
struct mount *mount_alloc(struct file_system *file_system, struct dentry *root, const char *source,
                          u32 flags) must_check;
/* The first mount, with a reference. */
void mount_first(struct path *root_out);
void mounts_init(void);

/* Each mount of the tree, parents first, under the mounts' mutex; stops at an error. */
int mounts_visit(int (*visit)(const struct mount *mount, void *argument), void *argument);

/* directories.c: whoever has `from` as root or working directory gets `to` (pivot_root(2)). */
void directories_replace_roots(const struct path *from, const struct path *to);
