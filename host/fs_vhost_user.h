/* The vhost-user connection: QEMU tells the file server where memory and rings are. */
#pragma once

#include "fs_memory.h"
#include "fs_queue.h"

enum fs_queue_index {
    FS_QUEUE_URGENT = 0,   /* FORGET, INTERRUPT */
    FS_QUEUE_REQUESTS = 1, /* all others */
    FS_QUEUES = 2,
};

struct fs_device {
    int socket_fd;
    int epoll_fd; /* where running queues' kick descriptors are watched, data: the queue's index */
    u64 features; /* virtio's, as negotiated */
    u64 protocol_features;
    struct fs_memory memory;
    struct fs_queue queues[FS_QUEUES];
};

void fs_device_init(struct fs_device *device, int epoll_fd);
void fs_device_fini(struct fs_device *device);

/*
 * Receives one message and does what it says; blocks until it is there whole.
 * 0; -ECONNRESET: the other side closed the connection; -EPROTO: it sent what cannot be.
 */
must_check int fs_device_receive(struct fs_device *device);
