/*
 * The listing of an overlay's changes (overlay_changes.h), for `pith run --diff` and `--keep`.
 *
 * Everything that differs hangs on one of two things: the overlay's list of changed inodes over
 * lower ones, and the names that directories have of their own. So the listing is a walk over a
 * list of inodes to look at: at first the root and all that are changed; a new directory is put
 * behind them when its name is met. A directory has one name, so none comes twice, and the walk
 * needs no stack however deep the tree is.
 *
 *     to do:  root -> changed -> changed -> ... -> new directories
 *              | FILE, then its NAMEs one by one: `position` is the next name's
 *
 * Each record is made in a buffer with the inode locked, and copied out with nothing locked but the
 * listing itself: the reader's memory may be a mapping of any file.
 *
 * Locking: listing.lock for the walk; then one inode's lock, or file_system.inode_lock, at a time.
 */
#include <pith/file_calls.h>
#include <pith/overlay_changes.h>

#include "mount.h"
#include "overlay.h"

#define RECORD_ALIGNMENT 8u

/* An inode to look at. */
struct to_do {
    struct list link;
    struct inode *inode; /* a reference; NULL while the list is being made */
};

struct listing {
    struct mutex lock;       /* LOCK_OVERLAY */
    struct overlay *overlay; /* [const] the file's path keeps it */
    struct list to_do;       /* guarded_by(&lock) */
    bool has_begun;          /* guarded_by(&lock) the first one's FILE is out */
    u64 position;            /* guarded_by(&lock) of the first one's next name */
    struct file *directory;  /* [const] keeps the overlay */
};

/* A record with the longest text. */
struct record_buffer {
    struct overlay_record record;
    char text[PATH_MAX_BYTES + RECORD_ALIGNMENT];
};

/* ---- What to look at ---- */

static void to_do_free(struct to_do *item)
{
    if (item->inode)
        inode_put(item->inode);
    kfree(item);
}

static void listing_free(struct listing *listing)
{
    struct list *link;

    while ((link = list_pop_front(&listing->to_do)))
        to_do_free(list_entry(link, struct to_do, link));
    file_put(listing->directory);
    kfree(listing);
}

static int to_do_add(struct listing *listing, struct inode *inode)
{
    struct to_do *item = kmalloc(sizeof(*item), 0);

    if (!item)
        return -ENOMEM;
    if (inode)
        inode_get(inode);
    item->inode = inode;
    list_push_back(&listing->to_do, &item->link);
    return 0;
}

static u64 changed_count_locked(const struct overlay *overlay)
{
    struct overlay_node *node;
    u64 count = 0;

    list_for_each (node, &overlay->changed, link)
        count++;
    return count;
}

/* Gives the prepared items their inodes. Returns how many more are needed; then none has one. */
static u64 changed_take(struct listing *listing, u64 prepared)
{
    struct spinlock *lock = &listing->overlay->root->file_system->inode_lock;
    struct overlay_node *node;
    struct list *at = listing->to_do.next->next; /* behind the root */
    u64 count;

    spin_lock(lock);
    count = changed_count_locked(listing->overlay);
    if (count <= prepared) {
        list_for_each (node, &listing->overlay->changed, link) {
            inode_get(node->inode);
            list_entry(at, struct to_do, link)->inode = node->inode;
            at = at->next;
        }
    }
    spin_unlock(lock);
    return count > prepared ? count - prepared : 0;
}

/* The root and all that is changed. Items are made without the lock, so it may take rounds. */
static int listing_fill(struct listing *listing)
{
    int error = to_do_add(listing, listing->overlay->root);
    u64 prepared = 0, missing;

    while (!error && (missing = changed_take(listing, prepared))) {
        for (; missing && !error; missing--, prepared++)
            error = to_do_add(listing, NULL);
    }
    return error;
}

/* ---- Records ---- */

static u32 changes_of(const struct inode *inode)
{
    const struct inode *lower = overlay_lower_inode(inode);
    const struct overlay_node *node = overlay_node_of(inode);
    u32 flags = 0;

    if (inode_is_regular(inode) &&
        (inode->pages.dirty_count || inode->size != lower->size || node->lower_bytes < lower->size))
        flags |= OVERLAY_CHANGED_DATA;
    if (inode->mode != lower->mode)
        flags |= OVERLAY_CHANGED_MODE;
    if (inode->uid != lower->uid || inode->gid != lower->gid)
        flags |= OVERLAY_CHANGED_OWNER;
    if (node->has_xattrs)
        flags |= OVERLAY_CHANGED_XATTR;
    return flags;
}

/* The lower's path, built from its end. -ENAMETOOLONG. */
static int lower_path(const struct listing *listing, const struct dentry *lower,
                      struct record_buffer *buffer)
{
    u32 at = PATH_MAX_BYTES;
    int error = 0;

    spin_lock(&dentry_lock);
    while (lower != listing->overlay->lower.dentry && !dentry_is_root(lower) && !error) {
        u32 bytes = lower->name_bytes;

        if (at < bytes + 1) {
            error = -ENAMETOOLONG;
            break;
        }
        at -= bytes + 1;
        buffer->text[at] = '/';
        memcpy(buffer->text + at + 1, lower->name, bytes);
        lower = lower->parent;
    }
    spin_unlock(&dentry_lock);
    buffer->record.text_bytes = PATH_MAX_BYTES - at;
    memmove(buffer->text, buffer->text + at, PATH_MAX_BYTES - at);
    return error;
}

/* False: it is new, or its name is too long for anybody to use, so there is nothing to say. */
static bool file_record(const struct listing *listing, struct inode *inode,
                        struct record_buffer *buffer)
{
    const struct overlay_node *node = overlay_node_of(inode);

    if (!node->lower || lower_path(listing, node->lower, buffer))
        return false;
    buffer->record.kind = OVERLAY_RECORD_FILE;
    buffer->record.file = node->id;
    mutex_lock(&inode->lock);
    buffer->record.flags = changes_of(inode);
    mutex_unlock(&inode->lock);
    return true;
}

/* The next name's. 1: there was one; 0: there are no more; -ENOMEM. */
static int name_record(struct listing *listing, struct inode *inode, struct record_buffer *buffer)
{
    struct overlay_node *node = overlay_node_of(inode);
    struct memory_name *name;
    int result = 0;

    mutex_lock(&inode->lock);
    name = memory_name_from(&node->names, listing->position);
    if (name) {
        struct overlay_node *target = name->inode ? overlay_node_of(name->inode) : NULL;
        bool is_own = target && !target->lower;

        buffer->record.kind = OVERLAY_RECORD_NAME;
        buffer->record.flags = is_own ? OVERLAY_IS_OWN : 0;
        buffer->record.file = target ? target->id : 0;
        buffer->record.directory = node->id;
        buffer->record.text_bytes = name->bytes;
        memcpy(buffer->text, name->text, name->bytes);
        result = is_own && inode_is_directory(name->inode) ? to_do_add(listing, name->inode) : 0;
        if (!result) {
            listing->position = name->position + 1;
            result = 1;
        }
    }
    mutex_unlock(&inode->lock);
    return result;
}

/* Makes the record that comes next; listing->lock is held. 1; 0: the end; -ENOMEM. */
static int next_record(struct listing *listing, struct record_buffer *buffer)
{
    while (!list_is_empty(&listing->to_do)) {
        struct to_do *item = list_first_entry(&listing->to_do, struct to_do, link);
        int result = 0;

        memset(buffer, 0, sizeof(*buffer));
        if (!listing->has_begun) {
            listing->has_begun = true;
            if (item->inode && file_record(listing, item->inode, buffer))
                return 1;
        }
        if (item->inode && inode_is_directory(item->inode))
            result = name_record(listing, item->inode, buffer);
        if (result)
            return result;
        list_remove(&item->link);
        to_do_free(item);
        listing->has_begun = false;
        listing->position = 0;
    }
    return 0;
}

/* Whole records only, so there must be room for the longest. */
static ssize_t listing_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct listing *listing = file->private_data;
    struct record_buffer *buffer;
    ssize_t done = 0;
    int result = 1;

    if (io->bytes_left < sizeof(*buffer))
        return -EINVAL;
    buffer = kmalloc(sizeof(*buffer), 0);
    if (!buffer)
        return -ENOMEM;
    mutex_lock(&listing->lock);
    while (result > 0 && io->bytes_left >= sizeof(*buffer)) {
        size_t bytes;

        result = next_record(listing, buffer);
        if (result <= 0)
            break;
        bytes = sizeof(buffer->record) +
                DIV_ROUND_UP(buffer->record.text_bytes, RECORD_ALIGNMENT) * RECORD_ALIGNMENT;
        if (io_copy_to(io, buffer, bytes) < bytes)
            result = -EFAULT;
        else
            done += (ssize_t)bytes;
    }
    mutex_unlock(&listing->lock);
    kfree(buffer);
    return done ? done : result;
}

static void listing_release(struct file *file)
{
    listing_free(file->private_data);
}

static const struct file_operations listing_operations = {
    .release = listing_release,
    .read = listing_read,
    .flags = FILE_OPERATIONS_STREAM,
};

static int listing_open(struct file *directory, struct file **file_out)
{
    struct listing *listing = kmalloc(sizeof(*listing), ALLOC_CLEARED);
    int error;

    if (!listing)
        return -ENOMEM;
    mutex_init(&listing->lock, LOCK_OVERLAY);
    list_init(&listing->to_do);
    listing->overlay = overlay_of(directory->inode);
    file_get(directory);
    listing->directory = directory;
    error = listing_fill(listing);
    if (!error)
        error = file_create_anonymous("[overlay changes]", &listing_operations, O_RDONLY, listing,
                                      file_out);
    if (error)
        listing_free(listing);
    return error;
}

long overlay_directory_ioctl(struct file *directory, u32 command, u64 argument)
{
    struct file *file;
    int error;

    if (command != OVERLAY_IOCTL_CHANGES)
        return -ENOTTY;
    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN))
        return -EPERM;
    error = listing_open(directory, &file);
    return error ? error : fd_create(file, O_CLOEXEC);
}
