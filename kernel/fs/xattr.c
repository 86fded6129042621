/*
 * Extended attributes: who may read and change those of which name space (xattr(7)).
 *
 *     user.       as the file's data; only of regular files and directories
 *     trusted.    CAP_SYS_ADMIN; others do not even see them
 *     security.   read by all, changed with CAP_SYS_ADMIN
 *     system.     access control lists, which access_list_xattr.c keeps
 *
 * A file system keeps names and values and knows nothing of rights. Length and size of names and
 * values were checked in abi/.
 *
 * Locking: inode.lock around the file system's operation, so that a list and its values agree.
 * Errors:  EROFS, then EPERM to change what one may not, or ENODATA to read what one may not see;
 *          EOPNOTSUPP for other name spaces and file systems without attributes.
 */
#include <pith/file_calls.h>

#include "access_list.h"
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

/* Whether the caller may use the name space that `name` begins with. `wanted`: see below. */
static int name_space_permission(struct inode *inode, const char *name, u32 wanted)
{
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

/* `wanted`: MAY_READ or MAY_WRITE. -EINVAL: a name space and no name in it. */
static int xattr_permission(const struct path *path, const char *name, u32 wanted)
{
    int error = wanted & MAY_WRITE ? mount_check_write(path->mount) : 0;

    if (!error)
        error = name_space_permission(path->dentry->inode, name, wanted);
    if (!error && strchr(name, '.')[1] == '\0')
        error = -EINVAL;
    return error;
}

ssize_t path_get_xattr(const struct path *path, const char *name, void *value, size_t size)
{
    struct inode *inode = path->dentry->inode;
    enum access_list_kind kind = access_list_kind_of(inode, name);
    ssize_t result = kind ? 0 : xattr_permission(path, name, MAY_READ);

    if (result)
        return result;
    if (!inode->operations->get_xattr)
        return -EOPNOTSUPP;
    mutex_lock(&inode->lock);
    result = kind ? access_list_get_xattr(inode, kind, value, size)
                  : inode->operations->get_xattr(inode, name, value, size);
    mutex_unlock(&inode->lock);
    return result;
}

/* Sets one, or with `value` NULL takes it away. */
static int xattr_change(const struct path *path, const char *name, const void *value, size_t size,
                        int flags)
{
    struct inode *inode = path->dentry->inode;
    enum access_list_kind kind = access_list_kind_of(inode, name);
    int error = kind ? mount_check_write(path->mount) : xattr_permission(path, name, MAY_WRITE);

    if (error)
        return error;
    if (!inode->operations->set_xattr)
        return -EOPNOTSUPP;
    mutex_lock(&inode->lock);
    if (kind)
        error = access_list_set_xattr(inode, kind, value, size);
    else if (value)
        error = inode->operations->set_xattr(inode, name, value, size, flags);
    else
        error = inode->operations->remove_xattr(inode, name);
    if (!error)
        inode->changed_ns = inode_now_ns();
    mutex_unlock(&inode->lock);
    if (!error)
        notify_dentry(path->dentry, IN_ATTRIB);
    return error;
}

int path_set_xattr(const struct path *path, const char *name, const void *value, size_t size,
                   int flags)
{
    return xattr_change(path, name, value, size, flags);
}

int path_remove_xattr(const struct path *path, const char *name)
{
    return xattr_change(path, name, NULL, 0, 0);
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

/* The lists' names, then the file system's. inode->lock is held. */
static ssize_t list_locked(struct inode *inode, char *list, size_t size)
{
    ssize_t used = access_list_names(inode, list, size), more;

    if (used < 0)
        return used;
    /* A size of 0 would ask how many there are. */
    more = inode->operations->list_xattr(inode, list + used, size ? size - (size_t)used : 0);
    if (more < 0)
        return more;
    return more && size && size == (size_t)used ? -ERANGE : used + more;
}

ssize_t path_list_xattr(const struct path *path, char *list, size_t size)
{
    struct inode *inode = path->dentry->inode;
    ssize_t result;

    if (!inode->operations->list_xattr)
        return 0;
    mutex_lock(&inode->lock);
    result = list_locked(inode, list, size);
    mutex_unlock(&inode->lock);
    return result > 0 && size ? list_filter(list, result) : result;
}
