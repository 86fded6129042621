/*
 * Unix sockets: their life and their connections.
 *
 *     client                    listener                     accepted
 *       |---- connect: makes ------------------------------->  o     (UNIX_CONNECTED, no file yet)
 *       |                       pending: o                     |
 *       | <---------------- peer of each other --------------> |
 *                               accept: takes o, gives it a file
 *
 * Once connected, two sockets hold a reference on each other, and send by putting packets on each
 * other's queue. Closing one makes it dead: its queue is emptied, the other one is shut down in
 * both directions, its pointer stays (it still answers getpeername). The reference that the dead
 * one held is given up, so no circle is left.
 *
 * Why a sender cannot fall into a socket that ends: the packet is put on the queue under the
 * receiver's lock, after a look whether it is shut down; release shuts it down under that lock
 * before it empties the queue. Why the pointer is good: release runs when no call on our file is
 * left, and nothing else takes the pointer away (datagrams: unix_datagram.c).
 *
 * Locking: setup_lock, then a socket's lock (readable.lock), one at a time. connect checks the
 *          listener, and queues itself there, under the listener's lock; its own state is safe from
 *          other calls by setup_lock, and nobody else changes it but a peer's release, which sets
 *          `shutdown` and leaves the state alone.
 */
#include "unix.h"

#include <pith/abi/errno.h>
#include <pith/abi/fcntl.h>
#include <pith/mem.h>
#include <pith/proc.h>

static struct slab_cache *unix_cache; /* [const] after unix_init */

static const struct socket_operations stream_operations, datagram_operations, seqpacket_operations;

/* ---- Life ---- */

static const struct socket_operations *operations_of(int type)
{
    return type == SOCK_STREAM      ? &stream_operations
           : type == SOCK_SEQPACKET ? &seqpacket_operations
                                    : &datagram_operations;
}

/* With one reference, which the caller's file will hold; listed in /proc/net/unix from here on. */
static struct unix_socket *unix_alloc(int type)
{
    struct unix_socket *local = slab_alloc(unix_cache, ALLOC_CLEARED);

    if (!local)
        return NULL;
    socket_init(&local->socket, AF_UNIX, type, 0, operations_of(type));
    mutex_init(&local->setup_lock, LOCK_SOCKET_SETUP);
    mutex_init(&local->read_lock, LOCK_SOCKET);
    spin_init(&local->peer_lock, LOCK_SOCKET_PEER);
    room_queue_init(&local->senders, LOCK_SOCKET_SENDERS);
    local->relay.wake = unix_relay_wake;
    list_init(&local->relay.link);
    list_init(&local->pending);
    list_init(&local->pending_link);
    local->backlog = (u32)READ_ONCE(unix_queue_max);
    unix_names_add(local);
    return local;
}

static int unix_create(int type, int protocol, struct socket **socket_out)
{
    struct unix_socket *local;

    if (protocol && protocol != AF_UNIX)
        return -EPROTONOSUPPORT;
    if (type == SOCK_RAW) /* as Linux takes it */
        type = SOCK_DGRAM;
    if (type != SOCK_STREAM && type != SOCK_DGRAM && type != SOCK_SEQPACKET)
        return -ESOCKTNOSUPPORT;
    local = unix_alloc(type);
    if (!local)
        return -ENOMEM;
    *socket_out = &local->socket;
    return 0;
}

static void unix_free(struct socket *socket)
{
    struct unix_socket *local = unix_of(socket);

    assert(list_is_empty(&socket->received) && !socket->charged && !local->peer);
    if (local->peer_credentials)
        credentials_put(local->peer_credentials);
    if (local->address)
        unix_address_put(local->address);
    slab_free(unix_cache, local);
}

/* Who the other side's SO_PEERCRED names. The socket's lock is held, or nobody has it yet. */
static void peer_credentials_set(struct unix_socket *local, struct credentials *credentials,
                                 int pid)
{
    struct credentials *old = local->peer_credentials;

    credentials_get(credentials);
    local->peer_credentials = credentials;
    local->peer_pid = pid;
    if (old)
        credentials_put(old);
}

static void peer_credentials_set_current(struct unix_socket *local)
{
    peer_credentials_set(local, thread_current()->credentials, process_current()->pid);
}

static int unix_pair(struct socket *a, struct socket *b)
{
    struct unix_socket *first = unix_of(a), *second = unix_of(b);

    unix_get(first);
    unix_get(second);
    first->peer = second;
    second->peer = first;
    peer_credentials_set_current(first);
    peer_credentials_set_current(second);
    first->state = second->state = UNIX_CONNECTED;
    return 0;
}

/* ---- The end ---- */

void unix_shut_down(struct unix_socket *local, u32 directions, int error)
{
    spin_lock(&local->socket.readable.lock);
    WRITE_ONCE(local->socket.shutdown, local->socket.shutdown | directions);
    if (error)
        WRITE_ONCE(local->socket.error, error);
    wait_queue_wake_locked(&local->socket.readable, WAKE_ALL,
                           POLL_READABLE | POLL_RDHUP | POLL_HUP | (error ? POLL_ERR : 0));
    spin_unlock(&local->socket.readable.lock);
    room_wake(&local->socket.writable, POLL_WRITABLE | POLL_HUP | (error ? POLL_ERR : 0));
}

/* Makes it dead; what waited in it comes into the lists. */
static void unix_kill(struct unix_socket *local, struct list *packets, struct list *pending)
{
    struct socket *socket = &local->socket;

    spin_lock(&socket->readable.lock);
    WRITE_ONCE(local->state, UNIX_DEAD);
    WRITE_ONCE(socket->shutdown, SHUTDOWN_BOTH);
    list_append_all(packets, &socket->received);
    list_append_all(pending, &local->pending);
    socket->received_count = 0;
    local->pending_count = 0;
    wait_queue_wake_locked(&socket->readable, WAKE_ALL, POLL_HUP);
    spin_unlock(&socket->readable.lock);
    room_wake(&local->senders, POLL_WRITABLE);
}

/* `error`: ECONNRESET for a connection that nobody accepted; else by what was left unread. */
static void unix_end(struct unix_socket *local, int error)
{
    struct list packets = LIST_INIT(packets), pending = LIST_INIT(pending);
    struct unix_socket *peer;

    unix_names_remove(local);
    unix_kill(local, &packets, &pending);
    if (local->socket.type == SOCK_DGRAM) {
        unix_datagram_disconnect(local);
    } else if ((peer = local->peer)) {
        if (!list_is_empty(&packets))
            error = ECONNRESET;
        unix_shut_down(peer, SHUTDOWN_BOTH, error);
        local->peer = NULL;
        unix_put(peer);
    }
    while (!list_is_empty(&packets))
        packet_free(list_entry(list_pop_front(&packets), struct packet, link));
    while (!list_is_empty(&pending)) {
        struct unix_socket *child =
            list_entry(list_pop_front(&pending), struct unix_socket, pending_link);

        unix_end(child, ECONNRESET); /* which has no connections of its own */
        unix_put(child);
    }
}

static void unix_release(struct socket *socket)
{
    unix_end(unix_of(socket), 0);
    unix_flight_collect();
}

/* ---- Connecting ---- */

static int unix_listen(struct socket *socket, u32 backlog)
{
    struct unix_socket *local = unix_of(socket);
    int error = 0;

    mutex_lock(&local->setup_lock);
    if (!local->address || (local->state != UNIX_UNCONNECTED && local->state != UNIX_LISTENING)) {
        error = -EINVAL;
    } else {
        spin_lock(&socket->readable.lock);
        WRITE_ONCE(local->backlog, MIN(backlog, SOMAXCONN_DEFAULT));
        peer_credentials_set_current(local);
        WRITE_ONCE(local->state, UNIX_LISTENING);
        spin_unlock(&socket->readable.lock);
        room_wake(&local->senders, POLL_WRITABLE); /* it may have become longer */
    }
    mutex_unlock(&local->setup_lock);
    return error;
}

static bool is_listening(struct socket *socket)
{
    return READ_ONCE(unix_of(socket)->state) == UNIX_LISTENING;
}

/* One more than the backlog fits, as on Linux. Also true when waiting would be in vain. */
static bool can_take_connection(const void *argument)
{
    const struct unix_socket *listener = argument;

    return READ_ONCE(listener->pending_count) <= READ_ONCE(listener->backlog) ||
           READ_ONCE(listener->state) != UNIX_LISTENING || READ_ONCE(listener->socket.shutdown);
}

/* The connection's other end, which the listener's accept will give. Nobody else sees it yet. */
static int child_create(struct unix_socket *local, struct unix_socket *listener,
                        struct unix_socket **child_out)
{
    struct unix_socket *child = unix_alloc(local->socket.type);

    if (!child)
        return -ENOMEM;
    child->state = UNIX_CONNECTED;
    peer_credentials_set_current(child);
    if (listener->address) {
        refcount_inc(&listener->address->references);
        child->address = listener->address;
    }
    unix_get(local);
    child->peer = local;
    *child_out = child;
    return 0;
}

static void child_destroy(struct unix_socket *child)
{
    struct unix_socket *peer = child->peer;

    unix_names_remove(child);
    child->peer = NULL;
    unix_put(peer);
    unix_put(child);
}

/* Queues the child where accept finds it. -EAGAIN: no room; -ECONNREFUSED: it does not listen. */
static int pending_push(struct unix_socket *listener, struct unix_socket *child,
                        struct credentials **credentials_out, int *pid_out)
{
    struct wait_queue *queue = &listener->socket.readable;
    int error = 0;

    spin_lock(&queue->lock);
    if (listener->state != UNIX_LISTENING || listener->socket.shutdown & SHUTDOWN_RECEIVE) {
        error = -ECONNREFUSED;
    } else if (listener->pending_count > listener->backlog) {
        error = -EAGAIN;
    } else {
        list_push_back(&listener->pending, &child->pending_link);
        listener->pending_count++;
        credentials_get(listener->peer_credentials);
        *credentials_out = listener->peer_credentials;
        *pid_out = listener->peer_pid;
        wait_queue_wake_locked(queue, 1, POLL_READABLE);
    }
    spin_unlock(&queue->lock);
    return error;
}

/* The last step, with setup_lock held: the child is queued, and we are connected. */
static int connect_finish(struct unix_socket *local, struct unix_socket *listener)
{
    struct credentials *credentials;
    struct unix_socket *child;
    int error, pid;

    if (local->state != UNIX_UNCONNECTED)
        return local->state == UNIX_CONNECTED ? -EISCONN : -EINVAL;
    error = child_create(local, listener, &child);
    if (error)
        return error;
    unix_get(child);
    local->peer = child; /* before the child can be found: it may send at once, or end */
    error = pending_push(listener, child, &credentials, &pid);
    if (error) {
        local->peer = NULL;
        unix_put(child);
        child_destroy(child);
        return error;
    }
    spin_lock(&local->socket.readable.lock);
    peer_credentials_set(local, credentials, pid);
    WRITE_ONCE(local->state, UNIX_CONNECTED);
    spin_unlock(&local->socket.readable.lock);
    credentials_put(credentials);
    return 0;
}

/* Tries once; -EAGAIN: the listener has no room. */
static int connect_try(struct unix_socket *local, struct unix_socket *listener)
{
    int error;

    mutex_lock(&local->setup_lock);
    error = connect_finish(local, listener);
    mutex_unlock(&local->setup_lock);
    return error;
}

static int unix_stream_connect(struct socket *socket, const struct socket_address *address,
                               u32 nonblock)
{
    u64 deadline = socket_deadline(socket->send_ns, nonblock);
    struct unix_socket *local = unix_of(socket), *listener;
    int error = unix_bind_if_needed(local);

    if (error)
        return error;
    for (;;) {
        error = unix_find(address, socket->type, &listener);
        if (error)
            return error;
        error = connect_try(local, listener);
        if (error == -EAGAIN) {
            error = room_wait(&listener->senders, can_take_connection, listener, deadline);
            if (!error) {
                unix_put(listener);
                continue;
            }
            error = error == -EAGAIN ? error : socket_wait_error(error, socket->send_ns);
        }
        unix_put(listener);
        return error;
    }
}

/* ---- Accepting ---- */

static int pending_pop_locked(struct unix_socket *listener, struct unix_socket **child_out)
    must_hold(&listener->socket.readable.lock)
{
    if (listener->state != UNIX_LISTENING)
        return -EINVAL;
    if (list_is_empty(&listener->pending))
        return listener->socket.shutdown & SHUTDOWN_RECEIVE ? -EINVAL : -EAGAIN;
    *child_out = list_entry(list_pop_front(&listener->pending), struct unix_socket, pending_link);
    listener->pending_count--;
    return 0;
}

static int unix_accept(struct socket *socket, u32 nonblock, struct socket **accepted_out)
{
    u64 deadline = socket_deadline(socket->receive_ns, nonblock);
    struct unix_socket *listener = unix_of(socket), *child;
    int error, interrupted = 0;

    spin_lock(&listener->socket.readable.lock);
    while ((error = pending_pop_locked(listener, &child)) == -EAGAIN && deadline && !interrupted)
        interrupted = wait_queue_wait_until(&listener->socket.readable, WAIT_INTERRUPTIBLE,
                                            WAIT_FOR_SOCKET, deadline);
    spin_unlock(&listener->socket.readable.lock);
    if (error)
        return interrupted ? socket_wait_error(interrupted, socket->receive_ns) : error;
    room_wake(&listener->senders, POLL_WRITABLE);
    child->socket.flags = READ_ONCE(socket->flags) & SOCKET_FLAG_PASS_CREDENTIALS;
    *accepted_out = &child->socket;
    return 0;
}

/* ---- Shutting down, names ---- */

static int unix_shutdown(struct socket *socket, u32 directions)
{
    struct unix_socket *local = unix_of(socket), *peer;

    unix_shut_down(local, directions, 0);
    room_wake(&local->senders, POLL_WRITABLE);
    if (socket->type == SOCK_DGRAM || !(peer = unix_connected_peer(local)))
        return 0;
    unix_shut_down(peer,
                   (directions & SHUTDOWN_RECEIVE ? SHUTDOWN_SEND : 0) |
                       (directions & SHUTDOWN_SEND ? SHUTDOWN_RECEIVE : 0),
                   0);
    return 0;
}

static int unix_get_name(struct socket *socket, struct socket_address *address_out)
{
    unix_address_tell(unix_of(socket), address_out);
    return 0;
}

static int unix_get_peer_name(struct socket *socket, struct socket_address *address_out)
{
    struct unix_socket *local = unix_of(socket), *peer = unix_peer_get(local);

    if (!peer)
        return -ENOTCONN;
    unix_address_tell(peer, address_out);
    unix_put(peer);
    return 0;
}

static bool unix_get_peer(struct socket *socket, struct credentials **credentials_out, int *pid_out)
{
    struct unix_socket *local = unix_of(socket);
    bool known;

    spin_lock(&socket->readable.lock);
    known = local->peer_credentials;
    if (known) {
        credentials_get(local->peer_credentials);
        *credentials_out = local->peer_credentials;
        *pid_out = local->peer_pid;
    }
    spin_unlock(&socket->readable.lock);
    return known;
}

struct unix_socket *unix_peer_get(struct unix_socket *local)
{
    struct unix_socket *peer;

    spin_lock(&local->peer_lock);
    peer = local->socket.type == SOCK_DGRAM ? local->peer : unix_connected_peer(local);
    if (peer)
        unix_get(peer);
    spin_unlock(&local->peer_lock);
    return peer;
}

/* ---- The tables ---- */

#define COMMON_OPERATIONS                                                                   \
    .bind = unix_bind, .shutdown = unix_shutdown, .get_name = unix_get_name,                \
    .get_peer_name = unix_get_peer_name, .ioctl = unix_ioctl, .is_listening = is_listening, \
    .get_peer = unix_get_peer, .release = unix_release, .free = unix_free
#define CONNECTED_OPERATIONS \
    COMMON_OPERATIONS, .listen = unix_listen, .connect = unix_stream_connect, .accept = unix_accept

static const struct socket_operations stream_operations = {
    CONNECTED_OPERATIONS,
    .send = unix_stream_send,
    .receive = unix_stream_receive,
    .poll = unix_stream_poll,
};

static const struct socket_operations seqpacket_operations = {
    CONNECTED_OPERATIONS,
    .send = unix_seqpacket_send,
    .receive = unix_seqpacket_receive,
    .poll = unix_datagram_poll,
};

static const struct socket_operations datagram_operations = {
    COMMON_OPERATIONS,          .connect = unix_datagram_connect,
    .send = unix_datagram_send, .receive = unix_datagram_receive,
    .poll = unix_datagram_poll,
};

const struct socket_family unix_family = {
    .number = AF_UNIX,
    .name = "UNIX",
    .create = unix_create,
    .pair = unix_pair,
};

void unix_init(void)
{
    unix_cache = slab_cache_create("unix_socket", sizeof(struct unix_socket),
                                   __alignof__(struct unix_socket));
    if (!unix_cache)
        panic("no memory for the cache of unix sockets");
    unix_names_init();
    unix_flight_init();
}
