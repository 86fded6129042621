/*
 * The caller's terminal: raw while the guest uses it, and restored whatever happens.
 *
 * The guest has a line discipline of its own, so the caller's must pass bytes as they are. It is
 * made raw only when the guest first asks for input: a program that never reads leaves the terminal
 * and what was typed ahead alone. From then on a guard, a child in a session of its own, waits on
 * a pipe whose other end only we have: when it closes without a word, we were killed, and the guard
 * puts the terminal back.
 */
#include "pith.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/prctl.h>
#include <termios.h>
#include <unistd.h>

struct terminal {
    struct stream stream; /* both directions */
    struct termios saved;
    bool is_raw;
    int guard_fd; /* of the guard's pipe; -1: there is no guard yet */
};

static struct terminal the_terminal = {.guard_fd = -1};

struct terminal *terminal_open(int fd)
{
    struct terminal *terminal = &the_terminal;

    if (fd < 0 || tcgetattr(fd, &terminal->saved))
        return NULL;
    stream_open(&terminal->stream, fd, O_RDWR);
    return terminal;
}

const struct stream *terminal_stream(const struct terminal *terminal)
{
    return &terminal->stream;
}

void terminal_get_settings(const struct terminal *terminal, uint8_t settings[TERMIOS_BYTES])
{
    uint8_t bytes[64] = {0}; /* the kernel writes TERMIOS_BYTES */

    ioctl(terminal->stream.fd, TCGETS, bytes);
    memcpy(settings, bytes, TERMIOS_BYTES);
}

void terminal_get_window(const struct terminal *terminal, uint16_t *rows, uint16_t *columns)
{
    struct winsize size = {0};

    ioctl(terminal->stream.fd, TIOCGWINSZ, &size);
    *rows = size.ws_row;
    *columns = size.ws_col;
}

/* The guard's life. Its session has no terminal, so no key reaches it and it may always set. */
static _Noreturn void guard_terminal(const struct terminal *terminal, int pipe_fd)
{
    int keep[] = {terminal->stream.fd, pipe_fd};
    char word = '\0';

    prctl(PR_SET_NAME, "pith-terminal");
    setsid();
    if (terminal->stream.fd > STDERR_FILENO) {
        close(STDIN_FILENO);
        close(STDOUT_FILENO);
        close(STDERR_FILENO);
    }
    child_keep_only(keep, 2);
    while (read(pipe_fd, &word, 1) < 0 && errno == EINTR)
        ;
    if (!word)
        tcsetattr(terminal->stream.fd, TCSANOW, &terminal->saved);
    _exit(0);
}

static void guard_start(struct terminal *terminal)
{
    int ends[2];
    pid_t child;

    if (pipe2(ends, O_CLOEXEC))
        return;
    child = fork();
    if (child == 0) {
        sigset_t all;

        sigfillset(&all);
        sigprocmask(SIG_SETMASK, &all, NULL);
        close(ends[1]);
        guard_terminal(terminal, ends[0]);
    }
    close(ends[0]);
    terminal->guard_fd = ends[1];
    if (child < 0) {
        close(ends[1]);
        terminal->guard_fd = -1;
    }
}

static void restore_at_exit(void)
{
    terminal_restore(&the_terminal);
    if (the_terminal.guard_fd >= 0 && write(the_terminal.guard_fd, "q", 1) == 1)
        close(the_terminal.guard_fd);
}

static void set_raw(struct terminal *terminal)
{
    struct termios raw = terminal->saved;

    cfmakeraw(&raw);
    raw.c_cc[VMIN] = 1;
    raw.c_cc[VTIME] = 0;
    /* In the background this stops us, as it should, until the caller's shell says `fg`. */
    while (tcsetattr(terminal->stream.fd, TCSANOW, &raw) && errno == EINTR)
        ;
    terminal->is_raw = true;
}

void terminal_make_raw(struct terminal *terminal)
{
    if (terminal->is_raw)
        return;
    if (terminal->guard_fd < 0) {
        tcgetattr(terminal->stream.fd, &terminal->saved);
        guard_start(terminal);
        atexit(restore_at_exit);
    }
    set_raw(terminal);
}

bool terminal_is_raw(const struct terminal *terminal)
{
    return terminal->is_raw;
}

void terminal_restore(struct terminal *terminal)
{
    if (!terminal->is_raw)
        return;
    while (tcsetattr(terminal->stream.fd, TCSANOW, &terminal->saved) && errno == EINTR)
        ;
    terminal->is_raw = false;
}

void terminal_continue(struct terminal *terminal)
{
    if (terminal->guard_fd >= 0)
        set_raw(terminal);
}
