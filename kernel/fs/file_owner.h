/*
 * What file_owner.c asks of proc/ by its hooks, and what others tell it of a file (file_calls.h).
 */
#pragma once

#include <pith/fs.h>

/* hooks.c */
void fs_signal_target(const struct signal_target *target, u32 band);
bool fs_signal_target_exists(u32 type, s32 id);

/*
 * Something happened (POLL_*) that the owner is to be told by a signal; it has one. Never sleeps.
 */
void file_owner_tell(struct file *file, u32 events);
/* The calling process is told from now on, if nobody was named yet. -ENOMEM. */
int file_owner_become(struct file *file, int fd) must_check;
/* The file, which has an owner, is about to end; its queues are still there. Sleeps. */
void file_owner_released(struct file *file);
void file_owners_init(void);
