/*
 * Linux's asynchronous I/O (io_submit(2)): contexts, and the events of what was done. Requests are
 * done by who submits them (abi/sys_aio.c), so an event waits as soon as its request is accepted.
 */
/* folder: fs */
#pragma once

#include <pith/abi/aio.h>
#include <pith/fs.h>

struct aio_context; /* counted */
struct aio_completion;

/* io_setup(2): a context of the calling thread's address space. -EAGAIN, -ENOMEM. */
int aio_context_create(u32 events, u64 *id_out) must_check;
/* With a reference, or NULL: the calling thread has none of that number. */
struct aio_context *aio_context_find(u64 id) must_check;
void aio_context_put(struct aio_context *context);
/* io_destroy(2). -EINVAL. Who waits for events gets -EINVAL. */
int aio_context_destroy(u64 id) must_check;

/* Room for one event. NULL: as many as were asked for wait, or no memory (EAGAIN). */
struct aio_completion *aio_completion_reserve(struct aio_context *context) must_check;
void aio_completion_release(struct aio_context *context, struct aio_completion *completion);
/* Takes it over: the event waits to be taken. */
void aio_complete(struct aio_context *context, struct aio_completion *completion,
                  const struct io_event *event);
/*
 * io_getevents(2): waits until `least` events were there, and copies up to `most` to the user's.
 * Their number, fewer when the time is over; -EINTR, -EFAULT, -EINVAL.
 */
long aio_wait_events(struct aio_context *context, long least, long most, struct user_ptr events,
                     u64 deadline_ns) must_check;
