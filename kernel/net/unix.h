/*
 * The family AF_UNIX, between its files. Each has its theory; who may touch what stands here.
 *
 *     unix_socket.c    life, connections: connect, listen, accept, shutdown, poll
 *     unix_queue.c     the queue of packets that were received, and what they carry
 *     unix_names.c     addresses: files, abstract names; who is bound to them; /proc/net/unix
 *     unix_stream.c    bytes:    SOCK_STREAM's send and receive
 *     unix_datagram.c  messages: SOCK_DGRAM's and SOCK_SEQPACKET's
 *     unix_flight.c    open files in flight, and what of them nobody can receive any more
 */
#pragma once

#include "socket.h"

enum unix_state {
    UNIX_UNCONNECTED,
    UNIX_LISTENING,
    UNIX_CONNECTED,
    UNIX_DEAD, /* its file is closed */
};

/* A bound socket's address; the connections that it accepts share it. */
struct unix_address {
    struct refcount references;
    u32 bytes; /* of `name`, with the family */
    struct abi_sockaddr_un name;
    u8 nul; /* behind a path of 108 bytes */
};

struct unix_socket {
    struct socket socket;    /* its readable.lock: "lock" below */
    struct mutex setup_lock; /* LOCK_SOCKET_SETUP: one bind, listen or end of a connect at a time */
    struct mutex read_lock;  /* LOCK_SOCKET: one reader at a time */
    enum unix_state state;   /* [atomic] changed under lock */

    /*
     * The other side, with a reference. Of connected types: set once, given up by release, so that
     * the calls on our file read it without a lock. Of datagrams: guarded by peer_lock.
     */
    struct unix_socket *peer;
    struct spinlock peer_lock; /* LOCK_SOCKET_PEER */
    /* The credentials that SO_PEERCRED tells: connected: the other side's; listening: our own. */
    struct credentials *peer_credentials; /* guarded by lock; a reference */
    int peer_pid;                         /* guarded by lock */

    struct packet
        *urgent;  /* [atomic] changed under lock: MSG_OOB's, on the queue (unix_stream.c) */
    u32 arrivals; /* [atomic] changed under lock: packets that ever came, modulo 2^32 */

    /* Listening: connections that nobody accepted yet. guarded by lock */
    struct list pending;
    struct list pending_link; /* guarded by the listener's lock */
    u32 pending_count;
    u32 backlog; /* [atomic] */

    /* Who waits for room in our queue: senders of datagrams, those who connect. */
    struct room_queue senders; /* LOCK_SOCKET_SENDERS */
    struct waiter relay;       /* on the peer's `senders`; guarded by its lock (unix_datagram.c) */

    /* Names: guarded by unix_names.c's lock, but for reading our own address once it is set. */
    struct unix_address *address; /* [atomic] NULL: none; set once, a reference */
    struct path path;             /* of a socket that is bound to a file; dentry NULL: it is not */
    struct list name_link;
    struct list all_link;

    /* In flight: guarded by unix_flight.c's lock. */
    u32 in_flight;            /* how often */
    u32 unexplained;          /* by the queues of candidates */
    struct file *flight_file; /* our file, while in_flight */
    bool is_candidate, is_reachable;
    struct list flight_link, work_link;
};

static inline struct unix_socket *unix_of(struct socket *socket)
{
    return container_of(socket, struct unix_socket, socket);
}
static inline void unix_get(struct unix_socket *local)
{
    socket_get(&local->socket);
}
static inline void unix_put(struct unix_socket *local)
{
    socket_put(&local->socket);
}

#define UNIX_QUEUE_DEFAULT 10u   /* /proc/sys/net/unix/max_dgram_qlen */
#define SOMAXCONN_DEFAULT  4096u /* /proc/sys/net/core/somaxconn */
extern s64 unix_queue_max;       /* [atomic] 0 to INT32_MAX */

/*
 * The peer of a connected type, which stays while a call on our file is under way; NULL: there is
 * none. While a connect goes on the pointer may be taken back, so only a finished one counts.
 */
static inline struct unix_socket *unix_connected_peer(struct unix_socket *local)
{
    /* Pairs with the change under lock at the end of a connect: `peer` was set before. */
    return __atomic_load_n(&local->state, __ATOMIC_ACQUIRE) == UNIX_CONNECTED ? local->peer : NULL;
}

/* ---- unix_socket.c ---- */

/*
 * Shuts directions of a socket down, and wakes all who must see it. `error`: what SO_ERROR is to
 * tell besides, or 0.
 */
void unix_shut_down(struct unix_socket *local, u32 directions, int error);
/* A reference to the peer, or NULL. */
struct unix_socket *unix_peer_get(struct unix_socket *local) must_check;

/* ---- unix_queue.c ---- */

/* Puts a packet on a queue and wakes who reads. The receiver's lock is held. */
void unix_queue_push_locked(struct unix_socket *receiver, struct packet *packet)
    must_hold(&receiver->socket.readable.lock);
/* The packet behind `before` (NULL: the first), or NULL. read_lock is held, as for the next two. */
struct packet *unix_queue_next(struct unix_socket *local, const struct packet *before);
void unix_queue_remove(struct unix_socket *local, struct packet *packet);
/* Lets go of read_lock; what is left behind goes to the next reader. */
void unix_queue_unlock(struct unix_socket *local) releases(&local->read_lock);
/*
 * Waits for a packet that was not among the first `arrivals`, an error or the end. Who found none
 * to read names the count that he took before he looked. 0; -EAGAIN, -EINTR, -ERESTARTSYS.
 */
int unix_wait_arrival(struct unix_socket *local, u32 arrivals, u64 deadline_ns) must_check;
/*
 * Notes in a packet who sends it, if either side wants to know (SO_PASSCRED), and takes over the
 * files, which are in flight from then on. -ETOOMANYREFS, -ENOMEM.
 */
int unix_packet_seal(struct packet *packet, struct ancillary *ancillary,
                     const struct unix_socket *sender, const struct unix_socket *receiver)
    must_check;
/* What a packet carries, for its reader; MSG_PEEK leaves it there. -ENOMEM. Sleeps. */
int unix_packet_open(struct packet *packet, struct ancillary *ancillary, u32 flags) must_check;
/* The events that all types have. */
u32 unix_poll_common(struct unix_socket *local);
long unix_ioctl(struct socket *socket, u32 command, u64 argument);

/* ---- unix_names.c ---- */

int unix_bind(struct socket *socket, const struct socket_address *address) must_check;
/* Gives it an abstract name of five digits, if it has none and SO_PASSCRED is set. */
int unix_bind_if_needed(struct unix_socket *local) must_check;
/*
 * Who is bound to an address, with a reference. -ECONNREFUSED: nobody; -EPROTOTYPE: of another
 * type; -EINVAL: no address of ours; -ENOENT, -EACCES, ...: what the path gives.
 */
int unix_find(const struct socket_address *address, u16 type, struct unix_socket **unix_out)
    must_check;
/* The socket's own address; without one, its family alone. */
void unix_address_tell(const struct unix_socket *local, struct socket_address *address_out);
void unix_address_put(struct unix_address *address);
void unix_names_add(struct unix_socket *local);
void unix_names_remove(struct unix_socket *local);
void unix_names_init(void);

/* ---- Sending and receiving ---- */

ssize_t unix_stream_send(struct socket *socket, struct socket_message *message);
ssize_t unix_stream_receive(struct socket *socket, struct socket_message *message);
u32 unix_stream_poll(struct socket *socket, struct poll_table *table);
ssize_t unix_datagram_send(struct socket *socket, struct socket_message *message);
ssize_t unix_datagram_receive(struct socket *socket, struct socket_message *message);
int unix_datagram_connect(struct socket *socket, const struct socket_address *address,
                          u32 nonblock);
u32 unix_datagram_poll(struct socket *socket, struct poll_table *table);
ssize_t unix_seqpacket_send(struct socket *socket, struct socket_message *message);
ssize_t unix_seqpacket_receive(struct socket *socket, struct socket_message *message);
/* A datagram socket ends: nobody waits for it any more, and it for nobody. */
void unix_datagram_disconnect(struct unix_socket *local);
int unix_relay_wake(struct waiter *waiter, u32 events);

/* ---- unix_flight.c ---- */

/* A socket was closed: perhaps that was the last way to some that are in flight. Sleeps. */
void unix_flight_collect(void);
void unix_flight_init(void);
