/*
 * Sessions: programs that `pith attach` starts in the running machine (host_protocol.h).
 *
 * A command is a description on the control device that names a session. With a program in it the
 * program is started, as the run's own is, with the session's channels for its streams. Where the
 * caller has a terminal, the program gets a pty, and two relays carry its bytes:
 *
 *     TERMINAL channel ---> keyboard relay ---> master | slave <---> program
 *                      <--- screen relay   <---
 *
 * A session is over when its program has ended and the screen relay has passed on what was written
 * until then: SIGTERM tells it to stop at the first moment when nothing is there. Programs in the
 * background may live on; they lose the terminal, as after a logout.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/ioctl.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <sys/wait.h>
#include <unistd.h>

#define HOST_MAJOR  240 /* of the channels' devices */
#define RELAY_BYTES 4096

struct session {
    pid_t program, keyboard, screen; /* 0: none, or it has ended */
    bool is_used;
    int hold_fd;  /* a channel: keeps the session open until EXIT is sent */
    int slave_fd; /* keeps the pty from looking hung up before the program has opened it */
    uint32_t status;
    char terminal[32]; /* the pty's slave; "": none */
};

static struct session sessions[HOST_SESSIONS];

int session_open_channel(uint32_t session, uint32_t channel, int flags)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/dev/host/%u.%u", session, channel);
    if (mknod(path, S_IFCHR | 0600, makedev(HOST_MAJOR, host_channel_of(session, channel))))
        return -1;
    fd = open_above_streams(path, flags);
    unlink(path);
    return fd;
}

/* ---- Relays ---- */

static volatile sig_atomic_t is_ending;

static void note_end(int number)
{
    is_ending = 1;
}

/* False: the other side is gone. */
static bool pass_on(int to, const char *bytes, ssize_t size)
{
    while (size > 0) {
        ssize_t count = write(to, bytes, size);

        if (count < 0 && errno == EINTR)
            continue;
        if (count <= 0)
            return false;
        bytes += count;
        size -= count;
    }
    return true;
}

static void relay_keyboard(int channel, int master)
{
    char bytes[RELAY_BYTES];
    ssize_t count;

    while ((count = read(channel, bytes, sizeof(bytes))) > 0 && pass_on(master, bytes, count))
        ;
}

static void relay_screen(int master, int channel)
{
    struct pollfd polled = {.fd = master, .events = POLLIN};
    char bytes[RELAY_BYTES];
    sigset_t none;
    ssize_t count;

    sigemptyset(&none);
    signal(SIGTERM, note_end);
    for (;;) {
        /* SIGTERM comes only here, or is seen before: then what is there is there. */
        if (!is_ending && ppoll(&polled, 1, NULL, &none) < 0 && errno != EINTR)
            return;
        if (is_ending && (poll(&polled, 1, 0) <= 0 || !(polled.revents & POLLIN)))
            return;
        if (!(polled.revents & (POLLIN | POLLHUP | POLLERR)))
            continue;
        count = read(master, bytes, sizeof(bytes));
        if (count <= 0 || !pass_on(channel, bytes, count))
            return;
    }
}

/* With SIGTERM blocked, which the screen's relay takes when it can. */
static pid_t start_relay(void (*relay)(int from, int to), int from, int to)
{
    sigset_t set;
    pid_t child = fork();

    if (child)
        return child < 0 ? 0 : child;
    sigemptyset(&set);
    sigaddset(&set, SIGTERM);
    sigprocmask(SIG_SETMASK, &set, NULL);
    setsid();
    for (size_t i = 1; i < HOST_SESSIONS; i++) {
        if (!sessions[i].is_used)
            continue;
        close(sessions[i].hold_fd);
        close(sessions[i].slave_fd);
    }
    relay(from, to);
    _exit(0);
}

static void set_window(const struct session *session, const struct description *description)
{
    struct winsize size = {.ws_row = description->rows, .ws_col = description->columns};
    int fd = *session->terminal ? open(session->terminal, O_RDWR | O_NOCTTY | O_CLOEXEC) : -1;

    if (fd < 0)
        return;
    ioctl(fd, TIOCSWINSZ, &size);
    close(fd);
}

/* A pty in the caller's modes. Returns its master, or -1 and errno. */
static int open_terminal(struct session *session, const struct description *description)
{
    int master = posix_openpt(O_RDWR | O_NOCTTY | O_CLOEXEC);

    if (master < 0 || unlockpt(master) ||
        ptsname_r(master, session->terminal, sizeof(session->terminal)))
        return -1;
    session->slave_fd = open_above_streams(session->terminal, O_RDWR);
    if (session->slave_fd >= 0)
        ioctl(session->slave_fd, TCSETS, description->terminal);
    set_window(session, description);
    return master;
}

/* ---- Life ---- */

static void start_program(struct session *session, struct description *description)
{
    sigset_t none;

    session->program = fork();
    if (session->program)
        return;
    sigemptyset(&none);
    sigprocmask(SIG_SETMASK, &none, NULL);
    signal(SIGCHLD, SIG_DFL);
    if (*session->terminal)
        description->terminal_path = session->terminal;
    program_become(description, -1);
}

static void end_session(struct session *session, int control_fd)
{
    uint32_t word = (uint32_t)(session - sessions) << 16 | session->status;

    ioctl(control_fd, HOST_IOCTL_SESSION_EXIT, &word);
    close(session->hold_fd);
    close(session->slave_fd);
    *session = (struct session){0};
}

static void start_session(struct session *session, struct description *description, int control_fd)
{
    int channel = -1, master = -1;

    *session = (struct session){.is_used = true, .slave_fd = -1, .status = STATUS_FAILED};
    session->hold_fd = session_open_channel(description->session, HOST_CHANNEL_CONTROL, O_WRONLY);
    if (description->has_terminal) {
        channel = session_open_channel(description->session, HOST_CHANNEL_TERMINAL, O_RDWR);
        master = open_terminal(session, description);
        if (channel < 0 || master < 0)
            complain("a session has no terminal", NULL, errno);
    }
    start_program(session, description);
    if (master >= 0 && channel >= 0) {
        session->keyboard = start_relay(relay_keyboard, channel, master);
        session->screen = start_relay(relay_screen, master, channel);
    }
    close(channel);
    close(master);
    if (session->program < 0)
        end_session(session, control_fd);
}

void session_command(int control_fd)
{
    struct description description;
    struct session *session;

    description_read(control_fd, &description);
    if (description.session == 0 || description.session >= HOST_SESSIONS)
        fail("a command names no session", NULL, EPROTO);
    session = &sessions[description.session];
    if (description.program)
        start_session(session, &description, control_fd);
    else if (description.signal && session->program > 0)
        kill(-session->program, description.signal);
    else if (description.rows)
        set_window(session, &description);
    description_free(&description);
}

static void program_ended(struct session *session, int status)
{
    session->program = 0;
    session->status = status_as_in_a_shell(status);
    if (session->keyboard)
        kill(session->keyboard, SIGKILL);
    if (session->screen)
        kill(session->screen, SIGTERM);
}

void session_reaped(int control_fd, pid_t child, int status)
{
    for (size_t i = 1; i < HOST_SESSIONS; i++) {
        struct session *session = &sessions[i];

        if (!session->is_used)
            continue;
        if (child == session->program)
            program_ended(session, status);
        if (child == session->keyboard)
            session->keyboard = 0;
        if (child == session->screen)
            session->screen = 0;
        if (!session->program && !session->screen)
            end_session(session, control_fd);
    }
}
