/*
 * The clock of the day: the monotonic clock plus an offset, which lies in the vDSO's page.
 *
 * Whoever knows the date (the description of the run, clock_settime) sets it; until then it counts
 * from 1970. adjtime(3) moves it slowly instead: what is left to move is a number, and while it is
 * not 0 a timer takes a step off it, so small that nobody sees the clock jump, STEPS a second. That
 * comes to the 500 us in a second that Linux moves its clock by. Setting the date ends it.
 *
 * Locking: realtime_lock guards the offset's writers and what is left.
 */
#include <pith/core.h>
#include <pith/vdso.h>

#include "parts.h"

#define STEPS        50 /* in a second */
#define STEP_NS      (500 * (s64)NS_PER_US / STEPS)
#define STEP_WAIT_NS (NS_PER_SECOND / STEPS)

static struct spinlock realtime_lock = SPINLOCK_INIT(LOCK_LEAF); /* vdso_data's writers */
static s64 slew_left_ns;                                         /* guarded by realtime_lock */
static struct timer slew_timer;
static void (*clock_was_set)(void); /* [const] after boot */

void clock_set_register(void (*was_set)(void))
{
    clock_was_set = was_set;
}

u64 clock_realtime_ns(void)
{
    return clock_monotonic_ns() + READ_ONCE(vdso_data->realtime_offset_ns);
}

static void offset_set_locked(u64 offset_ns) must_hold(&realtime_lock)
{
    /* Pairs with the acquire loads of the vDSO's readers: odd first, even last. */
    __atomic_store_n(&vdso_data->sequence, vdso_data->sequence + 1, __ATOMIC_RELAXED);
    __atomic_thread_fence(__ATOMIC_RELEASE);
    WRITE_ONCE(vdso_data->realtime_offset_ns, offset_ns);
    __atomic_store_n(&vdso_data->sequence, vdso_data->sequence + 1, __ATOMIC_RELEASE);
}

void clock_realtime_set(u64 ns)
{
    spin_lock(&realtime_lock);
    slew_left_ns = 0;
    offset_set_locked(ns - clock_monotonic_ns());
    spin_unlock(&realtime_lock);
    if (clock_was_set)
        clock_was_set();
}

static void slew_step(struct timer *timer)
{
    s64 step_ns;
    bool is_over;

    spin_lock(&realtime_lock);
    step_ns = slew_left_ns > 0 ? MIN(slew_left_ns, STEP_NS) : MAX(slew_left_ns, -STEP_NS);
    if (step_ns)
        offset_set_locked(vdso_data->realtime_offset_ns + (u64)step_ns);
    slew_left_ns -= step_ns;
    is_over = slew_left_ns == 0;
    spin_unlock(&realtime_lock);
    if (!is_over)
        timer_set(timer, clock_monotonic_ns() + STEP_WAIT_NS);
}

s64 clock_slew_left(void)
{
    return READ_ONCE(slew_left_ns);
}

s64 clock_slew(s64 ns)
{
    s64 left_ns;

    spin_lock(&realtime_lock);
    left_ns = slew_left_ns;
    slew_left_ns = ns;
    spin_unlock(&realtime_lock);
    if (ns)
        timer_set(&slew_timer, clock_monotonic_ns() + STEP_WAIT_NS);
    return left_ns;
}

void date_init(void)
{
    timer_init(&slew_timer, slew_step);
}
