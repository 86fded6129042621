/*
 * epoll(7): a set of files whose wakers push to a ready list, so that waiting costs by what is
 * ready, not by what is watched.
 */
/* folder: fs */
#pragma once

#include <pith/fs.h>

/* epoll_create1(2)'s file. -ENOMEM. */
int epoll_open(struct file **file_out) must_check;
/* epoll_ctl(2): `fd` is the number under which `file` is added. Errors as there. */
int epoll_control(struct file *epoll, int operation, int fd, struct file *file,
                  const struct epoll_event *event) must_check;
/*
 * Waits until something is ready or the deadline (0: does not wait). Fills in up to `most` events
 * at the user's address. Returns how many; -EINTR, -EFAULT, -EINVAL: no epoll file.
 */
int epoll_wait_events(struct file *epoll, struct user_ptr events, int most, u64 deadline_ns)
    must_check;
/*
 * An open file ends: it leaves all sets. Called by the last file_put, while its queues are there.
 */
void epoll_file_released(struct file *file);

void epoll_init(void);
