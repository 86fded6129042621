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
 * A detached mount lives on until they go (umount2(2), MNT_DETACH); nothing is found below it then.
 *
 * A walk without references starts again if namespace_sequence moved. One with references only
 * looks again where it found nothing: a mount that moves takes those who stood on it to another
 * bucket's chain, where they would miss what is in their own.
 *
 * The last reference ends a mount, and the last mount of a file system ends the names in it
 * (file_system.c). No path is left then, which is what makes that safe.
 *
 * There is one mount namespace, and every mount is private: nothing is propagated.
 *
 * Invariant: in the tree are `first` and whoever has a parent; mountpoint.mounts counts those on
 *            it.
 * Locking:   `mounts.lock` (LOCK_MOUNTS) for every change. Those that a walk can see happen inside
 *            namespace_change_begin/end, so that a walk without references starts again.
 * Context:   mount_put may end a file system, so it sleeps.
 */
#include "mount_internal.h"

#include "file_system.h"

struct mounts mounts;

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

/* What lies on the path, with a reference, or NULL. */
static struct mount *mount_find(const struct path *path)
{
    struct mount *mount;
    u32 sequence;

    do {
        sequence = __atomic_load_n(&namespace_sequence, __ATOMIC_ACQUIRE);
        rcu_read_lock();
        mount = mount_find_rcu(path->mount, path->dentry);
        if (mount && !refcount_inc_not_zero(&mount->references))
            mount = NULL;
        rcu_read_unlock();
    } while (!mount && ((sequence & 1) ||
                        __atomic_load_n(&namespace_sequence, __ATOMIC_ACQUIRE) != sequence));
    return mount;
}

void path_descend(struct path *path)
{
    while (unlikely(READ_ONCE(path->dentry->mounts))) {
        struct path on_top = {.mount = mount_find(path)};

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

/* Its own name goes first: the last mount of a file system destroys those that are left. */
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

/* ---- Putting into the tree, taking out ---- */

void mount_attach(struct mount *mount, const struct path *where)
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

void mount_detach(struct mount *mount, struct path *place_out)
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

/* ---- The first mount; what /proc shows ---- */

struct mount *mount_next(struct mount *mount, const struct mount *top)
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
