/*
 * Access control lists: who may do what with a file beyond its mode (acl(5)).
 *
 * An inode of a file system in memory may have two: `access_list`, which decides together with the
 * mode, and a directory's `initial_list`, which its new files begin with (ACL's "default").
 */
#pragma once

#include <pith/fs.h>

#include <pith/abi/acl.h>

/*
 * Never changes: another takes its place, so who reads one under RCU reads one list. Valid by the
 * rules of acl(5), and in their order.
 */
struct access_list {
    struct rcu_head rcu;
    u32 count;
    struct abi_acl_entry entries[];
};

/* NULL: no memory. The entries are the caller's to fill in. */
struct access_list *access_list_alloc(u32 count) must_check;
static inline void access_list_free(struct access_list *list)
{
    kfree(list);
}
/*
 * Puts `list` (NULL: none) in the place of *slot, which is freed when no check can be reading it.
 */
void access_list_replace(struct access_list **slot, struct access_list *list);
/* The permission bits of a mode that say the same as the list, and whether that is all it says. */
bool access_list_is_mode(const struct access_list *list, u32 *permissions_out);

/* A chmod. inode->lock is held. -ENOMEM and what the file system says. */
int access_list_change_mode(struct inode *inode, const struct attribute_change *change) must_check;

/* What a new file begins with: mode, and lists of its own. */
struct creation {
    u32 mode;
    struct access_list *access_list, *initial_list;
};
/*
 * By its directory's initial list, else by umask. The directory is locked. To be followed by
 * creation_end in any case but an error. -ENOMEM.
 */
int creation_begin(const struct inode *directory, u32 mode, struct creation *creation_out)
    must_check;
/* `inode`: what was made, which nobody else has seen yet; NULL: nothing was. */
void creation_end(struct creation *creation, struct inode *inode);

/* access_list_xattr.c: the lists as extended attributes. */
enum access_list_kind {
    ACCESS_LIST_NONE, /* the name is no list's, or there are none in this file system */
    ACCESS_LIST_ACCESS,
    ACCESS_LIST_INITIAL,
};
enum access_list_kind access_list_kind_of(const struct inode *inode, const char *name);
/* inode->lock is held for all three. Bytes; -ENODATA, -ERANGE, -EOPNOTSUPP (of a link). */
ssize_t access_list_get_xattr(const struct inode *inode, enum access_list_kind kind, void *value,
                              size_t size) must_check;
/* No bytes: it goes. -EINVAL, -EOPNOTSUPP (the version), -EACCES, -EPERM, -ENOMEM. */
int access_list_set_xattr(struct inode *inode, enum access_list_kind kind, const void *value,
                          size_t size) must_check;
/* The names of those that there are, each with its NUL. Bytes; -ERANGE. */
ssize_t access_list_names(const struct inode *inode, char *names, size_t size) must_check;
