/*
 * Packets: allocation, and copies in and out. The theory is in packet.h.
 *
 * The charge is taken when the packet is whole and given back when it is freed, both for the same
 * number, so a sender's `charged` is exactly what its packets take. Memory comes in blocks of 32
 * KiB where there is one at once, else in pages, for which it waits; all of a packet's blocks are
 * of one size, so the place of a byte is a division.
 *
 * Context: threads; all that copies may sleep, so no spinlock is held.
 */
#include "packet.h"

#include <pith/mem.h>

#include "passed_files.h"
#include "socket.h"

#define LARGE_ORDER 3
#define LARGE_BYTES ((u32)PAGE_SIZE << LARGE_ORDER)

static u8 *linear_part(const struct packet *packet)
{
    return (u8 *)&packet->fragments[packet->fragment_count];
}

/* A packet with room for `bytes` in blocks of that order, not charged yet. NULL: no memory. */
static struct packet *packet_alloc_blocks(u32 bytes, unsigned order, unsigned flags)
{
    u32 block = (u32)PAGE_SIZE << order;
    u32 blocks = bytes > PACKET_LINEAR_MAX ? DIV_ROUND_UP(bytes, block) : 0;
    u32 linear = blocks ? 0 : bytes;
    size_t header = sizeof(struct packet) + blocks * sizeof(struct packet_fragment);
    struct packet *packet = kmalloc(header + linear, flags);

    if (!packet)
        return NULL;
    *packet = (struct packet){
        .charge = (u32)header + linear + blocks * block,
        .bytes = bytes,
        .linear_bytes = linear,
        .fragment_bytes = block,
    };
    for (; packet->fragment_count < blocks; packet->fragment_count++) {
        struct packet_fragment *fragment = &packet->fragments[packet->fragment_count];

        fragment->frame = frame_alloc(order, FRAME_KERNEL, flags);
        if (!fragment->frame) {
            packet_free(packet);
            return NULL;
        }
        fragment->bytes = MIN(bytes, block);
        bytes -= fragment->bytes;
    }
    return packet;
}

/*
 * Many bytes go into large blocks where memory has them at once: one step of the copy for eight
 * pages, and one of the allocator.
 */
static struct packet *packet_alloc(u32 bytes)
{
    struct packet *packet = NULL;

    if (bytes >= LARGE_BYTES)
        packet = packet_alloc_blocks(bytes, LARGE_ORDER, ALLOC_NOWAIT);
    return packet ? packet : packet_alloc_blocks(bytes, 0, 0);
}

static int packet_fill(struct packet *packet, struct io_buffer *io)
{
    if (io_copy_from(io, linear_part(packet), packet->linear_bytes) < packet->linear_bytes)
        return -EFAULT;
    for (u32 i = 0; i < packet->fragment_count; i++) {
        const struct packet_fragment *fragment = &packet->fragments[i];

        if (io_copy_from(io, frame_data(fragment->frame), fragment->bytes) < fragment->bytes)
            return -EFAULT;
    }
    return 0;
}

int packet_create(struct socket *sender, struct io_buffer *io, u32 bytes,
                  struct packet **packet_out)
{
    struct packet *packet;
    int error;

    if (bytes > PACKET_BYTES_MAX)
        return -ENOBUFS;
    packet = packet_alloc(bytes);
    if (!packet)
        return -ENOMEM;
    error = bytes ? packet_fill(packet, io) : 0;
    if (error) {
        packet_free(packet);
        return error;
    }
    socket_get(sender);
    packet->sender = sender;
    __atomic_fetch_add(&sender->charged, packet->charge, __ATOMIC_RELAXED);
    *packet_out = packet;
    return 0;
}

void packet_free(struct packet *packet)
{
    if (packet->sender) {
        socket_uncharge(packet->sender, packet->charge);
        socket_put(packet->sender);
    }
    if (unlikely(packet->files))
        passed_files_discard(packet->files);
    for (u32 i = 0; i < packet->fragment_count; i++)
        frame_put(packet->fragments[i].frame);
    kfree(packet);
}

size_t packet_copy_to(const struct packet *packet, u32 offset, struct io_buffer *io, size_t bytes)
{
    size_t done = 0;

    if (offset < packet->linear_bytes) {
        done = MIN((size_t)(packet->linear_bytes - offset), bytes);
        return io_copy_to(io, linear_part(packet) + offset, done);
    }
    while (done < bytes) {
        u32 at = offset + (u32)done;
        const struct packet_fragment *fragment = &packet->fragments[at / packet->fragment_bytes];
        u32 start = at % packet->fragment_bytes;
        size_t piece = MIN((size_t)(fragment->bytes - start), bytes - done);
        size_t copied = io_copy_to(io, (u8 *)frame_data(fragment->frame) + start, piece);

        done += copied;
        if (copied < piece)
            break;
    }
    return done;
}
