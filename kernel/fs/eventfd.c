/*
 * eventfd(2): a 64-bit counter as a file. A write adds, a read takes all (or one, EFD_SEMAPHORE);
 * readers wait while it is 0, writers while it would go beyond its largest value.
 *
 * Readers and writers wait in one queue, and each change wakes all of it: who cannot go on looks
 * and waits again. User memory is copied outside of the queue's lock: a value that a reader took
 * and cannot store (EFAULT) is gone, as on Linux.
 *
 * Locking: queue.lock. Context: eventfd_signal never waits; a full counter loses it no event that
 *          a reader could tell from those before.
 */
#include <pith/event_files.h>
#include <pith/proc_fs.h>

#define COUNT_MAX (U64_MAX - 1)

struct eventfd {
    struct wait_queue queue; /* its lock guards all below */
    u64 count;
    bool semaphore; /* [const] */
    u32 id;         /* [const] for fdinfo: tells descriptors of one from those of another */
};

static u32 eventfd_ids; /* [atomic] */

/* All of the count, or 1: -EINVAL for a smaller buffer than 8 bytes, -EAGAIN, -ERESTARTSYS. */
static ssize_t eventfd_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct eventfd *event = file->private_data;
    int error = 0;
    u64 value = 0;

    if (io->bytes_left < sizeof(value))
        return -EINVAL;
    spin_lock(&event->queue.lock);
    while (event->count == 0 && !error) {
        if (file->flags & O_NONBLOCK)
            error = -EAGAIN;
        else if (wait_queue_wait(&event->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_FILE))
            error = -ERESTARTSYS;
    }
    if (!error) {
        value = event->semaphore ? 1 : event->count;
        event->count -= value;
        wait_queue_wake_locked(&event->queue, WAKE_ALL, POLL_WRITABLE);
    }
    spin_unlock(&event->queue.lock);
    if (error)
        return error;
    return io_copy_to(io, &value, sizeof(value)) == sizeof(value) ? (ssize_t)sizeof(value)
                                                                  : -EFAULT;
}

static ssize_t eventfd_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct eventfd *event = file->private_data;
    int error = 0;
    u64 value;

    if (io->bytes_left < sizeof(value))
        return -EINVAL;
    if (io_copy_from(io, &value, sizeof(value)) < sizeof(value))
        return -EFAULT;
    if (value == U64_MAX)
        return -EINVAL;
    spin_lock(&event->queue.lock);
    while (value > COUNT_MAX - event->count && !error) {
        if (file->flags & O_NONBLOCK)
            error = -EAGAIN;
        else if (wait_queue_wait(&event->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_FILE))
            error = -ERESTARTSYS;
    }
    if (!error) {
        event->count += value;
        wait_queue_wake_locked(&event->queue, WAKE_ALL, POLL_READABLE);
    }
    spin_unlock(&event->queue.lock);
    return error ? error : (ssize_t)sizeof(value);
}

static u32 eventfd_poll(struct file *file, struct poll_table *table)
{
    struct eventfd *event = file->private_data;
    u32 events = 0;

    poll_wait(table, &event->queue);
    spin_lock(&event->queue.lock);
    if (event->count)
        events |= POLL_READABLE;
    if (event->count < COUNT_MAX)
        events |= POLL_WRITABLE;
    spin_unlock(&event->queue.lock);
    return events;
}

static void eventfd_describe(struct file *file, struct text_sink *sink)
{
    const struct eventfd *event = file->private_data;

    text_print(sink, "eventfd-count: %16lx\neventfd-id: %u\n", READ_ONCE(event->count), event->id);
}

static void eventfd_release(struct file *file)
{
    kfree(file->private_data);
}

static const struct file_operations eventfd_operations = {
    .flags = FILE_OPERATIONS_STREAM | FILE_OPERATIONS_NO_SEEK,
    .release = eventfd_release,
    .read = eventfd_read,
    .write = eventfd_write,
    .poll = eventfd_poll,
    .describe = eventfd_describe,
};

int eventfd_open(u64 count, u32 flags, struct file **file_out)
{
    struct eventfd *event = kmalloc(sizeof(*event), 0);
    int error;

    if (!event)
        return -ENOMEM;
    *event = (struct eventfd){
        .count = count,
        .semaphore = flags & EFD_SEMAPHORE,
        .id = __atomic_fetch_add(&eventfd_ids, 1, __ATOMIC_RELAXED),
    };
    wait_queue_init(&event->queue);
    error = file_create_anonymous("[eventfd]", &eventfd_operations, O_RDWR | (flags & O_NONBLOCK),
                                  event, file_out);
    if (error)
        kfree(event);
    return error;
}

bool file_is_eventfd(const struct file *file)
{
    return file->operations == &eventfd_operations;
}

void eventfd_signal(struct file *file)
{
    struct eventfd *event = file->private_data;

    spin_lock(&event->queue.lock);
    if (event->count < COUNT_MAX)
        event->count++;
    wait_queue_wake_locked(&event->queue, WAKE_ALL, POLL_READABLE);
    spin_unlock(&event->queue.lock);
}
