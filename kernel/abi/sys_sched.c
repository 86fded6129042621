/*
 * The calls about scheduling: classes and their priorities, and which CPUs (sched(7)).
 *
 * Old and new calls all become a struct sched_attributes; sched_setscheduler and sched_setparam
 * have no nice value, so the thread's stays. What may be asked for is decided here, by rights and
 * limits; sched/ does what it is told.
 *
 *     wanted                         without CAP_SYS_NICE, of one's own threads
 *     a real-time class              RLIMIT_RTPRIO is not 0
 *     a higher priority in it        up to RLIMIT_RTPRIO
 *     a lower nice value             down to 20 - RLIMIT_NICE; also to leave SCHED_IDLE
 *     reset on fork: off             never
 *     SCHED_DEADLINE                 never; with it -EBUSY: no request passes the admission test
 *
 * The thread may change its class between a look at it and the change; the last one then holds, as
 * if the calls had come one after the other.
 *
 * Errors: -EINVAL of the arguments, -ESRCH, -EINVAL of the class, -EPERM, in that order.
 */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/proc.h>

#include "rights.h"
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

/* ---- Classes ---- */

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

/*
 * sched_setattr(2): runtime <= deadline <= period, none below a microsecond; the period may be 0.
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

/* What needs no CAP_SYS_NICE. To leave the idle class is to become nicer: it is below nice 19. */
static bool is_allowed(struct thread *thread, const struct sched_attributes *wanted)
{
    int class = (int)wanted->policy;
    u64 limit = thread_limit(thread, RLIMIT_RTPRIO);

    if (!thread_is_ours_to_schedule(thread) || class == CLASS_DEADLINE)
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
        20 - thread->nice > (s64)thread_limit(thread, RLIMIT_NICE))
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
    struct thread *thread = thread_find_or_own(tid);
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
    thread = thread_find_or_own(tid);
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
    thread = thread_find_or_own(arg_int(args, 0));
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
    thread = thread_find_or_own(arg_int(args, 0));
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

/*
 * SCHED_RR's slice is /proc/sys/kernel/sched_rr_timeslice_ms; the fair policy's threads are told
 * its usual request; SCHED_FIFO has none.
 */
long sys_sched_rr_get_interval(const struct syscall_args *args)
{
    struct thread *thread;
    struct abi_timespec interval = {};
    struct realtime_limits limits;

    if (arg_int(args, 0) < 0)
        return -EINVAL;
    thread = thread_find_or_own(arg_int(args, 0));
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

/* As much of the structure as the caller has room for; -EINVAL: less than its first version. */
long sys_sched_getattr(const struct syscall_args *args)
{
    struct sched_attributes attributes = {};
    struct user_ptr at = arg_user_ptr(args, 1);
    u32 size = arg_u32(args, 2);
    struct thread *thread;

    if (user_ptr_is_null(at) || arg_u32(args, 3) || size < ATTRIBUTES_BYTES_FIRST ||
        size > PAGE_SIZE || arg_int(args, 0) < 0)
        return -EINVAL;
    thread = thread_find_or_own(arg_int(args, 0));
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

/*
 * Of a mask of any length the first 64 CPUs count. -EINVAL: none of them is there, or the thread is
 * the kernel's own, some of which work on their CPU's data.
 */
long sys_sched_setaffinity(const struct syscall_args *args)
{
    struct thread *thread;
    u64 mask = 0;
    int error;

    if (copy_in(&mask, arg_user_ptr(args, 2), MIN(arg_u32(args, 1), CPU_MASK_BYTES)))
        return -EFAULT;
    thread = thread_find_or_own(arg_int(args, 0));
    if (!thread)
        return -ESRCH;
    /* Some of the kernel's threads work on their CPU's own data. */
    if (thread->kernel_name)
        error = -EINVAL;
    else
        error = thread_is_ours_to_schedule(thread) ? thread_set_affinity(thread, mask) : -EPERM;
    thread_put(thread);
    return error;
}

/* Returns how many bytes were written. -EINVAL: too few, or no whole words. */
long sys_sched_getaffinity(const struct syscall_args *args)
{
    u32 bytes = arg_u32(args, 1);
    struct thread *thread;
    u64 mask;

    if (bytes < CPU_MASK_BYTES || bytes % sizeof(u64))
        return -EINVAL;
    thread = thread_find_or_own(arg_int(args, 0));
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
