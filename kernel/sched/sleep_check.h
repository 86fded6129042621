/*
 * What SAN=1 does at sleeping locks: their order is checked as core/ checks that of spinlocks, and
 * some of the switches that might happen do happen (shake.c).
 */
#pragma once

#include <pith/sched.h>

void sched_shake_now(void);

/* The running thread may be switched from here. */
static inline void sched_shake(void)
{
    if (SAN)
        sched_shake_now();
}

/*
 * A thread may take a class only while it holds none that stands below it in lock_class.h. Two of
 * one class are their callers' business (pairs by address, parent before child).
 */
static inline void sleep_check_acquire(u16 class)
{
    struct thread *thread = thread_current();

    if (!SAN)
        return;
    assert(cpu_current()->spinlocks_held == 0 && !cpu_current()->in_interrupt);
    assert((thread->sleep_locks_held >> class) <= 1);
    sched_shake();
    thread->sleep_locks_held |= BIT(class);
}

static inline void sleep_check_release(u16 class)
{
    if (SAN)
        thread_current()->sleep_locks_held &= ~(u32)BIT(class);
}
