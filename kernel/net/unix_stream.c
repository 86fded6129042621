/*
 * SOCK_STREAM of AF_UNIX: bytes in order.
 *
 * What is sent goes onto the other side's queue, in packets of up to 64 KiB or half of SO_SNDBUF. A
 * reader takes bytes from packet after packet and does not see their borders, with two exceptions
 * (unix(7)): it does not go beyond a packet that carried descriptors, nor, while it asks for
 * credentials, from one sender's bytes to another's.
 *
 * MSG_OOB's byte goes in a packet of its own, the mark, which the receiver's `urgent` names until
 * it is read; a later one takes its place, and it becomes a byte like others. It can be read out of
 * turn, and then its empty packet stays as the mark. A read ends before the mark; one that begins
 * there takes the byte (SO_OOBINLINE) or drops it.
 *
 *     a b | c | d e      recv: "ab"; recv: drops the mark, "de"; or recv(MSG_OOB) at any time: "c"
 *
 * Locking: a packet is filled before anybody else sees it, with no lock held; sender and receiver
 *          meet only for the list's insertion and removal (unix_queue.c).
 */
#include "unix.h"

#include <pith/abi/errno.h>
#include <pith/fs.h>
#include <pith/proc.h>

#include "passed_files.h"

#define PART_BYTES_MAX (64u * 1024)

/* ---- Sending ---- */

static void urgent_push_locked(struct unix_socket *receiver, struct packet *packet)
    must_hold(&receiver->socket.readable.lock)
{
    WRITE_ONCE(receiver->urgent, packet);
    unix_queue_push_locked(receiver, packet);
    wait_queue_wake_locked(&receiver->socket.readable, WAKE_ALL, POLL_PRI);
}

/* Sends one packet. `ancillary` goes with it. Bytes, or an error. */
static ssize_t part_send(struct unix_socket *local, struct unix_socket *peer,
                         struct socket_message *message, struct ancillary *ancillary, u64 deadline)
{
    u32 most = MIN(MAX(READ_ONCE(local->socket.send_limit) / 2, (u32)PAGE_SIZE), PART_BYTES_MAX);
    bool has_urgent = message->flags & MSG_OOB;
    u64 left = message->io.bytes_left;
    u32 bytes = (u32)MIN(has_urgent && left > 1 ? left - 1 : left, (u64)most);
    struct packet *packet;
    int error = socket_wait_writable(&local->socket, deadline);

    if (error)
        return error;
    error = packet_create(&local->socket, &message->io, bytes, &packet);
    if (error)
        return error;
    error = unix_packet_seal(packet, ancillary, local, peer);
    if (error)
        goto free_packet;
    spin_lock(&peer->socket.readable.lock);
    if (unlikely(peer->socket.shutdown & SHUTDOWN_RECEIVE))
        error = -EPIPE;
    else if (unlikely(has_urgent && left == 1))
        urgent_push_locked(peer, packet);
    else
        unix_queue_push_locked(peer, packet);
    spin_unlock(&peer->socket.readable.lock);
    if (error)
        goto free_packet;
    return bytes;

free_packet:
    packet_free(packet);
    return error;
}

/*
 * Bytes that went, also if the rest could not; the error only if none did. -EISCONN, -EOPNOTSUPP:
 * an address; -ENOTCONN; -EPIPE with SIGPIPE unless MSG_NOSIGNAL; -ENOBUFS, -ENOMEM, -ETOOMANYREFS.
 */
ssize_t unix_stream_send(struct socket *socket, struct socket_message *message)
{
    u64 deadline = socket_deadline(socket->send_ns, message->flags & MSG_DONTWAIT);
    struct unix_socket *local = unix_of(socket), *peer = unix_connected_peer(local);
    struct ancillary ancillary = {0};
    ssize_t sent = 0, part;

    if ((message->flags & MSG_OOB) && !message->io.bytes_left)
        return -EOPNOTSUPP;
    part = ancillary_parse(message, &ancillary);
    if (part)
        return part;
    if (message->address)
        part = local->state == UNIX_CONNECTED ? -EISCONN : -EOPNOTSUPP;
    else if (!peer)
        part = -ENOTCONN;
    else if (READ_ONCE(socket->shutdown) & SHUTDOWN_SEND)
        part = -EPIPE;
    while (!part && message->io.bytes_left) {
        part = part_send(local, peer, message, &ancillary, deadline);
        if (part > 0) {
            sent += part;
            part = 0;
        }
    }
    passed_files_free(ancillary.files);
    if (sent)
        return sent;
    if (part == -EPIPE && !(message->flags & MSG_NOSIGNAL))
        signal_send_current(SIGNAL_PIPE);
    return part;
}

/* ---- Receiving ---- */

struct stream_read {
    struct unix_socket *local;
    struct socket_message *message;
    struct ancillary ancillary;
    struct packet *packet; /* the last one that was peeked at or passed over, or NULL */
    u32 skip;              /* bytes that a peek has still to pass over: SO_PEEK_OFF */
    u32 arrivals;          /* before it looked for a packet */
    size_t done, wanted;   /* it waits until `wanted` bytes are there */
    u64 deadline;
    bool is_over; /* at a border */
};

static bool is_of_another_sender(const struct stream_read *read, const struct packet *packet)
{
    const struct abi_ucred *a = &read->ancillary.credentials, *b = &packet->credentials;

    if (!socket_has_flag(&read->local->socket, SOCKET_FLAG_PASS_CREDENTIALS) ||
        !read->ancillary.has_credentials)
        return false;
    return a->pid != b->pid || a->uid != b->uid || a->gid != b->gid;
}

/* The sender's address goes with the first packet (recvfrom(2)). */
static void sender_tell(const struct packet *packet, struct socket_message *message)
{
    const struct unix_socket *sender = unix_of(packet->sender);

    if (message->address && READ_ONCE(sender->address))
        unix_address_tell(sender, message->address);
}

/* Takes bytes from a packet. 0 or an error; done says how far it got. */
static int packet_read(struct stream_read *read, struct packet *packet)
{
    struct socket_message *message = read->message;
    u32 left = packet_bytes_left(packet) - read->skip;
    size_t wanted = MIN((size_t)left, (size_t)message->io.bytes_left);
    size_t copied = packet_copy_to(packet, packet->taken + read->skip, &message->io, wanted);
    int error = copied < wanted ? -EFAULT : 0;

    if (error)
        return error;
    if (!read->done)
        sender_tell(packet, message);
    read->done += copied;
    read->skip = 0;
    socket_peek_move(&read->local->socket, message->flags, (u32)copied);
    error = unix_packet_open(packet, &read->ancillary, message->flags);
    read->is_over = read->ancillary.files;
    if (message->flags & MSG_PEEK) {
        read->packet = packet;
        return error;
    }
    packet->taken += (u32)copied;
    if (!packet_bytes_left(packet)) {
        unix_queue_remove(read->local, packet);
        packet_free(packet);
    }
    return error;
}

/* Whether a peek has all of the packet behind it. */
static bool packet_is_passed(struct stream_read *read, struct packet *packet)
{
    if (likely(!read->skip) || read->skip < packet_bytes_left(packet))
        return false;
    read->skip -= packet_bytes_left(packet);
    read->packet = packet;
    return true;
}

static void urgent_forget(struct unix_socket *local, const struct packet *packet)
{
    spin_lock(&local->socket.readable.lock);
    if (local->urgent == packet)
        WRITE_ONCE(local->urgent, NULL);
    spin_unlock(&local->socket.readable.lock);
}

/* MSG_OOB's packet, with its byte or without. No other is empty. */
static bool is_mark(const struct unix_socket *local, const struct packet *packet)
{
    return packet == READ_ONCE(local->urgent) || !packet_bytes_left(packet);
}

/* A read begins at the mark. True: it goes on behind it; false: with the byte. */
static bool mark_is_passed(struct stream_read *read, struct packet *packet)
    must_hold(&read->local->read_lock)
{
    bool peeks = read->message->flags & MSG_PEEK;

    if (packet_bytes_left(packet) &&
        socket_has_flag(&read->local->socket, SOCKET_FLAG_OOB_INLINE)) {
        if (!peeks)
            urgent_forget(read->local, packet);
        return false;
    }
    if (peeks) {
        read->packet = packet;
        return true;
    }
    urgent_forget(read->local, packet);
    unix_queue_remove(read->local, packet);
    packet_free(packet);
    return true;
}

/* Looks from the start on. read_lock is held, and was not before. */
static void stream_begin(struct stream_read *read)
{
    read->packet = NULL;
    read->skip = socket_peek_offset(&read->local->socket, read->message->flags);
}

/* There is nothing (more) to peek at or to take. 0: look again; 1: the call ends here; or its
 * error. */
static int stream_wait(struct stream_read *read) must_hold(&read->local->read_lock)
{
    struct socket *socket = &read->local->socket;
    int error;

    if (read->done >= read->wanted || (read->packet && read->done))
        return 1;
    error = socket_take_error(socket);
    if (error)
        return error;
    /* What was sent before the end comes first. */
    if (READ_ONCE(socket->shutdown) & SHUTDOWN_RECEIVE)
        return READ_ONCE(read->local->arrivals) != read->arrivals ? 0 : 1;
    unix_queue_unlock(read->local);
    error = unix_wait_arrival(read->local, read->arrivals, read->deadline);
    mutex_lock(&read->local->read_lock);
    stream_begin(read);
    return error;
}

/* read_lock is held, and let go while it waits. 0 or an error. */
static int stream_read(struct stream_read *read) must_hold(&read->local->read_lock)
{
    for (;;) {
        struct packet *packet;
        int error = 0;

        read->arrivals = READ_ONCE(read->local->arrivals);
        packet = unix_queue_next(read->local, read->packet);
        if (!packet) {
            error = stream_wait(read);
        } else if (packet_is_passed(read, packet)) {
            continue;
        } else if (is_of_another_sender(read, packet) ||
                   (read->done && is_mark(read->local, packet))) {
            return 0;
        } else if (is_mark(read->local, packet) && mark_is_passed(read, packet)) {
            continue;
        } else {
            error = packet_read(read, packet);
            if (!error && (read->is_over || !read->message->io.bytes_left))
                return 0;
        }
        if (error)
            return error < 0 ? error : 0;
    }
}

/* MSG_OOB: the byte, out of its turn. -EINVAL: there is none, or it is to be read in its turn. */
static ssize_t urgent_receive(struct unix_socket *local, struct socket_message *message)
{
    ssize_t result = -EINVAL;
    struct packet *packet;

    mutex_lock(&local->read_lock);
    packet = READ_ONCE(local->urgent);
    if (packet && !socket_has_flag(&local->socket, SOCKET_FLAG_OOB_INLINE)) {
        result = packet_copy_to(packet, 0, &message->io, 1) ? 1 : -EFAULT;
        message->flags_out |= MSG_OOB;
    }
    if (result == 1 && !(message->flags & MSG_PEEK)) {
        urgent_forget(local, packet);
        packet->taken = 1;
    }
    unix_queue_unlock(local);
    return result;
}

/*
 * Bytes that came, 0 at the end. -EINVAL: not connected, as Linux says it of a stream; SO_ERROR's.
 */
ssize_t unix_stream_receive(struct socket *socket, struct socket_message *message)
{
    u64 low = message->flags & MSG_WAITALL ? U64_MAX : READ_ONCE(socket->receive_low);
    struct stream_read read = {
        .local = unix_of(socket),
        .message = message,
        .wanted = MAX(MIN(low, message->io.bytes_left), 1ul),
        .deadline = socket_deadline(socket->receive_ns, message->flags & MSG_DONTWAIT),
    };
    u32 arrivals = READ_ONCE(read.local->arrivals);
    int error = 0;

    if (!unix_connected_peer(read.local))
        return -EINVAL; /* as Linux says it of a stream that is not connected */
    if (message->flags & MSG_OOB)
        return urgent_receive(read.local, message);
    /* Mostly a reader is there before the bytes: it waits before it takes any lock. */
    if (!READ_ONCE(socket->received_count) && read.deadline)
        error = unix_wait_arrival(read.local, arrivals, read.deadline);
    if (error)
        return error;
    mutex_lock(&read.local->read_lock);
    stream_begin(&read);
    error = stream_read(&read);
    unix_queue_unlock(read.local);
    ancillary_deliver(socket, &read.ancillary, message);
    return read.done ? (ssize_t)read.done : error;
}

u32 unix_stream_poll(struct socket *socket, struct poll_table *table)
{
    return unix_poll_common(unix_of(socket));
}
