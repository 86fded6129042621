/*
 * A unix socket's queue: packets that were sent to it and not read yet.
 *
 * Senders add at the end under the socket's lock. Readers hold read_lock, a mutex, from the look at
 * the first packet until they have taken it off: so a packet that is first stays where it is while
 * its bytes are copied to the user, which may sleep, and no two readers mix their bytes. They wait
 * without it, so a reader that must not wait never waits for one that does.
 *
 * A packet wakes one reader. Who leaves something behind wakes the next (unix_queue_unlock).
 *
 * Locking: read_lock, then the lock (readable.lock). The first packet may be read under read_lock
 *          alone; only the collector takes packets away besides, from sockets that have no readers.
 */
#include "unix.h"

#include <pith/abi/errno.h>
#include <pith/abi/ioctl.h>
#include <pith/proc.h>

#include "passed_files.h"

void unix_queue_push_locked(struct unix_socket *receiver, struct packet *packet)
    must_hold(&receiver->socket.readable.lock)
{
    list_push_back(&receiver->socket.received, &packet->link);
    receiver->socket.received_count++;
    receiver->arrivals++;
    wait_queue_wake_locked(&receiver->socket.readable, 1, POLL_READABLE | POLL_RDBAND);
}

struct packet *unix_queue_next(struct unix_socket *local, const struct packet *before)
{
    struct list *link;

    spin_lock(&local->socket.readable.lock);
    link = before ? before->link.next : local->socket.received.next;
    spin_unlock(&local->socket.readable.lock);
    return link == &local->socket.received ? NULL : list_entry(link, struct packet, link);
}

void unix_queue_remove(struct unix_socket *local, struct packet *packet)
{
    spin_lock(&local->socket.readable.lock);
    list_remove(&packet->link);
    local->socket.received_count--;
    spin_unlock(&local->socket.readable.lock);
}

void unix_queue_unlock(struct unix_socket *local) releases(&local->read_lock)
{
    bool more = READ_ONCE(local->socket.received_count);

    mutex_unlock(&local->read_lock);
    if (more)
        wait_queue_wake(&local->socket.readable, 1, POLL_READABLE);
}

int unix_wait_arrival(struct unix_socket *local, u32 arrivals, u64 deadline_ns)
{
    struct socket *socket = &local->socket;
    int error = 0;

    if (!deadline_ns)
        return -EAGAIN;
    spin_lock(&socket->readable.lock);
    while (local->arrivals == arrivals && !socket->error &&
           !(socket->shutdown & SHUTDOWN_RECEIVE) && !error)
        error = wait_queue_wait_until(&socket->readable, WAIT_INTERRUPTIBLE, WAIT_FOR_SOCKET,
                                      deadline_ns);
    spin_unlock(&socket->readable.lock);
    return error ? socket_wait_error(error, socket->receive_ns) : 0;
}

/* ---- What packets carry ---- */

/* Who sent, when nobody asked at that time: the overflow ids of user_namespaces(7). */
static const struct abi_ucred unknown = {.pid = 0, .uid = 65534, .gid = 65534};

int unix_packet_seal(struct packet *packet, struct ancillary *ancillary,
                     const struct unix_socket *sender, const struct unix_socket *receiver)
{
    int error;

    if (ancillary->has_credentials)
        packet->credentials = ancillary->credentials;
    else if (socket_has_flag(&sender->socket, SOCKET_FLAG_PASS_CREDENTIALS) ||
             socket_has_flag(&receiver->socket, SOCKET_FLAG_PASS_CREDENTIALS) ||
             !READ_ONCE(receiver->socket.inode_number)) /* not accepted yet: it may ask then */
        packet->credentials = credentials_of_current();
    else
        packet->credentials = unknown;
    if (likely(!ancillary->files))
        return 0;
    error = passed_files_launch(ancillary->files);
    if (error)
        return error;
    packet->files = ancillary->files;
    ancillary->files = NULL;
    return 0;
}

int unix_packet_open(struct packet *packet, struct ancillary *ancillary, u32 flags)
{
    ancillary->has_credentials = true;
    ancillary->credentials = packet->credentials;
    if (likely(!packet->files))
        return 0;
    if (flags & MSG_PEEK) {
        passed_files_free(ancillary->files); /* of a packet that was peeked at before it */
        ancillary->files = passed_files_copy(packet->files);
        return ancillary->files ? 0 : -ENOMEM;
    }
    passed_files_land(packet->files);
    ancillary->files = packet->files;
    packet->files = NULL;
    return 0;
}

/* ---- What is there ---- */

u32 unix_poll_common(struct unix_socket *local)
{
    const struct socket *socket = &local->socket;
    u32 shutdown = READ_ONCE(socket->shutdown);
    enum unix_state state = READ_ONCE(local->state);
    u32 events = 0;

    if (READ_ONCE(socket->error))
        events |= POLL_ERR;
    if (shutdown == SHUTDOWN_BOTH)
        events |= POLL_HUP;
    if (shutdown & SHUTDOWN_RECEIVE)
        events |= POLL_RDHUP | POLL_READABLE;
    if (READ_ONCE(socket->received_count) || READ_ONCE(local->pending_count))
        events |= POLL_READABLE;
    if (READ_ONCE(local->urgent))
        events |= POLL_PRI;
    if (socket->type != SOCK_DGRAM && state == UNIX_UNCONNECTED)
        events |= POLL_HUP;
    if (state != UNIX_LISTENING && socket_is_writable(socket))
        events |= POLL_WRITABLE | POLL_WRBAND;
    return events;
}

/* Of a stream all bytes, else those of the next message. */
static u64 bytes_to_read(struct unix_socket *local)
{
    struct packet *packet;
    u64 bytes = 0;

    spin_lock(&local->socket.readable.lock);
    list_for_each (packet, &local->socket.received, link) {
        bytes += packet_bytes_left(packet);
        if (local->socket.type != SOCK_STREAM)
            break;
    }
    spin_unlock(&local->socket.readable.lock);
    return bytes;
}

/* Whether the next read begins at MSG_OOB's byte, or where it was. */
static bool is_at_mark(struct unix_socket *local)
{
    const struct packet *first;
    bool result = false;

    spin_lock(&local->socket.readable.lock);
    if (!list_is_empty(&local->socket.received)) {
        first = list_first_entry(&local->socket.received, struct packet, link);
        result = first == local->urgent ||
                 (local->socket.type == SOCK_STREAM && !packet_bytes_left(first));
    }
    spin_unlock(&local->socket.readable.lock);
    return result;
}

/*
 * SIOCINQ (FIONREAD): what a read would get; SIOCOUTQ: what nobody has read yet, with the packets'
 * own memory.
 */
long unix_ioctl(struct socket *socket, u32 command, u64 argument)
{
    struct unix_socket *local = unix_of(socket);
    int bytes;

    switch (command) {
    case SIOCINQ:
        if (READ_ONCE(local->state) == UNIX_LISTENING)
            return -EINVAL;
        bytes = (int)bytes_to_read(local);
        break;
    case SIOCOUTQ:
        bytes = (int)READ_ONCE(socket->charged);
        break;
    case SIOCATMARK:
        bytes = is_at_mark(local);
        break;
    default:
        return -ENOTTY;
    }
    return copy_out(user_ptr_at(argument), &bytes, sizeof(bytes));
}
