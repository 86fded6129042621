/*
 * Directories of the host: names looked up, made and removed over there. Listing is
 * fuse_listing.c's, which also brings in names before they are asked for.
 *
 * Every answer to a lookup says for how long the name may be believed; so does one that there is no
 * such name. After that the name cache asks here (`revalidate`), and a name that leads to another
 * node by now is looked up anew. What we change ourselves we know: the directory's attributes and
 * its kept listing are void at once, and those of the file whose links changed.
 *
 * Modes and owners are checked here by the guest's rules and there by the server's: the ids of the
 * caller go with each request, and a share that is read-only is so on the host's side.
 *
 * Locking: the directory's inode.lock, held by the callers (inode.h) while the server is asked.
 */
#include <pith/fs.h>

#include "fuse.h"

/* ---- Looking up ---- */

/* Sends a request that ends with the dentry's name and is answered with an entry. */
static int entry_call(struct inode *directory, enum fuse_opcode opcode, const void *arguments,
                      size_t argument_bytes, const struct dentry *dentry,
                      struct fuse_entry_out *entry_out)
{
    struct fuse_request *request = fuse_request_alloc(opcode, fuse_node_of(directory)->id);
    int error;

    if (!request)
        return -ENOMEM;
    fuse_request_add(request, arguments, argument_bytes);
    fuse_request_add_name(request, dentry);
    request->answer_bytes = sizeof(*entry_out);
    error = fuse_request_call(request);
    if (!error && request->answer_bytes != sizeof(*entry_out))
        error = -EIO;
    if (!error)
        memcpy(entry_out, request->answer, sizeof(*entry_out));
    fuse_request_free(request);
    return error;
}

static int name_ask(struct inode *directory, struct dentry *dentry, struct inode **inode_out)
{
    struct fuse_entry_out entry;
    int error = entry_call(directory, FUSE_LOOKUP, NULL, 0, dentry, &entry);

    *inode_out = NULL;
    if (error == -ENOENT) {
        /* Without an entry nothing says how long: as long as the directory's attributes. */
        dentry_set_valid_until(dentry, READ_ONCE(fuse_node_of(directory)->valid_until_ns));
        return 0;
    }
    if (error)
        return error;
    fuse_dentry_validate(dentry, &entry);
    if (entry.nodeid == 0) /* no such name, and for how long that is so */
        return 0;
    return fuse_inode_get(directory->file_system, &entry, inode_out);
}

static int fuse_lookup(struct inode *directory, struct dentry *dentry, struct inode **inode_out)
{
    fuse_names_preload(directory, dentry);
    return name_ask(directory, dentry, inode_out);
}

static int fuse_revalidate(struct inode *directory, struct dentry *dentry)
{
    struct inode *inode = dentry_inode(dentry), *found = NULL;
    int error = name_ask(directory, dentry, &found);

    if (found)
        inode_put(found);
    if (error == -ESTALE)
        return 0;
    return error ? error : found == inode;
}

/* ---- Changing ---- */

/* A directory's own attributes and names are no longer what they were. */
static void directory_changed(struct inode *directory)
{
    fuse_listing_forget(directory);
    WRITE_ONCE(fuse_node_of(directory)->valid_until_ns, 0);
}

static int make(struct inode *directory, struct dentry *dentry, enum fuse_opcode opcode,
                const void *arguments, size_t argument_bytes, struct inode **inode_out)
{
    struct fuse_entry_out entry;
    int error = entry_call(directory, opcode, arguments, argument_bytes, dentry, &entry);

    if (error)
        return error;
    directory_changed(directory);
    fuse_dentry_validate(dentry, &entry);
    return fuse_inode_get(directory->file_system, &entry, inode_out);
}

static int fuse_mknod(struct inode *directory, struct dentry *dentry, u32 mode, u64 rdev,
                      struct inode **inode_out)
{
    struct fuse_mknod_in arguments = {.mode = mode, .rdev = rdev};

    return make(directory, dentry, FUSE_MKNOD, &arguments, sizeof(arguments), inode_out);
}

static int fuse_mkdir(struct inode *directory, struct dentry *dentry, u32 mode,
                      struct inode **inode_out)
{
    struct fuse_mkdir_in arguments = {.mode = mode};

    return make(directory, dentry, FUSE_MKDIR, &arguments, sizeof(arguments), inode_out);
}

static int fuse_link(struct inode *directory, struct dentry *dentry, struct inode *inode)
{
    struct fuse_link_in arguments = {.oldnodeid = fuse_node_of(inode)->id};
    struct inode *linked;
    int error = make(directory, dentry, FUSE_LINK, &arguments, sizeof(arguments), &linked);

    if (!error)
        inode_put(linked);
    return error;
}

/* The name comes first, then the target, which may be as long as a path. */
static int fuse_symlink(struct inode *directory, struct dentry *dentry, const char *target,
                        struct inode **inode_out)
{
    struct fuse_request *request = fuse_request_alloc(FUSE_SYMLINK, fuse_node_of(directory)->id);
    size_t bytes = strlen(target) + 1;
    char *copy = kmalloc(bytes, 0);
    struct fuse_entry_out entry;
    struct virtio_piece piece;
    int error = -ENOMEM;

    if (!request || !copy)
        goto free_both;
    memcpy(copy, target, bytes);
    piece = (struct virtio_piece){virt_to_phys(copy), bytes};
    fuse_request_add_name(request, dentry);
    request->pieces = &piece;
    request->piece_count = 1;
    request->pieces_are_read = true;
    request->answer_bytes = sizeof(entry);
    error = fuse_request_call(request);
    if (!error && request->answer_bytes != sizeof(entry))
        error = -EIO;
    if (error)
        goto free_both;
    memcpy(&entry, request->answer, sizeof(entry));
    directory_changed(directory);
    fuse_dentry_validate(dentry, &entry);
    error = fuse_inode_get(directory->file_system, &entry, inode_out);
free_both:
    kfree(copy);
    if (request)
        fuse_request_free(request);
    return error;
}

static int remove(struct inode *directory, struct dentry *dentry, enum fuse_opcode opcode)
{
    struct fuse_request *request = fuse_request_alloc(opcode, fuse_node_of(directory)->id);
    int error;

    if (!request)
        return -ENOMEM;
    fuse_request_add_name(request, dentry);
    error = fuse_request_call(request);
    fuse_request_free(request);
    if (error)
        return error;
    directory_changed(directory);
    WRITE_ONCE(fuse_node_of(dentry_inode(dentry))->valid_until_ns, 0);
    return 0;
}

static int fuse_unlink(struct inode *directory, struct dentry *dentry)
{
    return remove(directory, dentry, FUSE_UNLINK);
}

static int fuse_rmdir(struct inode *directory, struct dentry *dentry)
{
    return remove(directory, dentry, FUSE_RMDIR);
}

static int fuse_rename(struct inode *from_directory, struct dentry *from,
                       struct inode *to_directory, struct dentry *to, u32 flags)
{
    struct fuse_rename2_in arguments = {.newdir = fuse_node_of(to_directory)->id, .flags = flags};
    struct fuse_request *request =
        fuse_request_alloc(FUSE_RENAME2, fuse_node_of(from_directory)->id);
    int error;

    if (!request)
        return -ENOMEM;
    fuse_request_add(request, &arguments, sizeof(arguments));
    fuse_request_add_name(request, from);
    fuse_request_add_name(request, to);
    error = fuse_request_call(request);
    fuse_request_free(request);
    if (error)
        return error;
    directory_changed(from_directory);
    directory_changed(to_directory);
    WRITE_ONCE(fuse_node_of(dentry_inode(from))->valid_until_ns, 0);
    if (dentry_inode(to))
        WRITE_ONCE(fuse_node_of(dentry_inode(to))->valid_until_ns, 0);
    return 0;
}

const struct inode_operations fuse_directory_operations = {
    .lookup = fuse_lookup,
    .revalidate = fuse_revalidate,

    .mkdir = fuse_mkdir,
    .mknod = fuse_mknod,
    .symlink = fuse_symlink,
    .link = fuse_link,
    .unlink = fuse_unlink,
    .rmdir = fuse_rmdir,
    .rename = fuse_rename,
    .get_attributes = fuse_get_attributes,
    .set_attributes = fuse_set_attributes,
    .get_xattr = fuse_get_xattr,
    .set_xattr = fuse_set_xattr,
    .list_xattr = fuse_list_xattr,
    .remove_xattr = fuse_remove_xattr,
};
