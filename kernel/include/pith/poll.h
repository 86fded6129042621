/*
 * Waiting for several files at once.
 *
 * A file's `poll` operation says what is ready now; given a table, it also names the wait queues
 * that will be woken when that changes, first, so that no change falls between. poll(2) and
 * select(2) put a waiter of the calling thread on each; epoll puts one that pushes to its ready
 * list. Whoever makes a file ready wakes its queue with the POLL_* bits that became true.
 */
/* folder: fs */
#pragma once

#include <pith/abi/poll.h>
#include <pith/sched.h>

#define POLL_IN      0x0001u
#define POLL_PRI     0x0002u
#define POLL_OUT     0x0004u
#define POLL_ERR     0x0008u
#define POLL_HUP     0x0010u
#define POLL_NVAL    0x0020u
#define POLL_RDNORM  0x0040u
#define POLL_RDBAND  0x0080u
#define POLL_WRNORM  0x0100u
#define POLL_WRBAND  0x0200u
#define POLL_MESSAGE 0x0400u /* F_NOTIFY's, in a signal's band */
#define POLL_RDHUP   0x2000u

/* What a stream that can be read (written) without waiting answers. */
#define POLL_READABLE (POLL_IN | POLL_RDNORM)
#define POLL_WRITABLE (POLL_OUT | POLL_WRNORM)

struct poll_table {
    /* Puts a waiter of the caller's on `queue`; called by the file's poll operation. */
    void (*add)(struct poll_table *table, struct wait_queue *queue);
};

static inline void poll_wait(struct poll_table *table, struct wait_queue *queue)
{
    if (table)
        table->add(table, queue);
}

struct file;
/* What is ready; files without a poll operation always are. */
u32 file_poll(struct file *file, struct poll_table *table);

/*
 * poll(2) with the descriptors in kernel memory: waits until one is ready or the deadline (of
 * clock_monotonic_ns; U64_MAX: none; 0: does not wait). Fills in revents; returns how many are not
 * 0, -EINTR or -ENOMEM.
 */
int poll_files(struct pollfd *fds, u32 count, u64 deadline_ns) must_check;
