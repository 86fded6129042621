/*
 * open(2), close(2), dup(2) and their kin.
 *
 * All forms of open become a struct open_how. open(2) and openat(2) ignore what they do not know,
 * for programs pass it; openat2(2) refuses it, which is what it was made for:
 *
 *     open, openat, creat -> open_how_of: unknown bits dropped --+
 *     openat2             -> how_check: unknown bits -EINVAL ----+-> open_fd -> file_open_user
 *
 * A descriptor's number is the last thing that can fail, and the file then is closed again.
 *
 * Errors: how_check in Linux's order; -EMFILE after all that the name can say.
 * Context: sleeps (names, the file server, a FIFO's other end).
 */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "syscalls.h"
#include "versioned.h"

#define OPEN_FLAGS_KNOWN                                                                   \
    (O_ACCMODE | O_CREAT | O_EXCL | O_NOCTTY | O_TRUNC | O_APPEND | O_NONBLOCK | O_DSYNC | \
     O_ASYNC | O_DIRECT | O_LARGEFILE | O_DIRECTORY | O_NOFOLLOW | O_NOATIME | O_CLOEXEC | \
     O_SYNC | O_PATH | O_TMPFILE_BIT)
#define OPEN_FLAGS_PATH (O_PATH | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC)
#define RESOLVE_KNOWN                                                                  \
    (RESOLVE_NO_XDEV | RESOLVE_NO_MAGICLINKS | RESOLVE_NO_SYMLINKS | RESOLVE_BENEATH | \
     RESOLVE_IN_ROOT | RESOLVE_CACHED)
#define OPEN_HOW_BYTES_FIRST 24u

/* open(2) ignores what it does not know. */
struct open_how open_how_of(u32 flags, u32 mode)
{
    struct open_how how = {.flags = flags & OPEN_FLAGS_KNOWN, .mode = mode & MODE_BITS};

    if (how.flags & O_PATH)
        how.flags &= OPEN_FLAGS_PATH;
    if (!(how.flags & (O_CREAT | O_TMPFILE_BIT)))
        how.mode = 0;
    return how;
}

/* openat2(2) does not. */
static int how_check(const struct open_how *how)
{
    if ((how->flags & ~(u64)OPEN_FLAGS_KNOWN) || (how->resolve & ~(u64)RESOLVE_KNOWN))
        return -EINVAL;
    if ((how->resolve & (RESOLVE_BENEATH | RESOLVE_IN_ROOT)) == (RESOLVE_BENEATH | RESOLVE_IN_ROOT))
        return -EINVAL;
    if (how->mode & ~(u64)MODE_BITS)
        return -EINVAL;
    if (how->mode && !(how->flags & (O_CREAT | O_TMPFILE_BIT)))
        return -EINVAL;
    if ((how->flags & O_PATH) && (how->flags & ~(u64)OPEN_FLAGS_PATH))
        return -EINVAL;
    if ((how->resolve & RESOLVE_CACHED) && (how->flags & (O_TRUNC | O_CREAT | O_TMPFILE_BIT)))
        return -EAGAIN;
    return 0;
}

/* O_TMPFILE: a directory's name, without O_CREAT, and for writing (open(2)); else -EINVAL. */
static long open_fd(int directory_fd, struct user_ptr name, const struct open_how *how)
{
    struct file *file;
    int error;

    if (how->flags & O_TMPFILE_BIT) {
        if ((how->flags & O_TMPFILE) != O_TMPFILE || (how->flags & O_CREAT) ||
            (how->flags & O_ACCMODE) == O_RDONLY)
            return -EINVAL;
    }
    error = file_open_user(directory_fd, name, how, &file);
    if (error)
        return error;
    return fd_create(file, how->flags & O_CLOEXEC);
}

long sys_open(const struct syscall_args *args)
{
    const struct open_how how = open_how_of(arg_u32(args, 1), arg_u32(args, 2));

    return open_fd(AT_FDCWD, arg_user_ptr(args, 0), &how);
}

long sys_openat(const struct syscall_args *args)
{
    const struct open_how how = open_how_of(arg_u32(args, 2), arg_u32(args, 3));

    return open_fd(arg_int(args, 0), arg_user_ptr(args, 1), &how);
}

long sys_creat(const struct syscall_args *args)
{
    const struct open_how how = open_how_of(O_CREAT | O_WRONLY | O_TRUNC, arg_u32(args, 1));

    return open_fd(AT_FDCWD, arg_user_ptr(args, 0), &how);
}

long sys_openat2(const struct syscall_args *args)
{
    struct open_how how;
    int error = copy_in_versioned(&how, sizeof(how), arg_user_ptr(args, 2), arg_u64(args, 3),
                                  OPEN_HOW_BYTES_FIRST);

    if (!error)
        error = how_check(&how);
    return error ? error : open_fd(arg_int(args, 0), arg_user_ptr(args, 1), &how);
}

/* After an error the descriptor is gone too: a caller that tried again would close another's. */
long sys_close(const struct syscall_args *args)
{
    return fd_close(arg_int(args, 0));
}

/* -EINVAL: the first is above the last. Numbers without a file are passed over. */
long sys_close_range(const struct syscall_args *args)
{
    u32 first = arg_u32(args, 0), last = arg_u32(args, 1), flags = arg_u32(args, 2);

    if ((flags & ~(u32)(CLOSE_RANGE_UNSHARE | CLOSE_RANGE_CLOEXEC)) || first > last)
        return -EINVAL;
    if (flags & CLOSE_RANGE_UNSHARE) {
        int error = file_table_unshare();

        if (error)
            return error;
    }
    if (flags & CLOSE_RANGE_CLOEXEC)
        fd_range_set_close_on_exec(first, last);
    else
        fd_range_close(first, last);
    return 0;
}

/* ---- Duplicates ---- */

long sys_dup(const struct syscall_args *args)
{
    struct fd_use use = fd_enter_any(arg_int(args, 0));
    long fd;

    if (!use.file)
        return -EBADF;
    file_get(use.file);
    fd = fd_create(use.file, 0);
    fd_leave(use);
    return fd;
}

/*
 * -EBADF also for a number beyond RLIMIT_NOFILE. What `to` was is closed silently, its error is
 * lost.
 */
static long duplicate_to(int from, int to, u32 close_on_exec)
{
    struct fd_use use = fd_enter_any(from);
    long result;

    if (!use.file)
        return -EBADF;
    file_get(use.file);
    result = fd_replace(use.file, to, close_on_exec);
    if (result < 0)
        file_put(use.file);
    fd_leave(use);
    return result;
}

/* Of a descriptor onto itself it only asks whether it is open; dup3 refuses that. */
long sys_dup2(const struct syscall_args *args)
{
    int from = arg_int(args, 0), to = arg_int(args, 1);

    if (from == to) {
        struct fd_use use = fd_enter_any(from);

        fd_leave(use);
        return use.file ? to : -EBADF;
    }
    return duplicate_to(from, to, 0);
}

long sys_dup3(const struct syscall_args *args)
{
    int from = arg_int(args, 0), to = arg_int(args, 1);
    u32 flags = arg_u32(args, 2);

    if ((flags & ~(u32)O_CLOEXEC) || from == to)
        return -EINVAL;
    return duplicate_to(from, to, flags);
}

/* -EINVAL: an unknown flag (huge pages too) or a name of more than 249 bytes. */
long sys_memfd_create(const struct syscall_args *args)
{
    u32 flags = arg_u32(args, 1);
    char name[NAME_MAX_BYTES - 5]; /* "memfd:" before it, and the NUL (memfd_create(2)) */
    struct file *file;
    ssize_t bytes;
    int error;

    if (flags & ~(u32)(MFD_CLOEXEC | MFD_ALLOW_SEALING))
        return -EINVAL;
    bytes = copy_in_string(name, arg_user_ptr(args, 0), sizeof(name));
    if (bytes < 0)
        return bytes == -ENAMETOOLONG ? -EINVAL : bytes;
    error = memfd_open(name, flags & MFD_ALLOW_SEALING ? 0 : F_SEAL_SEAL, &file);
    if (error)
        return error;
    return fd_create(file, flags & MFD_CLOEXEC ? O_CLOEXEC : 0);
}
