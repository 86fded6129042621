/*
 * tmpfs's directories: each is two trees over the same entries, one by name for looking up, one by
 * position for listing. A position is given once and never again, so a listing that goes on later
 * neither repeats an entry nor leaves one out that was there all the time. "." and ".." have the
 * positions 0 and 1.
 *
 * An entry holds a reference on its inode: so names may leave the cache at any time, and what is
 * named stays. A directory that goes while it still has entries (its file system is unmounted)
 * gives them up one by one in a loop, never by recursion: a directory in it that goes too is only
 * put on the list of those that are still to be drained.
 *
 * Locking: an entry is guarded by its directory's inode.lock, which the callers hold.
 */
#include <pith/fs.h>

#include "tmpfs.h"

#define FIRST_POSITION 2

static struct tmpfs_entry *entry_by_name(struct tree_node *node)
{
    return tree_entry(node, struct tmpfs_entry, by_name);
}

/* ---- Entries ---- */

static u32 hash_name(const char *name, u32 bytes)
{
    u32 hash = 0;

    for (u32 i = 0; i < bytes; i++)
        hash = (hash ^ (u8)name[i]) * 0x01000193u; /* FNV-1a's prime */
    return hash;
}

static int compare_name(const struct tmpfs_entry *entry, u32 hash, const char *name, u32 bytes)
{
    if (hash != entry->hash)
        return hash < entry->hash ? -1 : 1;
    if (bytes != entry->name_bytes)
        return bytes < entry->name_bytes ? -1 : 1;
    return memcmp(name, entry->name, bytes);
}

static bool before_by_name(const struct tree_node *a, const struct tree_node *b)
{
    const struct tmpfs_entry *left = tree_entry(a, struct tmpfs_entry, by_name);

    return compare_name(tree_entry(b, struct tmpfs_entry, by_name), left->hash, left->name,
                        left->name_bytes) < 0;
}

static bool before_by_position(const struct tree_node *a, const struct tree_node *b)
{
    return tree_entry(a, struct tmpfs_entry, by_position)->position <
           tree_entry(b, struct tmpfs_entry, by_position)->position;
}

static struct tmpfs_entry *entry_find(const struct inode *directory, const struct dentry *dentry)
{
    const char *name = dentry_name(dentry);
    u32 bytes = dentry_name_bytes(dentry), hash = hash_name(name, bytes);
    struct tree_node *node = tmpfs_node_of(directory)->names.root;

    while (node) {
        struct tmpfs_entry *entry = entry_by_name(node);
        int order = compare_name(entry, hash, name, bytes);

        if (order == 0)
            return entry;
        node = order < 0 ? node->left : node->right;
    }
    return NULL;
}

/* Adds a name for the inode, of which the entry takes a reference. NULL: no memory. */
static struct tmpfs_entry *entry_create(struct inode *directory, const struct dentry *dentry,
                                        struct inode *inode)
{
    struct tmpfs_node *node = tmpfs_node_of(directory);
    u32 bytes = dentry_name_bytes(dentry);
    struct tmpfs_entry *entry = kmalloc(sizeof(*entry) + bytes, ALLOC_CLEARED);

    if (!entry)
        return NULL;
    memcpy(entry->name, dentry_name(dentry), bytes);
    entry->name_bytes = bytes;
    entry->hash = hash_name(entry->name, bytes);
    entry->position = node->next_position++;
    entry->inode = inode;
    inode_get(inode);
    tree_insert(&node->names, &entry->by_name, before_by_name);
    tree_insert(&node->positions, &entry->by_position, before_by_position);
    directory->size += sizeof(struct tmpfs_entry);
    return entry;
}

static void entry_destroy(struct inode *directory, struct tmpfs_entry *entry)
{
    struct tmpfs_node *node = tmpfs_node_of(directory);
    struct inode *inode = entry->inode;

    tree_remove(&node->names, &entry->by_name);
    tree_remove(&node->positions, &entry->by_position);
    directory->size -= sizeof(struct tmpfs_entry);
    kfree(entry);
    inode_put(inode);
}

static void entries_give_up(struct tmpfs_node *node)
{
    struct tree_node *at;

    while ((at = node->names.root)) {
        struct tmpfs_entry *entry = entry_by_name(at);

        tree_remove(&node->names, &entry->by_name);
        inode_put(entry->inode);
        kfree(entry);
    }
}

void tmpfs_entries_release(struct inode *directory)
{
    struct file_system *file_system = directory->file_system;
    struct tmpfs_node *node = tmpfs_node_of(directory);
    struct tmpfs *tmpfs = tmpfs_of(directory);

    spin_lock(&file_system->inode_lock);
    list_push_back(&tmpfs->draining, &node->draining_link);
    if (tmpfs->is_draining) {
        spin_unlock(&file_system->inode_lock);
        return;
    }
    tmpfs->is_draining = true;
    while (!list_is_empty(&tmpfs->draining)) {
        node = list_entry(list_pop_front(&tmpfs->draining), struct tmpfs_node, draining_link);
        spin_unlock(&file_system->inode_lock);
        entries_give_up(node);
        kfree(node);
        spin_lock(&file_system->inode_lock);
    }
    tmpfs->is_draining = false;
    spin_unlock(&file_system->inode_lock);
}

/* ---- Operations ---- */

static int tmpfs_lookup(struct inode *directory, struct dentry *dentry, struct inode **inode_out)
{
    struct tmpfs_entry *entry = entry_find(directory, dentry);

    *inode_out = entry ? entry->inode : NULL;
    if (entry)
        inode_get(entry->inode);
    return 0;
}

/* Makes an inode and its name. */
static int tmpfs_make(struct inode *directory, struct dentry *dentry, u32 mode, u64 rdev,
                      struct inode **inode_out)
{
    struct inode *inode;
    int error = tmpfs_inode_create(directory->file_system, directory, mode, rdev, &inode);

    if (error)
        return error;
    if (!entry_create(directory, dentry, inode)) {
        inode->links = 0;
        inode_put(inode);
        return -ENOMEM;
    }
    inode_touch(directory);
    *inode_out = inode;
    return 0;
}

static int tmpfs_create(struct inode *directory, struct dentry *dentry, u32 mode,
                        struct inode **inode_out)
{
    return tmpfs_make(directory, dentry, S_IFREG | (mode & ~S_IFMT), 0, inode_out);
}

static int tmpfs_mknod(struct inode *directory, struct dentry *dentry, u32 mode, u64 rdev,
                       struct inode **inode_out)
{
    return tmpfs_make(directory, dentry, mode, rdev, inode_out);
}

static int tmpfs_mkdir(struct inode *directory, struct dentry *dentry, u32 mode,
                       struct inode **inode_out)
{
    int error = tmpfs_make(directory, dentry, S_IFDIR | (mode & ~S_IFMT), 0, inode_out);

    if (!error) {
        tmpfs_node_of(*inode_out)->parent_number = directory->number;
        directory->links++;
    }
    return error;
}

static int tmpfs_symlink(struct inode *directory, struct dentry *dentry, const char *target,
                         struct inode **inode_out)
{
    size_t bytes = strlen(target);
    const char *text = link_text_create(target, bytes);
    int error;

    if (!text)
        return -ENOMEM;
    error = tmpfs_make(directory, dentry, S_IFLNK | 0777, 0, inode_out);
    if (error) {
        kfree((void *)text);
        return error;
    }
    (*inode_out)->link_text = text;
    (*inode_out)->size = bytes;
    return 0;
}

static int tmpfs_link(struct inode *directory, struct dentry *dentry, struct inode *inode)
{
    if (!entry_create(directory, dentry, inode))
        return -ENOMEM;
    inode->links++;
    inode->changed_ns = inode_now_ns();
    inode_touch(directory);
    return 0;
}

static int tmpfs_unlink(struct inode *directory, struct dentry *dentry)
{
    struct tmpfs_entry *entry = entry_find(directory, dentry);
    struct inode *inode = dentry_inode(dentry);

    if (!entry)
        return -ENOENT;
    inode->links--;
    inode->changed_ns = inode_now_ns();
    entry_destroy(directory, entry);
    inode_touch(directory);
    return 0;
}

static int tmpfs_rmdir(struct inode *directory, struct dentry *dentry)
{
    struct inode *inode = dentry_inode(dentry);
    int error;

    if (!tree_is_empty(&tmpfs_node_of(inode)->names))
        return -ENOTEMPTY;
    error = tmpfs_unlink(directory, dentry);
    if (error)
        return error;
    inode->links = 0;
    directory->links--;
    return 0;
}

/* ---- Renaming ---- */

/* A directory goes from one parent to another: its ".." counts there now. */
static void directory_moved(struct inode *moved, struct inode *from, struct inode *to)
{
    if (!inode_is_directory(moved) || from == to)
        return;
    tmpfs_node_of(moved)->parent_number = to->number;
    from->links--;
    to->links++;
}

static int tmpfs_exchange(struct inode *from_directory, struct tmpfs_entry *from,
                          struct inode *to_directory, struct tmpfs_entry *to)
{
    struct inode *inode = from->inode;

    from->inode = to->inode;
    to->inode = inode;
    directory_moved(to->inode, from_directory, to_directory);
    directory_moved(from->inode, to_directory, from_directory);
    from->inode->changed_ns = inode_now_ns();
    return 0;
}

/* What `to` names goes: it was checked that it may. -ENOTEMPTY. */
static int replaced_remove(struct inode *directory, struct tmpfs_entry *to)
{
    struct inode *inode = to->inode;

    if (inode_is_directory(inode)) {
        if (!tree_is_empty(&tmpfs_node_of(inode)->names))
            return -ENOTEMPTY;
        inode->links = 0;
        directory->links--;
    } else {
        inode->links--;
    }
    inode->changed_ns = inode_now_ns();
    return 0;
}

/* Gives the name `to` (a new one, or one that is replaced) to what `from` names. */
static int entry_rename(struct inode *from_directory, struct tmpfs_entry *from,
                        struct inode *to_directory, struct tmpfs_entry *to,
                        struct dentry *to_dentry)
{
    struct inode *moved = from->inode;
    int error;

    if (to) {
        error = replaced_remove(to_directory, to);
        if (error)
            return error;
        inode_get(moved);
        inode_put(to->inode);
        to->inode = moved;
    } else if (!entry_create(to_directory, to_dentry, moved)) {
        return -ENOMEM;
    }
    directory_moved(moved, from_directory, to_directory);
    moved->changed_ns = inode_now_ns();
    return 0;
}

/* overlay's whiteout in the place of what was moved away: a device 0:0. */
static int whiteout_put(struct inode *directory, struct tmpfs_entry *from)
{
    struct inode *inode;
    int error = tmpfs_inode_create(directory->file_system, directory, S_IFCHR, 0, &inode);

    if (error)
        return error;
    inode_put(from->inode);
    from->inode = inode;
    return 0;
}

static int tmpfs_rename(struct inode *from_directory, struct dentry *from,
                        struct inode *to_directory, struct dentry *to, u32 flags)
{
    struct tmpfs_entry *from_entry = entry_find(from_directory, from);
    struct tmpfs_entry *to_entry = entry_find(to_directory, to);
    int error;

    if (!from_entry)
        return -ENOENT;
    if (flags & RENAME_EXCHANGE)
        error =
            to_entry ? tmpfs_exchange(from_directory, from_entry, to_directory, to_entry) : -ENOENT;
    else
        error = entry_rename(from_directory, from_entry, to_directory, to_entry, to);
    if (!error && (flags & RENAME_WHITEOUT))
        error = whiteout_put(from_directory, from_entry);
    else if (!error && !(flags & RENAME_EXCHANGE))
        entry_destroy(from_directory, from_entry);
    if (!error) {
        inode_touch(from_directory);
        inode_touch(to_directory);
    }
    return error;
}

static int tmpfs_tmpfile(struct inode *directory, u32 mode, struct inode **inode_out)
{
    int error = tmpfs_inode_create(directory->file_system, directory, S_IFREG | (mode & ~S_IFMT), 0,
                                   inode_out);

    if (!error)
        (*inode_out)->links = 0;
    return error;
}

/* ---- Listing ---- */

/* The first entry at or behind a position. */
static struct tmpfs_entry *entry_from(const struct tmpfs_node *node, u64 position)
{
    struct tree_node *at = node->positions.root;
    struct tmpfs_entry *found = NULL;

    while (at) {
        struct tmpfs_entry *entry = tree_entry(at, struct tmpfs_entry, by_position);

        if (entry->position >= position) {
            found = entry;
            at = at->left;
        } else {
            at = at->right;
        }
    }
    return found;
}

static bool add_dots(struct file *file, struct directory_sink *sink)
{
    struct inode *inode = file->inode;
    const struct directory_entry dots[] = {
        {".", 1, DT_DIR, inode->number, 1},
        {"..", 2, DT_DIR, tmpfs_node_of(inode)->parent_number, FIRST_POSITION},
    };

    while (file->offset < FIRST_POSITION) {
        if (!sink->add(sink, &dots[file->offset]))
            return false;
        file->offset++;
    }
    return true;
}

static int tmpfs_iterate(struct file *file, struct directory_sink *sink)
{
    struct tmpfs_node *node = tmpfs_node_of(file->inode);
    struct tmpfs_entry *entry;

    if (!add_dots(file, sink))
        return 0;
    entry = entry_from(node, file->offset);
    while (entry) {
        struct directory_entry listed = {
            .name = entry->name,
            .name_bytes = entry->name_bytes,
            .type = (entry->inode->mode & S_IFMT) >> 12,
            .inode_number = entry->inode->number,
            .next = entry->position + 1,
        };

        if (!sink->add(sink, &listed))
            break;
        file->offset = listed.next;
        entry = tree_entry_or_null(tree_next(&entry->by_position), struct tmpfs_entry, by_position);
    }
    return 0;
}

const struct file_operations tmpfs_directory_file_operations = {
    .iterate = tmpfs_iterate,
};

#define TMPFS_XATTR_OPERATIONS                                                                  \
    .get_xattr = tmpfs_get_xattr, .set_xattr = tmpfs_set_xattr, .list_xattr = tmpfs_list_xattr, \
    .remove_xattr = tmpfs_remove_xattr

static ssize_t tmpfs_get_xattr(struct inode *inode, const char *name, void *value, size_t size)
{
    return memory_xattr_get(&tmpfs_node_of(inode)->xattrs, name, value, size);
}

static int tmpfs_set_xattr(struct inode *inode, const char *name, const void *value, size_t size,
                           int flags)
{
    return memory_xattr_set(&tmpfs_node_of(inode)->xattrs, name, value, size, flags);
}

static ssize_t tmpfs_list_xattr(struct inode *inode, char *list, size_t size)
{
    return memory_xattr_list(&tmpfs_node_of(inode)->xattrs, list, size);
}

static int tmpfs_remove_xattr(struct inode *inode, const char *name)
{
    return memory_xattr_remove(&tmpfs_node_of(inode)->xattrs, name);
}

/* A file's blocks are the pages that it has filled; a page that was only read is a hole. */
static int tmpfs_get_attributes(struct inode *inode, struct attributes *attributes_out)
{
    inode_attributes(inode, attributes_out);
    attributes_out->blocks = READ_ONCE(inode->pages.dirty_count) * (PAGE_SIZE / 512);
    return 0;
}

const struct inode_operations tmpfs_directory_operations = {
    .lookup = tmpfs_lookup,
    .create = tmpfs_create,
    .mkdir = tmpfs_mkdir,
    .mknod = tmpfs_mknod,
    .symlink = tmpfs_symlink,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rmdir = tmpfs_rmdir,
    .rename = tmpfs_rename,
    .tmpfile = tmpfs_tmpfile,
    TMPFS_XATTR_OPERATIONS,
};

const struct inode_operations tmpfs_file_operations = {
    .get_attributes = tmpfs_get_attributes,
    TMPFS_XATTR_OPERATIONS,
};
