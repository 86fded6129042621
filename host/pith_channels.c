/*
 * Channels: bytes between the caller's streams and the guest, under credit.
 *
 * To the host, each channel has a window of HOST_CREDIT_INITIAL bytes. What the guest sends within
 * it is written on at once or kept until the stream takes it, and then given back as new credit; so
 * a slow reader holds up its own channel only, and we never keep more than a window. A stream that
 * nobody reads any more is GONE, once.
 *
 * To the guest, standard input is read only for a request of the guest's (a credit), at most once
 * for each, and never for more than it asked; so what the program leaves is there for whoever reads
 * next. The terminal is read as far as credits reach.
 *
 * init gives programs no stream that the caller has not, but root finds their devices
 * (/dev/console, /dev/host). Such a stream is as /dev/null: it takes all and has nothing, and
 * nobody types.
 */
#include "pith.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>

#define TERMINAL_READ_BYTES 4096

/* Bytes from the guest. */
struct output {
    enum host_channel channel;
    const struct stream *stream; /* NULL: none, what comes is dropped */
    uint32_t credit;             /* what the guest may still send */
    uint32_t used;               /* what left and was not yet given back */
    struct buffer waiting;       /* came, and did not leave yet */
    bool is_gone;
    bool has_lost; /* a write failed, and not because nobody reads: bytes are lost */
};

/* Bytes to the guest. */
struct input {
    const struct stream *stream; /* NULL: none */
    uint32_t credit;             /* standard input: the request; terminal: all that may come */
    bool is_asked;               /* a POLL waits for READY */
    bool is_ended;
};

enum {
    OUTPUT_STDOUT,
    OUTPUT_STDERR,
    OUTPUT_TERMINAL,
    OUTPUTS
};

struct channels {
    struct link *link;
    struct output outputs[OUTPUTS];
    struct input input;    /* standard input */
    struct input keyboard; /* the terminal */
    struct terminal *terminal;
    uint32_t control_credit;
    struct buffer control; /* waits for credit */
    struct pollfd *polled; /* of the last channels_poll, to know what is ready */
};

static void output_init(struct output *output, enum host_channel channel,
                        const struct stream *stream)
{
    *output = (struct output){.channel = channel, .stream = stream, .credit = HOST_CREDIT_INITIAL};
}

static const struct stream *stream_if_channel(const struct stream *stream)
{
    return stream->kind == HOST_STREAM_CHANNEL ? stream : NULL;
}

struct channels *channels_create(struct link *link, const struct stream streams[STREAMS],
                                 struct terminal *terminal)
{
    struct channels *channels = calloc(1, sizeof(*channels));
    const struct stream *screen = terminal ? terminal_stream(terminal) : NULL;

    if (!channels)
        fail("this machine is out of memory");
    channels->link = link;
    channels->terminal = terminal;
    channels->control_credit = HOST_CREDIT_CONTROL;
    output_init(&channels->outputs[OUTPUT_STDOUT], HOST_CHANNEL_STDOUT,
                stream_if_channel(&streams[1]));
    output_init(&channels->outputs[OUTPUT_STDERR], HOST_CHANNEL_STDERR,
                stream_if_channel(&streams[2]));
    output_init(&channels->outputs[OUTPUT_TERMINAL], HOST_CHANNEL_TERMINAL, screen);
    channels->input.stream = stream_if_channel(&streams[0]);
    channels->keyboard.stream = screen;
    channels->keyboard.is_ended = !screen;
    return channels;
}

/* ---- From the guest ---- */

static void output_say_gone(struct channels *channels, struct output *output, int error)
{
    if (output->channel != HOST_CHANNEL_TERMINAL && error != EPIPE) {
        say("standard %s: %s", output->channel == HOST_CHANNEL_STDERR ? "error" : "output",
            strerror(error));
        output->has_lost = true;
    }
    output->is_gone = true;
    buffer_consume(&output->waiting, output->waiting.size);
    link_send(channels->link, HOST_FRAME_GONE, output->channel, NULL, 0);
}

/* Gives credit back, not for each byte but for each good part of the window. */
static void output_give_credit(struct channels *channels, struct output *output)
{
    if (output->used < HOST_CREDIT_INITIAL / 4)
        return;
    link_send(channels->link, HOST_FRAME_CREDIT, output->channel, &output->used,
              sizeof(output->used));
    output->credit += output->used;
    output->used = 0;
}

/* Writes what the stream takes. Returns how many bytes, all of them if nobody will read them. */
static size_t output_write(struct channels *channels, struct output *output, const uint8_t *bytes,
                           size_t size)
{
    size_t done = output->stream ? 0 : size;

    while (done < size && !output->is_gone) {
        ssize_t count = stream_write(output->stream, bytes + done, size - done);

        if (count == -EAGAIN)
            break;
        if (count < 0)
            output_say_gone(channels, output, -count);
        else
            done += count;
    }
    if (output->is_gone)
        return size;
    output->used += done;
    output_give_credit(channels, output);
    return done;
}

static int output_take(struct channels *channels, struct output *output, const uint8_t *bytes,
                       uint32_t size)
{
    size_t done = 0;

    if (size > output->credit)
        return -EPROTO;
    if (output->is_gone) {
        output->credit -= size;
        return 0; /* sent before GONE arrived */
    }
    output->credit -= size;
    if (!output->waiting.size)
        done = output_write(channels, output, bytes, size);
    buffer_append(&output->waiting, bytes + done, size - done);
    return 0;
}

static void output_continue(struct channels *channels, struct output *output)
{
    size_t done;

    if (!output->waiting.size)
        return;
    done = output_write(channels, output, output->waiting.data, output->waiting.size);
    if (!output->is_gone)
        buffer_consume(&output->waiting, done);
}

/* ---- To the guest ---- */

/* Answers the guest's request if there is something to answer with. */
static void input_continue(struct channels *channels)
{
    static uint8_t bytes[HOST_FRAME_MAX];
    struct input *input = &channels->input;
    size_t wanted = input->credit < sizeof(bytes) ? input->credit : sizeof(bytes);
    ssize_t count;

    if (!wanted)
        return;
    count = input->stream ? stream_read(input->stream, bytes, wanted) : 0;
    if (count == -EAGAIN)
        return;
    input->credit = 0;
    input->is_asked = false;
    if (count > 0)
        link_send(channels->link, HOST_FRAME_DATA, HOST_CHANNEL_STDIN, bytes, count);
    else
        link_send(channels->link, HOST_FRAME_END, HOST_CHANNEL_STDIN, NULL, 0);
}

static void input_say_ready(struct channels *channels, short events)
{
    if (!channels->input.is_asked || !events)
        return;
    channels->input.is_asked = false;
    link_send(channels->link, HOST_FRAME_READY, HOST_CHANNEL_STDIN, NULL, 0);
}

static void keyboard_continue(struct channels *channels, short events)
{
    struct input *keyboard = &channels->keyboard;
    uint8_t bytes[TERMINAL_READ_BYTES];
    size_t wanted = keyboard->credit < sizeof(bytes) ? keyboard->credit : sizeof(bytes);
    ssize_t count;

    if (!events || !wanted || keyboard->is_ended)
        return;
    count = stream_read(keyboard->stream, bytes, wanted);
    if (count == -EAGAIN)
        return;
    if (count > 0) {
        keyboard->credit -= count;
        link_send(channels->link, HOST_FRAME_DATA, HOST_CHANNEL_TERMINAL, bytes, count);
        return;
    }
    keyboard->is_ended = true; /* the line is down */
    link_send(channels->link, HOST_FRAME_GONE, HOST_CHANNEL_TERMINAL, NULL, 0);
    link_send(channels->link, HOST_FRAME_END, HOST_CHANNEL_TERMINAL, NULL, 0);
}

static void control_continue(struct channels *channels)
{
    size_t size = channels->control.size < channels->control_credit ? channels->control.size
                                                                    : channels->control_credit;

    if (!size)
        return;
    link_send(channels->link, HOST_FRAME_DATA, HOST_CHANNEL_CONTROL, channels->control.data, size);
    channels->control_credit -= size;
    buffer_consume(&channels->control, size);
}

void channels_send_control(struct channels *channels, const void *bytes, size_t size)
{
    buffer_append(&channels->control, bytes, size);
    control_continue(channels);
}

/* ---- Frames ---- */

static int add_credit(uint32_t *credit, uint32_t more)
{
    if (more > HOST_CREDIT_MAX || *credit + more > HOST_CREDIT_MAX)
        return -EPROTO;
    *credit += more;
    return 0;
}

static int take_input_credit(struct channels *channels, uint32_t wanted)
{
    struct input *input = &channels->input;

    if (wanted > HOST_CREDIT_MAX || (wanted && input->credit))
        return -EPROTO;
    input->credit = wanted;
    input_continue(channels);
    return 0;
}

static int take_credit(struct channels *channels, enum host_channel channel, uint32_t credit)
{
    int error;

    if (channel == HOST_CHANNEL_STDIN)
        return take_input_credit(channels, credit);
    if (channel == HOST_CHANNEL_CONTROL) {
        error = add_credit(&channels->control_credit, credit);
        control_continue(channels);
        return error;
    }
    if (channel != HOST_CHANNEL_TERMINAL)
        return -EPROTO;
    if (channels->terminal)
        terminal_make_raw(channels->terminal);
    return add_credit(&channels->keyboard.credit, credit);
}

int channels_handle(struct channels *channels, const struct host_frame *frame,
                    const uint8_t *payload)
{
    uint32_t credit;

    if (frame->type == HOST_FRAME_CREDIT) {
        memcpy(&credit, payload, sizeof(credit));
        return take_credit(channels, frame->channel, credit);
    }
    if (frame->type == HOST_FRAME_POLL && frame->channel == HOST_CHANNEL_STDIN) {
        channels->input.is_asked = true;
        input_say_ready(channels, channels->input.stream ? 0 : POLLIN);
        return 0;
    }
    for (int i = 0; frame->type == HOST_FRAME_DATA && i < OUTPUTS; i++) {
        struct output *output = &channels->outputs[i];

        if (output->channel == frame->channel)
            return output_take(channels, output, payload, frame->size);
    }
    return -EPROTO;
}

/* ---- The event loop's side ---- */

size_t channels_poll(struct channels *channels, struct pollfd *polled)
{
    size_t count = 0;

    channels->polled = polled;
    for (int i = 0; i < OUTPUTS; i++) {
        struct output *output = &channels->outputs[i];

        polled[count++] = (struct pollfd){.fd = output->waiting.size ? output->stream->fd : -1,
                                          .events = POLLOUT};
    }
    polled[count++] = (struct pollfd){
        .fd = channels->input.credit || channels->input.is_asked ? channels->input.stream->fd : -1,
        .events = POLLIN};
    polled[count++] =
        (struct pollfd){.fd = channels->keyboard.credit && !channels->keyboard.is_ended
                                  ? channels->keyboard.stream->fd
                                  : -1,
                        .events = POLLIN};
    return count;
}

void channels_progress(struct channels *channels)
{
    const struct pollfd *polled = channels->polled;

    for (int i = 0; i < OUTPUTS; i++) {
        if (polled[i].revents)
            output_continue(channels, &channels->outputs[i]);
    }
    if (polled[OUTPUTS].revents)
        input_continue(channels);
    input_say_ready(channels, polled[OUTPUTS].revents);
    keyboard_continue(channels, polled[OUTPUTS + 1].revents);
}

bool channels_are_drained(const struct channels *channels)
{
    for (int i = 0; i < OUTPUTS; i++) {
        if (channels->outputs[i].waiting.size)
            return false;
    }
    return true;
}

bool channels_have_lost(const struct channels *channels)
{
    for (int i = 0; i < OUTPUTS; i++) {
        if (channels->outputs[i].has_lost)
            return true;
    }
    return false;
}
