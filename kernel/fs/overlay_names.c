/*
 * Names made, removed and moved in the overlay's directories.
 *
 * A directory keeps names of its own only where it differs from the lower one. To remove a name is
 * to drop it, and, where the lower directory has one like it, to leave a whiteout in its place. A
 * directory of the lower moves like any file: its inode goes on showing the lower directory, from
 * its new place.
 *
 *     lower has "x"?    own name         after removal      after a move away     after making
 *     no                none / inode     none               none                  inode
 *     yes               none / inode     whiteout           whiteout              inode
 *
 * What can fail comes first: names are reserved (as whiteouts, which nobody sees: the directory is
 * locked), lower names looked up; then everything is changed at once. A reserved name that is not
 * needed after all is dropped.
 *
 * Locking: the directories are locked, and what is removed or replaced; inode.h says who does it.
 * Errors:  -ENOSPC (too many files or names of our own), -ENOMEM, -ENOTEMPTY, and what the lower
 * says of a name.
 */
#include "overlay.h"

/* A place for a name in a directory. */
struct place {
    struct inode *directory;
    struct dentry *dentry;
    struct memory_name *name; /* the directory's own */
    bool is_new;              /* `name` was made by us */
    bool hides_lower;         /* the lower directory has such a name */
};

static struct memory_names *names_of(const struct inode *directory)
{
    return &overlay_node_of(directory)->names;
}

/* Gives the name up, or leaves a whiteout. */
static void place_clear(struct place *place)
{
    if (place->hides_lower)
        memory_name_set(place->name, NULL);
    else
        memory_name_destroy(names_of(place->directory), place->name);
}

static void place_release(struct place *place)
{
    if (place->is_new)
        memory_name_destroy(names_of(place->directory), place->name);
}

/* Makes sure that the directory has a name of its own there. On error nothing has changed. */
static int place_reserve(struct inode *directory, struct dentry *dentry, struct place *place)
{
    const char *text = dentry_name(dentry);
    u32 bytes = dentry_name_bytes(dentry);
    struct dentry *lower;
    int error = overlay_lower_find(directory, dentry, &lower);

    if (error)
        return error;
    *place = (struct place){.directory = directory, .dentry = dentry};
    if (lower) {
        place->hides_lower = dentry_inode(lower) != NULL;
        dentry_put(lower);
    }
    place->name = memory_name_find(names_of(directory), text, bytes);
    if (place->name)
        return 0;
    place->is_new = true;
    return memory_name_create(names_of(directory), text, bytes, &place->name);
}

static void directory_changed(struct inode *directory)
{
    overlay_inode_change(directory);
    inode_touch(directory);
}

/* ---- Making ---- */

static int overlay_mknod(struct inode *directory, struct dentry *dentry, u32 mode, u64 rdev,
                         struct inode **inode_out)
{
    struct inode *inode;
    struct place place;
    int error = place_reserve(directory, dentry, &place);

    if (error)
        return error;
    error = overlay_inode_create(directory->file_system, directory, mode, rdev, &inode);
    if (error) {
        place_release(&place);
        return error;
    }
    memory_name_set(place.name, inode);
    dentry_set_valid_until(dentry, U64_MAX);
    directory_changed(directory);
    *inode_out = inode;
    return 0;
}

static int overlay_mkdir(struct inode *directory, struct dentry *dentry, u32 mode,
                         struct inode **inode_out)
{
    int error = overlay_mknod(directory, dentry, S_IFDIR | (mode & ~S_IFMT), 0, inode_out);

    if (!error)
        directory->links++;
    return error;
}

static int overlay_link(struct inode *directory, struct dentry *dentry, struct inode *inode)
{
    struct place place;
    int error = place_reserve(directory, dentry, &place);

    if (error)
        return error;
    overlay_inode_change(inode);
    memory_name_set(place.name, inode);
    dentry_set_valid_until(dentry, U64_MAX);
    inode->links++;
    inode->changed_ns = inode_now_ns();
    directory_changed(directory);
    return 0;
}

static int overlay_tmpfile(struct inode *directory, u32 mode, struct inode **inode_out)
{
    int error = overlay_inode_create(directory->file_system, directory, S_IFREG | (mode & ~S_IFMT),
                                     0, inode_out);

    if (!error)
        (*inode_out)->links = 0;
    return error;
}

/* ---- Removing ---- */

/* One name less; a directory has no other. */
static void name_removed(struct inode *directory, struct inode *inode)
{
    overlay_inode_change(inode);
    if (inode_is_directory(inode)) {
        directory->links--;
        inode->links = 0;
    } else if (inode->links) { /* the host may have deleted the file under another name */
        inode->links--;
    }
    inode->changed_ns = inode_now_ns();
    if (inode->links == 0)
        overlay_inode_deleted(inode);
}

static int overlay_unlink(struct inode *directory, struct dentry *dentry)
{
    struct place place;
    int error = place_reserve(directory, dentry, &place);

    if (error)
        return error;
    place_clear(&place);
    directory_changed(directory);
    name_removed(directory, dentry_inode(dentry));
    return 0;
}

static int overlay_rmdir(struct inode *directory, struct dentry *dentry)
{
    int error = overlay_directory_check_empty(dentry_inode(dentry));

    return error ? error : overlay_unlink(directory, dentry);
}

/* ---- Moving ---- */

/* A file has another name now; a directory's ".." counts elsewhere. */
static void inode_moved(struct inode *moved, struct inode *from, struct inode *to)
{
    moved->changed_ns = inode_now_ns();
    if (!inode_is_directory(moved) || from == to)
        return;
    overlay_node_of(moved)->parent_number = to->number;
    from->links--;
    to->links++;
}

static void exchange(struct place *from, struct place *to)
{
    struct inode *moved = dentry_inode(from->dentry), *other = dentry_inode(to->dentry);

    overlay_inode_change(other);
    memory_name_set(from->name, other);
    memory_name_set(to->name, moved);
    inode_moved(moved, from->directory, to->directory);
    inode_moved(other, to->directory, from->directory);
    dentry_set_valid_until(to->dentry, U64_MAX);
}

/* `whiteout`: what the old name becomes (renameat2's RENAME_WHITEOUT), or NULL. */
static void move(struct place *from, struct place *to, struct inode *whiteout)
{
    struct inode *moved = dentry_inode(from->dentry), *replaced = dentry_inode(to->dentry);

    memory_name_set(to->name, moved);
    if (whiteout)
        memory_name_set(from->name, whiteout);
    else
        place_clear(from);
    if (replaced)
        name_removed(to->directory, replaced);
    inode_moved(moved, from->directory, to->directory);
}

static int overlay_rename(struct inode *from_directory, struct dentry *from,
                          struct inode *to_directory, struct dentry *to, u32 flags)
{
    struct inode *whiteout = NULL, *replaced = dentry_inode(to);
    struct place from_place, to_place;
    int error = 0;

    if (replaced && inode_is_directory(replaced) && !(flags & RENAME_EXCHANGE))
        error = overlay_directory_check_empty(replaced);
    if (!error && (flags & RENAME_WHITEOUT))
        error = overlay_inode_create(from_directory->file_system, from_directory, S_IFCHR, 0,
                                     &whiteout);
    if (error)
        return error;
    error = place_reserve(from_directory, from, &from_place);
    if (error)
        goto put_whiteout;
    error = place_reserve(to_directory, to, &to_place);
    if (error) {
        place_release(&from_place);
        goto put_whiteout;
    }
    overlay_inode_change(dentry_inode(from));
    if (flags & RENAME_EXCHANGE)
        exchange(&from_place, &to_place);
    else
        move(&from_place, &to_place, whiteout);
    dentry_set_valid_until(from, U64_MAX);
    directory_changed(from_directory);
    directory_changed(to_directory);
put_whiteout:
    if (whiteout)
        inode_put(whiteout);
    return error;
}

const struct inode_operations overlay_directory_operations = {
    .lookup = overlay_lookup,
    .revalidate = overlay_revalidate,

    .mkdir = overlay_mkdir,
    .mknod = overlay_mknod,
    .symlink = memory_symlink,
    .link = overlay_link,
    .unlink = overlay_unlink,
    .rmdir = overlay_rmdir,
    .rename = overlay_rename,
    .tmpfile = overlay_tmpfile,
    OVERLAY_INODE_OPERATIONS,
};
