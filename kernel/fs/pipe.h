/*
 * Between pipes (pipe.c), who waits for them (pipe_wait.c), FIFOs (fifo.c) and splice (splice.c).
 * What takes a pipe wants pipe->lock held, but for creating, destroying and putting one, and
 * pipe_of_file.
 */
#pragma once

#include <pith/fs.h>

#define PIPE_SLOTS_DEFAULT 16u
#define PIPE_SLOTS_MAX     256u /* 1 MiB: /proc/sys/fs/pipe-max-size */
#define PIPE_ATOMIC_BYTES  4096u
#define PIPE_SPARES        2u

/* A page of a pipe's ring. guarded by pipe.lock */
struct pipe_slot {
    struct frame *frame; /* one reference is the slot's; NULL: not in use */
    u32 offset, bytes;   /* what is still to be read of the page */
    u32 flags;           /* PIPE_SLOT_* */
};
#define PIPE_SLOT_SHARED \
    BIT(0) /* the frame is a file's or a user's: read only, never merged into */
#define PIPE_SLOT_PACKET BIT(1) /* O_DIRECT: a read takes no more than this */

struct pipe {
    struct mutex lock;                    /* LOCK_PIPE; guards all but the two queues */
    struct wait_queue readers;            /* its lock also guards `readable` */
    struct wait_queue writers;            /* its lock also guards `writable` */
    bool readable;                        /* something to read, or the end */
    bool writable;                        /* room, or nobody reads */
    u32 readers_waiting, writers_waiting; /* threads on, or on their way to, the queues */
    bool watched; /* poll or epoll looks: wake at each change, not only at edges */
    u32 reader_count, writer_count; /* open files of each kind */
    /*
     * How many there ever were: for FIFOs' opens that wait, and for poll, where the offset of a
     * reader (a stream has no other use for it) says how many there were when it was opened early.
     */
    u32 reader_opens, writer_opens;
    u32 files; /* guarded by inode.private_lock: open files in all; the last frees the pipe */
    struct pipe_slot *slots;
    u32 slot_count; /* a power of two */
    u32 head, tail; /* run on; head - tail slots are in use */
    u32 promised;   /* free slots that splices on their way will fill */
    bool taken;     /* a splice writes the oldest slot somewhere: nobody else reads meanwhile */
    struct frame *spares[PIPE_SPARES]; /* pages that were read, for the next writes */
};

static inline u32 pipe_used_slots(const struct pipe *pipe)
{
    return pipe->head - pipe->tail;
}
static inline struct pipe_slot *pipe_slot_at(struct pipe *pipe, u32 position)
{
    return &pipe->slots[position & (pipe->slot_count - 1)];
}

static inline bool pipe_has_room(const struct pipe *pipe)
{
    return pipe_used_slots(pipe) + pipe->promised < pipe->slot_count;
}
static inline bool pipe_has_data(const struct pipe *pipe)
{
    return pipe->head != pipe->tail && !pipe->taken;
}
/* Nothing is there and nothing will come. */
static inline bool pipe_is_at_end(const struct pipe *pipe)
{
    return pipe->head == pipe->tail && !pipe->writer_count;
}

int pipe_create(struct pipe **pipe_out) must_check; /* -ENOMEM */
void pipe_destroy(struct pipe *pipe);
/* An open file of the pipe's inode less; the last frees the pipe. */
void pipe_put(struct inode *inode, struct pipe *pipe);
/* Brings `readable` and `writable` up to date after a change, and wakes. pipe->lock is held. */
void pipe_changed_locked(struct pipe *pipe) must_hold(&pipe->lock);
/* Waits, without the lock meanwhile, until it can be read (written). -ERESTARTSYS. */
int pipe_wait_readable(struct pipe *pipe) must_hold(&pipe->lock) must_check;
int pipe_wait_writable(struct pipe *pipe) must_hold(&pipe->lock) must_check;
/*
 * Wait until there is something to read: 0, or 1 at the end; until there is room (and a reader):
 * 0. -EAGAIN (`nonblock`), -EPIPE, -ERESTARTSYS. pipe->lock is held, and let go meanwhile.
 */
int pipe_await_data(struct pipe *pipe, u32 nonblock) must_hold(&pipe->lock) must_check;
int pipe_await_room(struct pipe *pipe, u32 nonblock) must_hold(&pipe->lock) must_check;
/* After a reader's (writer's) work: brings all up to date, wakes who can go on too. Lock held. */
void pipe_read_done(struct pipe *pipe) must_hold(&pipe->lock);
void pipe_write_done(struct pipe *pipe) must_hold(&pipe->lock);
/* Drops the oldest slot. */
void pipe_slot_release(struct pipe *pipe) must_hold(&pipe->lock);
/* The pipe behind an open file, or NULL. */
struct pipe *pipe_of_file(const struct file *file);

extern const struct file_operations pipe_operations;
extern const struct file_operations fifo_operations; /* before an open: becomes pipe_operations */

/* To the calling thread, by the hook that proc/ gave. */
void fs_signal_current(int signal);
void pipe_init(void);
