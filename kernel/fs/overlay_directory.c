/*
 * The overlay's directories: what is looked up and listed in them.
 *
 * A directory's own names come first: files that were made here or moved here, and whiteouts, which
 * hide a name of the lower directory. Every other name is the lower directory's, asked for by its
 * dentry, whose validity is the name's here too.
 *
 * A listing gives the lower's names first, at the lower's offsets, leaving out those that the
 * directory has of its own; then its own, at OWN_POSITIONS + their positions. So both are as stable
 * as what they come from. Offsets of host file systems use all 63 bits, so ours have the 64th:
 * lseek(2) takes them as they are.
 *
 * A name expires when the lower's does: then the lower is asked again, and the name stays if it
 * leads to the same lower file, else it leaves the cache. Not so for what the overlay has of its
 * own, and for a changed file: what was written under a name is there until it is removed here.
 *
 * Locking: the directory's inode.lock is held; the lower directory's is taken below it.
 */
#include "file.h"
#include "mount.h"
#include "overlay.h"

#define OWN_POSITIONS  BIT(63)
#define POSITION_DOTS  OWN_POSITIONS /* "." and ".." of a directory without a lower one */
#define FIRST_POSITION 2

/* ---- Looking up ---- */

int overlay_lower_find(const struct inode *directory, const struct dentry *name,
                       struct dentry **lower_out)
{
    const struct overlay_node *node = overlay_node_of(directory);
    const struct name lower_name = {name->name, name->name_bytes, name->hash};
    struct dentry *lower;
    int error;

    *lower_out = NULL;
    if (!node->lower)
        return 0;
    error = dentry_lookup_or_read(node->lower, &lower_name, &lower);
    /* A lower directory that was deleted has no names any more. */
    if (error == -ENOENT || error == -ESTALE)
        return 0;
    if (!error)
        *lower_out = lower;
    return error;
}

/* A lower name is right for as long as the lower says; but what was changed here stays. */
static void validity_set(struct dentry *dentry, struct dentry *lower, const struct inode *inode)
{
    bool stays = !lower || (inode && READ_ONCE(overlay_node_of(inode)->is_changed));

    if (stays && lower)
        dentry_set_valid_until(lower, U64_MAX);
    if (stays)
        dentry_set_valid_until(dentry, U64_MAX);
    else
        dentry_copy_validity(dentry, lower);
}

int overlay_lookup(struct inode *directory, struct dentry *dentry, struct inode **inode_out)
{
    struct memory_name *own = memory_name_find(&overlay_node_of(directory)->names,
                                               dentry_name(dentry), dentry_name_bytes(dentry));
    struct dentry *lower;
    int error;

    *inode_out = NULL;
    if (own) {
        *inode_out = own->inode;
        if (own->inode)
            inode_get(own->inode);
        return 0;
    }
    error = overlay_lower_find(directory, dentry, &lower);
    if (error || !lower)
        return error;
    if (dentry_inode(lower))
        error = overlay_inode_get(directory->file_system, lower, inode_out);
    if (!error)
        validity_set(dentry, lower, *inode_out);
    if (*inode_out && inode_is_directory(*inode_out))
        overlay_node_of(*inode_out)->parent_number = directory->number;
    dentry_put(lower);
    return error;
}

int overlay_revalidate(struct inode *directory, struct dentry *dentry)
{
    struct inode *inode = dentry_inode(dentry), *lower_inode;
    struct dentry *lower;
    int error;

    if (memory_name_find(&overlay_node_of(directory)->names, dentry_name(dentry),
                         dentry_name_bytes(dentry)) ||
        (inode && READ_ONCE(overlay_node_of(inode)->is_changed))) {
        dentry_set_valid_until(dentry, U64_MAX);
        return 1;
    }
    if (overlay_node_of(directory)->lower) {
        const struct name name = {dentry->name, dentry->name_bytes, dentry->hash};

        dentry_expire(overlay_node_of(directory)->lower, &name);
    }
    error = overlay_lower_find(directory, dentry, &lower);
    if (error)
        return error;
    lower_inode = lower ? dentry_inode(lower) : NULL;
    if (lower_inode == (inode ? overlay_lower_inode(inode) : NULL)) {
        validity_set(dentry, lower, inode);
        if (inode)
            overlay_inode_refresh_nowait(inode);
        error = 1;
    }
    if (lower)
        dentry_put(lower);
    return error;
}

/* ---- The lower directory, opened ---- */

/* With the overlay's rights, not the caller's: those were checked on the overlay's directory. */
static int lower_open(const struct inode *directory, struct file **file_out)
{
    struct path path = {overlay_of(directory)->lower.mount, overlay_node_of(directory)->lower};
    struct file *file = file_alloc(&path, O_RDONLY | O_DIRECTORY);
    int error = 0;

    if (!file)
        return -ENOMEM;
    if (!file->operations || !file->operations->iterate)
        error = -ENOTDIR;
    else if (file->operations->open)
        error = file->operations->open(file->inode, file);
    if (error) {
        file_put(file);
        return error;
    }
    file->mode |= FILE_OPENED;
    *file_out = file;
    return 0;
}

/* Lists the lower directory into `sink` from `*offset` on, which is moved. */
static int lower_iterate(struct file *lower, u64 *offset, struct directory_sink *sink)
{
    int error;

    lower->offset = *offset;
    mutex_lock(&lower->inode->lock);
    error = lower->operations->iterate(lower, sink);
    mutex_unlock(&lower->inode->lock);
    *offset = lower->offset;
    return error;
}

static bool entry_is_dots(const struct directory_entry *entry)
{
    return entry->name[0] == '.' &&
           (entry->name_bytes == 1 || (entry->name_bytes == 2 && entry->name[1] == '.'));
}

/* ---- Listing ---- */

/* Between the lower's listing and the reader. */
struct overlay_sink {
    struct directory_sink sink;
    struct directory_sink *reader;
    const struct overlay_node *node;
    bool is_full;
};

static bool overlay_sink_add(struct directory_sink *sink, const struct directory_entry *entry)
{
    struct overlay_sink *overlay_sink = container_of(sink, struct overlay_sink, sink);
    const struct overlay_node *node = overlay_sink->node;
    struct directory_entry listed = *entry;

    if (entry_is_dots(entry))
        listed.inode_number = entry->name_bytes == 1 ? node->inode->number : node->parent_number;
    else if (memory_name_find(&node->names, entry->name, entry->name_bytes))
        return true;
    if (overlay_sink->reader->add(overlay_sink->reader, &listed))
        return true;
    overlay_sink->is_full = true;
    return false;
}

/* The lower's names. Returns 1 if the reader is full, 0 at the end, or an error. */
static int list_lower(struct file *file, struct directory_sink *reader)
{
    struct overlay_sink sink = {
        .sink.add = overlay_sink_add,
        .reader = reader,
        .node = overlay_node_of(file->inode),
    };
    int error = lower_iterate(file->private_data, &file->offset, &sink.sink);

    if (error)
        return error;
    if (sink.is_full)
        return 1;
    file->offset = OWN_POSITIONS + FIRST_POSITION;
    return 0;
}

/* "." and "..", where no lower directory gives them. False: the reader is full. */
static bool list_dots(struct file *file, struct directory_sink *reader)
{
    struct inode *inode = file->inode;
    const struct directory_entry dots[FIRST_POSITION] = {
        {".", 1, DT_DIR, inode->number, POSITION_DOTS + 1},
        {"..", 2, DT_DIR, overlay_node_of(inode)->parent_number, POSITION_DOTS + FIRST_POSITION},
    };

    while (file->offset < POSITION_DOTS + FIRST_POSITION) {
        if (!reader->add(reader, &dots[file->offset - POSITION_DOTS]))
            return false;
        file->offset++;
    }
    return true;
}

/* Whiteouts are passed over, but move the offset: they are places like any others. */
static void list_own(struct file *file, struct directory_sink *reader)
{
    struct memory_name *name = memory_name_from(&overlay_node_of(file->inode)->names,
                                                file->offset - OWN_POSITIONS - FIRST_POSITION);

    for (; name; name = memory_name_next(name)) {
        struct directory_entry listed = {
            .name = name->text,
            .name_bytes = name->bytes,
            .next = OWN_POSITIONS + FIRST_POSITION + name->position + 1,
        };

        if (name->inode) {
            listed.type = (name->inode->mode & S_IFMT) >> 12;
            listed.inode_number = name->inode->number;
            if (!reader->add(reader, &listed))
                return;
        }
        file->offset = listed.next;
    }
}

static int overlay_iterate(struct file *file, struct directory_sink *reader)
{
    if (file->private_data && file->offset < OWN_POSITIONS) {
        int result = list_lower(file, reader);

        if (result)
            return MIN(result, 0);
    }
    file->offset = MAX(file->offset, POSITION_DOTS);
    if (list_dots(file, reader))
        list_own(file, reader);
    return 0;
}

static int overlay_directory_open(struct inode *inode, struct file *file)
{
    struct file *lower;
    int error;

    if (!overlay_node_of(inode)->lower)
        return 0;
    error = lower_open(inode, &lower);
    if (!error)
        file->private_data = lower;
    return error;
}

static void overlay_directory_release(struct file *file)
{
    if (file->private_data)
        file_put(file->private_data);
}

/* Offsets are places that a listing gave: any 64 bits. */
static s64 overlay_directory_seek(struct file *file, s64 offset, int whence)
{
    switch (whence) {
    case SEEK_CUR:
        file->offset += (u64)offset;
        break;
    case SEEK_SET:
        file->offset = (u64)offset;
        break;
    default:
        return -EINVAL;
    }
    return (s64)file->offset;
}

const struct file_operations overlay_directory_file_operations = {
    .open = overlay_directory_open,
    .release = overlay_directory_release,
    .iterate = overlay_iterate,
    .ioctl = overlay_directory_ioctl,
    .seek = overlay_directory_seek,
};

/* ---- Is it empty? ---- */

/* Looks for a name that is not hidden. */
struct empty_sink {
    struct directory_sink sink;
    const struct overlay_node *node;
    bool found;
};

static bool empty_sink_add(struct directory_sink *sink, const struct directory_entry *entry)
{
    struct empty_sink *empty_sink = container_of(sink, struct empty_sink, sink);

    if (entry_is_dots(entry) ||
        memory_name_find(&empty_sink->node->names, entry->name, entry->name_bytes))
        return true;
    empty_sink->found = true;
    return false;
}

int overlay_directory_check_empty(struct inode *directory)
{
    struct overlay_node *node = overlay_node_of(directory);
    struct empty_sink sink = {.sink.add = empty_sink_add, .node = node};
    struct memory_name *name = memory_name_from(&node->names, 0);
    struct file *lower;
    u64 offset = 0;
    int error;

    for (; name; name = memory_name_next(name)) {
        if (name->inode)
            return -ENOTEMPTY;
    }
    if (!node->lower)
        return 0;
    error = lower_open(directory, &lower);
    if (error)
        return error;
    error = lower_iterate(lower, &offset, &sink.sink);
    file_put(lower);
    if (error == -ENOENT || error == -ESTALE)
        error = 0;
    return sink.found ? -ENOTEMPTY : error;
}
