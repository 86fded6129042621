/*
 * Flags of messages that mean nothing between local sockets, or are refused there; buffers forced
 * beyond their limits.
 *
 * covers: sendto recvfrom sendmsg recvmsg setsockopt getsockopt splice
 */
#include "guest.h"

#include <sys/socket.h>

static void pair_of(int type, int fds[2])
{
    CHECK_OK(socketpair(AF_UNIX, type, 0, fds));
}

TEST(send_ignores_what_is_said_of_routes)
{
    static const int types[] = {SOCK_STREAM, SOCK_DGRAM, SOCK_SEQPACKET};
    char text[8];
    int fds[2];

    for (int i = 0; i < 3; i++) {
        pair_of(types[i], fds);
        CHECK_EQ(send(fds[0], "abc", 3, MSG_DONTROUTE | MSG_CONFIRM | MSG_MORE | MSG_NOSIGNAL), 3);
        CHECK_EQ(recv(fds[1], text, sizeof(text), 0), 3);
    }
}

TEST(messages_out_of_band_are_not_of_datagrams)
{
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    char byte;
    int fds[2];

    for (int i = 0; i < 2; i++) {
        pair_of(types[i], fds);
        CHECK_ERRNO(send(fds[0], "x", 1, MSG_OOB), EOPNOTSUPP);
        CHECK_ERRNO(recv(fds[1], &byte, 1, MSG_OOB | MSG_DONTWAIT), EOPNOTSUPP);
    }
}

TEST(recv_of_errors_reads_on_since_local_sockets_keep_none)
{
    char text[8];
    int fds[2];

    pair_of(SOCK_DGRAM, fds);
    CHECK_EQ(send(fds[0], "abc", 3, 0), 3);
    CHECK_EQ(recv(fds[1], text, sizeof(text), MSG_ERRQUEUE | MSG_DONTWAIT), 3);
    CHECK_ERRNO(recv(fds[1], text, sizeof(text), MSG_ERRQUEUE | MSG_DONTWAIT), EAGAIN);
}

TEST(setsockopt_forces_a_receive_buffer_for_root_alone)
{
    int fds[2], value = 1 << 20, got = 0;
    socklen_t bytes = sizeof(got);

    NEEDS_ROOT();
    pair_of(SOCK_STREAM, fds);
    CHECK_OK(setsockopt(fds[0], SOL_SOCKET, SO_RCVBUFFORCE, &value, sizeof(value)));
    CHECK_OK(getsockopt(fds[0], SOL_SOCKET, SO_RCVBUF, &got, &bytes));
    CHECK_EQ(got, 2 << 20);
    CHECK_OK(setresuid(12345, 12345, 12345));
    CHECK_ERRNO(setsockopt(fds[0], SOL_SOCKET, SO_RCVBUFFORCE, &value, sizeof(value)), EPERM);
}

TEST(splice_into_a_socket_may_say_that_more_follows)
{
    int fds[2], ends[2];
    char text[8];

    pair_of(SOCK_STREAM, fds);
    CHECK_OK(pipe(ends));
    CHECK_EQ(write(ends[1], "abc", 3), 3);
    CHECK_EQ(splice(ends[0], NULL, fds[0], NULL, 3, SPLICE_F_MORE), 3);
    CHECK_EQ(recv(fds[1], text, sizeof(text), 0), 3);
}
