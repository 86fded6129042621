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
    bool owed_poll, owed_withdrawal, owed_close;
    struct mutex read_mutex;  /* LOCK_PIPE: one reader copies at a time */
    struct mutex write_mutex; /* LOCK_PIPE: a write's bytes stay together */
    u32 number;               /* [const] in frames: session and enum host_channel */
};

#define HOST_RING_BYTES 65536u /* no less than HOST_CREDIT_CONTROL */

/* Of the run's own session. */
struct host_channel_state *host_channel(enum host_channel number);
/* By its number in frames, below HOST_SESSIONS * HOST_CHANNELS. */
struct host_channel_state *host_channel_numbered(u32 number);
/* A file of the session is about to be opened: frames of it may be sent and owed from now on. */
void host_port_use_session(u32 session);
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
/*
 * Lets `take` have what came, until it takes nothing more; the host may send as much again. Who
 * calls it sees to it that nobody else does, or reads. Any context.
 */
void host_channel_feed(struct host_channel_state *channel, u32 (*take)(const u8 *bytes, u32 count));
/* A buffer with room for `wanted` bytes or fewer. Waits for it. -EINTR; -EAGAIN with `nowait`. */
struct host_link_buffer;
int host_port_buffer_wait(u32 wanted, u32 open_flags, struct host_link_buffer **buffer_out)
    must_check;
/* Fills in a frame's header for the buffer's content, and submits it. */
void host_port_submit(struct host_link_buffer *buffer, enum host_frame_type type, u32 channel);
/* Sends a frame with a short payload. Waits for room, killably. -EINTR. */
int host_port_send(enum host_frame_type type, u32 channel, const void *payload, u32 bytes)
    must_check;
/* Waits until the host acknowledged our EXIT. -EINTR. */
int host_port_wait_exit_ack(void) must_check;

/* What the port tells the files above. Deferred work's context. */
struct host_port_client {
    void (*terminal_input)(void); /* more is in TERMINAL's ring */
    void (*terminal_room)(void);
    void (*window)(u16 rows, u16 columns);
    void (*signal)(u32 signal);
};
void host_port_register(const struct host_port_client *client);

/* host_sessions.c: a file on a channel was opened, or its last reference goes. */
int host_session_open(struct host_channel_state *channel) must_check;
void host_session_release(struct host_channel_state *channel);
/* The host sent CLOSE. Deferred work's context. */
void host_session_closed(u32 session);

void host_log_init(void); /* host_log.c */
void host_port_init(void);
void host_streams_init(void);
