/* Times as programs give them: the limits of calls that wait, timers, moments of a clock. */
#pragma once

#include <pith/abi/process.h>
#include <pith/arch.h>

/*
 * A deadline of clock_monotonic_ns from a struct timespec (timeval) that says how long; U64_MAX for
 * a NULL pointer, 0 for no time at all. -EFAULT, -EINVAL.
 */
int deadline_from_timespec(struct user_ptr at, u64 *deadline_out) must_check;
int deadline_from_timeval(struct user_ptr at, u64 *deadline_out) must_check;
/* From milliseconds; negative: for ever. */
u64 deadline_from_ms(int milliseconds);
/* What is left until a deadline, written back where the limit came from, if it came from there. */
int deadline_left_to_timespec(struct user_ptr at, u64 deadline) must_check;
int deadline_left_to_timeval(struct user_ptr at, u64 deadline) must_check;

/* ---- Moments and spans ---- */

struct interval_timer;

struct abi_timespec timespec_of(u64 ns);
bool timespec_is_valid(const struct abi_timespec *time);
/* Saturates far beyond what a clock will ever show. */
u64 timespec_ns(const struct abi_timespec *time);
/* Of clock_monotonic_ns; saturates. */
u64 deadline_after_ns(u64 ns);
/* A struct itimerspec as spans in ns; deadline_ns is its it_value. -EFAULT, -EINVAL. */
int itimerspec_copy_out(struct user_ptr at, const struct interval_timer *timer) must_check;
int itimerspec_copy_in(struct user_ptr at, struct interval_timer *timer_out) must_check;
