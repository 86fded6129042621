/* getxattr(2), setxattr(2), listxattr(2), removexattr(2), each by name, link and descriptor. */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "syscalls.h"

/* How the calls of a family find their file. */
enum by {
    BY_NAME,
    BY_LINK,
    BY_FD,
};

static int path_get_by(const struct syscall_args *args, enum by by, struct path *path_out)
{
    struct fd_use use;

    if (by != BY_FD)
        return path_find_user(AT_FDCWD, arg_user_ptr(args, 0), by == BY_NAME ? LOOKUP_FOLLOW : 0,
                              path_out);
    use = fd_enter(arg_int(args, 0));
    if (!use.file)
        return -EBADF;
    *path_out = use.file->path;
    path_get(path_out);
    fd_leave(use);
    return 0;
}

/* The attribute's name, with room for XATTR_NAME_MAX and the NUL. */
static int name_get(struct user_ptr from, char *name)
{
    ssize_t bytes = copy_in_string(name, from, XATTR_NAME_MAX + 1);

    if (bytes == 0 || bytes == -ENAMETOOLONG)
        return -ERANGE;
    return bytes < 0 ? (int)bytes : 0;
}

/* ---- Reading ---- */

static long get_value(const struct path *path, const char *name, struct user_ptr to, u64 size)
{
    void *value = NULL;
    ssize_t bytes;

    size = MIN(size, (u64)XATTR_SIZE_MAX);
    if (size) {
        value = kmalloc(size, 0);
        if (!value)
            return -ENOMEM;
    }
    bytes = path_get_xattr(path, name, value, size);
    if (bytes > 0 && size && copy_out(to, value, (size_t)bytes))
        bytes = -EFAULT;
    kfree(value);
    return bytes;
}

static long get_by(const struct syscall_args *args, enum by by)
{
    char name[XATTR_NAME_MAX + 1];
    struct path path;
    long result = path_get_by(args, by, &path);

    if (result)
        return result;
    result = name_get(arg_user_ptr(args, 1), name);
    if (!result)
        result = get_value(&path, name, arg_user_ptr(args, 2), arg_u64(args, 3));
    path_put(&path);
    return result;
}

long sys_getxattr(const struct syscall_args *args)
{
    return get_by(args, BY_NAME);
}

long sys_lgetxattr(const struct syscall_args *args)
{
    return get_by(args, BY_LINK);
}

long sys_fgetxattr(const struct syscall_args *args)
{
    return get_by(args, BY_FD);
}

static long list_by(const struct syscall_args *args, enum by by)
{
    u64 size = MIN(arg_u64(args, 2), (u64)XATTR_LIST_MAX);
    char *list = NULL;
    struct path path;
    long result = path_get_by(args, by, &path);

    if (result)
        return result;
    if (size)
        list = kmalloc(size, 0);
    result = size && !list ? -ENOMEM : path_list_xattr(&path, list, size);
    if (result > 0 && size && copy_out(arg_user_ptr(args, 1), list, (size_t)result))
        result = -EFAULT;
    kfree(list);
    path_put(&path);
    return result;
}

long sys_listxattr(const struct syscall_args *args)
{
    return list_by(args, BY_NAME);
}

long sys_llistxattr(const struct syscall_args *args)
{
    return list_by(args, BY_LINK);
}

long sys_flistxattr(const struct syscall_args *args)
{
    return list_by(args, BY_FD);
}

/* ---- Changing ---- */

static long set_value(const struct path *path, const char *name, struct user_ptr from, u64 size,
                      int flags)
{
    void *value = kmalloc(MAX(size, 1ul), 0);
    long result;

    if (!value)
        return -ENOMEM;
    result = copy_in(value, from, size);
    if (!result)
        result = path_set_xattr(path, name, value, size, flags);
    kfree(value);
    return result;
}

static long set_by(const struct syscall_args *args, enum by by)
{
    char name[XATTR_NAME_MAX + 1];
    int flags = arg_int(args, 4);
    u64 size = arg_u64(args, 3);
    struct path path;
    long result;

    if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    result = name_get(arg_user_ptr(args, 1), name);
    if (!result && size > XATTR_SIZE_MAX)
        result = -E2BIG;
    if (!result)
        result = path_get_by(args, by, &path);
    if (result)
        return result;
    result = set_value(&path, name, arg_user_ptr(args, 2), size, flags);
    path_put(&path);
    return result;
}

long sys_setxattr(const struct syscall_args *args)
{
    return set_by(args, BY_NAME);
}

long sys_lsetxattr(const struct syscall_args *args)
{
    return set_by(args, BY_LINK);
}

long sys_fsetxattr(const struct syscall_args *args)
{
    return set_by(args, BY_FD);
}

static long remove_by(const struct syscall_args *args, enum by by)
{
    char name[XATTR_NAME_MAX + 1];
    struct path path;
    long result = path_get_by(args, by, &path);

    if (result)
        return result;
    result = name_get(arg_user_ptr(args, 1), name);
    if (!result)
        result = path_remove_xattr(&path, name);
    path_put(&path);
    return result;
}

long sys_removexattr(const struct syscall_args *args)
{
    return remove_by(args, BY_NAME);
}

long sys_lremovexattr(const struct syscall_args *args)
{
    return remove_by(args, BY_LINK);
}

long sys_fremovexattr(const struct syscall_args *args)
{
    return remove_by(args, BY_FD);
}
