/*
 * Sockets of AF_UNIX: making, naming, connecting and ending them, and their options.
 *
 * covers: socket socketpair bind listen accept accept4 connect shutdown getsockname getpeername
 *         setsockopt getsockopt
 */
#include "guest.h"

#include <poll.h>
#include <stddef.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/un.h>

#ifndef SIOCOUTQ
#define SIOCOUTQ 0x5411
#endif

static struct sockaddr_un path_address(const char *path)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};

    strcpy(address.sun_path, path);
    return address;
}

static int bind_path(int fd, const char *path)
{
    struct sockaddr_un address = path_address(path);

    return bind(fd, (struct sockaddr *)&address, sizeof(address));
}

static int connect_path(int fd, const char *path)
{
    struct sockaddr_un address = path_address(path);

    return connect(fd, (struct sockaddr *)&address, sizeof(address));
}

/* The length of an abstract name's address. */
static socklen_t abstract_address(struct sockaddr_un *address, const char *name)
{
    *address = (struct sockaddr_un){.sun_family = AF_UNIX};
    snprintf(address->sun_path + 1, sizeof(address->sun_path) - 1, "%s.%d", name, getpid());
    return offsetof(struct sockaddr_un, sun_path) + 1 + strlen(address->sun_path + 1);
}

static int listener_at(const char *path, int type, int backlog)
{
    int fd = CHECK_OK(socket(AF_UNIX, type, 0));

    CHECK_OK(bind_path(fd, path));
    CHECK_OK(listen(fd, backlog));
    return fd;
}

static int connected_to(const char *path, int type)
{
    int fd = CHECK_OK(socket(AF_UNIX, type, 0));

    CHECK_OK(connect_path(fd, path));
    return fd;
}

static int poll_now(int fd)
{
    struct pollfd poll_fd = {.fd = fd, .events = POLLIN | POLLOUT | POLLRDHUP | POLLPRI};

    CHECK_OK(poll(&poll_fd, 1, 0));
    return poll_fd.revents;
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t bytes = sizeof(value);

    CHECK_OK(getsockopt(fd, SOL_SOCKET, option, &value, &bytes));
    CHECK_EQ(bytes, sizeof(value));
    return value;
}

/* ---- socket, socketpair ---- */

TEST(socket_refuses_what_there_is_not)
{
    CHECK_ERRNO(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(1000, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(AF_UNIX, 9, 0), ESOCKTNOSUPPORT);
    CHECK_ERRNO(socket(AF_UNIX, 15, 0), EINVAL);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM | 0x100, 0), EINVAL);
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 7), EPROTONOSUPPORT);
    close(CHECK_OK(socket(AF_UNIX, SOCK_STREAM, AF_UNIX)));
}

TEST(socket_without_free_descriptor_gives_emfile)
{
    while (dup(0) >= 0)
        ;
    CHECK_ERRNO(socket(AF_UNIX, SOCK_STREAM, 0), EMFILE);
}

TEST(socket_flags_are_those_of_the_descriptor)
{
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0));

    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR | O_NONBLOCK);
    fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_EQ(fcntl(fd, F_GETFD), 0);
    CHECK_EQ(fcntl(fd, F_GETFL), O_RDWR);
}

TEST(socket_is_a_file_of_its_own_type)
{
    char link[64], target[64], wanted[64];
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    struct stat status;
    ssize_t length;

    CHECK_OK(fstat(fd, &status));
    CHECK_EQ(status.st_mode, S_IFSOCK | 0777);
    CHECK_EQ(status.st_uid, geteuid());
    snprintf(link, sizeof(link), "/proc/self/fd/%d", fd);
    length = CHECK_OK(readlink(link, target, sizeof(target) - 1));
    target[length] = 0;
    snprintf(wanted, sizeof(wanted), "socket:[%lu]", (unsigned long)status.st_ino);
    CHECK_STR_EQ(target, wanted);
    CHECK_ERRNO(open(link, O_RDWR), ENXIO);
    CHECK_ERRNO(lseek(fd, 0, SEEK_SET), ESPIPE);
    CHECK_ERRNO(pread(fd, target, 1, 0), ESPIPE);
    CHECK_ERRNO(ftruncate(fd, 0), EINVAL);
}

TEST(socket_calls_on_other_files_give_enotsock)
{
    struct sockaddr_un address;
    socklen_t bytes = sizeof(address);
    int value = 0, fd = CHECK_OK(open("/dev/null", O_RDWR));

    CHECK_ERRNO(bind_path(fd, "x"), ENOTSOCK);
    CHECK_ERRNO(connect_path(fd, "x"), ENOTSOCK);
    CHECK_ERRNO(listen(fd, 1), ENOTSOCK);
    CHECK_ERRNO(accept(fd, NULL, NULL), ENOTSOCK);
    CHECK_ERRNO(accept4(fd, NULL, NULL, 0), ENOTSOCK);
    CHECK_ERRNO(shutdown(fd, SHUT_RD), ENOTSOCK);
    CHECK_ERRNO(getsockname(fd, (struct sockaddr *)&address, &bytes), ENOTSOCK);
    CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&address, &bytes), ENOTSOCK);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value)), ENOTSOCK);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &bytes), ENOTSOCK);
    CHECK_ERRNO(send(fd, "x", 1, 0), ENOTSOCK);
    CHECK_ERRNO(recv(fd, &value, 1, 0), ENOTSOCK);
}

TEST(socket_calls_on_closed_descriptors_give_ebadf)
{
    struct sockaddr_un address;
    socklen_t bytes = sizeof(address);
    int value = 0, fd = 99;

    CHECK_ERRNO(bind_path(fd, "x"), EBADF);
    CHECK_ERRNO(connect_path(fd, "x"), EBADF);
    CHECK_ERRNO(listen(fd, 1), EBADF);
    CHECK_ERRNO(accept(fd, NULL, NULL), EBADF);
    CHECK_ERRNO(accept4(fd, NULL, NULL, 0), EBADF);
    CHECK_ERRNO(shutdown(fd, SHUT_RD), EBADF);
    CHECK_ERRNO(getsockname(fd, (struct sockaddr *)&address, &bytes), EBADF);
    CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&address, &bytes), EBADF);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, sizeof(value)), EBADF);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &bytes), EBADF);
}

TEST(socketpair_of_each_type_carries_a_message_both_ways)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    char buffer[8];

    for (int i = 0; i < 3; i++) {
        int fds[2];

        CHECK_OK(socketpair(AF_UNIX, types[i], 0, fds));
        CHECK_EQ(write(fds[0], "ping", 4), 4);
        CHECK_EQ(read(fds[1], buffer, sizeof(buffer)), 4);
        CHECK_MEM_EQ(buffer, "ping", 4);
        CHECK_EQ(write(fds[1], "pong", 4), 4);
        CHECK_EQ(read(fds[0], buffer, sizeof(buffer)), 4);
        CHECK_MEM_EQ(buffer, "pong", 4);
        CHECK_EQ(option_of(fds[0], SO_TYPE), types[i]);
        close(fds[0]);
        close(fds[1]);
    }
}

TEST(socketpair_with_a_bad_address_leaves_no_descriptor)
{
    int fds[2];

    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, bad_address()), EFAULT);
    CHECK_EQ(CHECK_OK(dup(0)), 3);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 9, fds), EPROTONOSUPPORT);
    CHECK_ERRNO(socketpair(1000, SOCK_STREAM, 0, fds), EAFNOSUPPORT);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM | 0x100, 0, fds), EINVAL);
    while (dup(0) >= 0)
        ;
    close(5);
    CHECK_ERRNO(socketpair(AF_UNIX, SOCK_STREAM, 0, fds), EMFILE);
}

/* ---- bind and names ---- */

TEST(bind_makes_a_socket_file_by_umask)
{
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    struct stat status;

    enter_empty_directory();
    umask(027);
    CHECK_OK(bind_path(fd, "name"));
    CHECK_OK(stat("name", &status));
    CHECK_EQ(status.st_mode, S_IFSOCK | 0750);
    CHECK_ERRNO(open("name", O_RDWR), ENXIO);
    CHECK_OK(unlink("name"));
}

TEST(bind_refuses_names_that_cannot_be)
{
    struct sockaddr_un address = path_address("there/is/no/directory");
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    struct sockaddr *generic = (struct sockaddr *)&address;

    enter_empty_directory();
    CHECK_ERRNO(bind(fd, generic, sizeof(address)), ENOENT);
    CHECK_ERRNO(bind(fd, generic, sizeof(address) + 1), EINVAL);
    CHECK_ERRNO(bind(fd, generic, 1000), EINVAL);
    CHECK_ERRNO(bind(fd, generic, -1), EINVAL);
    CHECK_ERRNO(bind(fd, bad_address(), sizeof(address)), EFAULT);
    address.sun_family = AF_INET;
    CHECK_ERRNO(bind(fd, generic, sizeof(address)), EINVAL);
    write_file("file", "");
    CHECK_ERRNO(bind_path(fd, "file"), EADDRINUSE);
    CHECK_ERRNO(bind_path(fd, "file/name"), ENOTDIR);
    symlink("loop", "loop");
    CHECK_ERRNO(bind_path(fd, "loop/name"), ELOOP);
    CHECK_OK(bind_path(fd, "name"));
    CHECK_ERRNO(bind_path(fd, "other"), EINVAL);
}

TEST(bind_where_one_may_not_write_gives_eacces)
{
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));

    NEEDS_ROOT();
    enter_empty_directory();
    CHECK_OK(mkdir("closed", 0755));
    CHECK_OK(seteuid(12345));
    CHECK_ERRNO(bind_path(fd, "closed/name"), EACCES);
}

TEST(getsockname_tells_the_bound_name_and_its_length)
{
    struct sockaddr_un address;
    socklen_t bytes = sizeof(address), head = offsetof(struct sockaddr_un, sun_path);
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));

    enter_empty_directory();
    CHECK_OK(getsockname(fd, (struct sockaddr *)&address, &bytes));
    CHECK_EQ(bytes, head);
    CHECK_EQ(address.sun_family, AF_UNIX);
    CHECK_OK(bind_path(fd, "name"));
    bytes = sizeof(address);
    CHECK_OK(getsockname(fd, (struct sockaddr *)&address, &bytes));
    CHECK_EQ(bytes, head + 5);
    CHECK_STR_EQ(address.sun_path, "name");
    memset(&address, 'x', sizeof(address));
    bytes = head + 2; /* a buffer that is too short gets a part */
    CHECK_OK(getsockname(fd, (struct sockaddr *)&address, &bytes));
    CHECK_EQ(bytes, head + 5);
    CHECK_MEM_EQ(address.sun_path, "naxx", 4);
    CHECK_ERRNO(getsockname(fd, bad_address(), &bytes), EFAULT);
    CHECK_ERRNO(getsockname(fd, (struct sockaddr *)&address, bad_address()), EFAULT);
    bytes = -1;
    CHECK_ERRNO(getsockname(fd, (struct sockaddr *)&address, &bytes), EINVAL);
}

TEST(bind_takes_a_path_that_fills_the_address)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    char told[sizeof(address) + 1];
    socklen_t bytes = sizeof(told);
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0)), client;

    enter_empty_directory();
    memset(address.sun_path, 'p', sizeof(address.sun_path));
    CHECK_OK(bind(fd, (struct sockaddr *)&address, sizeof(address)));
    CHECK_OK(listen(fd, 1));
    CHECK_OK(getsockname(fd, (struct sockaddr *)told, &bytes));
    CHECK_EQ(bytes, sizeof(address) + 1);
    client = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(connect(client, (struct sockaddr *)&address, sizeof(address)));
}

TEST(bind_to_an_abstract_name_makes_no_file_and_ends_with_the_socket)
{
    struct sockaddr_un address, told;
    socklen_t bytes = abstract_address(&address, "guest"), told_bytes = sizeof(told);
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    int other = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    int of_other_type = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));

    CHECK_OK(bind(fd, (struct sockaddr *)&address, bytes));
    CHECK_OK(getsockname(fd, (struct sockaddr *)&told, &told_bytes));
    CHECK_EQ(told_bytes, bytes);
    CHECK_MEM_EQ(&told, &address, bytes);
    CHECK_ERRNO(bind(other, (struct sockaddr *)&address, bytes), EADDRINUSE);
    CHECK_OK(bind(of_other_type, (struct sockaddr *)&address, bytes));
    CHECK_ERRNO(connect(other, (struct sockaddr *)&address, bytes), ECONNREFUSED);
    CHECK_OK(listen(fd, 1));
    CHECK_OK(connect(other, (struct sockaddr *)&address, bytes));
    CHECK_ERRNO(connect(of_other_type, (struct sockaddr *)&address, bytes + 1), ECONNREFUSED);
    close(fd);
    fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind(fd, (struct sockaddr *)&address, bytes));
}

TEST(bind_with_the_family_alone_chooses_an_abstract_name)
{
    struct sockaddr_un address = {.sun_family = AF_UNIX};
    socklen_t head = offsetof(struct sockaddr_un, sun_path), bytes = sizeof(address);
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));

    CHECK_OK(bind(fd, (struct sockaddr *)&address, head));
    CHECK_OK(getsockname(fd, (struct sockaddr *)&address, &bytes));
    CHECK_EQ(bytes, head + 6);
    CHECK_EQ(address.sun_path[0], 0);
    CHECK_EQ(strspn(address.sun_path + 1, "0123456789abcdef"), 5);
}

/* ---- connect, listen, accept ---- */

TEST(connect_and_accept_join_two_sockets)
{
    int listener, client, server;
    char buffer[8];

    enter_empty_directory();
    listener = listener_at("name", SOCK_STREAM, 1);
    client = connected_to("name", SOCK_STREAM);
    CHECK_EQ(write(client, "early", 5), 5);
    server = CHECK_OK(accept(listener, NULL, NULL));
    CHECK_EQ(read(server, buffer, 8), 5);
    CHECK_MEM_EQ(buffer, "early", 5);
    CHECK_EQ(write(server, "back", 4), 4);
    CHECK_EQ(read(client, buffer, 8), 4);
    CHECK_EQ(fcntl(server, F_GETFD), 0);
    connected_to("name", SOCK_STREAM);
    server = CHECK_OK(accept4(listener, NULL, NULL, SOCK_CLOEXEC | SOCK_NONBLOCK));
    CHECK_EQ(fcntl(server, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(fcntl(server, F_GETFL), O_RDWR | O_NONBLOCK);
    CHECK_ERRNO(syscall(SYS_accept4, listener, NULL, NULL, 0x100), EINVAL);
}

TEST(accept_tells_the_address_of_who_connected)
{
    struct sockaddr_un address;
    socklen_t bytes = sizeof(address), head = offsetof(struct sockaddr_un, sun_path);
    int listener, client, server;

    enter_empty_directory();
    listener = listener_at("name", SOCK_STREAM, 5);
    connected_to("name", SOCK_STREAM);
    CHECK_OK(accept(listener, (struct sockaddr *)&address, &bytes));
    CHECK_EQ(bytes, head);
    client = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind_path(client, "client"));
    CHECK_OK(connect_path(client, "name"));
    bytes = sizeof(address);
    server = CHECK_OK(accept(listener, (struct sockaddr *)&address, &bytes));
    CHECK_STR_EQ(address.sun_path, "client");
    CHECK_EQ(bytes, head + 7);
    bytes = sizeof(address);
    CHECK_OK(getsockname(server, (struct sockaddr *)&address, &bytes));
    CHECK_STR_EQ(address.sun_path, "name");
    bytes = sizeof(address);
    CHECK_OK(getpeername(client, (struct sockaddr *)&address, &bytes));
    CHECK_STR_EQ(address.sun_path, "name");
    connected_to("name", SOCK_STREAM);
    CHECK_ERRNO(accept(listener, bad_address(), &bytes), EFAULT);
}

TEST(accept_needs_a_socket_that_listens)
{
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    int datagrams = CHECK_OK(socket(AF_UNIX, SOCK_DGRAM, 0));

    CHECK_ERRNO(accept(fd, NULL, NULL), EINVAL);
    CHECK_ERRNO(accept(datagrams, NULL, NULL), EOPNOTSUPP);
    CHECK_ERRNO(listen(datagrams, 1), EOPNOTSUPP);
    CHECK_ERRNO(listen(fd, 1), EINVAL); /* it has no name */
}

TEST(accept_without_a_connection_gives_eagain_or_waits_its_time)
{
    struct timeval limit = {.tv_usec = 20000};
    int listener;

    enter_empty_directory();
    listener = listener_at("name", SOCK_STREAM, 1);
    CHECK_OK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
    CHECK_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    CHECK_OK(fcntl(listener, F_SETFL, O_NONBLOCK));
    CHECK_ERRNO(accept(listener, NULL, NULL), EAGAIN);
    connected_to("name", SOCK_STREAM);
    while (dup(0) >= 0)
        ;
    CHECK_ERRNO(accept(listener, NULL, NULL), EMFILE);
    close(100); /* the connection was not lost */
    CHECK_OK(accept(listener, NULL, NULL));
}

TEST(connect_says_why_it_cannot)
{
    struct sockaddr_un address = path_address("name");
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0)), listener;
    struct sockaddr *generic = (struct sockaddr *)&address;

    enter_empty_directory();
    CHECK_ERRNO(connect_path(fd, "name"), ENOENT);
    write_file("file", "");
    CHECK_ERRNO(connect_path(fd, "file"), ECONNREFUSED);
    CHECK_ERRNO(connect_path(fd, "file/name"), ENOTDIR);
    listener = listener_at("name", SOCK_SEQPACKET, 1);
    CHECK_ERRNO(connect_path(fd, "name"), EPROTOTYPE);
    close(listener);
    CHECK_ERRNO(connect_path(fd, "name"), ECONNREFUSED);
    unlink("name");
    listener = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(bind_path(listener, "name"));
    CHECK_ERRNO(connect_path(fd, "name"), ECONNREFUSED);
    CHECK_OK(listen(listener, 1));
    CHECK_ERRNO(connect(fd, generic, 1), EINVAL);
    CHECK_ERRNO(connect(fd, generic, 2), EINVAL);
    CHECK_ERRNO(connect(fd, generic, 1000), EINVAL);
    CHECK_ERRNO(connect(fd, bad_address(), sizeof(address)), EFAULT);
    address.sun_family = AF_INET;
    CHECK_ERRNO(connect(fd, generic, sizeof(address)), EINVAL);
    CHECK_OK(connect_path(fd, "name"));
    CHECK_ERRNO(connect_path(fd, "name"), EISCONN);
    CHECK_ERRNO(connect_path(listener, "name"), EINVAL);
    CHECK_ERRNO(listen(fd, 1), EINVAL);
}

TEST(connect_needs_the_right_to_write_the_socket_file)
{
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));

    NEEDS_ROOT();
    enter_empty_directory();
    listener_at("name", SOCK_STREAM, 1);
    CHECK_OK(chmod("name", 0755));
    CHECK_OK(seteuid(12345));
    CHECK_ERRNO(connect_path(fd, "name"), EACCES);
}

TEST(connect_beyond_the_backlog_gives_eagain_and_else_waits)
{
    int listener, fd;
    pid_t child;

    enter_empty_directory();
    listener = listener_at("name", SOCK_STREAM, 1);
    connected_to("name", SOCK_STREAM);
    connected_to("name", SOCK_STREAM); /* one more than the backlog fits */
    fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0));
    CHECK_ERRNO(connect_path(fd, "name"), EAGAIN);
    child = CHECK_OK(fork());
    if (child == 0) {
        connected_to("name", SOCK_STREAM);
        _exit(0);
    }
    wait_for_state(__FILE__, __LINE__, child, 'S');
    CHECK_OK(accept(listener, NULL, NULL));
    CHECK_EXIT(child, 0);
    CHECK_ERRNO(connect_path(fd, "name"), EAGAIN);
    CHECK_OK(listen(listener, 5));
    CHECK_OK(connect_path(fd, "name"));
}

TEST(connect_that_waits_ends_when_the_listener_closes)
{
    struct timeval limit = {.tv_usec = 20000};
    int listener, fd;
    pid_t child;

    enter_empty_directory();
    listener = listener_at("name", SOCK_STREAM, 0);
    connected_to("name", SOCK_STREAM);
    fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)));
    CHECK_ERRNO(connect_path(fd, "name"), EAGAIN);
    child = CHECK_OK(fork());
    if (child == 0) {
        close(listener);
        fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
        CHECK_ERRNO(connect_path(fd, "name"), ECONNREFUSED);
        _exit(0);
    }
    wait_for_state(__FILE__, __LINE__, child, 'S');
    close(listener);
    CHECK_EXIT(child, 0);
}

TEST(connect_and_accept_give_eintr_or_go_on_after_a_signal)
{
    struct timeval limit = {.tv_sec = 20};
    int listener;
    pid_t child;

    enter_empty_directory();
    listener = listener_at("name", SOCK_STREAM, 1);
    child = CHECK_OK(fork());
    if (child == 0) {
        handle_signal(SIGUSR1, count_signal, 0);
        CHECK_ERRNO(accept(listener, NULL, NULL), EINTR);
        handle_signal(SIGUSR1, count_signal, SA_RESTART);
        CHECK_OK(accept(listener, NULL, NULL));
        CHECK_EQ(signals_counted, 2);
        CHECK_OK(setsockopt(listener, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
        CHECK_ERRNO(accept(listener, NULL, NULL), EINTR); /* with a time limit: never again */
        _exit(0);
    }
    for (int i = 0; i < 3; i++) {
        wait_for_state(__FILE__, __LINE__, child, 'S');
        kill(child, SIGUSR1);
        sleep_ms(20);
        if (i == 1)
            connected_to("name", SOCK_STREAM);
        sleep_ms(20);
    }
    CHECK_EXIT(child, 0);
}

TEST(listen_makes_the_largest_backlog_of_a_negative_one)
{
    char text[16];
    int listener;

    enter_empty_directory();
    listener = listener_at("name", SOCK_STREAM, -1);
    for (int i = 0; i < 20; i++)
        connected_to("name", SOCK_STREAM);
    CHECK_EQ(poll_now(listener), POLLIN);
    read_file("/proc/sys/net/core/somaxconn", text, sizeof(text));
    CHECK_EQ(atoi(text), 4096);
}

TEST(closing_a_listener_resets_the_connections_that_wait)
{
    int listener, client;
    char byte;

    enter_empty_directory();
    listener = listener_at("name", SOCK_STREAM, 1);
    client = connected_to("name", SOCK_STREAM);
    close(listener);
    CHECK_EQ(poll_now(client), POLLIN | POLLOUT | POLLRDHUP | POLLHUP | POLLERR);
    CHECK_ERRNO(read(client, &byte, 1), ECONNRESET);
    CHECK_EQ(read(client, &byte, 1), 0);
}

TEST(getpeername_of_a_socket_without_peer_gives_enotconn)
{
    struct sockaddr_un address;
    socklen_t bytes = sizeof(address);
    int fds[2], fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));

    CHECK_ERRNO(getpeername(fd, (struct sockaddr *)&address, &bytes), ENOTCONN);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_OK(getpeername(fds[0], (struct sockaddr *)&address, &bytes));
    CHECK_EQ(bytes, 2);
    close(fds[1]);
    CHECK_OK(getpeername(fds[0], (struct sockaddr *)&address, &bytes));
    CHECK_ERRNO(getpeername(fds[0], bad_address(), &bytes), EFAULT);
    bytes = -1;
    CHECK_ERRNO(getpeername(fds[0], (struct sockaddr *)&address, &bytes), EINVAL);
}

/* ---- shutdown, poll ---- */

TEST(shutdown_ends_one_direction)
{
    char byte;
    int fds[2];

    signal(SIGPIPE, SIG_IGN);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_ERRNO(shutdown(fds[0], 3), EINVAL);
    CHECK_ERRNO(shutdown(fds[0], -1), EINVAL);
    CHECK_EQ(write(fds[0], "x", 1), 1);
    CHECK_OK(shutdown(fds[0], SHUT_WR));
    CHECK_ERRNO(write(fds[0], "x", 1), EPIPE);
    CHECK_EQ(poll_now(fds[1]), POLLIN | POLLOUT | POLLRDHUP);
    CHECK_EQ(read(fds[1], &byte, 1), 1);
    CHECK_EQ(read(fds[1], &byte, 1), 0);
    CHECK_EQ(write(fds[1], "y", 1), 1);
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    CHECK_OK(shutdown(fds[0], SHUT_RD));
    CHECK_ERRNO(write(fds[1], "y", 1), EPIPE);
    CHECK_EQ(poll_now(fds[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

TEST(shutdown_of_reading_wakes_the_reader)
{
    int fds[2];
    pid_t child;
    char byte;

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    child = CHECK_OK(fork());
    if (child == 0)
        _exit((int)read(fds[0], &byte, 1));
    wait_for_state(__FILE__, __LINE__, child, 'S');
    CHECK_OK(shutdown(fds[0], SHUT_RD));
    CHECK_EXIT(child, 0);
}

TEST(poll_tells_what_a_stream_can_do)
{
    char buffer[4096] = {0};
    int fds[2], fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));

    CHECK_EQ(poll_now(fd), POLLOUT | POLLHUP);
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fds));
    CHECK_EQ(poll_now(fds[0]), POLLOUT);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(poll_now(fds[0]), POLLIN | POLLOUT);
    while (write(fds[0], buffer, sizeof(buffer)) > 0)
        ;
    CHECK_EQ(errno, EAGAIN);
    CHECK_EQ(poll_now(fds[0]), POLLIN);
    while (read(fds[1], buffer, sizeof(buffer)) > 0)
        ;
    CHECK_EQ(poll_now(fds[0]), POLLIN | POLLOUT);
    close(fds[1]);
    CHECK_EQ(poll_now(fds[0]), POLLIN | POLLOUT | POLLRDHUP | POLLHUP);
}

TEST(closing_with_bytes_unread_resets_the_other_side)
{
    char byte;
    int fds[2];

    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_EQ(write(fds[0], "x", 1), 1);
    close(fds[1]);
    CHECK_EQ(option_of(fds[0], SO_ERROR), ECONNRESET);
    CHECK_EQ(option_of(fds[0], SO_ERROR), 0);
    CHECK_EQ(read(fds[0], &byte, 1), 0);
}

/* ---- Options ---- */

TEST(getsockopt_tells_what_a_socket_is)
{
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_SEQPACKET, 0)), value;
    socklen_t bytes = sizeof(value);

    enter_empty_directory();
    CHECK_EQ(option_of(fd, SO_TYPE), SOCK_SEQPACKET);
    CHECK_EQ(option_of(fd, SO_DOMAIN), AF_UNIX);
    CHECK_EQ(option_of(fd, SO_PROTOCOL), 0);
    CHECK_EQ(option_of(fd, SO_ERROR), 0);
    CHECK_EQ(option_of(fd, SO_ACCEPTCONN), 0);
    CHECK_OK(bind_path(fd, "name"));
    CHECK_OK(listen(fd, 1));
    CHECK_EQ(option_of(fd, SO_ACCEPTCONN), 1);
    CHECK_EQ(option_of(fd, SO_SNDLOWAT), 1);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, 999, &value, &bytes), ENOPROTOOPT);
    CHECK_ERRNO(getsockopt(fd, 999, SO_TYPE, &value, &bytes), EOPNOTSUPP);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_TYPE, bad_address(), &bytes), EFAULT);
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, bad_address()), EFAULT);
    bytes = -1;
    CHECK_ERRNO(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &bytes), EINVAL);
    bytes = 1; /* a short buffer gets its part */
    value = 0;
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_TYPE, &value, &bytes));
    CHECK_EQ(value, SOCK_SEQPACKET);
    CHECK_EQ(bytes, 1);
}

TEST(setsockopt_changes_what_can_be_changed)
{
    static const int flags[] = {SO_REUSEADDR, SO_KEEPALIVE, SO_BROADCAST,
                                SO_PASSCRED,  SO_OOBINLINE, SO_DONTROUTE};
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0)), value = 5;

    for (int i = 0; i < 6; i++) {
        CHECK_EQ(option_of(fd, flags[i]), 0);
        value = 5;
        CHECK_OK(setsockopt(fd, SOL_SOCKET, flags[i], &value, sizeof(value)));
        CHECK_EQ(option_of(fd, flags[i]), 1);
        value = 0;
        CHECK_OK(setsockopt(fd, SOL_SOCKET, flags[i], &value, sizeof(value)));
        CHECK_EQ(option_of(fd, flags[i]), 0);
    }
    value = 3;
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &value, sizeof(value)));
    CHECK_EQ(option_of(fd, SO_PRIORITY), 3);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVLOWAT, &value, sizeof(value)));
    CHECK_EQ(option_of(fd, SO_RCVLOWAT), 3);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_TYPE, &value, sizeof(value)), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, 999, &value, sizeof(value)), ENOPROTOOPT);
    CHECK_ERRNO(setsockopt(fd, 999, SO_REUSEADDR, &value, sizeof(value)), EOPNOTSUPP);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, 1), EINVAL);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &value, -1), EINVAL);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, bad_address(), 4), EFAULT);
}

TEST(setsockopt_doubles_buffers_within_their_limits)
{
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0)), value = 10000;
    char most[16];

    read_file("/proc/sys/net/core/wmem_max", most, sizeof(most));
    CHECK_EQ(option_of(fd, SO_SNDBUF), 212992);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof(value)));
    CHECK_EQ(option_of(fd, SO_SNDBUF), 20000);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, sizeof(value)));
    CHECK_EQ(option_of(fd, SO_RCVBUF), 20000);
    value = 1;
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof(value)));
    CHECK_EQ(option_of(fd, SO_SNDBUF), 4608);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVBUF, &value, sizeof(value)));
    CHECK_EQ(option_of(fd, SO_RCVBUF), 2304);
    value = 1 << 30;
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUF, &value, sizeof(value)));
    CHECK_EQ(option_of(fd, SO_SNDBUF), 2 * atoi(most));
}

TEST(setsockopt_keeps_time_limits_and_linger)
{
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    struct timeval limit = {.tv_sec = 3, .tv_usec = 500000};
    struct linger linger = {.l_onoff = 7, .l_linger = 9};
    socklen_t bytes = sizeof(limit);

    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit)));
    limit = (struct timeval){0};
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, &bytes));
    CHECK_EQ(limit.tv_sec, 3);
    CHECK_EQ(limit.tv_usec, 500000);
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, &bytes));
    CHECK_EQ(limit.tv_sec, 0);
    limit.tv_usec = 1000000;
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit)), EDOM);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, 8), EINVAL);
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, sizeof(linger)));
    bytes = sizeof(linger);
    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, &bytes));
    CHECK_EQ(linger.l_onoff, 1);
    CHECK_EQ(linger.l_linger, 9);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_LINGER, &linger, 4), EINVAL);
}

TEST(setsockopt_of_an_ordinary_user_may_not_force)
{
    int fd = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0)), value = 1 << 20;

    NEEDS_ROOT();
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &value, sizeof(value)));
    CHECK_EQ(option_of(fd, SO_SNDBUF), 2 << 20);
    CHECK_OK(setresuid(12345, 12345, 12345));
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_SNDBUFFORCE, &value, sizeof(value)), EPERM);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_PRIORITY, &value, sizeof(value)), EPERM);
    CHECK_ERRNO(setsockopt(fd, SOL_SOCKET, SO_DEBUG, &value, sizeof(value)), EACCES);
}

TEST(getsockopt_tells_who_is_on_the_other_side)
{
    struct ucred peer;
    socklen_t bytes = sizeof(peer);
    int listener, client, server, fds[2], status;
    gid_t groups[64];
    pid_t child;

    enter_empty_directory();
    listener = listener_at("name", SOCK_STREAM, 1);
    child = CHECK_OK(fork());
    if (child == 0) {
        client = connected_to("name", SOCK_STREAM);
        CHECK_OK(getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &bytes));
        _exit(peer.pid == getppid() ? 0 : 1);
    }
    server = CHECK_OK(accept(listener, NULL, NULL));
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK_EQ(status, 0);
    CHECK_OK(getsockopt(server, SOL_SOCKET, SO_PEERCRED, &peer, &bytes));
    CHECK_EQ(bytes, sizeof(peer));
    CHECK_EQ(peer.pid, child);
    CHECK_EQ(peer.uid, geteuid());
    CHECK_EQ(peer.gid, getegid());
    bytes = sizeof(groups);
    CHECK_OK(getsockopt(server, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes));
    CHECK_EQ(bytes, getgroups(0, NULL) * sizeof(gid_t));
    CHECK_OK(socketpair(AF_UNIX, SOCK_DGRAM, 0, fds));
    bytes = sizeof(peer);
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_PEERCRED, &peer, &bytes));
    CHECK_EQ(peer.pid, getpid());
    client = CHECK_OK(socket(AF_UNIX, SOCK_STREAM, 0));
    CHECK_OK(getsockopt(client, SOL_SOCKET, SO_PEERCRED, &peer, &bytes));
    CHECK_EQ(peer.pid, 0);
    CHECK_EQ(peer.uid, (uid_t)-1);
    CHECK_ERRNO(getsockopt(client, SOL_SOCKET, SO_PEERGROUPS, groups, &bytes), ENODATA);
}

TEST(proc_net_unix_lists_sockets_with_their_names)
{
    static char text[1 << 16];
    struct stat status;
    char line[128];
    int listener;

    enter_empty_directory();
    listener = listener_at("a_name_of_mine", SOCK_STREAM, 1);
    CHECK_OK(fstat(listener, &status));
    read_file("/proc/net/unix", text, sizeof(text));
    CHECK(strstr(text, "Num       RefCount Protocol Flags    Type St Inode Path\n") == text);
    snprintf(line, sizeof(line), "00010000 0001 01 %5lu a_name_of_mine\n",
             (unsigned long)status.st_ino);
    CHECK(strstr(text, line) != NULL);
}
