/*
 * Options of SOL_SOCKET (socket(7)), which all families have in common.
 *
 * Most are a bit or a number, in a table. Values are ints, but for time limits, SO_LINGER and what
 * tells of the other side; a longer value than the option has is taken as far as it goes, a
 * shorter buffer gets its part.
 *
 * Context: options are atomics of the socket; a call that is under way may see the old value.
 */
#include "socket.h"

#include <pith/abi/errno.h>
#include <pith/abi/process.h>
#include <pith/mem.h>
#include <pith/proc.h>
#include <pith/string.h>

/* The least that a buffer can be: room for a small packet (SOCK_MIN_SNDBUF, SOCK_MIN_RCVBUF). */
#define SEND_LIMIT_MIN       4608u
#define RECEIVE_LIMIT_MIN    2304u

#define PRIORITY_MAX_OF_USER 6 /* above it: CAP_NET_ADMIN */

static const struct {
    int option;
    u32 flag; /* SOCKET_FLAG_* */
} flag_options[] = {
    {SO_DEBUG, SOCKET_FLAG_DEBUG},
    {SO_REUSEADDR, SOCKET_FLAG_REUSE_ADDRESS},
    {SO_DONTROUTE, SOCKET_FLAG_DONT_ROUTE},
    {SO_BROADCAST, SOCKET_FLAG_BROADCAST},
    {SO_KEEPALIVE, SOCKET_FLAG_KEEP_ALIVE},
    {SO_OOBINLINE, SOCKET_FLAG_OOB_INLINE},
    {SO_NO_CHECK, SOCKET_FLAG_NO_CHECK},
    {SO_REUSEPORT, SOCKET_FLAG_REUSE_PORT},
    {SO_PASSCRED, SOCKET_FLAG_PASS_CREDENTIALS},
};

/* The option's bit, or 0: it is none of those. */
static u32 flag_of(int option)
{
    for (u32 i = 0; i < ARRAY_SIZE(flag_options); i++)
        if (flag_options[i].option == option)
            return flag_options[i].flag;
    return 0;
}

static bool can_administer(void)
{
    return credentials_can(thread_current()->credentials, CAPABILITY_NET_ADMIN);
}

/* ---- Setting ---- */

/* Twice what was asked for, for the packets' own memory; at most `most`. */
static void limit_set(u32 *limit, u32 least, u32 value, u32 most)
{
    u64 twice = 2ul * MIN(value, most);

    WRITE_ONCE(*limit, (u32)MIN(MAX(twice, (u64)least), (u64)INT32_MAX));
}

/* SO_RCVTIMEO, SO_SNDTIMEO: 0 is for ever. -EDOM: no microseconds (socket(7) says so of Linux). */
static int time_limit_set(u64 *limit_ns, const void *value, u32 bytes)
{
    struct abi_timeval limit;

    if (bytes < sizeof(limit))
        return -EINVAL;
    memcpy(&limit, value, sizeof(limit));
    if (limit.microseconds < 0 || limit.microseconds >= 1000000)
        return -EDOM;
    if (limit.seconds < 0) /* no time at all, as Linux takes it */
        WRITE_ONCE(*limit_ns, 1);
    else if (limit.seconds == 0 && limit.microseconds == 0)
        WRITE_ONCE(*limit_ns, U64_MAX);
    else if ((u64)limit.seconds >= INT64_MAX / NS_PER_SECOND / 2)
        WRITE_ONCE(*limit_ns, U64_MAX);
    else
        WRITE_ONCE(*limit_ns, (u64)limit.seconds * NS_PER_SECOND + limit.microseconds * NS_PER_US);
    return 0;
}

static int linger_set(struct socket *socket, const void *value, u32 bytes)
{
    if (bytes < sizeof(socket->linger))
        return -EINVAL;
    memcpy(&socket->linger, value, sizeof(socket->linger));
    socket->linger.on = !!socket->linger.on;
    return 0;
}

static int flag_set(struct socket *socket, u32 flag, int value)
{
    if (flag == SOCKET_FLAG_DEBUG && value && !can_administer())
        return -EACCES;
    if (value)
        __atomic_fetch_or(&socket->flags, flag, __ATOMIC_RELAXED);
    else
        __atomic_fetch_and(&socket->flags, ~flag, __ATOMIC_RELAXED);
    return 0;
}

/* SO_TIMESTAMP and SO_TIMESTAMPNS exclude each other: the last one counts. */
static int timestamp_set(struct socket *socket, u32 kind, int value)
{
    (void)!flag_set(socket, SOCKET_FLAG_TIMESTAMP | SOCKET_FLAG_TIMESTAMP_NS, 0);
    return value ? flag_set(socket, SOCKET_FLAG_TIMESTAMP | kind, 1) : 0;
}

static int number_set(struct socket *socket, int option, int value)
{
    switch (option) {
    case SO_SNDBUFFORCE:
    case SO_RCVBUFFORCE:
        if (!can_administer())
            return -EPERM;
        if (option == SO_SNDBUFFORCE)
            limit_set(&socket->send_limit, SEND_LIMIT_MIN, (u32)MAX(value, 0), INT32_MAX / 2);
        else
            limit_set(&socket->receive_limit, RECEIVE_LIMIT_MIN, (u32)MAX(value, 0), INT32_MAX / 2);
        break;
    case SO_SNDBUF:
        limit_set(&socket->send_limit, SEND_LIMIT_MIN, (u32)value, SOCKET_BUFFER_MAX);
        room_wake(&socket->writable, POLL_WRITABLE | POLL_WRBAND);
        break;
    case SO_RCVBUF:
        limit_set(&socket->receive_limit, RECEIVE_LIMIT_MIN, (u32)value, SOCKET_BUFFER_MAX);
        break;
    case SO_RCVLOWAT:
        WRITE_ONCE(socket->receive_low, value < 0 ? INT32_MAX : MAX((u32)value, 1u));
        break;
    case SO_PRIORITY:
        if ((value < 0 || value > PRIORITY_MAX_OF_USER) && !can_administer())
            return -EPERM;
        WRITE_ONCE(socket->priority, (u32)value);
        break;
    case SO_TIMESTAMP:
        return timestamp_set(socket, 0, value);
    case SO_TIMESTAMPNS:
        return timestamp_set(socket, SOCKET_FLAG_TIMESTAMP_NS, value);
    case SO_PEEK_OFF:
        WRITE_ONCE(socket->peek_offset, value);
        break;
    case SO_BSDCOMPAT:
        break;
    default: /* also what can only be read */
        return -ENOPROTOOPT;
    }
    return 0;
}

int socket_set_option(struct socket *socket, int option, const void *value, u32 bytes)
{
    u32 flag = flag_of(option);
    int number;

    if (bytes < sizeof(number))
        return -EINVAL;
    memcpy(&number, value, sizeof(number));
    switch (option) {
    case SO_RCVTIMEO:
        return time_limit_set(&socket->receive_ns, value, bytes);
    case SO_SNDTIMEO:
        return time_limit_set(&socket->send_ns, value, bytes);
    case SO_LINGER:
        return linger_set(socket, value, bytes);
    default:
        return flag ? flag_set(socket, flag, number) : number_set(socket, option, number);
    }
}

/* ---- Getting ---- */

static int bytes_get(const void *from, u32 size, void *value, u32 bytes)
{
    u32 count = MIN(size, bytes);

    memcpy(value, from, count);
    return (int)count;
}

static int time_limit_get(u64 limit_ns, void *value, u32 bytes)
{
    struct abi_timeval limit = {0};

    if (limit_ns != U64_MAX)
        limit = (struct abi_timeval){(s64)(limit_ns / NS_PER_SECOND),
                                     (s64)(limit_ns % NS_PER_SECOND / NS_PER_US)};
    return bytes_get(&limit, sizeof(limit), value, bytes);
}

/*
 * SO_PEERCRED: who is on the other side, as it was when it connected or listened; nobody: pid 0 and
 * the ids -1.
 */
static int peer_get(struct socket *socket, void *value, u32 bytes)
{
    struct abi_ucred peer = {.pid = 0, .uid = ~0u, .gid = ~0u};
    struct credentials *credentials;
    int pid;

    if (socket->operations->get_peer && socket->operations->get_peer(socket, &credentials, &pid)) {
        peer = (struct abi_ucred){pid, credentials->euid, credentials->egid};
        credentials_put(credentials);
    }
    return bytes_get(&peer, sizeof(peer), value, bytes);
}

int socket_get_peer_groups(struct socket *socket, struct user_ptr to, u32 *bytes)
{
    struct credentials *credentials;
    int pid, error = 0;
    u32 size;

    if (!socket->operations->get_peer || !socket->operations->get_peer(socket, &credentials, &pid))
        return -ENODATA;
    size = credentials->group_count * (u32)sizeof(u32);
    if (*bytes < size)
        error = -ERANGE;
    else
        error = copy_out(to, credentials->groups, size);
    *bytes = size;
    credentials_put(credentials);
    return error;
}

static u32 timestamp_kind(const struct socket *socket)
{
    return READ_ONCE(socket->flags) & (SOCKET_FLAG_TIMESTAMP | SOCKET_FLAG_TIMESTAMP_NS);
}

/* -ENOPROTOOPT: none that can be read. SO_ERROR is told once. */
static int number_get(struct socket *socket, int option, int *number_out)
{
    u32 flag = flag_of(option);

    switch (option) {
    case SO_TYPE:
        *number_out = socket->type;
        break;
    case SO_DOMAIN:
        *number_out = socket->family;
        break;
    case SO_PROTOCOL:
        *number_out = socket->protocol;
        break;
    case SO_ERROR:
        *number_out = -socket_take_error(socket);
        break;
    case SO_ACCEPTCONN:
        *number_out = socket->operations->is_listening(socket);
        break;
    case SO_SNDBUF:
        *number_out = (int)READ_ONCE(socket->send_limit);
        break;
    case SO_RCVBUF:
        *number_out = (int)READ_ONCE(socket->receive_limit);
        break;
    case SO_RCVLOWAT:
        *number_out = (int)READ_ONCE(socket->receive_low);
        break;
    case SO_SNDLOWAT:
        *number_out = 1;
        break;
    case SO_PRIORITY:
        *number_out = (int)READ_ONCE(socket->priority);
        break;
    case SO_TIMESTAMP:
        *number_out = timestamp_kind(socket) == SOCKET_FLAG_TIMESTAMP;
        break;
    case SO_TIMESTAMPNS:
        *number_out = !!(timestamp_kind(socket) & SOCKET_FLAG_TIMESTAMP_NS);
        break;
    case SO_PEEK_OFF:
        *number_out = READ_ONCE(socket->peek_offset);
        break;
    case SO_BSDCOMPAT:
        *number_out = 0;
        break;
    default:
        if (!flag)
            return -ENOPROTOOPT;
        *number_out = socket_has_flag(socket, flag);
        break;
    }
    return 0;
}

int socket_get_option(struct socket *socket, int option, void *value, u32 bytes)
{
    int number, error;

    switch (option) {
    case SO_RCVTIMEO:
        return time_limit_get(READ_ONCE(socket->receive_ns), value, bytes);
    case SO_SNDTIMEO:
        return time_limit_get(READ_ONCE(socket->send_ns), value, bytes);
    case SO_LINGER:
        return bytes_get(&socket->linger, sizeof(socket->linger), value, bytes);
    case SO_PEERCRED:
        return peer_get(socket, value, bytes);
    default:
        error = number_get(socket, option, &number);
        return error ? error : bytes_get(&number, sizeof(number), value, bytes);
    }
}
