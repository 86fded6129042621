/* Pipes, as seen from outside of fs/: pipe2(2), fcntl(2). All sleep. */
/* folder: fs */
#pragma once

#include <pith/fs.h>

/* pipe2(2): the reading and the writing end. flags: O_NONBLOCK, O_DIRECT. -ENOMEM. */
int pipe_open_pair(u32 flags, struct file *ends_out[2]) must_check;
/* Whether it is a pipe's or an opened FIFO's end. */
bool file_is_pipe(const struct file *file);
/* F_GETPIPE_SZ and F_SETPIPE_SZ, in bytes. -EBADF: no pipe; -EPERM, -EBUSY, -EINVAL, -ENOMEM. */
long pipe_get_size(struct file *file) must_check;
long pipe_set_size(struct file *file, u64 bytes) must_check;
