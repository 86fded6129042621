/*
 * Clocks, sleeping, and timers.
 *
 * A sleep that a signal ends without running a handler (a stop) goes on until the same moment:
 * restart_syscall(2) finds that moment in thread.restart.
 */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/proc.h>

#include "syscalls.h"
#include "timeout.h"

#define COARSE_NS (4 * NS_PER_MS) /* what CLOCK_*_COARSE answers as its resolution */

static struct abi_timeval timeval_of(u64 ns)
{
    return (struct abi_timeval){ns / NS_PER_SECOND, ns % NS_PER_SECOND / NS_PER_US};
}

static bool timeval_is_valid(const struct abi_timeval *time)
{
    return time->seconds >= 0 && time->microseconds >= 0 && time->microseconds < 1000000;
}

static u64 timeval_ns(const struct abi_timeval *time)
{
    struct abi_timespec same = {time->seconds, time->microseconds * (s64)NS_PER_US};

    return timespec_ns(&same);
}

/* ---- Reading clocks ---- */

static u64 process_time_ns(struct process *process)
{
    struct cpu_usage usage;

    process_usage(process, &usage);
    return usage.user_ns + usage.system_ns;
}

static u64 thread_time_ns(struct thread *thread)
{
    u64 user_ns, system_ns;

    thread_times(thread, &user_ns, &system_ns);
    return user_ns + system_ns;
}

/* Clocks of other processes and threads: clock_getcpuclockid(3)'s numbers. */
#define CPU_CLOCK_THREAD 4

static int cpu_clock_read(int clock, u64 *ns_out)
{
    int id = ~(clock >> 3), error = -EINVAL;
    struct process *process;
    struct thread *thread;

    if (clock & CPU_CLOCK_THREAD) {
        thread = id ? thread_find(id) : thread_current();
        if (!thread)
            return -EINVAL;
        if (thread->process == process_current()) {
            *ns_out = thread_time_ns(thread);
            error = 0;
        }
        if (id)
            thread_put(thread);
        return error;
    }
    process = process_find(id ? id : process_current()->pid);
    if (!process)
        return -EINVAL;
    *ns_out = process_time_ns(process);
    process_put(process);
    return 0;
}

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
        *ns_out = process_time_ns(process_current());
        return 0;
    case CLOCK_THREAD_CPUTIME_ID:
        *ns_out = thread_time_ns(thread_current());
        return 0;
    default:
        return clock < 0 ? cpu_clock_read(clock, ns_out) : -EINVAL;
    }
}

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

static int realtime_set(u64 ns)
{
    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_TIME))
        return -EPERM;
    clock_realtime_set(ns);
    return 0;
}

long sys_clock_settime(const struct syscall_args *args)
{
    struct abi_timespec time;

    if (arg_int(args, 0) != CLOCK_REALTIME)
        return -EINVAL;
    if (copy_in(&time, arg_user_ptr(args, 1), sizeof(time)))
        return -EFAULT;
    return timespec_is_valid(&time) ? realtime_set(timespec_ns(&time)) : -EINVAL;
}

long sys_settimeofday(const struct syscall_args *args)
{
    struct user_ptr time_at = arg_user_ptr(args, 0);
    struct abi_timeval time;

    if (user_ptr_is_null(time_at))
        return 0;
    if (copy_in(&time, time_at, sizeof(time)))
        return -EFAULT;
    return timeval_is_valid(&time) ? realtime_set(timeval_ns(&time)) : -EINVAL;
}

/* ---- Sleeping ---- */

static long sleep_go_on(struct restart *restart);

/* Sleeps to a moment of the monotonic clock; `left_at` gets what was left if a signal came. */
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

static bool clock_can_sleep(int clock)
{
    return clock == CLOCK_REALTIME || clock == CLOCK_MONOTONIC || clock == CLOCK_BOOTTIME ||
           clock == CLOCK_TAI;
}

long sys_clock_nanosleep(const struct syscall_args *args)
{
    int clock = arg_int(args, 0);
    struct abi_timespec time;
    u64 deadline_ns;
    long result;

    if (!clock_can_sleep(clock))
        return clock < 0 || clock > CLOCK_TAI ? -EINVAL : -EOPNOTSUPP;
    if (copy_in(&time, arg_user_ptr(args, 2), sizeof(time)))
        return -EFAULT;
    if (!timespec_is_valid(&time))
        return -EINVAL;
    if (!(arg_int(args, 1) & TIMER_ABSTIME))
        return sleep_until(deadline_after_ns(timespec_ns(&time)), arg_user_ptr(args, 3));
    deadline_ns = deadline_on_clock(clock, timespec_ns(&time));
    result = thread_sleep_until(deadline_ns, WAIT_INTERRUPTIBLE);
    return result == -EINTR ? -ERESTARTNOHAND : result;
}

/* ---- Interval timers ---- */

long sys_alarm(const struct syscall_args *args)
{
    struct interval_timer value = {.deadline_ns = arg_u32(args, 0) * NS_PER_SECOND}, before;

    process_itimer_get(ITIMER_REAL, &before);
    process_itimer_set(ITIMER_REAL, &value);
    return (before.deadline_ns + NS_PER_SECOND / 2) / NS_PER_SECOND +
           (before.deadline_ns && before.deadline_ns < NS_PER_SECOND / 2);
}

static int itimer_copy_out(struct user_ptr at, const struct interval_timer *timer)
{
    struct abi_itimerval value = {timeval_of(timer->interval_ns), timeval_of(timer->deadline_ns)};

    return copy_out(at, &value, sizeof(value));
}

long sys_getitimer(const struct syscall_args *args)
{
    struct interval_timer timer;

    if (arg_u32(args, 0) > ITIMER_PROF)
        return -EINVAL;
    process_itimer_get(arg_int(args, 0), &timer);
    return itimer_copy_out(arg_user_ptr(args, 1), &timer);
}

long sys_setitimer(const struct syscall_args *args)
{
    struct user_ptr new_at = arg_user_ptr(args, 1), old_at = arg_user_ptr(args, 2);
    int which = arg_int(args, 0);
    struct abi_itimerval value = {};
    struct interval_timer timer, before;

    if (arg_u32(args, 0) > ITIMER_PROF)
        return -EINVAL;
    if (!user_ptr_is_null(new_at) && copy_in(&value, new_at, sizeof(value)))
        return -EFAULT;
    if (!timeval_is_valid(&value.interval) || !timeval_is_valid(&value.value))
        return -EINVAL;
    timer.interval_ns = timeval_ns(&value.interval);
    timer.deadline_ns = timeval_ns(&value.value);
    process_itimer_get(which, &before);
    process_itimer_set(which, &timer);
    return user_ptr_is_null(old_at) ? 0 : itimer_copy_out(old_at, &before);
}

/* ---- POSIX timers ---- */

static int event_target(const struct abi_sigevent *event, struct thread **target_out)
{
    *target_out = NULL;
    if (event->notify == SIGEV_NONE)
        return 0;
    if (event->signal < 1 || event->signal > SIGNALS)
        return -EINVAL;
    if (event->notify == SIGEV_SIGNAL || event->notify == SIGEV_THREAD)
        return 0;
    if (event->notify != SIGEV_THREAD_ID)
        return -EINVAL;
    *target_out = thread_find(event->tid);
    if (*target_out && (*target_out)->process == process_current())
        return 0;
    if (*target_out)
        thread_put(*target_out);
    return -EINVAL;
}

long sys_timer_create(const struct syscall_args *args)
{
    struct user_ptr event_at = arg_user_ptr(args, 1), id_at = arg_user_ptr(args, 2);
    bool has_event = !user_ptr_is_null(event_at);
    int clock = arg_int(args, 0), id, error;
    struct thread *target = NULL;
    struct abi_sigevent event;

    if (!clock_can_sleep(clock))
        return clock == CLOCK_PROCESS_CPUTIME_ID || clock == CLOCK_THREAD_CPUTIME_ID ? -EOPNOTSUPP
                                                                                     : -EINVAL;
    if (has_event && copy_in(&event, event_at, sizeof(event)))
        return -EFAULT;
    error = has_event ? event_target(&event, &target) : 0;
    if (error)
        return error;
    id = posix_timer_create(clock, has_event ? &event : NULL, target);
    if (id < 0) {
        if (target)
            thread_put(target);
        return id;
    }
    if (copy_out(id_at, &id, sizeof(id))) {
        (void)!posix_timer_delete(id);
        return -EFAULT;
    }
    return 0;
}

long sys_timer_gettime(const struct syscall_args *args)
{
    struct interval_timer timer;
    int clock;
    s32 overruns;
    int error = posix_timer_get(arg_int(args, 0), &timer, &overruns, &clock);

    return error ? error : itimerspec_copy_out(arg_user_ptr(args, 1), &timer);
}

long sys_timer_getoverrun(const struct syscall_args *args)
{
    struct interval_timer timer;
    int clock;
    s32 overruns;
    int error = posix_timer_get(arg_int(args, 0), &timer, &overruns, &clock);

    return error ? error : overruns;
}

long sys_timer_settime(const struct syscall_args *args)
{
    struct user_ptr old_at = arg_user_ptr(args, 3);
    int id = arg_int(args, 0), clock, error;
    struct interval_timer timer, before;
    s32 overruns;

    error = itimerspec_copy_in(arg_user_ptr(args, 2), &timer);
    if (!error)
        error = posix_timer_get(id, &before, &overruns, &clock);
    if (error)
        return error;
    if (timer.deadline_ns)
        timer.deadline_ns = arg_int(args, 1) & TIMER_ABSTIME
                                ? MAX(deadline_on_clock(clock, timer.deadline_ns), 1ul)
                                : deadline_after_ns(timer.deadline_ns);
    error = posix_timer_set(id, &timer);
    if (!error && !user_ptr_is_null(old_at))
        error = itimerspec_copy_out(old_at, &before);
    return error;
}

long sys_timer_delete(const struct syscall_args *args)
{
    return posix_timer_delete(arg_int(args, 0));
}
