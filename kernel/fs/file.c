/*
 * Open files: what a descriptor refers to.
 *
 * A file holds references on its path, on the credentials of its opener and, through the path, on
 * its inode. The last reference ends it: `release`, then everything it holds. Its memory goes
 * under RCU, since a thread that shares the table may be looking at the slot it was in.
 *
 * Others know of a file without counting it: epoll sets, signals' owners, watches of F_NOTIFY,
 * locks. Each leaves it when it ends, before `release` takes away the queues that they wait on;
 * so none of them can meet a file that is gone, and none of them keeps one open.
 *
 *     open:  file_alloc -> file_begin_writing -> `open` -> FILE_OPENED
 *     end:   who knows of it -> `release` (if FILE_OPENED) -> writer's count (if FILE_IS_WRITER)
 *
 * inode.writers counts those who may write above 0, and running executables below: the one forbids
 * the other (ETXTBSY), and neither has to be found to be asked.
 *
 * Files that have no name in any directory (pipes, sockets, eventfd, epoll) have a dentry of their
 * own in a file system that is mounted nowhere, which says what /proc/PID/fd shows for them.
 *
 * Locking: file.offset_lock for the offset, file.lock for changes of the flags; inode.private_lock
 *          for inode.writers. Context: file_put sleeps.
 */
#include "file.h"

#include <pith/epoll.h>

#include "dentry.h"
#include "file_owner.h"
#include "inode_internal.h"
#include "locks.h"
#include "mount.h"
#include "notify.h"

static struct slab_cache *file_slab;

static struct {
    struct file_system *file_system;
    struct mount *mount;
    struct inode *inode; /* of files that need none of their own: eventfd, epoll */
} anonymous;

struct file *file_alloc(const struct path *path, u32 flags)
{
    struct file *file = slab_alloc(file_slab, ALLOC_CLEARED);
    struct credentials *credentials = thread_current()->credentials;
    static const u32 modes[O_ACCMODE + 1] = {FILE_READ, FILE_WRITE, FILE_READ | FILE_WRITE, 0};

    if (!file)
        return NULL;
    refcount_set(&file->references, 1);
    file->flags = flags & FILE_FLAGS_KEPT;
    file->mode = flags & O_PATH ? FILE_PATH : modes[flags & O_ACCMODE];
    file->path = *path;
    path_get(path);
    file->inode = path->dentry->inode;
    file->operations = file->inode->file_operations;
    if (credentials) {
        credentials_get(credentials);
        file->credentials = credentials;
    }
    mutex_init(&file->offset_lock, LOCK_FILE);
    spin_init(&file->lock, LOCK_LEAF);
    list_init(&file->epoll_items);
    return file;
}

/* Counts who may write: an executable that runs may not be written (ETXTBSY). */
int file_begin_writing(struct file *file)
{
    struct inode *inode = file->inode;
    int error = 0;

    if (!(file->mode & FILE_WRITE) || !inode_is_regular(inode))
        return 0;
    spin_lock(&inode->private_lock);
    if (inode->writers < 0)
        error = -ETXTBSY;
    else
        inode->writers++;
    spin_unlock(&inode->private_lock);
    if (error)
        return error;
    __atomic_fetch_add(&file->path.mount->writers, 1, __ATOMIC_ACQ_REL);
    file->mode |= FILE_IS_WRITER;
    return 0;
}

static void file_end_writing(struct file *file)
{
    struct inode *inode = file->inode;

    spin_lock(&inode->private_lock);
    inode->writers--;
    spin_unlock(&inode->private_lock);
    __atomic_fetch_sub(&file->path.mount->writers, 1, __ATOMIC_ACQ_REL);
}

int file_deny_write(struct file *file)
{
    struct inode *inode = file->inode;
    int error = 0;

    spin_lock(&inode->private_lock);
    if (inode->writers > 0)
        error = -ETXTBSY;
    else
        inode->writers--;
    spin_unlock(&inode->private_lock);
    return error;
}

void file_allow_write(struct file *file)
{
    struct inode *inode = file->inode;

    spin_lock(&inode->private_lock);
    inode->writers++;
    spin_unlock(&inode->private_lock);
}

static void file_free_rcu(struct rcu_head *head)
{
    slab_free(file_slab, container_of(head, struct file, rcu));
}

static noinline void file_end(struct file *file)
{
    if (file->mode & FILE_OPENED)
        notify_file(file, file->mode & FILE_WRITE ? IN_CLOSE_WRITE : IN_CLOSE_NOWRITE);
    if (unlikely(!list_is_empty(&file->epoll_items)))
        epoll_file_released(file);
    if (unlikely(file->mode & FILE_NOTIFIES))
        dnotify_end(file, NULL);
    if (unlikely(file->owner))
        file_owner_released(file);
    if (unlikely(file->mode & FILE_WAS_LOCKED))
        file_locks_release_file(file);
    if ((file->mode & FILE_OPENED) && file->operations->release)
        file->operations->release(file);
    if (file->mode & FILE_IS_WRITER)
        file_end_writing(file);
    path_put(&file->path);
    if (file->credentials)
        credentials_put(file->credentials);
    rcu_free(&file->rcu, file_free_rcu);
}

void file_put(struct file *file)
{
    if (refcount_dec_is_zero(&file->references))
        file_end(file);
}

void file_change_flags(struct file *file, u32 mask, u32 value)
{
    spin_lock(&file->lock);
    WRITE_ONCE(file->flags, (file->flags & ~mask) | (value & mask));
    spin_unlock(&file->lock);
}

/* ---- Files without a name ---- */

struct file_system *anonymous_file_system(void)
{
    return anonymous.file_system;
}

struct mount *anonymous_mount(void)
{
    return anonymous.mount;
}

/* Takes over a reference of `inode`. */
static int file_create_at(struct inode *inode, const char *kind,
                          const struct file_operations *operations, u32 flags, void *private_data,
                          struct file **file_out)
{
    struct dentry *dentry = dentry_create_anonymous(inode, kind);
    struct path path = {anonymous.mount, dentry};
    struct file *file;

    if (!dentry) {
        inode_put(inode);
        return -ENOMEM;
    }
    file = file_alloc(&path, flags);
    dentry_put(dentry);
    if (!file)
        return -ENOMEM;
    file->operations = operations;
    file->private_data = private_data;
    file->mode |= FILE_OPENED;
    *file_out = file;
    return 0;
}

int file_create_anonymous(const char *name, const struct file_operations *operations, u32 flags,
                          void *private_data, struct file **file_out)
{
    char kind[DENTRY_INLINE_NAME];

    format_text(kind, sizeof(kind), "anon_inode:%s", name);
    inode_get(anonymous.inode);
    return file_create_at(anonymous.inode, kind, operations, flags, private_data, file_out);
}

int file_create_on_inode(const char *kind, struct inode *inode,
                         const struct file_operations *operations, u32 flags, void *private_data,
                         struct file **file_out)
{
    char name[DENTRY_INLINE_NAME];

    format_text(name, sizeof(name), "%s:[%lu]", kind, inode->number);
    inode_get(inode);
    return file_create_at(inode, name, operations, flags, private_data, file_out);
}

static int anonymous_statistics(struct file_system *file_system, struct statistics *out)
{
    *out = (struct statistics){.type = file_system->magic,
                               .block_bytes = PAGE_SIZE,
                               .name_max = NAME_MAX_BYTES,
                               .id = file_system->device};
    return 0;
}

static const struct file_system_type anonymous_type = {.name = "anon_inodefs"};
static const struct file_system_operations anonymous_operations = {.statistics =
                                                                       anonymous_statistics};

struct inode *inode_create_anonymous(u32 mode)
{
    struct inode *inode = inode_alloc(anonymous.file_system);

    if (!inode)
        return NULL;
    inode_init_owner(inode, NULL, mode);
    return inode;
}

void files_init(void)
{
    struct inode *root;

    file_slab = slab_cache_create("file", sizeof(struct file), __alignof__(struct file));
    anonymous.file_system =
        file_system_alloc(&anonymous_type, &anonymous_operations, ANON_INODE_MAGIC);
    assert(file_slab && anonymous.file_system);
    anonymous.file_system->flags = FILE_SYSTEM_STAYS;
    anonymous.inode = inode_create_anonymous(0600);
    root = inode_create_anonymous(S_IFDIR | 0500);
    assert(anonymous.inode && root);
    anonymous.file_system->root = dentry_create_root(root);
    assert(anonymous.file_system->root);
    anonymous.mount = mount_alloc(anonymous.file_system, anonymous.file_system->root, "none", 0);
    assert(anonymous.mount);
}
