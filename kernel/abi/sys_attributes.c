/*
 * chmod(2), chown(2), utimensat(2), truncate(2) and their kin.
 *
 * Each of the three exists by name, by link, by descriptor, by directory and name, and with older
 * structures; all become a struct change and one of two ways to a path. What may be changed by whom
 * is decided in fs/ (path_change_mode and the others), where a path has its mount and inode.
 *
 * The older forms differ in order from what they became: utime and utimes follow links, a NULL time
 * means now for both, and utimensat with two UTIME_OMIT succeeds without looking at the name.
 *
 * Context: sleeps (names, the file server).
 */
#include <pith/abi.h>

#include <pith/abi/process.h>
#include <pith/arithmetic.h>
#include <pith/file_calls.h>

#include "files.h"
#include "syscalls.h"

#define UTIME_NOW  ((1l << 30) - 1l)
#define UTIME_OMIT ((1l << 30) - 2l)

/* What is done to a path, however the call names it. */
struct change {
    int (*apply)(const struct path *path, const struct change *change);
    u32 mode, uid, gid;
    const struct times_change *times;
    s64 size;
};

static long change_at(int directory_fd, struct user_ptr name, u32 lookup,
                      const struct change *change)
{
    struct path path;
    int error = path_find_user(directory_fd, name, lookup, &path);

    if (error)
        return error;
    error = change->apply(&path, change);
    path_put(&path);
    return error;
}

/* Takes over `use`, of a descriptor that was entered by the rules of the call (O_PATH or not). */
static long change_fd(struct fd_use use, const struct change *change)
{
    int error;

    if (!use.file)
        return -EBADF;
    error = change->apply(&use.file->path, change);
    fd_leave(use);
    return error;
}

/* ---- chmod ---- */

static int apply_mode(const struct path *path, const struct change *change)
{
    return path_change_mode(path, change->mode);
}

long sys_chmod(const struct syscall_args *args)
{
    const struct change change = {.apply = apply_mode, .mode = arg_u32(args, 1)};

    return change_at(AT_FDCWD, arg_user_ptr(args, 0), LOOKUP_FOLLOW, &change);
}

long sys_fchmod(const struct syscall_args *args)
{
    const struct change change = {.apply = apply_mode, .mode = arg_u32(args, 1)};

    return change_fd(fd_enter(arg_int(args, 0)), &change);
}

/* fchmodat(2) has no flags in the kernel's interface; libc does AT_SYMLINK_NOFOLLOW by /proc. */
long sys_fchmodat(const struct syscall_args *args)
{
    const struct change change = {.apply = apply_mode, .mode = arg_u32(args, 2)};

    return change_at(arg_int(args, 0), arg_user_ptr(args, 1), LOOKUP_FOLLOW, &change);
}

/* ---- chown ---- */

static int apply_owner(const struct path *path, const struct change *change)
{
    return path_change_owner(path, change->uid, change->gid);
}

long sys_chown(const struct syscall_args *args)
{
    const struct change change = {
        .apply = apply_owner, .uid = arg_u32(args, 1), .gid = arg_u32(args, 2)};

    return change_at(AT_FDCWD, arg_user_ptr(args, 0), LOOKUP_FOLLOW, &change);
}

long sys_lchown(const struct syscall_args *args)
{
    const struct change change = {
        .apply = apply_owner, .uid = arg_u32(args, 1), .gid = arg_u32(args, 2)};

    return change_at(AT_FDCWD, arg_user_ptr(args, 0), 0, &change);
}

long sys_fchown(const struct syscall_args *args)
{
    const struct change change = {
        .apply = apply_owner, .uid = arg_u32(args, 1), .gid = arg_u32(args, 2)};

    return change_fd(fd_enter(arg_int(args, 0)), &change);
}

long sys_fchownat(const struct syscall_args *args)
{
    const struct change change = {
        .apply = apply_owner, .uid = arg_u32(args, 2), .gid = arg_u32(args, 3)};
    u32 at_flags = arg_u32(args, 4);

    if (at_flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    return change_at(arg_int(args, 0), arg_user_ptr(args, 1), lookup_of_at_flags(at_flags),
                     &change);
}

/* ---- Times ---- */

static int apply_times(const struct path *path, const struct change *change)
{
    return path_change_times(path, change->times);
}

/* UTIME_NOW and UTIME_OMIT stand in the place of nanoseconds; the seconds then mean nothing. */
static int time_decode(const struct abi_timespec *from, u32 bit, struct times_change *times,
                       s64 *ns_out)
{
    if (from->nanoseconds == UTIME_OMIT)
        return 0;
    times->valid |= bit;
    if (from->nanoseconds == UTIME_NOW)
        times->now |= bit;
    else if (from->nanoseconds < 0 || from->nanoseconds >= (s64)NS_PER_SECOND)
        return -EINVAL;
    else
        *ns_out = moment_ns(from->seconds, (u32)from->nanoseconds);
    return 0;
}

static int times_decode(const struct abi_timespec from[2], struct times_change *times)
{
    int error;

    *times = (struct times_change){.valid = 0};
    error = time_decode(&from[0], CHANGE_ACCESSED, times, &times->accessed_ns);
    return error ? error : time_decode(&from[1], CHANGE_MODIFIED, times, &times->modified_ns);
}

/* A NULL name means the descriptor itself. */
static long times_at(int directory_fd, struct user_ptr name, u32 at_flags,
                     const struct abi_timespec specs[2])
{
    struct times_change times;
    const struct change change = {.apply = apply_times, .times = &times};
    int error = times_decode(specs, &times);

    if (error)
        return error;
    if (user_ptr_is_null(name) && directory_fd != AT_FDCWD)
        return at_flags ? -EINVAL : change_fd(fd_enter(directory_fd), &change);
    return change_at(directory_fd, name, lookup_of_at_flags(at_flags), &change);
}

static const struct abi_timespec times_now[2] = {{0, UTIME_NOW}, {0, UTIME_NOW}};

long sys_utimensat(const struct syscall_args *args)
{
    struct user_ptr at = arg_user_ptr(args, 2);
    struct abi_timespec specs[2];
    u32 at_flags = arg_u32(args, 3);

    if (at_flags & ~(u32)(AT_SYMLINK_NOFOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    if (user_ptr_is_null(at))
        return times_at(arg_int(args, 0), arg_user_ptr(args, 1), at_flags, times_now);
    if (copy_in(specs, at, sizeof(specs)))
        return -EFAULT;
    /* Nothing is to change: the name is not even looked at (utimensat(2)). */
    if (specs[0].nanoseconds == UTIME_OMIT && specs[1].nanoseconds == UTIME_OMIT)
        return 0;
    return times_at(arg_int(args, 0), arg_user_ptr(args, 1), at_flags, specs);
}

/* Microseconds, for the older calls. */
static long times_of_timevals(int directory_fd, struct user_ptr name, struct user_ptr at)
{
    struct abi_timeval values[2];
    struct abi_timespec specs[2];

    if (user_ptr_is_null(at))
        return times_at(directory_fd, name, 0, times_now);
    if (copy_in(values, at, sizeof(values)))
        return -EFAULT;
    for (u32 i = 0; i < 2; i++) {
        if (values[i].microseconds < 0 || values[i].microseconds >= 1000000)
            return -EINVAL;
        specs[i] = (struct abi_timespec){values[i].seconds, values[i].microseconds * 1000};
    }
    return times_at(directory_fd, name, 0, specs);
}

long sys_utimes(const struct syscall_args *args)
{
    return times_of_timevals(AT_FDCWD, arg_user_ptr(args, 0), arg_user_ptr(args, 1));
}

long sys_futimesat(const struct syscall_args *args)
{
    return times_of_timevals(arg_int(args, 0), arg_user_ptr(args, 1), arg_user_ptr(args, 2));
}

long sys_utime(const struct syscall_args *args)
{
    struct user_ptr at = arg_user_ptr(args, 1);
    s64 seconds[2];

    if (user_ptr_is_null(at))
        return times_at(AT_FDCWD, arg_user_ptr(args, 0), 0, times_now);
    if (copy_in(seconds, at, sizeof(seconds)))
        return -EFAULT;
    const struct abi_timespec specs[2] = {{seconds[0], 0}, {seconds[1], 0}};
    return times_at(AT_FDCWD, arg_user_ptr(args, 0), 0, specs);
}

/* ---- Sizes ---- */

static int apply_size(const struct path *path, const struct change *change)
{
    return path_truncate(path, change->size);
}

long sys_truncate(const struct syscall_args *args)
{
    const struct change change = {.apply = apply_size, .size = arg_s64(args, 1)};

    if (change.size < 0)
        return -EINVAL;
    return change_at(AT_FDCWD, arg_user_ptr(args, 0), LOOKUP_FOLLOW, &change);
}

static long truncate_file(struct file *file, const struct syscall_args *args)
{
    return file_truncate(file, arg_s64(args, 1));
}

/* -EINVAL also for what is open, but not for writing, or no regular file (truncate(2)). */
long sys_ftruncate(const struct syscall_args *args)
{
    return arg_s64(args, 1) < 0 ? -EINVAL : fd_apply(args, truncate_file);
}
