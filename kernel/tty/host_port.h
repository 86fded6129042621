/* The channels of the link to the `pith` command, between host_port.c and the files on top. */
#pragma once

#include <pith/host_protocol.h>
#include <pith/sched.h>

/*
 * One direction-pair of bytes. What came waits in a ring until somebody reads it; what leaves is
 * bounded by the credit that the host gave.
 */
struct host_channel_state {
    struct wait_queue queue; /* LOCK_WAIT_QUEUE: readers and writers; guards all below */
    u8 *ring;                /* [const] once it is there; RING_BYTES */
    u32 ring_start, ring_count;
    u32 credit_out;  /* what the host may still send */
    u64 credit_in;   /* what we may still send */
    bool ended;      /* the host sends no more */
    bool gone;       /* nobody reads what we send */
    bool ready;      /* STDIN: a read would not wait (READY came) */
    bool poll_sent;  /* STDIN: READY was asked for */
    u32 owed_credit; /* CREDIT frames that are still to be sent: bytes */
    bool owed_poll, owed_withdrawal;
    struct mutex read_mutex;  /* LOCK_PIPE: one reader copies at a time */
    struct mutex write_mutex; /* LOCK_PIPE: a write's bytes stay together */
    enum host_channel number; /* [const] */
};

#define HOST_RING_BYTES 65536u /* no less than HOST_CREDIT_CONTROL */

struct host_channel_state *host_channel(enum host_channel number);
/* Makes the ring if there is none yet. -ENOMEM. May sleep. */
int host_channel_open(struct host_channel_state *channel) must_check;
/* channel->queue.lock is held: asks for up to `bytes` more. Sent by host_port_send_owed. */
void host_channel_ask_locked(struct host_channel_state *channel, u32 bytes)
    must_hold(&channel->queue.lock);
/* STDIN: its reader gave up. An answer that is under way already is kept for the next one. */
void host_channel_withdraw(struct host_channel_state *channel);
/* Sends what is owed (credits, polls) as far as there is room. No spinlock is held. */
void host_port_send_owed(void);
/*
 * Takes up to `size` bytes that came out of the ring into `to`; channel->read_mutex is held.
 * Returns how many; 0: none are there.
 */
u32 host_channel_take(struct host_channel_state *channel, u8 *to, u32 size);
/* A buffer with room for `wanted` bytes or fewer. Waits for it. -EINTR; -EAGAIN with `nowait`. */
struct host_link_buffer;
int host_port_buffer_wait(u32 wanted, u32 open_flags, struct host_link_buffer **buffer_out)
    must_check;
/* Fills in a frame's header for the buffer's content, and submits it. */
void host_port_submit(struct host_link_buffer *buffer, enum host_frame_type type,
                      enum host_channel channel);
/* Sends a frame with a short payload. Waits for room, killably. -EINTR. */
int host_port_send(enum host_frame_type type, enum host_channel channel, const void *payload,
                   u32 bytes) must_check;
/* Waits until the host acknowledged our EXIT. -EINTR. */
int host_port_wait_exit_ack(void) must_check;

/* What the port tells the files above. Deferred work's context. */
struct host_port_client {
    void (*terminal_input)(const u8 *bytes, u32 count);
    void (*terminal_room)(void);
    void (*window)(u16 rows, u16 columns);
    void (*signal)(u32 signal);
};
void host_port_register(const struct host_port_client *client);

void host_port_init(void);
void host_streams_init(void);
