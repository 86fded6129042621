/*
 * Packets: bytes on their way from one socket to another, and what goes with them.
 *
 *     struct packet | fragments[] -> frames | linear bytes
 *
 * A few bytes lie behind the packet itself, more of them in pages; the linear part comes first.
 * A packet belongs to one owner, who sends, then to the queue that it is on, then to who took it
 * off. What its memory takes is charged to the sender until it is freed, and that is how senders
 * are held back.
 */
#pragma once

#include <pith/io_buffer.h>
#include <pith/net.h>

/* Up to here the bytes lie behind the packet: one object of kmalloc's middle sizes. */
#define PACKET_LINEAR_MAX 1536u

/* The largest packet; kmalloc has memory for its fragments. */
#define PACKET_BYTES_MAX (4u << 20)

struct passed_files;

/* A block of the packet's `fragment_bytes`, filled from its start. */
struct packet_fragment {
    struct frame *frame; /* a reference */
    u32 bytes;
};

struct packet {
    struct list link;             /* guarded by the lock of the queue that it is on */
    struct socket *sender;        /* [owner] a reference */
    struct passed_files *files;   /* [owner] NULL: none */
    u32 charge;                   /* [const] bytes of memory, counted in sender->charged */
    u32 bytes;                    /* [const] in all */
    u32 taken;                    /* [owner] bytes that were read of them already */
    u32 linear_bytes;             /* [const] of them behind the fragments */
    u32 fragment_count;           /* [const] */
    u32 fragment_bytes;           /* [const] of each but the last: a power of two */
    struct abi_ucred credentials; /* [owner] who sent it */
    u64 sent_ns;                  /* [owner] when, by CLOCK_REALTIME; 0: nobody asked then */
    struct packet_fragment fragments[];
};

static inline u32 packet_bytes_left(const struct packet *packet)
{
    return packet->bytes - packet->taken;
}

/*
 * A packet with the next `bytes` of `io`, charged to `sender`. Sleeps: copies user memory.
 * -ENOMEM, -EFAULT; -ENOBUFS: more than PACKET_BYTES_MAX.
 */
int packet_create(struct socket *sender, struct io_buffer *io, u32 bytes,
                  struct packet **packet_out) must_check;
/* Frees it, with what it carries; the sender may go on. Sleeps. */
void packet_free(struct packet *packet);
/*
 * Copies out up to `bytes` from `offset` on. Returns how many; fewer than there are: a bad address.
 */
size_t packet_copy_to(const struct packet *packet, u32 offset, struct io_buffer *io, size_t bytes)
    must_check;
