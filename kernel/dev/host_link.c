/*
 * The link to the `pith` command: port 1 of a virtio console (virtio 1.2, 5.3).
 *
 * Not port 0, though that one needs no multiport feature: QEMU throws away what the guest sends on
 * port 0 while the other side of its socket is slow, and holds it back on all other ports. Of the
 * control queues only the transmitting one is used, for one message: port 1 is open.
 *
 * Sending: a buffer is filled by its owner and submitted; it goes to the device at once or, when
 * the queue is full, on the list of those that wait. How much may be under way is bounded
 * (OUT_BYTES_MAX), and whoever finds no room waits for the client's `room` call. What is submitted
 * to a queue that is broken is freed: nobody waits for room that will not come.
 *
 * Receiving: a fixed set of pages is always with the device. The interrupt only schedules deferred
 * work, which hands on each page's bytes in the order in which the device returned them, and gives
 * the page back.
 *
 * Under `deterministic` nothing interrupts: who needs something of the host waits here for it, with
 * the clock stopped (host_link_await), and a timer looks for what comes unasked (a signal).
 *
 * Locking: link.lock guards the list and the count; the queues have their own below it. `receive`
 * is called by one CPU at a time, since link.work runs where it was asked for, and that is on CPU 0
 * alone: all virtio interrupts go there, and who else wants it asks there (work_request).
 */
#include <pith/host_link.h>

#include <pith/core.h>
#include <pith/virtio.h>

#include "virtio.h"

#define PORT              1
#define QUEUE_CONTROL     3 /* to the device */
#define QUEUE_RECEIVE     4
#define QUEUE_TRANSMIT    5
#define QUEUE_SIZE        64
#define RECEIVE_PAGES     16
#define OUT_BYTES_MAX     (512u * 1024)
#define BUFFER_ORDER_MAX  4 /* 64 KiB, a frame's payload */
#define FEATURE_MULTIPORT BIT(1)
#define LOOK_NS           (10 * NS_PER_MS) /* between looks for what comes unasked */

/* A message on a control queue (virtio 1.2, 5.3.6.2). */
struct control_message {
    u32 port;
    u16 event;
    u16 value;
};
#define EVENT_PORT_OPEN 6

static struct {
    struct spinlock lock;                  /* LOCK_HOST_LINK */
    struct virtqueue *receive, *transmit;  /* [const] after probe; NULL: no such device */
    const struct host_link_client *client; /* [const] after boot */
    struct list waiting;                   /* guarded_by(&lock) submitted, not yet pushed */
    u32 out_bytes;                         /* guarded_by(&lock) room given to buffers that live */
    struct deferred work;
    struct deferred lost; /* its own: `work` would receive on the CPU that submits */
    struct timer look;    /* `deterministic` */
} link;

bool host_link_exists(void)
{
    return link.transmit != NULL;
}

static void work_request(void *unused)
{
    deferred_schedule(&link.work);
}

/*
 * What came before there was a client waits in the queue. Not here is it received: the caller may
 * be on another CPU than the interrupts, whose work may receive more at the same time.
 */
void host_link_register(const struct host_link_client *client)
{
    link.client = client;
    cpu_call(BIT(VIRTIO_INTERRUPT_CPU), work_request, NULL);
}

/* ---- Sending ---- */

struct host_link_buffer *host_link_buffer_alloc(u32 wanted)
{
    struct host_link_buffer *buffer;
    struct frame *frame = NULL;
    unsigned order = 0;

    while (order < BUFFER_ORDER_MAX && (PAGE_SIZE << order) < wanted)
        order++;
    spin_lock(&link.lock);
    if (link.out_bytes + PAGE_SIZE > OUT_BYTES_MAX) {
        spin_unlock(&link.lock);
        return NULL;
    }
    link.out_bytes += PAGE_SIZE << order;
    spin_unlock(&link.lock);

    buffer = kmalloc(sizeof(*buffer), ALLOC_NOWAIT);
    if (buffer)
        frame = frame_alloc(order, FRAME_KERNEL, ALLOC_NOWAIT);
    if (!frame) {
        kfree(buffer);
        spin_lock(&link.lock);
        link.out_bytes -= PAGE_SIZE << order;
        spin_unlock(&link.lock);
        return NULL;
    }
    buffer->bytes = 0;
    buffer->size = PAGE_SIZE << order;
    buffer->data = frame_data(frame);
    list_init(&buffer->link);
    return buffer;
}

void host_link_buffer_free(struct host_link_buffer *buffer)
{
    spin_lock(&link.lock);
    link.out_bytes -= buffer->size;
    spin_unlock(&link.lock);
    frame_free(frame_of(buffer->data));
    kfree(buffer);
}

/* Pushes what waits as far as there is room; of a broken queue, all moves to `lost`. */
static void transmit_push_locked(struct list *lost) must_hold(&link.lock)
{
    bool pushed = false;

    while (!list_is_empty(&link.waiting)) {
        struct host_link_buffer *buffer =
            list_first_entry(&link.waiting, struct host_link_buffer, link);
        struct virtio_piece piece = {virt_to_phys(buffer->data), buffer->bytes};
        int error = virtqueue_push(link.transmit, &piece, 1, 0, buffer);

        if (error == -ENOSPC)
            break;
        list_remove(&buffer->link);
        if (error)
            list_push_back(lost, &buffer->link);
        else
            pushed = true;
    }
    if (pushed)
        virtqueue_notify(link.transmit);
}

/* Frees what a broken queue has lost. The client hears of the room later: it may hold locks now. */
static void buffers_lose(struct list *lost)
{
    struct list *entry;

    if (list_is_empty(lost))
        return;
    while ((entry = list_pop_front(lost)))
        host_link_buffer_free(list_entry(entry, struct host_link_buffer, link));
    deferred_schedule(&link.lost);
}

static void link_lost(struct deferred *work)
{
    if (link.client)
        link.client->room();
}

void host_link_submit(struct host_link_buffer *buffer)
{
    struct list lost = LIST_INIT(lost);

    spin_lock(&link.lock);
    list_push_back(&link.waiting, &buffer->link);
    transmit_push_locked(&lost);
    spin_unlock(&link.lock);
    buffers_lose(&lost);
}

static void transmit_reap(void)
{
    struct list lost = LIST_INIT(lost);
    struct host_link_buffer *buffer;
    u32 written;
    bool freed = false;

    while ((buffer = virtqueue_pop(link.transmit, &written))) {
        host_link_buffer_free(buffer);
        freed = true;
    }
    if (!freed)
        return;
    spin_lock(&link.lock);
    transmit_push_locked(&lost);
    spin_unlock(&link.lock);
    buffers_lose(&lost);
    if (link.client)
        link.client->room();
}

void host_link_send_panic(const void *bytes, size_t count)
{
    static u8 page[PAGE_SIZE] aligned(PAGE_SIZE);
    struct virtio_piece piece = {kernel_image_phys(page), 0};
    u32 written;

    /* The other CPUs stand still; if one of them held the queue, its lock is lost with it. */
    if (!link.transmit || !virtqueue_recover(link.transmit))
        return;
    while (count) {
        size_t part = MIN(count, sizeof(page));

        memcpy(page, bytes, part);
        piece.bytes = part;
        while (virtqueue_push(link.transmit, &piece, 1, 0, page)) {
            if (virtqueue_is_broken(link.transmit))
                return;
            virtqueue_pop(link.transmit, &written);
        }
        virtqueue_notify(link.transmit);
        while (virtqueue_pop(link.transmit, &written) != page) {
            if (virtqueue_is_broken(link.transmit))
                return;
            cpu_relax();
        }
        bytes = (const u8 *)bytes + part;
        count -= part;
    }
}

/* ---- Receiving ---- */

static void receive_push(u8 *page)
{
    struct virtio_piece piece = {virt_to_phys(page), PAGE_SIZE};

    if (virtqueue_push(link.receive, &piece, 0, 1, page)) /* it is broken, and said so */
        frame_free(frame_of(page));
}

static void receive_all(void)
{
    bool pushed = false;
    u32 written;
    u8 *page;

    assert(cpu_current()->id == VIRTIO_INTERRUPT_CPU);
    while ((page = virtqueue_pop(link.receive, &written))) {
        link.client->receive(page, written);
        receive_push(page);
        pushed = true;
    }
    if (pushed)
        virtqueue_notify(link.receive);
}

/* A device may interrupt before it has both queues, and one that does not get them at any time. */
static void queues_serve(void)
{
    if (!host_link_exists())
        return;
    transmit_reap();
    if (link.client)
        receive_all();
}

/* How much came in how many pieces is the host's timing: what they cost us must not show. */
static void link_work(struct deferred *work)
{
    u64 state;

    if (!deterministic) {
        queues_serve();
        return;
    }
    state = clock_stop();
    queues_serve();
    clock_go(state);
}

static void link_look(struct timer *timer)
{
    deferred_schedule(&link.work);
    timer_set(timer, clock_monotonic_ns() + LOOK_NS);
}

void host_link_await(bool (*is_done)(void *object), void *object)
{
    u64 state = clock_stop();

    while (!is_done(object) && !virtqueue_is_broken(link.receive)) {
        queues_serve();
        cpu_relax();
    }
    clock_go(state);
}

static void link_interrupt(struct virtqueue *queue)
{
    deferred_schedule(&link.work);
}

/* Says that the port is open: before that the device gives and takes nothing on it. */
static int port_open(struct virtqueue *control)
{
    static struct control_message message = {PORT, EVENT_PORT_OPEN, 1};
    struct virtio_piece piece = {kernel_image_phys(&message), sizeof(message)};
    int error;

    error = virtqueue_push(control, &piece, 1, 0, &message);
    if (!error)
        virtqueue_notify(control);
    return error;
}

/*
 * -EBUSY: there is one; -ENODEV: a console without ports. Pages that memory does not have are left
 * out, but for the first.
 */
static int link_probe(struct virtio_device *device)
{
    struct virtqueue *control;
    int error;

    if (link.transmit)
        return -EBUSY;
    if (!(virtio_features(device) & FEATURE_MULTIPORT))
        return -ENODEV;
    error = virtqueue_create(device, QUEUE_CONTROL, QUEUE_SIZE, NULL, &control);
    if (error)
        return error;
    error = virtqueue_create(device, QUEUE_RECEIVE, QUEUE_SIZE, link_interrupt, &link.receive);
    if (error)
        return error;
    error = virtqueue_create(device, QUEUE_TRANSMIT, QUEUE_SIZE, link_interrupt, &link.transmit);
    if (error)
        return error;
    virtio_device_ready(device);
    error = port_open(control);
    if (error)
        return error;
    for (unsigned i = 0; i < RECEIVE_PAGES; i++) {
        struct frame *frame = frame_alloc(0, FRAME_KERNEL, 0);

        if (!frame)
            return i == 0 ? -ENOMEM : 0;
        receive_push(frame_data(frame));
    }
    virtqueue_notify(link.receive);
    timer_init(&link.look, link_look);
    if (deterministic)
        timer_set(&link.look, clock_monotonic_ns() + LOOK_NS);
    return 0;
}

static const struct virtio_driver link_driver = {
    .name = "host link",
    .kind = VIRTIO_CONSOLE,
    .features = FEATURE_MULTIPORT,
    .probe = link_probe,
};

void host_link_init(void)
{
    spin_init(&link.lock, LOCK_HOST_LINK);
    list_init(&link.waiting);
    link.work = (struct deferred)DEFERRED_INIT(link_work);
    link.lost = (struct deferred)DEFERRED_INIT(link_lost);
    virtio_driver_register(&link_driver);
}
