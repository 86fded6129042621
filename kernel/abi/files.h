/*
 * Files among a call's arguments: a descriptor, two new ones, the flags of the *at calls.
 *
 * A call uses a file between fd_enter, which counts a reference only if another thread could close
 * the descriptor meanwhile, and fd_leave. fd_apply is that pair, once, for the calls whose first
 * argument is the descriptor; what they do is a function of the file, which just returns.
 */
#pragma once

#include <pith/abi.h>
#include <pith/file_calls.h>

typedef long file_function(struct file *file, const struct syscall_args *args);

/* Leaves what was entered. -EBADF: nothing was. */
static inline long fd_use_apply(struct fd_use use, const struct syscall_args *args,
                                file_function *function)
{
    long result;

    if (!use.file)
        return -EBADF;
    result = function(use.file, args);
    fd_leave(use);
    return result;
}

/* -EBADF: the first argument is no descriptor, or one of O_PATH. */
static inline long fd_apply(const struct syscall_args *args, file_function *function)
{
    return fd_use_apply(fd_enter(arg_int(args, 0)), args, function);
}

/* O_PATH's too: for calls that only ask which file it is. */
static inline long fd_apply_any(const struct syscall_args *args, file_function *function)
{
    return fd_use_apply(fd_enter_any(arg_int(args, 0)), args, function);
}

/*
 * Makes descriptors of both ends (pipe(2), socketpair(2)) and writes their numbers to `fds_at`;
 * `close_on_exec` is O_CLOEXEC or 0. Takes over both references in any case. -EMFILE, -EFAULT,
 * -ENOMEM: nothing was made.
 */
long fd_create_pair(struct file *ends[2], struct user_ptr fds_at, u32 close_on_exec) must_check;

/* Whether a name is "", by which some calls mean the descriptor beside it. */
static inline bool user_name_is_empty(struct user_ptr name)
{
    char first;

    return copy_in(&first, name, 1) == 0 && first == '\0';
}

/* AT_SYMLINK_NOFOLLOW and AT_EMPTY_PATH, for calls that follow a last link by default. */
static inline u32 lookup_of_at_flags(u32 at_flags)
{
    return (at_flags & AT_SYMLINK_NOFOLLOW ? 0 : LOOKUP_FOLLOW) |
           (at_flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
}
