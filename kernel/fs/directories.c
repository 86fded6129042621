/*
 * Where threads stand: root directory, working directory and umask, shared with CLONE_FS.
 *
 * Every path walk begins here, so the two paths are cheap to get at: with references under a lock
 * of a few instructions, or, for the walk that takes none (names_fast.c), just as they are, for as
 * long as RCU keeps what they point at.
 *
 * All instances are on one list, so that pivot_root(2) finds those that stand on the old root.
 *
 * Locking: directories.lock for the two paths; `all.lock` for the list, outside of it. Paths are
 *          put after both, since the last reference may end a file system.
 */
#include "mount.h"

#include "directories.h"

static struct {
    struct spinlock lock; /* LOCK_FILE_TABLE: it stands outside of directories.lock */
    struct list list;     /* guarded_by(&lock) */
} all = {.lock = SPINLOCK_INIT(LOCK_FILE_TABLE), .list = LIST_INIT(all.list)};

/* Takes over the references of both paths. */
static int directories_make(const struct path *root, const struct path *working, u32 umask,
                            struct directories **directories_out)
{
    struct directories *directories = kmalloc(sizeof(*directories), 0);

    if (!directories)
        return -ENOMEM;
    *directories = (struct directories){.root = *root, .working = *working, .umask = umask};
    refcount_set(&directories->references, 1);
    spin_init(&directories->lock, LOCK_LEAF);
    spin_lock(&all.lock);
    list_push_back(&all.list, &directories->link);
    spin_unlock(&all.lock);
    *directories_out = directories;
    return 0;
}

static int directories_make_or_put(const struct path *root, const struct path *working, u32 umask,
                                   struct directories **directories_out)
{
    int error = directories_make(root, working, umask, directories_out);

    if (error) {
        path_put(root);
        path_put(working);
    }
    return error;
}

#define UMASK_FIRST 022u

int directories_create(struct directories **directories_out)
{
    struct path root, working;

    mount_first(&root);
    path_descend(&root);
    working = root;
    path_get(&working);
    return directories_make_or_put(&root, &working, UMASK_FIRST, directories_out);
}

int directories_copy(struct directories *from, struct directories **copy_out)
{
    struct path root, working;

    spin_lock(&from->lock);
    root = from->root;
    working = from->working;
    path_get(&root);
    path_get(&working);
    spin_unlock(&from->lock);
    return directories_make_or_put(&root, &working, from->umask, copy_out);
}

void directories_put(struct directories *directories)
{
    if (!refcount_dec_is_zero(&directories->references))
        return;
    spin_lock(&all.lock);
    list_remove(&directories->link);
    spin_unlock(&all.lock);
    path_put(&directories->root);
    path_put(&directories->working);
    kfree(directories);
}

/* A copy of one of the two paths, with references. */
static void place_get(struct directories *directories, const struct path *place,
                      struct path *path_out)
{
    spin_lock(&directories->lock);
    *path_out = *place;
    path_get(path_out);
    spin_unlock(&directories->lock);
}

/* Kernel threads without directories of their own stand at the first mount. */
void path_get_root(struct path *path_out)
{
    struct directories *directories = thread_current()->directories;

    if (directories)
        place_get(directories, &directories->root, path_out);
    else
        mount_first(path_out);
}

void path_get_working(struct path *path_out)
{
    struct directories *directories = thread_current()->directories;

    if (directories)
        place_get(directories, &directories->working, path_out);
    else
        mount_first(path_out);
}

void directories_peek(struct path *root_out, struct path *working_out)
{
    struct directories *directories = thread_current()->directories;

    if (refcount_read(&directories->references) == 1) {
        *root_out = directories->root;
        *working_out = directories->working;
        return;
    }
    spin_lock(&directories->lock);
    *root_out = directories->root;
    *working_out = directories->working;
    spin_unlock(&directories->lock);
}

static void path_exchange(struct directories *directories, struct path *at, const struct path *to)
{
    struct path old;

    path_get(to);
    spin_lock(&directories->lock);
    old = *at;
    *at = *to;
    spin_unlock(&directories->lock);
    path_put(&old);
}

void directories_set_root(const struct path *to)
{
    struct directories *directories = thread_current()->directories;

    path_exchange(directories, &directories->root, to);
}

void directories_set_working(struct directories *directories, const struct path *to)
{
    path_exchange(directories, &directories->working, to);
}

/* References are exchanged by number only: `from` keeps the caller's, so none is the last. */
static u32 path_replace_locked(struct path *at, const struct path *from, const struct path *to)
{
    if (!path_is_same(at, from))
        return 0;
    path_get(to);
    *at = *to;
    return 1;
}

void directories_replace_roots(const struct path *from, const struct path *to)
{
    struct directories *directories;
    u32 replaced = 0;

    spin_lock(&all.lock);
    list_for_each (directories, &all.list, link) {
        spin_lock(&directories->lock);
        replaced += path_replace_locked(&directories->root, from, to);
        replaced += path_replace_locked(&directories->working, from, to);
        spin_unlock(&directories->lock);
    }
    spin_unlock(&all.lock);
    while (replaced--)
        path_put(from);
}

u32 umask_current(void)
{
    const struct directories *directories = thread_current()->directories;

    return directories ? READ_ONCE(directories->umask) : 0;
}
