/*
 * Flags of messages that mean nothing between local sockets, or are refused there; buffers forced
 * beyond their limits; what is peeked at from an offset on; the times at which messages came.
 *
 * covers: sendto recvfrom sendmsg recvmsg setsockopt getsockopt splice
 */
#include "guest.h"

#include <linux/sockios.h>
#include <poll.h>
#include <sys/ioctl.h>
#include <sys/socket.h>
#include <sys/time.h>

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

/* ---- MSG_OOB ---- */

/* What recv gives is exactly `text`. */
static void expect(int fd, size_t bytes, int flags, const char *text)
{
    char got[64] = "";

    CHECK_EQ(recv(fd, got, bytes, flags | MSG_DONTWAIT), strlen(text));
    CHECK_STR_EQ(got, text);
}

static void expect_urgent(int fd, int flags, char wanted)
{
    char byte = 0;

    CHECK_EQ(recv(fd, &byte, 1, MSG_OOB | MSG_DONTWAIT | flags), 1);
    CHECK_EQ(byte, wanted);
}

static int is_urgent(int fd)
{
    struct pollfd entry = {.fd = fd, .events = POLLPRI};

    return CHECK_OK(poll(&entry, 1, 0)) == 1 && entry.revents == POLLPRI;
}

TEST(urgent_byte_of_a_stream_is_read_out_of_its_turn)
{
    char byte;
    int fds[2];

    pair_of(SOCK_STREAM, fds);
    CHECK_ERRNO(recv(fds[1], &byte, 1, MSG_OOB | MSG_DONTWAIT), EINVAL);
    CHECK_ERRNO(send(fds[0], "", 0, MSG_OOB), EOPNOTSUPP);
    CHECK_EQ(send(fds[0], "abc", 3, MSG_OOB), 3);
    CHECK(is_urgent(fds[1]));
    expect_urgent(fds[1], MSG_PEEK, 'c');
    expect_urgent(fds[1], 0, 'c');
    CHECK(!is_urgent(fds[1]));
    CHECK_ERRNO(recv(fds[1], &byte, 1, MSG_OOB | MSG_DONTWAIT), EINVAL);
    expect(fds[1], 9, 0, "ab");
    CHECK_ERRNO(recv(fds[1], &byte, 1, MSG_DONTWAIT), EAGAIN);
}

TEST(urgent_byte_that_nobody_reads_ends_a_read_and_is_dropped_by_the_next)
{
    char byte;
    int fds[2];

    pair_of(SOCK_STREAM, fds);
    CHECK_EQ(send(fds[0], "abc", 3, MSG_OOB), 3);
    CHECK_EQ(send(fds[0], "de", 2, 0), 2);
    expect(fds[1], 9, 0, "ab");
    expect(fds[1], 9, MSG_PEEK, "de");
    expect(fds[1], 9, 0, "de");
    CHECK(!is_urgent(fds[1]));
    CHECK_ERRNO(recv(fds[1], &byte, 1, MSG_OOB | MSG_DONTWAIT), EINVAL);
}

TEST(urgent_byte_in_line_is_read_in_its_turn_behind_the_mark)
{
    int fds[2], at_mark = -1;
    char byte;

    pair_of(SOCK_STREAM, fds);
    CHECK_OK(setsockopt(fds[1], SOL_SOCKET, SO_OOBINLINE, &(int){1}, sizeof(int)));
    CHECK_EQ(send(fds[0], "abc", 3, MSG_OOB), 3);
    CHECK_OK(ioctl(fds[1], SIOCATMARK, &at_mark));
    CHECK_EQ(at_mark, 0);
    CHECK_ERRNO(recv(fds[1], &byte, 1, MSG_OOB | MSG_DONTWAIT), EINVAL);
    expect(fds[1], 9, 0, "ab");
    CHECK_OK(ioctl(fds[1], SIOCATMARK, &at_mark));
    CHECK_EQ(at_mark, 1);
    expect(fds[1], 9, 0, "c");
    CHECK_OK(ioctl(fds[1], SIOCATMARK, &at_mark));
    CHECK_EQ(at_mark, 0);
}

TEST(urgent_byte_that_another_follows_is_one_like_others)
{
    int fds[2];

    pair_of(SOCK_STREAM, fds);
    CHECK_EQ(send(fds[0], "a", 1, MSG_OOB), 1);
    CHECK_EQ(send(fds[0], "b", 1, MSG_OOB), 1);
    expect_urgent(fds[1], 0, 'b');
    expect(fds[1], 9, 0, "a");
}

/* ---- SO_PEEK_OFF ---- */

static int peek_offset(int fd)
{
    int offset = -2;
    socklen_t bytes = sizeof(offset);

    CHECK_OK(getsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, &bytes));
    return offset;
}

static void set_peek_offset(int fd, int offset)
{
    CHECK_OK(setsockopt(fd, SOL_SOCKET, SO_PEEK_OFF, &offset, sizeof(offset)));
}

TEST(peek_offset_moves_on_with_peeks_and_back_with_reads)
{
    int fds[2];

    pair_of(SOCK_STREAM, fds);
    CHECK_EQ(peek_offset(fds[1]), -1);
    CHECK_EQ(send(fds[0], "abcdef", 6, 0), 6);
    expect(fds[1], 2, MSG_PEEK, "ab");
    expect(fds[1], 2, MSG_PEEK, "ab");
    set_peek_offset(fds[1], 1);
    expect(fds[1], 2, MSG_PEEK, "bc");
    CHECK_EQ(peek_offset(fds[1]), 3);
    expect(fds[1], 2, MSG_PEEK, "de");
    expect(fds[1], 2, 0, "ab");
    CHECK_EQ(peek_offset(fds[1]), 3);
    expect(fds[1], 2, MSG_PEEK, "f");
    expect(fds[1], 4, 0, "cdef");
    CHECK_EQ(peek_offset(fds[1]), 0);
    set_peek_offset(fds[1], -1);
    CHECK_EQ(peek_offset(fds[1]), -1);
}

TEST(peek_offset_of_a_stream_goes_across_what_was_sent_apart)
{
    int fds[2];

    pair_of(SOCK_STREAM, fds);
    CHECK_EQ(send(fds[0], "abc", 3, 0), 3);
    CHECK_EQ(send(fds[0], "def", 3, 0), 3);
    set_peek_offset(fds[1], 2);
    expect(fds[1], 2, MSG_PEEK, "cd");
    expect(fds[1], 9, MSG_PEEK, "ef");
    CHECK_ERRNO(recv(fds[1], &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
    CHECK_EQ(send(fds[0], "g", 1, 0), 1);
    expect(fds[1], 9, MSG_PEEK, "g");
    expect(fds[1], 9, 0, "abcdefg");
}

TEST(peek_offset_of_datagrams_goes_from_one_to_the_next)
{
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    int fds[2];

    for (int i = 0; i < 2; i++) {
        pair_of(types[i], fds);
        CHECK_EQ(send(fds[0], "abc", 3, 0), 3);
        CHECK_EQ(send(fds[0], "def", 3, 0), 3);
        set_peek_offset(fds[1], 1);
        expect(fds[1], 1, MSG_PEEK, "b");
        expect(fds[1], 9, MSG_PEEK, "c");
        expect(fds[1], 9, MSG_PEEK, "def");
        CHECK_ERRNO(recv(fds[1], &(char){0}, 1, MSG_PEEK | MSG_DONTWAIT), EAGAIN);
        expect(fds[1], 1, 0, "a"); /* the rest of it is lost, and counts */
        CHECK_EQ(peek_offset(fds[1]), 3);
        expect(fds[1], 9, 0, "def");
        CHECK_EQ(peek_offset(fds[1]), 0);
    }
}

static void peek_from_the_end_on(int type)
{
    int fds[2];
    pid_t child;

    pair_of(type, fds);
    CHECK_EQ(send(fds[0], "abc", 3, 0), 3);
    set_peek_offset(fds[1], 3);
    child = CHECK_OK(fork());
    if (child == 0) {
        char got[8] = "";

        CHECK_EQ(recv(fds[1], got, sizeof(got), MSG_PEEK), 1);
        CHECK_STR_EQ(got, "d");
        _exit(0);
    }
    WAIT_FOR_STATE(child, 'S');
    CHECK_EQ(send(fds[0], "d", 1, 0), 1);
    CHECK_EXIT(child, 0);
    expect(fds[1], 3, 0, "abc");
}

/* Of a stream, 6.1 forgets the offset while it waits. */
TEST(peek_beyond_what_has_come_waits_for_more)
{
    peek_from_the_end_on(SOCK_DGRAM);
    peek_from_the_end_on(SOCK_SEQPACKET);
}

/* ---- SO_TIMESTAMP ---- */

static void set_option(int fd, int option, int value)
{
    CHECK_OK(setsockopt(fd, SOL_SOCKET, option, &value, sizeof(value)));
}

static int option_of(int fd, int option)
{
    int value = -1;
    socklen_t bytes = sizeof(value);

    CHECK_OK(getsockopt(fd, SOL_SOCKET, option, &value, &bytes));
    return value;
}

/* Receives a message whose only control message is of the type, if it is not 0, and gives it. */
static void receive_control(int fd, int type, void *data, size_t bytes)
{
    char text[8], control[128];
    struct iovec part = {text, sizeof(text)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    struct cmsghdr *first;

    CHECK_EQ(recvmsg(fd, &header, MSG_DONTWAIT), 1);
    first = CMSG_FIRSTHDR(&header);
    if (!type) {
        CHECK(first == NULL);
        return;
    }
    CHECK(first != NULL);
    CHECK_EQ(first->cmsg_level, SOL_SOCKET);
    CHECK_EQ(first->cmsg_type, type);
    CHECK_EQ(first->cmsg_len, CMSG_LEN(bytes));
    memcpy(data, CMSG_DATA(first), bytes);
    CHECK(CMSG_NXTHDR(&header, first) == NULL);
}

static int is_between(struct timespec from, struct timespec at, struct timespec to)
{
    int64_t ns = at.tv_sec * 1000000000LL + at.tv_nsec;

    return ns >= from.tv_sec * 1000000000LL + from.tv_nsec &&
           ns <= to.tv_sec * 1000000000LL + to.tv_nsec;
}

TEST(timestamps_tell_when_a_message_was_sent)
{
    static const int types[] = {SOCK_DGRAM, SOCK_SEQPACKET};
    struct timespec from, to, at;
    struct timeval rough;
    int fds[2];

    for (int i = 0; i < 2; i++) {
        pair_of(types[i], fds);
        set_option(fds[1], SO_TIMESTAMPNS, 1);
        CHECK_OK(clock_gettime(CLOCK_REALTIME, &from));
        CHECK_EQ(send(fds[0], "x", 1, 0), 1);
        CHECK_OK(clock_gettime(CLOCK_REALTIME, &to));
        CHECK_EQ(send(fds[0], "y", 1, 0), 1);
        receive_control(fds[1], SCM_TIMESTAMPNS, &at, sizeof(at));
        CHECK(is_between(from, at, to));
        set_option(fds[1], SO_TIMESTAMP, 1);
        receive_control(fds[1], SCM_TIMESTAMP, &rough, sizeof(rough));
        CHECK_GE(rough.tv_sec, from.tv_sec);
        CHECK_LT(rough.tv_usec, 1000000);
    }
}

TEST(timestamps_of_messages_that_came_before_they_were_asked_for_are_of_now)
{
    struct timespec from, to, at;
    int fds[2];

    pair_of(SOCK_DGRAM, fds);
    CHECK_EQ(send(fds[0], "x", 1, 0), 1);
    set_option(fds[1], SO_TIMESTAMPNS, 1);
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &from));
    receive_control(fds[1], SCM_TIMESTAMPNS, &at, sizeof(at));
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &to));
    CHECK(is_between(from, at, to));
}

TEST(timestamps_are_of_one_kind_at_a_time_and_not_of_streams)
{
    int fds[2];

    pair_of(SOCK_DGRAM, fds);
    set_option(fds[1], SO_TIMESTAMP, 1);
    CHECK_EQ(option_of(fds[1], SO_TIMESTAMP), 1);
    CHECK_EQ(option_of(fds[1], SO_TIMESTAMPNS), 0);
    set_option(fds[1], SO_TIMESTAMPNS, 1);
    CHECK_EQ(option_of(fds[1], SO_TIMESTAMP), 0);
    CHECK_EQ(option_of(fds[1], SO_TIMESTAMPNS), 1);
    set_option(fds[1], SO_TIMESTAMP, 0);
    CHECK_EQ(option_of(fds[1], SO_TIMESTAMPNS), 0);
    CHECK_EQ(send(fds[0], "x", 1, 0), 1);
    receive_control(fds[1], 0, NULL, 0);
    pair_of(SOCK_STREAM, fds);
    set_option(fds[1], SO_TIMESTAMP, 1);
    CHECK_EQ(send(fds[0], "x", 1, 0), 1);
    receive_control(fds[1], 0, NULL, 0);
}
