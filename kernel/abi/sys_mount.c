/*
 * mount(2), umount2(2), pivot_root(2).
 *
 * One call, whose flags make it five: remount, bind, propagation, move, and a new mount; in that
 * order, as Linux decides. Changes never pass between mounts here: so asking for less sharing is no
 * change but for MS_UNBINDABLE, and for more an error.
 *
 * Errors: of the arguments and the name first, then -EPERM (CAP_SYS_ADMIN), then what was asked:
 * -EINVAL, -ENODEV (no such file system), -EBUSY.
 * Context: sleeps; the mount tree's lock is taken in fs/.
 */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "syscalls.h"

#define TYPE_BYTES  64
#define PROPAGATION (MS_UNBINDABLE | MS_PRIVATE | MS_SLAVE | MS_SHARED)

struct mount_arguments {
    char *source;  /* "" for NULL */
    char *options; /* "" for NULL */
    char type[TYPE_BYTES];
};

static bool may_mount(void)
{
    return credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN);
}

/* A string that may be NULL, into a buffer of PATH_MAX_BYTES. */
static int text_copy_in(struct user_ptr from, char **text_out)
{
    if (!user_ptr_is_null(from))
        return name_copy_in(from, LOOKUP_EMPTY, text_out);
    *text_out = name_buffer_alloc();
    if (!*text_out)
        return -ENOMEM;
    **text_out = '\0';
    return 0;
}

static int arguments_copy_in(const struct syscall_args *args, struct mount_arguments *out)
{
    ssize_t bytes = 0;
    int error;

    out->type[0] = '\0';
    if (!user_ptr_is_null(arg_user_ptr(args, 2)))
        bytes = copy_in_string(out->type, arg_user_ptr(args, 2), sizeof(out->type));
    if (bytes < 0)
        return bytes == -ENAMETOOLONG ? -ENODEV : (int)bytes;
    error = text_copy_in(arg_user_ptr(args, 0), &out->source);
    if (error)
        return error;
    error = text_copy_in(arg_user_ptr(args, 4), &out->options);
    if (error)
        name_free(out->source);
    return error;
}

/* MS_BIND and MS_MOVE take their source as a path. */
static int mount_from_path(const struct path *where, const char *source, u32 flags)
{
    struct path what;
    int error = *source ? path_find(NULL, source, LOOKUP_FOLLOW, &what) : -ENOENT;

    if (error)
        return error;
    error = flags & MS_BIND ? mount_bind(where, &what, flags) : mount_move(where, &what);
    path_put(&what);
    return error;
}

/* In Linux's order: of several kinds of change the first is meant. */
static int mount_decide(const struct path *where, const struct mount_arguments *arguments,
                        u32 flags)
{
    const struct mount_source source = {
        .source = arguments->source, .flags = flags, .options = arguments->options};

    if (flags & MS_REMOUNT)
        return mount_change_flags(where, &source);
    if (flags & MS_BIND)
        return mount_from_path(where, arguments->source, flags);
    if (flags & PROPAGATION)
        return mount_set_sharing(where, flags);
    if (flags & MS_MOVE)
        return mount_from_path(where, arguments->source, flags);
    if (!arguments->type[0])
        return -EINVAL;
    return mount_new(where, arguments->type, &source);
}

long sys_mount(const struct syscall_args *args)
{
    u32 flags = arg_u32(args, 3);
    struct mount_arguments arguments;
    struct path where;
    int error;

    if ((flags & MS_MAGIC_MASK) == MS_MAGIC)
        flags &= ~MS_MAGIC_MASK;
    if (flags & MS_STRICTATIME) /* it is the strongest */
        flags &= ~(MS_NOATIME | MS_RELATIME);
    error = arguments_copy_in(args, &arguments);
    if (error)
        return error;
    error = path_find_user(AT_FDCWD, arg_user_ptr(args, 1), LOOKUP_FOLLOW, &where);
    if (!error) {
        error = may_mount() ? mount_decide(&where, &arguments, flags) : -EPERM;
        path_put(&where);
    }
    name_free(arguments.options);
    name_free(arguments.source);
    return error;
}

long sys_umount2(const struct syscall_args *args)
{
    u32 flags = arg_u32(args, 1);
    struct path where;
    int error;

    if (flags & ~(u32)(MNT_FORCE | MNT_DETACH | MNT_EXPIRE | UMOUNT_NOFOLLOW))
        return -EINVAL;
    error = path_find_user(AT_FDCWD, arg_user_ptr(args, 0),
                           flags & UMOUNT_NOFOLLOW ? 0 : LOOKUP_FOLLOW, &where);
    if (error)
        return error;
    error = may_mount() ? mount_remove(&where, flags) : -EPERM;
    path_put(&where);
    return error;
}

long sys_pivot_root(const struct syscall_args *args)
{
    struct path new_root, put_old;
    int error;

    if (!may_mount())
        return -EPERM;
    error = path_find_user(AT_FDCWD, arg_user_ptr(args, 0), LOOKUP_FOLLOW | LOOKUP_DIRECTORY,
                           &new_root);
    if (error)
        return error;
    error =
        path_find_user(AT_FDCWD, arg_user_ptr(args, 1), LOOKUP_FOLLOW | LOOKUP_DIRECTORY, &put_old);
    if (!error) {
        error = mount_pivot_root(&new_root, &put_old);
        path_put(&put_old);
    }
    path_put(&new_root);
    return error;
}
