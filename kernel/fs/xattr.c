/*
 * Extended attributes: who may read and change those of which name space (xattr(7)).
 *
 *     user.       as the file's data; only of regular files and directories
 *     trusted.    CAP_SYS_ADMIN; others do not even see them
 *     security.   read by all, changed with CAP_SYS_ADMIN
 *
 * There are no access control lists (system.posix_acl_*): programs are told so, and use the mode.
 */
#include <pith/file_calls.h>

#include "mount.h"
#include "notify.h"
#include "permission.h"

static bool name_begins(const char *name, const char *prefix)
{
    return strncmp(name, prefix, strlen(prefix)) == 0;
}

static bool caller_is_admin(void)
{
    const struct credentials *credentials = thread_current()->credentials;

    return !credentials || credentials_can(credentials, CAPABILITY_SYS_ADMIN);
}

/* `wanted`: MAY_READ or MAY_WRITE. */
static int xattr_permission(const struct path *path, const char *name, u32 wanted)
{
    struct inode *inode = path->dentry->inode;

    if (wanted & MAY_WRITE) {
        int error = mount_check_write(path->mount);

        if (error)
            return error;
    }
    if (name_begins(name, "trusted."))
        return caller_is_admin() ? 0 : wanted & MAY_WRITE ? -EPERM : -ENODATA;
    if (name_begins(name, "security."))
        return !(wanted & MAY_WRITE) || caller_is_admin() ? 0 : -EPERM;
    if (!name_begins(name, "user."))
        return -EOPNOTSUPP;
    if (!inode_is_regular(inode) && !inode_is_directory(inode))
        return wanted & MAY_WRITE ? -EPERM : -ENODATA;
    if (inode_is_directory(inode) && (inode->mode & S_ISVTX) && (wanted & MAY_WRITE) &&
        !inode_is_owned(inode))
        return -EPERM;
    return inode_permission(inode, wanted);
}

ssize_t path_get_xattr(const struct path *path, const char *name, void *value, size_t size)
{
    struct inode *inode = path->dentry->inode;
    ssize_t result = xattr_permission(path, name, MAY_READ);

    if (result)
        return result;
    if (!inode->operations->get_xattr)
        return -EOPNOTSUPP;
    mutex_lock(&inode->lock);
    result = inode->operations->get_xattr(inode, name, value, size);
    mutex_unlock(&inode->lock);
    return result;
}

int path_set_xattr(const struct path *path, const char *name, const void *value, size_t size,
                   int flags)
{
    struct inode *inode = path->dentry->inode;
    int error = xattr_permission(path, name, MAY_WRITE);

    if (error)
        return error;
    if (!inode->operations->set_xattr)
        return -EOPNOTSUPP;
    mutex_lock(&inode->lock);
    error = inode->operations->set_xattr(inode, name, value, size, flags);
    if (!error)
        inode->changed_ns = inode_now_ns();
    mutex_unlock(&inode->lock);
    if (!error)
        notify_dentry(path->dentry, IN_ATTRIB);
    return error;
}

/* Takes out the names that the caller does not see. Returns the bytes that are left. */
static ssize_t list_filter(char *list, ssize_t bytes)
{
    ssize_t from = 0, to = 0;

    if (caller_is_admin())
        return bytes;
    while (from < bytes) {
        ssize_t length = (ssize_t)strlen(list + from) + 1;

        if (!name_begins(list + from, "trusted.")) {
            memmove(list + to, list + from, (size_t)length);
            to += length;
        }
        from += length;
    }
    return to;
}

ssize_t path_list_xattr(const struct path *path, char *list, size_t size)
{
    struct inode *inode = path->dentry->inode;
    ssize_t result;

    if (!inode->operations->list_xattr)
        return 0;
    mutex_lock(&inode->lock);
    result = inode->operations->list_xattr(inode, list, size);
    mutex_unlock(&inode->lock);
    return result > 0 && size ? list_filter(list, result) : result;
}

int path_remove_xattr(const struct path *path, const char *name)
{
    struct inode *inode = path->dentry->inode;
    int error = xattr_permission(path, name, MAY_WRITE);

    if (error)
        return error;
    if (!inode->operations->remove_xattr)
        return -EOPNOTSUPP;
    mutex_lock(&inode->lock);
    error = inode->operations->remove_xattr(inode, name);
    if (!error)
        inode->changed_ns = inode_now_ns();
    mutex_unlock(&inode->lock);
    if (!error)
        notify_dentry(path->dentry, IN_ATTRIB);
    return error;
}
