/*
 * Directories of the host: names looked up, made and removed over there, and listed with all that
 * stat(2) wants to know (READDIRPLUS), which goes straight into the caches of names and inodes. So
 * `ls -l` and a tree's walk cost one round trip for some hundred names.
 *
 * An open directory keeps what it read and has not yet given away. Offsets are the server's.
 */
#include <pith/fs.h>

#include "fuse.h"

#define READ_BYTES    (128u * 1024) /* or less, where memory does not lie together */
#define LARGEST_ENTRY (sizeof(struct fuse_direntplus) + NAME_MAX_BYTES + FUSE_ENTRY_ALIGN)

/* An open directory. guarded by the directory's inode.lock */
struct directory_reader {
    u8 *entries;     /* NULL: none yet */
    u32 size;        /* of `entries` */
    u32 bytes, used; /* of what was read; given away of it */
    u64 next;        /* the offset at which `used` stands */
    bool at_end;     /* what was read was the directory's last: there was room for more */
};

/* ---- Looking up ---- */

static void dentry_validate(struct dentry *dentry, const struct fuse_entry_out *entry)
{
    dentry_set_valid_until(dentry, fuse_valid_until(entry->entry_valid, entry->entry_valid_nsec));
}

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

static int fuse_lookup(struct inode *directory, struct dentry *dentry, struct inode **inode_out)
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
    dentry_validate(dentry, &entry);
    if (entry.nodeid == 0) /* no such name, and for how long that is so */
        return 0;
    return fuse_inode_get(directory->file_system, &entry, inode_out);
}

static int fuse_revalidate(struct inode *directory, struct dentry *dentry)
{
    struct inode *inode = dentry_inode(dentry), *found = NULL;
    int error = fuse_lookup(directory, dentry, &found);

    if (found)
        inode_put(found);
    if (error == -ESTALE)
        return 0;
    return error ? error : found == inode;
}

/* ---- Changing ---- */

/* A directory's own attributes are no longer what they were. */
static void directory_changed(struct inode *directory)
{
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
    dentry_validate(dentry, &entry);
    return fuse_inode_get(directory->file_system, &entry, inode_out);
}

static int fuse_mknod(struct inode *directory, struct dentry *dentry, u32 mode, u64 rdev,
                      struct inode **inode_out)
{
    struct fuse_mknod_in arguments = {.mode = mode, .rdev = rdev};

    return make(directory, dentry, FUSE_MKNOD, &arguments, sizeof(arguments), inode_out);
}

static int fuse_create(struct inode *directory, struct dentry *dentry, u32 mode,
                       struct inode **inode_out)
{
    return fuse_mknod(directory, dentry, S_IFREG | (mode & ~S_IFMT), 0, inode_out);
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
    dentry_validate(dentry, &entry);
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

/* ---- Listing ---- */

static int directory_open(struct inode *inode, struct file *file)
{
    file->private_data = kmalloc(sizeof(struct directory_reader), ALLOC_CLEARED);
    return file->private_data ? 0 : -ENOMEM;
}

static void directory_release(struct file *file)
{
    struct directory_reader *reader = file->private_data;

    kfree(reader->entries);
    kfree(reader);
}

static bool reader_has_room(struct directory_reader *reader)
{
    for (u32 size = READ_BYTES; !reader->entries && size >= PAGE_SIZE; size /= 4) {
        reader->entries = kmalloc(size, 0);
        reader->size = size;
    }
    return reader->entries;
}

/* Asks for the entries from `offset` on. */
static int reader_fill(struct directory_reader *reader, struct inode *inode, u64 offset)
{
    struct fuse_request *request = fuse_request_alloc(FUSE_READDIRPLUS, fuse_node_of(inode)->id);
    struct fuse_read_in question = {.offset = offset};
    struct virtio_piece piece;
    int error = -ENOMEM;

    if (!request)
        return -ENOMEM;
    if (!reader_has_room(reader))
        goto free_request;
    question.size = reader->size;
    piece = (struct virtio_piece){virt_to_phys(reader->entries), reader->size};
    fuse_request_add(request, &question, sizeof(question));
    request->pieces = &piece;
    request->piece_count = 1;
    error = fuse_request_call(request);
    reader->bytes = error ? 0 : request->written_bytes;
    reader->used = 0;
    reader->next = offset;
    reader->at_end = reader->size - reader->bytes > LARGEST_ENTRY;
free_request:
    fuse_request_free(request);
    return error;
}

/* The next entry that was read, checked to lie within; NULL: none left. -EIO in *error_out. */
static const struct fuse_direntplus *reader_peek(struct directory_reader *reader, u32 *bytes_out,
                                                 int *error_out)
{
    const struct fuse_direntplus *entry =
        (const struct fuse_direntplus *)(reader->entries + reader->used);
    u32 left = reader->bytes - reader->used;

    *error_out = 0;
    if (left == 0)
        return NULL;
    *error_out = -EIO;
    if (left < sizeof(*entry) || entry->dirent.namelen == 0 ||
        entry->dirent.namelen > NAME_MAX_BYTES || entry->dirent.namelen > left - sizeof(*entry) ||
        memchr(entry->dirent.name, '/', entry->dirent.namelen))
        return NULL;
    *error_out = 0;
    *bytes_out = MIN(left, ALIGN_UP((u32)sizeof(*entry) + entry->dirent.namelen, FUSE_ENTRY_ALIGN));
    return entry;
}

/* Puts what came with an entry into the caches. What fails is looked up when it is needed. */
static void entry_cache(struct dentry *directory, const struct fuse_direntplus *entry)
{
    struct inode *inode;
    struct dentry *dentry;

    if (entry->entry_out.nodeid == 0)
        return;
    if (fuse_inode_get(dentry_inode(directory)->file_system, &entry->entry_out, &inode))
        return;
    dentry = dentry_find_child(directory, entry->dirent.name, entry->dirent.namelen);
    if (dentry) {
        inode_put(inode);
    } else if (dentry_add_child(directory, entry->dirent.name, entry->dirent.namelen, inode,
                                &dentry)) {
        inode_put(inode);
        return;
    }
    if (dentry_inode(dentry) == inode)
        dentry_validate(dentry, &entry->entry_out);
    dentry_put(dentry);
}

/* Gives away what was read. Returns 1 if the sink is full, 0 at its end, or an error. */
static int reader_drain(struct directory_reader *reader, struct file *file,
                        struct directory_sink *sink)
{
    const struct fuse_direntplus *entry;
    int error;
    u32 bytes;

    while ((entry = reader_peek(reader, &bytes, &error))) {
        struct directory_entry listed = {
            .name = entry->dirent.name,
            .name_bytes = entry->dirent.namelen,
            .type = entry->dirent.type,
            .inode_number = entry->dirent.ino,
            .next = entry->dirent.off,
        };

        if (!sink->add(sink, &listed))
            return 1;
        entry_cache(file->path.dentry, entry);
        reader->used += bytes;
        file->offset = reader->next = entry->dirent.off;
    }
    return error;
}

static int fuse_iterate(struct file *file, struct directory_sink *sink)
{
    struct directory_reader *reader = file->private_data;
    int result;

    if (reader->next != file->offset) { /* somebody sought */
        reader->bytes = reader->used = 0;
        reader->at_end = false;
    }
    for (;;) {
        result = reader_drain(reader, file, sink);
        if (result || reader->at_end)
            return MIN(result, 0);
        result = reader_fill(reader, file->inode, file->offset);
        if (result)
            return result;
    }
}

const struct file_operations fuse_directory_file_operations = {
    .open = directory_open,
    .release = directory_release,
    .iterate = fuse_iterate,
};

const struct inode_operations fuse_directory_operations = {
    .lookup = fuse_lookup,
    .revalidate = fuse_revalidate,
    .create = fuse_create,
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
