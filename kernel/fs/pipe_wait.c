/*
 * Pipes: waiting until there is something to read, or room to write.
 *
 * Whether a reader or writer must wait is kept apart from the ring in two flags, each guarded by
 * the lock of the queue where they wait. pipe_changed_locked sets them, and wakes only at the edges
 * (empty to not, full to not), so that a stream of writes into a pipe that is not empty wakes
 * nobody.
 *
 *     reader: unlock; lock(readers.lock); while (!readable) wait; unlock; lock; look again
 *     writer: (lock held) data is in; lock(readers.lock); readable = true; wake 1; unlock
 *
 * A reader counts himself (readers_waiting) under pipe.lock before he lets go of it; so a writer,
 * who holds it, sees the count, or comes so early that the reader still finds the data. Where
 * nobody is counted the flag needs no lock of its own.
 *
 * An edge wakes one. A reader that leaves data behind wakes the next, and so does a writer that
 * leaves room: nobody waits for an edge that does not come. poll and epoll want to hear of every
 * change, not only of edges: the first of them sets `watched`, for good.
 *
 * Invariant: with pipe.lock free, readable == (data that is not taken || end),
 *            writable == (room that is not promised || no reader).
 * Locking:   pipe.lock, let go while a thread waits; readers.lock and writers.lock inside it.
 * Context:   waiting sleeps, and ends with a signal; waking does not.
 */
#include "pipe.h"

/*
 * Sets a flag; wakes one waiter when it becomes true. Who waits counted himself under pipe.lock,
 * which we hold: without anybody the flag needs neither its lock nor a wake-up, and one that
 * becomes false wakes nobody in any case.
 */
static void flag_set(struct pipe *pipe, struct wait_queue *queue, bool *flag, bool value,
                     u32 waiting, u32 events)
{
    bool edge = value && !*flag;

    if (likely(!value || (!waiting && !pipe->watched))) {
        WRITE_ONCE(*flag, value);
        return;
    }
    spin_lock(&queue->lock);
    *flag = value;
    if (edge || pipe->watched)
        wait_queue_wake_locked(queue, 1, events);
    spin_unlock(&queue->lock);
}

void pipe_changed_locked(struct pipe *pipe)
{
    flag_set(pipe, &pipe->readers, &pipe->readable, pipe_has_data(pipe) || pipe_is_at_end(pipe),
             pipe->readers_waiting, POLL_READABLE);
    flag_set(pipe, &pipe->writers, &pipe->writable, pipe_has_room(pipe) || !pipe->reader_count,
             pipe->writers_waiting, POLL_WRITABLE);
}

/* Waits without pipe->lock for a flag that pipe_changed_locked sets. */
static int flag_wait(struct pipe *pipe, struct wait_queue *queue, const bool *flag, u32 *waiting)
    must_hold(&pipe->lock)
{
    int error = 0;

    ++*waiting;
    mutex_unlock(&pipe->lock);
    spin_lock(&queue->lock);
    while (!READ_ONCE(*flag) && !error)
        error = wait_queue_wait(queue, WAIT_INTERRUPTIBLE, WAIT_FOR_PIPE);
    spin_unlock(&queue->lock);
    mutex_lock(&pipe->lock);
    --*waiting;
    return error ? -ERESTARTSYS : 0;
}

int pipe_wait_readable(struct pipe *pipe)
{
    return flag_wait(pipe, &pipe->readers, &pipe->readable, &pipe->readers_waiting);
}

int pipe_wait_writable(struct pipe *pipe)
{
    return flag_wait(pipe, &pipe->writers, &pipe->writable, &pipe->writers_waiting);
}

int pipe_await_data(struct pipe *pipe, u32 nonblock)
{
    int error = 0;

    while (!pipe_has_data(pipe) && !error) {
        if (pipe_is_at_end(pipe))
            return 1;
        error = nonblock ? -EAGAIN : pipe_wait_readable(pipe);
    }
    return error;
}

int pipe_await_room(struct pipe *pipe, u32 nonblock)
{
    int error = 0;

    while (!error) {
        if (!pipe->reader_count)
            return -EPIPE;
        if (pipe_has_room(pipe))
            return 0;
        pipe_changed_locked(pipe);
        error = nonblock ? -EAGAIN : pipe_wait_writable(pipe);
    }
    return error;
}

void pipe_read_done(struct pipe *pipe)
{
    pipe_changed_locked(pipe);
    if (pipe_has_data(pipe))
        wait_queue_wake(&pipe->readers, 1, POLL_READABLE);
}

/* The edge woke one writer; if he was not the only one, the next may go on too. */
void pipe_write_done(struct pipe *pipe)
{
    pipe_changed_locked(pipe);
    if (pipe_has_room(pipe))
        wait_queue_wake(&pipe->writers, 1, POLL_WRITABLE);
}
