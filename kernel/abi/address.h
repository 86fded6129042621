/* Socket addresses between programs and net/. */
#pragma once

#include <pith/net.h>

#include "files.h"

/* Copies one in. -EINVAL, -EFAULT. */
int address_copy_in(struct socket_address *address, struct user_ptr from, int bytes) must_check;
/*
 * Copies as much as `room` bytes take to the user, and its whole length to `bytes_at`. -EINVAL: no
 * sensible room; -EFAULT.
 */
int address_copy_out(const struct socket_address *address, struct user_ptr to, int room,
                     struct user_ptr bytes_at) must_check;

/* The descriptor's open file, if that is a socket: *use_out is to be left. -EBADF, -ENOTSOCK. */
int socket_enter(int fd, struct fd_use *use_out) must_check;
/* As fd_apply, of a socket. -EBADF, -ENOTSOCK. */
long socket_apply(const struct syscall_args *args, file_function *function) must_check;
