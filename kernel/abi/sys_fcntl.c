/*
 * fcntl(2), ioctl(2), flock(2): what is done to descriptors and open files.
 *
 * Three things hide behind one number, and each command is about one of them:
 *
 *     descriptor   F_DUPFD, F_GETFD, F_SETFD, FIOCLEX          its own flag, close on exec
 *     open file    F_SETFL, F_SETOWN, F_SETSIG, F_SETLK (OFD)   shared by dup and fork
 *     inode        F_SETLK, F_ADD_SEALS, F_SETPIPE_SZ           shared by all who opened it
 *
 * A descriptor of O_PATH has only the first, and may be asked for its flags (open(2), O_PATH).
 *
 * The flags of an open file are one word that is changed bit by bit (file_change_flags), so two
 * threads that change different ones lose none; O_ASYNC's bit goes with the list of who watches.
 *
 * Errors: -EINVAL for an unknown command, -EBADF for one that O_PATH has not, -ENOTTY for an ioctl
 * that the file does not know.
 */
#include <pith/abi.h>

#include <pith/abi/ioctl.h>
#include <pith/abi/signal.h>
#include <pith/file_calls.h>
#include <pith/pipe.h>

#include "files.h"
#include "syscalls.h"

/* By F_SETFL, beside O_ASYNC. */
#define FLAGS_CHANGEABLE (O_APPEND | O_DIRECT | O_NOATIME | O_NONBLOCK)

/* -EINVAL: `lowest` is negative or not below RLIMIT_NOFILE; -EMFILE. */
static long duplicate_from(struct file *file, u64 lowest, u32 close_on_exec)
{
    struct file_table *table = thread_current()->files;
    int fd, error;

    if (lowest >= READ_ONCE(thread_current()->limits_open_files))
        return -EINVAL;
    error = fd_reserve(table, (int)lowest, &fd, 1);
    if (error)
        return error;
    file_get(file);
    fd_install(table, fd, file, close_on_exec);
    return fd;
}

/*
 * The access mode and the flags of creation stay as they are, silently (fcntl(2), F_SETFL). -EPERM:
 * O_NOATIME of another's file.
 */
static long flags_set(struct file *file, int fd, u32 flags)
{
    u32 added = flags & ~READ_ONCE(file->flags);
    int error = 0;

    if ((added & O_NOATIME) && !file_is_owned(file))
        return -EPERM;
    if (!(flags & O_ASYNC))
        file_async_disable(file);
    else if ((added & O_ASYNC) && file->operations->poll)
        error = file_async_enable(file, fd);
    if (!error)
        file_change_flags(file, FLAGS_CHANGEABLE, flags);
    return error;
}

static long lock_command(struct file *file, int fd, int command, struct user_ptr at)
{
    struct flock flock;
    int error = copy_in(&flock, at, sizeof(flock));

    if (!error)
        error = file_lock_command(file, fd, command, &flock);
    if (!error && (command == F_GETLK || command == F_OFD_GETLK))
        error = copy_out(at, &flock, sizeof(flock));
    return error;
}

/*
 * F_GETOWN: a group is a negative number, and a small one looks like an error: the C library asks
 * F_GETOWN_EX instead (fcntl(2), BUGS).
 */
static long owner_get(struct file *file)
{
    struct signal_target owner;

    file_get_owner(file, &owner);
    return owner.type == F_OWNER_PGRP ? -owner.id : owner.id;
}

/* F_SETOWN: a process, or, negative, a group. INT_MIN has no positive. */
static long owner_set(struct file *file, int owner)
{
    if (owner == INT32_MIN)
        return -EINVAL;
    return owner < 0 ? file_set_owner(file, F_OWNER_PGRP, -owner)
                     : file_set_owner(file, F_OWNER_PID, owner);
}

static long owner_get_extended(struct file *file, struct user_ptr at)
{
    struct signal_target owner;
    struct f_owner_ex extended;

    file_get_owner(file, &owner);
    extended = (struct f_owner_ex){.type = (s32)owner.type, .pid = owner.id};
    return copy_out(at, &extended, sizeof(extended));
}

static long owner_set_extended(struct file *file, struct user_ptr at)
{
    struct f_owner_ex owner;

    if (copy_in(&owner, at, sizeof(owner)))
        return -EFAULT;
    if (owner.type < F_OWNER_TID || owner.type > F_OWNER_PGRP)
        return -EINVAL;
    return file_set_owner(file, (u32)owner.type, owner.pid);
}

static long owner_signal_get(struct file *file)
{
    struct signal_target owner;

    file_get_owner(file, &owner);
    return owner.signal;
}

/* How long what is written will live: kept for who asks, and nothing else. */
static long write_hint_get(struct file *file, struct user_ptr at)
{
    u64 hint = READ_ONCE(file->inode->write_hint);

    return copy_out(at, &hint, sizeof(hint));
}

static long write_hint_set(struct file *file, struct user_ptr at)
{
    u64 hint;

    if (copy_in(&hint, at, sizeof(hint)))
        return -EFAULT;
    if (hint > RWH_WRITE_LIFE_EXTREME)
        return -EINVAL;
    WRITE_ONCE(file->inode->write_hint, (u16)hint);
    return 0;
}

/* What also an O_PATH descriptor can. */
static long fcntl_of_any(struct file *file, int fd, int command, u64 argument)
{
    switch (command) {
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
        return duplicate_from(file, argument, command == F_DUPFD ? 0 : O_CLOEXEC);
    case F_GETFD:
        return fd_get_close_on_exec(fd);
    case F_SETFD:
        return fd_set_close_on_exec(fd, argument & FD_CLOEXEC ? O_CLOEXEC : 0);
    case F_GETFL:
        return READ_ONCE(file->flags);
    default:
        return -EBADF;
    }
}

static long fcntl_of_open(struct file *file, int fd, int command, u64 argument)
{
    switch (command) {
    case F_SETFL:
        return flags_set(file, fd, (u32)argument);
    case F_GETLK:
    case F_SETLK:
    case F_SETLKW:
    case F_OFD_GETLK:
    case F_OFD_SETLK:
    case F_OFD_SETLKW:
        return lock_command(file, fd, command, user_ptr_at(argument));
    case F_GETOWN:
        return owner_get(file);
    case F_SETOWN:
        return owner_set(file, (int)argument);
    case F_GETOWN_EX:
        return owner_get_extended(file, user_ptr_at(argument));
    case F_SETOWN_EX:
        return owner_set_extended(file, user_ptr_at(argument));
    case F_GETSIG:
        return owner_signal_get(file);
    case F_SETSIG:
        return argument > SIGNALS ? -EINVAL : file_set_owner_signal(file, (s32)argument);
    case F_GETPIPE_SZ:
        return pipe_get_size(file);
    case F_SETPIPE_SZ:
        return pipe_set_size(file, (u32)argument);
    case F_NOTIFY:
        return file_notify(file, fd, (u32)argument);
    case F_ADD_SEALS:
        return file_add_seals(file, (u32)argument);
    case F_GET_SEALS:
        return file_get_seals(file);
    case F_GETLEASE: /* no file here can have leases */
        return F_UNLCK;
    case F_SETLEASE:
        return argument == F_UNLCK ? -EAGAIN : -EINVAL;
    case F_GET_RW_HINT:
        return write_hint_get(file, user_ptr_at(argument));
    case F_SET_RW_HINT:
        return write_hint_set(file, user_ptr_at(argument));
    case F_DUPFD:
    case F_DUPFD_CLOEXEC:
    case F_GETFD:
    case F_SETFD:
    case F_GETFL:
        return fcntl_of_any(file, fd, command, argument);
    default:
        return -EINVAL;
    }
}

static long fcntl_of_file(struct file *file, const struct syscall_args *args)
{
    int fd = arg_int(args, 0), command = arg_int(args, 1);
    u64 argument = arg_u64(args, 2);

    if (file->mode & FILE_PATH)
        return fcntl_of_any(file, fd, command, argument);
    return fcntl_of_open(file, fd, command, argument);
}

long sys_fcntl(const struct syscall_args *args)
{
    return fd_apply_any(args, fcntl_of_file);
}

/* ---- ioctl ---- */

static long nonblock_from_user(struct file *file, struct user_ptr at)
{
    int on;

    if (copy_in(&on, at, sizeof(on)))
        return -EFAULT;
    file_change_flags(file, O_NONBLOCK, on ? O_NONBLOCK : 0);
    return 0;
}

static long async_from_user(struct file *file, int fd, struct user_ptr at)
{
    int on;

    if (copy_in(&on, at, sizeof(on)))
        return -EFAULT;
    if (!on == !(READ_ONCE(file->flags) & O_ASYNC))
        return 0;
    if (!file->operations->poll)
        return -ENOTTY;
    if (on)
        return file_async_enable(file, fd);
    file_async_disable(file);
    return 0;
}

/* FIONREAD: how much of a regular file is left to read; below 0 behind its end, as on Linux. */
static long left_to_read(struct file *file, struct user_ptr at)
{
    int left = (int)(READ_ONCE(file->inode->size) - file->offset);

    return copy_out(at, &left, sizeof(left));
}

/* What the file takes up. */
static long bytes_allocated(struct file *file, struct user_ptr at)
{
    struct attributes attributes;
    s64 bytes;
    int error = path_attributes(&file->path, &attributes);

    if (error)
        return error;
    bytes = (s64)attributes.blocks * 512;
    return copy_out(at, &bytes, sizeof(bytes));
}

static long block_bytes(struct user_ptr at)
{
    int bytes = PAGE_SIZE; /* of every file system here */

    return copy_out(at, &bytes, sizeof(bytes));
}

/* No file system here lets files share blocks. */
static long clone_refuse(int source)
{
    struct fd_use use = fd_enter(source);

    if (!use.file)
        return -EBADF;
    fd_leave(use);
    return -EOPNOTSUPP;
}

static bool inode_is_on_disk(const struct inode *inode)
{
    return inode_is_regular(inode) || inode_is_directory(inode) || inode_is_link(inode);
}

static long ioctl_of_file(struct file *file, const struct syscall_args *args)
{
    int fd = arg_int(args, 0);
    u32 command = arg_u32(args, 1);
    u64 argument = arg_u64(args, 2);

    switch (command) {
    case FIOCLEX:
        return fd_set_close_on_exec(fd, O_CLOEXEC);
    case FIONCLEX:
        return fd_set_close_on_exec(fd, 0);
    case FIONBIO:
        return nonblock_from_user(file, user_ptr_at(argument));
    case FIOASYNC:
        return async_from_user(file, fd, user_ptr_at(argument));
    case FIGETBSZ:
        return block_bytes(user_ptr_at(argument));
    case FICLONE:
        return clone_refuse((int)argument);
    case FICLONERANGE:
    case FS_IOC_FIEMAP:
        return -EOPNOTSUPP;
    default:
        break;
    }
    if (command == FIOQSIZE && inode_is_on_disk(file->inode))
        return bytes_allocated(file, user_ptr_at(argument));
    if (command == FIONREAD && inode_is_regular(file->inode))
        return left_to_read(file, user_ptr_at(argument));
    return file->operations->ioctl ? file->operations->ioctl(file, command, argument) : -ENOTTY;
}

long sys_ioctl(const struct syscall_args *args)
{
    return fd_apply(args, ioctl_of_file);
}

static long lock_whole(struct file *file, const struct syscall_args *args)
{
    return file_flock(file, arg_int(args, 1));
}

/*
 * What is asked for comes before the descriptor; LOCK_MAND is ignored, with all that goes with it.
 */
long sys_flock(const struct syscall_args *args)
{
    int kind = arg_int(args, 1) & ~LOCK_NB;

    if (kind & LOCK_MAND)
        return 0;
    if (kind != LOCK_SH && kind != LOCK_EX && kind != LOCK_UN)
        return -EINVAL;
    return fd_apply(args, lock_whole);
}
