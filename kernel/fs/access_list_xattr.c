/*
 * Access control lists as programs read and set them: the attributes system.posix_acl_access and
 * system.posix_acl_default, which are a version and the entries one by one (acl(5), xattr(7)).
 *
 * Everybody may read them; the owner sets them. A list that says no more than a mode can is kept as
 * the mode alone. What a program sets is checked whole before anything changes: the order of the
 * entries (tags_after), that none is missing, and that there is a mask where somebody is named.
 *
 * Locking: inode.lock, held by xattr.c. Errors: -EINVAL (no list), -EOPNOTSUPP (another version; a
 *          link), -EACCES (an initial list for what is no directory), -EPERM, -ENOMEM.
 */
#include <pith/file_calls.h>

#include "access_list.h"
#include "inode_internal.h"
#include "permission.h"

static const char *const names_of[] = {
    [ACCESS_LIST_ACCESS] = "system.posix_acl_access",
    [ACCESS_LIST_INITIAL] = "system.posix_acl_default",
};

enum access_list_kind access_list_kind_of(const struct inode *inode, const char *name)
{
    if (!(inode->file_system->type->flags & FILE_SYSTEM_ACCESS_LISTS))
        return ACCESS_LIST_NONE;
    if (strcmp(name, names_of[ACCESS_LIST_ACCESS]) == 0)
        return ACCESS_LIST_ACCESS;
    return strcmp(name, names_of[ACCESS_LIST_INITIAL]) == 0 ? ACCESS_LIST_INITIAL
                                                            : ACCESS_LIST_NONE;
}

static const struct access_list *list_of(const struct inode *inode, enum access_list_kind kind)
{
    return kind == ACCESS_LIST_ACCESS ? inode->access_list : inode->initial_list;
}

ssize_t access_list_names(const struct inode *inode, char *names, size_t size)
{
    size_t used = 0;

    for (u32 kind = ACCESS_LIST_ACCESS; kind <= ACCESS_LIST_INITIAL; kind++) {
        size_t bytes = strlen(names_of[kind]) + 1;

        if (!list_of(inode, kind))
            continue;
        if (size && used + bytes > size)
            return -ERANGE;
        if (size)
            memcpy(names + used, names_of[kind], bytes);
        used += bytes;
    }
    return (ssize_t)used;
}

ssize_t access_list_get_xattr(const struct inode *inode, enum access_list_kind kind, void *value,
                              size_t size)
{
    const struct access_list *list = list_of(inode, kind);
    const struct abi_acl_header header = {.version = ACL_VERSION};
    size_t entries_bytes;

    if (inode_is_link(inode))
        return -EOPNOTSUPP;
    if (!list)
        return -ENODATA;
    entries_bytes = list->count * sizeof(list->entries[0]);
    if (size && size < sizeof(header) + entries_bytes)
        return -ERANGE;
    if (size) {
        memcpy(value, &header, sizeof(header));
        memcpy((u8 *)value + sizeof(header), list->entries, entries_bytes);
    }
    return (ssize_t)(sizeof(header) + entries_bytes);
}

/* ---- Setting ---- */

/* What may follow what: bits of tags. Before the first entry the tag is 0. */
static u32 tags_after(u32 tag)
{
    switch (tag) {
    case 0:
        return ACL_USER_OBJ;
    case ACL_USER_OBJ:
    case ACL_USER:
        return ACL_USER | ACL_GROUP_OBJ;
    case ACL_GROUP_OBJ:
    case ACL_GROUP:
        return ACL_GROUP | ACL_MASK | ACL_OTHER;
    case ACL_MASK:
        return ACL_OTHER;
    default:
        return 0;
    }
}

/* Whether the entries are a list: in order, complete, with a mask if somebody is named. */
static bool list_is_valid(const struct access_list *list)
{
    u32 tag = 0, seen = 0;

    for (u32 i = 0; i < list->count; i++) {
        const struct abi_acl_entry *entry = &list->entries[i];
        bool is_named = entry->tag == ACL_USER || entry->tag == ACL_GROUP;

        if (entry->tag == 0 || (entry->tag & (entry->tag - 1u)) || !(tags_after(tag) & entry->tag))
            return false;
        if (entry->permissions & ~(u32)(MAY_READ | MAY_WRITE | MAY_EXECUTE))
            return false;
        if (is_named && entry->id == ACL_NO_ID)
            return false;
        tag = entry->tag;
        seen |= tag;
    }
    return tag == ACL_OTHER && (!(seen & (ACL_USER | ACL_GROUP)) || (seen & ACL_MASK));
}

/* NULL without an error: no entries. -EINVAL, -EOPNOTSUPP, -ENOMEM. */
static int list_parse(const void *value, size_t size, struct access_list **list_out)
{
    struct abi_acl_header header;
    struct access_list *list;
    size_t bytes;

    *list_out = NULL;
    if (!size)
        return 0;
    if (size < sizeof(header))
        return -EINVAL;
    memcpy(&header, value, sizeof(header));
    if (header.version != ACL_VERSION)
        return -EOPNOTSUPP;
    bytes = size - sizeof(header);
    if (bytes % sizeof(list->entries[0]))
        return -EINVAL;
    if (!bytes)
        return 0;
    list = access_list_alloc((u32)(bytes / sizeof(list->entries[0])));
    if (!list)
        return -ENOMEM;
    memcpy(list->entries, (const u8 *)value + sizeof(header), bytes);
    for (u32 i = 0; i < list->count; i++)
        if (!(list->entries[i].tag & (ACL_USER | ACL_GROUP)))
            list->entries[i].id = ACL_NO_ID;
    *list_out = list;
    return 0;
}

/*
 * The mode that goes with the list, which is dropped if that says it all. As with chmod(2) the bit
 * S_ISGID is only for members of the group; also where the list is removed.
 */
static u32 mode_of_list(const struct inode *inode, struct access_list **list)
{
    const struct credentials *credentials = thread_current()->credentials;
    u32 mode = inode->mode & MODE_BITS, permissions = mode & PERMISSION_BITS;

    if (*list && access_list_is_mode(*list, &permissions)) {
        access_list_free(*list);
        *list = NULL;
    }
    mode = (mode & ~(u32)PERMISSION_BITS) | permissions;
    if (credentials && !credentials_have_group(credentials, inode->gid) &&
        !credentials_can(credentials, CAPABILITY_FSETID))
        mode &= ~(u32)S_ISGID;
    return mode;
}

int access_list_set_xattr(struct inode *inode, enum access_list_kind kind, const void *value,
                          size_t size)
{
    struct attribute_change change = {.valid = CHANGE_MODE, .mode = inode->mode & MODE_BITS};
    struct access_list *list;
    int error;

    if (inode_is_link(inode))
        return -EOPNOTSUPP;
    error = list_parse(value, size, &list);
    if (error)
        return error;
    error = -EACCES;
    if (kind == ACCESS_LIST_INITIAL && !inode_is_directory(inode)) {
        if (!list)
            return 0;
        goto free_list;
    }
    error = -EPERM;
    if (!inode_is_owned(inode))
        goto free_list;
    error = -EINVAL;
    if (list && !list_is_valid(list))
        goto free_list;
    if (kind == ACCESS_LIST_ACCESS)
        change.mode = mode_of_list(inode, &list);
    error = inode_change_locked(inode, &change); /* also where only the list changes: it is noted */
    if (error)
        goto free_list;
    access_list_replace(kind == ACCESS_LIST_ACCESS ? &inode->access_list : &inode->initial_list,
                        list);
    return 0;

free_list:
    access_list_free(list);
    return error;
}
