/*
 * What all families' sockets have in common: for net/'s own files. The model is in pith/net.h.
 */
#pragma once

#include <pith/net.h>
#include <pith/sched.h>

#include "packet.h"

struct socket;

/* What a message carries beside its bytes (control.c). */
struct ancillary {
    struct passed_files *files; /* NULL: none; owned */
    bool has_credentials;       /* send: given by the sender; receive: to be told */
    struct abi_ucred credentials;
    u64 sent_ns; /* receive: the moment that is to be told; 0: none */
};

/*
 * What a family's type of socket does. All may sleep; nothing is locked. `nonblock`: O_NONBLOCK of
 * the file, or 0. NULL: -EOPNOTSUPP.
 */
struct socket_operations {
    int (*bind)(struct socket *socket, const struct socket_address *address);
    int (*listen)(struct socket *socket, u32 backlog);
    int (*connect)(struct socket *socket, const struct socket_address *address, u32 nonblock);
    /* Gives a connected socket, with the reference that its file will hold. */
    int (*accept)(struct socket *socket, u32 nonblock, struct socket **accepted_out);
    int (*shutdown)(struct socket *socket, u32 directions);
    /* Its own address, or the other side's. */
    int (*get_name)(struct socket *socket, struct socket_address *address_out);
    int (*get_peer_name)(struct socket *socket, struct socket_address *address_out);
    ssize_t (*send)(struct socket *socket, struct socket_message *message);
    ssize_t (*receive)(struct socket *socket, struct socket_message *message);
    u32 (*poll)(struct socket *socket, struct poll_table *table);
    long (*ioctl)(struct socket *socket, u32 command, u64 argument);
    bool (*is_listening)(struct socket *socket);
    /* The credentials of who connected, with a reference, and his pid. False: nobody did. */
    bool (*get_peer)(struct socket *socket, struct credentials **credentials_out, int *pid_out);
    /* Its file is closed. The file's reference stays. */
    void (*release)(struct socket *socket);
    /* The last reference goes: frees it. */
    void (*free)(struct socket *socket);
};

struct socket_family {
    int number;
    const char *name;
    /* With the reference that its file will hold. */
    int (*create)(int type, int protocol, struct socket **socket_out);
    int (*pair)(struct socket *a, struct socket *b);
};

/* A queue of threads and polls that a condition guarded elsewhere holds back. See socket.c. */
struct room_queue {
    struct wait_queue queue;
    u32 waiting; /* [atomic] threads in room_wait */
};

struct socket {
    struct refcount references;                 /* its file, packets that it sent, peers */
    u16 family, type, protocol;                 /* [const] */
    const struct socket_operations *operations; /* [const] */
    struct wait_queue readable; /* readers; its lock guards `received` and what a family says */
    struct list received guarded_by(&readable.lock); /* of struct packet */
    u32 received_count;                              /* guarded_by(&readable.lock) */
    u32 shutdown;                                    /* [atomic], changed under readable.lock */
    u32 charged;                /* [atomic] bytes of packets that it sent and that are not freed */
    struct room_queue writable; /* writers, until less is charged */
    int error;                  /* [atomic] SO_ERROR: a positive errno, told once */
    u64 inode_number;           /* [atomic] of its file; 0: none yet */

    /* Options, [atomic]. */
    u32 flags;                /* SOCKET_FLAG_* */
    u32 send_limit;           /* SO_SNDBUF: of `charged` */
    u32 receive_limit;        /* SO_RCVBUF */
    u32 receive_low;          /* SO_RCVLOWAT */
    u32 priority;             /* SO_PRIORITY */
    s32 peek_offset;          /* SO_PEEK_OFF; -1: peeks begin where reads do */
    struct abi_linger linger; /* SO_LINGER */
    u64 receive_ns, send_ns;  /* SO_RCVTIMEO, SO_SNDTIMEO; U64_MAX: for ever */
};

/* socket.shutdown; they are SHUT_RD + 1 and SHUT_WR + 1. */
#define SHUTDOWN_RECEIVE 1u
#define SHUTDOWN_SEND    2u
#define SHUTDOWN_BOTH    3u

/* Flags that are options of 0 or 1; socket_options.c knows their numbers. */
#define SOCKET_FLAG_PASS_CREDENTIALS BIT(0)
#define SOCKET_FLAG_REUSE_ADDRESS    BIT(1)
#define SOCKET_FLAG_REUSE_PORT       BIT(2)
#define SOCKET_FLAG_DONT_ROUTE       BIT(3)
#define SOCKET_FLAG_BROADCAST        BIT(4)
#define SOCKET_FLAG_KEEP_ALIVE       BIT(5)
#define SOCKET_FLAG_OOB_INLINE       BIT(6)
#define SOCKET_FLAG_NO_CHECK         BIT(7)
#define SOCKET_FLAG_DEBUG            BIT(8)
#define SOCKET_FLAG_TIMESTAMP        BIT(9)  /* either of the next */
#define SOCKET_FLAG_TIMESTAMP_NS     BIT(10) /* in nanoseconds */

/* /proc/sys/net/core */
#define SOCKET_BUFFER_DEFAULT 212992u /* wmem_default, rmem_default */
#define SOCKET_BUFFER_MAX     212992u /* wmem_max, rmem_max */

static inline bool socket_has_flag(const struct socket *socket, u32 flag)
{
    return READ_ONCE(socket->flags) & flag;
}

/* Sets up what is common, with one reference. The rest of the object is the family's. */
void socket_init(struct socket *socket, int family, int type, int protocol,
                 const struct socket_operations *operations);
static inline void socket_get(struct socket *socket)
{
    refcount_inc(&socket->references);
}
static inline void socket_put(struct socket *socket)
{
    if (refcount_dec_is_zero(&socket->references))
        socket->operations->free(socket);
}

/* Where a peek begins, of a call with these flags. */
static inline u32 socket_peek_offset(const struct socket *socket, u32 flags)
{
    return flags & MSG_PEEK ? (u32)MAX(READ_ONCE(socket->peek_offset), 0) : 0;
}
/* Bytes were peeked at, or taken (SO_PEEK_OFF). The family's lock of readers is held. */
static inline void socket_peek_move(struct socket *socket, u32 flags, u32 bytes)
{
    s32 offset = READ_ONCE(socket->peek_offset);

    if (unlikely(offset >= 0))
        WRITE_ONCE(socket->peek_offset,
                   flags & MSG_PEEK ? offset + (s32)bytes : MAX(offset - (s32)bytes, 0));
}

/* SO_ERROR: the error as a negative errno, or 0; it is told once. */
int socket_take_error(struct socket *socket);

/* When a wait of `limit_ns` (U64_MAX: for ever) that begins now ends; 0: no wait (`nonblock`). */
u64 socket_deadline(u64 limit_ns, u32 nonblock);
/* What a wait that ended with -EINTR or -ETIMEDOUT means to the caller (socket(7), signal(7)). */
int socket_wait_error(int error, u64 limit_ns);

/* ---- Room (socket.c) ---- */

void room_queue_init(struct room_queue *room, enum lock_class class);
/*
 * Waits until `has_room(argument)`. 0, -EINTR, -ETIMEDOUT; deadline 0: -EAGAIN at once. has_room is
 * called with the queue's lock held.
 */
int room_wait(struct room_queue *room, bool (*has_room)(const void *argument), const void *argument,
              u64 deadline_ns) must_check;
/* After the condition was changed: wakes all who wait for it. */
void room_wake(struct room_queue *room, u32 events);
/* Packets of `bytes` are gone. */
void socket_uncharge(struct socket *socket, u32 bytes);
/* Whether poll calls it writable: a quarter is in use (so that a writer gets some way). */
static inline bool socket_is_writable(const struct socket *socket)
{
    return (u64)READ_ONCE(socket->charged) * 4 <= READ_ONCE(socket->send_limit);
}
/*
 * Waits until less is charged than allowed. -EAGAIN, -EPIPE (no signal), SO_ERROR's, -ERESTARTSYS.
 */
int socket_wait_writable(struct socket *socket, u64 deadline_ns) must_check;

/* ---- Control messages (control.c) ---- */

/*
 * Takes a sent message's control messages apart. -EINVAL, -EBADF, -EPERM, -ETOOMANYREFS, -ENOMEM.
 */
int ancillary_parse(const struct socket_message *message, struct ancillary *ancillary_out)
    must_check;
/* Writes what came into the user's buffer; takes over the files. Sets MSG_CTRUNC. */
void ancillary_deliver(const struct socket *socket, struct ancillary *ancillary,
                       struct socket_message *message);
/* The calling process, by its real ids. */
struct abi_ucred credentials_of_current(void);

extern const struct socket_family unix_family;
void unix_init(void);
