/*
 * /proc/PID/fd: the open descriptors as links to what they are. /proc/PID/fdinfo: where each
 * stands.
 *
 * Both directories list the same keys, the descriptors, and differ in what an entry is. A
 * descriptor may be closed between two calls; each call finds the file anew and answers -ENOENT
 * when it is gone.
 *
 * A link leads to the file's place in the tree of names, not to the open file: opening it opens
 * anew, with the caller's rights and an offset of its own. Following one asks process_find_file, so
 * that the file is the program's whose rights were asked (pidfd.c).
 *
 * Locking: fdinfo reads offset and flags without the offset's lock, which the very reader may hold.
 */
#include <pith/file_calls.h>

#include "proc_files.h"

/* A reference to the file at descriptor `fd` of a process, or NULL. */
static struct file *descriptor_file(struct process *process, u32 fd, u32 *close_on_exec_out)
{
    struct file_table *files = process_files(process);
    struct file *file;

    if (!files)
        return NULL;
    file = file_table_find(files, fd, close_on_exec_out);
    file_table_put(files);
    return file;
}

/* EPERM of the look into another process is EACCES of a path (path_resolution(7)). */
static int link_follow(void *object, u64 key, struct path *path_out)
{
    struct file *file;
    int error = process_find_file(object, (int)key, &file);

    if (error)
        return error == -EPERM ? -EACCES : -ENOENT;
    *path_out = file->path;
    path_get(path_out);
    file_put(file);
    return 0;
}

static ssize_t link_read(void *object, u64 key, char *buffer, size_t size)
{
    u32 close_on_exec;
    struct file *file = descriptor_file(object, key, &close_on_exec);
    ssize_t length;

    if (!file)
        return -ENOENT;
    length = proc_link_text(&file->path, buffer, size);
    file_put(file);
    return length;
}

/* Its mode says how it was opened: three entries that differ in nothing else. */
#define LINK(permissions)                                                                 \
    {                                                                                     \
        .mode = S_IFLNK | (permissions), .guard = PROC_GUARD_OPEN, .readlink = link_read, \
        .follow = link_follow                                                             \
    }
static const struct proc_entry link_entries[] = {
    [0] = LINK(0), /* O_PATH */
    [FILE_READ] = LINK(0500),
    [FILE_WRITE] = LINK(0300),
    [FILE_READ | FILE_WRITE] = LINK(0700),
};

/* Without the offset's lock: whoever reads may hold it, for this very file. */
static int info_show(struct text_sink *sink, void *object, u64 key)
{
    struct file_table *files = process_files(object);
    struct attributes attributes;
    u32 close_on_exec;
    struct file *file = files ? file_table_find(files, key, &close_on_exec) : NULL;
    int error = -ENOENT;

    if (!file)
        goto put_files;
    error = path_attributes(&file->path, &attributes);
    if (!error) {
        text_print(sink, "pos:\t%lu\nflags:\t0%o\nmnt_id:\t%lu\nino:\t%lu\n",
                   READ_ONCE(file->offset),
                   READ_ONCE(file->flags) | (close_on_exec ? O_CLOEXEC : 0), attributes.mount_id,
                   attributes.inode_number);
        error = proc_show_file_locks(sink, file, files);
        if (!error && file->operations->describe)
            file->operations->describe(file, sink);
    }
    file_put(file);
put_files:
    if (files)
        file_table_put(files);
    return error;
}

static const struct proc_entry info_entry = {
    .mode = S_IFREG | 0444, .guard = PROC_GUARD_OPEN, .show_keyed = info_show};

/* A number below 2^31, or -1. */
static s64 parse_fd(const char *name, u32 bytes)
{
    s64 value = 0;

    if (bytes == 0 || bytes > 9 || (bytes > 1 && name[0] == '0'))
        return -1;
    for (u32 i = 0; i < bytes; i++) {
        if (name[i] < '0' || name[i] > '9')
            return -1;
        value = value * 10 + name[i] - '0';
    }
    return value;
}

/* Only whether it is: a name in the listing may be closed before it is used. */
static bool is_open(void *object, u64 fd)
{
    u32 close_on_exec;
    struct file *file = descriptor_file(object, fd, &close_on_exec);

    if (file)
        file_put(file);
    return file;
}

static int descriptor_lookup(void *object, const char *name, u32 bytes, void **object_out,
                             u64 *key_out)
{
    s64 fd = parse_fd(name, bytes);

    if (fd < 0 || !is_open(object, fd))
        return -ENOENT;
    process_get(object);
    *object_out = object;
    *key_out = fd;
    return 0;
}

/* The link's mode shows how it was opened, and so must be asked of the file each time. */
static int fd_lookup(void *object, const char *name, u32 bytes, const struct proc_entry **entry_out,
                     void **object_out, u64 *key_out)
{
    int error = descriptor_lookup(object, name, bytes, object_out, key_out);
    u32 close_on_exec;
    struct file *file = error ? NULL : descriptor_file(object, *key_out, &close_on_exec);

    *entry_out = &link_entries[file ? file->mode & (FILE_READ | FILE_WRITE) : 0];
    if (file)
        file_put(file);
    return error;
}

static int info_lookup(void *object, const char *name, u32 bytes,
                       const struct proc_entry **entry_out, void **object_out, u64 *key_out)
{
    *entry_out = &info_entry;
    return descriptor_lookup(object, name, bytes, object_out, key_out);
}

/* By number, so descriptors that are closed meanwhile are passed over and none is listed twice. */
static bool descriptor_next(void *object, u64 *key, char *name, size_t size)
{
    struct file_table *files = process_files(object);
    u32 capacity = files ? file_table_capacity(files) : 0;

    if (files)
        file_table_put(files);
    for (u64 fd = *key; fd < capacity; fd++) {
        if (!is_open(object, fd))
            continue;
        *key = fd;
        format_text(name, size, "%lu", fd);
        return true;
    }
    return false;
}

static bool fd_next(void *object, u64 *key, char *name, size_t size, u32 *type_out)
{
    *type_out = S_IFLNK >> 12;
    return descriptor_next(object, key, name, size);
}

static bool info_next(void *object, u64 *key, char *name, size_t size, u32 *type_out)
{
    *type_out = S_IFREG >> 12;
    return descriptor_next(object, key, name, size);
}

const struct proc_directory proc_fd_directory = {
    .owner = proc_process_owner,
    .permits = proc_process_permits,
    .lookup = fd_lookup,
    .next = fd_next,
    .is_valid = is_open,
    .get = proc_process_get,
    .put = proc_process_put,
};

const struct proc_directory proc_fdinfo_directory = {
    .owner = proc_process_owner,
    .permits = proc_process_permits,
    .lookup = info_lookup,
    .next = info_next,
    .is_valid = is_open,
    .get = proc_process_get,
    .put = proc_process_put,
};
