/*
 * Sockets: ends of communication, as files.
 *
 *     file -> socket -> operations of its family and type
 *                 |---- received: packets that wait for recv
 *                 '---- charged: what it sent and nobody has read yet
 *
 * A socket is what its family makes of it: abi/ checks a call's arguments and finds the socket of
 * a descriptor, the functions here ask the family's table. The only family is AF_UNIX.
 *
 * A message that is sent or received is one struct socket_message: bytes, an address, control
 * messages (descriptors, credentials), flags. read and write are messages with bytes alone.
 */
#pragma once

#include <pith/abi/socket.h>
#include <pith/fs.h>

struct socket;

/* A struct sockaddr of any family; bytes 0: there is none. */
struct socket_address {
    u32 bytes;
    union {
        u16 family;
        u8 raw[ADDRESS_BYTES_MAX];
        struct abi_sockaddr_un local;
    };
};

struct socket_message {
    struct io_buffer io;
    u32 flags;                      /* MSG_* of the call */
    u32 flags_out;                  /* receive: MSG_TRUNC, MSG_CTRUNC */
    struct socket_address *address; /* send: to whom; receive: filled in. NULL: none */
    /*
     * Control messages. send: a copy in kernel memory; receive: the user's buffer, which is moved
     * on by what was written.
     */
    const void *control;
    struct user_ptr control_at;
    u64 control_bytes;
};

/* The socket of an open file, or NULL (ENOTSOCK). */
struct socket *socket_of_file(const struct file *file);

/*
 * New sockets as open files. type and protocol as in socket(2), flags: O_NONBLOCK. -EAFNOSUPPORT,
 * -EINVAL, -ESOCKTNOSUPPORT, -EPROTONOSUPPORT, -ENOMEM.
 */
int socket_open(int family, int type, int protocol, u32 flags, struct file **file_out) must_check;
int socket_open_pair(int family, int type, int protocol, u32 flags, struct file *files_out[2])
    must_check;

/* The calls of the same names; those that wait do not when file->flags has O_NONBLOCK. */
int socket_bind(struct file *file, const struct socket_address *address) must_check;
int socket_listen(struct file *file, int backlog) must_check;
int socket_connect(struct file *file, const struct socket_address *address) must_check;
/* flags: O_NONBLOCK of the new file. `peer_out`: who connected; NULL: nobody asks. */
int socket_accept(struct file *file, u32 flags, struct file **file_out,
                  struct socket_address *peer_out) must_check;
int socket_shutdown(struct file *file, int how) must_check;
int socket_name(struct file *file, struct socket_address *address_out) must_check;
int socket_peer_name(struct file *file, struct socket_address *address_out) must_check;
/* Bytes done, or an error. -EPIPE came with SIGPIPE where it is due. */
ssize_t socket_send(struct file *file, struct socket_message *message) must_check;
ssize_t socket_receive(struct file *file, struct socket_message *message) must_check;

/* Options of SOL_SOCKET. `bytes` is what the caller gave; the value's length, or an error. */
#define SOCKET_OPTION_BYTES_MAX 256u
int socket_set_option(struct socket *socket, int option, const void *value, u32 bytes) must_check;
int socket_get_option(struct socket *socket, int option, void *value, u32 bytes) must_check;
/* SO_PEERGROUPS: as many ids as the connection's other side has groups; -ERANGE and the size. */
int socket_get_peer_groups(struct socket *socket, struct user_ptr to, u32 *bytes) must_check;

void net_init(void);
