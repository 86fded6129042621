/* The time limits of calls that wait, as programs give them. */
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
