/*
 * The link to the `pith` command: one virtio-console port, as a pair of byte streams.
 *
 * What is to be sent is written into a buffer of the link's and submitted; submitted buffers leave
 * in their order. What arrives is handed on piece by piece, in order, in deferred work's context.
 * The frames within are tty/host_port.c's (host_protocol.h).
 */
#pragma once

#include <pith/mem.h>

struct host_link_buffer {
    struct list link;
    u32 bytes; /* used of `data` */
    u32 size;  /* room in `data` */
    u8 *data;
};

struct host_link_client {
    /* Bytes came; they stay valid during the call only. Deferred work's context. */
    void (*receive)(const u8 *bytes, size_t count);
    /* Buffers were sent: who waits for one may try again. Deferred work's context. */
    void (*room)(void);
};

/* Whether the machine has such a port; only then the functions below may be called. */
bool host_link_exists(void);
void host_link_register(const struct host_link_client *client);
/* A buffer with room for up to `wanted` bytes (fewer if memory is short). NULL: wait for room. */
struct host_link_buffer *host_link_buffer_alloc(u32 wanted) must_check;
void host_link_buffer_free(struct host_link_buffer *buffer);
/* Takes over the buffer. Any context. */
void host_link_submit(struct host_link_buffer *buffer);
/*
 * Under `deterministic`: takes what the host sends, with the clock stopped, until `is_done`, which
 * must not sleep. No lock is held.
 */
void host_link_await(bool (*is_done)(void *object), void *object);
/* For a panic: sends at once, waiting for the device, using no lock, no interrupt, no memory. */
void host_link_send_panic(const void *bytes, size_t count);

void dev_init(void);
