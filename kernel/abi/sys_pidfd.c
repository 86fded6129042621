/* The calls about processes as descriptors; proc/pidfd.c is what lies behind them. */
#include <pith/abi.h>

#include <pith/fs.h>
#include <pith/mem.h>
#include <pith/proc.h>

#include "syscalls.h"

/* -EINVAL: an unknown flag, no number, or a thread's that leads no process; -ESRCH; -EMFILE. */
long sys_pidfd_open(const struct syscall_args *args)
{
    int pid = arg_int(args, 0), result;
    u32 flags = arg_u32(args, 1);
    struct process *process;

    if ((flags & ~(u32)O_NONBLOCK) || pid <= 0)
        return -EINVAL;
    process = process_find_by_tid(pid);
    if (!process)
        return -ESRCH;
    result = process->pid == pid ? pidfd_open(process, flags) : -EINVAL;
    process_put(process);
    return result;
}

/*
 * Another's descriptor becomes ours as well: who may look into its memory may do that. -EPERM,
 * -EBADF (either of the two), -ESRCH (it has ended), -EMFILE.
 */
long sys_pidfd_getfd(const struct syscall_args *args)
{
    int pidfd = arg_int(args, 0), fd = arg_int(args, 1), result;
    struct process *process;
    struct file *file;

    if (arg_u32(args, 2))
        return -EINVAL;
    process = pidfd_process(pidfd, NULL);
    if (!process)
        return -EBADF;
    result = process_find_file(process, fd, &file);
    process_put(process);
    return result ? result : fd_create(file, O_CLOEXEC);
}
