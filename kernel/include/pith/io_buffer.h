/*
 * I/O buffers: where a read puts bytes and a write takes them from; user or kernel memory, in
 * pieces. An operation moves the buffer on by what it did, so it can stop anywhere and go on later.
 *
 * The segments belong to the caller and stay as they are. All copies may sleep (a user page is
 * faulted in), so none is made under a spinlock; with a page of the page cache locked only the
 * _nofault forms are, since the user's memory may be a mapping of that very page.
 */
/* folder: fs */
#pragma once

#include <pith/arch.h>

struct io_segment {
    u64 address; /* of user memory, or a kernel pointer */
    u64 bytes;
};

struct io_buffer {
    const struct io_segment *segments;
    u32 current; /* segment */
    u32 flags;   /* IO_BUFFER_KERNEL */
    u64 done_in_segment;
    u64 bytes_left; /* in all */
};
#define IO_BUFFER_KERNEL BIT(0)
#define IO_BUFFER_NOWAIT BIT(1) /* RWF_NOWAIT: -EAGAIN where it would sleep for data or room */
#define IO_BUFFER_APPEND BIT(2) /* RWF_APPEND */
#define IO_BYTES_MAX     0x7ffff000ul /* what one read or write does at most (read(2)) */

static inline void io_buffer_init(struct io_buffer *io, const struct io_segment *segments,
                                  u64 bytes, u32 flags)
{
    *io = (struct io_buffer){.segments = segments, .bytes_left = bytes, .flags = flags};
}

static inline void io_buffer_init_user(struct io_buffer *io, struct io_segment *one,
                                       struct user_ptr at, u64 bytes)
{
    *one = (struct io_segment){at.address, bytes};
    io_buffer_init(io, one, bytes, 0);
}

static inline void io_buffer_init_kernel(struct io_buffer *io, struct io_segment *one,
                                         const void *at, u64 bytes)
{
    *one = (struct io_segment){(u64)at, bytes};
    io_buffer_init(io, one, bytes, IO_BUFFER_KERNEL);
}

/* Copies to (from) the buffer and moves on. Returns the bytes copied; fewer: a bad address. */
size_t io_copy_to(struct io_buffer *io, const void *from, size_t bytes) must_check;
size_t io_copy_from(struct io_buffer *io, void *to, size_t bytes) must_check;
size_t io_clear(struct io_buffer *io, size_t bytes) must_check;
/* The same without faulting pages in, for callers that hold a page lock. */
size_t io_copy_from_nofault(struct io_buffer *io, void *to, size_t bytes) must_check;
/* Touches the page where the buffer goes on, so that a _nofault copy gets further. -EFAULT. */
int io_fault_in(struct io_buffer *io, unsigned access) must_check;
