/*
 * Extended attributes of the overlay: the lower's until the first is changed here; then all are
 * copied, and only the copies count. A copy that fails half way is dropped, and the lower's count
 * as before.
 *
 * Locking: the inode's lock is held; the lower's is taken below it.
 */
#include "overlay.h"
#include "tmpfs.h"

#define LIST_BYTES_MAX 65536 /* XATTR_LIST_MAX */

/* The inode whose attributes count; NULL: ours. */
static struct inode *lower_of(const struct inode *inode)
{
    return overlay_node_of(inode)->has_xattrs ? NULL : overlay_lower_inode(inode);
}

static ssize_t lower_get(struct inode *lower, const char *name, void *value, size_t size)
{
    ssize_t result = -EOPNOTSUPP;

    if (!lower->operations->get_xattr)
        return -EOPNOTSUPP;
    mutex_lock(&lower->lock);
    result = lower->operations->get_xattr(lower, name, value, size);
    mutex_unlock(&lower->lock);
    return result;
}

static ssize_t lower_list(struct inode *lower, char *list, size_t size)
{
    ssize_t result;

    if (!lower->operations->list_xattr)
        return 0;
    mutex_lock(&lower->lock);
    result = lower->operations->list_xattr(lower, list, size);
    mutex_unlock(&lower->lock);
    return result;
}

/* ---- Copying ---- */

static int copy_one(struct inode *inode, struct inode *lower, const char *name)
{
    ssize_t bytes = lower_get(lower, name, NULL, 0);
    void *value;
    int error;

    if (bytes < 0)
        return bytes == -ENODATA ? 0 : (int)bytes;
    value = kmalloc(MAX(bytes, (ssize_t)1), 0);
    if (!value)
        return -ENOMEM;
    if (bytes)
        bytes = lower_get(lower, name, value, (size_t)bytes);
    error = bytes < 0
                ? (int)bytes
                : memory_xattr_set(&overlay_node_of(inode)->xattrs, name, value, (size_t)bytes, 0);
    kfree(value);
    return error;
}

static int copy_all(struct inode *inode, struct inode *lower, const char *list, ssize_t bytes)
{
    for (ssize_t at = 0; at < bytes; at += (ssize_t)strlen(list + at) + 1) {
        int error = copy_one(inode, lower, list + at);

        if (error) {
            memory_xattr_free_all(&overlay_node_of(inode)->xattrs);
            return error;
        }
    }
    return 0;
}

/* Makes the attributes ours. */
static int xattrs_own(struct inode *inode)
{
    struct overlay_node *node = overlay_node_of(inode);
    struct inode *lower = lower_of(inode);
    ssize_t bytes;
    char *list;
    int error;

    if (lower) {
        bytes = lower_list(lower, NULL, 0);
        if (bytes < 0 && bytes != -EOPNOTSUPP)
            return (int)bytes;
        bytes = MIN(MAX(bytes, (ssize_t)0), (ssize_t)LIST_BYTES_MAX);
        list = kmalloc((size_t)bytes + 1, ALLOC_CLEARED);
        if (!list)
            return -ENOMEM;
        if (bytes)
            bytes = lower_list(lower, list, (size_t)bytes);
        error = bytes < 0 ? (int)bytes : copy_all(inode, lower, list, bytes);
        kfree(list);
        if (error)
            return error;
    }
    node->has_xattrs = true;
    overlay_inode_change(inode);
    return 0;
}

/* ---- Operations ---- */

ssize_t overlay_get_xattr(struct inode *inode, const char *name, void *value, size_t size)
{
    struct inode *lower = lower_of(inode);

    if (lower)
        return lower_get(lower, name, value, size);
    return memory_xattr_get(&overlay_node_of(inode)->xattrs, name, value, size);
}

int overlay_set_xattr(struct inode *inode, const char *name, const void *value, size_t size,
                      int flags)
{
    int error = xattrs_own(inode);

    return error ? error
                 : memory_xattr_set(&overlay_node_of(inode)->xattrs, name, value, size, flags);
}

ssize_t overlay_list_xattr(struct inode *inode, char *list, size_t size)
{
    struct inode *lower = lower_of(inode);

    if (lower)
        return lower_list(lower, list, size);
    return memory_xattr_list(&overlay_node_of(inode)->xattrs, list, size);
}

int overlay_remove_xattr(struct inode *inode, const char *name)
{
    int error = xattrs_own(inode);

    return error ? error : memory_xattr_remove(&overlay_node_of(inode)->xattrs, name);
}
