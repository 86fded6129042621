/*
 * Changing a file's attributes: who may, and what else changes with it (chmod(2), chown(2),
 * utimensat(2), truncate(2)).
 *
 * Each checks the mount (EROFS), then the caller's right to this change, then has the inode changed
 * under its lock, and tells who watches. The right is looked at before the lock is held, as on
 * Linux: a chown that comes between the two may let a change through that was right when it was
 * asked.
 *
 * What goes with it: S_ISGID is not given by who is not in the file's group; a chown takes both
 * set-ID bits from a file that is no directory; "now" is a right of who may write, any other time
 * the owner's.
 */
#include <pith/file_calls.h>

#include "inode_internal.h"
#include "mount.h"
#include "notify.h"
#include "permission.h"

int path_attributes(const struct path *path, struct attributes *attributes_out)
{
    int error = inode_get_attributes(path->dentry->inode, attributes_out);

    attributes_out->mount_id = path->mount->id;
    attributes_out->is_mount_root = path->dentry == path->mount->root;
    return error;
}

int path_statistics(const struct path *path, struct statistics *statistics_out,
                    u32 *mount_flags_out)
{
    struct file_system *file_system = path->mount->file_system;

    if (!file_system->operations->statistics)
        return -ENOSYS;
    *mount_flags_out = READ_ONCE(path->mount->flags) | (file_system->flags & MS_RDONLY);
    return file_system->operations->statistics(file_system, statistics_out);
}

bool file_is_owned(const struct file *file)
{
    return inode_is_owned(file->inode);
}

/* Whether `gid` may become a file's group by its owner's wish. */
static bool caller_has_group(u32 gid)
{
    const struct credentials *credentials = thread_current()->credentials;

    return credentials_have_group(credentials, gid);
}

static bool caller_can(enum capability what)
{
    const struct credentials *credentials = thread_current()->credentials;

    return !credentials || credentials_can(credentials, what);
}

/* As inode_change; those who watch are told what it looks like to them. */
static int path_change(const struct path *path, const struct attribute_change *change)
{
    const u32 times = CHANGE_ACCESSED | CHANGE_MODIFIED;
    int error = inode_change(path->dentry->inode, change);
    u32 mask = IN_ATTRIB;

    if ((change->valid & times) == CHANGE_ACCESSED)
        mask = IN_ACCESS;
    else if ((change->valid & times) == CHANGE_MODIFIED)
        mask = IN_MODIFY;
    if (!error)
        notify_dentry(path->dentry, mask);
    return error;
}

int path_change_mode(const struct path *path, u32 mode)
{
    struct inode *inode = path->dentry->inode;
    struct attribute_change change = {.valid = CHANGE_MODE, .mode = mode & MODE_BITS};
    int error = mount_check_write(path->mount);

    if (error)
        return error;
    if (inode_is_link(inode))
        return -EOPNOTSUPP;
    if (!inode_is_owned(inode))
        return -EPERM;
    if ((mode & S_ISGID) && !caller_has_group(inode->gid) && !caller_can(CAPABILITY_FSETID))
        change.mode &= ~(u32)S_ISGID;
    return path_change(path, &change);
}

/* Without CAP_CHOWN only the group changes, by the owner, to one that he is in. */
static int owner_may_change(const struct inode *inode, u32 uid, u32 gid)
{
    const struct credentials *credentials = thread_current()->credentials;

    if (caller_can(CAPABILITY_CHOWN))
        return 0;
    if (credentials->fsuid != inode->uid)
        return -EPERM;
    if (uid != ~0u && uid != inode->uid)
        return -EPERM;
    if (gid != ~0u && gid != inode->gid && !caller_has_group(gid))
        return -EPERM;
    return 0;
}

int path_change_owner(const struct path *path, u32 uid, u32 gid)
{
    struct inode *inode = path->dentry->inode;
    struct attribute_change change = {
        .valid = (uid == ~0u ? 0 : CHANGE_UID) | (gid == ~0u ? 0 : CHANGE_GID) |
                 (inode_is_directory(inode) ? 0 : CHANGE_KILL_SUID),
        .uid = uid,
        .gid = gid,
    };
    int error = mount_check_write(path->mount);

    if (!error)
        error = owner_may_change(inode, uid, gid);
    return error ? error : path_change(path, &change);
}

/* "Now" is one moment for both times. */
int path_change_times(const struct path *path, const struct times_change *times)
{
    struct inode *inode = path->dentry->inode;
    const u32 both = CHANGE_ACCESSED | CHANGE_MODIFIED;
    s64 now = inode_now_ns();
    struct attribute_change change = {
        .valid = times->valid,
        .accessed_ns = times->now & CHANGE_ACCESSED ? now : times->accessed_ns,
        .modified_ns = times->now & CHANGE_MODIFIED ? now : times->modified_ns,
    };
    int error;

    if (!times->valid)
        return 0;
    error = mount_check_write(path->mount);
    if (error)
        return error;
    /* Who may write may say "now"; other times are the owner's. */
    if (!inode_is_owned(inode)) {
        if ((times->now & both) != both)
            return -EPERM;
        error = inode_permission(inode, MAY_WRITE);
        if (error)
            return error;
    }
    return path_change(path, &change);
}

/* A program that runs may not be cut. */
static int truncate_check(struct inode *inode)
{
    int error = 0;

    spin_lock(&inode->private_lock);
    if (inode->writers < 0)
        error = -ETXTBSY;
    spin_unlock(&inode->private_lock);
    return error;
}

int path_truncate(const struct path *path, s64 size)
{
    int error;

    if (size < 0)
        return -EINVAL;
    if (inode_is_directory(path->dentry->inode))
        return -EISDIR;
    if (!inode_is_regular(path->dentry->inode))
        return -EINVAL;
    error = path_permission(path, MAY_WRITE);
    if (!error)
        error = truncate_check(path->dentry->inode);
    if (!error)
        error = inode_truncate(path->dentry->inode, (u64)size, 0);
    if (!error)
        notify_dentry(path->dentry, IN_MODIFY);
    return error;
}

int file_truncate(struct file *file, s64 size)
{
    int error;

    if (size < 0 || !(file->mode & FILE_WRITE) || !inode_is_regular(file->inode))
        return -EINVAL;
    error = inode_truncate(file->inode, (u64)size, 0);
    if (!error)
        notify_file(file, IN_MODIFY);
    return error;
}
