/*
 * FIFOs: pipes with a name (fifo(7)).
 *
 * An open of one end waits until the other is open too, except with O_NONBLOCK, where a reader goes
 * on at once and a writer gets ENXIO. The other may come and go while we wait, so it is its count
 * of opens that is compared, not whether it is there now:
 *
 *     reader: readers 1; waits              writer: writers 1, writer_opens 1, wakes; needs nobody
 *                                           writes, closes: writers 0
 *     reader: writer_opens has moved: goes on, and reads what was written, then the end
 *
 * An open for both never waits. From its open on the file is a pipe's end (pipe_operations).
 *
 * The pipe belongs to the inode from the first open to the last close (pipe.files, guarded by
 * inode.private_lock). One that is made while another is being made is thrown away again.
 *
 * Locking: pipe.lock; the count of opens changes under the lock of the queue where the other end
 *          waits for it. Errors: -ERESTARTSYS for a signal, -ENXIO, -ENOMEM.
 */
#include <pith/fs.h>

#include "pipe.h"

/* The inode's pipe, made if there is none; counts one more file. */
static int fifo_get_pipe(struct inode *inode, struct pipe **pipe_out)
{
    struct pipe *made = NULL;
    int error;

    for (;;) {
        spin_lock(&inode->private_lock);
        if (!inode->pipe && made) {
            inode->pipe = made;
            made = NULL;
        }
        if (inode->pipe) {
            inode->pipe->files++;
            *pipe_out = inode->pipe;
            spin_unlock(&inode->private_lock);
            break;
        }
        spin_unlock(&inode->private_lock);
        error = pipe_create(&made);
        if (error)
            return error;
    }
    if (made)
        pipe_destroy(made);
    return 0;
}

/* Waits until `*opens` has moved on from what it is now. */
static int wait_for_other_end(struct pipe *pipe, struct wait_queue *queue, const u32 *opens)
    must_hold(&pipe->lock)
{
    u32 before = *opens;
    int error = 0;

    mutex_unlock(&pipe->lock);
    spin_lock(&queue->lock);
    while (READ_ONCE(*opens) == before && !error)
        error = wait_queue_wait(queue, WAIT_INTERRUPTIBLE, WAIT_FOR_PIPE);
    spin_unlock(&queue->lock);
    mutex_lock(&pipe->lock);
    return error ? -ERESTARTSYS : 0;
}

/* Counts an end and wakes those whose open waits for it. */
static void end_opened(struct wait_queue *others, u32 *count, u32 *opens)
{
    *count += 1;
    spin_lock(&others->lock);
    WRITE_ONCE(*opens, *opens + 1);
    wait_queue_wake_locked(others, WAKE_ALL, 0);
    spin_unlock(&others->lock);
}

/* A pipe(2) that is opened again through /proc/self/fd waits for nobody. */
static bool waits_for_other_end(const struct file *file)
{
    return file->inode->file_system != anonymous_file_system();
}

static int open_reader(struct pipe *pipe, struct file *file)
{
    int error = 0;

    end_opened(&pipe->writers, &pipe->reader_count, &pipe->reader_opens);
    if (!pipe->writer_count && !(file->flags & O_NONBLOCK) && waits_for_other_end(file))
        error = wait_for_other_end(pipe, &pipe->readers, &pipe->writer_opens);
    /* Of an open reader only: no hang-up is seen before a writer was there (poll(2)). */
    else if (!pipe->writer_count && waits_for_other_end(file))
        file->offset = pipe->writer_opens;
    if (error)
        pipe->reader_count--;
    return error;
}

static int open_writer(struct pipe *pipe, struct file *file)
{
    int error = 0;

    if ((file->flags & O_NONBLOCK) && !pipe->reader_count && waits_for_other_end(file))
        return -ENXIO;
    end_opened(&pipe->readers, &pipe->writer_count, &pipe->writer_opens);
    if (!pipe->reader_count && waits_for_other_end(file))
        error = wait_for_other_end(pipe, &pipe->writers, &pipe->reader_opens);
    if (error)
        pipe->writer_count--;
    return error;
}

static int fifo_open(struct inode *inode, struct file *file)
{
    struct pipe *pipe;
    int error = fifo_get_pipe(inode, &pipe);

    if (error)
        return error;
    mutex_lock(&pipe->lock);
    if ((file->mode & FILE_READ) && (file->mode & FILE_WRITE)) {
        end_opened(&pipe->writers, &pipe->reader_count, &pipe->reader_opens);
        end_opened(&pipe->readers, &pipe->writer_count, &pipe->writer_opens);
    } else if (file->mode & FILE_READ) {
        error = open_reader(pipe, file);
    } else {
        error = open_writer(pipe, file);
    }
    pipe_changed_locked(pipe);
    mutex_unlock(&pipe->lock);
    if (error) {
        pipe_put(inode, pipe);
        return error;
    }
    file->operations = &pipe_operations;
    file->private_data = pipe;
    return 0;
}

const struct file_operations fifo_operations = {
    .flags = FILE_OPERATIONS_STREAM,
    .open = fifo_open,
};
