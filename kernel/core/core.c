/*
 * The order in which core/ is brought up, and the clock of the day.
 *
 * The day's clock is the monotonic one plus an offset, which lies in the vDSO's page; whoever knows
 * the date (the description of the run, clock_settime) sets it. Until then it counts from 1970.
 */
#include <pith/core.h>
#include <pith/vdso.h>

#include "parts.h"

static struct spinlock realtime_lock = SPINLOCK_INIT(LOCK_LEAF); /* vdso_data's writers */

static void (*clock_was_set)(void); /* [const] after boot */

void clock_set_register(void (*was_set)(void))
{
    clock_was_set = was_set;
}

u64 clock_realtime_ns(void)
{
    return clock_monotonic_ns() + READ_ONCE(vdso_data->realtime_offset_ns);
}

void clock_realtime_set(u64 ns)
{
    spin_lock(&realtime_lock);
    /* Pairs with the acquire loads of the vDSO's readers: odd first, even last. */
    __atomic_store_n(&vdso_data->sequence, vdso_data->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    WRITE_ONCE(vdso_data->realtime_offset_ns, ns - clock_monotonic_ns());
    __atomic_store_n(&vdso_data->sequence, vdso_data->sequence + 1, __ATOMIC_RELEASE);
    spin_unlock(&realtime_lock);
    if (clock_was_set)
        clock_was_set();
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
