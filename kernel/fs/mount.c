/*
 * The mount tree: which file system's root lies on which directory.
 *
 *      mount A            mount B                    path (A, "mnt") --descend--> (B, root of B)
 *       root: /            parent: A, mountpoint: "mnt" of A
 *       ...                root: root of B's file system, or a directory in it (bind mount)
 *
 * A mount is found by (parent mount, mountpoint dentry) in a hash table that path walks read under
 * RCU; dentry.mounts says whether looking is worth while. A mount in the tree holds a reference on
 * its parent and its mountpoint, and one on itself; open files and working directories hold more.
 * A detached mount lives on until they go.
 *
 * There is one mount namespace, and every mount is private: nothing is propagated.
 *
 * Locking: `mounts.lock` (LOCK_MOUNTS) for every change. Those that a walk can see happen inside
 *          namespace_change_begin/end, so that a walk without references starts again.
 */
#include "mount.h"

#include "file_system.h"

#define MOUNT_BUCKETS 64

static struct {
    struct mutex lock;                    /* LOCK_MOUNTS */
    struct mount *buckets[MOUNT_BUCKETS]; /* [rcu] */
    struct mount *first;                  /* guarded_by(&lock) the root of the tree */
    u32 ids;                              /* [atomic] */
} mounts;

/* ---- Finding ---- */

static struct mount **bucket_of(const struct mount *parent, const struct dentry *mountpoint)
{
    return &mounts.buckets[(((u64)parent >> 6) ^ ((u64)mountpoint >> 6)) % MOUNT_BUCKETS];
}

struct mount *mount_find_rcu(const struct mount *parent, const struct dentry *mountpoint)
{
    struct mount *mount = READ_ONCE(*bucket_of(parent, mountpoint));

    while (mount &&
           (READ_ONCE(mount->parent) != parent || READ_ONCE(mount->mountpoint) != mountpoint))
        mount = READ_ONCE(mount->hash_next);
    return mount;
}

void path_descend(struct path *path)
{
    while (unlikely(READ_ONCE(path->dentry->mounts))) {
        struct path on_top = {NULL, NULL};

        rcu_read_lock();
        on_top.mount = mount_find_rcu(path->mount, path->dentry);
        if (on_top.mount && !refcount_inc_not_zero(&on_top.mount->references))
            on_top.mount = NULL;
        rcu_read_unlock();
        if (!on_top.mount)
            return;
        on_top.dentry = on_top.mount->root;
        dentry_get(on_top.dentry);
        path_put(path);
        *path = on_top;
    }
}

bool path_ascend(struct path *path)
{
    struct path above;
    bool is_alive;

    rcu_read_lock();
    above.mount = READ_ONCE(path->mount->parent);
    above.dentry = READ_ONCE(path->mount->mountpoint);
    is_alive = above.mount && above.dentry && refcount_inc_not_zero(&above.mount->references);
    if (is_alive && !dentry_get_if_alive(above.dentry)) {
        is_alive = false;
        rcu_read_unlock();
        mount_put(above.mount);
        return false;
    }
    rcu_read_unlock();
    if (!is_alive)
        return false;
    path_put(path);
    *path = above;
    return true;
}

int mount_check_write(const struct mount *mount)
{
    return mount_is_read_only(mount) ? -EROFS : 0;
}

/* ---- Life ---- */

void mount_get(struct mount *mount)
{
    refcount_inc(&mount->references);
}

static void mount_free_rcu(struct rcu_head *head)
{
    struct mount *mount = container_of(head, struct mount, rcu);

    kfree(mount->source);
    kfree(mount);
}

void mount_put(struct mount *mount)
{
    if (!refcount_dec_is_zero(&mount->references))
        return;
    dentry_put(mount->root);
    file_system_unmount(mount->file_system);
    rcu_free(&mount->rcu, mount_free_rcu);
}

static char *text_copy(const char *text)
{
    size_t bytes = strlen(text) + 1;
    char *copy = kmalloc(bytes, 0);

    if (copy)
        memcpy(copy, text, bytes);
    return copy;
}

struct mount *mount_alloc(struct file_system *file_system, struct dentry *root, const char *source,
                          u32 flags)
{
    struct mount *mount = kmalloc(sizeof(*mount), ALLOC_CLEARED);
    char *source_copy = text_copy(source);

    if (!mount || !source_copy) {
        kfree(source_copy);
        kfree(mount);
        return NULL;
    }
    refcount_set(&mount->references, 1);
    mount->flags = flags & MOUNT_FLAGS;
    dentry_get(root);
    mount->root = root;
    mount->file_system = file_system;
    mount->source = source_copy;
    mount->id = __atomic_add_fetch(&mounts.ids, 1, __ATOMIC_RELAXED);
    list_init(&mount->children);
    list_init(&mount->sibling);
    file_system_mounted(file_system);
    return mount;
}

/* ---- Putting into the tree, taking out. mounts.lock is held. ---- */

/* Takes over one reference of `mount`, and takes its own on the place. */
static void mount_attach(struct mount *mount, const struct path *where)
{
    struct mount **bucket = bucket_of(where->mount, where->dentry);

    path_get(where);
    namespace_change_begin();
    mount->parent = where->mount;
    mount->mountpoint = where->dentry;
    mount->hash_next = *bucket;
    __atomic_store_n(bucket, mount, __ATOMIC_RELEASE);
    where->dentry->mounts++;
    namespace_change_end();
    list_push_back(&where->mount->children, &mount->sibling);
}

/* Leaves the tree; the reference that the tree held and the place are the caller's then. */
static void mount_detach(struct mount *mount, struct path *place_out)
{
    struct mount **link = bucket_of(mount->parent, mount->mountpoint);

    *place_out = (struct path){mount->parent, mount->mountpoint};
    namespace_change_begin();
    while (*link != mount)
        link = &(*link)->hash_next;
    __atomic_store_n(link, mount->hash_next, __ATOMIC_RELEASE);
    mount->parent = NULL;
    mount->mountpoint = NULL;
    place_out->dentry->mounts--;
    namespace_change_end();
    list_remove(&mount->sibling);
}

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

/* The next mount of the tree below `top`, in the order parent before child; NULL: all were. */
static struct mount *mount_next(struct mount *mount, const struct mount *top)
{
    struct mount *child = list_first_entry(&mount->children, struct mount, sibling);

    if (child)
        return child;
    while (mount != top) {
        struct mount *parent = mount->parent;

        if (mount->sibling.next != &parent->children)
            return list_entry(mount->sibling.next, struct mount, sibling);
        mount = parent;
    }
    return NULL;
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
        if (!place.mount || !dentry_is_below(place.dentry, place.mount->root))
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

int mount_change_flags(const struct path *where, const struct mount_source *source)
{
    struct mount *mount = where->mount;
    struct file_system *file_system = mount->file_system;
    u32 read_only = source->flags & MS_RDONLY;
    int error = 0;

    if (where->dentry != mount->root)
        return -EINVAL;
    mutex_lock(&mounts.lock);
    if (read_only && !mount_is_read_only(mount) &&
        __atomic_load_n(&mount->writers, __ATOMIC_ACQUIRE) > 0)
        error = -EBUSY;
    if (!error && !(source->flags & MS_BIND)) {
        if (file_system->operations->remount)
            error = file_system->operations->remount(file_system, source);
        if (!error)
            WRITE_ONCE(file_system->flags, (file_system->flags & ~MS_RDONLY) | read_only);
    }
    if (!error)
        WRITE_ONCE(mount->flags, source->flags & MOUNT_FLAGS);
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
    int error = -EINVAL;

    path_get_root(&root);
    root_mount = root.mount;
    mutex_lock(&mounts.lock);
    if (root.dentry != root_mount->root || new_root->dentry != new_root->mount->root ||
        !new_root->mount->parent || !mount_is_below(put_old->mount, new_root->mount))
        goto unlock;
    error = -EBUSY;
    if (new_root->mount == root_mount || put_old->mount == root_mount)
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

/* ---- The first mount; what /proc shows ---- */

void mount_first(struct path *root_out)
{
    *root_out = (struct path){mounts.first, mounts.first->root};
    path_get(root_out);
}

int mounts_visit(int (*visit)(const struct mount *mount, void *argument), void *argument)
{
    struct mount *mount;
    int error = 0;

    mutex_lock(&mounts.lock);
    for (mount = mounts.first; mount && !error; mount = mount_next(mount, mounts.first))
        error = visit(mount, argument);
    mutex_unlock(&mounts.lock);
    return error;
}

static int mount_sync(const struct mount *mount, void *argument)
{
    struct file_system *file_system = mount->file_system;

    return file_system->operations->sync ? file_system->operations->sync(file_system) : 0;
}

void file_systems_sync(void)
{
    (void)mounts_visit(mount_sync, NULL);
}

void mounts_init(void)
{
    const struct mount_source source = {.source = "rootfs", .options = ""};
    const struct file_system_type *type = file_system_type_find("tmpfs");
    struct file_system *file_system;

    mutex_init(&mounts.lock, LOCK_MOUNTS);
    if (!type || type->mount(type, &source, &file_system))
        panic("no memory for the root file system");
    mounts.first = mount_alloc(file_system, file_system->root, "rootfs", 0);
    assert(mounts.first);
}
