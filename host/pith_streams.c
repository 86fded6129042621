/*
 * The caller's standard input, output and error, used without ever waiting on them.
 *
 * Descriptors 0, 1 and 2 share their open descriptions with the caller's other programs, so
 * O_NONBLOCK must not be set on them: others would see it. Sockets have MSG_DONTWAIT; a pipe or a
 * terminal is opened again through /proc for a description of our own; where that is not allowed
 * (a pipe made by another user), each read or write follows a poll(2) and stays below PIPE_BUF, so
 * it can wait only if somebody else takes the same bytes or room in between. Files and other
 * devices never wait. A file's offset is the shared one: what is read is exactly what is used up.
 */
#include "pith.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <stdio.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define NULL_MAJOR 1
#define NULL_MINOR 3

static bool stream_was_closed[STREAMS];

void streams_note_closed(void)
{
    for (int fd = 0; fd < STREAMS; fd++) {
        if (fcntl(fd, F_GETFD) >= 0 || errno != EBADF)
            continue;
        stream_was_closed[fd] = true;
        /* The lowest free number is this one. Without /dev/null nothing sensible is left to do. */
        if (open("/dev/null", O_RDWR) != fd)
            _exit(PITH_FAILED);
    }
}

static bool is_null_device(const struct stat *status)
{
    return S_ISCHR(status->st_mode) && status->st_rdev == makedev(NULL_MAJOR, NULL_MINOR);
}

static bool is_same_terminal(int fd, const struct stat *terminal)
{
    struct stat status;

    return fstat(fd, &status) == 0 && status.st_rdev == terminal->st_rdev;
}

void stream_open(struct stream *stream, int fd, int mode)
{
    struct stat status;
    char path[32];
    int own;

    stream->fd = fd;
    if (fstat(fd, &status) ||
        !(S_ISFIFO(status.st_mode) || S_ISSOCK(status.st_mode) || isatty(fd))) {
        stream->way = STREAM_DIRECT;
        return;
    }
    if (S_ISSOCK(status.st_mode)) {
        stream->way = STREAM_SOCKET;
        return;
    }
    snprintf(path, sizeof(path), "/proc/self/fd/%d", fd);
    own = open(path, mode | O_NONBLOCK | O_NOCTTY | O_CLOEXEC);
    stream->way = own < 0 ? STREAM_CAREFUL : STREAM_NONBLOCKING;
    if (own >= 0)
        stream->fd = own;
}

void streams_open(struct stream streams[STREAMS], int *terminal_fd_out)
{
    struct stat status, terminal = {0};

    *terminal_fd_out = -1;
    for (int fd = 0; fd < STREAMS; fd++) {
        streams[fd] = (struct stream){.fd = fd};
        if (stream_was_closed[fd] || fstat(fd, &status)) {
            streams[fd].kind = HOST_STREAM_CLOSED;
        } else if (is_null_device(&status)) {
            streams[fd].kind = HOST_STREAM_NULL;
        } else if (isatty(fd) && (*terminal_fd_out < 0 || is_same_terminal(fd, &terminal))) {
            streams[fd].kind = HOST_STREAM_TERMINAL;
            if (*terminal_fd_out < 0) {
                *terminal_fd_out = fd;
                terminal = status;
            }
        } else {
            streams[fd].kind = HOST_STREAM_CHANNEL;
            stream_open(&streams[fd], fd, fd == STDIN_FILENO ? O_RDONLY : O_WRONLY);
        }
    }
}

void streams_make_repeatable(struct stream streams[STREAMS], int *terminal_fd)
{
    struct stat status;

    for (int fd = 0; fd < STREAMS; fd++) {
        if (streams[fd].kind == HOST_STREAM_TERMINAL) {
            streams[fd].kind = HOST_STREAM_CHANNEL;
            stream_open(&streams[fd], fd, fd == STDIN_FILENO ? O_RDONLY : O_WRONLY);
        }
    }
    *terminal_fd = -1;
    if (streams[STDIN_FILENO].kind == HOST_STREAM_CHANNEL &&
        (fstat(STDIN_FILENO, &status) || !S_ISREG(status.st_mode)))
        fail("--deterministic: standard input must be a file or empty, since the moments at which "
             "anything else has something to read cannot be repeated; add </dev/null");
}

static bool is_ready(int fd, short events)
{
    struct pollfd polled = {.fd = fd, .events = events};

    return poll(&polled, 1, 0) == 1;
}

ssize_t stream_read(const struct stream *stream, void *to, size_t size)
{
    ssize_t count;

    if (stream->way == STREAM_CAREFUL && !is_ready(stream->fd, POLLIN))
        return -EAGAIN;
    do {
        count = stream->way == STREAM_SOCKET ? recv(stream->fd, to, size, MSG_DONTWAIT)
                                             : read(stream->fd, to, size);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}

ssize_t stream_write(const struct stream *stream, const void *from, size_t size)
{
    ssize_t count;

    if (stream->way == STREAM_CAREFUL) {
        if (!is_ready(stream->fd, POLLOUT))
            return -EAGAIN;
        if (size > PIPE_BUF)
            size = PIPE_BUF;
    }
    do {
        count = stream->way == STREAM_SOCKET
                    ? send(stream->fd, from, size, MSG_DONTWAIT | MSG_NOSIGNAL)
                    : write(stream->fd, from, size);
    } while (count < 0 && errno == EINTR);
    return count < 0 ? -errno : count;
}
