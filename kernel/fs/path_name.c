/*
 * From a place to its absolute name, as the calling thread's root sees it (getcwd(2), links in
 * /proc/PID/fd).
 *
 * The name is built from its end, dentry by dentry, and from a mount's root on from the mount's
 * place. All of it under dentry_lock, so that no rename or mount comes between: the name was whole
 * and right at one moment.
 *
 *     buffer  [..................../lib/x\0]      at --> moves down: "x", "/", "lib", "/", ...
 *
 * A place has no such name if it was removed, which is said behind it, or if it does not lie below
 * the caller's root (after chroot(2), or in a mount that was taken away), which is said before it.
 */
#include "mount.h"

struct name_builder {
    char *buffer;
    char *at; /* the first character so far */
};

static bool builder_prepend(struct name_builder *builder, const char *text, size_t bytes)
{
    if ((size_t)(builder->at - builder->buffer) < bytes)
        return false;
    builder->at -= bytes;
    memcpy(builder->at, text, bytes);
    return true;
}

enum reach {
    REACH_ROOT,
    REACH_OUTSIDE, /* not below the caller's root */
    REACH_NO_ROOM,
};

static enum reach name_build_locked(const struct path *path, const struct path *root,
                                    struct name_builder *builder)
{
    const struct mount *mount = path->mount;
    const struct dentry *dentry = path->dentry;

    while (dentry != root->dentry || mount != root->mount) {
        if (dentry == mount->root || dentry_is_root(dentry)) {
            if (!mount->parent)
                return REACH_OUTSIDE;
            dentry = mount->mountpoint;
            mount = mount->parent;
            continue;
        }
        if (!builder_prepend(builder, dentry->name, dentry->name_bytes) ||
            !builder_prepend(builder, "/", 1))
            return REACH_NO_ROOM;
        dentry = dentry->parent;
    }
    return REACH_ROOT;
}

#define DELETED     " (deleted)"
#define UNREACHABLE "(unreachable)"

static bool is_deleted(const struct dentry *dentry)
{
    return !dentry_is_root(dentry) && !(READ_ONCE(dentry->flags) & DENTRY_HASHED);
}

/* Pipes and their like show their kind; memfds look like deleted files. */
static int anonymous_name(const struct dentry *dentry, struct name_builder *builder)
{
    bool is_file =
        inode_is_regular(dentry->inode) && dentry->inode->file_system != anonymous_file_system();

    if (is_file && !builder_prepend(builder, DELETED, sizeof(DELETED) - 1))
        return -ENAMETOOLONG;
    if (!builder_prepend(builder, dentry->name, dentry->name_bytes) ||
        (is_file && !builder_prepend(builder, "/", 1)))
        return -ENAMETOOLONG;
    return 0;
}

static int ordinary_name(const struct path *path, struct name_builder *builder)
{
    char *const end = builder->at;
    struct path root;
    enum reach reach;
    int error = 0;

    if (is_deleted(path->dentry) && !builder_prepend(builder, DELETED, sizeof(DELETED) - 1))
        return -ENAMETOOLONG;
    path_get_root(&root);
    spin_lock(&dentry_lock);
    reach = name_build_locked(path, &root, builder);
    spin_unlock(&dentry_lock);
    path_put(&root);
    if (reach == REACH_NO_ROOM)
        return -ENAMETOOLONG;
    if (builder->at == end && !builder_prepend(builder, "/", 1))
        error = -ENAMETOOLONG;
    if (reach == REACH_OUTSIDE && !builder_prepend(builder, UNREACHABLE, sizeof(UNREACHABLE) - 1))
        error = -ENAMETOOLONG;
    return error;
}

int path_name(const struct path *path, char *buffer, size_t size, char **name_out)
{
    struct name_builder builder = {.buffer = buffer, .at = buffer + size - 1};
    int error;

    *builder.at = '\0';
    error = path->dentry->flags & DENTRY_ANONYMOUS ? anonymous_name(path->dentry, &builder)
                                                   : ordinary_name(path, &builder);
    if (!error)
        *name_out = builder.at;
    return error;
}

int path_name_linked(const struct path *path, char *buffer, size_t size, char **name_out)
{
    return is_deleted(path->dentry) ? -ENOENT : path_name(path, buffer, size, name_out);
}
