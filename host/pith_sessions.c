/*
 * Who is attached to our machine: from each client's socket to its session's channels and back.
 *
 *     pith attach --- socket --- us --- link --- guest, channels of session N
 *         HELLO                               a number is free? HELLO back
 *         DATA CONTROL: a description   ->    with HOST_RUN_SESSION, on CONTROL of session 0
 *         frames of its channels       <->    the same, with another channel number
 *         WINDOW, SIGNAL                ->    a command, on CONTROL of session 0
 *                                       <-    EXIT
 *         closes                              END and GONE for what it had, SIGHUP for the program
 *                                       <-    CLOSE: and back; the number is free
 *
 * Data is not looked at. Credits go from end to end, so what waits here for a slow client is
 * bounded by what it gave. A client that ends, or sends what is no frame, loses only its own
 * session.
 */
#include "pith.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define DESCRIPTION_MOST ((size_t)16 << 20)

enum client_state {
    CLIENT_NONE,      /* the number is free */
    CLIENT_DESCRIBES, /* its description comes */
    CLIENT_RUNS,      /* the guest has it */
    CLIENT_GONE,      /* the guest has it, and nobody is there */
};

struct client {
    enum client_state state;
    struct link link; /* fd -1: it is gone */
    struct buffer description;
};

struct sessions {
    int fd; /* who connects; -1: nobody can */
    struct link *guest;
    struct channels *channels;
    struct client clients[HOST_SESSIONS]; /* by session; 0 is not used */
};

struct sessions *sessions_create(struct link *guest, struct channels *channels)
{
    struct sessions *sessions = calloc(1, sizeof(*sessions));
    unsigned long id;

    if (!sessions)
        fail("this machine is out of memory");
    sessions->guest = guest;
    sessions->channels = channels;
    sessions->fd = machines_announce(&id);
    for (unsigned i = 0; i < HOST_SESSIONS; i++)
        sessions->clients[i].link.fd = -1;
    return sessions;
}

static unsigned number_of(const struct sessions *sessions, const struct client *client)
{
    return client - sessions->clients;
}

/* ---- Ends ---- */

static void send_command(struct sessions *sessions, const struct client *client, uint32_t signal,
                         const uint16_t window[2])
{
    struct buffer command = {0};

    description_build_command(&command, number_of(sessions, client), signal, window);
    channels_send_control(sessions->channels, command.data, command.size);
    buffer_free(&command);
}

static void close_link(struct client *client)
{
    close(client->link.fd);
    buffer_free(&client->link.in);
    buffer_free(&client->link.out);
    buffer_free(&client->description);
    client->link = (struct link){.fd = -1};
    client->description = (struct buffer){0};
}

/* The client is gone: nobody reads or writes the session's channels any more. */
static void client_went(struct sessions *sessions, struct client *client)
{
    static const enum host_channel inputs[] = {HOST_CHANNEL_STDIN, HOST_CHANNEL_TERMINAL};
    static const enum host_channel outputs[] = {HOST_CHANNEL_STDOUT, HOST_CHANNEL_STDERR,
                                                HOST_CHANNEL_TERMINAL};
    unsigned number = number_of(sessions, client);

    close_link(client);
    if (client->state != CLIENT_RUNS) {
        client->state = CLIENT_NONE;
        return;
    }
    client->state = CLIENT_GONE;
    for (size_t i = 0; i < sizeof(inputs) / sizeof(inputs[0]); i++)
        link_send(sessions->guest, HOST_FRAME_END, host_channel_of(number, inputs[i]), NULL, 0);
    for (size_t i = 0; i < sizeof(outputs) / sizeof(outputs[0]); i++)
        link_send(sessions->guest, HOST_FRAME_GONE, host_channel_of(number, outputs[i]), NULL, 0);
    send_command(sessions, client, SIGHUP, (uint16_t[2]){0, 0});
}

/* ---- From clients ---- */

struct frame_context {
    struct sessions *sessions;
    struct client *client;
};

/* Our number for the session goes first, so a client's own could only come too late. */
static void start_session(struct sessions *sessions, struct client *client)
{
    struct host_run header;
    struct {
        struct host_run_entry entry;
        uint32_t number, reserved;
    } session = {{HOST_RUN_SESSION, 2 * sizeof(uint32_t)}, number_of(sessions, client), 0};

    memcpy(&header, client->description.data, sizeof(header));
    header.size += sizeof(session);
    header.count++;
    channels_send_control(sessions->channels, &header, sizeof(header));
    channels_send_control(sessions->channels, client->description.data + sizeof(header),
                          client->description.size - sizeof(header));
    channels_send_control(sessions->channels, &session, sizeof(session));
    buffer_free(&client->description);
    client->description = (struct buffer){0};
    client->state = CLIENT_RUNS;
}

static int take_description(struct sessions *sessions, struct client *client, const uint8_t *bytes,
                            size_t size)
{
    struct host_run header;
    uint32_t used = size;

    buffer_append(&client->description, bytes, size);
    link_send(&client->link, HOST_FRAME_CREDIT, HOST_CHANNEL_CONTROL, &used, sizeof(used));
    if (client->description.size < sizeof(header))
        return 0;
    memcpy(&header, client->description.data, sizeof(header));
    if (header.magic != HOST_RUN_MAGIC || header.size > DESCRIPTION_MOST ||
        client->description.size > sizeof(header) + header.size)
        return -EPROTO;
    if (client->description.size == sizeof(header) + header.size)
        start_session(sessions, client);
    return 0;
}

static int take_client_frame(void *context, const struct host_frame *frame, const uint8_t *payload)
{
    struct frame_context *at = context;
    struct sessions *sessions = at->sessions;
    struct client *client = at->client;
    uint16_t window[2] = {0, 0};
    uint32_t word = 0;

    memcpy(&word, payload, frame->size >= sizeof(word) ? sizeof(word) : 0);
    if (frame->type == HOST_FRAME_HELLO)
        return word == HOST_PROTOCOL_VERSION ? 0 : -EPROTO;
    if (client->state == CLIENT_DESCRIBES)
        return frame->type == HOST_FRAME_DATA && frame->channel == HOST_CHANNEL_CONTROL
                   ? take_description(sessions, client, payload, frame->size)
                   : -EPROTO;
    if (frame->type == HOST_FRAME_SIGNAL) {
        send_command(sessions, client, word, window);
    } else if (frame->type == HOST_FRAME_WINDOW) {
        memcpy(window, payload, sizeof(window));
        send_command(sessions, client, 0, window);
    } else if (frame->channel >= HOST_CHANNEL_STDIN && frame->channel <= HOST_CHANNEL_TERMINAL) {
        link_send(sessions->guest, frame->type,
                  host_channel_of(number_of(sessions, client), frame->channel), payload,
                  frame->size);
    } else {
        return -EPROTO;
    }
    return 0;
}

/* Somebody connects: of this user, and a number is free, or it is told nothing. */
static void accept_client(struct sessions *sessions)
{
    int fd = accept4(sessions->fd, NULL, NULL, SOCK_CLOEXEC);
    struct client *client = NULL;
    uint32_t version = HOST_PROTOCOL_VERSION;

    if (fd < 0)
        return;
    for (unsigned i = HOST_SESSIONS - 1; i > 0; i--) {
        if (sessions->clients[i].state == CLIENT_NONE)
            client = &sessions->clients[i];
    }
    if (!client || !machines_is_ours(fd, NULL)) {
        close(fd);
        return;
    }
    link_open(&client->link, fd, LINK_TO_CLIENT);
    client->state = CLIENT_DESCRIBES;
    link_send(&client->link, HOST_FRAME_HELLO, HOST_CHANNEL_CONTROL, &version, sizeof(version));
}

/* ---- From the guest ---- */

int sessions_handle(struct sessions *sessions, const struct host_frame *frame,
                    const uint8_t *payload)
{
    struct client *client = &sessions->clients[frame->channel / HOST_CHANNELS];

    if (client->state != CLIENT_RUNS && client->state != CLIENT_GONE)
        return -EPROTO;
    if (frame->type == HOST_FRAME_CLOSE) {
        link_send(sessions->guest, HOST_FRAME_CLOSE, frame->channel, NULL, 0);
        if (client->link.fd >= 0) {
            link_flush(&client->link);
            close_link(client);
        }
        client->state = CLIENT_NONE;
    } else if (client->link.fd >= 0) {
        link_send(&client->link, frame->type, frame->channel % HOST_CHANNELS, payload, frame->size);
    }
    return 0;
}

/* ---- The event loop's side ---- */

size_t sessions_poll(struct sessions *sessions, struct pollfd *polled)
{
    polled[0] = (struct pollfd){.fd = sessions->fd, .events = POLLIN};
    for (unsigned i = 1; i < HOST_SESSIONS; i++) {
        const struct link *link = &sessions->clients[i].link;

        polled[i] =
            (struct pollfd){.fd = link->fd, .events = POLLIN | (link->out.size ? POLLOUT : 0)};
    }
    return HOST_SESSIONS;
}

void sessions_progress(struct sessions *sessions, const struct pollfd *polled)
{
    for (unsigned i = 1; i < HOST_SESSIONS; i++) {
        struct client *client = &sessions->clients[i];
        struct frame_context context = {sessions, client};

        if (client->link.fd < 0)
            continue;
        if (polled[i].fd == client->link.fd && polled[i].revents & (POLLIN | POLLHUP | POLLERR) &&
            link_receive(&client->link, take_client_frame, &context) <= 0)
            client_went(sessions, client);
        else
            link_flush(&client->link);
    }
    if (polled[0].revents & POLLIN)
        accept_client(sessions);
}
