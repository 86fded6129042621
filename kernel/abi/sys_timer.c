/*
 * Interval timers and POSIX timers, as programs set them; proc/itimer.c and proc/posix_timer.c are
 * what runs.
 *
 *     alarm            seconds         ITIMER_REAL's timer too: the two are one (alarm(2), NOTES)
 *     setitimer        microseconds    three a process, each by another kind of time
 *     timer_settime    nanoseconds     any number, each with its clock and signal
 *
 * On the way all are a struct interval_timer, in nanoseconds, whose deadline of 0 means "not set".
 * What goes in is how long, or with TIMER_ABSTIME when; what comes out is what is left. A new value
 * is checked whole before anything changes, and set in one step with telling the old one.
 */
#include <pith/abi.h>

#include <pith/mem.h>
#include <pith/proc.h>

#include "clocks.h"
#include "syscalls.h"

/* ---- Interval timers ---- */

/* Whole seconds, rounded, but never 0 for an alarm that is set (alarm(2)). */
long sys_alarm(const struct syscall_args *args)
{
    const struct interval_timer value = {.deadline_ns = arg_u32(args, 0) * NS_PER_SECOND};
    struct interval_timer before = process_itimer_exchange(ITIMER_REAL, &value);

    return (before.deadline_ns + NS_PER_SECOND / 2) / NS_PER_SECOND +
           (before.deadline_ns && before.deadline_ns < NS_PER_SECOND / 2);
}

/*
 * Microseconds, rounded down, as on Linux: a timer that is about to ring says 0 and is still set.
 */
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
    timer = process_itimer_get(arg_int(args, 0));
    return itimer_copy_out(arg_user_ptr(args, 1), &timer);
}

/* A NULL new value switches it off, as on Linux. */
long sys_setitimer(const struct syscall_args *args)
{
    struct user_ptr new_at = arg_user_ptr(args, 1), old_at = arg_user_ptr(args, 2);
    int which = arg_int(args, 0);
    struct abi_itimerval value = {};
    struct interval_timer timer, before;

    if (!user_ptr_is_null(new_at) && copy_in(&value, new_at, sizeof(value)))
        return -EFAULT;
    if (arg_u32(args, 0) > ITIMER_PROF || !timeval_is_valid(&value.interval) ||
        !timeval_is_valid(&value.value))
        return -EINVAL;
    timer.interval_ns = timeval_ns(&value.interval);
    timer.deadline_ns = timeval_ns(&value.value);
    before = process_itimer_exchange(which, &timer);
    return user_ptr_is_null(old_at) ? 0 : itimer_copy_out(old_at, &before);
}

/* ---- POSIX timers ---- */

/* SIGEV_THREAD_ID: a reference to a thread of this process; else NULL. -EINVAL. */
static int event_target(const struct abi_sigevent *event, struct thread **target_out)
{
    struct thread *target;

    *target_out = NULL;
    if (event->notify == SIGEV_NONE)
        return 0;
    if (event->signal < 1 || event->signal > SIGNALS)
        return -EINVAL;
    if (event->notify == SIGEV_SIGNAL || event->notify == SIGEV_THREAD)
        return 0;
    if (event->notify != SIGEV_THREAD_ID)
        return -EINVAL;
    target = thread_find(event->tid);
    if (target && target->process != process_current()) {
        thread_put(target);
        target = NULL;
    }
    *target_out = target;
    return target ? 0 : -EINVAL;
}

/* What happens when the timer expires: by default SIGALRM with the timer's number. */
static int setup_event(struct user_ptr at, struct posix_timer_setup *setup)
{
    struct abi_sigevent event;
    int error;

    setup->notify = SIGEV_SIGNAL;
    setup->signal = SIGALRM;
    setup->value_is_id = true;
    if (user_ptr_is_null(at))
        return 0;
    if (copy_in(&event, at, sizeof(event)))
        return -EFAULT;
    error = event_target(&event, &setup->target);
    setup->notify = event.notify;
    setup->signal = event.signal;
    setup->value = event.value;
    setup->value_is_id = false;
    return error;
}

static void setup_put(struct posix_timer_setup *setup)
{
    if (setup->target)
        thread_put(setup->target);
    cpu_clock_put(&setup->cpu_clock);
}

/* posix_timer_create takes over the references of the setup; if it fails they are ours to put. */
long sys_timer_create(const struct syscall_args *args)
{
    struct posix_timer_setup setup = {.clock = arg_int(args, 0)};
    int id, error = setup_event(arg_user_ptr(args, 1), &setup);

    if (!error)
        error = clock_find(setup.clock, &setup.cpu_clock);
    id = error ? error : posix_timer_create(&setup);
    if (id < 0) {
        setup_put(&setup);
        return id;
    }
    if (copy_out(arg_user_ptr(args, 2), &id, sizeof(id))) {
        (void)!posix_timer_delete(id);
        return -EFAULT;
    }
    return 0;
}

long sys_timer_gettime(const struct syscall_args *args)
{
    struct interval_timer timer;
    int error = posix_timer_exchange(arg_int(args, 0), NULL, &timer);

    return error ? error : itimerspec_copy_out(arg_user_ptr(args, 1), &timer);
}

/* Of the last expiry that was delivered (timer_getoverrun(2)). -EINVAL: no such timer. */
long sys_timer_getoverrun(const struct syscall_args *args)
{
    return posix_timer_overruns(arg_int(args, 0));
}

/*
 * -EFAULT, -EINVAL of the value before -EINVAL of the number. The old value is of the same moment.
 */
long sys_timer_settime(const struct syscall_args *args)
{
    struct user_ptr old_at = arg_user_ptr(args, 3);
    struct interval_timer wanted, before;
    struct posix_timer_value value;
    int error = itimerspec_copy_in(arg_user_ptr(args, 2), &wanted);

    if (error)
        return error;
    value.interval_ns = wanted.interval_ns;
    value.value_ns = wanted.deadline_ns;
    value.is_absolute = arg_int(args, 1) & TIMER_ABSTIME;
    error = posix_timer_exchange(arg_int(args, 0), &value, &before);
    if (error || user_ptr_is_null(old_at))
        return error;
    return itimerspec_copy_out(old_at, &before);
}

long sys_timer_delete(const struct syscall_args *args)
{
    return posix_timer_delete(arg_int(args, 0));
}
