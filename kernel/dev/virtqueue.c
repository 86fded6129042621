/*
 * Split virtqueues (virtio 1.2, 2.7): a table of descriptors, and two rings of their numbers.
 *
 *     descriptors                     available ring              used ring
 *     [0] address, length, next  <--  driver writes heads   -->   device writes (head, written)
 *     [1] ...                         and then `index`            and then `index`
 *
 * The device can write to all three, since they lie in memory that it reaches. So nothing is ever
 * believed that is read back: which descriptors form a chain, what is free and how much may have
 * been written stand in `shadow`, which the device does not know. A head that is not out there, or
 * a length beyond the chain's, breaks the queue for good: what is out comes back with nothing
 * written, so that nobody waits for ever, and nothing more goes in. Its memory is used again; the
 * device could write there, but it could as well before (nothing guards memory from a device).
 *
 * Under `deterministic` a request is over before virtqueue_notify returns, and the device never
 * interrupts: when it answers is the host's business, and would show. The clock stands still
 * meanwhile. A request is a chain with something for the device to read; what is only there to be
 * written to (the link's receive queue) waits until its driver looks.
 *
 * Invariant: free_count + the lengths of all chains that are out == size.
 * Locking:   virtqueue.lock guards everything that changes after creation. The handler is called
 *            without it.
 */
#include <pith/virtio.h>

#include <pith/core.h>

#include "virtio.h"

#define DESCRIPTOR_NEXT  1u
#define DESCRIPTOR_WRITE 2u
#define USED_NO_NOTIFY   1u
#define NO_INTERRUPT     1u /* in available_ring.flags */
#define SHADOW_END       0xffffu

struct descriptor {
    u64 address;
    u32 bytes;
    u16 flags;
    u16 next;
};

struct available_ring {
    u16 flags;
    u16 index;
    u16 heads[];
};

struct used_element {
    u32 head;
    u32 written;
};

struct used_ring {
    u16 flags;
    u16 index;
    struct used_element elements[];
};

/* What we know of a descriptor. guarded by virtqueue.lock */
struct shadow {
    void *token;        /* of a head that is out; else NULL */
    u32 writable_bytes; /* of a head's chain */
    u16 next;           /* in its chain, or among the free ones; SHADOW_END: the last */
    u16 length;         /* of a head's chain */
};

struct virtqueue {
    struct spinlock lock;         /* LOCK_DEVICE_QUEUE */
    struct virtio_device *device; /* [const] */
    virtqueue_handler *handler;   /* [const] may be NULL */
    u32 index;                    /* [const] */
    u32 size;                     /* [const] a power of two */
    volatile struct descriptor *descriptors;
    volatile struct available_ring *available;
    volatile struct used_ring *used;
    struct shadow *shadow;
    u16 first_free; /* guarded_by(&lock), as all below */
    u16 free_count;
    u16 available_index;
    u16 used_index;    /* of a broken queue: the heads before it are not out any more */
    bool has_requests; /* what was pushed last has something to read */
    bool broken;
};

static int queue_alloc_rings(struct virtqueue *queue, struct virtqueue_addresses *addresses_out)
{
    u64 bytes[3] = {sizeof(struct descriptor) * queue->size,
                    sizeof(struct available_ring) + sizeof(u16) * (queue->size + 1),
                    sizeof(struct used_ring) + sizeof(struct used_element) * queue->size + 2};
    struct frame *frames[3] = {NULL, NULL, NULL};

    for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
        unsigned order = 0;

        while ((PAGE_SIZE << order) < bytes[i])
            order++;
        frames[i] = frame_alloc(order, FRAME_KERNEL, ALLOC_CLEARED);
        if (!frames[i])
            goto free_frames;
    }
    queue->descriptors = frame_data(frames[0]);
    queue->available = frame_data(frames[1]);
    queue->available->flags = deterministic ? NO_INTERRUPT : 0;
    queue->used = frame_data(frames[2]);
    *addresses_out = (struct virtqueue_addresses){
        .descriptors = frame_address(frames[0]),
        .available = frame_address(frames[1]),
        .used = frame_address(frames[2]),
    };
    return 0;

free_frames:
    for (unsigned i = 0; i < ARRAY_SIZE(frames); i++) {
        if (frames[i])
            frame_free(frames[i]);
    }
    return -ENOMEM;
}

int virtqueue_create(struct virtio_device *device, u32 index, u32 most, virtqueue_handler *handler,
                     struct virtqueue **queue_out)
{
    struct virtqueue_addresses addresses;
    struct virtqueue *queue;
    u32 size = device->transport->queue_size_max(device, index);

    if (index >= VIRTIO_QUEUES_MAX || size == 0)
        return -ENOENT;
    size = MIN(MIN(size, most), SHADOW_END - 1);
    while (size & (size - 1))
        size &= size - 1;
    queue = kmalloc(sizeof(*queue), ALLOC_CLEARED);
    if (!queue)
        return -ENOMEM;
    spin_init(&queue->lock, LOCK_DEVICE_QUEUE);
    queue->device = device;
    queue->handler = handler;
    queue->index = index;
    queue->size = size;
    queue->shadow = kmalloc(sizeof(*queue->shadow) * size, ALLOC_CLEARED);
    if (!queue->shadow)
        goto free_queue;
    if (queue_alloc_rings(queue, &addresses))
        goto free_shadow;
    for (u32 i = 0; i < size; i++)
        queue->shadow[i].next = i + 1 < size ? i + 1 : SHADOW_END;
    queue->free_count = size;
    device->queues[index] = queue;
    device->transport->queue_enable(device, index, size, &addresses);
    *queue_out = queue;
    return 0;

free_shadow:
    kfree(queue->shadow);
free_queue:
    kfree(queue);
    return -ENOMEM;
}

u32 virtqueue_size(const struct virtqueue *queue)
{
    return queue->size;
}

bool virtqueue_recover(struct virtqueue *queue)
{
    bool was_held = READ_ONCE(queue->lock.held);

    spin_init(&queue->lock, LOCK_DEVICE_QUEUE);
    return !was_held && !queue->broken;
}

bool virtqueue_is_broken(const struct virtqueue *queue)
{
    return READ_ONCE(queue->broken);
}

/* Writes the chain into free descriptors and takes them. There are enough. */
static u16 chain_write_locked(struct virtqueue *queue, const struct virtio_piece *pieces,
                              u32 readable, u32 writable) must_hold(&queue->lock)
{
    u32 count = readable + writable;
    u16 head = queue->first_free, at = head, last = head;

    queue->shadow[head].writable_bytes = 0;
    for (u32 i = 0; i < count; i++) {
        volatile struct descriptor *descriptor = &queue->descriptors[at];

        descriptor->address = pieces[i].address;
        descriptor->bytes = pieces[i].bytes;
        descriptor->flags =
            (i >= readable ? DESCRIPTOR_WRITE : 0) | (i + 1 < count ? DESCRIPTOR_NEXT : 0);
        descriptor->next = queue->shadow[at].next;
        if (i >= readable)
            queue->shadow[head].writable_bytes += pieces[i].bytes;
        last = at;
        at = queue->shadow[at].next;
    }
    queue->first_free = at;
    queue->shadow[last].next = SHADOW_END;
    queue->shadow[head].length = count;
    queue->free_count -= count;
    return head;
}

int virtqueue_push(struct virtqueue *queue, const struct virtio_piece *pieces, u32 readable,
                   u32 writable, void *token)
{
    int error = 0;
    u16 head;

    assert(token && readable + writable > 0);
    spin_lock(&queue->lock);
    if (queue->broken) {
        error = -EIO;
    } else if (readable + writable > queue->free_count) {
        error = -ENOSPC;
    } else {
        head = chain_write_locked(queue, pieces, readable, writable);
        queue->shadow[head].token = token;
        queue->available->heads[queue->available_index & (queue->size - 1)] = head;
        queue->available_index++;
        queue->has_requests = readable > 0;
        /* The device sees the index only after the descriptors and the head. */
        __atomic_store_n((u16 *)&queue->available->index, queue->available_index, __ATOMIC_RELEASE);
    }
    spin_unlock(&queue->lock);
    return error;
}

static void device_notify(struct virtqueue *queue)
{
    /* Our index is visible before we read whether the device still looks at it by itself. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!(queue->used->flags & USED_NO_NOTIFY))
        queue->device->transport->queue_notify(queue->device, queue->index);
}

/*
 * Until the device has answered all; a broken one never does. A device that never answers hangs the
 * machine here: under `deterministic` there is no time by which it could be missed.
 */
static void answers_await(const struct virtqueue *queue)
{
    while (!READ_ONCE(queue->broken) &&
           __atomic_load_n((u16 *)&queue->used->index, __ATOMIC_ACQUIRE) != queue->available_index)
        cpu_relax();
}

void virtqueue_notify(struct virtqueue *queue)
{
    u64 state;

    if (!deterministic) {
        device_notify(queue);
        return;
    }
    state = clock_stop();
    device_notify(queue);
    if (queue->has_requests)
        answers_await(queue);
    clock_go(state);
    if (queue->has_requests)
        virtqueue_interrupt(queue);
}

static void queue_break_locked(struct virtqueue *queue, const char *why) must_hold(&queue->lock)
{
    queue->broken = true;
    queue->used_index = 0;
    log_error("virtio: queue %u of device kind %u is broken: %s", queue->index, queue->device->kind,
              why);
}

/* Gives the chain's descriptors back to the free ones. */
static void chain_free_locked(struct virtqueue *queue, u16 head) must_hold(&queue->lock)
{
    u16 last = head;

    while (queue->shadow[last].next != SHADOW_END)
        last = queue->shadow[last].next;
    queue->shadow[last].next = queue->first_free;
    queue->first_free = head;
    queue->free_count += queue->shadow[head].length;
    queue->shadow[head].token = NULL;
}

/* The head that the device says it is done with, and what it wrote. False: none, or it lies. */
static bool used_take_locked(struct virtqueue *queue, u32 *head_out, u32 *written_out)
    must_hold(&queue->lock)
{
    volatile struct used_element *element;

    /* Pairs with the device's write of the index after the element. */
    if (__atomic_load_n((u16 *)&queue->used->index, __ATOMIC_ACQUIRE) == queue->used_index)
        return false;
    element = &queue->used->elements[queue->used_index & (queue->size - 1)];
    *head_out = element->head;
    *written_out = element->written;
    if (*head_out >= queue->size || !queue->shadow[*head_out].token) {
        queue_break_locked(queue, "it returned a chain that it does not have");
        return false;
    }
    if (*written_out > queue->shadow[*head_out].writable_bytes) {
        queue_break_locked(queue, "it wrote more than it was given room for");
        return false;
    }
    queue->used_index++;
    return true;
}

/* A head that is out of a broken queue. False: none is left. */
static bool broken_take_locked(struct virtqueue *queue, u32 *head_out, u32 *written_out)
    must_hold(&queue->lock)
{
    while (queue->used_index < queue->size && !queue->shadow[queue->used_index].token)
        queue->used_index++;
    *head_out = queue->used_index;
    *written_out = 0;
    return queue->used_index < queue->size;
}

void *virtqueue_pop(struct virtqueue *queue, u32 *written_out)
{
    void *token = NULL;
    u32 head, written;
    bool found;

    spin_lock(&queue->lock);
    found = !queue->broken && used_take_locked(queue, &head, &written);
    if (!found && queue->broken)
        found = broken_take_locked(queue, &head, &written);
    if (found) {
        token = queue->shadow[head].token;
        chain_free_locked(queue, (u16)head);
        *written_out = written;
    }
    spin_unlock(&queue->lock);
    return token;
}

void virtqueue_interrupt(struct virtqueue *queue)
{
    if (queue->handler)
        queue->handler(queue);
}
