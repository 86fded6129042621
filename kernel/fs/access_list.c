/*
 * Access control lists and modes: how each follows the other (acl(5)).
 *
 * A list has an entry for the owner, any for other users, one for the file's group, any for other
 * groups, a mask if there are such others, and one for everybody else, in this order. Owner, mask
 * (or group, without a mask) and everybody else *are* the three classes of the mode: who changes
 * one changes the other here, under the inode's lock, so that they never differ. So ls shows the
 * mask where the group's rights would be, and chmod g-w takes writing from all that the mask
 * limits.
 *
 * Checks (permission.c) look at the list without a lock: it never changes, but is replaced whole
 * and freed under RCU. Between the two stores of a change a check may see the new mode with the old
 * list; each of the two was right at some moment.
 *
 * Lists lie in the inode itself, for file systems that are memory (FILE_SYSTEM_ACCESS_LISTS). The
 * lists that the host's files have are the host's: it enforces them against the file server.
 */
#include "access_list.h"

#include "directories.h"
#include "inode_internal.h"

#define CLASS_BITS 07u

struct access_list *access_list_alloc(u32 count)
{
    struct access_list *list =
        kmalloc(sizeof(*list) + count * sizeof(list->entries[0]), ALLOC_CLEARED);

    if (list)
        list->count = count;
    return list;
}

static struct access_list *list_copy(const struct access_list *from)
{
    struct access_list *copy = access_list_alloc(from->count);

    if (copy)
        memcpy(copy->entries, from->entries, from->count * sizeof(from->entries[0]));
    return copy;
}

static void list_free_rcu(struct rcu_head *head)
{
    access_list_free(container_of(head, struct access_list, rcu));
}

void access_list_replace(struct access_list **slot, struct access_list *list)
{
    struct access_list *old = *slot;

    /* Pairs with the acquire in permission.c: the entries come before the pointer. */
    __atomic_store_n(slot, list, __ATOMIC_RELEASE);
    if (old)
        rcu_free(&old->rcu, list_free_rcu);
}

static struct abi_acl_entry *entry_find(struct access_list *list, u32 tag)
{
    for (u32 i = 0; i < list->count; i++)
        if (list->entries[i].tag == tag)
            return &list->entries[i];
    return NULL;
}

/* The entry that the mode's group class is. */
static struct abi_acl_entry *group_class(struct access_list *list)
{
    struct abi_acl_entry *mask = entry_find(list, ACL_MASK);

    return mask ? mask : entry_find(list, ACL_GROUP_OBJ);
}

bool access_list_is_mode(const struct access_list *list, u32 *permissions_out)
{
    struct access_list *own = (struct access_list *)list; /* only read */

    *permissions_out = (u32)entry_find(own, ACL_USER_OBJ)->permissions << 6 |
                       (u32)group_class(own)->permissions << 3 |
                       entry_find(own, ACL_OTHER)->permissions;
    return !entry_find(own, ACL_MASK);
}

/* ---- chmod ---- */

int access_list_change_mode(struct inode *inode, const struct attribute_change *change)
{
    struct access_list *list = NULL;
    int error;

    if (inode->access_list) {
        list = list_copy(inode->access_list);
        if (!list)
            return -ENOMEM;
        entry_find(list, ACL_USER_OBJ)->permissions = change->mode >> 6 & CLASS_BITS;
        group_class(list)->permissions = change->mode >> 3 & CLASS_BITS;
        entry_find(list, ACL_OTHER)->permissions = change->mode & CLASS_BITS;
    }
    error = inode_change_locked(inode, change);
    if (error)
        access_list_free(list);
    else if (list)
        access_list_replace(&inode->access_list, list);
    return error;
}

/* ---- New files ---- */

/* Takes from an entry what `mode` does not give at `shift`. */
static void entry_limit(struct abi_acl_entry *entry, u32 mode, u32 shift)
{
    entry->permissions &= mode >> shift & CLASS_BITS;
}

/* The list of a new file: the directory's initial one, but for what the creator does not want. */
static int creation_inherit(const struct access_list *initial, struct creation *creation)
{
    struct access_list *list = list_copy(initial);
    u32 permissions;

    if (!list)
        return -ENOMEM;
    entry_limit(entry_find(list, ACL_USER_OBJ), creation->mode, 6);
    entry_limit(group_class(list), creation->mode, 3);
    entry_limit(entry_find(list, ACL_OTHER), creation->mode, 0);
    if (access_list_is_mode(list, &permissions)) {
        access_list_free(list);
        list = NULL;
    }
    creation->access_list = list;
    creation->mode = (creation->mode & ~(u32)PERMISSION_BITS) | permissions;
    return 0;
}

/* umask takes nothing away where a directory says what its files begin with (acl(5)). */
int creation_begin(const struct inode *directory, u32 mode, struct creation *creation_out)
{
    const struct access_list *initial = directory->initial_list;
    int error;

    *creation_out = (struct creation){.mode = mode & (S_IFMT | MODE_BITS)};
    if (!initial) {
        if (mode & MODE_BY_UMASK)
            creation_out->mode &= ~umask_current();
        return 0;
    }
    if ((mode & S_IFMT) == S_IFDIR) {
        creation_out->initial_list = list_copy(initial);
        if (!creation_out->initial_list)
            return -ENOMEM;
    }
    error = creation_inherit(initial, creation_out);
    if (error)
        access_list_free(creation_out->initial_list);
    return error;
}

void creation_end(struct creation *creation, struct inode *inode)
{
    if (inode) {
        inode->access_list = creation->access_list;
        inode->initial_list = creation->initial_list;
    } else {
        access_list_free(creation->access_list);
        access_list_free(creation->initial_list);
    }
}
