/*
 * Who may do what with a file: the classic bits, its access control list, then capabilities
 * (path_resolution(7), acl(5), capabilities(7)).
 *
 * The first class that fits decides: owner, else group, else others. A list stands between owner
 * and group: the user who is named; else any of the groups that gives all that is wanted; else
 * others. Who is named, and all groups, get no more than the mask. Root's power is a capability:
 * DAC_OVERRIDE opens everything (a file is executed only if somebody may execute it),
 * DAC_READ_SEARCH reads files and searches directories.
 *
 * Rights of names are rights to their directory: to make or remove one takes writing and searching
 * it, whatever the file's own mode says, but for directories with the sticky bit.
 *
 * Mode, owner and list are read without the inode's lock: a change at the same moment is seen or
 * not. The list is replaced whole, so what is read of it is one list (RCU). What the mount forbids
 * (EROFS, noexec) is asked with the path, the rest with the inode.
 *
 * Context: any thread, also a walk under RCU: nothing here sleeps, unless a file system has a
 *          `permission` of its own, with which the fast walk does not deal.
 */
#include "permission.h"

#include "access_list.h"
#include "mount.h"

#define EXECUTE_BITS 0111u

struct identity {
    u32 uid, gid;
    u64 capabilities;
};

/* access(2) asks by the real ids, and with the capabilities that those would have after exec. */
static struct identity identity_of(const struct credentials *credentials, u32 wanted)
{
    if (likely(!(wanted & MAY_REAL_IDS)))
        return (struct identity){credentials->fsuid, credentials->fsgid,
                                 credentials->capabilities_effective};
    return (struct identity){credentials->uid, credentials->gid,
                             credentials->uid == 0 ? credentials->capabilities_permitted : 0};
}

static bool group_fits(const struct credentials *credentials, const struct identity *identity,
                       u32 gid)
{
    if (identity->gid == gid)
        return true;
    /* fsgid is among what credentials_have_group looks at: it stands for the group just asked. */
    return gid != credentials->fsgid && credentials_have_group(credentials, gid);
}

static u32 class_bits(const struct inode *inode, const struct credentials *credentials,
                      const struct identity *identity)
{
    if (inode->uid == identity->uid)
        return inode->mode >> 6;
    if (group_fits(credentials, identity, inode->gid))
        return inode->mode >> 3;
    return inode->mode;
}

static u32 mask_of(const struct access_list *list)
{
    for (u32 i = list->count; i-- > 0;)
        if (list->entries[i].tag == ACL_MASK)
            return list->entries[i].permissions;
    return ~0u;
}

/* By the list, to who is not the owner. */
static u32 list_bits(const struct inode *inode, const struct access_list *list,
                     const struct credentials *credentials, const struct identity *identity,
                     u32 wanted)
{
    bool has_group = false;

    for (u32 i = 0; i < list->count; i++) {
        const struct abi_acl_entry *entry = &list->entries[i];
        u32 gid = entry->tag == ACL_GROUP_OBJ ? inode->gid : entry->id;

        switch (entry->tag) {
        case ACL_USER:
            if (entry->id == identity->uid)
                return entry->permissions & mask_of(list);
            break;
        case ACL_GROUP_OBJ:
        case ACL_GROUP:
            if (!group_fits(credentials, identity, gid))
                break;
            if ((entry->permissions & wanted) == wanted)
                return entry->permissions & mask_of(list);
            has_group = true;
            break;
        case ACL_OTHER:
            return has_group ? 0 : entry->permissions;
        }
    }
    return 0;
}

/* What the caller may, of the bits that are wanted. */
static u32 allowed_bits(const struct inode *inode, const struct credentials *credentials,
                        const struct identity *identity, u32 wanted)
{
    const struct access_list *list;
    u32 bits;

    if (likely(!READ_ONCE(inode->access_list)) || inode->uid == identity->uid)
        return class_bits(inode, credentials, identity);
    rcu_read_lock();
    list = __atomic_load_n(&inode->access_list, __ATOMIC_ACQUIRE);
    /* With nothing in the mask the list is not asked: so it is on Linux. */
    bits = list && (inode->mode & S_IRWXG) ? list_bits(inode, list, credentials, identity, wanted)
                                           : class_bits(inode, credentials, identity);
    rcu_read_unlock();
    return bits;
}

static bool capability_opens(const struct inode *inode, const struct identity *identity, u32 wanted)
{
    if (identity->capabilities & BIT(CAPABILITY_DAC_OVERRIDE))
        return inode_is_directory(inode) || !(wanted & MAY_EXECUTE) || (inode->mode & EXECUTE_BITS);
    if (!(identity->capabilities & BIT(CAPABILITY_DAC_READ_SEARCH)) || (wanted & MAY_WRITE))
        return false;
    return inode_is_directory(inode) || !(wanted & MAY_EXECUTE);
}

int inode_permission(struct inode *inode, u32 wanted)
{
    const struct credentials *credentials = thread_current()->credentials;
    u32 bits = wanted & (MAY_READ | MAY_WRITE | MAY_EXECUTE);
    struct identity identity;

    if (unlikely(inode->operations->permission))
        return inode->operations->permission(inode, wanted);
    if (!credentials) /* the kernel itself, at boot */
        return 0;
    identity = identity_of(credentials, wanted);
    if ((allowed_bits(inode, credentials, &identity, bits) & bits) == bits)
        return 0;
    return capability_opens(inode, &identity, bits) ? 0 : -EACCES;
}

int path_permission(const struct path *path, u32 wanted)
{
    struct inode *inode = path->dentry->inode;
    u32 type = inode->mode & S_IFMT;

    if ((wanted & MAY_WRITE) && (type == S_IFREG || type == S_IFDIR || type == S_IFLNK)) {
        int error = mount_check_write(path->mount);

        if (error)
            return error;
    }
    if ((wanted & MAY_EXECUTE) && type == S_IFREG && (READ_ONCE(path->mount->flags) & MS_NOEXEC))
        return -EACCES;
    return inode_permission(inode, wanted);
}

bool inode_is_owned(const struct inode *inode)
{
    const struct credentials *credentials = thread_current()->credentials;

    return !credentials || credentials->fsuid == inode->uid ||
           credentials_can(credentials, CAPABILITY_FOWNER);
}

int may_create(const struct path *directory)
{
    if (!directory->dentry->inode->links)
        return -ENOENT;
    return path_permission(directory, MAY_WRITE | MAY_EXECUTE);
}

/* In a sticky directory (/tmp) only the owners of the file and of the directory remove names. */
static bool sticky_forbids(const struct inode *directory, const struct inode *victim)
{
    const struct credentials *credentials = thread_current()->credentials;

    if (!(directory->mode & S_ISVTX) || !credentials)
        return false;
    return victim->uid != credentials->fsuid && directory->uid != credentials->fsuid &&
           !credentials_can(credentials, CAPABILITY_FOWNER);
}

int may_delete(const struct path *directory, const struct dentry *victim, u32 victim_type)
{
    const struct inode *inode = victim->inode;
    int error;

    if (!inode)
        return -ENOENT;
    error = path_permission(directory, MAY_WRITE | MAY_EXECUTE);
    if (error)
        return error;
    if (sticky_forbids(directory->dentry->inode, inode))
        return -EPERM;
    if (victim_type == S_IFDIR && !inode_is_directory(inode))
        return -ENOTDIR;
    if (victim_type != S_IFDIR && victim_type && inode_is_directory(inode))
        return -EISDIR;
    return victim->mounts ? -EBUSY : 0;
}

bool path_allows_set_ids(const struct path *path)
{
    return !(READ_ONCE(path->mount->flags) & MS_NOSUID);
}
