/*
 * Open files on their way through a socket (SCM_RIGHTS, unix(7)). Theory in unix_flight.c.
 */
#pragma once

#include <pith/fs.h>

struct passed_files {
    struct list link; /* guarded by unix_flight.c's lock: to be discarded */
    u32 count;
    u32 capacity;
    u32 sender_uid;       /* whose count of files in flight they are in */
    struct file *files[]; /* a reference each */
};

/* Room for `capacity` files. NULL: no memory. */
struct passed_files *passed_files_alloc(u32 capacity) must_check;
/* Puts the files, which are not in flight. Sleeps. NULL is fine. */
void passed_files_free(struct passed_files *passed);
/* Before they are put on a queue. -ETOOMANYREFS: RLIMIT_NOFILE of them by this user are so. */
int passed_files_launch(struct passed_files *passed) must_check;
/* After they were taken off, and before anybody can use them. */
void passed_files_land(struct passed_files *passed);
/* For MSG_PEEK: the same files once more, not in flight. NULL: no memory. */
struct passed_files *passed_files_copy(const struct passed_files *passed) must_check;
/* Ends files in flight that nobody will receive. */
void passed_files_discard(struct passed_files *passed);
