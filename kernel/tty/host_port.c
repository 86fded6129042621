/*
 * The kernel's end of the protocol with the `pith` command (host_protocol.h): takes the link's byte
 * stream apart into frames, keeps each channel's credits, and sends frames.
 *
 * The host is a peer that may be wrong: a frame of an unknown type or channel, one that is too
 * large, or data beyond the credit that we gave ends the conversation: the port is dead from then
 * on, all readers see the end of file and all writers EPIPE.
 *
 *     interrupt -> deferred work -> port_receive -> header complete? -> frame_handle
 *                                                   payload of DATA -> ring of its channel
 *
 * Locking: the parser runs in deferred work, on one CPU at a time. A channel's state is guarded by
 *          its queue's lock. Frames that deferred work wants to send (credits) are only noted there
 *          (`owed`), and sent by whoever comes by with a buffer, since there may be no room.
 */
#include "host_port.h"

#include <pith/abi/fcntl.h>
#include <pith/host_link.h>
#include <pith/string.h>

#define SMALL_PAYLOAD_MAX 64

#define CHANNELS_ALL      (HOST_SESSIONS * HOST_CHANNELS)

static struct host_channel_state channels[CHANNELS_ALL];
static u32 channels_used = HOST_CHANNELS; /* [atomic] those of sessions that ever were */

static struct {
    /* The parser's. [cpu] of the link's deferred work */
    struct host_frame header;
    u32 header_bytes;  /* of `header` that came */
    u32 payload_bytes; /* of the frame's payload that came */
    u8 payload[SMALL_PAYLOAD_MAX];
    bool dead; /* [atomic] the host broke the protocol */

    struct wait_queue room;                /* who waits for a buffer, or for EXIT_ACK */
    bool exit_acknowledged;                /* guarded_by(&room.lock) */
    const struct host_port_client *client; /* [const] after boot */
} port;

struct host_channel_state *host_channel(enum host_channel number)
{
    return &channels[number];
}

struct host_channel_state *host_channel_numbered(u32 number)
{
    return &channels[number];
}

void host_port_use_session(u32 session)
{
    u32 used = (session + 1) * HOST_CHANNELS;

    if (READ_ONCE(channels_used) < used)
        WRITE_ONCE(channels_used, used);
}

void host_port_register(const struct host_port_client *client)
{
    port.client = client;
}

/* ---- Sending ---- */

void host_port_submit(struct host_link_buffer *buffer, enum host_frame_type type, u32 channel)
{
    struct host_frame header = {
        .type = type, .channel = channel, .size = buffer->bytes - sizeof(header)};

    memcpy(buffer->data, &header, sizeof(header));
    host_link_submit(buffer);
}

int host_port_buffer_wait(u32 wanted, u32 open_flags, struct host_link_buffer **buffer_out)
{
    struct host_link_buffer *buffer;
    int error = 0;

    spin_lock(&port.room.lock);
    while (!(buffer = host_link_buffer_alloc(wanted)) && !error) {
        if (open_flags & O_NONBLOCK)
            error = -EAGAIN;
        else
            error = wait_queue_wait(&port.room, WAIT_INTERRUPTIBLE, WAIT_FOR_PIPE);
    }
    spin_unlock(&port.room.lock);
    /* An interruption that came with a free buffer does not waste it. */
    if (!buffer)
        return error ? error : -EAGAIN;
    *buffer_out = buffer;
    return 0;
}

int host_port_send(enum host_frame_type type, u32 channel, const void *payload, u32 bytes)
{
    struct host_link_buffer *buffer;
    int error = host_port_buffer_wait(sizeof(struct host_frame) + bytes, 0, &buffer);

    if (error)
        return error;
    memcpy(buffer->data + sizeof(struct host_frame), payload, bytes);
    buffer->bytes = sizeof(struct host_frame) + bytes;
    host_port_submit(buffer, type, channel);
    return 0;
}

/*
 * Sends one owed frame of the channel. False: no room; it stays owed, and port_room comes back to
 * it.
 */
static bool send_owed_of(struct host_channel_state *channel)
{
    struct host_link_buffer *buffer;
    enum host_frame_type type = HOST_FRAME_CREDIT;

    if (!READ_ONCE(channel->owed_credit) && !READ_ONCE(channel->owed_poll) &&
        !READ_ONCE(channel->owed_withdrawal) && !READ_ONCE(channel->owed_close))
        return true;
    buffer = host_link_buffer_alloc(sizeof(struct host_frame) + sizeof(u32));
    if (!buffer)
        return false;
    buffer->bytes = sizeof(struct host_frame);
    spin_lock(&channel->queue.lock);
    if (channel->owed_credit || channel->owed_withdrawal) {
        memcpy(buffer->data + sizeof(struct host_frame), &channel->owed_credit, sizeof(u32));
        buffer->bytes += sizeof(u32);
        channel->owed_credit = 0;
        channel->owed_withdrawal = false;
    } else if (channel->owed_poll) {
        type = HOST_FRAME_POLL;
        channel->owed_poll = false;
    } else if (channel->owed_close) {
        type = HOST_FRAME_CLOSE;
        channel->owed_close = false;
    } else {
        spin_unlock(&channel->queue.lock);
        host_link_buffer_free(buffer);
        return true;
    }
    spin_unlock(&channel->queue.lock);
    host_port_submit(buffer, type, channel->number);
    return true;
}

void host_port_send_owed(void)
{
    if (!host_link_exists())
        return;
    for (unsigned i = 0; i < READ_ONCE(channels_used); i++) {
        if (!send_owed_of(&channels[i]))
            return;
    }
}

static void port_room(void)
{
    host_port_send_owed();
    wait_queue_wake(&port.room, WAKE_ALL, 0);
    if (port.client)
        port.client->terminal_room();
}

int host_port_wait_exit_ack(void)
{
    int error = 0;

    spin_lock(&port.room.lock);
    while (!port.exit_acknowledged && !error)
        error = wait_queue_wait(&port.room, WAIT_KILLABLE, WAIT_FOR_FILE);
    spin_unlock(&port.room.lock);
    return error;
}

/* ---- Channels ---- */

int host_channel_open(struct host_channel_state *channel)
{
    struct frame *frame;
    bool taken = false;

    if (READ_ONCE(channel->ring))
        return 0;
    frame = frame_alloc(__builtin_ctz(HOST_RING_BYTES / PAGE_SIZE), FRAME_KERNEL, 0);
    if (!frame)
        return -ENOMEM;
    spin_lock(&channel->queue.lock);
    if (!channel->ring) {
        channel->ring = frame_data(frame);
        taken = true;
    }
    spin_unlock(&channel->queue.lock);
    if (!taken)
        frame_free(frame);
    return 0;
}

/*
 * Invariant: ring_count + credit_out <= HOST_RING_BYTES, so that what comes within its credit fits.
 */
void host_channel_ask_locked(struct host_channel_state *channel, u32 bytes)
{
    u32 room = HOST_RING_BYTES - channel->ring_count - channel->credit_out;

    bytes = MIN(bytes, room);
    channel->credit_out += bytes;
    channel->owed_credit += bytes;
    channel->ready = false;
}

void host_channel_withdraw(struct host_channel_state *channel)
{
    spin_lock(&channel->queue.lock);
    if (channel->credit_out) {
        /* What was asked for but not sent yet is simply not sent. */
        channel->owed_withdrawal = channel->owed_credit == 0;
        channel->owed_credit = 0;
        if (!channel->owed_withdrawal)
            channel->credit_out = 0;
    }
    spin_unlock(&channel->queue.lock);
    host_port_send_owed();
}

u32 host_channel_take(struct host_channel_state *channel, u8 *to, u32 size)
{
    u32 start, count;

    spin_lock(&channel->queue.lock);
    start = channel->ring_start;
    count = MIN(MIN(channel->ring_count, size), HOST_RING_BYTES - start);
    spin_unlock(&channel->queue.lock);
    /* Only readers move the start, and read_mutex keeps them out; the parser writes behind it. */
    memcpy(to, channel->ring + start, count);
    spin_lock(&channel->queue.lock);
    channel->ring_start = (start + count) % HOST_RING_BYTES;
    channel->ring_count -= count;
    spin_unlock(&channel->queue.lock);
    return count;
}

void host_channel_feed(struct host_channel_state *channel, u32 (*take)(const u8 *bytes, u32 count))
{
    u32 start, count, taken;

    do {
        spin_lock(&channel->queue.lock);
        start = channel->ring_start;
        count = MIN(channel->ring_count, HOST_RING_BYTES - start);
        spin_unlock(&channel->queue.lock);
        /* Only we move the start; the parser writes behind what is there. */
        taken = count ? take(channel->ring + start, count) : 0;
        spin_lock(&channel->queue.lock);
        channel->ring_start = (start + taken) % HOST_RING_BYTES;
        channel->ring_count -= taken;
        if (taken)
            host_channel_ask_locked(channel, taken);
        spin_unlock(&channel->queue.lock);
    } while (taken);
    host_port_send_owed();
}

/* ---- Receiving ---- */

static void port_die(const char *why)
{
    log_error("host port: %s", why);
    WRITE_ONCE(port.dead, true);
    for (unsigned i = 0; i < CHANNELS_ALL; i++) {
        spin_lock(&channels[i].queue.lock);
        channels[i].ended = true;
        channels[i].gone = true;
        wait_queue_wake_locked(&channels[i].queue, WAKE_ALL, U32_MAX);
        spin_unlock(&channels[i].queue.lock);
    }
}

/*
 * Puts a part of a DATA frame's payload into the channel's ring. False: beyond the credit, or after
 * END.
 */
static bool channel_receive(struct host_channel_state *channel, const u8 *bytes, u32 count)
{
    bool allowed;

    spin_lock(&channel->queue.lock);
    allowed = channel->ring && count <= channel->credit_out && !channel->ended;
    if (allowed) {
        channel->credit_out -= count;
        for (u32 done = 0; done < count;) {
            u32 at = (channel->ring_start + channel->ring_count) % HOST_RING_BYTES;
            u32 part = MIN(count - done, HOST_RING_BYTES - at);

            memcpy(channel->ring + at, bytes + done, part);
            channel->ring_count += part;
            done += part;
        }
        wait_queue_wake_locked(&channel->queue, WAKE_ALL, U32_MAX);
    }
    spin_unlock(&channel->queue.lock);
    if (allowed && channel->number == HOST_CHANNEL_TERMINAL && port.client)
        port.client->terminal_input();
    return allowed;
}

/*
 * The frame that answers a read of STDIN is over: what the host did not use of the credit is void.
 */
static void stdin_answered(struct host_channel_state *channel)
{
    spin_lock(&channel->queue.lock);
    channel->credit_out = 0;
    spin_unlock(&channel->queue.lock);
}

static void channel_flag(struct host_channel_state *channel, bool *flag)
{
    spin_lock(&channel->queue.lock);
    *flag = true;
    wait_queue_wake_locked(&channel->queue, WAKE_ALL, U32_MAX);
    spin_unlock(&channel->queue.lock);
}

static void credit_receive(struct host_channel_state *channel, u32 bytes)
{
    spin_lock(&channel->queue.lock);
    channel->credit_in += bytes;
    wait_queue_wake_locked(&channel->queue, WAKE_ALL, U32_MAX);
    spin_unlock(&channel->queue.lock);
    if (channel->number == HOST_CHANNEL_TERMINAL && port.client)
        port.client->terminal_room();
}

static void exit_acknowledged(void)
{
    spin_lock(&port.room.lock);
    port.exit_acknowledged = true;
    wait_queue_wake_locked(&port.room, WAKE_ALL, 0);
    spin_unlock(&port.room.lock);
}

/* The size of payload that a type of frame has; DATA's varies. U32_MAX: not for us. */
static const u32 payload_sizes[] = {
    [HOST_FRAME_HELLO] = sizeof(u32),
    [HOST_FRAME_CREDIT] = sizeof(u32),
    [HOST_FRAME_END] = 0,
    [HOST_FRAME_GONE] = 0,
    [HOST_FRAME_WINDOW] = sizeof(u32),
    [HOST_FRAME_SIGNAL] = sizeof(u32),
    [HOST_FRAME_EXIT] = U32_MAX,
    [HOST_FRAME_EXIT_ACK] = 0,
    [HOST_FRAME_PANIC] = U32_MAX,
    [HOST_FRAME_STAMP] = U32_MAX,
    [HOST_FRAME_POLL] = U32_MAX,
    [HOST_FRAME_READY] = 0,
    [HOST_FRAME_CLOSE] = 0,
};

static bool header_is_valid(const struct host_frame *header)
{
    if (header->channel >= CHANNELS_ALL || header->type == 0 || header->reserved)
        return false;
    if (header->type == HOST_FRAME_DATA)
        return header->size > 0 && header->size <= HOST_FRAME_MAX;
    return header->type < ARRAY_SIZE(payload_sizes) && header->size == payload_sizes[header->type];
}

/* A whole frame came; its payload, unless it is DATA, lies in port.payload. */
static void frame_handle(void)
{
    struct host_channel_state *channel = &channels[port.header.channel];
    u32 word;

    memcpy(&word, port.payload, sizeof(word));
    switch (port.header.type) {
    case HOST_FRAME_HELLO:
        if (word != HOST_PROTOCOL_VERSION)
            port_die("the host speaks another version of the protocol");
        break;
    case HOST_FRAME_CREDIT:
        credit_receive(channel, word);
        break;
    case HOST_FRAME_END:
        channel_flag(channel, &channel->ended);
        break;
    case HOST_FRAME_GONE:
        channel_flag(channel, &channel->gone);
        break;
    case HOST_FRAME_READY:
        channel_flag(channel, &channel->ready);
        break;
    case HOST_FRAME_WINDOW:
        if (port.client)
            port.client->window(word & 0xffff, word >> 16);
        break;
    case HOST_FRAME_SIGNAL:
        if (port.client)
            port.client->signal(word);
        break;
    case HOST_FRAME_EXIT_ACK:
        exit_acknowledged();
        break;
    case HOST_FRAME_CLOSE:
        host_session_closed(port.header.channel / HOST_CHANNELS);
        break;
    }
    if (port.header.channel % HOST_CHANNELS == HOST_CHANNEL_STDIN &&
        (port.header.type == HOST_FRAME_DATA || port.header.type == HOST_FRAME_END))
        stdin_answered(channel);
}

/* Takes what it can of the current frame's payload. Returns how many bytes that were. */
static u32 payload_receive(const u8 *bytes, u32 count)
{
    u32 part = MIN(count, port.header.size - port.payload_bytes);

    if (port.header.type != HOST_FRAME_DATA)
        memcpy(port.payload + port.payload_bytes, bytes, part);
    else if (!channel_receive(&channels[port.header.channel], bytes, part))
        port_die("the host sent more than it was asked for");
    port.payload_bytes += part;
    return part;
}

static void port_receive(const u8 *bytes, size_t count)
{
    while (count && !port.dead) {
        u32 part;

        if (port.header_bytes < sizeof(port.header)) {
            part = MIN(count, sizeof(port.header) - port.header_bytes);
            memcpy((u8 *)&port.header + port.header_bytes, bytes, part);
            port.header_bytes += part;
            port.payload_bytes = 0;
            if (port.header_bytes == sizeof(port.header) && !header_is_valid(&port.header))
                port_die("the host sent a frame that does not exist");
        } else {
            part = payload_receive(bytes, count);
        }
        bytes += part;
        count -= part;
        if (port.header_bytes == sizeof(port.header) && port.payload_bytes == port.header.size &&
            !port.dead) {
            frame_handle();
            port.header_bytes = 0;
        }
    }
    host_port_send_owed();
}

static const struct host_link_client link_client = {
    .receive = port_receive,
    .room = port_room,
};

void host_port_init(void)
{
    const struct host_stamp entry = {
        .moment = HOST_MOMENT_KERNEL, .tsc_since_reset = boot_info.tsc_at_entry, .tsc_hz = tsc_hz};
    u32 version = HOST_PROTOCOL_VERSION;

    wait_queue_init(&port.room);
    for (unsigned i = 0; i < CHANNELS_ALL; i++) {
        wait_queue_init(&channels[i].queue);
        mutex_init(&channels[i].read_mutex, LOCK_PIPE);
        mutex_init(&channels[i].write_mutex, LOCK_PIPE);
        channels[i].number = i;
        channels[i].credit_in = HOST_CREDIT_INITIAL;
    }
    if (!host_link_exists())
        return;
    if (host_channel_open(&channels[HOST_CHANNEL_CONTROL])) {
        log_error("host port: no memory for the control channel");
        return;
    }
    channels[HOST_CHANNEL_CONTROL].credit_out = HOST_CREDIT_CONTROL;
    if (host_port_send(HOST_FRAME_HELLO, HOST_CHANNEL_CONTROL, &version, sizeof(version)) ||
        host_port_send(HOST_FRAME_STAMP, HOST_CHANNEL_CONTROL, &entry, sizeof(entry)))
        log_error("host port: the greeting could not be sent");
    host_link_register(&link_client);
    host_log_init();
}
