/*
 * getxattr(2), setxattr(2), listxattr(2), removexattr(2), each by name, link and descriptor.
 *
 * Twelve calls are four things that are done to a path and three ways to find it. Names and values
 * are copied in before the file is touched; which attributes there are is fs/'s and the file
 * system's (xattr(7)).
 *
 * Errors: of the file first, then -ERANGE: the attribute's name is empty or longer than 255;
 * -E2BIG: a value above 64 KiB; -ERANGE: the answer does not fit; a size of 0 only asks how large
 * it is.
 * Context: sleeps (the file server).
 */
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

/* What a family does to a file; `name` NULL: it lists. */
typedef long xattr_function(const struct path *path, const char *name,
                            const struct syscall_args *args);

static long xattr_list(const struct path *path, const char *name, const struct syscall_args *args);

static long xattr_by(const struct syscall_args *args, enum by by, xattr_function *function)
{
    char name[XATTR_NAME_MAX + 1];
    struct path path;
    long result = path_get_by(args, by, &path);

    if (result)
        return result;
    if (function != xattr_list)
        result = name_get(arg_user_ptr(args, 1), name);
    if (!result)
        result = function(&path, name, args);
    path_put(&path);
    return result;
}

/* ---- What is done ---- */

/* The value of `name`, or without one the list of names, to the user; size 0 only asks how long. */
static long xattr_answer(const struct path *path, const char *name, struct user_ptr to, u64 size)
{
    void *answer = NULL;
    ssize_t bytes;

    if (size) {
        answer = kmalloc(size, 0);
        if (!answer)
            return -ENOMEM;
    }
    bytes = name ? path_get_xattr(path, name, answer, size) : path_list_xattr(path, answer, size);
    if (bytes > 0 && size && copy_out(to, answer, (size_t)bytes))
        bytes = -EFAULT;
    kfree(answer);
    return bytes;
}

static long xattr_get(const struct path *path, const char *name, const struct syscall_args *args)
{
    return xattr_answer(path, name, arg_user_ptr(args, 2),
                        MIN(arg_u64(args, 3), (u64)XATTR_SIZE_MAX));
}

static long xattr_list(const struct path *path, const char *name, const struct syscall_args *args)
{
    return xattr_answer(path, NULL, arg_user_ptr(args, 1),
                        MIN(arg_u64(args, 2), (u64)XATTR_LIST_MAX));
}

/*
 * -EINVAL of the flags, -E2BIG, -EFAULT; then what the file says: -EEXIST with XATTR_CREATE,
 * -ENODATA with XATTR_REPLACE, -EOPNOTSUPP of a namespace that is not there. A size of 0 is an
 * empty value.
 */
static long xattr_set(const struct path *path, const char *name, const struct syscall_args *args)
{
    u64 size = arg_u64(args, 3);
    int flags = arg_int(args, 4);
    void *value;
    long result;

    if (flags & ~(XATTR_CREATE | XATTR_REPLACE))
        return -EINVAL;
    if (size > XATTR_SIZE_MAX)
        return -E2BIG;
    value = kmalloc(MAX(size, 1ul), 0);
    if (!value)
        return -ENOMEM;
    result = copy_in(value, arg_user_ptr(args, 2), size);
    if (!result)
        result = path_set_xattr(path, name, value, size, flags);
    kfree(value);
    return result;
}

static long xattr_remove(const struct path *path, const char *name, const struct syscall_args *args)
{
    return path_remove_xattr(path, name);
}

/* ---- The calls ---- */

long sys_getxattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_NAME, xattr_get);
}

long sys_lgetxattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_LINK, xattr_get);
}

long sys_fgetxattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_FD, xattr_get);
}

long sys_listxattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_NAME, xattr_list);
}

long sys_llistxattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_LINK, xattr_list);
}

long sys_flistxattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_FD, xattr_list);
}

long sys_setxattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_NAME, xattr_set);
}

long sys_lsetxattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_LINK, xattr_set);
}

long sys_fsetxattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_FD, xattr_set);
}

long sys_removexattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_NAME, xattr_remove);
}

long sys_lremovexattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_LINK, xattr_remove);
}

long sys_fremovexattr(const struct syscall_args *args)
{
    return xattr_by(args, BY_FD, xattr_remove);
}
