/*
 * Free pages go back to the host: virtio's balloon device, of which only free page reporting is
 * used (virtio 1.2, 5.5.6.7 "Free Page Reporting").
 *
 * Blocks of 4 MiB that have lain free since they were used are taken out of the allocator, shown to
 * the device, which takes their memory away, and put back; whoever touches them next gets new
 * memory from the host. The allocator gives such blocks last, and never reports one twice without
 * its having been used (mem/buddy.c).
 *
 *     every REPORT_INTERVAL_NS:  take up to REPORT_BLOCKS --> queue --> device --> give back
 *
 * It works in a thread of its own, so that nobody waits for the host, and late, so that memory that
 * is freed and soon used again costs nothing.
 *
 * Locking: `balloon.done` and its queue's lock; all else is the thread's own.
 */
#include <pith/sched.h>
#include <pith/virtio.h>

#include "virtio.h"

#define FEATURE_STATISTICS BIT(1)
#define FEATURE_REPORTING  BIT(5)
/* Behind those to inflate, to deflate, and for statistics, which exists if that was agreed on. */
#define QUEUE_REPORTING(features) ((features)&FEATURE_STATISTICS ? 3u : 2u)
#define REPORT_BLOCKS             16u
#define REPORT_INTERVAL_NS        (2 * NS_PER_SECOND)

static struct {
    struct virtqueue *queue;   /* [const] after probe */
    struct wait_queue waiting; /* the thread, for the device */
    bool done;                 /* guarded by waiting.lock */
} balloon;

static void reporting_interrupt(struct virtqueue *queue)
{
    u32 written;

    if (!virtqueue_pop(queue, &written))
        return;
    spin_lock(&balloon.waiting.lock);
    balloon.done = true;
    wait_queue_wake_locked(&balloon.waiting, WAKE_ALL, 0);
    spin_unlock(&balloon.waiting.lock);
}

/* Shows blocks to the device, until it is done with them. -EIO, -ENOSPC. */
static int blocks_show(struct frame **blocks, u32 count)
{
    struct virtio_piece pieces[REPORT_BLOCKS];
    int error;

    for (u32 i = 0; i < count; i++)
        pieces[i] = (struct virtio_piece){frame_address(blocks[i]), FRAME_REPORT_BYTES};
    balloon.done = false;
    error = virtqueue_push(balloon.queue, pieces, 0, count, &balloon);
    if (error)
        return error;
    virtqueue_notify(balloon.queue);
    spin_lock(&balloon.waiting.lock);
    while (!balloon.done && !error)
        error = wait_queue_wait(&balloon.waiting, WAIT_INTERRUPTIBLE, WAIT_FOR_WORK);
    spin_unlock(&balloon.waiting.lock);
    return error;
}

/* How many blocks may be the device's at a time: who allocates meanwhile must not miss them. */
static u32 batch_size(void)
{
    u64 sixteenth = (frames_total_count() << PAGE_SHIFT) / 16 / FRAME_REPORT_BYTES;
    u32 most = MIN(REPORT_BLOCKS, virtqueue_size(balloon.queue));

    return (u32)MIN(MAX(sixteenth, 1ul), (u64)most);
}

/* Reports one batch. False: there is nothing more, or the device fails. */
static bool batch_report(void)
{
    struct frame *blocks[REPORT_BLOCKS];
    u32 count = 0, most = batch_size();
    int error;

    while (count < most) {
        blocks[count] = frame_report_take();
        if (!blocks[count])
            break;
        count++;
    }
    if (!count)
        return false;
    error = blocks_show(blocks, count);
    for (u32 i = 0; i < count; i++)
        frame_report_return(blocks[i]);
    return !error && count == most;
}

static void report_forever(void *argument)
{
    while (!virtqueue_is_broken(balloon.queue)) {
        (void)thread_sleep_until(clock_monotonic_ns() + REPORT_INTERVAL_NS, WAIT_INTERRUPTIBLE);
        while (batch_report())
            sched_point();
    }
}

/* -ENODEV: a balloon that reports no free pages; to inflate it is not built. */
static int balloon_probe(struct virtio_device *device)
{
    u64 features = virtio_features(device);
    struct thread *thread;
    int error;

    if (!(features & FEATURE_REPORTING))
        return -ENODEV;
    if (balloon.queue)
        return -EBUSY;
    error = virtqueue_create(device, QUEUE_REPORTING(features), REPORT_BLOCKS, reporting_interrupt,
                             &balloon.queue);
    if (error)
        return error;
    virtio_device_ready(device);
    return kernel_thread_start("balloon", report_forever, NULL, &thread);
}

static const struct virtio_driver balloon_driver = {
    .name = "balloon",
    .kind = VIRTIO_BALLOON,
    .features = FEATURE_REPORTING | FEATURE_STATISTICS,
    .probe = balloon_probe,
};

void balloon_init(void)
{
    wait_queue_init(&balloon.waiting);
    virtio_driver_register(&balloon_driver);
}
