/*
 * Time limits and moments as programs give them: struct timespec, timeval, milliseconds.
 *
 * A limit becomes a deadline of the monotonic clock once, when the call begins, so what is waited
 * for several times (a loop of waits, a call that is made again) ends at the same moment. Two
 * values stand out: 0, "do not wait", is before any moment, and U64_MAX, "for ever", after it; a
 * limit too large to add saturates to it.
 *
 * Errors: -EFAULT, then -EINVAL: negative, or a second of nanoseconds or more. select(2)'s
 * microseconds may be a second and more.
 */
#include "timeout.h"

#include <pith/core.h>
#include <pith/proc.h>

static u64 deadline_after(u64 seconds, u64 nanoseconds)
{
    u64 now = clock_monotonic_ns();

    if (seconds == 0 && nanoseconds == 0)
        return 0;
    if (seconds >= (U64_MAX - now) / NS_PER_SECOND - 1)
        return U64_MAX;
    return now + seconds * NS_PER_SECOND + nanoseconds;
}

int deadline_from_timespec(struct user_ptr at, u64 *deadline_out)
{
    struct abi_timespec limit;

    *deadline_out = U64_MAX;
    if (user_ptr_is_null(at))
        return 0;
    if (copy_in(&limit, at, sizeof(limit)))
        return -EFAULT;
    if (limit.seconds < 0 || limit.nanoseconds < 0 || limit.nanoseconds >= (s64)NS_PER_SECOND)
        return -EINVAL;
    *deadline_out = deadline_after(limit.seconds, limit.nanoseconds);
    return 0;
}

int deadline_from_timeval(struct user_ptr at, u64 *deadline_out)
{
    struct abi_timeval limit;

    *deadline_out = U64_MAX;
    if (user_ptr_is_null(at))
        return 0;
    if (copy_in(&limit, at, sizeof(limit)))
        return -EFAULT;
    if (limit.seconds < 0 || limit.microseconds < 0)
        return -EINVAL;
    /* select(2) takes more than a second's microseconds; two halves of 63 bits fit in 64. */
    *deadline_out = deadline_after((u64)limit.seconds + (u64)limit.microseconds / 1000000,
                                   (u64)limit.microseconds % 1000000 * NS_PER_US);
    return 0;
}

u64 deadline_from_ms(int milliseconds)
{
    if (milliseconds < 0)
        return U64_MAX;
    return deadline_after(milliseconds / 1000, milliseconds % 1000 * NS_PER_MS);
}

static u64 left_until(u64 deadline)
{
    u64 now = clock_monotonic_ns();

    return deadline > now ? deadline - now : 0;
}

int deadline_left_to_timespec(struct user_ptr at, u64 deadline)
{
    u64 left = left_until(deadline);
    struct abi_timespec limit = {left / NS_PER_SECOND, left % NS_PER_SECOND};

    if (user_ptr_is_null(at) || deadline == U64_MAX)
        return 0;
    return copy_out(at, &limit, sizeof(limit));
}

int deadline_left_to_timeval(struct user_ptr at, u64 deadline)
{
    u64 left = left_until(deadline);
    struct abi_timeval limit = {left / NS_PER_SECOND, left % NS_PER_SECOND / NS_PER_US};

    if (user_ptr_is_null(at) || deadline == U64_MAX)
        return 0;
    return copy_out(at, &limit, sizeof(limit));
}

/* ---- Moments and spans ---- */

struct abi_timespec timespec_of(u64 ns)
{
    return (struct abi_timespec){ns / NS_PER_SECOND, ns % NS_PER_SECOND};
}

bool timespec_is_valid(const struct abi_timespec *time)
{
    return time->seconds >= 0 && time->nanoseconds >= 0 && time->nanoseconds < (s64)NS_PER_SECOND;
}

u64 timespec_ns(const struct abi_timespec *time)
{
    if ((u64)time->seconds >= U64_MAX / NS_PER_SECOND / 2)
        return U64_MAX / 2;
    return time->seconds * NS_PER_SECOND + time->nanoseconds;
}

u64 deadline_after_ns(u64 ns)
{
    u64 now_ns = clock_monotonic_ns();

    return ns > U64_MAX - now_ns ? U64_MAX : now_ns + ns;
}

int itimerspec_copy_out(struct user_ptr at, const struct interval_timer *timer)
{
    struct abi_itimerspec value = {timespec_of(timer->interval_ns),
                                   timespec_of(timer->deadline_ns)};

    return copy_out(at, &value, sizeof(value));
}

int itimerspec_copy_in(struct user_ptr at, struct interval_timer *timer_out)
{
    struct abi_itimerspec value;

    if (copy_in(&value, at, sizeof(value)))
        return -EFAULT;
    if (!timespec_is_valid(&value.interval) || !timespec_is_valid(&value.value))
        return -EINVAL;
    timer_out->interval_ns = timespec_ns(&value.interval);
    timer_out->deadline_ns = timespec_ns(&value.value);
    return 0;
}
