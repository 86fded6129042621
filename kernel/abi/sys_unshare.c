/*
 * unshare(2) and setns(2). What threads and processes share by clone's flags can be made one's own
 * again; there are no namespaces, so that both answer for them as a kernel built without.
 */
#include <pith/abi.h>

#include <pith/file_calls.h>
#include <pith/proc.h>

#include "syscalls.h"

#define UNSHARE_ALONE (CLONE_THREAD | CLONE_SIGHAND | CLONE_VM)
#define UNSHARE_KNOWN (UNSHARE_ALONE | CLONE_FS | CLONE_FILES | CLONE_SYSVSEM | CLONE_NAMESPACES)

/*
 * -EINVAL: an unknown flag, or a process of several threads where what threads must share is to be
 * one's own; namespaces by namespaces_refuse.
 */
long sys_unshare(const struct syscall_args *args)
{
    u64 flags = arg_u64(args, 0);
    int error;

    if (flags & ~UNSHARE_KNOWN)
        return -EINVAL;
    if ((flags & UNSHARE_ALONE) && !process_is_alone(flags))
        return -EINVAL;
    error = namespaces_refuse(flags);
    if (!error && (flags & CLONE_FS))
        error = thread_directories_unshare();
    if (!error && (flags & CLONE_FILES))
        error = file_table_unshare();
    return error;
}

/* No descriptor is a namespace's. */
long sys_setns(const struct syscall_args *args)
{
    struct file *file = fd_find(arg_int(args, 0));

    if (!file)
        return -EBADF;
    file_put(file);
    return -EINVAL;
}
