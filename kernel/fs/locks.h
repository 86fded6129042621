/*
 * File locks, as the life of inodes and files sees them; file_calls.h has the calls. Theory in
 * locks.c. All of these sleep, and find nothing to do where no lock was ever taken.
 */
#pragma once

#include <pith/file_calls.h>

/* The inode goes. */
void file_locks_free(struct inode *inode);
/* The open file goes: its flock and open-file-description locks. */
void file_locks_release_file(struct file *file);
/*
 * A descriptor is closed: the process's POSIX locks on the inode go (fcntl(2)). Their owner is the
 * file table, which is what threads of a process share.
 */
void file_locks_release_process(struct file *file, const struct file_table *owner);
/* The text of /proc/locks. */
struct text_sink;
int file_locks_show(struct text_sink *sink, void *argument);
