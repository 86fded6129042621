/*
 * Inodes: the file itself, while somebody refers to it.
 *
 * An inode begins with one reference and ends with its last: then its file system frees what it
 * hung on it (and, with no link left, the file), its pages leave the cache, and its memory goes
 * under RCU, because a path walk may be reading mode and owner.
 *
 * A file system that keeps a table of its inodes does not count in it: it would keep them all. It
 * takes the inode out in `inode_release`, under its table's lock; who finds one there meanwhile
 * gets a reference only from a count that is not 0 (inode_get_if_alive), and makes a new inode
 * otherwise:
 *
 *     inode_put                            lookup of the same file
 *     count 1 -> 0                         lock; finds it; count is 0: dead
 *     inode_release: lock; takes it out    puts a new one in its place; unlock
 *       only if the table still has *it*
 *
 * Attributes are changed under inode.lock and by way of `set_attributes`, which every file system
 * ends in inode_set_attributes: the one place where fields and page cache change together.
 *
 * Locking: mode, owner, times and size change under inode.lock; readers that need no two of them
 *          to agree read without it. private_lock for what other files of fs/ hang on an inode.
 * Context: inode_put sleeps.
 */
#include <pith/fs.h>

#include "access_list.h"
#include "inode_internal.h"
#include "locks.h"
#include "pipe.h"

static struct slab_cache *inode_slab;
static u64 inode_numbers; /* [atomic] */

u64 inode_number_new(void)
{
    return __atomic_add_fetch(&inode_numbers, 1, __ATOMIC_RELAXED);
}

s64 inode_now_ns(void)
{
    return (s64)clock_realtime_ns();
}

static const struct inode_operations no_operations;

struct inode *inode_alloc(struct file_system *file_system)
{
    struct inode *inode = slab_alloc(inode_slab, ALLOC_CLEARED);
    s64 now = inode_now_ns();

    if (!inode)
        return NULL;
    refcount_set(&inode->references, 1);
    inode->links = 1;
    inode->number = inode_number_new();
    inode->file_system = file_system;
    inode->operations = &no_operations;
    inode->accessed_ns = inode->modified_ns = inode->changed_ns = inode->born_ns = now;
    mutex_init(&inode->lock, LOCK_INODE);
    spin_init(&inode->private_lock, LOCK_LEAF);
    list_init(&inode->table_link);
    page_cache_init(&inode->pages, inode);
    file_system_get(file_system);
    return inode;
}

static void inode_free_rcu(struct rcu_head *head)
{
    struct inode *inode = container_of(head, struct inode, rcu);

    kfree((void *)inode->link_text);
    access_list_free(inode->access_list);
    access_list_free(inode->initial_list);
    slab_free(inode_slab, inode);
}

/* Pages go first: giving up their room needs what the file system hung on the inode. */
void inode_put(struct inode *inode)
{
    struct file_system *file_system = inode->file_system;

    if (!refcount_dec_is_zero(&inode->references))
        return;
    page_cache_fini(&inode->pages);
    file_locks_free(inode);
    if (file_system->operations->inode_release)
        file_system->operations->inode_release(inode);
    rcu_free(&inode->rcu, inode_free_rcu);
    file_system_put(file_system);
}

const char *link_text_create(const char *target, size_t bytes)
{
    char *text = kmalloc(bytes + 1, 0);

    if (!text)
        return NULL;
    memcpy(text, target, bytes);
    text[bytes] = '\0';
    return text;
}

void inode_attributes(struct inode *inode, struct attributes *attributes_out)
{
    *attributes_out = (struct attributes){
        .device = inode->file_system->device,
        .inode_number = inode->number,
        .mode = inode->mode,
        .links = inode->links,
        .uid = inode->uid,
        .gid = inode->gid,
        .rdev = inode->rdev,
        .size = READ_ONCE(inode->size),
        .blocks = inode->pages.dirty_count * (PAGE_SIZE / 512),
        .block_bytes = PAGE_SIZE,
        .accessed_ns = inode->accessed_ns,
        .modified_ns = inode->modified_ns,
        .changed_ns = inode->changed_ns,
        .born_ns = inode->born_ns,
    };
}

int inode_get_attributes(struct inode *inode, struct attributes *attributes_out)
{
    if (inode->operations->get_attributes)
        return inode->operations->get_attributes(inode, attributes_out);
    inode_attributes(inode, attributes_out);
    return 0;
}

/*
 * What writing to a set-ID program leaves of its mode. Without group execution S_ISGID is no right
 * (it once meant mandatory locking), and stays.
 */
static u32 mode_without_set_ids(u32 mode)
{
    if ((mode & S_IFMT) == S_IFDIR)
        return mode;
    mode &= ~S_ISUID;
    return mode & S_IXGRP ? mode & ~S_ISGID : mode;
}

void inode_set_attributes(struct inode *inode, const struct attribute_change *change)
{
    s64 now = inode_now_ns();

    if (change->valid & CHANGE_UID)
        inode->uid = change->uid;
    if (change->valid & CHANGE_GID)
        inode->gid = change->gid;
    if (change->valid & CHANGE_KILL_SUID)
        inode->mode = mode_without_set_ids(inode->mode);
    if (change->valid & CHANGE_MODE)
        inode->mode = (inode->mode & S_IFMT) | (change->mode & MODE_BITS);
    if (change->valid & CHANGE_SIZE) {
        u64 old_size = inode->size;

        WRITE_ONCE(inode->size, change->size);
        if (change->size < old_size)
            page_cache_truncate(inode, change->size);
        inode->modified_ns = now;
    }
    if (change->valid & CHANGE_ACCESSED)
        inode->accessed_ns = change->accessed_ns;
    if (change->valid & CHANGE_MODIFIED)
        inode->modified_ns = change->modified_ns;
    inode->changed_ns = now;
}

int inode_change_locked(struct inode *inode, const struct attribute_change *change)
{
    if (inode->operations->set_attributes)
        return inode->operations->set_attributes(inode, change);
    inode_set_attributes(inode, change);
    return 0;
}

int inode_change(struct inode *inode, const struct attribute_change *change)
{
    int error = mutex_lock_killable(&inode->lock);

    if (error)
        return error;
    error = change->valid & CHANGE_MODE ? access_list_change_mode(inode, change)
                                        : inode_change_locked(inode, change);
    mutex_unlock(&inode->lock);
    return error;
}

int inode_check_size(const struct inode *inode, u64 size)
{
    if (size > inode->file_system->size_max)
        return -EFBIG;
    if (size > fs_file_size_limit() && size > READ_ONCE(inode->size)) {
        fs_signal_current(SIGNAL_FILE_SIZE);
        return -EFBIG;
    }
    return 0;
}

int inode_truncate(struct inode *inode, u64 size, u32 change_flags)
{
    struct attribute_change change = {.valid = CHANGE_SIZE | change_flags, .size = size};
    int error = inode_check_size(inode, size);

    if (error)
        return error;
    error = mutex_lock_killable(&inode->lock);
    if (error)
        return error;
    if (inode_must_kill_set_ids(inode))
        change.valid |= CHANGE_KILL_SUID;
    if ((inode->seals & F_SEAL_SHRINK && size < inode->size) ||
        (inode->seals & F_SEAL_GROW && size > inode->size))
        error = -EPERM;
    else
        error = inode_change_locked(inode, &change);
    mutex_unlock(&inode->lock);
    return error;
}

bool inode_must_kill_set_ids(const struct inode *inode)
{
    if (likely(!(inode->mode & (S_ISUID | S_ISGID))))
        return false;
    return mode_without_set_ids(inode->mode) != inode->mode &&
           !credentials_can(thread_current()->credentials, CAPABILITY_FSETID);
}

void inode_touch(struct inode *inode)
{
    inode->modified_ns = inode->changed_ns = inode_now_ns();
}

void inode_init_owner(struct inode *inode, const struct inode *directory, u32 mode)
{
    const struct thread *thread = thread_current();

    inode->mode = mode;
    inode->uid = thread->credentials ? thread->credentials->fsuid : 0;
    inode->gid = thread->credentials ? thread->credentials->fsgid : 0;
    if (!directory || !(directory->mode & S_ISGID))
        return;
    inode->gid = directory->gid;
    if ((mode & S_IFMT) == S_IFDIR)
        inode->mode |= S_ISGID;
    else if ((mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP) &&
             !credentials_have_group(thread->credentials, directory->gid) &&
             !credentials_can(thread->credentials, CAPABILITY_FSETID))
        inode->mode &= ~S_ISGID;
}

void inode_init_special(struct inode *inode, u32 mode, u64 rdev)
{
    static const struct file_operations *const by_type[16] = {
        [DT_CHR] = &character_device_operations,
        [DT_BLK] = &block_device_operations,
        [DT_FIFO] = &fifo_operations,
        [DT_SOCK] = &socket_node_operations,
    };

    inode->mode = mode;
    inode->rdev = (mode & S_IFMT) == S_IFCHR || (mode & S_IFMT) == S_IFBLK ? rdev : 0;
    inode->file_operations = by_type[MODE_TO_DT(mode)];
}

void inode_init_tables(struct inode *inode, const struct inode_tables *tables, u32 mode, u64 rdev)
{
    inode->operations = tables->other;
    switch (mode & S_IFMT) {
    case S_IFDIR:
        inode->operations = tables->directory;
        inode->file_operations = tables->directory_file;
        break;
    case S_IFREG:
        inode->file_operations = tables->regular_file;
        inode->pages.operations = tables->pages;
        break;
    case S_IFLNK:
        break;
    default:
        inode_init_special(inode, mode, rdev);
    }
}

void inode_init(void)
{
    inode_slab = slab_cache_create("inode", sizeof(struct inode), __alignof__(struct inode));
    assert(inode_slab);
}
