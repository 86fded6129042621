/*
 * epoll(7)'s calls; fs/epoll.c is what lies behind them.
 *
 * epoll_wait is not made again after a signal handler, whatever SA_RESTART says, and not after a
 * stop either (signal(7)): it returns -EINTR and the table does not mark it.
 */
#include <pith/abi.h>

#include <pith/epoll.h>
#include <pith/proc.h>

#include "syscalls.h"
#include "timeout.h"
#include "wait_mask.h"

#define EVENTS_MAX (0x7fffffff / (int)sizeof(struct epoll_event))

static long create(u32 flags)
{
    struct file *file;
    int error;

    if (flags & ~EPOLL_CLOEXEC)
        return -EINVAL;
    error = epoll_open(&file);
    if (error)
        return error;
    return fd_create(file, flags & EPOLL_CLOEXEC ? O_CLOEXEC : 0);
}

long sys_epoll_create(const struct syscall_args *args)
{
    return arg_int(args, 0) <= 0 ? -EINVAL : create(0);
}

long sys_epoll_create1(const struct syscall_args *args)
{
    return create(arg_u32(args, 0));
}

/*
 * Both descriptors count as references: another thread may close either while it waits for the
 * epoll's lock. Descriptors of O_PATH are none here (-EBADF).
 */
long sys_epoll_ctl(const struct syscall_args *args)
{
    int operation = arg_int(args, 1), fd = arg_int(args, 2);
    struct epoll_event event = {0};
    struct file *epoll, *file;
    int error = -EBADF;

    if (operation != EPOLL_CTL_DEL && copy_in(&event, arg_user_ptr(args, 3), sizeof(event)))
        return -EFAULT;
    epoll = fd_find(arg_int(args, 0));
    if (!epoll)
        return -EBADF;
    file = fd_find(fd);
    if (file) {
        error = epoll_control(epoll, operation, fd, file, &event);
        file_put(file);
    }
    file_put(epoll);
    return error;
}

/* -EINVAL: `most` is not above 0, or the descriptor is no epoll's; -EBADF, -EFAULT, -EINTR. */
static long wait_events(int fd, struct user_ptr events, int most, u64 deadline)
{
    struct fd_use use;
    long result;

    if (most <= 0 || most > EVENTS_MAX)
        return -EINVAL;
    use = fd_enter(fd);
    if (!use.file)
        return -EBADF;
    result = epoll_wait_events(use.file, events, most, deadline);
    fd_leave(use);
    return result;
}

static long wait_with_mask(const struct syscall_args *args, u64 deadline)
{
    struct user_ptr mask = arg_user_ptr(args, 4);
    long result = wait_mask_begin(mask, arg_u64(args, 5));

    if (result)
        return result;
    result = wait_events(arg_int(args, 0), arg_user_ptr(args, 1), arg_int(args, 2), deadline);
    wait_mask_end(mask, result);
    return result;
}

long sys_epoll_wait(const struct syscall_args *args)
{
    return wait_events(arg_int(args, 0), arg_user_ptr(args, 1), arg_int(args, 2),
                       deadline_from_ms(arg_int(args, 3)));
}

long sys_epoll_pwait(const struct syscall_args *args)
{
    return wait_with_mask(args, deadline_from_ms(arg_int(args, 3)));
}

long sys_epoll_pwait2(const struct syscall_args *args)
{
    u64 deadline;
    int error = deadline_from_timespec(arg_user_ptr(args, 3), &deadline);

    return error ? error : wait_with_mask(args, deadline);
}
