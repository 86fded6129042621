/*
 * vhost-user, the back end's side: one function a message (QEMU's "Vhost-user Protocol").
 *
 * Whoever can write to the socket is no more trusted than the guest: sizes are checked against what
 * the request has, queue numbers against the queues that exist, addresses by the memory table. What
 * cannot be ends the connection, since the two sides then no longer agree about memory; a request
 * that we do not know is only refused.
 *
 * Life of a queue: SET_VRING_NUM, BASE, ADDR fill it in; SET_VRING_KICK starts it and ENABLE lets
 * it run; GET_VRING_BASE stops it and says how far it came. CALL may change while it runs.
 */
/* First: it writes attributes by names that are macros of ours. */
#include <linux/virtio_ring.h>

#include "fs_vhost_user.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/virtio_config.h>
#include <string.h>
#include <sys/epoll.h>
#include <unistd.h>

#include "fs_message.h"

#define PROTOCOL_FEATURES_BIT    30 /* of virtio's features: the protocol has features of its own */
#define PROTOCOL_MULTIPLE_QUEUES BIT(0)
#define PROTOCOL_REPLY_ACK       BIT(3)

#define QUEUE_MASK               0xffu /* SET_VRING_KICK, CALL, ERR */
#define QUEUE_NO_FD              0x100u

enum message_request {
    GET_FEATURES = 1,
    SET_FEATURES = 2,
    SET_OWNER = 3,
    SET_MEM_TABLE = 5,
    SET_VRING_NUM = 8,
    SET_VRING_ADDR = 9,
    SET_VRING_BASE = 10,
    GET_VRING_BASE = 11,
    SET_VRING_KICK = 12,
    SET_VRING_CALL = 13,
    SET_VRING_ERR = 14,
    GET_PROTOCOL_FEATURES = 15,
    SET_PROTOCOL_FEATURES = 16,
    GET_QUEUE_NUM = 17,
    SET_VRING_ENABLE = 18,
    MESSAGE_REQUESTS = 19,
};

static const u64 our_features = BIT(VIRTIO_F_VERSION_1) | BIT(PROTOCOL_FEATURES_BIT) |
                                BIT(VIRTIO_RING_F_INDIRECT_DESC) | BIT(VIRTIO_RING_F_EVENT_IDX);
static const u64 our_protocol_features = PROTOCOL_MULTIPLE_QUEUES | PROTOCOL_REPLY_ACK;

/*
 * Gives the queue another kick descriptor and watches it. The old one must leave epoll by name: the
 * front end has it too, so closing ours does not.
 */
static int kick_replace(struct fs_device *device, struct fs_queue *queue, int fd)
{
    struct epoll_event event = {.events = EPOLLIN, .data.u64 = (u64)(queue - device->queues)};

    if (queue->kick_fd >= 0)
        epoll_ctl(device->epoll_fd, EPOLL_CTL_DEL, queue->kick_fd, NULL);
    fs_descriptor_replace(&queue->kick_fd, fd);
    if (fd >= 0 && epoll_ctl(device->epoll_fd, EPOLL_CTL_ADD, fd, &event))
        return -EPROTO; /* what cannot be waited for is no eventfd */
    return 0;
}

void fs_device_init(struct fs_device *device, int epoll_fd)
{
    memset(device, 0, sizeof(*device));
    device->socket_fd = FS_NO_DESCRIPTOR;
    device->epoll_fd = epoll_fd;
    for (unsigned i = 0; i < FS_QUEUES; i++)
        fs_queue_init(&device->queues[i]);
}

void fs_device_fini(struct fs_device *device)
{
    for (unsigned i = 0; i < FS_QUEUES; i++) {
        kick_replace(device, &device->queues[i], FS_NO_DESCRIPTOR);
        fs_descriptor_replace(&device->queues[i].call_fd, FS_NO_DESCRIPTOR);
    }
    fs_memory_clear(&device->memory);
    fs_descriptor_replace(&device->socket_fd, FS_NO_DESCRIPTOR);
}

static void message_answer(struct fs_message *message, u64 number)
{
    message->payload.number = number;
    message->answer_size = sizeof(number);
}

static int get_features(struct fs_device *device, struct fs_message *message)
{
    message_answer(message, our_features);
    return 0;
}

/* -EPROTO: a feature that we did not offer. */
static int set_features(struct fs_device *device, struct fs_message *message)
{
    if (message->payload.number & ~our_features)
        return -EPROTO;
    device->features = message->payload.number;
    for (unsigned i = 0; i < FS_QUEUES; i++) {
        struct fs_queue *queue = &device->queues[i];

        queue->has_event_index = device->features & BIT(VIRTIO_RING_F_EVENT_IDX);
        /* Without the protocol's own features there is no SET_VRING_ENABLE. */
        queue->enabled = !(device->features & BIT(PROTOCOL_FEATURES_BIT));
    }
    return 0;
}

static int set_owner(struct fs_device *device, struct fs_message *message)
{
    return 0;
}

static int get_protocol_features(struct fs_device *device, struct fs_message *message)
{
    message_answer(message, our_protocol_features);
    return 0;
}

static int set_protocol_features(struct fs_device *device, struct fs_message *message)
{
    if (message->payload.number & ~our_protocol_features)
        return -EPROTO;
    device->protocol_features = message->payload.number;
    return 0;
}

static int get_queue_num(struct fs_device *device, struct fs_message *message)
{
    message_answer(message, FS_QUEUES);
    return 0;
}

/* Queues that ran find their rings again in the new table, or stop. */
static int set_mem_table(struct fs_device *device, struct fs_message *message)
{
    const struct fs_message_memory *table = &message->payload.memory;
    int error;

    if (table->count > FS_REGIONS_MAX || table->count != message->fd_count ||
        message->header.size <
            offsetof(struct fs_message_memory, regions) + table->count * sizeof(table->regions[0]))
        return -EPROTO;
    fs_memory_clear(&device->memory);
    for (unsigned i = 0; i < FS_QUEUES; i++)
        device->queues[i].descriptors = NULL;
    for (unsigned i = 0; i < table->count; i++) {
        const struct fs_message_region *described = &table->regions[i];
        struct fs_region region = {
            .guest_address = described->guest_address,
            .front_end_address = described->front_end_address,
            .size = described->size,
        };

        error = fs_memory_add(&device->memory, message->fds[i], described->offset, &region);
        if (error)
            return -EPROTO;
    }
    for (unsigned i = 0; i < FS_QUEUES; i++) {
        struct fs_queue *queue = &device->queues[i];

        if (queue->kick_fd >= 0 && fs_queue_map(queue, &device->memory))
            return -EPROTO;
    }
    return 0;
}

/* The queue of that number; -EPROTO: there is none. */
static int message_queue(struct fs_device *device, u64 index, struct fs_queue **queue_out)
{
    if (index >= FS_QUEUES)
        return -EPROTO;
    *queue_out = &device->queues[index];
    return 0;
}

/* For what may not change under a queue that runs. */
static int message_stopped_queue(struct fs_device *device, u64 index, struct fs_queue **queue_out)
{
    int error = message_queue(device, index, queue_out);

    if (error)
        return error;
    return (*queue_out)->kick_fd >= 0 ? -EPROTO : 0;
}

/* The ring's size: a power of two (virtio 1.2, 2.7). */
static int set_vring_num(struct fs_device *device, struct fs_message *message)
{
    struct fs_queue *queue;
    u32 size = message->payload.state.num;
    int error = message_stopped_queue(device, message->payload.state.index, &queue);

    if (error)
        return error;
    if (size == 0 || size > FS_QUEUE_SIZE_MAX || (size & (size - 1)))
        return -EPROTO;
    queue->size = size;
    return 0;
}

static int set_vring_base(struct fs_device *device, struct fs_message *message)
{
    struct fs_queue *queue;
    int error = message_stopped_queue(device, message->payload.state.index, &queue);

    if (error)
        return error;
    queue->next_available = (u16)message->payload.state.num;
    return 0;
}

/* May come again while the queue runs (to switch logging): the addresses then stay the same. */
static int set_vring_addr(struct fs_device *device, struct fs_message *message)
{
    const struct fs_message_addresses *addresses = &message->payload.addresses;
    struct fs_queue *queue;
    int error = message_queue(device, addresses->queue, &queue);

    if (error)
        return error;
    queue->descriptors_address = addresses->descriptors;
    queue->available_address = addresses->available;
    queue->used_address = addresses->used;
    queue->has_addresses = true;
    if (queue->kick_fd >= 0 && fs_queue_map(queue, &device->memory))
        return -EPROTO;
    return 0;
}

/*
 * Stops the queue. What was taken was answered, for there is one thread: so what is told is the
 * next request, and a queue that goes on from there loses and repeats none.
 */
static int get_vring_base(struct fs_device *device, struct fs_message *message)
{
    struct fs_queue *queue;
    int error = message_queue(device, message->payload.state.index, &queue);

    if (error)
        return error;
    error = kick_replace(device, queue, FS_NO_DESCRIPTOR);
    if (error)
        return error;
    queue->descriptors = NULL;
    queue->broken = false;
    message->payload.state.num = queue->next_available;
    message->answer_size = sizeof(message->payload.state);
    return 0;
}

/*
 * Takes over the message's descriptor: an eventfd for the queue that the number names. It must not
 * block us, whatever the other side does with it.
 */
static int message_queue_fd(struct fs_device *device, struct fs_message *message,
                            struct fs_queue **queue_out, int *fd_out)
{
    u64 number = message->payload.number;
    bool none = number & QUEUE_NO_FD;
    int error = message_queue(device, number & QUEUE_MASK, queue_out);

    if (error || message->fd_count != (none ? 0 : 1))
        return -EPROTO;
    *fd_out = FS_NO_DESCRIPTOR;
    if (none)
        return 0;
    if (fcntl(message->fds[0], F_SETFL, O_NONBLOCK))
        return -EPROTO;
    *fd_out = message->fds[0];
    message->fds[0] = FS_NO_DESCRIPTOR;
    return 0;
}

/* Starts the queue. One that is to be polled (no descriptor) we do not have. */
static int set_vring_kick(struct fs_device *device, struct fs_message *message)
{
    struct fs_queue *queue;
    int fd, error = message_queue_fd(device, message, &queue, &fd);

    if (error)
        return error;
    if (fd < 0)
        return -EPROTO;
    error = kick_replace(device, queue, fd);
    if (error)
        return error;
    return fs_queue_map(queue, &device->memory) ? -EPROTO : 0;
}

/* No descriptor: the guest polls, and is not told. */
static int set_vring_call(struct fs_device *device, struct fs_message *message)
{
    struct fs_queue *queue;
    int fd, error = message_queue_fd(device, message, &queue, &fd);

    if (error)
        return error;
    fs_descriptor_replace(&queue->call_fd, fd);
    return 0;
}

/* A broken queue stops without a word, so the descriptor for errors is of no use. */
static int set_vring_err(struct fs_device *device, struct fs_message *message)
{
    struct fs_queue *queue;
    int fd, error = message_queue_fd(device, message, &queue, &fd);

    if (error)
        return error;
    fs_descriptor_replace(&fd, FS_NO_DESCRIPTOR);
    return 0;
}

static int set_vring_enable(struct fs_device *device, struct fs_message *message)
{
    struct fs_queue *queue;
    int error = message_queue(device, message->payload.state.index, &queue);

    if (error)
        return error;
    queue->enabled = message->payload.state.num != 0;
    return 0;
}

/* What each request does, and the least payload that it must bring. */
static const struct {
    int (*handle)(struct fs_device *device, struct fs_message *message);
    u32 size;
} messages[MESSAGE_REQUESTS] = {
    [GET_FEATURES] = {get_features, 0},
    [SET_FEATURES] = {set_features, sizeof(u64)},
    [SET_OWNER] = {set_owner, 0},
    [SET_MEM_TABLE] = {set_mem_table, offsetof(struct fs_message_memory, regions)},
    [SET_VRING_NUM] = {set_vring_num, sizeof(struct vhost_vring_state)},
    [SET_VRING_ADDR] = {set_vring_addr, sizeof(struct fs_message_addresses)},
    [SET_VRING_BASE] = {set_vring_base, sizeof(struct vhost_vring_state)},
    [GET_VRING_BASE] = {get_vring_base, sizeof(struct vhost_vring_state)},
    [SET_VRING_KICK] = {set_vring_kick, sizeof(u64)},
    [SET_VRING_CALL] = {set_vring_call, sizeof(u64)},
    [SET_VRING_ERR] = {set_vring_err, sizeof(u64)},
    [GET_PROTOCOL_FEATURES] = {get_protocol_features, 0},
    [SET_PROTOCOL_FEATURES] = {set_protocol_features, sizeof(u64)},
    [GET_QUEUE_NUM] = {get_queue_num, 0},
    [SET_VRING_ENABLE] = {set_vring_enable, sizeof(struct vhost_vring_state)},
};

/*
 * A request that we do not know is answered with a failure if an answer is wanted, else ignored: a
 * newer front end may try.
 */
static int message_handle(struct fs_device *device, struct fs_message *message)
{
    u32 request = message->header.request;
    bool wants_reply = (message->header.flags & FS_MESSAGE_NEED_REPLY) &&
                       (device->protocol_features & PROTOCOL_REPLY_ACK);
    bool known = request < MESSAGE_REQUESTS && messages[request].handle;
    int error;

    if (known) {
        if (message->header.size < messages[request].size)
            return -EPROTO;
        error = messages[request].handle(device, message);
        if (error)
            return error;
    }
    if (message->answer_size == 0 && wants_reply)
        message_answer(message, known ? 0 : 1);
    return message->answer_size ? fs_message_reply(message, device->socket_fd) : 0;
}

int fs_device_receive(struct fs_device *device)
{
    struct fs_message message;
    int error;

    error = fs_message_receive(&message, device->socket_fd);
    if (!error)
        error = message_handle(device, &message);
    fs_message_fini(&message);
    return error;
}
