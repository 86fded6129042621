/*
 * Packets: allocation, and copies in and out. The theory is in packet.h.
 *
 * Context: threads; all that copies may sleep, so no spinlock is held.
 */
#include "packet.h"

#include <pith/mem.h>

#include "passed_files.h"
#include "socket.h"

static u8 *linear_part(const struct packet *packet)
{
    return (u8 *)&packet->fragments[packet->fragment_count];
}

/* A packet with room for `bytes`, not charged yet. NULL: no memory. */
static struct packet *packet_alloc(u32 bytes)
{
    u32 pages = bytes > PACKET_LINEAR_MAX ? DIV_ROUND_UP(bytes, (u32)PAGE_SIZE) : 0;
    u32 linear = pages ? 0 : bytes;
    size_t header = sizeof(struct packet) + pages * sizeof(struct packet_fragment);
    struct packet *packet = kmalloc(header + linear, 0);

    if (!packet)
        return NULL;
    *packet = (struct packet){
        .charge = (u32)(header + linear + pages * PAGE_SIZE),
        .bytes = bytes,
        .linear_bytes = linear,
    };
    for (; packet->fragment_count < pages; packet->fragment_count++) {
        struct packet_fragment *fragment = &packet->fragments[packet->fragment_count];

        fragment->frame = frame_alloc(0, FRAME_KERNEL, 0);
        if (!fragment->frame) {
            packet_free(packet);
            return NULL;
        }
        fragment->bytes = MIN(bytes, (u32)PAGE_SIZE);
        bytes -= fragment->bytes;
    }
    return packet;
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
    struct packet *packet = packet_alloc(bytes);
    int error;

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
        const struct packet_fragment *fragment = &packet->fragments[at / PAGE_SIZE];
        u32 start = at % PAGE_SIZE;
        size_t piece = MIN((size_t)(fragment->bytes - start), bytes - done);
        size_t copied = io_copy_to(io, (u8 *)frame_data(fragment->frame) + start, piece);

        done += copied;
        if (copied < piece)
            break;
    }
    return done;
}
