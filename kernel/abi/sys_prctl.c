/*
 * prctl(2), arch_prctl(2) and personality(2): a process's odd settings.
 *
 *     what belongs to                is in
 *     the thread (name, slack)       struct thread_identity
 *     the process (dumpable, ...)    struct process; its threads may race, the last one counts
 *     credentials (capabilities)     a copy that is installed (sys_credentials.c)
 *     the address space              struct address_space
 *
 * Those with one possible value here (prctl_fixed) accept it and refuse others, so a program that
 * asks for what already holds goes on. The rest is -EINVAL, prctl(2)'s word for an unknown option.
 *
 * Errors: -EINVAL where arguments that an option does not use are not 0, for the options that want
 * it.
 */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/proc.h>
#include <pith/vm.h>

#include "syscalls.h"

#define CAPABILITY_AMBIENT_IS_SET 1
#define CAPABILITY_AMBIENT_RAISE  2
#define CAPABILITY_AMBIENT_LOWER  3
#define CAPABILITY_AMBIENT_CLEAR  4
#define SECURE_KNOWN              0xffu /* four settings, each with its lock */
#define SECURE_LOCKS              0xaau
#define TIMING_STATISTICAL        0

/* Fifteen characters, silently (PR_SET_NAME). */
static long name_set(struct user_ptr at)
{
    struct thread_identity *identity = identity_current();
    char name[THREAD_NAME_BYTES] = {};
    ssize_t length = copy_in_string(name, at, sizeof(name));

    if (length < 0 && length != -ENAMETOOLONG)
        return length;
    name[THREAD_NAME_BYTES - 1] = '\0';
    memcpy(identity->name, name, sizeof(name));
    return 0;
}

/*
 * Never comes back, also not by exec. -EPERM: no CAP_SETPCAP; then -EINVAL: there is no such one.
 */
static long bounding_drop(u64 capability)
{
    struct credentials *changed;

    if (!credentials_can(thread_current()->credentials, CAPABILITY_SETPCAP))
        return -EPERM;
    if (capability > CAPABILITY_LAST)
        return -EINVAL;
    changed = credentials_prepare();
    if (!changed)
        return -ENOMEM;
    changed->capabilities_bounding &= ~BIT(capability);
    credentials_install(changed);
    return 0;
}

static long no_new_privileges_set(void)
{
    struct credentials *changed = credentials_prepare();

    if (!changed)
        return -ENOMEM;
    changed->no_new_privileges = 1;
    credentials_install(changed);
    return 0;
}

/* -EINVAL: neither 0 nor 1; -EPERM: securebits have locked the setting. */
static long keep_capabilities_set(u64 keep)
{
    struct credentials *changed;

    if (keep > 1)
        return -EINVAL;
    if (thread_current()->credentials->secure_bits & SECURE_KEEP_CAPABILITIES << 1)
        return -EPERM;
    changed = credentials_prepare();
    if (!changed)
        return -ENOMEM;
    changed->secure_bits &= ~(u32)SECURE_KEEP_CAPABILITIES;
    if (keep)
        changed->secure_bits |= SECURE_KEEP_CAPABILITIES;
    credentials_install(changed);
    return 0;
}

/* Each setting has a bit that locks it; what is locked stays. */
static long secure_bits_set(u64 bits)
{
    const struct credentials *before = thread_current()->credentials;
    u64 locked = before->secure_bits & SECURE_LOCKS;
    struct credentials *changed;

    if (bits & ~(u64)SECURE_KNOWN)
        return -EPERM;
    if (((before->secure_bits ^ bits) & locked >> 1) || (locked & ~bits) ||
        !credentials_can(before, CAPABILITY_SETPCAP))
        return -EPERM;
    changed = credentials_prepare();
    if (!changed)
        return -ENOMEM;
    changed->secure_bits = (u32)bits;
    credentials_install(changed);
    return 0;
}

/*
 * PR_CAP_AMBIENT. To raise one, it must be permitted and inheritable, and not forbidden by
 * securebits.
 */
static long ambient_change(u64 what, u64 capability)
{
    const struct credentials *before = thread_current()->credentials;
    struct credentials *changed;

    if (what == CAPABILITY_AMBIENT_CLEAR ? capability != 0 : capability > CAPABILITY_LAST)
        return -EINVAL;
    if (what == CAPABILITY_AMBIENT_IS_SET)
        return !!(before->capabilities_ambient & BIT(capability));
    if (what < CAPABILITY_AMBIENT_RAISE || what > CAPABILITY_AMBIENT_CLEAR)
        return -EINVAL;
    if (what == CAPABILITY_AMBIENT_RAISE && (before->secure_bits & SECURE_NO_AMBIENT_RAISE))
        return -EPERM;
    if (what == CAPABILITY_AMBIENT_RAISE &&
        !(before->capabilities_permitted & before->capabilities_inheritable & BIT(capability)))
        return -EPERM;
    changed = credentials_prepare();
    if (!changed)
        return -ENOMEM;
    if (what == CAPABILITY_AMBIENT_RAISE)
        changed->capabilities_ambient |= BIT(capability);
    else if (what == CAPABILITY_AMBIENT_LOWER)
        changed->capabilities_ambient &= ~BIT(capability);
    else
        changed->capabilities_ambient = 0;
    credentials_install(changed);
    return 0;
}

/*
 * All descendants that exist learn that they have a subreaper among their ancestors; later ones
 * inherit it (proc/exit.c looks for it then).
 */
static long subreaper_set(bool is_one)
{
    spin_lock(&process_table_lock);
    process_current()->is_subreaper = is_one;
    if (is_one)
        process_mark_descendants_locked(process_current());
    spin_unlock(&process_table_lock);
    return 0;
}

/* All that stands behind the option is 0. */
static bool arguments_are_unused(const struct syscall_args *args)
{
    return !(arg_u64(args, 1) | arg_u64(args, 2) | arg_u64(args, 3) | arg_u64(args, 4));
}

static long copy_out_int(struct user_ptr at, s32 value)
{
    return copy_out(at, &value, sizeof(value));
}

/* The settings of credentials. -ENOSYS: it is none. */
static long prctl_credentials(const struct syscall_args *args)
{
    const struct credentials *credentials = thread_current()->credentials;
    u64 value = arg_u64(args, 1);

    switch (arg_int(args, 0)) {
    case PR_CAPBSET_READ:
        if (value > CAPABILITY_LAST)
            return -EINVAL;
        return !!(credentials->capabilities_bounding & BIT(value));
    case PR_CAPBSET_DROP:
        return bounding_drop(value);
    case PR_GET_SECUREBITS:
        return credentials->secure_bits;
    case PR_SET_SECUREBITS:
        return secure_bits_set(value);
    case PR_GET_KEEPCAPS:
        return !!(credentials->secure_bits & SECURE_KEEP_CAPABILITIES);
    case PR_SET_KEEPCAPS:
        return keep_capabilities_set(value);
    case PR_SET_NO_NEW_PRIVS:
        if (value != 1 || arg_u64(args, 2) || arg_u64(args, 3) || arg_u64(args, 4))
            return -EINVAL;
        return no_new_privileges_set();
    case PR_GET_NO_NEW_PRIVS:
        return arguments_are_unused(args) ? (long)credentials->no_new_privileges : -EINVAL;
    case PR_CAP_AMBIENT:
        if (arg_u64(args, 3) || arg_u64(args, 4))
            return -EINVAL;
        return ambient_change(value, arg_u64(args, 2));
    default:
        return -ENOSYS;
    }
}

/* PR_SET_THP_DISABLE and PR_GET_THP_DISABLE. */
static long large_pages_prctl(const struct syscall_args *args)
{
    struct address_space *space = thread_current()->space;
    bool sets = arg_int(args, 0) == PR_SET_THP_DISABLE;

    if ((!sets && arg_u64(args, 1)) || arg_u64(args, 2) || arg_u64(args, 3) || arg_u64(args, 4))
        return -EINVAL;
    if (!sets)
        return READ_ONCE(space->no_large_pages);
    WRITE_ONCE(space->no_large_pages, arg_u64(args, 1) != 0);
    return 0;
}

/* What is to become of the process when its memory breaks. */
static long machine_check_prctl(struct process *process, const struct syscall_args *args)
{
    u64 what = arg_u64(args, 1), choice = arg_u64(args, 2);

    if (arg_u64(args, 3) || arg_u64(args, 4))
        return -EINVAL;
    if (what == PR_MCE_KILL_CLEAR && choice == 0)
        choice = PR_MCE_KILL_DEFAULT;
    else if (what != PR_MCE_KILL_SET || choice > PR_MCE_KILL_DEFAULT)
        return -EINVAL;
    process->machine_check_choice = (u8)choice;
    return 0;
}

static long machine_check_choice(struct process *process, const struct syscall_args *args)
{
    return arguments_are_unused(args) ? process->machine_check_choice : -EINVAL;
}

static long io_flusher_prctl(struct process *process, const struct syscall_args *args)
{
    bool sets = arg_int(args, 0) == PR_SET_IO_FLUSHER;

    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_RESOURCE))
        return -EPERM;
    if (arg_u64(args, 1) > sets || arg_u64(args, 2) || arg_u64(args, 3) || arg_u64(args, 4))
        return -EINVAL;
    if (!sets)
        return process->is_io_flusher;
    process->is_io_flusher = arg_u64(args, 1);
    return 0;
}

/*
 * One end of the arguments or of the environment, as /proc/PID shows them. -EINVAL: the start would
 * be above the end. The space's lock is held, or two threads could make it so together.
 */
static int shown_range_set(struct address_space *space, int part, u64 address)
{
    bool is_argument = part == PR_SET_MM_ARG_START || part == PR_SET_MM_ARG_END;
    u64 *start = is_argument ? &space->arguments_start : &space->environment_start;
    u64 *end = is_argument ? &space->arguments_end : &space->environment_end;

    if (part == PR_SET_MM_ARG_START || part == PR_SET_MM_ENV_START) {
        if (address > *end)
            return -EINVAL;
        WRITE_ONCE(*start, address);
    } else {
        if (address < *start)
            return -EINVAL;
        WRITE_ONCE(*end, address);
    }
    return 0;
}

/* PR_SET_MM. The other parts are for checkpoint and restore, which is not there. */
static long memory_map_prctl(const struct syscall_args *args)
{
    struct address_space *space = thread_current()->space;
    u64 address = arg_u64(args, 2);
    int part = arg_int(args, 1), error;

    if (arg_u64(args, 3) || arg_u64(args, 4))
        return -EINVAL;
    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_RESOURCE))
        return -EPERM;
    if (part < PR_SET_MM_ARG_START || part > PR_SET_MM_ENV_END || address >= USER_END ||
        address < PAGE_SIZE)
        return -EINVAL;
    rwlock_write_lock(&space->lock);
    error = shown_range_set(space, part, address);
    rwlock_write_unlock(&space->lock);
    return error;
}

/* Whether the thread may read the processor's counter of time, without a system call too. */
static long counter_prctl(const struct syscall_args *args)
{
    struct user_context *context = &thread_current()->user;
    u64 wanted = arg_u64(args, 1);

    if (arg_int(args, 0) == PR_GET_TSC)
        return copy_out_int(arg_user_ptr(args, 1), context->counter_reads == COUNTER_FAULTS
                                                       ? PR_TSC_SIGSEGV
                                                       : PR_TSC_ENABLE);
    if (wanted != PR_TSC_ENABLE && wanted != PR_TSC_SIGSEGV)
        return -EINVAL;
    user_context_set_counter(context, wanted == PR_TSC_ENABLE ? COUNTER_IS_READ : COUNTER_FAULTS);
    return 0;
}

/* Settings that have one value here. -ENOSYS: it is none of them. */
static long prctl_fixed(const struct syscall_args *args)
{
    u64 value = arg_u64(args, 1);

    switch (arg_int(args, 0)) {
    case PR_GET_SECCOMP:
    case PR_TASK_PERF_EVENTS_DISABLE: /* a process without counters */
    case PR_TASK_PERF_EVENTS_ENABLE:
        return 0;
    case PR_GET_TIMING:
        return TIMING_STATISTICAL;
    case PR_SET_TIMING:
        return value == TIMING_STATISTICAL ? 0 : -EINVAL;
    default:
        return -ENOSYS;
    }
}

long sys_prctl(const struct syscall_args *args)
{
    struct process *process = process_current();
    struct thread_identity *identity = identity_current();
    struct user_ptr at = arg_user_ptr(args, 1);
    u64 value = arg_u64(args, 1);
    long result;

    switch (arg_int(args, 0)) {
    case PR_SET_PDEATHSIG:
        if (value > SIGNALS)
            return -EINVAL;
        process->parent_death_signal = value;
        return 0;
    case PR_GET_PDEATHSIG:
        return copy_out_int(at, process->parent_death_signal);
    case PR_GET_DUMPABLE:
        return process->dumpable;
    case PR_SET_DUMPABLE:
        if (value > 1)
            return -EINVAL;
        process->dumpable = value;
        return 0;
    case PR_SET_NAME:
        return name_set(at);
    case PR_GET_NAME:
        return copy_out(at, identity->name, THREAD_NAME_BYTES);
    case PR_SET_TIMERSLACK:
        identity->timer_slack_ns = value ? value : identity->timer_slack_usual_ns;
        return 0;
    case PR_GET_TIMERSLACK:
        return identity->timer_slack_ns;
    case PR_SET_CHILD_SUBREAPER:
        return subreaper_set(value);
    case PR_GET_CHILD_SUBREAPER:
        return copy_out_int(at, process->is_subreaper);
    case PR_GET_TID_ADDRESS:
        return copy_out(at, &identity->clear_child_tid, sizeof(identity->clear_child_tid));
    case PR_MCE_KILL:
        return machine_check_prctl(process, args);
    case PR_MCE_KILL_GET:
        return machine_check_choice(process, args);
    case PR_SET_MM:
        return memory_map_prctl(args);
    case PR_GET_IO_FLUSHER:
    case PR_SET_IO_FLUSHER:
        return io_flusher_prctl(process, args);
    case PR_GET_TSC:
    case PR_SET_TSC:
        return counter_prctl(args);
    case PR_GET_THP_DISABLE:
    case PR_SET_THP_DISABLE:
        return large_pages_prctl(args);
    default:
        result = prctl_fixed(args);
        if (result == -ENOSYS)
            result = prctl_credentials(args);
        return result == -ENOSYS ? -EINVAL : result;
    }
}

/* -EPERM: a base outside of user memory, which the hardware might not even take. */
long sys_arch_prctl(const struct syscall_args *args)
{
    struct user_context *context = &thread_current()->user;
    u64 value = arg_u64(args, 1);

    switch (arg_int(args, 0)) {
    case ARCH_SET_FS:
        if (value >= USER_END)
            return -EPERM;
        user_context_set_fs(context, value);
        return 0;
    case ARCH_SET_GS:
        if (value >= USER_END)
            return -EPERM;
        user_context_set_gs(context, value);
        return 0;
    case ARCH_GET_FS:
        value = user_context_fs(context);
        return copy_out(arg_user_ptr(args, 1), &value, sizeof(value));
    case ARCH_GET_GS:
        value = user_context_gs(context);
        return copy_out(arg_user_ptr(args, 1), &value, sizeof(value));
    case ARCH_GET_CPUID:
        return 1;
    case ARCH_SET_CPUID: /* wants a CPU that can make cpuid fault */
        return -ENODEV;
    default:
        return -EINVAL;
    }
}

/* uname(2) and exec ask for it; what else it says is kept and given back. */
long sys_personality(const struct syscall_args *args)
{
    struct process *process = process_current();
    u32 wanted = arg_u32(args, 0);
    long before = process->personality;

    if (wanted != 0xffffffffu)
        process->personality = wanted;
    return before;
}
