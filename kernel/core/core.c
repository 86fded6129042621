/*
 * The order in which core/ is brought up, and the clock of the day.
 *
 * The day's clock is the monotonic one plus an offset; whoever knows the date (the description of
 * the run, clock_settime) sets it. Until then it counts from 1970.
 */
#include <pith/core.h>

#include "parts.h"

static u64 realtime_offset_ns; /* [atomic] */

u64 clock_realtime_ns(void)
{
    return clock_monotonic_ns() + READ_ONCE(realtime_offset_ns);
}

void clock_realtime_set(u64 ns)
{
    WRITE_ONCE(realtime_offset_ns, ns - clock_monotonic_ns());
}

void core_init_cpu(void)
{
    deferred_init_cpu();
    timers_init_cpu();
    rcu_init_cpu();
    watchdog_init_cpu();
}

void core_init(void)
{
    random_init();
    cpu_call_init();
    nmi_init();
    core_init_cpu();
}
