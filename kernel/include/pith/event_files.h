/* Files that tell of events by being readable: counters, timers, what happens to names. */
/* folder: fs */
#pragma once

#include <pith/fs.h>

/* ---- eventfd(2) ---- */

#define EFD_SEMAPHORE 1
/* flags: EFD_SEMAPHORE, O_NONBLOCK. -ENOMEM. */
int eventfd_open(u64 count, u32 flags, struct file **file_out) must_check;

/* ---- timerfd_create(2) ---- */

#define TIMERFD_ABSOLUTE      BIT(0) /* TFD_TIMER_ABSTIME */
#define TIMERFD_CANCEL_ON_SET BIT(1) /* TFD_TIMER_CANCEL_ON_SET */

/* A timer that follows the date, or (false) the time since boot. flags: O_NONBLOCK. -ENOMEM. */
int timerfd_open(bool follows_date, u32 flags, struct file **file_out) must_check;
/*
 * Sets it to a span, or with TIMERFD_ABSOLUTE to a moment of its clock; gives what was left.
 * -EINVAL: no timerfd; -ECANCELED: the date was set since the last read (it is set anew all the
 * same).
 */
int timerfd_set(struct file *file, u32 flags, const struct interval_timer *timer,
                struct interval_timer *left_out) must_check;
int timerfd_get(struct file *file, struct interval_timer *left_out) must_check; /* -EINVAL */
void timerfd_init(void);
