/*
 * vhost-user messages on their way: three words, a payload, and descriptors beside the first word.
 *
 * The descriptors belong to the message until a handler takes one over (and puts FS_NO_DESCRIPTOR
 * in its place); what is left is closed with it, also what a message should not have brought.
 */
#include "fs_message.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define FLAGS_VERSION      1u
#define FLAGS_VERSION_MASK 3u
#define FLAGS_REPLY        4u

void fs_descriptor_replace(int *fd, int with)
{
    if (*fd >= 0)
        close(*fd);
    *fd = with;
}

/* Takes the descriptors that came with a message; more than fit were closed by the kernel. */
static void message_take_fds(struct fs_message *message, struct msghdr *received)
{
    for (struct cmsghdr *control = CMSG_FIRSTHDR(received); control;
         control = CMSG_NXTHDR(received, control)) {
        if (control->cmsg_level != SOL_SOCKET || control->cmsg_type != SCM_RIGHTS)
            continue;
        message->fd_count = (control->cmsg_len - CMSG_LEN(0)) / sizeof(int);
        memcpy(message->fds, CMSG_DATA(control), message->fd_count * sizeof(int));
    }
}

static int receive_rest(int socket_fd, void *bytes, size_t size)
{
    ssize_t got;

    if (size == 0)
        return 0;
    do {
        got = recv(socket_fd, bytes, size, MSG_WAITALL);
    } while (got < 0 && errno == EINTR);
    return got == (ssize_t)size ? 0 : -ECONNRESET;
}

/*
 * Blocks until the message is whole: who sends it is the only one who is served. -ECONNRESET: the
 * connection ended; -EPROTO: a size, a version or a number of descriptors that cannot be.
 */
int fs_message_receive(struct fs_message *message, int socket_fd)
{
    union {
        struct cmsghdr align;
        u8 bytes[CMSG_SPACE(sizeof(message->fds))];
    } control;
    struct iovec header = {.iov_base = &message->header, .iov_len = sizeof(message->header)};
    struct msghdr received = {
        .msg_iov = &header,
        .msg_iovlen = 1,
        .msg_control = &control,
        .msg_controllen = sizeof(control),
    };
    ssize_t got;
    int error;

    memset(message, 0, sizeof(*message));
    do {
        got = recvmsg(socket_fd, &received, MSG_CMSG_CLOEXEC);
    } while (got < 0 && errno == EINTR);
    if (got <= 0)
        return -ECONNRESET;
    message_take_fds(message, &received);
    error = receive_rest(socket_fd, (u8 *)&message->header + got, sizeof(message->header) - got);
    if (error)
        return error;
    if (message->header.size > FS_MESSAGE_PAYLOAD_MAX || (received.msg_flags & MSG_CTRUNC) ||
        (message->header.flags & FLAGS_VERSION_MASK) != FLAGS_VERSION)
        return -EPROTO;
    return receive_rest(socket_fd, &message->payload, message->header.size);
}

int fs_message_reply(struct fs_message *message, int socket_fd)
{
    struct iovec parts[] = {
        {.iov_base = &message->header, .iov_len = sizeof(message->header)},
        {.iov_base = &message->payload, .iov_len = message->answer_size},
    };
    struct msghdr sent = {.msg_iov = parts, .msg_iovlen = ARRAY_SIZE(parts)};
    ssize_t size = sizeof(message->header) + message->answer_size;

    message->header.flags = FLAGS_VERSION | FLAGS_REPLY;
    message->header.size = message->answer_size;
    return sendmsg(socket_fd, &sent, MSG_NOSIGNAL) == size ? 0 : -ECONNRESET;
}

void fs_message_fini(struct fs_message *message)
{
    for (unsigned i = 0; i < message->fd_count; i++)
        fs_descriptor_replace(&message->fds[i], FS_NO_DESCRIPTOR);
}
