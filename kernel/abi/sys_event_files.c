/*
 * eventfd(2), timerfd_create(2), signalfd(2), inotify(7): events as files.
 *
 * Each is made here with its flags checked, and is a file like any other then: fs/ and proc/ have
 * what read, poll and close do. The four have the same two flags, with the values of open(2)'s.
 */
#include <pith/abi.h>

#include <pith/abi/inotify.h>
#include <pith/event_files.h>
#include <pith/file_calls.h>
#include <pith/proc.h>

#include "files.h"
#include "syscalls.h"
#include "timeout.h"

/* EFD_, TFD_, SFD_ and IN_CLOEXEC, _NONBLOCK. */
#define FLAGS_OF_OPEN (O_CLOEXEC | O_NONBLOCK)

/* ---- eventfd ---- */

/* The first count has 32 bits, though the counter has 64 (eventfd(2)). -EINVAL: an unknown flag. */
static long eventfd_create_fd(u64 count, u32 flags)
{
    struct file *file;
    int error;

    if (flags & ~(u32)(FLAGS_OF_OPEN | EFD_SEMAPHORE))
        return -EINVAL;
    error = eventfd_open(count, flags, &file);
    return error ? error : fd_create(file, flags & O_CLOEXEC);
}

long sys_eventfd(const struct syscall_args *args)
{
    return eventfd_create_fd(arg_u32(args, 0), 0);
}

long sys_eventfd2(const struct syscall_args *args)
{
    return eventfd_create_fd(arg_u32(args, 0), arg_u32(args, 1));
}

/* ---- timerfd ---- */

/* -EPERM: an alarm clock without CAP_WAKE_ALARM; -EINVAL: no clock that a timerfd can follow. */
static int clock_check(int clock)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
        return 0;
    case CLOCK_REALTIME_ALARM:
    case CLOCK_BOOTTIME_ALARM: /* the machine never sleeps: as without _ALARM */
        return credentials_can(thread_current()->credentials, CAPABILITY_WAKE_ALARM) ? 0 : -EPERM;
    default:
        return -EINVAL;
    }
}

long sys_timerfd_create(const struct syscall_args *args)
{
    u32 flags = arg_u32(args, 1);
    int clock = arg_int(args, 0);
    struct file *file;
    int error;

    if (flags & ~(u32)FLAGS_OF_OPEN)
        return -EINVAL;
    error = clock_check(clock);
    if (error)
        return error;
    error =
        timerfd_open(clock, clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_ALARM, flags, &file);
    return error ? error : fd_create(file, flags & O_CLOEXEC);
}

/*
 * What was left goes out also with -ECANCELED (the date was set while TFD_TIMER_CANCEL_ON_SET
 * held).
 */
long sys_timerfd_settime(const struct syscall_args *args)
{
    struct user_ptr left_at = arg_user_ptr(args, 3);
    struct interval_timer timer, left;
    u32 flags = arg_u32(args, 1);
    struct fd_use use;
    int error, copy_error = 0;

    _Static_assert(TIMERFD_ABSOLUTE == 1 && TIMERFD_CANCEL_ON_SET == 2, "TFD_TIMER_*");
    error = itimerspec_copy_in(arg_user_ptr(args, 2), &timer);
    if (error)
        return error;
    if (flags & ~(u32)(TIMERFD_ABSOLUTE | TIMERFD_CANCEL_ON_SET))
        return -EINVAL;
    use = fd_enter(arg_int(args, 0));
    if (!use.file)
        return -EBADF;
    error = timerfd_set(use.file, flags, &timer, &left);
    fd_leave(use);
    if ((!error || error == -ECANCELED) && !user_ptr_is_null(left_at))
        copy_error = itimerspec_copy_out(left_at, &left);
    return copy_error ? copy_error : error;
}

static long timerfd_tell(struct file *file, const struct syscall_args *args)
{
    struct interval_timer left;
    int error = timerfd_get(file, &left);

    return error ? error : itimerspec_copy_out(arg_user_ptr(args, 1), &left);
}

long sys_timerfd_gettime(const struct syscall_args *args)
{
    return fd_apply(args, timerfd_tell);
}

/* ---- signalfd ---- */

/* Another set for one that is open; its flags stay (signalfd(2)). */
static long signalfd_set(int fd, u64 set)
{
    struct fd_use use = fd_enter(fd);
    int error;

    if (!use.file)
        return -EBADF;
    error = signalfd_change(use.file, set);
    fd_leave(use);
    return error ? error : fd;
}

/*
 * -EINVAL of the set's size, -EFAULT, -EINVAL of the flags; then, of a descriptor that is given,
 * -EBADF and -EINVAL: it is no signalfd.
 */
static long signalfd_create_fd(const struct syscall_args *args, u32 flags)
{
    struct file *file;
    int error;
    u64 set;

    if (arg_u64(args, 2) != sizeof(set))
        return -EINVAL;
    if (copy_in(&set, arg_user_ptr(args, 1), sizeof(set)))
        return -EFAULT;
    if (flags & ~(u32)FLAGS_OF_OPEN)
        return -EINVAL;
    if (arg_int(args, 0) != -1)
        return signalfd_set(arg_int(args, 0), set);
    error = signalfd_open(set, flags, &file);
    return error ? error : fd_create(file, flags & O_CLOEXEC);
}

long sys_signalfd(const struct syscall_args *args)
{
    return signalfd_create_fd(args, 0);
}

long sys_signalfd4(const struct syscall_args *args)
{
    return signalfd_create_fd(args, arg_u32(args, 3));
}

/* ---- inotify ---- */

static long inotify_create_fd(u32 flags)
{
    struct file *file;
    int error;

    if (flags & ~(u32)FLAGS_OF_OPEN)
        return -EINVAL;
    error = inotify_open(flags, &file);
    return error ? error : fd_create(file, flags & O_CLOEXEC);
}

long sys_inotify_init(const struct syscall_args *args)
{
    return inotify_create_fd(0);
}

long sys_inotify_init1(const struct syscall_args *args)
{
    return inotify_create_fd(arg_u32(args, 0));
}

/*
 * The watch's number. -EINVAL: no inotify, or a mask of nothing; then what the name gives; -ENOSPC:
 * the user's limit; -EEXIST with IN_MASK_CREATE.
 */
static long watch_add(struct file *file, const struct syscall_args *args)
{
    u32 mask = arg_u32(args, 2);
    u32 lookup =
        (mask & IN_DONT_FOLLOW ? 0 : LOOKUP_FOLLOW) | (mask & IN_ONLYDIR ? LOOKUP_DIRECTORY : 0);
    struct path path;
    long result = inotify_check(file, mask);

    if (result)
        return result;
    result = path_find_user(AT_FDCWD, arg_user_ptr(args, 1), lookup, &path);
    if (result)
        return result;
    result = inotify_add_watch(file, &path, mask);
    path_put(&path);
    return result;
}

long sys_inotify_add_watch(const struct syscall_args *args)
{
    return inotify_mask_is_valid(arg_u32(args, 2)) ? fd_apply(args, watch_add) : -EINVAL;
}

static long watch_remove(struct file *file, const struct syscall_args *args)
{
    return inotify_remove_watch(file, arg_int(args, 1));
}

long sys_inotify_rm_watch(const struct syscall_args *args)
{
    return fd_apply(args, watch_remove);
}
