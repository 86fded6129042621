/*
 * Extended attributes in memory, for file systems that are nothing but memory: a list of names and
 * values at the inode, whose lock the caller holds (xattr(7)). Files have few of them; a list is
 * searched from its start. Errors as listxattr(2) and its kin have them; ENODATA: no such name.
 */
#include <pith/fs.h>

#include "tmpfs.h"

/* guarded by inode.lock */
struct memory_xattr {
    struct list link;
    u32 value_bytes;
    void *value; /* kmalloc'ed; replaced whole */
    char name[]; /* ended by NUL */
};

static struct memory_xattr *find(struct list *xattrs, const char *name)
{
    struct memory_xattr *xattr;

    list_for_each (xattr, xattrs, link) {
        if (strcmp(xattr->name, name) == 0)
            return xattr;
    }
    return NULL;
}

ssize_t memory_xattr_get(struct list *xattrs, const char *name, void *value, size_t size)
{
    struct memory_xattr *xattr = find(xattrs, name);

    if (!xattr)
        return -ENODATA;
    if (size == 0)
        return xattr->value_bytes;
    if (size < xattr->value_bytes)
        return -ERANGE;
    memcpy(value, xattr->value, xattr->value_bytes);
    return xattr->value_bytes;
}

/* An empty one of that name, at the end of the list. NULL: no memory. */
static struct memory_xattr *add(struct list *xattrs, const char *name)
{
    struct memory_xattr *xattr = kmalloc(sizeof(*xattr) + strlen(name) + 1, ALLOC_CLEARED);

    if (!xattr)
        return NULL;
    memcpy(xattr->name, name, strlen(name) + 1);
    list_push_back(xattrs, &xattr->link);
    return xattr;
}

int memory_xattr_set(struct list *xattrs, const char *name, const void *value, size_t size,
                     int flags)
{
    struct memory_xattr *xattr = find(xattrs, name);
    void *copy;

    if (xattr && (flags & XATTR_CREATE))
        return -EEXIST;
    if (!xattr && (flags & XATTR_REPLACE))
        return -ENODATA;
    copy = kmalloc(MAX(size, (size_t)1), 0);
    if (!copy)
        return -ENOMEM;
    memcpy(copy, value, size);
    if (!xattr)
        xattr = add(xattrs, name);
    if (!xattr) {
        kfree(copy);
        return -ENOMEM;
    }
    kfree(xattr->value);
    xattr->value = copy;
    xattr->value_bytes = size;
    return 0;
}

ssize_t memory_xattr_list(struct list *xattrs, char *list, size_t size)
{
    struct memory_xattr *xattr;
    size_t used = 0;

    list_for_each (xattr, xattrs, link) {
        size_t bytes = strlen(xattr->name) + 1;

        if (size && used + bytes > size)
            return -ERANGE;
        if (size)
            memcpy(list + used, xattr->name, bytes);
        used += bytes;
    }
    return used;
}

static void destroy(struct memory_xattr *xattr)
{
    list_remove(&xattr->link);
    kfree(xattr->value);
    kfree(xattr);
}

int memory_xattr_remove(struct list *xattrs, const char *name)
{
    struct memory_xattr *xattr = find(xattrs, name);

    if (!xattr)
        return -ENODATA;
    destroy(xattr);
    return 0;
}

void memory_xattr_free_all(struct list *xattrs)
{
    while (!list_is_empty(xattrs))
        destroy(list_first_entry(xattrs, struct memory_xattr, link));
}
