/*
 * The first files: a cpio archive that the boot loader brought, unpacked into the root directory.
 *
 * Directories come before what is in them. Hard links: all but the last entry of an inode number
 * are empty; the data comes with the last, or the first; each further name links to the first.
 *
 * The archive is read where it lies; its text is checked by cpio.c, and its names are walked like
 * any others, from the first mount's root. An entry that fails is logged and ends the unpacking:
 * without its first files the machine has nothing to run.
 *
 * Context: once, at boot, in process 1, which has no credentials yet and so all rights.
 */
#include "cpio.h"

#include "change_names.h"
#include "file.h"
#include "inode_internal.h"

static int regular_unpack(const struct path *root, const struct cpio_entry *entry)
{
    struct file *file;
    ssize_t written;
    int error = file_open_at(root, entry->name, O_WRONLY | O_CREAT | O_TRUNC, 0600, &file);

    if (error)
        return error;
    written = file_write_kernel(file, entry->data, entry->bytes, 0);
    file_put(file);
    if (written < 0)
        return (int)written;
    return (u64)written == entry->bytes ? 0 : -ENOSPC;
}

static int link_unpack(const struct path *root, const struct cpio_entry *entry)
{
    char *target = name_buffer_alloc();
    int error = -EINVAL;

    if (!target)
        return -ENOMEM;
    if (entry->bytes && entry->bytes < PATH_MAX_BYTES) {
        memcpy(target, entry->data, entry->bytes);
        target[entry->bytes] = '\0';
        error = name_symlink(root, entry->name, target);
    }
    name_free(target);
    return error;
}

static int attributes_unpack(const struct path *root, const struct cpio_entry *entry)
{
    const struct attribute_change change = {
        .valid = CHANGE_UID | CHANGE_GID | CHANGE_MODIFIED |
                 ((entry->mode & S_IFMT) == S_IFLNK ? 0 : CHANGE_MODE),
        .mode = entry->mode,
        .uid = entry->uid,
        .gid = entry->gid,
        .modified_ns = (s64)(entry->modified_seconds * NS_PER_SECOND),
    };
    struct path path;
    int error = path_find(root, entry->name, 0, &path);

    if (error)
        return error;
    error = inode_change(path.dentry->inode, &change);
    path_put(&path);
    return error;
}

static int entry_unpack(const struct path *root, const struct cpio_entry *entry)
{
    int error;

    if (strcmp(entry->name, ".") == 0)
        return 0;
    switch (entry->mode & S_IFMT) {
    case S_IFREG:
        error = regular_unpack(root, entry);
        break;
    case S_IFDIR:
        error = name_mkdir(root, entry->name, 0700);
        if (error == -EEXIST)
            error = 0;
        break;
    case S_IFLNK:
        error = link_unpack(root, entry);
        break;
    default:
        error = name_mknod(root, entry->name, entry->mode,
                           DEVICE_NUMBER(entry->device_major, entry->device_minor), NULL);
        break;
    }
    return error ? error : attributes_unpack(root, entry);
}

/* The name of an earlier entry with the same inode number, for hard links. */
static const char *link_find(const u8 *archive, u64 bytes, const struct cpio_entry *entry)
{
    struct cpio_entry earlier;
    u64 offset = 0;

    while (cpio_next(archive, bytes, &offset, &earlier) == 1 && earlier.name != entry->name)
        if (earlier.inode_number == entry->inode_number && (earlier.mode & S_IFMT) == S_IFREG)
            return earlier.name;
    return NULL;
}

static int hard_link_unpack(const struct path *root, const char *first,
                            const struct cpio_entry *entry)
{
    struct path target;
    int error = path_find(root, first, 0, &target);

    if (error)
        return error;
    error = name_link(&target, root, entry->name);
    path_put(&target);
    if (!error && entry->bytes)
        error = regular_unpack(root, entry);
    return error;
}

int initramfs_unpack(const void *archive, size_t bytes)
{
    struct cpio_entry entry;
    struct path root;
    u64 offset = 0;
    int more, error = 0;

    mount_first(&root);
    while (!error && (more = cpio_next(archive, bytes, &offset, &entry)) != 0) {
        const char *first = NULL;

        if (more < 0) {
            error = -EINVAL;
            break;
        }
        if (entry.links > 1 && (entry.mode & S_IFMT) == S_IFREG)
            first = link_find(archive, bytes, &entry);
        error = first ? hard_link_unpack(&root, first, &entry) : entry_unpack(&root, &entry);
        if (error)
            log_error("initramfs: %s: error %d", entry.name, -error);
    }
    path_put(&root);
    return error;
}
