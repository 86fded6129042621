/*
 * The calls that make, change and end processes, and those that name them.
 *
 * fork, vfork, clone and clone3 become one struct clone_request; wait4 and waitid one struct
 * wait_request; the two execs one struct exec_request. Which flags go together is checked here
 * where it is a matter of one form's encoding (clone3 has its own structure and no CSIGNAL), in
 * proc/ where it is a matter of what they mean.
 *
 *     fork     flags 0                          exit signal SIGCHLD
 *     vfork    CLONE_VFORK | CLONE_VM           exit signal SIGCHLD
 *     clone    low byte: the exit signal        parent_tid's register is also the pidfd's
 *     clone3   no exit signal in the flags      stack: lowest address and size, not its end
 *
 * The registers of the caller are the child's: both get the frame.
 *
 * Context: sleeps. exec and exit may not come back; exec returns 0 into the new program's frame.
 */
#include <pith/abi.h>

#include <pith/fs.h>
#include <pith/mem.h>
#include <pith/proc.h>

#include "rights.h"
#include "syscalls.h"
#include "versioned.h"

#define WAITID_INFO_BYTES 48 /* what Linux writes of siginfo_t there */

/* ---- Names ---- */

long sys_getpid(const struct syscall_args *args)
{
    return process_current()->pid;
}

long sys_gettid(const struct syscall_args *args)
{
    return identity_current()->tid;
}

/* The parent may end and be replaced at any time; its pid then is whichever was read. */
long sys_getppid(const struct syscall_args *args)
{
    long pid;

    rcu_read_lock();
    pid = process_pid(READ_ONCE(process_current()->parent));
    rcu_read_unlock();
    return pid;
}

long sys_getpgrp(const struct syscall_args *args)
{
    return process_group_id(process_current());
}

/* Asks something of a thread's process, or of the caller for 0. -ESRCH. A zombie still answers. */
static long ask_process(int pid, int (*ask)(struct process *process))
{
    struct process *process;
    long result;

    if (pid == 0)
        return ask(process_current());
    process = process_find_by_tid(pid);
    if (!process)
        return -ESRCH;
    result = ask(process);
    process_put(process);
    return result;
}

long sys_getpgid(const struct syscall_args *args)
{
    return ask_process(arg_int(args, 0), process_group_id);
}

long sys_getsid(const struct syscall_args *args)
{
    return ask_process(arg_int(args, 0), process_session_id);
}

long sys_setpgid(const struct syscall_args *args)
{
    return process_set_group(arg_int(args, 0), arg_int(args, 1));
}

long sys_setsid(const struct syscall_args *args)
{
    return process_create_session();
}

/* ---- clone ---- */

long sys_fork(const struct syscall_args *args)
{
    struct clone_request request = {.exit_signal = SIGCHLD};

    return process_clone(&request, &args->frame);
}

long sys_vfork(const struct syscall_args *args)
{
    struct clone_request request = {.flags = CLONE_VFORK | CLONE_VM, .exit_signal = SIGCHLD};

    return process_clone(&request, &args->frame);
}

/*
 * clone(2), raw order on x86-64: flags, stack, parent_tid, child_tid, tls. An exit signal that is
 * none (65 to 255) is taken, and never sent.
 */
long sys_clone(const struct syscall_args *args)
{
    u64 flags = arg_u32(args, 0);
    struct clone_request request = {
        .flags = flags & ~CSIGNAL & ~CLONE_DETACHED,
        .exit_signal = flags & CSIGNAL,
        .stack_pointer = arg_u64(args, 1),
        .parent_tid = arg_user_ptr(args, 2),
        .pidfd = arg_user_ptr(args, 2),
        .child_tid = arg_user_ptr(args, 3),
        .tls = arg_u64(args, 4),
    };

    if ((flags & CLONE_PIDFD) && (flags & CLONE_DETACHED))
        return -EINVAL;
    return process_clone(&request, &args->frame);
}

/*
 * -EINVAL. CSIGNAL's bits but CLONE_NEWTIME have no meaning here; the stack is given by both fields
 * or none and lies in user memory.
 */
static int clone3_check(const struct abi_clone_args *clone, u64 bytes)
{
    if ((clone->flags & (CLONE_DETACHED | (CSIGNAL & ~CLONE_NEWTIME))) ||
        clone->exit_signal > SIGNALS)
        return -EINVAL;
    if ((clone->flags & (CLONE_THREAD | CLONE_PARENT)) && clone->exit_signal)
        return -EINVAL;
    if (!clone->set_tid != !clone->set_tid_size || clone->set_tid_size > CLONE_SET_TID_MAX)
        return -EINVAL;
    if ((clone->flags & CLONE_INTO_CGROUP) &&
        (bytes < CLONE_ARGS_SIZE_VER2 || clone->cgroup > (u64)S32_MAX))
        return -EINVAL;
    if (!clone->stack != !clone->stack_size)
        return -EINVAL;
    return user_range_is_valid(clone->stack, clone->stack_size) ? 0 : -EINVAL;
}

/* There is one namespace of numbers, so at most one number. */
static int clone3_set_tid(const struct abi_clone_args *clone, int *tid_out)
{
    s32 tid;

    *tid_out = 0;
    if (!clone->set_tid_size)
        return 0;
    if (clone->set_tid_size > 1)
        return -EINVAL;
    if (copy_in(&tid, user_ptr_at(clone->set_tid), sizeof(tid)))
        return -EFAULT;
    *tid_out = tid;
    return tid > 0 ? 0 : -EINVAL;
}

/*
 * clone3(2). -E2BIG: a longer structure whose unknown end is not 0, and -EFAULT; -EINVAL of its
 * fields; then what the flags mean together (process_clone).
 */
long sys_clone3(const struct syscall_args *args)
{
    struct abi_clone_args clone;
    struct clone_request request;
    int set_tid, error = copy_in_versioned(&clone, sizeof(clone), arg_user_ptr(args, 0),
                                           arg_u64(args, 1), CLONE_ARGS_SIZE_VER0);

    if (!error)
        error = clone3_check(&clone, arg_u64(args, 1));
    if (!error)
        error = clone3_set_tid(&clone, &set_tid);
    if (error)
        return error;
    request = (struct clone_request){
        .flags = clone.flags,
        .exit_signal = clone.exit_signal,
        .stack_pointer = clone.stack ? clone.stack + clone.stack_size : 0,
        .tls = clone.tls,
        .set_tid = set_tid,
        .parent_tid = user_ptr_at(clone.parent_tid),
        .child_tid = user_ptr_at(clone.child_tid),
        .pidfd = user_ptr_at(clone.pidfd),
    };
    return process_clone(&request, &args->frame);
}

long sys_set_tid_address(const struct syscall_args *args)
{
    identity_current()->clear_child_tid = arg_user_ptr(args, 0);
    return identity_current()->tid;
}

/* ---- exec ---- */

/* The frame is the new program's when this returns 0; rax then is 0, too. */
static long exec_named(const struct syscall_args *args, struct exec_request *request,
                       struct user_ptr name)
{
    char *path = kmalloc(PATH_MAX_BYTES, 0);
    ssize_t length;
    long result;

    if (!path)
        return -ENOMEM;
    length = copy_in_string(path, name, PATH_MAX_BYTES);
    request->name = path;
    result = length;
    if (length >= 0)
        result = process_exec(request, (struct trap_frame *)&args->frame);
    kfree(path);
    return result;
}

long sys_execve(const struct syscall_args *args)
{
    struct exec_request request = {
        .directory_fd = AT_FDCWD,
        .arguments = arg_user_ptr(args, 1),
        .environment = arg_user_ptr(args, 2),
    };

    return exec_named(args, &request, arg_user_ptr(args, 0));
}

/* -EINVAL: an unknown flag, before the name is looked at. */
long sys_execveat(const struct syscall_args *args)
{
    struct exec_request request = {
        .directory_fd = arg_int(args, 0),
        .arguments = arg_user_ptr(args, 2),
        .environment = arg_user_ptr(args, 3),
        .flags = arg_int(args, 4),
    };

    if (request.flags & ~(AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW))
        return -EINVAL;
    return exec_named(args, &request, arg_user_ptr(args, 1));
}

/* ---- exit ---- */

/*
 * The thread's; the process ends with its last one. The other bits of the status are lost
 * (exit(3)).
 */
long sys_exit(const struct syscall_args *args)
{
    process_exit_thread((arg_int(args, 0) & 0xff) << 8);
}

long sys_exit_group(const struct syscall_args *args)
{
    process_exit_group((arg_int(args, 0) & 0xff) << 8);
}

/* ---- wait ---- */

static void rusage_fill(struct abi_rusage *rusage, const struct cpu_usage *usage)
{
    *rusage = (struct abi_rusage){
        .user = {usage->user_ns / NS_PER_SECOND, usage->user_ns % NS_PER_SECOND / NS_PER_US},
        .system = {usage->system_ns / NS_PER_SECOND, usage->system_ns % NS_PER_SECOND / NS_PER_US},
        .max_resident_kib = usage->peak_resident_pages * (PAGE_SIZE / 1024),
        .minor_faults = usage->minor_faults,
        .major_faults = usage->major_faults,
        .voluntary_switches = usage->voluntary_switches,
        .involuntary_switches = usage->involuntary_switches,
    };
}

static int rusage_copy_out(struct user_ptr at, const struct cpu_usage *usage)
{
    struct abi_rusage rusage;

    if (user_ptr_is_null(at))
        return 0;
    rusage_fill(&rusage, usage);
    return copy_out(at, &rusage, sizeof(rusage));
}

/*
 * -EINVAL: an option that wait4 has not (WNOWAIT, WEXITED); -ESRCH: INT_MIN has no positive;
 * -ECHILD, -EINTR. -EFAULT leaves the child reaped, as on Linux.
 */
long sys_wait4(const struct syscall_args *args)
{
    int pid = arg_int(args, 0), options = arg_int(args, 2), error;
    struct user_ptr status_at = arg_user_ptr(args, 1);
    struct wait_request request = {.options = options | WEXITED};
    struct wait_result result;

    if (options & ~(WNOHANG | WUNTRACED | WCONTINUED | __WNOTHREAD | (int)__WCLONE | __WALL))
        return -EINVAL;
    if (pid == (int)0x80000000)
        return -ESRCH;
    request.which = pid > 0 ? P_PID : pid == -1 ? P_ALL : P_PGID;
    request.id = pid > 0 ? pid : pid == 0 ? process_group_id(process_current()) : -pid;
    error = process_wait(&request, &result);
    if (error || result.pid == 0)
        return error;
    if (!user_ptr_is_null(status_at) && copy_out(status_at, &result.status, sizeof(result.status)))
        return -EFAULT;
    if (rusage_copy_out(arg_user_ptr(args, 3), &result.usage))
        return -EFAULT;
    return result.pid;
}

/* A pidfd's process, with a reference; one that must not wait makes the call one that does not. */
static int waitid_pidfd(int fd, struct wait_request *request, struct process **process_out)
{
    bool nonblock;

    *process_out = pidfd_process(fd, &nonblock);
    if (!*process_out)
        return -EBADF;
    request->process = *process_out;
    if (nonblock)
        request->options |= WNOHANG;
    return 0;
}

static int waitid_id(int which, int id, struct wait_request *request, struct process **process_out)
{
    request->which = which;
    request->id = id;
    switch (which) {
    case P_ALL:
        return 0;
    case P_PID:
        return id > 0 ? 0 : -EINVAL;
    case P_PGID:
        if (id == 0)
            request->id = process_group_id(process_current());
        return id >= 0 ? 0 : -EINVAL;
    case P_PIDFD:
        return id >= 0 ? waitid_pidfd(id, request, process_out) : -EINVAL;
    default:
        return -EINVAL;
    }
}

/* si_status: the exit code, or the signal that ended, stopped or continued it. */
static int wait_status_detail(const struct wait_result *result)
{
    if (result->code == CLD_EXITED || result->code == CLD_STOPPED)
        return result->status >> 8 & 0xff;
    return result->code == CLD_CONTINUED ? SIGCONT : result->status & 0x7f;
}

/*
 * Writes a siginfo of 0 if nothing was there yet (WNOHANG), which is how a program sees it.
 * -EAGAIN: a pidfd of PIDFD_NONBLOCK, where the caller did not say WNOHANG itself.
 */
long sys_waitid(const struct syscall_args *args)
{
    int options = arg_int(args, 3), error;
    struct user_ptr info_at = arg_user_ptr(args, 2);
    struct wait_request request = {.options = options};
    struct process *ended = NULL;
    struct abi_siginfo info = {};
    struct wait_result result;

    if (options & ~(WNOHANG | WNOWAIT | WEXITED | WSTOPPED | WCONTINUED | __WNOTHREAD |
                    (int)__WCLONE | __WALL))
        return -EINVAL;
    if (!(options & (WEXITED | WSTOPPED | WCONTINUED)))
        return -EINVAL;
    error = waitid_id(arg_int(args, 0), arg_int(args, 1), &request, &ended);
    if (!error)
        error = process_wait(&request, &result);
    if (ended)
        process_put(ended);
    if (!error && !result.pid && (request.options & ~options))
        error = -EAGAIN; /* it is the descriptor that does not wait */
    if (error)
        return error;
    if (result.pid) {
        info.signal = SIGCHLD;
        info.code = result.code;
        info.child.pid = result.pid;
        info.child.uid = result.uid;
        info.child.status = wait_status_detail(&result);
        if (rusage_copy_out(arg_user_ptr(args, 4), &result.usage))
            return -EFAULT;
    }
    if (!user_ptr_is_null(info_at) && copy_out(info_at, &info, WAITID_INFO_BYTES))
        return -EFAULT;
    return 0;
}

/* ---- Usage and limits ---- */

/* RUSAGE_CHILDREN: of those that were waited for, and of those that these had waited for. */
long sys_getrusage(const struct syscall_args *args)
{
    struct process *process = process_current();
    struct cpu_usage usage = {};

    switch (arg_int(args, 0)) {
    case RUSAGE_SELF:
        process_usage(process, &usage);
        break;
    case RUSAGE_CHILDREN:
        spin_lock(&process_table_lock);
        usage = process->children_usage;
        spin_unlock(&process_table_lock);
        break;
    case RUSAGE_THREAD:
        thread_usage(thread_current(), &usage);
        break;
    default:
        return -EINVAL;
    }
    return user_ptr_is_null(arg_user_ptr(args, 1)) ? -EFAULT
                                                   : rusage_copy_out(arg_user_ptr(args, 1), &usage);
}

/* Clock ticks of 1/100 s. Returns those since boot, which wrap for nobody. */
long sys_times(const struct syscall_args *args)
{
    struct user_ptr at = arg_user_ptr(args, 0);
    struct process *process = process_current();
    struct cpu_usage usage, children;
    s64 ticks[4];

    process_usage(process, &usage);
    spin_lock(&process_table_lock);
    children = process->children_usage;
    spin_unlock(&process_table_lock);
    ticks[0] = usage.user_ns / CLOCK_TICK_NS;
    ticks[1] = usage.system_ns / CLOCK_TICK_NS;
    ticks[2] = children.user_ns / CLOCK_TICK_NS;
    ticks[3] = children.system_ns / CLOCK_TICK_NS;
    if (!user_ptr_is_null(at) && copy_out(at, ticks, sizeof(ticks)))
        return -EFAULT;
    return clock_monotonic_ns() / CLOCK_TICK_NS;
}

long sys_getrlimit(const struct syscall_args *args)
{
    struct abi_rlimit limit;
    int error = process_limits_change(process_current(), arg_u32(args, 0), NULL, &limit);

    return error ? error : copy_out(arg_user_ptr(args, 1), &limit, sizeof(limit));
}

long sys_setrlimit(const struct syscall_args *args)
{
    struct abi_rlimit limit;

    if (copy_in(&limit, arg_user_ptr(args, 1), sizeof(limit)))
        return -EFAULT;
    return process_limits_change(process_current(), arg_u32(args, 0), &limit, NULL);
}

/* All the other's real, effective and saved ids are the caller's real ones. */
static bool ids_let_set_limits(const struct credentials *own, const struct credentials *theirs)
{
    return own->uid == theirs->euid && own->uid == theirs->suid && own->uid == theirs->uid &&
           own->gid == theirs->egid && own->gid == theirs->sgid && own->gid == theirs->gid;
}

/*
 * -EFAULT of the new limit, -ESRCH, -EPERM (of the ids), -EINVAL (the resource, or the soft
 * limit above the hard one), -EPERM (the hard one is raised). The old one is of the same moment.
 */
long sys_prlimit64(const struct syscall_args *args)
{
    struct user_ptr new_at = arg_user_ptr(args, 2), old_at = arg_user_ptr(args, 3);
    int pid = arg_int(args, 0), error;
    struct abi_rlimit new_limit, old_limit;
    bool changes = !user_ptr_is_null(new_at);
    struct process *process;

    if (changes && copy_in(&new_limit, new_at, sizeof(new_limit)))
        return -EFAULT;
    process = process_find_by_tid(pid ? pid : process_current()->pid);
    if (!process)
        return -ESRCH;
    error = process_check_ids(process, CAPABILITY_SYS_RESOURCE, ids_let_set_limits);
    if (!error)
        error = process_limits_change(process, arg_u32(args, 1), changes ? &new_limit : NULL,
                                      &old_limit);
    process_put(process);
    if (!error && !user_ptr_is_null(old_at))
        error = copy_out(old_at, &old_limit, sizeof(old_limit));
    return error;
}
