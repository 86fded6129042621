/* The calls about scheduling: classes, priorities, nice values, CPUs, and the priority of input and
 * output. */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/proc.h>

#include "syscalls.h"
#include "versioned.h"

/* With a class in sched_setscheduler(2), and among the flags of sched_setattr(2). */
#define SCHED_RESET_ON_FORK      0x40000000
#define SCHED_FLAG_RESET_ON_FORK 0x01u
#define SCHED_FLAG_KEEP_POLICY   0x08u
#define SCHED_FLAG_KEEP_PARAMS   0x10u
#define SCHED_FLAGS_UTILIZATION  0x60u /* SCHED_FLAG_UTIL_CLAMP */
#define SCHED_FLAGS_ALL          0x7fu
#define PRIORITY_MAX             99
#define NICE_LEAST               (-20)
#define NICE_MOST                19
#define CLASS_DEADLINE           6 /* SCHED_DEADLINE, which nobody gets */
#define FAIR_REQUEST_NS          (3 * NS_PER_MS)
#define CPU_MASK_BYTES           8

/* struct sched_attr as its first version had it. */
#define ATTRIBUTES_BYTES_FIRST 48

struct sched_attributes {
    u32 size, policy;
    u64 flags;
    s32 nice;
    u32 priority;
    u64 runtime, deadline, period;
    u32 utilization_least, utilization_most;
};

long sys_sched_yield(const struct syscall_args *args)
{
    sched_yield();
    return 0;
}

/* ---- Finding whom it is about ---- */

/* A reference to the thread with that id; 0: the caller. */
static struct thread *find(int tid)
{
    if (tid == 0) {
        thread_get(thread_current());
        return thread_current();
    }
    return tid < 0 ? NULL : thread_find(tid);
}

static bool owns(struct thread *thread)
{
    const struct credentials *own = thread_current()->credentials;
    struct credentials *theirs;
    bool same;

    if (thread->process == process_current() || credentials_can(own, CAPABILITY_SYS_NICE))
        return true;
    theirs = process_credentials(thread->process);
    if (!theirs)
        return false;
    same = own->euid == theirs->euid || own->euid == theirs->uid;
    credentials_put(theirs);
    return same;
}

static u64 limit_of(struct thread *thread, unsigned resource)
{
    return READ_ONCE(thread->process->limits[resource].soft);
}

/* ---- Classes ---- */

/* Asks for what setpriority(2) may always ask for. */
static bool nice_is_allowed(struct thread *thread, s32 nice)
{
    return nice >= thread->nice || 20 - nice <= (s64)limit_of(thread, RLIMIT_NICE);
}

/* The class is one that sched(7) names and the priority one of its. */
static int class_check(int class, u32 priority)
{
    if (class_is_realtime(class))
        return priority >= 1 && priority <= PRIORITY_MAX ? 0 : -EINVAL;
    if (class != CLASS_NORMAL && class != CLASS_BATCH && class != CLASS_IDLE &&
        class != CLASS_DEADLINE)
        return -EINVAL;
    return priority == 0 ? 0 : -EINVAL;
}

/* sched_setattr(2): runtime <= deadline <= period, none below a microsecond; the period may be 0.
 */
static int deadline_check(const struct sched_attributes *wanted)
{
    u64 period = wanted->period ? wanted->period : wanted->deadline;

    if (wanted->deadline == 0 || wanted->runtime < 1024)
        return -EINVAL;
    if ((wanted->deadline | wanted->period) >> 63)
        return -EINVAL;
    return wanted->runtime <= wanted->deadline && wanted->deadline <= period ? 0 : -EINVAL;
}

/* What needs no CAP_SYS_NICE. */
static bool is_allowed(struct thread *thread, const struct sched_attributes *wanted)
{
    int class = (int)wanted->policy;
    u64 limit = limit_of(thread, RLIMIT_RTPRIO);

    if (!owns(thread) || class == CLASS_DEADLINE)
        return false;
    if (class_is_realtime(class)) {
        if (class != (int)thread->class && limit == 0)
            return false;
        if (wanted->priority > thread->priority && wanted->priority > limit)
            return false;
    } else if (!nice_is_allowed(thread, wanted->nice)) {
        return false;
    }
    /* The idle class is below nice 19: to leave it is to become nicer. */
    if (thread->class == CLASS_IDLE && class != CLASS_IDLE &&
        20 - thread->nice > (s64)limit_of(thread, RLIMIT_NICE))
        return false;
    return !thread->resets_on_fork || (wanted->flags & SCHED_FLAG_RESET_ON_FORK);
}

static int attributes_check(struct thread *thread, const struct sched_attributes *wanted)
{
    int class = (int)wanted->policy, error;

    if (wanted->flags & ~(u64)SCHED_FLAGS_ALL)
        return -EINVAL;
    error = class_check(class, wanted->priority);
    if (!error && class == CLASS_DEADLINE)
        error = deadline_check(wanted);
    if (error)
        return error;
    if (!is_allowed(thread, wanted) &&
        !credentials_can(thread_current()->credentials, CAPABILITY_SYS_NICE))
        return -EPERM;
    if (wanted->flags & SCHED_FLAGS_UTILIZATION)
        return -EOPNOTSUPP;
    /* Nobody is promised a share of the CPU in time: no request passes the admission test. */
    return class == CLASS_DEADLINE ? -EBUSY : 0;
}

/* What a thread has now; the nice value of real-time threads is not told, as on Linux. */
static void parameters_of(const struct thread *thread, struct sched_attributes *out)
{
    if (class_is_realtime(thread->class))
        out->priority = thread->priority;
    else
        out->nice = thread->nice;
}

static int attributes_set(int tid, struct sched_attributes *wanted)
{
    struct thread *thread = find(tid);
    s32 nice;
    int error;

    if (!thread)
        return -ESRCH;
    if (wanted->flags & SCHED_FLAG_KEEP_PARAMS)
        parameters_of(thread, wanted);
    if (wanted->flags & SCHED_FLAG_KEEP_POLICY) {
        wanted->policy = thread->class;
        wanted->flags &= ~(u64)SCHED_FLAG_RESET_ON_FORK;
        wanted->flags |= thread->resets_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0;
    }
    error = attributes_check(thread, wanted);
    nice = class_is_realtime((int)wanted->policy) ? thread->nice : wanted->nice;
    /* Who keeps his parameters keeps his class too, as on Linux; but the flag is set. */
    if (!error && !(wanted->flags & SCHED_FLAG_KEEP_PARAMS))
        error = thread_set_class(thread, wanted->policy, wanted->priority, nice);
    if (!error)
        WRITE_ONCE(thread->resets_on_fork, (wanted->flags & SCHED_FLAG_RESET_ON_FORK) != 0);
    thread_put(thread);
    return error;
}

/* sched_setscheduler and sched_setparam: the nice value stays. */
static long class_set(int tid, int class, u64 flags, struct user_ptr priority_at)
{
    struct sched_attributes wanted = {.policy = (u32) class, .flags = flags};
    struct thread *thread;

    if (user_ptr_is_null(priority_at) || tid < 0)
        return -EINVAL;
    if (copy_in(&wanted.priority, priority_at, sizeof(wanted.priority)))
        return -EFAULT;
    thread = find(tid);
    if (!thread)
        return -ESRCH;
    wanted.nice = thread->nice;
    thread_put(thread);
    return attributes_set(tid, &wanted);
}

long sys_sched_setscheduler(const struct syscall_args *args)
{
    int class = arg_int(args, 1);

    if (class < 0)
        return -EINVAL;
    return class_set(arg_int(args, 0), class & ~SCHED_RESET_ON_FORK,
                     class & SCHED_RESET_ON_FORK ? SCHED_FLAG_RESET_ON_FORK : 0,
                     arg_user_ptr(args, 2));
}

long sys_sched_setparam(const struct syscall_args *args)
{
    return class_set(arg_int(args, 0), 0, SCHED_FLAG_KEEP_POLICY, arg_user_ptr(args, 1));
}

long sys_sched_getscheduler(const struct syscall_args *args)
{
    struct thread *thread;
    long class;

    if (arg_int(args, 0) < 0)
        return -EINVAL;
    thread = find(arg_int(args, 0));
    if (!thread)
        return -ESRCH;
    class = thread->class | (thread->resets_on_fork ? SCHED_RESET_ON_FORK : 0);
    thread_put(thread);
    return class;
}

long sys_sched_getparam(const struct syscall_args *args)
{
    struct user_ptr at = arg_user_ptr(args, 1);
    struct thread *thread;
    s32 priority;

    if (arg_int(args, 0) < 0 || user_ptr_is_null(at))
        return -EINVAL;
    thread = find(arg_int(args, 0));
    if (!thread)
        return -ESRCH;
    priority = (s32)thread->priority;
    thread_put(thread);
    return copy_out(at, &priority, sizeof(priority));
}

static long priority_bound(int class, int realtime_bound)
{
    if (class_is_realtime(class))
        return realtime_bound;
    return class_check(class, 0);
}

long sys_sched_get_priority_max(const struct syscall_args *args)
{
    return priority_bound(arg_int(args, 0), PRIORITY_MAX);
}

long sys_sched_get_priority_min(const struct syscall_args *args)
{
    return priority_bound(arg_int(args, 0), 1);
}

long sys_sched_rr_get_interval(const struct syscall_args *args)
{
    struct thread *thread;
    struct abi_timespec interval = {};
    struct realtime_limits limits;

    if (arg_int(args, 0) < 0)
        return -EINVAL;
    thread = find(arg_int(args, 0));
    if (!thread)
        return -ESRCH;
    realtime_limits_get(&limits);
    if (thread->class == CLASS_RR)
        interval = (struct abi_timespec){limits.timeslice_ms / 1000,
                                         limits.timeslice_ms % 1000 * NS_PER_MS};
    else if (thread->class != CLASS_FIFO)
        interval.nanoseconds = FAIR_REQUEST_NS;
    thread_put(thread);
    return copy_out(arg_user_ptr(args, 1), &interval, sizeof(interval));
}

/* Tells the caller in `size` how large a structure we know. */
static long attributes_too_large(struct user_ptr at)
{
    u32 known = sizeof(struct sched_attributes);

    return copy_out(at, &known, sizeof(known)) ? -EFAULT : -E2BIG;
}

long sys_sched_setattr(const struct syscall_args *args)
{
    struct user_ptr at = arg_user_ptr(args, 1);
    struct sched_attributes wanted;
    u32 size;
    int error;

    if (user_ptr_is_null(at) || arg_u32(args, 2) || arg_int(args, 0) < 0)
        return -EINVAL;
    if (copy_in(&size, at, sizeof(size)))
        return -EFAULT;
    if (size == 0)
        size = ATTRIBUTES_BYTES_FIRST;
    if (size < ATTRIBUTES_BYTES_FIRST || size > PAGE_SIZE)
        return attributes_too_large(at);
    error = copy_in_versioned(&wanted, sizeof(wanted), at, size, ATTRIBUTES_BYTES_FIRST);
    if (error)
        return error == -E2BIG ? attributes_too_large(at) : error;
    if ((wanted.flags & SCHED_FLAGS_UTILIZATION) && size < sizeof(wanted))
        return -EINVAL;
    if ((s32)wanted.policy < 0)
        return -EINVAL;
    wanted.nice = MAX(NICE_LEAST, MIN(wanted.nice, NICE_MOST));
    return attributes_set(arg_int(args, 0), &wanted);
}

long sys_sched_getattr(const struct syscall_args *args)
{
    struct sched_attributes attributes = {};
    struct user_ptr at = arg_user_ptr(args, 1);
    u32 size = arg_u32(args, 2);
    struct thread *thread;

    if (user_ptr_is_null(at) || arg_u32(args, 3) || size < ATTRIBUTES_BYTES_FIRST ||
        size > PAGE_SIZE || arg_int(args, 0) < 0)
        return -EINVAL;
    thread = find(arg_int(args, 0));
    if (!thread)
        return -ESRCH;
    attributes.size = MIN(size, (u32)sizeof(attributes));
    attributes.policy = thread->class;
    attributes.flags = thread->resets_on_fork ? SCHED_FLAG_RESET_ON_FORK : 0;
    parameters_of(thread, &attributes);
    thread_put(thread);
    return copy_out(at, &attributes, attributes.size);
}

/* ---- CPUs ---- */

long sys_sched_setaffinity(const struct syscall_args *args)
{
    struct thread *thread;
    u64 mask = 0;
    int error;

    if (copy_in(&mask, arg_user_ptr(args, 2), MIN(arg_u32(args, 1), CPU_MASK_BYTES)))
        return -EFAULT;
    thread = find(arg_int(args, 0));
    if (!thread)
        return -ESRCH;
    /* Some of the kernel's threads work on their CPU's own data. */
    if (thread->kernel_name)
        error = -EINVAL;
    else
        error = owns(thread) ? thread_set_affinity(thread, mask) : -EPERM;
    thread_put(thread);
    return error;
}

long sys_sched_getaffinity(const struct syscall_args *args)
{
    u32 bytes = arg_u32(args, 1);
    struct thread *thread;
    u64 mask;

    if (bytes < CPU_MASK_BYTES || bytes % sizeof(u64))
        return -EINVAL;
    thread = find(arg_int(args, 0));
    if (!thread)
        return -ESRCH;
    mask = thread->affinity & cpus_online;
    thread_put(thread);
    return copy_out(arg_user_ptr(args, 2), &mask, sizeof(mask)) ? -EFAULT : CPU_MASK_BYTES;
}

long sys_getcpu(const struct syscall_args *args)
{
    struct user_ptr cpu_at = arg_user_ptr(args, 0), node_at = arg_user_ptr(args, 1);
    u32 cpu = cpu_current()->id, node = 0;

    if (!user_ptr_is_null(cpu_at) && copy_out(cpu_at, &cpu, sizeof(cpu)))
        return -EFAULT;
    if (!user_ptr_is_null(node_at) && copy_out(node_at, &node, sizeof(node)))
        return -EFAULT;
    return 0;
}

/* ---- Nice values ---- */

/* What is done with each thread that is meant. Returns 0 or an error. */
typedef int priority_visitor(struct thread *thread, s32 *value);

static int nice_read(struct thread *thread, s32 *nice)
{
    *nice = MIN(*nice, thread->nice);
    return 0;
}

static int nice_write(struct thread *thread, s32 *nice)
{
    if (!owns(thread))
        return -EPERM;
    if (!nice_is_allowed(thread, *nice) &&
        !credentials_can(thread_current()->credentials, CAPABILITY_SYS_NICE))
        return -EACCES;
    return thread_set_class(thread, thread->class, thread->priority, *nice);
}

static bool process_is_meant(struct process *process, int which, int id)
{
    struct credentials *credentials;
    bool meant;

    if (which == PRIO_PGRP)
        return process_group_id(process) == (id ? id : process_group_id(process_current()));
    credentials = process_credentials(process);
    if (!credentials)
        return false;
    meant = credentials->uid == (id ? (u32)id : thread_current()->credentials->uid);
    credentials_put(credentials);
    return meant;
}

/* The last error counts, as on Linux; -ESRCH: nobody was meant. */
static int visit_process(struct process *process, priority_visitor *visit, s32 *value, int result)
{
    struct thread *thread = process_thread_next(process, 0);

    while (thread) {
        int tid = thread->identity->tid, error = visit(thread, value);

        if (error || result == -ESRCH)
            result = error;
        thread_put(thread);
        thread = process_thread_next(process, tid);
    }
    return result;
}

static int visit_all(int which, int id, priority_visitor *visit, s32 *value)
{
    struct process *process;
    struct thread *thread;
    int result = -ESRCH;

    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    if (which == PRIO_PROCESS) {
        thread = find(id);
        if (!thread)
            return -ESRCH;
        result = visit(thread, value);
        thread_put(thread);
        return result;
    }
    for (process = process_next(0); process; process = process_next_put(process))
        if (!process->is_kernel && process_is_meant(process, which, id))
            result = visit_process(process, visit, value, result);
    return result;
}

/* Answers 20 - nice, so that no answer looks like an error. */
long sys_getpriority(const struct syscall_args *args)
{
    s32 nice = NICE_MOST;
    int error = visit_all(arg_int(args, 0), arg_int(args, 1), nice_read, &nice);

    return error ? error : 20 - nice;
}

long sys_setpriority(const struct syscall_args *args)
{
    s32 nice = MAX(NICE_LEAST, MIN(arg_int(args, 2), NICE_MOST));

    return visit_all(arg_int(args, 0), arg_int(args, 1), nice_write, &nice);
}

/* ---- Priorities of input and output: ioprio_set(2) ---- */

/* A priority is a class and a level within it. The host serves requests as they come, so it is only
 * kept. */
#define IO_CLASS_SHIFT 13
#define IO_LEVEL_MASK  ((1 << IO_CLASS_SHIFT) - 1)
#define IO_LEVELS      8

enum io_class {
    IO_NONE, /* the nice value decides */
    IO_REALTIME,
    IO_BEST_EFFORT,
    IO_IDLE,
};

/* ioprio_set counts from 1 what setpriority counts from 0. */
static int which_of_io(int which)
{
    return (int)((u32)which - 1 + PRIO_PROCESS);
}

static int io_priority_read(struct thread *thread, s32 *value)
{
    *value = READ_ONCE(thread->io_priority);
    return 0;
}

/* The most urgent one is the least number. */
static int io_priority_least(struct thread *thread, s32 *value)
{
    s32 own = READ_ONCE(thread->io_priority);

    if (own >> IO_CLASS_SHIFT == IO_NONE)
        own = IO_BEST_EFFORT << IO_CLASS_SHIFT | (thread->nice - NICE_LEAST) / 5;
    *value = MIN(*value, own);
    return 0;
}

/* By the real id of whom it is about, and either of the caller's: ioprio_set(2). */
static bool may_set_io_priority(struct thread *thread)
{
    const struct credentials *own = thread_current()->credentials;
    struct credentials *theirs;
    bool same;

    if (credentials_can(own, CAPABILITY_SYS_NICE))
        return true;
    theirs = process_credentials(thread->process);
    if (!theirs)
        return false;
    same = own->euid == theirs->uid || own->uid == theirs->uid;
    credentials_put(theirs);
    return same;
}

static int io_priority_write(struct thread *thread, s32 *value)
{
    if (!may_set_io_priority(thread))
        return -EPERM;
    WRITE_ONCE(thread->io_priority, *value);
    return 0;
}

static int io_priority_check(s32 value)
{
    u32 class = (u32)value >> IO_CLASS_SHIFT, level = value & IO_LEVEL_MASK;
    const struct credentials *own = thread_current()->credentials;

    switch (class) {
    case IO_REALTIME:
        if (!credentials_can(own, CAPABILITY_SYS_NICE) &&
            !credentials_can(own, CAPABILITY_SYS_ADMIN))
            return -EPERM;
        return level < IO_LEVELS ? 0 : -EINVAL;
    case IO_BEST_EFFORT:
        return level < IO_LEVELS ? 0 : -EINVAL;
    case IO_IDLE:
        return 0;
    case IO_NONE:
        return level == 0 ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

long sys_ioprio_get(const struct syscall_args *args)
{
    int which = which_of_io(arg_int(args, 0)), error;
    s32 value = IO_IDLE << IO_CLASS_SHIFT | IO_LEVELS; /* more than any */

    error = visit_all(which, arg_int(args, 1),
                      which == PRIO_PROCESS ? io_priority_read : io_priority_least, &value);
    return error ? error : value;
}

long sys_ioprio_set(const struct syscall_args *args)
{
    s32 value = arg_int(args, 2);
    int error = io_priority_check(value);

    return error ? error
                 : visit_all(which_of_io(arg_int(args, 0)), arg_int(args, 1), io_priority_write,
                             &value);
}
