/*
 * A guest and its QEMU for the file server's tests: speaks vhost-user over a socketpair with a
 * server in a child process, shares a memfd with it, and puts FUSE requests into rings there.
 *
 *     guest memory: two regions with a hole between them, so that buffers can cross and miss
 *         0x000000  LOW   data                                0x0f0000  hole  0x100000
 *         0x100000  HIGH  rings of queue 0, 1; requests; answers               0x800000
 */
#pragma once

#include <errno.h>
#include <fcntl.h>
#include <linux/fuse.h>
#include <linux/virtio_ring.h>
#include <poll.h>
#include <stdint.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include "unit.h"

#include "fs_server.h"

#define GUEST_LOW_SIZE    0xf0000ull
#define GUEST_HIGH        0x100000ull
#define GUEST_SIZE        0x800000ull
#define GUEST_FRONT_END   0x7f0000000000ull /* where "QEMU" has the memory */
#define GUEST_QUEUES      2
#define GUEST_QUEUE_SIZE  128
#define GUEST_RING(queue) (GUEST_HIGH + (queue)*0x10000ull)
#define GUEST_AVAILABLE   0x4000ull /* in a ring's 64 KiB */
#define GUEST_USED        0x8000ull
#define GUEST_INDIRECT    0x180000ull
#define GUEST_REQUEST     0x200000ull
#define GUEST_ANSWER      0x400000ull
#define GUEST_ANSWER_SIZE 0x200000u
#define GUEST_DEADLINE_MS 10000

#define VIRTIO_VERSION_1  (1ull << 32)
#define PROTOCOL_FEATURES (1ull << 30)

struct guest {
    int socket;
    int memory_fd;
    int parent_pipe; /* its closing ends the server */
    pid_t server;
    uint8_t *memory;
    int kick_fds[GUEST_QUEUES], call_fds[GUEST_QUEUES];
    uint16_t available[GUEST_QUEUES], used[GUEST_QUEUES];
    uint64_t unique;
    uint32_t uid, gid; /* of the requests */
};

struct guest_header {
    uint32_t request, flags, size;
};

static __attribute__((unused)) void *guest_at(struct guest *guest, uint64_t address)
{
    return guest->memory + address;
}

/* ---- Messages ---- */

static __attribute__((unused)) void guest_send(struct guest *guest, uint32_t request,
                                               uint32_t flags, const void *payload, uint32_t size,
                                               const int *fds, unsigned fd_count)
{
    struct guest_header header = {request, 1 | flags, size};
    struct iovec parts[] = {{&header, sizeof(header)}, {(void *)payload, size}};
    union {
        struct cmsghdr header;
        char bytes[CMSG_SPACE(16 * sizeof(int))];
    } control = {0};
    struct msghdr message = {.msg_iov = parts, .msg_iovlen = 2};

    if (fd_count > 0) {
        message.msg_control = &control;
        message.msg_controllen = CMSG_SPACE(fd_count * sizeof(int));
        control.header.cmsg_level = SOL_SOCKET;
        control.header.cmsg_type = SCM_RIGHTS;
        control.header.cmsg_len = CMSG_LEN(fd_count * sizeof(int));
        memcpy(CMSG_DATA(&control.header), fds, fd_count * sizeof(int));
    }
    /* A server that has gone already shows at the next answer. */
    if (sendmsg(guest->socket, &message, MSG_NOSIGNAL) < 0)
        CHECK(errno == EPIPE || errno == ECONNRESET);
}

/* The u64 (or less) that a request is answered with; fails the test if the server went away. */
static __attribute__((unused)) uint64_t guest_receive(struct guest *guest, uint32_t request)
{
    struct guest_header header;
    uint64_t number = 0;

    CHECK_EQ(recv(guest->socket, &header, sizeof(header), MSG_WAITALL), (ssize_t)sizeof(header));
    CHECK_EQ(header.request, request);
    CHECK_EQ(header.flags, 5);
    CHECK_EQ(header.size, 8);
    CHECK_EQ(recv(guest->socket, &number, 8, MSG_WAITALL), 8);
    return number;
}

static __attribute__((unused)) uint64_t guest_ask(struct guest *guest, uint32_t request)
{
    guest_send(guest, request, 0, NULL, 0, NULL, 0);
    return guest_receive(guest, request);
}

static __attribute__((unused)) void guest_send_number(struct guest *guest, uint32_t request,
                                                      uint64_t number)
{
    guest_send(guest, request, 0, &number, sizeof(number), NULL, 0);
}

static __attribute__((unused)) void guest_send_state(struct guest *guest, uint32_t request,
                                                     uint32_t queue, uint32_t number)
{
    uint32_t state[] = {queue, number};

    guest_send(guest, request, 0, state, sizeof(state), NULL, 0);
}

static __attribute__((unused)) void guest_send_memory(struct guest *guest)
{
    uint64_t table[] = {
        2,          0,          GUEST_LOW_SIZE,          GUEST_FRONT_END,
        0,          GUEST_HIGH, GUEST_SIZE - GUEST_HIGH, GUEST_FRONT_END + GUEST_HIGH,
        GUEST_HIGH,
    };
    int fds[] = {guest->memory_fd, guest->memory_fd};

    guest_send(guest, 5, 8, table, sizeof(table), fds, 2);
    CHECK_EQ(guest_receive(guest, 5), 0);
}

static __attribute__((unused)) void guest_start_queue(struct guest *guest, uint32_t queue)
{
    uint64_t ring = GUEST_FRONT_END + GUEST_RING(queue);
    struct {
        uint32_t queue, flags;
        uint64_t descriptors, used, available, log;
    } addresses = {queue, 0, ring, ring + GUEST_USED, ring + GUEST_AVAILABLE, 0};
    uint64_t number = queue;

    memset(guest_at(guest, GUEST_RING(queue)), 0, 0x10000);
    guest->available[queue] = guest->used[queue] = 0;
    guest_send_state(guest, 8, queue, GUEST_QUEUE_SIZE);
    guest_send_state(guest, 10, queue, 0);
    guest_send(guest, 9, 0, &addresses, sizeof(addresses), NULL, 0);
    guest_send(guest, 13, 0, &number, 8, &guest->call_fds[queue], 1);
    guest_send(guest, 12, 0, &number, 8, &guest->kick_fds[queue], 1);
    guest_send_state(guest, 18, queue, 1);
}

/* Until everything that was sent was done. */
static __attribute__((unused)) void guest_settle(struct guest *guest)
{
    CHECK_EQ(guest_ask(guest, 17), GUEST_QUEUES);
}

/* ---- Rings ---- */

struct guest_buffer {
    uint64_t address;
    uint32_t size;
    uint16_t flags; /* VRING_DESC_F_WRITE, _INDIRECT; NEXT is added */
};

/* Writes a chain into a table of descriptors. */
static __attribute__((unused)) void guest_chain(struct vring_desc *table,
                                                const struct guest_buffer *buffers, unsigned count)
{
    for (unsigned i = 0; i < count; i++)
        table[i] = (struct vring_desc){
            .addr = buffers[i].address,
            .len = buffers[i].size,
            .flags = buffers[i].flags | (i + 1 < count ? VRING_DESC_F_NEXT : 0),
            .next = (uint16_t)(i + 1),
        };
}

/* Makes the chain that begins at `head` available. */
static __attribute__((unused)) void guest_offer(struct guest *guest, uint32_t queue, uint16_t head)
{
    struct vring_avail *ring = guest_at(guest, GUEST_RING(queue) + GUEST_AVAILABLE);
    uint64_t one = 1;

    ring->ring[guest->available[queue]++ % GUEST_QUEUE_SIZE] = head;
    __atomic_store_n(&ring->idx, guest->available[queue], __ATOMIC_SEQ_CST);
    CHECK_EQ(write(guest->kick_fds[queue], &one, 8), 8);
}

/* Waits for the next used chain and returns how many bytes were written; -1: none came in time. */
static __attribute__((unused)) int64_t guest_await(struct guest *guest, uint32_t queue,
                                                   int milliseconds)
{
    struct vring_used *ring = guest_at(guest, GUEST_RING(queue) + GUEST_USED);
    struct pollfd call = {.fd = guest->call_fds[queue], .events = POLLIN};
    uint64_t count;

    while (__atomic_load_n(&ring->idx, __ATOMIC_ACQUIRE) == guest->used[queue]) {
        if (poll(&call, 1, milliseconds) <= 0)
            return -1;
        CHECK_EQ(read(call.fd, &count, 8), 8);
    }
    return ring->ring[guest->used[queue]++ % GUEST_QUEUE_SIZE].len;
}

/* ---- Requests ---- */

struct guest_part {
    const void *bytes;
    size_t size;
};

#define GUEST_NONE ((struct guest_part){NULL, 0})

static __attribute__((unused)) struct guest_part guest_name(const char *name)
{
    return (struct guest_part){name, strlen(name) + 1};
}

#define GUEST_STRUCT(value) ((struct guest_part){&(value), sizeof(value)})

/* Writes a request's bytes; returns how many. */
static __attribute__((unused)) uint32_t guest_write_request(struct guest *guest, uint32_t opcode,
                                                            uint64_t node, struct guest_part first,
                                                            struct guest_part second,
                                                            struct guest_part third)
{
    struct guest_part parts[] = {first, second, third};
    struct fuse_in_header header = {
        .opcode = opcode,
        .nodeid = node,
        .unique = ++guest->unique,
        .uid = guest->uid,
        .gid = guest->gid,
    };
    uint8_t *to = guest_at(guest, GUEST_REQUEST);
    size_t size = sizeof(header);

    for (size_t i = 0; i < 3; i++) {
        if (parts[i].size > 0)
            memcpy(to + size, parts[i].bytes, parts[i].size);
        size += parts[i].size;
    }
    header.len = (uint32_t)size;
    memcpy(to, &header, sizeof(header));
    return header.len;
}

/* Checks the answer's header; returns its error. The answer's bytes lie at guest_answer(). */
static __attribute__((unused)) int guest_finish(struct guest *guest)
{
    struct fuse_out_header *header = guest_at(guest, GUEST_ANSWER);
    int64_t written = guest_await(guest, 1, GUEST_DEADLINE_MS);

    CHECK_GE(written, (int64_t)sizeof(*header));
    CHECK_EQ(header->len, written);
    CHECK_EQ(header->unique, guest->unique);
    CHECK_LE(header->error, 0);
    if (header->error)
        CHECK_EQ(header->len, sizeof(*header));
    return header->error;
}

static __attribute__((unused)) void *guest_answer(struct guest *guest)
{
    return guest_at(guest, GUEST_ANSWER + sizeof(struct fuse_out_header));
}

static __attribute__((unused)) size_t guest_answer_size(struct guest *guest)
{
    const struct fuse_out_header *header = guest_at(guest, GUEST_ANSWER);

    return header->len - sizeof(*header);
}

static __attribute__((unused)) int guest_request(struct guest *guest, uint32_t opcode,
                                                 uint64_t node, struct guest_part first,
                                                 struct guest_part second, struct guest_part third)
{
    struct guest_buffer buffers[] = {
        {GUEST_REQUEST, guest_write_request(guest, opcode, node, first, second, third), 0},
        {GUEST_ANSWER, GUEST_ANSWER_SIZE, VRING_DESC_F_WRITE},
    };

    guest_chain(guest_at(guest, GUEST_RING(1)), buffers, 2);
    guest_offer(guest, 1, 0);
    return guest_finish(guest);
}

static __attribute__((unused)) int guest_init(struct guest *guest, uint32_t flags)
{
    struct fuse_init_in init = {
        .major = FUSE_KERNEL_VERSION,
        .minor = FUSE_KERNEL_MINOR_VERSION,
        .flags = flags,
    };

    return guest_request(guest, FUSE_INIT, 0, GUEST_STRUCT(init), GUEST_NONE, GUEST_NONE);
}

static __attribute__((unused)) int guest_lookup(struct guest *guest, uint64_t parent,
                                                const char *name, struct fuse_entry_out *entry_out)
{
    int error = guest_request(guest, FUSE_LOOKUP, parent, guest_name(name), GUEST_NONE, GUEST_NONE);

    if (error)
        return error;
    memcpy(entry_out, guest_answer(guest), sizeof(*entry_out));
    return entry_out->nodeid ? 0 : -ENOENT; /* a name that is known not to be */
}

/* The node at a path below node 1; fails the test if there is none. */
static __attribute__((unused)) uint64_t guest_node(struct guest *guest, const char *path)
{
    struct fuse_entry_out entry = {.nodeid = FUSE_ROOT_ID};
    char copy[4096], *rest = NULL;

    snprintf(copy, sizeof(copy), "%s", path);
    for (char *name = strtok_r(copy, "/", &rest); name; name = strtok_r(NULL, "/", &rest))
        CHECK_EQ(guest_lookup(guest, entry.nodeid, name, &entry), 0);
    return entry.nodeid;
}

static __attribute__((unused)) int guest_getattr(struct guest *guest, uint64_t node,
                                                 struct fuse_attr *attributes_out)
{
    struct fuse_getattr_in in = {0};
    struct fuse_attr_out answer;
    int error = guest_request(guest, FUSE_GETATTR, node, GUEST_STRUCT(in), GUEST_NONE, GUEST_NONE);

    if (!error && attributes_out) {
        memcpy(&answer, guest_answer(guest), sizeof(answer));
        *attributes_out = answer.attr;
    }
    return error;
}

static __attribute__((unused)) int guest_read(struct guest *guest, uint64_t node, uint64_t offset,
                                              uint32_t size)
{
    struct fuse_read_in in = {.offset = offset, .size = size};

    return guest_request(guest, FUSE_READ, node, GUEST_STRUCT(in), GUEST_NONE, GUEST_NONE);
}

static __attribute__((unused)) int guest_write(struct guest *guest, uint64_t node, uint64_t offset,
                                               const char *text)
{
    struct fuse_write_in in = {.offset = offset, .size = (uint32_t)strlen(text)};

    return guest_request(guest, FUSE_WRITE, node, GUEST_STRUCT(in),
                         (struct guest_part){text, strlen(text)}, GUEST_NONE);
}

static __attribute__((unused)) int guest_open(struct guest *guest, uint64_t node, uint32_t flags)
{
    struct fuse_open_in in = {.flags = flags};

    return guest_request(guest, FUSE_OPEN, node, GUEST_STRUCT(in), GUEST_NONE, GUEST_NONE);
}

/* No answer comes; it is done when the next request is. */
static __attribute__((unused)) void guest_forget(struct guest *guest, uint64_t node, uint64_t count)
{
    struct fuse_forget_in in = {.nlookup = count};
    struct guest_buffer buffer = {
        GUEST_REQUEST,
        guest_write_request(guest, FUSE_FORGET, node, GUEST_STRUCT(in), GUEST_NONE, GUEST_NONE), 0};

    guest_chain(guest_at(guest, GUEST_RING(0)), &buffer, 1);
    guest_offer(guest, 0, 0);
    CHECK_EQ(guest_await(guest, 0, GUEST_DEADLINE_MS), 0);
}

/* ---- Life ---- */

/* Connects, as QEMU does up to the moment before the guest's driver is ready. */
static __attribute__((unused)) void guest_connect(struct guest *guest)
{
    CHECK_EQ(guest_ask(guest, 1) & (VIRTIO_VERSION_1 | PROTOCOL_FEATURES),
             VIRTIO_VERSION_1 | PROTOCOL_FEATURES);
    CHECK_EQ(guest_ask(guest, 15) & 9, 9);
    guest_send_number(guest, 16, 9);
    CHECK_EQ(guest_ask(guest, 17), GUEST_QUEUES);
    guest_send(guest, 3, 0, NULL, 0, NULL, 0);
    guest_send_number(guest, 2, VIRTIO_VERSION_1 | PROTOCOL_FEATURES | 1ull << 28);
}

/* How many descriptors the servers that follow may have; 0: as many as the test. */
static __attribute__((unused)) rlim_t guest_descriptor_limit;

/* Starts a server in a child, without a word to it. */
static __attribute__((unused)) void guest_spawn(struct guest *guest,
                                                const struct fs_server_options *options)
{
    int sockets[2], parent[2];

    memset(guest, 0, sizeof(*guest));
    CHECK_EQ(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, sockets), 0);
    CHECK_EQ(pipe(parent), 0);
    guest->server = fork();
    CHECK_GE(guest->server, 0);
    if (guest->server == 0) {
        struct fs_server_options ours = *options;

        close(sockets[0]);
        close(parent[1]);
        if (guest_descriptor_limit &&
            setrlimit(RLIMIT_NOFILE,
                      &(struct rlimit){guest_descriptor_limit, guest_descriptor_limit}))
            _exit(ENOTSUP);
        ours.socket_fd = sockets[1];
        ours.parent_fd = parent[0];
        ours.log_fd = -1;
        _exit(-fs_server_run(&ours)); /* its error as the status: errnos are small */
    }
    close(sockets[1]);
    close(parent[0]);
    guest->socket = sockets[0];
    guest->parent_pipe = parent[1];
    guest->memory_fd = memfd_create("guest", MFD_CLOEXEC);
    CHECK_EQ(ftruncate(guest->memory_fd, GUEST_SIZE), 0);
    guest->memory = mmap(NULL, GUEST_SIZE, PROT_READ | PROT_WRITE, MAP_SHARED, guest->memory_fd, 0);
    CHECK(guest->memory != MAP_FAILED);
    for (int i = 0; i < GUEST_QUEUES; i++) {
        guest->kick_fds[i] = eventfd(0, EFD_CLOEXEC);
        guest->call_fds[i] = eventfd(0, EFD_CLOEXEC);
    }
    guest->uid = getuid();
    guest->gid = getgid();
}

/* Everything up to and with INIT. */
static __attribute__((unused)) void guest_start(struct guest *guest,
                                                const struct fs_server_options *options)
{
    guest_spawn(guest, options);
    guest_connect(guest);
    guest_send_memory(guest);
    guest_start_queue(guest, 0);
    guest_start_queue(guest, 1);
    CHECK_EQ(guest_init(guest, FUSE_MAX_PAGES | FUSE_DO_READDIRPLUS), 0);
}

/* Waits for the server's end; returns its errno, or -1 if a signal or a sanitizer ended it. */
static __attribute__((unused)) int guest_end_status(struct guest *guest)
{
    int status;

    CHECK_EQ(waitpid(guest->server, &status, 0), guest->server);
    close(guest->socket);
    close(guest->parent_pipe);
    close(guest->memory_fd);
    munmap(guest->memory, GUEST_SIZE);
    for (int i = 0; i < GUEST_QUEUES; i++) {
        close(guest->kick_fds[i]);
        close(guest->call_fds[i]);
    }
    return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static __attribute__((unused)) int guest_stop(struct guest *guest)
{
    shutdown(guest->socket, SHUT_RDWR);
    return guest_end_status(guest);
}
