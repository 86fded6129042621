/*
 * tmpfs's directories: names in memory (memory_names.c), listed behind "." and "..", which have the
 * positions 0 and 1.
 *
 * A name holds a reference on its inode, so what is in the tree stays in memory without the help of
 * the name cache, whose dentries may come and go. A directory's links are its name, its own "." and
 * the ".." of each directory in it, as everywhere.
 *
 * What can fail in a move (memory for the new name, for a whiteout) comes before the first change.
 *
 * Locking: a name is guarded by its directory's inode.lock, which the callers hold.
 */
#include <pith/fs.h>

#include "tmpfs.h"

#define NAME_BYTES 20 /* what a name adds to its directory's size, as in Linux */

/* ---- Names ---- */

static struct memory_name *entry_find(const struct inode *directory, const struct dentry *dentry)
{
    return memory_name_find(&tmpfs_node_of(directory)->names, dentry_name(dentry),
                            dentry_name_bytes(dentry));
}

/* Adds a name for the inode, of which it takes a reference. -ENOSPC, -ENOMEM. */
static int entry_create(struct inode *directory, const struct dentry *dentry, struct inode *inode)
{
    struct memory_name *entry;
    int error = memory_name_create(&tmpfs_node_of(directory)->names, dentry_name(dentry),
                                   dentry_name_bytes(dentry), &entry);

    if (error)
        return error;
    memory_name_set(entry, inode);
    directory->size += NAME_BYTES;
    return 0;
}

static void entry_destroy(struct inode *directory, struct memory_name *entry)
{
    directory->size -= NAME_BYTES;
    memory_name_destroy(&tmpfs_node_of(directory)->names, entry);
}

/* ---- Operations ---- */

static int tmpfs_lookup(struct inode *directory, struct dentry *dentry, struct inode **inode_out)
{
    struct memory_name *entry = entry_find(directory, dentry);

    *inode_out = entry ? entry->inode : NULL;
    if (entry)
        inode_get(entry->inode);
    return 0;
}

/* An inode and its name. */
static int tmpfs_mknod(struct inode *directory, struct dentry *dentry, u32 mode, u64 rdev,
                       struct inode **inode_out)
{
    struct inode *inode;
    int error = tmpfs_inode_create(directory->file_system, directory, mode, rdev, &inode);

    if (error)
        return error;
    error = entry_create(directory, dentry, inode);
    if (error) {
        inode->links = 0;
        inode_put(inode);
        return error;
    }
    inode_touch(directory);
    *inode_out = inode;
    return 0;
}

static int tmpfs_mkdir(struct inode *directory, struct dentry *dentry, u32 mode,
                       struct inode **inode_out)
{
    int error = tmpfs_mknod(directory, dentry, S_IFDIR | (mode & ~S_IFMT), 0, inode_out);

    if (!error) {
        tmpfs_node_of(*inode_out)->parent_number = directory->number;
        directory->links++;
    }
    return error;
}

static int tmpfs_link(struct inode *directory, struct dentry *dentry, struct inode *inode)
{
    int error = entry_create(directory, dentry, inode);

    if (error)
        return error;
    inode->links++;
    inode->changed_ns = inode_now_ns();
    inode_touch(directory);
    return 0;
}

static int tmpfs_unlink(struct inode *directory, struct dentry *dentry)
{
    struct memory_name *entry = entry_find(directory, dentry);
    struct inode *inode = dentry_inode(dentry);

    if (!entry)
        return -ENOENT;
    inode->links--;
    inode->changed_ns = inode_now_ns();
    entry_destroy(directory, entry);
    inode_touch(directory);
    return 0;
}

/* Its name and its own "." go together, and with them the ".." that its parent counted. */
static int tmpfs_rmdir(struct inode *directory, struct dentry *dentry)
{
    struct inode *inode = dentry_inode(dentry);
    int error;

    if (!tree_is_empty(&tmpfs_node_of(inode)->names.names))
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

/* Both names stay where they are, and name each other's inode. It cannot fail. */
static void tmpfs_exchange(struct inode *from_directory, struct memory_name *from,
                           struct inode *to_directory, struct memory_name *to)
{
    struct inode *inode = from->inode;

    from->inode = to->inode;
    to->inode = inode;
    directory_moved(to->inode, from_directory, to_directory);
    directory_moved(from->inode, to_directory, from_directory);
    from->inode->changed_ns = to->inode->changed_ns = inode_now_ns();
}

/* What `to` names goes: it was checked that it may. -ENOTEMPTY. */
static int replaced_remove(struct inode *directory, struct memory_name *to)
{
    struct inode *inode = to->inode;

    if (inode_is_directory(inode)) {
        if (!tree_is_empty(&tmpfs_node_of(inode)->names.names))
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
static int entry_rename(struct inode *from_directory, struct memory_name *from,
                        struct inode *to_directory, struct memory_name *to,
                        struct dentry *to_dentry)
{
    struct inode *moved = from->inode;
    int error;

    error = to ? replaced_remove(to_directory, to) : entry_create(to_directory, to_dentry, moved);
    if (error)
        return error;
    if (to)
        memory_name_set(to, moved);
    directory_moved(moved, from_directory, to_directory);
    moved->changed_ns = inode_now_ns();
    return 0;
}

static int tmpfs_rename(struct inode *from_directory, struct dentry *from,
                        struct inode *to_directory, struct dentry *to, u32 flags)
{
    struct memory_name *from_entry = entry_find(from_directory, from);
    struct memory_name *to_entry = entry_find(to_directory, to);
    struct inode *whiteout = NULL; /* in the place of what was moved away: a device 0:0 */
    int error = 0;

    if (!from_entry || ((flags & RENAME_EXCHANGE) && !to_entry))
        return -ENOENT;
    if (flags & RENAME_WHITEOUT)
        error =
            tmpfs_inode_create(from_directory->file_system, from_directory, S_IFCHR, 0, &whiteout);
    if (!error && (flags & RENAME_EXCHANGE))
        tmpfs_exchange(from_directory, from_entry, to_directory, to_entry);
    else if (!error)
        error = entry_rename(from_directory, from_entry, to_directory, to_entry, to);
    if (!error && whiteout)
        memory_name_set(from_entry, whiteout);
    else if (!error && !(flags & RENAME_EXCHANGE))
        entry_destroy(from_directory, from_entry);
    if (!error) {
        inode_touch(from_directory);
        inode_touch(to_directory);
    }
    if (whiteout)
        inode_put(whiteout);
    return error;
}

/* O_TMPFILE: without a name, until linkat(2) gives it one. */
static int tmpfs_tmpfile(struct inode *directory, u32 mode, struct inode **inode_out)
{
    int error = tmpfs_inode_create(directory->file_system, directory, S_IFREG | (mode & ~S_IFMT), 0,
                                   inode_out);

    if (!error)
        (*inode_out)->links = 0;
    return error;
}

/* ---- Listing ---- */

/* False: the sink is full. */
static bool add_dots(struct file *file, struct directory_sink *sink)
{
    struct inode *inode = file->inode;
    const struct directory_entry dots[] = {
        {".", 1, DT_DIR, inode->number, 1},
        {"..", 2, DT_DIR, tmpfs_node_of(inode)->parent_number, TMPFS_FIRST_POSITION},
    };

    while (file->offset < TMPFS_FIRST_POSITION) {
        if (!sink->add(sink, &dots[file->offset]))
            return false;
        file->offset++;
    }
    return true;
}

/* file->offset is the position to go on from, also when the name that it led to goes meanwhile. */
static int tmpfs_iterate(struct file *file, struct directory_sink *sink)
{
    struct memory_name *entry;

    if (!add_dots(file, sink))
        return 0;
    entry = memory_name_from(&tmpfs_node_of(file->inode)->names, file->offset);
    while (entry) {
        struct directory_entry listed = {
            .name = entry->text,
            .name_bytes = entry->bytes,
            .type = (entry->inode->mode & S_IFMT) >> 12,
            .inode_number = entry->inode->number,
            .next = entry->position + 1,
        };

        if (!sink->add(sink, &listed))
            break;
        file->offset = listed.next;
        entry = memory_name_next(entry);
    }
    return 0;
}

const struct file_operations tmpfs_directory_file_operations = {
    .iterate = tmpfs_iterate,
};

/* ---- Extended attributes, which all kinds of files have: memory_xattr.c ---- */

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

const struct inode_operations tmpfs_directory_operations = {
    .lookup = tmpfs_lookup,
    .mkdir = tmpfs_mkdir,
    .mknod = tmpfs_mknod,
    .symlink = memory_symlink,
    .link = tmpfs_link,
    .unlink = tmpfs_unlink,
    .rmdir = tmpfs_rmdir,
    .rename = tmpfs_rename,
    .tmpfile = tmpfs_tmpfile,
    TMPFS_XATTR_OPERATIONS,
};

const struct inode_operations tmpfs_file_operations = {
    TMPFS_XATTR_OPERATIONS,
};
