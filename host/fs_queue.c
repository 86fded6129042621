/*
 * Virtqueues, the device's side of a split ring (virtio 1.2, 2.7).
 *
 *     available ring:  heads of chains, the guest fills    --> fs_queue_pop
 *     descriptors:     [address, length, flags, next] ...      a chain: readable, then writable
 *     used ring:       head, bytes written, we fill        <-- fs_queue_push
 *
 * Everything in the rings is the guest's to change at any moment, so each word is read once into a
 * local and the local is checked. A chain ends after FS_CHAIN_MAX buffers whatever its links say,
 * so a loop is just a chain that is too long. What cannot be true (an index that jumps, an address
 * outside memory, a readable buffer after a writable one) breaks the queue: it is the driver that
 * is wrong, and no later word of the ring means anything. The device can be reset and goes on.
 *
 * Invariant: a buffer in an fs_chain lies whole within one mapped region.
 */
/* First: it writes attributes by names that are macros of ours. */
#include <linux/virtio_ring.h>

#include "fs_queue.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

void fs_queue_init(struct fs_queue *queue)
{
    memset(queue, 0, sizeof(*queue));
    queue->kick_fd = -1;
    queue->call_fd = -1;
}

int fs_queue_map(struct fs_queue *queue, const struct fs_memory *memory)
{
    u64 size = queue->size;
    u64 event_bytes = sizeof(u16); /* each ring ends with the other side's event index */

    queue->descriptors = NULL;
    if (!queue->has_addresses || size == 0)
        return -EINVAL;
    queue->available = fs_memory_at_front_end(
        memory, queue->available_address,
        sizeof(struct vring_avail) + size * sizeof(u16) + event_bytes, VRING_AVAIL_ALIGN_SIZE);
    queue->used = fs_memory_at_front_end(memory, queue->used_address,
                                         sizeof(struct vring_used) +
                                             size * sizeof(struct vring_used_elem) + event_bytes,
                                         VRING_USED_ALIGN_SIZE);
    if (!queue->available || !queue->used)
        return -EINVAL;
    queue->descriptors =
        fs_memory_at_front_end(memory, queue->descriptors_address, size * sizeof(struct vring_desc),
                               VRING_DESC_ALIGN_SIZE);
    if (!queue->descriptors)
        return -EINVAL;
    queue->next_used = READ_ONCE(queue->used->idx);
    queue->notified_used = queue->next_used;
    return 0;
}

bool fs_queue_is_running(const struct fs_queue *queue)
{
    return queue->enabled && !queue->broken && queue->kick_fd >= 0 && queue->descriptors;
}

/* One copy, which the guest cannot change any more. */
static struct vring_desc descriptor_copy(const struct vring_desc *from)
{
    return (struct vring_desc){
        .addr = READ_ONCE(from->addr),
        .len = READ_ONCE(from->len),
        .flags = READ_ONCE(from->flags),
        .next = READ_ONCE(from->next),
    };
}

/* Adds one buffer, in as many pieces as it has regions. */
static int chain_add(struct fs_chain *chain, const struct fs_memory *memory,
                     const struct vring_desc *descriptor)
{
    bool writable = descriptor->flags & VRING_DESC_F_WRITE;
    u64 address = descriptor->addr;
    u64 left = descriptor->len, piece;

    if (!writable && chain->writable_count > 0)
        return -EPROTO;
    while (left > 0) {
        unsigned count = chain->readable_count + chain->writable_count;
        void *bytes = fs_memory_at_guest(memory, address, left, &piece);

        if (!bytes || count == FS_CHAIN_MAX)
            return -EPROTO;
        chain->buffers[count] = (struct iovec){.iov_base = bytes, .iov_len = piece};
        if (writable) {
            chain->writable_count++;
            chain->writable_bytes += piece;
        } else {
            chain->readable_count++;
            chain->readable_bytes += piece;
        }
        address += piece; /* may wrap: no region is there */
        left -= piece;
    }
    return 0;
}

/* Follows the links through one table of descriptors. */
static int chain_follow(struct fs_chain *chain, const struct fs_memory *memory,
                        const struct vring_desc *table, unsigned size, unsigned index,
                        struct vring_desc *indirect_out)
{
    for (unsigned steps = 0; steps < FS_CHAIN_MAX; steps++) {
        struct vring_desc descriptor;
        int error;

        if (index >= size)
            return -EPROTO;
        descriptor = descriptor_copy(&table[index]);
        if (descriptor.flags & VRING_DESC_F_INDIRECT) {
            if (!indirect_out || (descriptor.flags & VRING_DESC_F_NEXT))
                return -EPROTO;
            *indirect_out = descriptor;
            return 0;
        }
        error = chain_add(chain, memory, &descriptor);
        if (error)
            return error;
        if (!(descriptor.flags & VRING_DESC_F_NEXT))
            return 0;
        index = descriptor.next;
    }
    return -EPROTO;
}

static int chain_build(struct fs_queue *queue, const struct fs_memory *memory,
                       struct fs_chain *chain)
{
    struct vring_desc indirect = {.len = 0};
    const struct vring_desc *table;
    u64 found;
    int error;

    error = chain_follow(chain, memory, queue->descriptors, queue->size, chain->head, &indirect);
    if (error || !(indirect.flags & VRING_DESC_F_INDIRECT))
        return error;
    if (indirect.len == 0 || indirect.len % sizeof(*table))
        return -EPROTO;
    table = fs_memory_at_guest(memory, indirect.addr, indirect.len, &found);
    if (!table || found < indirect.len || (uintptr_t)table % _Alignof(u64))
        return -EPROTO;
    return chain_follow(chain, memory, table, indirect.len / sizeof(*table), 0, NULL);
}

int fs_queue_pop(struct fs_queue *queue, const struct fs_memory *memory, struct fs_chain *chain_out)
{
    /* Pairs with the guest's release of idx: the entries below it are there. */
    u16 available = __atomic_load_n(&queue->available->idx, __ATOMIC_ACQUIRE);
    u16 waiting = available - queue->next_available;
    int error = -EPROTO;

    if (waiting == 0)
        return -EAGAIN;
    if (waiting > queue->size)
        goto broken;
    chain_out->head = READ_ONCE(queue->available->ring[queue->next_available % queue->size]);
    chain_out->readable_count = 0;
    chain_out->writable_count = 0;
    chain_out->readable_bytes = 0;
    chain_out->writable_bytes = 0;
    error = chain_build(queue, memory, chain_out);
    if (error)
        goto broken;
    queue->next_available++;
    return 0;

broken:
    queue->broken = true;
    return error;
}

/* Whether the guest wants to hear of what was used since it was last notified. */
static bool queue_wants_call(const struct fs_queue *queue)
{
    u16 event;

    if (!queue->has_event_index)
        return !(READ_ONCE(queue->available->flags) & VRING_AVAIL_F_NO_INTERRUPT);
    event = READ_ONCE(queue->available->ring[queue->size]);
    return vring_need_event(event, queue->next_used, queue->notified_used);
}

void fs_queue_push(struct fs_queue *queue, u16 head, u32 written)
{
    vring_used_elem_t *element = &queue->used->ring[queue->next_used % queue->size];
    u64 one = 1;

    element->id = head;
    element->len = written;
    queue->next_used++;
    /* The guest acquires idx and then reads the element and the answer. */
    __atomic_store_n(&queue->used->idx, queue->next_used, __ATOMIC_RELEASE);
    /* Orders our store of idx before our load of its event word; the guest does the reverse. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (!queue_wants_call(queue))
        return;
    queue->notified_used = queue->next_used;
    /* A full eventfd is a notification that waits already. */
    if (queue->call_fd >= 0 && write(queue->call_fd, &one, sizeof(one)) < 0)
        return;
}

bool fs_queue_enable_kicks(struct fs_queue *queue)
{
    if (queue->has_event_index) {
        __u16 *available_event = (__u16 *)&queue->used->ring[queue->size];

        WRITE_ONCE(*available_event, queue->next_available);
    }
    /* Orders our store of the event word before our load of idx; the guest does the reverse. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    return READ_ONCE(queue->available->idx) != queue->next_available;
}
