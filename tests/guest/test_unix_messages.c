/*
 * What goes through sockets of AF_UNIX: bytes, messages, control messages, and how they wait.
 *
 * covers: sendto recvfrom sendmsg recvmsg sendmmsg recvmmsg read write readv writev ioctl connect
 */
#include "guest.h"

#include <poll.h>
#include <pthread.h>
#include <stddef.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/uio.h>
#include <sys/un.h>

#ifndef SIOCOUTQ
#define SIOCOUTQ 0x5411
#endif
#ifndef SIOCINQ
#define SIOCINQ FIONREAD
#endif

#define MANY (1 << 20)

static struct sockaddr_un path_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, path);
    return address;
}

static int bound_to(const char *path, int type)
{
    struct sockaddr_un address = path_address(path);
    int fd = CHECK_OK(socket(AF_UNIX, type, 0));

    CHECK_OK(bind(fd, (struct sockaddr *)&address, sizeof(address)));
    return fd;
}

static int connect_path(int fd, const char *path)
{
    struct sockaddr_un address = path_address(path);

    return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

static ssize_t send_to(int fd, const char *text, const char *path)
{
    struct sockaddr_un address = path_address(path);

    return sendto(fd, text, strlen(text), MSG_DONTWAIT, (struct sockaddr *)&address,
                  sizeof(address));
}

static int poll_now(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP};

    CHECK_OK(poll(&poll_fd, 1, 0));
    return poll_fd.revents;
}

static int queued(int fd, unsigned long command)
{
    int bytes = -1;

    CHECK_OK(ioctl(fd, command, &bytes));
    return bytes;
}

static void set_option(int fd, int option, int value)
{
    CHECK_OK(setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)));
}

/* One buffer and room for control messages. */
struct envelope {
    struct iovec part;
    char control[256] __attribute__((__aligned__(8)));
    struct msghdr header;
};

static struct msghdr *envelope_of(struct envelope *envelope, void *bytes, size_t count)
{
    memset(envelope, 0, sizeof(*envelope));
    envelope->part = (struct iovec){bytes, count};
    envelope->header = (struct msghdr){.msg_iov = &envelope->part,
                                       .msg_iovlen = 1,
                                       .msg_control = envelope->control,
                                       .msg_controllen = sizeof(envelope->control)};
    return &envelope->header;
}

static ssize_t send_files(int fd, const char *bytes, const int *files, int count)
{
    struct envelope envelope;
    struct msghdr *header = envelope_of(&envelope, (void *)bytes, strlen(bytes));
    struct cmsghdr *control = CMSG_FIRSTHDR(header);

    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = CMSG_LEN(count * sizeof(int));
    memcpy(CMSG_DATA(control), files, count * sizeof(int));
    header->msg_controllen = control->cmsg_len;
    return sendmsg(fd, header, MSG_DONTWAIT);
}

/* How many came; their descriptors. */
static int receive_files(int fd, int *files, int flags, int *flags_out)
{
    struct envelope envelope;
    char buffer[64];
    struct msghdr *header = envelope_of(&envelope, buffer, sizeof(buffer));
    struct cmsghdr *control;
    int count = 0;

    CHECK_OK(recvmsg(fd, header, flags));
    if (flags_out)
        *flags_out = header->msg_flags;
    control = CMSG_FIRSTHDR(header);
    if (control && control->cmsg_type == SCM_RIGHTS) {
        count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(files, CMSG_DATA(control), count * sizeof(int));
    }
    return count;
}

/* ---- Streams ---- */

TEST(stream_carries_bytes_without_borders)
{
    struct iovec parts[2];
    char buffer[16];
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_EQ(write(fds[0], "one", 3), 3);
    CHECK_EQ(send(fds[0], "two", 3, MSG_EOR), 3);
    CHECK_EQ(queued(fds[1], SIOCINQ), 6);
    CHECK_GE(queued(fds[0], SIOCOUTQ), 6);
    CHECK_EQ(read(fds[1], buffer, 4), 4);
    CHECK_MEM_EQ(buffer, "onet", 4);
    CHECK_EQ(recv(fds[1], buffer, sizeof(buffer), MSG_PEEK), 2);
    parts[0] = (struct iovec){buffer, 1};
    parts[1] = (struct iovec){buffer + 8, 8};
    CHECK_EQ(readv(fds[1], parts, 2), 2);
    CHECK_EQ(buffer[0], 'w');
    CHECK_EQ(buffer[8], 'o');
    CHECK_EQ(queued(fds[1], SIOCINQ), 0);
    CHECK_EQ(queued(fds[0], SIOCOUTQ), 0);
    parts[0] = (struct iovec){"ab", 2};
    parts[1] = (struct iovec){"cd", 2};
    CHECK_EQ(writev(fds[1], parts, 2), 4);
    CHECK_EQ(read(fds[0], buffer, 16), 4);
    CHECK_MEM_EQ(buffer, "abcd", 4);
    CHECK_EQ(write(fds[0], "", 0), 0);
    CHECK_EQ(read(fds[0], buffer, 0), 0);
}

TEST(stream_carries_a_megabyte_between_processes)
{
    static unsigned char sent[MANY], received[MANY];
    size_t done = 0;
    pid_t child;
    int fds[2];

    for (size_t i = 0; i < MANY; i++)
        sent[i] = i * 7 + i / 251;
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(write(fds[0], sent, MANY), MANY);
        _exit(0);
    }
    close(fds[0]);
    while (done < MANY) {
        ssize_t part = CHECK_OK(read(fds[1], received + done, 5000));

        CHECK_GT(part, 0);
        done += part;
    }
    CHECK_EXIT(child, 0);
    CHECK_MEM_EQ(sent, received, MANY);
    CHECK_EQ(read(fds[1], received, 1), 0);
}

TEST(stream_without_room_gives_eagain_and_what_went_in)
{
    static char bytes[MANY];
    int fds[2];
    ssize_t sent;

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    sent = CHECK_OK(send(fds[0], bytes, MANY, MSG_DONTWAIT));
    CHECK_GT(sent, 65536);
    CHECK_LT(sent, MANY);
    CHECK_ERRNO(send(fds[0], bytes, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(recv(fds[1], bytes, MANY, MSG_WAITALL | MSG_DONTWAIT), sent);
    CHECK_ERRNO(recv(fds[1], bytes, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_OK(fcntl(fds[1], F_SETFL, O_NONBLOCK));
    CHECK_ERRNO(read(fds[1], bytes, 1), EAGAIN);
}

TEST(stream_of_single_bytes_is_held_back)
{
    int fds[2], count = 0;

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
    while (write(fds[0], "x", 1) == 1)
        count++;
    CHECK_EQ(errno, EAGAIN);
    CHECK_GT(count, 100);
    CHECK_LT(count, 20000);
}

TEST(send_without_reader_gives_epipe_and_sigpipe)
{
    int fds[2];

    handle_signal(SIGPIPE, count_signal, 0);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    close(fds[1]);
    CHECK_ERRNO(send(fds[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_EQ(signals_counted, 0);
    CHECK_ERRNO(send(fds[0], "x", 1, 0), EPIPE);
    CHECK_EQ(signals_counted, 1);
    CHECK_ERRNO(write(fds[0], "x", 1), EPIPE);
    CHECK_EQ(signals_counted, 2);
}

TEST(send_on_a_stream_that_is_not_connected_gives_enotconn)
{
    int fds[2], fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    struct sockaddr_un address = path_address("x");
    char byte;

    CHECK_ERRNO(send(fd, "x", 1, 0), ENOTCONN);
    CHECK_ERRNO(recv(fd, &byte, 1, 0), EINVAL);
    CHECK_ERRNO(sendto(fd, "x", 1, 0, (struct sockaddr *)&address, sizeof(address)), EOPNOTSUPP);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_ERRNO(sendto(fds[0], "x", 1, 0, (struct sockaddr *)&address, sizeof(address)), EISCONN);
    fd = CHECK_OK(socket(AF_UNIX, SOCK_SEQPACKET, 0));
    CHECK_ERRNO(send(fd, "x", 1, 0), ENOTCONN);
    CHECK_ERRNO(recv(fd, &byte, 1, 0), ENOTCONN);
    fd = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_ERRNO(send(fd, "x", 1, 0), ENOTCONN);
}

TEST(recv_waits_for_all_that_it_wants)
{
    char buffer[8];
    pid_t child;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(recv(fds[1], buffer, 6, MSG_WAITALL), 6);
        CHECK_MEM_EQ(buffer, "abcdef", 6);
        CHECK_EQ(recv(fds[1], buffer, 6, MSG_WAITALL), 2); /* the end comes first */
        _exit(0);
    }
    CHECK_EQ(write(fds[0], "abc", 3), 3);
    wait_for_state(__FILE__, __LINE__, child, 'S');
    CHECK_EQ(write(fds[0], "def", 3), 3);
    CHECK_EQ(write(fds[0], "gh", 2), 2);
    shutdown(fds[0], SHUT_WR);
    CHECK_EXIT(child, 0);
}

TEST(recv_and_send_keep_to_their_time_limits)
{
    static char bytes[MANY];
    struct timeval limit = {.tv_usec = 20000};
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
    CHECK_ERRNO(recv(fds[0], bytes, 1, 0), EAGAIN);
    CHECK_LT(CHECK_OK(send(fds[0], bytes, MANY, 0)), MANY);
    CHECK_ERRNO(send(fds[0], bytes, 1, 0), EAGAIN);
}

TEST(recv_goes_on_after_a_signal_with_sa_restart)
{
    pid_t child;
    char byte;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        handle_signal(SIGUSR1, count_signal, 0);
        CHECK_ERRNO(recv(fds[1], &byte, 1, 0), EINTR);
        handle_signal(SIGUSR1, count_signal, SA_RESTART);
        CHECK_EQ(recv(fds[1], &byte, 1, 0), 1);
        CHECK_EQ(signals_counted, 2);
        _exit(0);
    }
    for (int i = 0; i < 2; i++) {
        wait_for_state(__FILE__, __LINE__, child, 'S');
        kill(child, SIGUSR1);
        sleep_ms(30);
    }
    CHECK_EQ(write(fds[0], "x", 1), 1);
    CHECK_EXIT(child, 0);
}

TEST(read_with_a_time_limit_is_not_made_again_after_a_signal)
{
    struct timeval limit = {.tv_sec = 20};
    pid_t child;
    char byte;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_OK(setsockopt(fds[1], SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
    child = CHECK_OK(fork());
    if (child == 0) {
        handle_signal(SIGUSR1, count_signal, SA_RESTART);
        CHECK_ERRNO(read(fds[1], &byte, 1), EINTR);
        CHECK_ERRNO(recv(fds[1], &byte, 1, 0), EINTR);
        _exit(0);
    }
    for (int i = 0; i < 2; i++) {
        wait_for_state(__FILE__, __LINE__, child, 'S');
        kill(child, SIGUSR1);
        sleep_ms(30);
    }
    CHECK_EXIT(child, 0);
}

TEST(send_that_waits_ends_with_a_signal)
{
    static char bytes[MANY];
    pid_t child;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        handle_signal(SIGUSR1, count_signal, 0);
        CHECK_GT(send(fds[0], bytes, MANY, 0), 0);
        CHECK_ERRNO(send(fds[0], bytes, MANY, 0), EINTR);
        _exit(0);
    }
    for (int i = 0; i < 2; i++) {
        wait_for_state(__FILE__, __LINE__, child, 'S');
        kill(child, SIGUSR1);
        sleep_ms(30);
    }
    CHECK_EXIT(child, 0);
}

TEST(send_and_recv_with_bad_addresses_give_efault)
{
    char byte;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_ERRNO(send(fds[0], bad_address(), 1, 0), EFAULT);
    CHECK_EQ(queued(fds[1], SIOCINQ), 0);
    CHECK_EQ(send(fds[0], "x", 1, 0), 1);
    CHECK_ERRNO(recv(fds[1], bad_address(), 1, 0), EFAULT);
    CHECK_EQ(recv(fds[1], &byte, 1, 0), 1); /* and the byte stayed */
    CHECK_ERRNO(sendto(fds[0], "x", 1, 0, bad_address(), 10), EFAULT);
    CHECK_ERRNO(sendto(fds[0], "x", 1, 0, (struct sockaddr *)&byte, -1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sendmsg, fds[0], bad_address(), 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_recvmsg, fds[0], bad_address(), 0), EFAULT);
    CHECK_ERRNO(ioctl(fds[0], SIOCINQ, bad_address()), EFAULT);
}

TEST(messages_with_wrong_headers_are_refused)
{
    struct envelope envelope;
    struct msghdr *header = envelope_of(&envelope, "x", 1);
    struct cmsghdr *control = (struct cmsghdr *)envelope.control;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    header->msg_iovlen = 1025;
    CHECK_ERRNO(syscall(SYS_sendmsg, fds[0], header, 0), EMSGSIZE);
    CHECK_ERRNO(syscall(SYS_recvmsg, fds[0], header, 0), EMSGSIZE);
    header->msg_iovlen = 1;
    header->msg_namelen = -1;
    CHECK_ERRNO(syscall(SYS_sendmsg, fds[0], header, 0), EINVAL);
    header->msg_namelen = 0;
    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = 77;
    control->cmsg_len = CMSG_LEN(4);
    CHECK_ERRNO(sendmsg(fds[0], header, 0), EINVAL);
    control->cmsg_type = SCM_RIGHTS;
    control->cmsg_len = 3;
    CHECK_ERRNO(syscall(SYS_sendmsg, fds[0], header, 0), EINVAL);
    control->cmsg_len = CMSG_LEN(4);
    *(int *)CMSG_DATA(control) = 99;
    header->msg_controllen = CMSG_LEN(4);
    CHECK_ERRNO(sendmsg(fds[0], header, 0), EBADF);
    header->msg_control = bad_address();
    CHECK_ERRNO(syscall(SYS_sendmsg, fds[0], header, 0), EFAULT);
}

/* ---- Datagrams ---- */

TEST(datagrams_keep_their_borders)
{
    struct envelope envelope;
    char buffer[8];
    struct msghdr *header;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
    CHECK_EQ(send(fds[0], "long message", 12, 0), 12);
    CHECK_EQ(send(fds[0], "", 0, 0), 0);
    CHECK_EQ(send(fds[0], "three", 5, 0), 5);
    CHECK_EQ(queued(fds[1], SIOCINQ), 12);
    CHECK_EQ(recv(fds[1], buffer, 4, MSG_PEEK), 4);
    CHECK_EQ(recv(fds[1], buffer, 4, MSG_PEEK | MSG_TRUNC), 12);
    header = envelope_of(&envelope, buffer, 4);
    CHECK_EQ(recvmsg(fds[1], header, 0), 4);
    CHECK_EQ(header->msg_flags, MSG_TRUNC);
    CHECK_MEM_EQ(buffer, "long", 4);
    CHECK_EQ(recv(fds[1], buffer, 4, 0), 0);
    header = envelope_of(&envelope, buffer, 8);
    CHECK_EQ(recvmsg(fds[1], header, 0), 5);
    CHECK_EQ(header->msg_flags, 0);
    CHECK_ERRNO(recv(fds[1], buffer, 8, MSG_DONTWAIT), EAGAIN);
}

TEST(datagrams_tell_who_sent_them)
{
    struct sockaddr_un from;
    socklen_t bytes = sizeof(from);
    char buffer[8];
    int server, client, unnamed = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));

    enter_empty_directory();
    server = bound_to("server", SOCK_DGRAM);
    client = bound_to("client", SOCK_DGRAM);
    CHECK_EQ(send_to(client, "hello", "server"), 5);
    CHECK_EQ(recvfrom(server, buffer, 8, 0, (struct sockaddr *)&from, &bytes), 5);
    CHECK_STR_EQ(from.sun_path, "client");
    CHECK_EQ(bytes, offsetof(struct sockaddr_un, sun_path) + 7);
    CHECK_EQ(send_to(unnamed, "hello", "server"), 5);
    bytes = sizeof(from);
    CHECK_EQ(recvfrom(server, buffer, 8, 0, (struct sockaddr *)&from, &bytes), 5);
    CHECK_EQ(bytes, 0);
    CHECK_EQ(send_to(unnamed, "hello", "server"), 5);
    CHECK_ERRNO(recvfrom(server, buffer, 8, 0, (struct sockaddr *)&from, bad_address()), EFAULT);
}

TEST(datagrams_to_where_nobody_is_are_refused)
{
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0)), server, fds[2];

    enter_empty_directory();
    CHECK_ERRNO(send_to(fd, "x", "nowhere"), ENOENT);
    server = bound_to("server", SOCK_DGRAM);
    CHECK_OK(connect_path(fd, "server"));
    CHECK_EQ(send(fd, "x", 1, 0), 1);
    close(server);
    CHECK_ERRNO(send(fd, "x", 1, 0), ECONNREFUSED);
    CHECK_ERRNO(send(fd, "x", 1, 0), ENOTCONN);
    CHECK_ERRNO(send_to(fd, "x", "server"), ECONNREFUSED);
    bound_to("stream", SOCK_STREAM);
    CHECK_ERRNO(send_to(fd, "x", "stream"), EPROTOTYPE);
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
    close(fds[1]);
    CHECK_ERRNO(send(fds[0], "x", 1, 0), ECONNREFUSED);
}

TEST(datagrams_reach_a_connected_socket_only_from_its_peer)
{
    struct sockaddr_un nobody = {.sun_family = AF_UNSPEC};
    int server, peer, other, client;
    char byte;

    enter_empty_directory();
    server = bound_to("server", SOCK_DGRAM);
    peer = bound_to("peer", SOCK_DGRAM);
    other = bound_to("other", SOCK_DGRAM);
    CHECK_OK(connect_path(server, "peer"));
    CHECK_ERRNO(send_to(other, "x", "server"), EPERM);
    CHECK_ERRNO(connect_path(other, "server"), EPERM);
    CHECK_OK(connect_path(peer, "server"));
    CHECK_EQ(send(peer, "x", 1, 0), 1);
    CHECK_EQ(send(server, "y", 1, 0), 1);
    CHECK_OK(connect_path(server, "other")); /* what came from the old peer is lost */
    CHECK_ERRNO(recv(server, &byte, 1, MSG_DONTWAIT), EAGAIN);
    CHECK_ERRNO(recv(peer, &byte, 1, MSG_DONTWAIT), ECONNRESET);
    CHECK_OK(connect(server, (struct sockaddr *)&nobody, sizeof(nobody)));
    CHECK_ERRNO(send(server, "x", 1, 0), ENOTCONN);
    client = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_EQ(send_to(client, "x", "server"), 1);
}

TEST(datagrams_beyond_the_queue_wait_for_the_reader)
{
    struct pollfd fd = {.events = POLLOUT};
    int server, client, count = 0, limit;
    char text[16], byte;
    pid_t child;

    enter_empty_directory();
    read_file("/proc/sys/net/unix/max_dgram_qlen", text, sizeof(text));
    limit = atoi(text);
    server = bound_to("server", SOCK_DGRAM);
    client = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));
    CHECK_OK(connect_path(client, "server"));
    CHECK_EQ(poll_now(client), POLLOUT);
    while (send(client, "x", 1, MSG_DONTWAIT) == 1)
        count++;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(count, limit + 1);
    CHECK_EQ(poll_now(client), 0);
    child = CHECK_OK(fork());
    if (child == 0) {
        fd.fd = client;
        CHECK_EQ(poll(&fd, 1, -1), 1);
        CHECK_EQ(send(client, "y", 1, 0), 1);
        CHECK_EQ(send(client, "z", 1, 0), 1); /* waits again */
        _exit(0);
    }
    wait_for_state(__FILE__, __LINE__, child, 'S');
    CHECK_EQ(recv(server, &byte, 1, 0), 1);
    wait_for_state(__FILE__, __LINE__, child, 'S');
    CHECK_EQ(recv(server, &byte, 1, 0), 1);
    CHECK_EXIT(child, 0);
}

TEST(datagrams_queue_limit_is_a_number_and_nothing_else)
{
    int file = open("/proc/sys/net/unix/max_dgram_qlen", O_WRONLY);

    if (file == -1)
        SKIP("it cannot be set here");
    CHECK_ERRNO(write(file, "12abc", 5), EINVAL);
}

TEST(datagrams_larger_than_the_buffer_give_emsgsize)
{
    static char bytes[MANY];
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
    set_option(fds[0], SO_SNDBUF, 20000);
    CHECK_ERRNO(send(fds[0], bytes, 40001, 0), EMSGSIZE);
    bytes[29999] = 'e';
    CHECK_EQ(send(fds[0], bytes, 30000, 0), 30000);
    bytes[29999] = 0;
    CHECK_EQ(recv(fds[1], bytes, MANY, 0), 30000);
    CHECK_EQ(bytes[29999], 'e');
}

TEST(datagram_shutdown_ends_what_is_read_and_sent)
{
    char byte;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
    CHECK_OK(shutdown(fds[0], SHUT_RDWR));
    CHECK_EQ(recv(fds[0], &byte, 1, 0), 0);
    CHECK_ERRNO(send(fds[0], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_ERRNO(send(fds[1], "x", 1, MSG_NOSIGNAL), EPIPE);
}

/* ---- Sequenced packets ---- */

TEST(seqpackets_keep_borders_and_end)
{
    struct envelope envelope;
    char buffer[8];
    struct msghdr *header = envelope_of(&envelope, buffer, 2);
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds));
    CHECK_EQ(send(fds[0], "first", 5, MSG_EOR), 5);
    CHECK_EQ(write(fds[0], "second", 6), 6);
    CHECK_EQ(recvmsg(fds[1], header, 0), 2);
    CHECK_EQ(header->msg_flags & MSG_TRUNC, MSG_TRUNC);
    CHECK_EQ(read(fds[1], buffer, 8), 6);
    CHECK_MEM_EQ(buffer, "second", 6);
    CHECK_EQ(write(fds[0], "last", 4), 4);
    close(fds[0]);
    CHECK_EQ(poll_now(fds[1]) & (POLLIN | POLLHUP | POLLRDHUP), POLLIN | POLLHUP | POLLRDHUP);
    CHECK_EQ(read(fds[1], buffer, 8), 4);
    CHECK_EQ(read(fds[1], buffer, 8), 0);
    CHECK_ERRNO(send(fds[1], "x", 1, MSG_NOSIGNAL), EPIPE);
    CHECK_OK(fcntl(fds[1], F_SETFL, O_NONBLOCK));
    CHECK_EQ(read(fds[1], buffer, 8), 0);
}

/* ---- Several at once ---- */

TEST(sendmmsg_and_recvmmsg_move_several_messages)
{
    struct timespec limit = {.tv_nsec = 20000000}, wrong = {.tv_nsec = -1};
    struct mmsghdr messages[4];
    struct iovec parts[4];
    char buffers[4][8];
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
    memset(messages, 0, sizeof(messages));
    for (int i = 0; i < 4; i++) {
        parts[i] = (struct iovec){"abcd", i + 1};
        messages[i].msg_hdr.msg_iov = &parts[i];
        messages[i].msg_hdr.msg_iovlen = 1;
    }
    CHECK_EQ(syscall(SYS_sendmmsg, fds[0], messages, 3, 0), 3);
    CHECK_EQ(messages[2].msg_len, 3);
    for (int i = 0; i < 4; i++)
        parts[i] = (struct iovec){buffers[i], 8};
    CHECK_EQ(syscall(SYS_recvmmsg, fds[1], messages, 4, MSG_WAITFORONE, NULL), 3);
    CHECK_EQ(messages[0].msg_len, 1);
    CHECK_EQ(messages[2].msg_len, 3);
    CHECK_MEM_EQ(buffers[2], "abc", 3);
    CHECK_ERRNO(syscall(SYS_recvmmsg, fds[1], messages, 4, MSG_DONTWAIT, NULL), EAGAIN);
    CHECK_EQ(send(fds[0], "x", 1, 0), 1);
    CHECK_EQ(syscall(SYS_recvmmsg, fds[1], messages, 1, 0, &limit), 1);
    CHECK_ERRNO(syscall(SYS_recvmmsg, fds[1], messages, 1, 0, &wrong), EINVAL);
    CHECK_ERRNO(syscall(SYS_sendmmsg, fds[0], bad_address(), 1, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_sendmmsg, 99, messages, 1, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_recvmmsg, 99, messages, 1, 0, NULL), EBADF);
    CHECK_ERRNO(syscall(SYS_sendmmsg, 0, messages, 1, 0), ENOTSOCK);
    parts[1] = (struct iovec){bad_address(), 8};
    CHECK_EQ(syscall(SYS_sendmmsg, fds[0], messages, 2, 0), 1); /* the second fails */
}

/* ---- Descriptors ---- */

TEST(descriptors_go_with_a_message)
{
    char buffer[8];
    int fds[2], pipe_fds[2], files[4], flags;

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_OK(pipe(pipe_fds));
    CHECK_EQ(send_files(fds[0], "x", pipe_fds, 2), 1);
    close(pipe_fds[0]);
    close(pipe_fds[1]);
    CHECK_EQ(receive_files(fds[1], files, MSG_CMSG_CLOEXEC, &flags), 2);
    CHECK_EQ(flags & ~MSG_CMSG_CLOEXEC, 0);
    CHECK_EQ(fcntl(files[0], F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(files[1], "through", 7), 7);
    CHECK_EQ(read(files[0], buffer, 8), 7);
    CHECK_EQ(send_files(fds[0], "x", files, 1), 1);
    CHECK_EQ(receive_files(fds[1], files, 0, NULL), 1);
    CHECK_EQ(fcntl(files[0], F_GETFD), 0);
}

TEST(descriptors_go_with_datagrams_and_are_peeked_at)
{
    int fds[2], files[4], peeked[4];
    char byte;

    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
    CHECK_EQ(send_files(fds[0], "x", fds, 2), 1);
    CHECK_EQ(receive_files(fds[1], peeked, MSG_PEEK, NULL), 2);
    CHECK_EQ(receive_files(fds[1], files, 0, NULL), 2);
    CHECK_NE(files[0], peeked[0]);
    CHECK_EQ(write(files[0], "y", 1), 1);
    CHECK_EQ(read(peeked[1], &byte, 1), 1);
    CHECK_EQ(byte, 'y');
}

TEST(descriptors_end_a_read_of_a_stream)
{
    char buffer[16];
    int fds[2], files[4];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_EQ(write(fds[0], "a", 1), 1);
    CHECK_EQ(send_files(fds[0], "bc", fds, 1), 2);
    CHECK_EQ(write(fds[0], "d", 1), 1);
    CHECK_EQ(receive_files(fds[1], files, 0, NULL), 1);
    CHECK_EQ(read(fds[1], buffer, 16), 1);
    CHECK_EQ(buffer[0], 'd');
}

TEST(descriptors_without_room_are_lost_and_told_of)
{
    struct envelope envelope;
    struct msghdr *header;
    int fds[2], pipe_fds[2], many[4];
    char byte;

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_OK(pipe(pipe_fds));
    for (int i = 0; i < 4; i++)
        many[i] = pipe_fds[1];
    CHECK_EQ(send_files(fds[0], "x", many, 4), 1);
    header = envelope_of(&envelope, &byte, 1);
    header->msg_controllen = CMSG_LEN(2 * sizeof(int));
    CHECK_EQ(recvmsg(fds[1], header, 0), 1);
    CHECK_EQ(header->msg_flags, MSG_CTRUNC);
    CHECK_EQ(CMSG_FIRSTHDR(header)->cmsg_len, CMSG_LEN(2 * sizeof(int)));
    CHECK_OK(close(((int *)CMSG_DATA(CMSG_FIRSTHDR(header)))[0]));
    CHECK_OK(close(((int *)CMSG_DATA(CMSG_FIRSTHDR(header)))[1]));
    CHECK_EQ(send_files(fds[0], "x", many, 1), 1);
    header = envelope_of(&envelope, &byte, 1);
    header->msg_controllen = 0;
    CHECK_EQ(recvmsg(fds[1], header, 0), 1);
    CHECK_EQ(header->msg_flags, MSG_CTRUNC);
    CHECK_EQ(send_files(fds[0], "x", many, 1), 1);
    CHECK_EQ(read(fds[1], &byte, 1), 1); /* a plain read closes them */
    close(pipe_fds[1]);
    CHECK_EQ(read(pipe_fds[0], &byte, 1), 0);
}

TEST(descriptors_in_flight_are_closed_with_the_socket)
{
    int fds[2], pipe_fds[2];
    char byte;

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_OK(pipe(pipe_fds));
    CHECK_EQ(send_files(fds[0], "x", &pipe_fds[1], 1), 1);
    close(pipe_fds[1]);
    close(fds[0]);
    close(fds[1]);
    CHECK_EQ(read(pipe_fds[0], &byte, 1), 0);
}

TEST(descriptors_in_a_circle_are_collected)
{
    int a[2], b[2], pipe_fds[2];
    struct pollfd end;

    /* Each pair holds the other, and a pipe's end besides. */
    CHECK_OK(pipe(pipe_fds));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, b));
    CHECK_EQ(send_files(a[0], "x", b, 2), 1);
    CHECK_EQ(send_files(b[0], "x", a, 2), 1);
    CHECK_EQ(send_files(b[0], "x", &pipe_fds[1], 1), 1);
    close(pipe_fds[1]);
    close(a[0]);
    close(a[1]);
    close(b[0]);
    close(b[1]);
    /* The end of any unix socket collects; on Linux a worker does, a little later. */
    for (int i = 0; i < 100; i++) {
        end = (struct pollfd){.fd = pipe_fds[0]};
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
        close(a[0]);
        close(a[1]);
        if (poll(&end, 1, 20) == 1)
            break;
    }
    CHECK_EQ(end.revents, POLLHUP);
}

TEST(descriptors_of_a_listener_in_its_own_connection_are_collected)
{
    struct sockaddr_un address = path_address("name");
    int listener, client, pipe_fds[2], both[2], fds[2];
    struct pollfd end;

    enter_empty_directory();
    CHECK_OK(pipe(pipe_fds));
    listener = bound_to("name", SOCK_STREAM);
    CHECK_OK(listen(listener, 3));
    client = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(connect(client, (struct sockaddr *)&address, sizeof(address)));
    both[0] = listener;
    both[1] = pipe_fds[1];
    CHECK_EQ(send_files(client, "x", both, 2), 1);
    close(pipe_fds[1]);
    close(listener);
    close(client);
    for (int i = 0; i < 100; i++) {
        end = (struct pollfd){.fd = pipe_fds[0]};
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
        close(fds[0]);
        close(fds[1]);
        if (poll(&end, 1, 20) == 1)
            break;
    }
    CHECK_EQ(end.revents, POLLHUP);
}

TEST(descriptors_that_can_be_reached_through_flight_stay)
{
    int outer[2], inner[2], other[2], files[2];
    char byte;

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, outer));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, inner));
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, other));
    CHECK_EQ(write(other[0], "deep", 4), 4);
    CHECK_EQ(send_files(inner[0], "x", &other[1], 1), 1);
    CHECK_EQ(send_files(outer[0], "x", &inner[1], 1), 1);
    close(other[1]);
    close(inner[1]);
    close(inner[0]);
    for (int i = 0; i < 3; i++) {
        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, inner));
        close(inner[0]);
        close(inner[1]); /* collects */
    }
    CHECK_EQ(receive_files(outer[1], &files[0], 0, NULL), 1);
    CHECK_EQ(receive_files(files[0], &files[1], 0, NULL), 1);
    CHECK_EQ(read(files[1], &byte, 1), 1);
    CHECK_EQ(byte, 'd');
}

TEST(descriptors_in_a_long_chain_end_without_trouble)
{
    int previous = -1, pipe_fds[2];
    struct pollfd end;

    CHECK_OK(pipe(pipe_fds));
    for (int i = 0; i < 500; i++) {
        int fds[2];

        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
        CHECK_EQ(send_files(fds[0], "x", i ? &previous : &pipe_fds[1], 1), 1);
        if (i)
            close(previous);
        close(fds[0]);
        previous = fds[1];
    }
    close(pipe_fds[1]);
    close(previous);
    end = (struct pollfd){.fd = pipe_fds[0]};
    CHECK_EQ(poll(&end, 1, 10000), 1);
    CHECK_EQ(end.revents, POLLHUP);
}

TEST(descriptors_in_flight_are_limited_for_a_user)
{
    struct rlimit limit = {20, 20};
    int fds[2], sent = 0;

    NEEDS_ROOT();
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_OK(setresgid(12345, 12345, 12345));
    CHECK_OK(setresuid(12345, 12345, 12345));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    while (send_files(fds[0], "x", fds, 2) == 1)
        sent++;
    CHECK_EQ(errno, ETOOMANYREFS);
    CHECK_GE(sent, 10);
    CHECK_LE(sent, 12);
}

TEST(descriptors_beyond_the_most_of_a_message_are_refused)
{
    static char control[CMSG_SPACE(254 * sizeof(int))] __attribute__((__aligned__(8)));
    struct iovec part = {"x", 1};
    struct msghdr header = {.msg_iov = &part, .msg_iovlen = 1, .msg_control = control};
    struct cmsghdr *first = (struct cmsghdr *)control;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = header.msg_controllen = CMSG_LEN(254 * sizeof(int));
    CHECK_ERRNO(syscall(SYS_sendmsg, fds[0], &header, 0), EINVAL);
    first->cmsg_len = header.msg_controllen = CMSG_LEN(253 * sizeof(int));
    CHECK_EQ(syscall(SYS_sendmsg, fds[0], &header, 0), 1);
}

/* ---- Credentials ---- */

static ssize_t send_credentials(int fd, const struct ucred *credentials)
{
    struct envelope envelope;
    struct msghdr *header = envelope_of(&envelope, "x", 1);
    struct cmsghdr *control = CMSG_FIRSTHDR(header);

    control->cmsg_level = SOL_SOCKET;
    control->cmsg_type = SCM_CREDENTIALS;
    control->cmsg_len = header->msg_controllen = CMSG_LEN(sizeof(*credentials));
    memcpy(CMSG_DATA(control), credentials, sizeof(*credentials));
    return sendmsg(fd, header, MSG_DONTWAIT);
}

static struct ucred receive_credentials(int fd)
{
    struct envelope envelope;
    struct ucred credentials;
    char buffer[8];
    struct msghdr *header = envelope_of(&envelope, buffer, 8);
    struct cmsghdr *control;

    CHECK_OK(recvmsg(fd, header, MSG_DONTWAIT));
    control = CMSG_FIRSTHDR(header);
    CHECK(control != NULL);
    CHECK_EQ(control->cmsg_type, SCM_CREDENTIALS);
    CHECK_EQ(control->cmsg_len, CMSG_LEN(sizeof(credentials)));
    memcpy(&credentials, CMSG_DATA(control), sizeof(credentials));
    return credentials;
}

TEST(credentials_come_with_each_message_for_who_asks)
{
    struct ucred credentials;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
    CHECK_EQ(write(fds[0], "x", 1), 1); /* nobody asks yet */
    set_option(fds[1], SO_PASSCRED, 1);
    CHECK_EQ(write(fds[0], "x", 1), 1);
    credentials = receive_credentials(fds[1]);
    CHECK_EQ(credentials.pid, 0);
    credentials = receive_credentials(fds[1]);
    CHECK_EQ(credentials.pid, getpid());
    CHECK_EQ(credentials.uid, getuid());
    CHECK_EQ(credentials.gid, getgid());
}

TEST(credentials_can_be_chosen_only_by_root)
{
    struct ucred credentials = {getppid(), 1, 2}, told;
    int fds[2];

    NEEDS_ROOT();
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    set_option(fds[1], SO_PASSCRED, 1);
    CHECK_EQ(send_credentials(fds[0], &credentials), 1);
    told = receive_credentials(fds[1]);
    CHECK_EQ(told.pid, getppid());
    CHECK_EQ(told.uid, 1);
    CHECK_EQ(told.gid, 2);
    credentials.pid = 30000000;
    CHECK_ERRNO(send_credentials(fds[0], &credentials), ESRCH);
    CHECK_OK(setresgid(12345, 12345, 12345));
    CHECK_OK(setresuid(12345, 12345, 12345));
    credentials = (struct ucred){getpid(), 12345, 12345};
    CHECK_EQ(send_credentials(fds[0], &credentials), 1);
    credentials.uid = 0;
    CHECK_ERRNO(send_credentials(fds[0], &credentials), EPERM);
    credentials = (struct ucred){getpid(), 12345, 0};
    CHECK_ERRNO(send_credentials(fds[0], &credentials), EPERM);
    credentials = (struct ucred){getppid(), 12345, 12345};
    CHECK_ERRNO(send_credentials(fds[0], &credentials), EPERM);
}

TEST(credentials_divide_a_stream_by_its_senders)
{
    struct ucred credentials;
    char buffer[8];
    pid_t child;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    set_option(fds[1], SO_PASSCRED, 1);
    CHECK_EQ(write(fds[0], "a", 1), 1);
    CHECK_EQ(write(fds[0], "b", 1), 1);
    child = CHECK_OK(fork());
    if (child == 0)
        _exit(write(fds[0], "cd", 2) == 2 ? 0 : 1);
    CHECK_EXIT(child, 0);
    CHECK_EQ(recv(fds[1], buffer, 8, 0), 2);
    credentials = receive_credentials(fds[1]);
    CHECK_EQ(credentials.pid, child);
}

TEST(credentials_and_descriptors_come_together_in_this_order)
{
    struct envelope envelope;
    char buffer[8];
    struct msghdr *header = envelope_of(&envelope, buffer, 8);
    struct cmsghdr *control;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    set_option(fds[1], SO_PASSCRED, 1);
    CHECK_EQ(send_files(fds[0], "x", fds, 1), 1);
    CHECK_EQ(recvmsg(fds[1], header, 0), 1);
    control = CMSG_FIRSTHDR(header);
    CHECK_EQ(control->cmsg_type, SCM_CREDENTIALS);
    control = CMSG_NXTHDR(header, control);
    CHECK_EQ(control->cmsg_type, SCM_RIGHTS);
    CHECK(CMSG_NXTHDR(header, control) == NULL);
    CHECK_EQ(header->msg_controllen, CMSG_SPACE(sizeof(struct ucred)) + CMSG_SPACE(sizeof(int)));
}

TEST(passcred_gives_a_sender_an_abstract_name)
{
    struct sockaddr_un address;
    socklen_t bytes = sizeof(address);
    int server, client = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));

    enter_empty_directory();
    server = bound_to("server", SOCK_DGRAM);
    set_option(client, SO_PASSCRED, 1);
    CHECK_EQ(send_to(client, "x", "server"), 1);
    CHECK_OK(getsockname(client, (struct sockaddr *)&address, &bytes));
    CHECK_EQ(bytes, offsetof(struct sockaddr_un, sun_path) + 6);
    close(server);
}

/* ---- Together with the rest ---- */

TEST(epoll_tells_of_streams_at_the_edge)
{
    struct epoll_event event = {.events = EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLET};
    int fds[2], epoll = CHECK_OK(epoll_create1(0));

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
    CHECK_EQ(event.events, EPOLLOUT);
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
    CHECK_EQ(event.events, EPOLLIN | EPOLLOUT);
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    CHECK_EQ(write(fds[1], "y", 1), 1);
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
    close(fds[1]);
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 1);
    CHECK_EQ(event.events, EPOLLIN | EPOLLOUT | EPOLLRDHUP | EPOLLHUP);
}

/* ---- Races ---- */

#define ROUNDS 300

static int race_fds[2];
static pthread_barrier_t race_start;

static void *race_read(void *unused)
{
    char buffer[64];

    for (int i = 0; i < ROUNDS; i++) {
        pthread_barrier_wait(&race_start);
        while (recv(race_fds[1], buffer, sizeof(buffer), 0) > 0)
            ;
        pthread_barrier_wait(&race_start);
    }
    return unused;
}

TEST(closing_one_end_while_the_other_is_read_and_written_is_an_end)
{
    pthread_t reader;

    signal(SIGPIPE, SIG_IGN);
    pthread_barrier_init(&race_start, NULL, 2);
    CHECK_EQ(pthread_create(&reader, NULL, race_read, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        CHECK_OK(socketpair(AF_UNIX, i % 2 ? SOCK_STREAM : SOCK_SEQPACKET, 0, race_fds));
        pthread_barrier_wait(&race_start);
        send(race_fds[0], "some bytes", 10, 0);
        close(race_fds[0]);
        pthread_barrier_wait(&race_start);
        close(race_fds[1]);
    }
    pthread_join(reader, NULL);
}

static struct sockaddr_un race_address;
static volatile int race_over;

static void *race_connect(void *unused)
{
    while (!race_over) {
        int fd = socket(AF_UNIX, SOCK_STREAM, 0);
        char byte;

        if (connect(fd, (struct sockaddr *)&race_address, sizeof(race_address)) == 0 &&
            send(fd, "x", 1, MSG_NOSIGNAL) == 1)
            (void)!read(fd, &byte, 1);
        close(fd);
    }
    return unused;
}

TEST(connections_race_with_the_end_of_their_listener)
{
    pthread_t threads[3];

    enter_empty_directory();
    race_address = path_address("name");
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, race_connect, NULL), 0);
    for (int i = 0; i < ROUNDS; i++) {
        int listener = bound_to("name", SOCK_STREAM);

        CHECK_OK(listen(listener, i % 3));
        if (i % 2)
            close(CHECK_OK(accept(listener, NULL, NULL)));
        close(listener);
        unlink("name");
    }
    race_over = 1;
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

static void *race_circles(void *unused)
{
    for (int i = 0; i < ROUNDS; i++) {
        int a[2], b[2], files[4];

        CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, a));
        CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, b));
        CHECK_EQ(send_files(a[0], "x", b, 2), 1);
        CHECK_EQ(send_files(b[0], "x", a, 2), 1);
        if (i % 3 == 0) {
            CHECK_EQ(receive_files(a[1], files, i % 2 ? MSG_PEEK : 0, NULL), 2);
            close(files[0]);
            close(files[1]);
        }
        for (int j = 0; j < 2; j++) {
            close(a[j]);
            close(b[j]);
        }
    }
    return unused;
}

TEST(circles_of_descriptors_race_with_their_collection)
{
    pthread_t threads[3];

    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, race_circles, NULL), 0);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
}

static void *race_shared(void *sum)
{
    char buffer[7];
    ssize_t part;

    while ((part = read(race_fds[1], buffer, sizeof(buffer))) > 0)
        __atomic_fetch_add((long *)sum, part, __ATOMIC_SEQ_CST);
    return NULL;
}

TEST(several_readers_of_a_stream_get_each_byte_once)
{
    static char bytes[MANY / 8];
    pthread_t threads[3];
    long sum = 0;

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, race_fds));
    for (int i = 0; i < 3; i++)
        CHECK_EQ(pthread_create(&threads[i], NULL, race_shared, &sum), 0);
    for (size_t i = 0; i < sizeof(bytes); i += 1000)
        CHECK_OK(write(race_fds[0], bytes, sizeof(bytes) - i < 1000 ? sizeof(bytes) - i : 1000));
    close(race_fds[0]);
    for (int i = 0; i < 3; i++)
        pthread_join(threads[i], NULL);
    CHECK_EQ(sum, sizeof(bytes));
}
