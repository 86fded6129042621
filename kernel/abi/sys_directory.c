/*
 * chdir(2), getcwd(2), chroot(2), umask(2), getdents64(2).
 *
 * Where a thread stands is a struct directories that CLONE_FS shares (fs/). getdents copies entry
 * by entry to the user while fs/ iterates, for only the user's buffer knows how much fits:
 *
 *     file_iterate -> directory_sink.add(entry) -> pack on the stack -> copy_out -> next
 *                                             `- does not fit: stop, the offset is before it
 *
 * So an entry is either whole in the buffer or comes with the next call. No name is longer than
 * NAME_MAX, and a record of that fits on the stack.
 *
 * Errors: getdents says -EINVAL only if not even the first entry fits, -EFAULT likewise.
 * Context: sleeps; the file's offset is locked by file_iterate.
 */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "files.h"
#include "syscalls.h"

/* ---- Where we stand ---- */

static long go_to(const struct path *path)
{
    int error = 0;

    if (!inode_is_directory(path_inode(path)))
        error = -ENOTDIR;
    if (!error)
        error = path_permission(path, MAY_EXECUTE);
    if (!error)
        directories_set_working(thread_current()->directories, path);
    return error;
}

/* What `function` says of the directory that the first argument names. */
static long with_directory(const struct syscall_args *args, long (*function)(const struct path *))
{
    struct path path;
    long result =
        path_find_user(AT_FDCWD, arg_user_ptr(args, 0), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &path);

    if (result)
        return result;
    result = function(&path);
    path_put(&path);
    return result;
}

long sys_chdir(const struct syscall_args *args)
{
    return with_directory(args, go_to);
}

static long go_to_file(struct file *file, const struct syscall_args *args)
{
    return go_to(&file->path);
}

long sys_fchdir(const struct syscall_args *args)
{
    return fd_apply_any(args, go_to_file);
}

static long take_as_root(const struct path *path)
{
    int error = path_permission(path, MAY_EXECUTE);

    if (error)
        return error;
    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_CHROOT))
        return -EPERM;
    directories_set_root(path);
    return 0;
}

/* -ENOENT, -ENOTDIR, -EACCES of the name before -EPERM, as Linux checks. */
long sys_chroot(const struct syscall_args *args)
{
    return with_directory(args, take_as_root);
}

long sys_umask(const struct syscall_args *args)
{
    return __atomic_exchange_n(&thread_current()->directories->umask, arg_u32(args, 0) & 0777,
                               __ATOMIC_RELAXED);
}

/*
 * -ERANGE: the buffer is too small; -ENOENT: the directory was removed. Returns the length with the
 * NUL.
 */
long sys_getcwd(const struct syscall_args *args)
{
    char *buffer = name_buffer_alloc(), *name;
    struct path working;
    size_t bytes;
    long result;

    if (!buffer)
        return -ENOMEM;
    path_get_working(&working);
    result = path_name_linked(&working, buffer, PATH_MAX_BYTES, &name);
    path_put(&working);
    if (result)
        goto free_buffer;
    bytes = strlen(name) + 1;
    result = -ERANGE;
    if (bytes > arg_u64(args, 1))
        goto free_buffer;
    result = copy_out(arg_user_ptr(args, 0), name, bytes);
    if (!result)
        result = (long)bytes;
free_buffer:
    name_free(buffer);
    return result;
}

/* ---- getdents64 ---- */

/* Entries go out one by one; each is whole before the next. */
struct dents {
    struct directory_sink sink;
    struct user_ptr to;
    u64 left, done;
    int error; /* of the first entry that did not go */
    u32 (*pack)(const struct directory_entry *entry, u8 *record);
    u32 (*record_bytes)(u32 name_bytes);
};

#define RECORD_BYTES_MOST (sizeof(struct linux_dirent64) + NAME_MAX_BYTES + 1 + sizeof(u64))

static u32 record_bytes_64(u32 name_bytes)
{
    return (u32)ALIGN_UP(sizeof(struct linux_dirent64) + name_bytes + 1, sizeof(u64));
}

static u32 pack_64(const struct directory_entry *entry, u8 *record)
{
    struct linux_dirent64 *out = (struct linux_dirent64 *)record;
    u32 bytes = record_bytes_64(entry->name_bytes);

    memset(record, 0, bytes);
    out->d_ino = entry->inode_number;
    out->d_off = (s64)entry->next;
    out->d_reclen = (u16)bytes;
    out->d_type = (u8)entry->type;
    memcpy(out->d_name, entry->name, entry->name_bytes);
    return bytes;
}

/* struct linux_dirent of getdents(2): number, offset, length, name, NUL, ..., type. */
#define OLD_NAME_AT 18u

static u32 record_bytes_old(u32 name_bytes)
{
    return (u32)ALIGN_UP(OLD_NAME_AT + name_bytes + 2, sizeof(u64));
}

static u32 pack_old(const struct directory_entry *entry, u8 *record)
{
    u32 bytes = record_bytes_old(entry->name_bytes);
    u16 length = (u16)bytes;

    memset(record, 0, bytes);
    memcpy(record, &entry->inode_number, sizeof(u64));
    memcpy(record + 8, &entry->next, sizeof(u64));
    memcpy(record + 16, &length, sizeof(length));
    memcpy(record + OLD_NAME_AT, entry->name, entry->name_bytes);
    record[bytes - 1] = (u8)entry->type;
    return bytes;
}

static bool dents_add(struct directory_sink *sink, const struct directory_entry *entry)
{
    struct dents *dents = container_of(sink, struct dents, sink);
    u8 record[RECORD_BYTES_MOST] aligned(8);

    if (entry->name_bytes > NAME_MAX_BYTES ||
        dents->record_bytes(entry->name_bytes) > dents->left) {
        dents->error = -EINVAL; /* counts only if nothing went before */
        return false;
    }
    u32 bytes = dents->pack(entry, record);
    if (copy_out(user_ptr_add(dents->to, dents->done), record, bytes)) {
        dents->error = -EFAULT;
        return false;
    }
    dents->done += bytes;
    dents->left -= bytes;
    return true;
}

static long list_directory(const struct syscall_args *args, struct dents *dents)
{
    struct fd_use use = fd_enter(arg_int(args, 0));
    int error;

    if (!use.file)
        return -EBADF;
    dents->sink.add = dents_add;
    dents->to = arg_user_ptr(args, 1);
    dents->left = arg_u32(args, 2);
    error = file_iterate(use.file, &dents->sink);
    fd_leave(use);
    if (dents->done)
        return (long)dents->done;
    return error ? error : dents->error;
}

long sys_getdents64(const struct syscall_args *args)
{
    struct dents dents = {.pack = pack_64, .record_bytes = record_bytes_64};

    return list_directory(args, &dents);
}

long sys_getdents(const struct syscall_args *args)
{
    struct dents dents = {.pack = pack_old, .record_bytes = record_bytes_old};

    return list_directory(args, &dents);
}
