/*
 * Extended attributes in memory, for file systems that are nothing but memory: a list of names and
 * values at the inode, whose lock the caller holds (xattr(7)). Files have few of them; a list is
 * searched from its start. Errors as listxattr(2) and its kin have them; ENODATA: no such name.
 */
#include <pith/fs.h>

#include "memory_pages.h"
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

static size_t bytes_of(const char *name)
{
    return sizeof(struct memory_xattr) + strlen(name) + 1;
}

/* An empty one of that name, at the end of the list. -ENOSPC, -ENOMEM. */
static int add(struct list *xattrs, const char *name, struct memory_xattr **xattr_out)
{
    struct memory_xattr *xattr;
    int error = memory_kept_take(bytes_of(name));

    if (error)
        return error;
    xattr = kmalloc(bytes_of(name), ALLOC_CLEARED);
    if (!xattr) {
        memory_kept_give(bytes_of(name));
        return -ENOMEM;
    }
    memcpy(xattr->name, name, strlen(name) + 1);
    list_push_back(xattrs, &xattr->link);
    *xattr_out = xattr;
    return 0;
}

int memory_xattr_set(struct list *xattrs, const char *name, const void *value, size_t size,
                     int flags)
{
    struct memory_xattr *xattr = find(xattrs, name);
    void *copy;
    int error;

    if (xattr && (flags & XATTR_CREATE))
        return -EEXIST;
    if (!xattr && (flags & XATTR_REPLACE))
        return -ENODATA;
    error = memory_kept_take(size);
    if (error)
        return error;
    error = -ENOMEM;
    copy = kmalloc(MAX(size, (size_t)1), 0);
    if (!copy)
        goto give_bytes;
    memcpy(copy, value, size);
    if (!xattr)
        error = add(xattrs, name, &xattr);
    if (!xattr)
        goto free_copy;
    memory_kept_give(xattr->value_bytes);
    kfree(xattr->value);
    xattr->value = copy;
    xattr->value_bytes = size;
    return 0;

free_copy:
    kfree(copy);
give_bytes:
    memory_kept_give(size);
    return error;
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
    memory_kept_give(bytes_of(xattr->name) + xattr->value_bytes);
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
