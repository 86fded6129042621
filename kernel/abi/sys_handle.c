/*
 * name_to_handle_at(2) and open_by_handle_at(2). No file system here gives its files handles that
 * outlive their names, and each says so as Linux's own such file systems do (/proc, say): a program
 * that asks goes on with names.
 */
#include <pith/abi.h>

#include <pith/file_calls.h>

#include "syscalls.h"

#define HANDLE_BYTES_MAX 128u

/* What stands before a handle's bytes. */
struct abi_file_handle {
    u32 bytes;
    s32 type;
};

long sys_name_to_handle_at(const struct syscall_args *args)
{
    u32 flags = arg_u32(args, 4);
    u32 lookup = (flags & AT_SYMLINK_FOLLOW ? LOOKUP_FOLLOW : 0) |
                 (flags & AT_EMPTY_PATH ? LOOKUP_EMPTY : 0);
    struct path path;
    int error;

    if (flags & ~(u32)(AT_SYMLINK_FOLLOW | AT_EMPTY_PATH))
        return -EINVAL;
    error = path_find_user(arg_int(args, 0), arg_user_ptr(args, 1), lookup, &path);
    if (error)
        return error;
    path_put(&path);
    return -EOPNOTSUPP;
}

long sys_open_by_handle_at(const struct syscall_args *args)
{
    struct abi_file_handle handle;
    struct path mounted;
    int error;

    if (!credentials_can(thread_current()->credentials, CAPABILITY_DAC_READ_SEARCH))
        return -EPERM;
    if (copy_in(&handle, arg_user_ptr(args, 1), sizeof(handle)))
        return -EFAULT;
    if (handle.bytes == 0 || handle.bytes > HANDLE_BYTES_MAX)
        return -EINVAL;
    error = path_of_fd(arg_int(args, 0), &mounted);
    if (error)
        return error;
    path_put(&mounted);
    return -ESTALE; /* it is no file's */
}
