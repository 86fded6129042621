/*
 * A directory's names in memory: two trees over the same names, one by name for looking up, one by
 * position for listing. A position is given once and never again, so a listing that goes on later
 * neither repeats a name nor leaves one out that was there all the time.
 *
 *     by name (hash, length, text)        by position
 *            "x"                               2 "bin"
 *          /     \                            /       \
 *       "bin"    "lib"                    (removed)    5 "x"     a reader at 3 goes on at 5
 *
 * A name holds a reference on its inode: so dentries may leave the cache at any time, and what is
 * named stays.
 *
 * A directory that goes while it still has names (its file system is unmounted) gives them up one
 * by one in a loop, never by recursion, for a tree may be deep: a directory in it that goes too,
 * which is put by that same loop, is only queued for it.
 *
 *     root goes: names of root put -> "a" goes: queued | "b" goes: queued;  then a's names, b's ...
 *
 * A symbolic link's text lies in its inode; the room that it has among what is kept
 * (memory_pages.c) goes with the inode.
 *
 * Locking: the caller holds the directory's inode.lock, but for memory_names_drain, when nobody
 *          else knows the directory any more. Context: giving up an inode sleeps.
 */
#include "memory_names.h"

#include <pith/fs.h>

#include "dentry.h"
#include "memory_pages.h"

static int compare(const struct memory_name *name, u32 hash, const char *text, u32 bytes)
{
    if (hash != name->hash)
        return hash < name->hash ? -1 : 1;
    if (bytes != name->bytes)
        return bytes < name->bytes ? -1 : 1;
    return memcmp(text, name->text, bytes);
}

static bool before_by_name(const struct tree_node *a, const struct tree_node *b)
{
    const struct memory_name *left = tree_entry(a, struct memory_name, by_name);

    return compare(tree_entry(b, struct memory_name, by_name), left->hash, left->text,
                   left->bytes) < 0;
}

static bool before_by_position(const struct tree_node *a, const struct tree_node *b)
{
    return tree_entry(a, struct memory_name, by_position)->position <
           tree_entry(b, struct memory_name, by_position)->position;
}

void memory_names_init(struct memory_names *names, u64 first_position, void *node)
{
    *names = (struct memory_names){.next_position = first_position, .node = node};
    list_init(&names->link);
}

void memory_drain_init(struct memory_drain *drain)
{
    spin_init(&drain->lock, LOCK_LEAF);
    list_init(&drain->waiting);
    drain->is_draining = false;
}

struct memory_name *memory_name_find(const struct memory_names *names, const char *text, u32 bytes)
{
    u32 hash = name_hash(text, bytes);
    struct tree_node *node = names->names.root;

    while (node) {
        struct memory_name *name = tree_entry(node, struct memory_name, by_name);
        int order = compare(name, hash, text, bytes);

        if (order == 0)
            return name;
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

int memory_name_create(struct memory_names *names, const char *text, u32 bytes,
                       struct memory_name **name_out)
{
    struct memory_name *name;
    int error = memory_kept_take(sizeof(*name) + bytes);

    if (error)
        return error;
    name = kmalloc(sizeof(*name) + bytes, ALLOC_CLEARED);
    if (!name) {
        memory_kept_give(sizeof(*name) + bytes);
        return -ENOMEM;
    }
    memcpy(name->text, text, bytes);
    name->bytes = bytes;
    name->hash = name_hash(text, bytes);
    name->position = names->next_position++;
    tree_insert(&names->names, &name->by_name, before_by_name);
    tree_insert(&names->positions, &name->by_position, before_by_position);
    *name_out = name;
    return 0;
}

void memory_name_destroy(struct memory_names *names, struct memory_name *name)
{
    tree_remove(&names->names, &name->by_name);
    tree_remove(&names->positions, &name->by_position);
    if (name->inode)
        inode_put(name->inode);
    memory_kept_give(sizeof(*name) + name->bytes);
    kfree(name);
}

void memory_name_set(struct memory_name *name, struct inode *inode)
{
    struct inode *before = name->inode;

    if (inode)
        inode_get(inode);
    name->inode = inode;
    if (before)
        inode_put(before);
}

struct memory_name *memory_name_from(const struct memory_names *names, u64 position)
{
    struct tree_node *at = names->positions.root;
    struct memory_name *found = NULL;

    while (at) {
        struct memory_name *name = tree_entry(at, struct memory_name, by_position);

        if (name->position >= position) {
            found = name;
            at = at->left;
        } else {
            at = at->right;
        }
    }
    return found;
}

struct memory_name *memory_name_next(struct memory_name *name)
{
    return tree_entry_or_null(tree_next(&name->by_position), struct memory_name, by_position);
}

void memory_names_drain(struct memory_drain *drain, struct memory_names *names)
{
    spin_lock(&drain->lock);
    list_push_back(&drain->waiting, &names->link);
    if (drain->is_draining) {
        spin_unlock(&drain->lock);
        return;
    }
    drain->is_draining = true;
    while (!list_is_empty(&drain->waiting)) {
        names = list_entry(list_pop_front(&drain->waiting), struct memory_names, link);
        spin_unlock(&drain->lock);
        while (names->names.root)
            memory_name_destroy(names, tree_entry(names->names.root, struct memory_name, by_name));
        kfree(names->node);
        spin_lock(&drain->lock);
    }
    drain->is_draining = false;
    spin_unlock(&drain->lock);
}

int memory_symlink(struct inode *directory, struct dentry *dentry, const char *target,
                   struct inode **inode_out)
{
    size_t bytes = strlen(target);
    int error = memory_kept_take(bytes + 1);
    const char *text;

    if (error)
        return error;
    error = -ENOMEM;
    text = link_text_create(target, bytes);
    if (!text)
        goto give_room;
    error = directory->operations->mknod(directory, dentry, S_IFLNK | 0777, 0, inode_out);
    if (error)
        goto free_text;
    (*inode_out)->link_text = text;
    (*inode_out)->size = bytes;
    return 0;

free_text:
    kfree((void *)text);
give_room:
    memory_kept_give(bytes + 1);
    return error;
}

void memory_symlink_release(const struct inode *inode)
{
    if (inode->link_text)
        memory_kept_give(strlen(inode->link_text) + 1);
}
