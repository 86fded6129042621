/*
 * mount(2), umount2(2), pivot_root(2): changes of the mount tree.
 *
 * Each checks and changes under mounts.lock, after the walk that found the place: a place may have
 * been covered since, so the new mount goes on top of what lies there by then; and it may have been
 * removed, which is ENOENT. Both ends of a mount are directories, or neither is. What fails has
 * changed nothing: a tree is copied whole (MS_REC) before it is attached, and a mount that cannot
 * be moved goes back to where it was.
 *
 *     pivot_root(new, put_old)        new was mounted at R/new, put_old lies in it
 *         R <- new   becomes   new <- R, at put_old; who stood on R stands on new
 *
 * A mount is busy for umount2(2) when something lies on it, or when somebody else has a reference:
 * an open file, a working directory, or a walk that passes just now, which nobody could tell apart.
 *
 * Locking: mounts.lock for all; inode locks below it (a last name may go with a mount).
 * Errors:  as in the man pages. EINVAL: what is to be changed is not a mount's root, or is the
 *          first mount; EBUSY, ELOOP (into itself), ENOTDIR.
 */
#include "mount_internal.h"

#include "file_system.h"

/* The place may have been covered since it was found: the new mount goes on top. */
static int place_find_top(const struct path *where, struct path *top_out)
{
    *top_out = *where;
    path_get(top_out);
    path_descend(top_out);
    if (!inode_is_directory(top_out->dentry->inode) && inode_is_directory(where->dentry->inode)) {
        path_put(top_out);
        return -ENOTDIR;
    }
    return 0;
}

/* Both directories, or neither. */
static int kinds_fit(const struct dentry *root, const struct dentry *mountpoint)
{
    return inode_is_directory(root->inode) == inode_is_directory(mountpoint->inode) ? 0 : -ENOTDIR;
}

/* Takes over a reference of `mount` on success. */
static int mount_attach_on_top(struct mount *mount, const struct path *where)
{
    struct path top;
    int error = place_find_top(where, &top);

    if (error)
        return error;
    error = kinds_fit(mount->root, top.dentry);
    if (!error && !(READ_ONCE(top.dentry->flags) & DENTRY_HASHED) && !dentry_is_root(top.dentry))
        error = -ENOENT;
    if (!error)
        mount_attach(mount, &top);
    path_put(&top);
    return error;
}

/* ---- mount(2) ---- */

int mount_new(const struct path *where, const char *type_name, const struct mount_source *source)
{
    const struct file_system_type *type = file_system_type_find(type_name);
    struct file_system *file_system;
    struct mount *mount;
    int error;

    if (!type)
        return -ENODEV;
    error = file_system_check_options(type, source->options);
    if (!error)
        error = type->mount(type, source, &file_system);
    if (error)
        return error;
    mount = mount_alloc(file_system, file_system->root, source->source, source->flags);
    if (!mount) {
        file_system_mounted(file_system);
        file_system_unmount(file_system);
        return -ENOMEM;
    }
    mutex_lock(&mounts.lock);
    error = mount_attach_on_top(mount, where);
    mutex_unlock(&mounts.lock);
    if (error)
        mount_put(mount);
    return error;
}

/* A second mount of what `what` shows. */
static int mount_clone(const struct mount *from, struct dentry *root, struct mount **mount_out)
{
    struct mount *mount;

    file_system_get(from->file_system);
    mount = mount_alloc(from->file_system, root, from->source, from->flags);
    if (!mount) {
        file_system_put(from->file_system);
        return -ENOMEM;
    }
    *mount_out = mount;
    return 0;
}

/*
 * Copies what lies below `from`, whose copy is `copy`, at the same places. Parents come before
 * children, so a mount's parent has its `clone` by then; one outside of `copy` has none.
 */
static int mount_clone_children(struct mount *from, struct mount *copy)
{
    struct mount *original = from;
    int error = 0;

    from->clone = copy;
    while (!error && (original = mount_next(original, from))) {
        struct path place = {original->parent->clone, original->mountpoint};

        original->clone = NULL;
        if (!place.mount || (original->flags & MS_UNBINDABLE) ||
            !dentry_is_below(place.dentry, place.mount->root))
            continue;
        error = mount_clone(original, original->root, &original->clone);
        if (!error)
            mount_attach(original->clone, &place);
    }
    return error;
}

static void mount_tree_detach(struct mount *top);

int mount_bind(const struct path *where, const struct path *what, u32 flags)
{
    struct mount *mount;
    int error;

    if (READ_ONCE(what->mount->flags) & MS_UNBINDABLE)
        return -EINVAL;
    mutex_lock(&mounts.lock);
    error = mount_clone(what->mount, what->dentry, &mount);
    if (error)
        goto unlock;
    if (flags & MS_REC)
        error = mount_clone_children(what->mount, mount);
    if (!error)
        error = mount_attach_on_top(mount, where);
    if (error) {
        mount_tree_detach(mount);
        mount_put(mount);
    }
unlock:
    mutex_unlock(&mounts.lock);
    return error;
}

static bool mount_is_below(const struct mount *mount, const struct mount *ancestor)
{
    while (mount && mount != ancestor)
        mount = mount->parent;
    return mount == ancestor;
}

int mount_move(const struct path *where, const struct path *what)
{
    struct mount *mount = what->mount;
    struct path old_place;
    int error = -EINVAL;

    mutex_lock(&mounts.lock);
    if (what->dentry != mount->root || !mount->parent)
        goto unlock;
    error = kinds_fit(mount->root, where->dentry);
    if (error)
        goto unlock;
    error = -ELOOP;
    if (mount_is_below(where->mount, mount))
        goto unlock;
    mount_detach(mount, &old_place);
    error = mount_attach_on_top(mount, where);
    if (error)
        mount_attach(mount, &old_place);
    path_put(&old_place);
unlock:
    mutex_unlock(&mounts.lock);
    return error;
}

/* Every mount is private here: what asks for less sharing has it already. */
int mount_set_sharing(const struct path *where, u32 flags)
{
    u32 kind = flags & ~(MS_REC | MS_SILENT), unbindable = kind & MS_UNBINDABLE;
    struct mount *top = where->mount, *mount = top;

    if (where->dentry != top->root)
        return -EINVAL;
    if (kind == MS_SLAVE) /* of nobody; what is unbindable stays so */
        return 0;
    if (kind != MS_PRIVATE && kind != MS_UNBINDABLE)
        return -EINVAL;
    mutex_lock(&mounts.lock);
    do {
        WRITE_ONCE(mount->flags, (mount->flags & ~MS_UNBINDABLE) | unbindable);
        mount = flags & MS_REC ? mount_next(mount, top) : NULL;
    } while (mount);
    mutex_unlock(&mounts.lock);
    return 0;
}

/* MS_REMOUNT: with MS_BIND only of this mount, else of the file system too. */
int mount_change_flags(const struct path *where, const struct mount_source *source)
{
    struct mount *mount = where->mount;
    struct file_system *file_system = mount->file_system;
    u32 read_only = source->flags & MS_RDONLY, flags = source->flags;
    int error = 0;

    if (where->dentry != mount->root)
        return -EINVAL;
    mutex_lock(&mounts.lock);
    if (!(flags & (MS_ACCESS_TIMES | MS_RELATIME))) /* it keeps how it was (mount(2)) */
        flags |= mount->flags & MS_ACCESS_TIMES;
    if (read_only && !mount_is_read_only(mount) &&
        __atomic_load_n(&mount->writers, __ATOMIC_ACQUIRE) > 0)
        error = -EBUSY;
    if (!error && !(source->flags & MS_BIND)) {
        error = file_system_check_options(file_system->type, source->options);
        if (!error && file_system->operations->remount)
            error = file_system->operations->remount(file_system, source);
        if (!error)
            WRITE_ONCE(file_system->flags, (file_system->flags & ~MS_RDONLY) | read_only);
    }
    if (!error)
        WRITE_ONCE(mount->flags, (flags & MOUNT_FLAGS) | (mount->flags & MS_UNBINDABLE));
    mutex_unlock(&mounts.lock);
    return error;
}

/* ---- umount2(2), pivot_root(2) ---- */

/* Takes all mounts below `top` out of the tree, the last first. */
static void mount_tree_detach(struct mount *top)
{
    for (;;) {
        struct mount *leaf = top, *child;
        struct path place;

        while ((child = list_first_entry(&leaf->children, struct mount, sibling)))
            leaf = child;
        if (leaf == top)
            return;
        mount_detach(leaf, &place);
        path_put(&place);
        mount_put(leaf);
    }
}

int mount_remove(const struct path *where, u32 flags)
{
    struct mount *mount = where->mount;
    struct path place;
    int error = -EINVAL;

    if (where->dentry != mount->root)
        return -EINVAL;
    /* Never done: the first call of a pair may always answer so. */
    if (flags & MNT_EXPIRE)
        return flags & (MNT_FORCE | MNT_DETACH) ? -EINVAL : -EAGAIN;
    mutex_lock(&mounts.lock);
    if (!mount->parent)
        goto unlock;
    error = -EBUSY;
    /* The tree's reference and the caller's. */
    if (!(flags & MNT_DETACH) &&
        (!list_is_empty(&mount->children) || refcount_read(&mount->references) > 2))
        goto unlock;
    error = 0;
    mount_tree_detach(mount);
    mount_detach(mount, &place);
    mutex_unlock(&mounts.lock);
    path_put(&place);
    mount_put(mount);
    return 0;
unlock:
    mutex_unlock(&mounts.lock);
    return error;
}

int mount_pivot_root(const struct path *new_root, const struct path *put_old)
{
    struct path root, old_place, parent_place;
    struct mount *root_mount;
    int error = -EBUSY;

    path_get_root(&root);
    root_mount = root.mount;
    mutex_lock(&mounts.lock);
    if (new_root->mount == root_mount || put_old->mount == root_mount)
        goto unlock;
    error = -EINVAL;
    if (root.dentry != root_mount->root || new_root->dentry != new_root->mount->root ||
        !new_root->mount->parent || !mount_is_below(put_old->mount, new_root->mount))
        goto unlock;
    mount_detach(new_root->mount, &old_place);
    if (root_mount->parent) {
        mount_detach(root_mount, &parent_place);
        mount_attach(new_root->mount, &parent_place);
        path_put(&parent_place);
    } else {
        mounts.first = new_root->mount;
    }
    mount_attach(root_mount, put_old);
    path_put(&old_place);
    error = 0;
unlock:
    mutex_unlock(&mounts.lock);
    if (!error)
        directories_replace_roots(&root, new_root);
    path_put(&root);
    return error;
}
