/*
 * Clocks, and sleeping by them.
 *
 * A clock is a wall clock of core/, or one of CPU time (proc/cpu_clock.c):
 * CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID, or a negative number that names a process or
 * thread and what to count (clock_getcpuclockid(3), pthread_getcpuclockid(3)).
 *
 * A sleep that a signal ends without running a handler (a stop) goes on until the same moment:
 * restart_syscall(2) finds that moment in thread.restart.
 */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/proc.h>

#include "clocks.h"
#include "syscalls.h"
#include "timeout.h"

#define COARSE_NS (4 * NS_PER_MS) /* what CLOCK_*_COARSE answers as its resolution */

/* ---- Reading clocks ---- */

/* A negative clock: ~id << 3, and in the low bits whose time (a thread's?) and which. */
#define CPU_CLOCK_THREAD  BIT(2)
#define CPU_CLOCK_COUNTS  3 /* the bits that say what is counted */
#define CPU_CLOCK_PROFILE 0
#define CPU_CLOCK_VIRTUAL 1
#define CPU_CLOCK_RUNNING 2
#define CLOCK_OF_DEVICE   3 /* in all the low bits: the number names an open clock device */

/* -EOPNOTSUPP: a clock device's descriptor; -EINVAL: none of the three counts. */
static int cpu_clock_decode(int clock, struct cpu_clock *clock_out)
{
    int id = ~(clock >> 3), what = clock & CPU_CLOCK_COUNTS;
    enum cpu_time counts = what == CPU_CLOCK_VIRTUAL ? CPU_TIME_USER : CPU_TIME_ALL;

    if ((clock & (CPU_CLOCK_THREAD | CPU_CLOCK_COUNTS)) == CLOCK_OF_DEVICE)
        return -EOPNOTSUPP;
    if (what > CPU_CLOCK_RUNNING)
        return -EINVAL;
    if (clock & CPU_CLOCK_THREAD)
        return cpu_clock_of_thread(id, counts, clock_out);
    return cpu_clock_of_process(id, counts, clock_out);
}

int clock_find(int clock, struct cpu_clock *clock_out)
{
    *clock_out = (struct cpu_clock){};
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_MONOTONIC:
    case CLOCK_BOOTTIME:
    case CLOCK_TAI:
        return 0;
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_REALTIME_ALARM: /* they wake a sleeping machine by its alarm clock: there is none */
    case CLOCK_BOOTTIME_ALARM:
        return -EOPNOTSUPP;
    case CLOCK_PROCESS_CPUTIME_ID:
        return cpu_clock_of_process(0, CPU_TIME_ALL, clock_out);
    case CLOCK_THREAD_CPUTIME_ID:
        return cpu_clock_of_thread(0, CPU_TIME_ALL, clock_out);
    default:
        return clock < 0 ? cpu_clock_decode(clock, clock_out) : -EINVAL;
    }
}

static int cpu_clock_read(int clock, u64 *ns_out)
{
    struct cpu_clock cpu_clock;
    int error = clock_find(clock, &cpu_clock);

    if (error)
        return -EINVAL;
    *ns_out = cpu_clock_ns(&cpu_clock);
    cpu_clock_put(&cpu_clock);
    return 0;
}

/* -EINVAL: no such clock. All kinds can be read, also those that nobody can sleep by. */
static int clock_read(int clock, u64 *ns_out)
{
    switch (clock) {
    case CLOCK_REALTIME:
    case CLOCK_REALTIME_COARSE:
    case CLOCK_REALTIME_ALARM:
    case CLOCK_TAI:
        *ns_out = clock_realtime_ns();
        return 0;
    case CLOCK_MONOTONIC:
    case CLOCK_MONOTONIC_RAW:
    case CLOCK_MONOTONIC_COARSE:
    case CLOCK_BOOTTIME:
    case CLOCK_BOOTTIME_ALARM:
        *ns_out = clock_monotonic_ns();
        return 0;
    case CLOCK_PROCESS_CPUTIME_ID:
    case CLOCK_THREAD_CPUTIME_ID:
        return cpu_clock_read(clock, ns_out);
    default:
        return clock < 0 ? cpu_clock_read(clock, ns_out) : -EINVAL;
    }
}

/*
 * -EINVAL, -EFAULT. The coarse clocks are read as exactly as the others; only clock_getres differs.
 */
long sys_clock_gettime(const struct syscall_args *args)
{
    struct abi_timespec time;
    u64 ns;
    int error = clock_read(arg_int(args, 0), &ns);

    if (error)
        return error;
    time = timespec_of(ns);
    return copy_out(arg_user_ptr(args, 1), &time, sizeof(time));
}

/* Without a place for the answer it only asks whether there is such a clock. */
long sys_clock_getres(const struct syscall_args *args)
{
    int clock = arg_int(args, 0), error;
    struct abi_timespec resolution = {0, 1};
    u64 ns;

    error = clock_read(clock, &ns);
    if (error || user_ptr_is_null(arg_user_ptr(args, 1)))
        return error;
    if (clock == CLOCK_REALTIME_COARSE || clock == CLOCK_MONOTONIC_COARSE)
        resolution.nanoseconds = COARSE_NS;
    return copy_out(arg_user_ptr(args, 1), &resolution, sizeof(resolution));
}

long sys_gettimeofday(const struct syscall_args *args)
{
    struct user_ptr time_at = arg_user_ptr(args, 0), zone_at = arg_user_ptr(args, 1);
    struct abi_timeval time = timeval_of(clock_realtime_ns());
    s32 zone[2] = {0, 0};

    if (!user_ptr_is_null(time_at) && copy_out(time_at, &time, sizeof(time)))
        return -EFAULT;
    if (!user_ptr_is_null(zone_at) && copy_out(zone_at, zone, sizeof(zone)))
        return -EFAULT;
    return 0;
}

long sys_time(const struct syscall_args *args)
{
    struct user_ptr at = arg_user_ptr(args, 0);
    s64 seconds = clock_realtime_ns() / NS_PER_SECOND;

    if (!user_ptr_is_null(at) && copy_out(at, &seconds, sizeof(seconds)))
        return -EFAULT;
    return seconds;
}

/* ---- Setting the date ---- */

static int may_set_date(void)
{
    return credentials_can(thread_current()->credentials, CAPABILITY_SYS_TIME) ? 0 : -EPERM;
}

/*
 * Timers of CLOCK_REALTIME follow it, and timerfds that want to know are told (clock_set_register).
 */
static int date_set(u64 ns)
{
    int error = may_set_date();

    if (!error)
        clock_realtime_set(ns);
    return error;
}

/* -EINVAL: another clock than CLOCK_REALTIME; -EFAULT and -EINVAL of the time; -EPERM last. */
long sys_clock_settime(const struct syscall_args *args)
{
    struct abi_timespec time;

    if (arg_int(args, 0) != CLOCK_REALTIME)
        return -EINVAL;
    if (copy_in(&time, arg_user_ptr(args, 1), sizeof(time)))
        return -EFAULT;
    if (!timespec_is_valid(&time))
        return -EINVAL;
    return date_set(timespec_ns(&time));
}

/* The zone is nobody's business here: it is not looked at, and gettimeofday tells of none. */
long sys_settimeofday(const struct syscall_args *args)
{
    struct user_ptr time_at = arg_user_ptr(args, 0);
    struct abi_timeval time;

    if (user_ptr_is_null(time_at))
        return may_set_date();
    if (copy_in(&time, time_at, sizeof(time)))
        return -EFAULT;
    if (!timeval_is_valid(&time))
        return -EINVAL;
    return date_set(timeval_ns(&time));
}

/* ---- Sleeping ---- */

static long sleep_go_on(struct restart *restart);

/*
 * Sleeps to a moment of the monotonic clock; `left_at` gets what was left if a signal came, before
 * anybody knows whether a handler will run.
 */
static long sleep_until(u64 deadline_ns, struct user_ptr left_at)
{
    struct restart *restart = &thread_current()->restart;
    int error = thread_sleep_until(deadline_ns, WAIT_INTERRUPTIBLE);

    if (error != -EINTR)
        return error;
    if (!user_ptr_is_null(left_at)) {
        u64 now_ns = clock_monotonic_ns();
        struct abi_timespec left = timespec_of(deadline_ns > now_ns ? deadline_ns - now_ns : 0);

        if (copy_out(left_at, &left, sizeof(left)))
            return -EFAULT;
    }
    restart->function = sleep_go_on;
    restart->values[0] = deadline_ns;
    restart->values[1] = left_at.address;
    return -ERESTART_RESTARTBLOCK;
}

static long sleep_go_on(struct restart *restart)
{
    return sleep_until(restart->values[0], user_ptr_at(restart->values[1]));
}

long sys_nanosleep(const struct syscall_args *args)
{
    struct abi_timespec time;

    if (copy_in(&time, arg_user_ptr(args, 0), sizeof(time)))
        return -EFAULT;
    if (!timespec_is_valid(&time))
        return -EINVAL;
    return sleep_until(deadline_after_ns(timespec_ns(&time)), arg_user_ptr(args, 1));
}

/* Sleeps to a moment of a clock of CPU time. One with a length is told what was left of it. */
static long cpu_sleep(int clock_id, const struct cpu_clock *clock, u64 until_ns,
                      struct user_ptr left_at);

static long cpu_sleep_go_on(struct restart *restart)
{
    struct cpu_clock clock;
    long result = clock_find((int)restart->values[2], &clock);

    if (result)
        return result;
    result = cpu_sleep((int)restart->values[2], &clock, restart->values[0],
                       user_ptr_at(restart->values[1]));
    cpu_clock_put(&clock);
    return result;
}

static long cpu_sleep(int clock_id, const struct cpu_clock *clock, u64 until_ns,
                      struct user_ptr left_at)
{
    struct restart *restart = &thread_current()->restart;
    int error = cpu_clock_sleep_until(clock, until_ns);

    if (error != -EINTR)
        return error;
    if (!user_ptr_is_null(left_at)) {
        u64 now_ns = cpu_clock_ns(clock);
        struct abi_timespec left = timespec_of(until_ns > now_ns ? until_ns - now_ns : 0);

        if (copy_out(left_at, &left, sizeof(left)))
            return -EFAULT;
    }
    restart->function = cpu_sleep_go_on;
    restart->values[0] = until_ns;
    restart->values[1] = left_at.address;
    restart->values[2] = clock_id;
    return -ERESTART_RESTARTBLOCK;
}

static long cpu_nanosleep(int clock_id, const struct cpu_clock *clock, u64 ns, int flags,
                          struct user_ptr left_at)
{
    u64 now_ns;
    int error;

    if (clock->thread == thread_current()) /* it would stand still for ever */
        return clock_id == CLOCK_THREAD_CPUTIME_ID ? -EOPNOTSUPP : -EINVAL;
    if (flags & TIMER_ABSTIME) {
        error = cpu_clock_sleep_until(clock, ns);
        return error == -EINTR ? -ERESTARTNOHAND : error;
    }
    now_ns = cpu_clock_ns(clock);
    return cpu_sleep(clock_id, clock, ns > U64_MAX - now_ns ? U64_MAX : now_ns + ns, left_at);
}

/*
 * To a moment it is just made again: the moment stays. CLOCK_REALTIME's becomes one of the
 * monotonic clock at the beginning.
 */
static long wall_nanosleep(int clock, u64 ns, int flags, struct user_ptr left_at)
{
    long result;

    if (!(flags & TIMER_ABSTIME))
        return sleep_until(deadline_after_ns(ns), left_at);
    if (clock == CLOCK_REALTIME || clock == CLOCK_TAI)
        ns = clock_monotonic_at(ns);
    result = thread_sleep_until(ns, WAIT_INTERRUPTIBLE);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

/*
 * -EINVAL: no clock; -EOPNOTSUPP: one that can only be read; then -EFAULT and -EINVAL of the time.
 */
long sys_clock_nanosleep(const struct syscall_args *args)
{
    int clock = arg_int(args, 0), flags = arg_int(args, 1), error;
    struct user_ptr left_at = arg_user_ptr(args, 3);
    struct cpu_clock cpu_clock;
    struct abi_timespec time;
    long result;

    error = clock_find(clock, &cpu_clock);
    if (error)
        return error;
    if (copy_in(&time, arg_user_ptr(args, 2), sizeof(time)))
        result = -EFAULT;
    else if (!timespec_is_valid(&time))
        result = -EINVAL;
    else if (cpu_clock.process)
        result = cpu_nanosleep(clock, &cpu_clock, timespec_ns(&time), flags, left_at);
    else
        result = wall_nanosleep(clock, timespec_ns(&time), flags, left_at);
    cpu_clock_put(&cpu_clock);
    return result;
}
