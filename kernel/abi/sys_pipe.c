/*
 * pipe(2), and how two descriptors are made at once (socketpair(2) does so too).
 *
 *     fd_reserve ---------> copy_out -----------> fd_install
 *     numbers are taken     the caller has them   files are there
 *
 * Numbers come before anybody can use them: an error leaves no descriptor behind that the program
 * was not told of, and no other thread can close one before that.
 *
 * Errors: -EINVAL (flags), then -ENOMEM, -EMFILE, -EFAULT.
 */
#include <pith/abi.h>

#include <pith/pipe.h>

#include "files.h"
#include "syscalls.h"

/* The descriptors become visible only after their numbers have reached the caller. */
long fd_create_pair(struct file *ends[2], struct user_ptr fds_at, u32 close_on_exec)
{
    struct file_table *files = thread_current()->files;
    int fds[2], error;

    error = fd_reserve(files, 0, fds, 2);
    if (error)
        goto put_ends;
    error = copy_out(fds_at, fds, sizeof(fds));
    if (error)
        goto release_fds;
    fd_install(files, fds[0], ends[0], close_on_exec);
    fd_install(files, fds[1], ends[1], close_on_exec);
    return 0;

release_fds:
    fd_release(files, fds, 2);
put_ends:
    file_put(ends[0]);
    file_put(ends[1]);
    return error;
}

static long pipe_create_fds(struct user_ptr fds_at, u32 flags)
{
    struct file *ends[2];
    int error;

    if (flags & ~(O_CLOEXEC | O_NONBLOCK | O_DIRECT))
        return -EINVAL;
    error = pipe_open_pair(flags, ends);
    return error ? error : fd_create_pair(ends, fds_at, flags & O_CLOEXEC);
}

long sys_pipe(const struct syscall_args *args)
{
    return pipe_create_fds(arg_user_ptr(args, 0), 0);
}

long sys_pipe2(const struct syscall_args *args)
{
    return pipe_create_fds(arg_user_ptr(args, 0), arg_u32(args, 1));
}
