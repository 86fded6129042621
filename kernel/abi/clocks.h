/* Clocks by number, and struct timeval; for the calls about clocks and timers. */
#pragma once

#include <pith/abi/process.h>
#include <pith/proc.h>

#include "timeout.h"

/*
 * A clock to sleep by or to set a timer on. *clock_out has a process for a clock of CPU time, whose
 * references the caller puts; else it is empty. -EINVAL; -EOPNOTSUPP: it can only be read.
 */
int clock_find(int clock, struct cpu_clock *clock_out) must_check;

static inline struct abi_timeval timeval_of(u64 ns)
{
    return (struct abi_timeval){ns / NS_PER_SECOND, ns % NS_PER_SECOND / NS_PER_US};
}

/* No moment before 1970, and microseconds that are less than a second. */
static inline bool timeval_is_valid(const struct abi_timeval *time)
{
    return time->seconds >= 0 && time->microseconds >= 0 && time->microseconds < 1000000;
}

static inline u64 timeval_ns(const struct abi_timeval *time)
{
    struct abi_timespec same = {time->seconds, time->microseconds * (s64)NS_PER_US};

    return timespec_ns(&same);
}
