/* Time limits: from "so long" to a moment of the monotonic clock, and back. */
#include "timeout.h"

#include <pith/core.h>

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
    limit.seconds += limit.microseconds / 1000000;
    *deadline_out = deadline_after(limit.seconds, limit.microseconds % 1000000 * NS_PER_US);
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
