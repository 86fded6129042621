/*
 * Frames to and from the guest, over the socket behind its console port.
 *
 * Sending queues and never waits; how much can be queued is bounded by the credits of the channels
 * above. What arrives is checked here for form (type, channel, size), above for meaning.
 */
#include "pith.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <unistd.h>

#define RECEIVE_BYTES (2 * (HOST_FRAME_MAX + sizeof(struct host_frame)))

void link_open(struct link *link, int fd, enum link_peer peer)
{
    *link = (struct link){.fd = fd, .peer = peer};
    fcntl(fd, F_SETFL, O_NONBLOCK); /* a socket of our own */
}

static void send_one(struct link *link, enum host_frame_type type, uint8_t channel,
                     const uint8_t *payload, size_t size)
{
    struct host_frame frame = {.type = type, .channel = channel, .size = size};

    buffer_append(&link->out, &frame, sizeof(frame));
    buffer_append(&link->out, payload, size);
}

void link_send(struct link *link, enum host_frame_type type, uint8_t channel, const void *payload,
               size_t size)
{
    const uint8_t *bytes = payload;

    while (size > HOST_FRAME_MAX) {
        send_one(link, type, channel, bytes, HOST_FRAME_MAX);
        bytes += HOST_FRAME_MAX;
        size -= HOST_FRAME_MAX;
    }
    send_one(link, type, channel, bytes, size);
}

void link_flush(struct link *link)
{
    while (link->out.size) {
        ssize_t count = write(link->fd, link->out.data, link->out.size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count < 0 && errno != EAGAIN)
            buffer_consume(&link->out, link->out.size); /* QEMU is gone; its end is noticed */
        if (count < 0)
            return;
        buffer_consume(&link->out, count);
    }
}

#define BOTH (1u << LINK_TO_GUEST | 1u << LINK_TO_CLIENT)

/* What each type of frame must look like, and who may send it. */
static bool frame_is_valid(const struct link *link, const struct host_frame *frame)
{
    static const struct {
        unsigned peers;
        uint32_t least, most; /* bytes of payload */
    } forms[] = {
        [HOST_FRAME_HELLO] = {BOTH, 4, 4},
        [HOST_FRAME_DATA] = {BOTH, 1, HOST_FRAME_MAX},
        [HOST_FRAME_CREDIT] = {BOTH, 4, 4},
        [HOST_FRAME_END] = {BOTH, 0, 0},
        [HOST_FRAME_GONE] = {BOTH, 0, 0},
        [HOST_FRAME_WINDOW] = {1u << LINK_TO_CLIENT, 4, 4},
        [HOST_FRAME_SIGNAL] = {1u << LINK_TO_CLIENT, 4, 4},
        [HOST_FRAME_EXIT] = {1u << LINK_TO_GUEST, sizeof(struct host_exit),
                             sizeof(struct host_exit)},
        [HOST_FRAME_PANIC] = {1u << LINK_TO_GUEST, 0, 0},
        [HOST_FRAME_STAMP] = {1u << LINK_TO_GUEST, sizeof(struct host_stamp),
                              sizeof(struct host_stamp)},
        [HOST_FRAME_POLL] = {1u << LINK_TO_GUEST, 0, 0},
        [HOST_FRAME_READY] = {1u << LINK_TO_CLIENT, 0, 0},
        [HOST_FRAME_CLOSE] = {1u << LINK_TO_GUEST, 0, 0},
    };
    unsigned channels = link->peer == LINK_TO_GUEST ? HOST_SESSIONS * HOST_CHANNELS : HOST_CHANNELS;

    return frame->type < sizeof(forms) / sizeof(forms[0]) &&
           forms[frame->type].peers & 1u << link->peer && frame->channel < channels &&
           !frame->reserved && frame->size >= forms[frame->type].least &&
           frame->size <= forms[frame->type].most;
}

/* Hands on all whole frames. */
static int dispatch(struct link *link, link_handler *handler, void *context)
{
    struct host_frame frame;
    int error;

    while (link->in.size >= sizeof(frame)) {
        memcpy(&frame, link->in.data, sizeof(frame));
        if (!frame_is_valid(link, &frame))
            return -EPROTO;
        if (link->in.size < sizeof(frame) + frame.size)
            break;
        error = handler(context, &frame, link->in.data + sizeof(frame));
        if (error)
            return error;
        buffer_consume(&link->in, sizeof(frame) + frame.size);
    }
    return 0;
}

int link_receive(struct link *link, link_handler *handler, void *context)
{
    static uint8_t bytes[RECEIVE_BYTES];
    ssize_t count = read(link->fd, bytes, sizeof(bytes));
    int error;

    if (count < 0)
        return errno == EAGAIN || errno == EINTR;
    if (!count)
        return 0;
    buffer_append(&link->in, bytes, count);
    error = dispatch(link, handler, context);
    return error ? error : 1;
}
