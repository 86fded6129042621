/*
 * mkdir(2), unlink(2), rename(2), link(2), symlink(2), readlink(2), mknod(2) and their kin.
 *
 * Each exists with and without a directory's descriptor. The older form is the newer one with
 * AT_FDCWD, so both are one function; what a name means is fs/'s (names.c), which gets a start and
 * a text.
 *
 * A name is copied in before anything is locked, and whole: what was checked cannot change. The
 * order of errors is Linux's: the flags, the name's memory and length, the descriptor, and then
 * what the file system says.
 *
 * Errors: -EFAULT, -ENAMETOOLONG, -ENOENT ("" as a name), -EBADF and -ENOTDIR of the descriptor.
 * Context: sleeps (names, the file server).
 */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "files.h"
#include "syscalls.h"

/* A name of the user's and where it begins: what every *at call decodes first. */
struct user_name {
    struct path start_path; /* with references, if `start` is it */
    const struct path *start;
    char *text;
};

/*
 * On success the caller ends with user_name_put. An absolute name does not look at the descriptor.
 */
static int user_name_get(int directory_fd, struct user_ptr at, u32 flags, struct user_name *name)
{
    int error = name_copy_in(at, flags, &name->text);

    if (error)
        return error;
    name->start = NULL;
    if (directory_fd == AT_FDCWD || *name->text == '/')
        return 0;
    error = path_of_fd(directory_fd, &name->start_path);
    if (error)
        name_free(name->text);
    else
        name->start = &name->start_path;
    return error;
}

static void user_name_put(struct user_name *name)
{
    if (name->start)
        path_put(name->start);
    name_free(name->text);
}

/* ---- mkdir, mknod ---- */

static long mkdir_at(int directory_fd, struct user_ptr at, u32 mode)
{
    struct user_name name;
    int error = user_name_get(directory_fd, at, 0, &name);

    if (error)
        return error;
    error = name_mkdir(name.start, name.text, mode_for_creation(mode));
    user_name_put(&name);
    return error;
}

long sys_mkdir(const struct syscall_args *args)
{
    return mkdir_at(AT_FDCWD, arg_user_ptr(args, 0), arg_u32(args, 1));
}

long sys_mkdirat(const struct syscall_args *args)
{
    return mkdir_at(arg_int(args, 0), arg_user_ptr(args, 1), arg_u32(args, 2));
}

/* Which kinds there are; a device's rights are looked at where its name turns out to be free. */
static int mknod_check(u32 mode)
{
    switch (mode & S_IFMT) {
    case 0:
    case S_IFREG:
    case S_IFIFO:
    case S_IFSOCK:
    case S_IFCHR:
    case S_IFBLK:
        return 0;
    case S_IFDIR:
        return -EPERM;
    default:
        return -EINVAL;
    }
}

static long mknod_at(int directory_fd, struct user_ptr at, u32 mode, u32 device)
{
    u32 type = mode & S_IFMT ? mode & S_IFMT : S_IFREG;
    struct user_name name;
    int error = mknod_check(mode);

    if (!error)
        error = user_name_get(directory_fd, at, 0, &name);
    if (error)
        return error;
    error = name_mknod(name.start, name.text, type | mode_for_creation(mode), device, NULL);
    user_name_put(&name);
    return error;
}

long sys_mknod(const struct syscall_args *args)
{
    return mknod_at(AT_FDCWD, arg_user_ptr(args, 0), arg_u32(args, 1), arg_u32(args, 2));
}

long sys_mknodat(const struct syscall_args *args)
{
    return mknod_at(arg_int(args, 0), arg_user_ptr(args, 1), arg_u32(args, 2), arg_u32(args, 3));
}

/* ---- unlink, rmdir ---- */

typedef int remove_function(const struct path *start, const char *name);

static long remove_at(int directory_fd, struct user_ptr at, remove_function *remove)
{
    struct user_name name;
    int error = user_name_get(directory_fd, at, 0, &name);

    if (error)
        return error;
    error = remove(name.start, name.text);
    user_name_put(&name);
    return error;
}

long sys_unlink(const struct syscall_args *args)
{
    return remove_at(AT_FDCWD, arg_user_ptr(args, 0), name_unlink);
}

long sys_rmdir(const struct syscall_args *args)
{
    return remove_at(AT_FDCWD, arg_user_ptr(args, 0), name_rmdir);
}

long sys_unlinkat(const struct syscall_args *args)
{
    u32 flags = arg_u32(args, 2);

    if (flags & ~(u32)AT_REMOVEDIR)
        return -EINVAL;
    return remove_at(arg_int(args, 0), arg_user_ptr(args, 1),
                     flags & AT_REMOVEDIR ? name_rmdir : name_unlink);
}

/* ---- rename, link ---- */

/* RENAME_NOREPLACE and RENAME_EXCHANGE are fs/'s to check, also against each other (-EINVAL). */
static long rename_at(int from_fd, struct user_ptr from_at, int to_fd, struct user_ptr to_at,
                      u32 flags)
{
    struct user_name from, to;
    int error = user_name_get(from_fd, from_at, 0, &from);

    if (error)
        return error;
    error = user_name_get(to_fd, to_at, 0, &to);
    if (!error) {
        error = name_rename(from.start, from.text, to.start, to.text, flags);
        user_name_put(&to);
    }
    user_name_put(&from);
    return error;
}

long sys_rename(const struct syscall_args *args)
{
    return rename_at(AT_FDCWD, arg_user_ptr(args, 0), AT_FDCWD, arg_user_ptr(args, 1), 0);
}

long sys_renameat(const struct syscall_args *args)
{
    return rename_at(arg_int(args, 0), arg_user_ptr(args, 1), arg_int(args, 2),
                     arg_user_ptr(args, 3), 0);
}

long sys_renameat2(const struct syscall_args *args)
{
    u32 flags = arg_u32(args, 4);

    if ((flags & RENAME_WHITEOUT) &&
        !credentials_can(thread_current()->credentials, CAPABILITY_MKNOD))
        return -EPERM;
    return rename_at(arg_int(args, 0), arg_user_ptr(args, 1), arg_int(args, 2),
                     arg_user_ptr(args, 3), flags);
}

/*
 * AT_EMPTY_PATH, a link to what a descriptor stands for, wants CAP_DAC_READ_SEARCH and says -ENOENT
 * without (open(2), O_TMPFILE: by /proc/self/fd it goes without).
 */
static long link_at(int from_fd, struct user_ptr from_at, int to_fd, struct user_ptr to_at,
                    u32 at_flags)
{
    u32 lookup = (at_flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) |
                 (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct user_name to;
    struct path target;
    int error;

    if (at_flags & ~(u32)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if ((at_flags & AT_EMPTY_PATH) &&
        !credentials_can(thread_current()->credentials, CAPABILITY_DAC_READ_SEARCH))
        return -ENOENT;
    error = path_find_user(from_fd, from_at, lookup, &target);
    if (error)
        return error;
    error = user_name_get(to_fd, to_at, 0, &to);
    if (!error) {
        error = name_link(&target, to.start, to.text);
        user_name_put(&to);
    }
    path_put(&target);
    return error;
}

long sys_link(const struct syscall_args *args)
{
    return link_at(AT_FDCWD, arg_user_ptr(args, 0), AT_FDCWD, arg_user_ptr(args, 1), 0);
}

long sys_linkat(const struct syscall_args *args)
{
    return link_at(arg_int(args, 0), arg_user_ptr(args, 1), arg_int(args, 2), arg_user_ptr(args, 3),
                   arg_u32(args, 4));
}

/* ---- symlink, readlink ---- */

static long symlink_at(struct user_ptr target_at, int directory_fd, struct user_ptr at)
{
    struct user_name name;
    char *target;
    int error = name_copy_in(target_at, 0, &target);

    if (error)
        return error;
    error = user_name_get(directory_fd, at, 0, &name);
    if (!error) {
        error = name_symlink(name.start, name.text, target);
        user_name_put(&name);
    }
    name_free(target);
    return error;
}

long sys_symlink(const struct syscall_args *args)
{
    return symlink_at(arg_user_ptr(args, 0), AT_FDCWD, arg_user_ptr(args, 1));
}

long sys_symlinkat(const struct syscall_args *args)
{
    return symlink_at(arg_user_ptr(args, 0), arg_int(args, 1), arg_user_ptr(args, 2));
}

/* Cuts what does not fit, without a NUL, and returns the length (readlink(2)). */
static long readlink_of(struct inode *inode, struct user_ptr to, int size)
{
    char *buffer;
    ssize_t bytes;

    if (!inode_is_link(inode))
        return -EINVAL;
    buffer = name_buffer_alloc();
    if (!buffer)
        return -ENOMEM;
    bytes = inode_readlink(inode, buffer, MIN((size_t)size, (size_t)PATH_MAX_BYTES));
    if (bytes > 0 && copy_out(to, buffer, (size_t)bytes))
        bytes = -EFAULT;
    name_free(buffer);
    return bytes;
}

static long readlink_at(int directory_fd, struct user_ptr at, struct user_ptr to, int size)
{
    struct path path;
    long result;

    if (size <= 0)
        return -EINVAL;
    /* "" reads the link that an O_PATH descriptor stands for. */
    result = path_find_user(directory_fd, at, directory_fd == AT_FDCWD ? 0 : LOOKUP_EMPTY, &path);
    if (result)
        return result;
    result = readlink_of(path_inode(&path), to, size);
    path_put(&path);
    /* Of a descriptor that is no link's, "" is a name that is not there. */
    return result == -EINVAL && user_name_is_empty(at) ? -ENOENT : result;
}

long sys_readlink(const struct syscall_args *args)
{
    return readlink_at(AT_FDCWD, arg_user_ptr(args, 0), arg_user_ptr(args, 1), arg_int(args, 2));
}

long sys_readlinkat(const struct syscall_args *args)
{
    return readlink_at(arg_int(args, 0), arg_user_ptr(args, 1), arg_user_ptr(args, 2),
                       arg_int(args, 3));
}
