/* iovecs: the user's memory in pieces, as readv(2) and its kin take it. */
#pragma once

#include <pith/io_buffer.h>

/*
 * Copies in and checks up to IOV_MAX segments; *segments_out is to be freed, when the io_buffer,
 * which points there, is done with. What is more than IO_BYTES_MAX in all is cut off. -EINVAL,
 * -EFAULT, -ENOMEM.
 */
int user_vector_get(struct user_ptr vector, u64 count, struct io_segment **segments_out,
                    struct io_buffer *io_out) must_check;
/* One buffer; more than IO_BYTES_MAX is cut off. -EFAULT: not all of it, uncut, is the user's. */
int user_buffer_get(struct user_ptr at, u64 bytes, struct io_segment *segment_out,
                    struct io_buffer *io_out) must_check;
/* RWF_* of preadv2(2) to IO_BUFFER_*. -EOPNOTSUPP: one that is not known. */
int rwf_to_io_flags(u32 flags, u32 *io_flags_out) must_check;
/*
 * After a write, with its result: what RWF_SYNC or RWF_DSYNC asks for, of a regular file; others
 * need no synchronising. Returns `result`, or why what was written could not be synchronised.
 */
ssize_t rwf_sync_written(struct file *file, u32 rwf, ssize_t result) must_check;
