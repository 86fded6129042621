/*
 * Files that tell of events by being readable: counters, timers, what happens to names. What opens
 * one gives it with a reference; errors of reading and writing are those of the man pages.
 */
/* folder: fs */
#pragma once

#include <pith/fs.h>

/* ---- eventfd(2) ---- */

#define EFD_SEMAPHORE 1
/* flags: EFD_SEMAPHORE, O_NONBLOCK. -ENOMEM. */
int eventfd_open(u64 count, u32 flags, struct file **file_out) must_check;
bool file_is_eventfd(const struct file *file);
/* Counts one event, unless the counter is full. Never waits. */
void eventfd_signal(struct file *file);

/* ---- timerfd_create(2) ---- */

#define TIMERFD_ABSOLUTE      BIT(0) /* TFD_TIMER_ABSTIME */
#define TIMERFD_CANCEL_ON_SET BIT(1) /* TFD_TIMER_CANCEL_ON_SET */

/*
 * A timer that follows the date, or (false) the time since boot; `clock` is what its user calls
 * that. flags: O_NONBLOCK. -ENOMEM.
 */
int timerfd_open(int clock, bool follows_date, u32 flags, struct file **file_out) must_check;
/*
 * Sets it to a span, or with TIMERFD_ABSOLUTE to a moment of its clock; gives what was left.
 * -EINVAL: no timerfd; -ECANCELED: the date was set since the last read (it is set anew all the
 * same).
 */
int timerfd_set(struct file *file, u32 flags, const struct interval_timer *timer,
                struct interval_timer *left_out) must_check;
int timerfd_get(struct file *file, struct interval_timer *left_out) must_check; /* -EINVAL */
void timerfd_init(void);

/* ---- inotify(7) ---- */

/* What a user (instances, watches) and an instance (events that wait) may have: /proc/sys/fs. */
struct inotify_limits {
    s64 instances, watches, events;
};
extern struct inotify_limits inotify_limits; /* [atomic] each */

/* flags: O_NONBLOCK. -EMFILE, -ENOMEM. */
int inotify_open(u32 flags, struct file **file_out) must_check;
/* What inotify_add_watch(2) asks of a mask before anything else. */
bool inotify_mask_is_valid(u32 mask);
/* -EINVAL: no inotify file, or a mask that contradicts itself. */
int inotify_check(const struct file *file, u32 mask) must_check;
/* For a file and mask that were checked. The watch's number; -EACCES, -EEXIST, -ENOSPC, -ENOMEM. */
int inotify_add_watch(struct file *file, const struct path *path, u32 mask) must_check;
int inotify_remove_watch(struct file *file, s32 number) must_check; /* -EINVAL */
