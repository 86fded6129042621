/*
 * SOCK_DGRAM and SOCK_SEQPACKET of AF_UNIX: messages.
 *
 * A message is one packet; a receive takes one off, and what does not fit is lost. SOCK_SEQPACKET
 * differs only in being connected (unix_socket.c), so each of its sockets has one sender.
 *
 * A datagram goes to whom the call names, or to the peer that connect set. Many may send to one
 * socket, so a queue takes no more than max_dgram_qlen + 1 messages; whoever sends more waits in
 * the receiver's `senders`. Two that are connected to each other hold only themselves back, by
 * SO_SNDBUF.
 *
 * poll: a socket whose peer's queue is full cannot be written. What makes room there happens to the
 * peer, but poll's entry must not lie on the peer's queue: connect may change the peer at any time.
 * So a waiter of the socket's own, the relay, is put on the peer's `senders`, and wakes the
 * socket's own writers; who takes the peer away takes the relay off first.
 *
 *     poll -> a.writable <--- a.relay on b.senders <--- b's reader made room
 *
 * Locking: peer_lock guards a datagram socket's `peer`, then the peer's senders.queue.lock guards
 *          the relay, then the waking locks. A sender holds a reference on the receiver.
 */
#include "unix.h"

#include <pith/abi/errno.h>
#include <pith/fs.h>

#include "passed_files.h"

/* Of a packet's own memory, as Linux leaves room for its header. */
#define HEADER_BYTES 32u

/* ---- The relay ---- */

int unix_relay_wake(struct waiter *waiter, u32 events)
{
    struct unix_socket *local = container_of(waiter, struct unix_socket, relay);

    list_remove(&waiter->link);
    wait_queue_wake(&local->socket.writable.queue, WAKE_ALL, events);
    return 0;
}

static void relay_remove(struct unix_socket *local, struct unix_socket *peer)
{
    spin_lock(&peer->senders.queue.lock);
    if (list_is_linked(&local->relay.link))
        list_remove(&local->relay.link);
    spin_unlock(&peer->senders.queue.lock);
}

/* ---- Peers ---- */

/*
 * Replaces the peer (by NULL: none), whose reference is taken over. The old one's is the caller's.
 */
static struct unix_socket *peer_replace(struct unix_socket *local, struct unix_socket *peer)
{
    struct unix_socket *old;

    spin_lock(&local->peer_lock);
    old = local->peer;
    if (old)
        relay_remove(local, old);
    local->peer = peer;
    if (local->state != UNIX_DEAD)
        WRITE_ONCE(local->state, peer ? UNIX_CONNECTED : UNIX_UNCONNECTED);
    spin_unlock(&local->peer_lock);
    return old;
}

void unix_datagram_disconnect(struct unix_socket *local)
{
    struct unix_socket *old = peer_replace(local, NULL);

    if (old)
        unix_put(old);
}

/* Gives up the peer if it still is `dead`. */
static bool peer_forget(struct unix_socket *local, const struct unix_socket *dead)
{
    struct unix_socket *old = NULL;

    spin_lock(&local->peer_lock);
    if (local->peer == dead) {
        old = local->peer;
        relay_remove(local, old);
        local->peer = NULL;
        if (local->state != UNIX_DEAD)
            WRITE_ONCE(local->state, UNIX_UNCONNECTED);
    }
    spin_unlock(&local->peer_lock);
    if (!old)
        return false;
    unix_put(old);
    return true;
}

/* Whether `sender` may send to it: one that has a peer listens to that one alone. */
static bool may_send(const struct unix_socket *sender, const struct unix_socket *receiver)
{
    const struct unix_socket *peer = READ_ONCE(receiver->peer);

    return receiver->socket.type != SOCK_DGRAM || !peer || peer == sender;
}

/* What came from the old peer is not what the new one's reader expects (connect(2)). */
static void queue_purge(struct unix_socket *local)
{
    struct list packets = LIST_INIT(packets);

    mutex_lock(&local->read_lock);
    spin_lock(&local->socket.readable.lock);
    list_append_all(&packets, &local->socket.received);
    local->socket.received_count = 0;
    spin_unlock(&local->socket.readable.lock);
    mutex_unlock(&local->read_lock);
    room_wake(&local->senders, POLL_WRITABLE);
    while (!list_is_empty(&packets))
        packet_free(list_entry(list_pop_front(&packets), struct packet, link));
}

static void old_peer_leave(struct unix_socket *local, struct unix_socket *old)
{
    if (READ_ONCE(local->socket.received_count)) {
        queue_purge(local);
        if (READ_ONCE(old->peer) == local)
            unix_shut_down(old, 0, ECONNRESET);
    }
    unix_put(old);
}

int unix_datagram_connect(struct socket *socket, const struct socket_address *address, u32 nonblock)
{
    struct unix_socket *local = unix_of(socket), *peer = NULL, *old;
    int error;

    if (address->family != AF_UNSPEC) {
        error = unix_bind_if_needed(local);
        if (error)
            return error;
        error = unix_find(address, socket->type, &peer);
        if (error)
            return error;
        if (!may_send(local, peer)) {
            unix_put(peer);
            return -EPERM;
        }
    }
    old = peer_replace(local, peer);
    if (old == peer && old)
        unix_put(old);
    else if (old)
        old_peer_leave(local, old);
    return 0;
}

/* ---- Sending ---- */

static bool is_full(const struct unix_socket *sender, const struct unix_socket *receiver)
{
    return receiver != sender && READ_ONCE(receiver->peer) != sender &&
           READ_ONCE(receiver->socket.received_count) > READ_ONCE(receiver->backlog);
}

/* Also true when waiting would be in vain. Of any sender that is not the receiver's peer. */
static bool can_take_message(const void *argument)
{
    const struct unix_socket *receiver = argument;

    return READ_ONCE(receiver->socket.received_count) <= READ_ONCE(receiver->backlog) ||
           READ_ONCE(receiver->socket.shutdown);
}

/* The receiver named by the call, or the peer; with a reference. */
static int receiver_find(struct unix_socket *local, const struct socket_message *message,
                         struct unix_socket **receiver_out)
{
    if (message->address)
        return unix_find(message->address, local->socket.type, receiver_out);
    *receiver_out = unix_peer_get(local);
    return *receiver_out ? 0 : -ENOTCONN;
}

/*
 * Puts it on the queue. -EAGAIN: that is full; -ECONNREFUSED, -EPIPE: the receiver's file is closed
 * or shut down; -EPERM: it listens to another alone.
 */
static int message_push(struct unix_socket *local, struct unix_socket *receiver,
                        struct packet *packet)
{
    const struct socket *to = &receiver->socket;
    int error = 0;

    spin_lock(&receiver->socket.readable.lock);
    if (receiver->state == UNIX_DEAD)
        error = to->type == SOCK_SEQPACKET ? -EPIPE : -ECONNREFUSED;
    else if (!may_send(local, receiver))
        error = -EPERM;
    else if (to->shutdown & SHUTDOWN_RECEIVE)
        error = -EPIPE;
    else if (is_full(local, receiver))
        error = -EAGAIN;
    else
        unix_queue_push_locked(receiver, packet);
    spin_unlock(&receiver->socket.readable.lock);
    return error;
}

/* Waits while the receiver is full. */
static int message_deliver(struct unix_socket *local, struct unix_socket *receiver,
                           struct packet *packet, u64 deadline)
{
    int error;

    for (;;) {
        error = message_push(local, receiver, packet);
        if (error != -EAGAIN)
            return error;
        error = room_wait(&receiver->senders, can_take_message, receiver, deadline);
        if (error)
            return error == -EAGAIN ? error : socket_wait_error(error, local->socket.send_ns);
    }
}

static int message_send(struct unix_socket *local, struct unix_socket *receiver,
                        struct socket_message *message, struct ancillary *ancillary)
{
    u64 deadline = socket_deadline(local->socket.send_ns, message->flags & MSG_DONTWAIT);
    u32 bytes = (u32)message->io.bytes_left;
    struct packet *packet;
    int error;

    if (message->io.bytes_left > READ_ONCE(local->socket.send_limit) - HEADER_BYTES)
        return -EMSGSIZE;
    error = socket_wait_writable(&local->socket, deadline);
    if (error)
        return error;
    error = packet_create(&local->socket, &message->io, bytes, &packet);
    if (error)
        return error;
    if (unlikely(socket_has_flag(&receiver->socket, SOCKET_FLAG_TIMESTAMP)))
        packet->sent_ns = clock_realtime_ns();
    error = unix_packet_seal(packet, ancillary, local, receiver);
    if (!error)
        error = message_deliver(local, receiver, packet, deadline);
    if (error)
        packet_free(packet);
    /* Nobody is there any more: the next send finds no peer. */
    if (error == -ECONNREFUSED && !message->address)
        (void)peer_forget(local, receiver);
    return error;
}

ssize_t unix_datagram_send(struct socket *socket, struct socket_message *message)
{
    struct unix_socket *local = unix_of(socket), *receiver;
    ssize_t bytes = (ssize_t)message->io.bytes_left;
    struct ancillary ancillary = {0};
    int error;

    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    error = ancillary_parse(message, &ancillary);
    if (error)
        return error;
    error = unix_bind_if_needed(local);
    if (!error)
        error = receiver_find(local, message, &receiver);
    if (!error) {
        error = message_send(local, receiver, message, &ancillary);
        unix_put(receiver);
    }
    passed_files_free(ancillary.files);
    return error ? error : bytes;
}

ssize_t unix_seqpacket_send(struct socket *socket, struct socket_message *message)
{
    int error = socket_take_error(socket);

    if (error)
        return error;
    if (!unix_connected_peer(unix_of(socket)))
        return -ENOTCONN;
    message->address = NULL; /* a connection has one place to send to; Linux ignores it */
    return unix_datagram_send(socket, message);
}

/* ---- Receiving ---- */

struct message_read {
    struct packet *packet; /* NULL: there is none */
    u32 offset;            /* where in it the read begins: SO_PEEK_OFF */
    struct ancillary ancillary;
};

/* Behind the byte that SO_PEEK_OFF names there may be no packet, though there are some. */
static void message_find(struct unix_socket *local, u32 flags, struct message_read *read)
{
    read->packet = unix_queue_next(local, NULL);
    read->offset = socket_peek_offset(&local->socket, flags);
    while (read->packet && read->offset && read->offset >= read->packet->bytes) {
        read->offset -= read->packet->bytes;
        read->packet = unix_queue_next(local, read->packet);
    }
}

/*
 * Finds the packet, which stays where it is as long as read_lock is held; none: that is the end.
 * The lock is let go while it waits. 0 or an error.
 */
static int message_wait(struct unix_socket *local, u32 flags, u64 deadline,
                        struct message_read *read) must_hold(&local->read_lock)
{
    struct socket *socket = &local->socket;

    for (;;) {
        u32 arrivals = READ_ONCE(local->arrivals);
        int error = socket_take_error(socket);

        if (error)
            return error;
        message_find(local, flags, read);
        if (read->packet)
            return 0;
        if ((READ_ONCE(socket->shutdown) & SHUTDOWN_RECEIVE) &&
            (deadline || socket->type == SOCK_SEQPACKET)) {
            if (READ_ONCE(local->arrivals) != arrivals) /* before the end, so it comes first */
                continue;
            return 0;
        }
        unix_queue_unlock(local);
        error = unix_wait_arrival(local, arrivals, deadline);
        mutex_lock(&local->read_lock);
        if (error)
            return error;
    }
}

/* Copies it out. Its length or what fitted of it; or an error. */
static ssize_t message_copy(const struct message_read *read, struct socket_message *message)
{
    const struct packet *packet = read->packet;
    u32 bytes = packet->bytes - read->offset;
    size_t fitting = MIN((size_t)bytes, (size_t)message->io.bytes_left);

    if (message->address && unix_of(packet->sender)->address)
        unix_address_tell(unix_of(packet->sender), message->address);
    if (bytes > fitting)
        message->flags_out |= MSG_TRUNC;
    if (packet_copy_to(packet, read->offset, &message->io, fitting) < fitting)
        return -EFAULT;
    return message->flags & MSG_TRUNC ? (ssize_t)bytes : (ssize_t)fitting;
}

static ssize_t message_read(const struct socket *socket, struct message_read *read,
                            struct socket_message *message)
{
    ssize_t result = message_copy(read, message);
    int error = result < 0 ? 0 : unix_packet_open(read->packet, &read->ancillary, message->flags);

    if (error || result < 0)
        return error ? error : result;
    if (unlikely(socket_has_flag(socket, SOCKET_FLAG_TIMESTAMP)))
        read->ancillary.sent_ns =
            read->packet->sent_ns ? read->packet->sent_ns : clock_realtime_ns();
    return result;
}

/*
 * The length of what fitted, or with MSG_TRUNC of the whole message; the rest of it is lost. A
 * message that was taken off is freed after its copy, with no lock held, so a slow fault holds up
 * nobody.
 */
ssize_t unix_datagram_receive(struct socket *socket, struct socket_message *message)
{
    u64 deadline = socket_deadline(socket->receive_ns, message->flags & MSG_DONTWAIT);
    struct unix_socket *local = unix_of(socket);
    bool peeks = message->flags & MSG_PEEK;
    u64 room = message->io.bytes_left;
    struct message_read read = {0};
    ssize_t result;

    if (message->flags & MSG_OOB)
        return -EOPNOTSUPP;
    mutex_lock(&local->read_lock);
    result = message_wait(local, message->flags, deadline, &read);
    if (read.packet && peeks) {
        result = message_read(socket, &read, message);
        socket_peek_move(socket, MSG_PEEK, (u32)(room - message->io.bytes_left));
    } else if (read.packet) {
        unix_queue_remove(local, read.packet);
        socket_peek_move(socket, 0, read.packet->bytes);
    }
    unix_queue_unlock(local);
    if (read.packet && !peeks) {
        room_wake(&local->senders, POLL_WRITABLE | POLL_WRBAND);
        result = message_read(socket, &read, message);
        packet_free(read.packet);
    }
    ancillary_deliver(socket, &read.ancillary, message);
    return result;
}

ssize_t unix_seqpacket_receive(struct socket *socket, struct socket_message *message)
{
    if (!unix_connected_peer(unix_of(socket)))
        return -ENOTCONN;
    return unix_datagram_receive(socket, message);
}

/* ---- poll ---- */

/* Whether the peer takes no more; then the relay waits for it to do so. */
static bool peer_holds_back(struct unix_socket *local)
{
    struct unix_socket *peer;
    bool full;

    spin_lock(&local->peer_lock);
    peer = local->peer;
    full = peer && is_full(local, peer);
    if (full) {
        spin_lock(&peer->senders.queue.lock);
        if (!list_is_linked(&local->relay.link))
            list_push_back(&peer->senders.queue.waiters, &local->relay.link);
        spin_unlock(&peer->senders.queue.lock);
        /* The relay is on the list before the second look: see room_wake. */
        __atomic_thread_fence(__ATOMIC_SEQ_CST);
        full = is_full(local, peer);
        if (!full)
            relay_remove(local, peer);
    }
    spin_unlock(&local->peer_lock);
    return full;
}

u32 unix_datagram_poll(struct socket *socket, struct poll_table *table)
{
    u32 events = unix_poll_common(unix_of(socket));

    if (socket->type == SOCK_DGRAM && (events & POLL_OUT) && peer_holds_back(unix_of(socket)))
        events &= ~(POLL_WRITABLE | POLL_WRBAND);
    return events;
}
