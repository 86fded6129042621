/*
 * `pith attach`: another program in a machine that runs, with our caller's streams and terminal.
 *
 * It is what `pith run` is without the machine: the same channels and terminal, with the link
 * leading to the `pith` that has the machine (pith_sessions.c). The end of that link before EXIT
 * came is the end of the machine.
 */
#include "pith.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <unistd.h>

#define NS_PER_MS       1000000ull
#define ANSWER_LIMIT_MS 10000 /* until HELLO, which a machine that runs gives at once */

struct attachment {
    struct link link;
    struct channels *channels;
    struct terminal *terminal; /* NULL: none */
    int signal_fd;
    uint64_t deadline_ns; /* for HELLO */
    bool has_begun;       /* HELLO came */
    bool has_ended;       /* EXIT came, or the link is down */
    int status;
};

/* What begins once the other side has taken us. */
struct beginning {
    struct attachment *attachment;
    const struct run_options *options;
    const struct rlimit *limits;
    const struct stream *streams;
};

/* The same description as a run's; the `pith` that has the machine adds the session's number. */
static void describe(const struct beginning *beginning)
{
    struct attachment *attachment = beginning->attachment;
    struct buffer description = {0};

    description_build(&description, beginning->options, beginning->limits, beginning->streams,
                      attachment->terminal);
    channels_send_control(attachment->channels, description.data, description.size);
    buffer_free(&description);
}

static int handle_frame(void *context, const struct host_frame *frame, const uint8_t *payload)
{
    const struct beginning *beginning = context;
    struct attachment *attachment = beginning->attachment;
    struct host_exit exit;
    uint32_t version;

    switch (frame->type) {
    case HOST_FRAME_HELLO:
        memcpy(&version, payload, sizeof(version));
        if (version != HOST_PROTOCOL_VERSION || attachment->has_begun)
            return -EPROTO;
        attachment->has_begun = true;
        describe(beginning);
        return 0;
    case HOST_FRAME_EXIT:
        memcpy(&exit, payload, sizeof(exit));
        attachment->has_ended = true;
        attachment->status = exit.status & 0xff;
        return 0;
    default:
        return channels_handle(attachment->channels, frame, payload);
    }
}

/* The end of the link before EXIT came is the end of the machine, or, before HELLO, a refusal. */
static void receive_frames(struct attachment *attachment, struct beginning *beginning)
{
    int result = link_receive(&attachment->link, handle_frame, beginning);

    if (result > 0 || attachment->has_ended)
        return;
    attachment->has_ended = true;
    attachment->status = PITH_FAILED;
    if (attachment->terminal)
        terminal_restore(attachment->terminal);
    if (result < 0)
        say("the guest broke the protocol with this command (%s)", strerror(-result));
    else if (attachment->has_begun)
        say("the machine ended before the program");
    else
        say("the machine takes nobody more: %d are attached to it", HOST_SESSIONS - 1);
}

static void send_window(struct attachment *attachment)
{
    uint16_t window[2];

    if (!attachment->terminal || !attachment->has_begun)
        return;
    terminal_get_window(attachment->terminal, &window[0], &window[1]);
    link_send(&attachment->link, HOST_FRAME_WINDOW, HOST_CHANNEL_TERMINAL, window, sizeof(window));
}

static void take_signal(struct attachment *attachment, uint32_t number)
{
    switch (number) {
    case SIGTSTP:
        if (attachment->terminal)
            terminal_restore(attachment->terminal);
        raise(SIGSTOP);
        break;
    case SIGCONT:
        if (attachment->terminal)
            terminal_continue(attachment->terminal);
        send_window(attachment);
        break;
    case SIGWINCH:
        send_window(attachment);
        break;
    case SIGCHLD:
        break;
    default:
        if (!attachment->has_begun) /* there is no program yet that it could be for */
            exit(PITH_SIGNAL_OFFSET + (int)number);
        link_send(&attachment->link, HOST_FRAME_SIGNAL, HOST_CHANNEL_CONTROL, &number,
                  sizeof(number));
    }
}

/* Milliseconds that are left for the machine to take us; -1: it has. */
static int answer_timeout(const struct attachment *attachment)
{
    uint64_t now = clock_now_ns();

    if (attachment->has_begun || attachment->has_ended)
        return -1;
    return now < attachment->deadline_ns ? (int)((attachment->deadline_ns - now) / NS_PER_MS) + 1
                                         : 0;
}

static void fall_silent(struct attachment *attachment)
{
    attachment->has_ended = true;
    attachment->status = PITH_FAILED;
    if (attachment->terminal)
        terminal_restore(attachment->terminal);
    say("the machine does not answer; if its pith was stopped, SIGCONT lets it go on");
}

static void step(struct attachment *attachment, struct beginning *beginning)
{
    struct pollfd polled[2 + CHANNELS_POLL_MOST] = {
        {.fd = attachment->signal_fd, .events = POLLIN},
        {.fd = attachment->has_ended ? -1 : attachment->link.fd,
         .events = POLLIN | (attachment->link.out.size ? POLLOUT : 0)},
    };
    size_t count = 2 + channels_poll(attachment->channels, polled + 2);
    struct signalfd_siginfo signal;
    int ready = poll(polled, count, answer_timeout(attachment));

    if (ready < 0)
        return;
    if (ready == 0) {
        fall_silent(attachment);
        return;
    }
    if (polled[0].revents && read(attachment->signal_fd, &signal, sizeof(signal)) > 0)
        take_signal(attachment, signal.ssi_signo);
    if (polled[1].revents & (POLLIN | POLLHUP | POLLERR))
        receive_frames(attachment, beginning);
    channels_progress(attachment->channels);
    if (!attachment->has_ended)
        link_flush(&attachment->link);
}

int attach(struct run_options *options)
{
    struct attachment attachment = {0};
    struct stream streams[STREAMS];
    struct rlimit limits[CALLER_LIMITS];
    struct beginning beginning = {&attachment, options, limits, streams};
    uint32_t version = HOST_PROTOCOL_VERSION;
    int terminal_fd;

    caller_take_limits(limits);
    link_open(&attachment.link, machines_connect(options->machine_id), LINK_TO_GUEST);
    streams_open(streams, &terminal_fd);
    attachment.terminal = terminal_open(terminal_fd);
    attachment.signal_fd = signals_open();
    attachment.channels = channels_create(&attachment.link, streams, attachment.terminal);
    attachment.deadline_ns = clock_now_ns() + ANSWER_LIMIT_MS * NS_PER_MS;
    link_send(&attachment.link, HOST_FRAME_HELLO, HOST_CHANNEL_CONTROL, &version, sizeof(version));
    link_flush(&attachment.link);
    while (!attachment.has_ended || !channels_are_drained(attachment.channels))
        step(&attachment, &beginning);
    if (attachment.terminal)
        terminal_restore(attachment.terminal);
    return attachment.status == 0 && channels_have_lost(attachment.channels) ? PITH_FAILED
                                                                             : attachment.status;
}
