/* A vhost-user message, with the descriptors that come beside it. */
#pragma once

#include <linux/vhost_types.h>

#include "fs_memory.h"

#define FS_MESSAGE_PAYLOAD_MAX 512u
#define FS_MESSAGE_FDS         FS_REGIONS_MAX
#define FS_MESSAGE_NEED_REPLY  8u /* of the header's flags */
#define FS_NO_DESCRIPTOR       (-1)

struct fs_message_header {
    u32 request;
    u32 flags;
    u32 size;
};

struct fs_message_region {
    u64 guest_address;
    u64 size;
    u64 front_end_address;
    u64 offset;
};

struct fs_message_memory {
    u32 count;
    u32 padding;
    struct fs_message_region regions[FS_REGIONS_MAX];
};

struct fs_message_addresses {
    u32 queue;
    u32 flags;
    u64 descriptors;
    u64 used;
    u64 available;
    u64 log;
};

struct fs_message {
    struct fs_message_header header;
    union {
        u64 number;
        struct vhost_vring_state state; /* queue, number */
        struct fs_message_memory memory;
        struct fs_message_addresses addresses;
        u8 bytes[FS_MESSAGE_PAYLOAD_MAX];
    } payload;
    int fds[FS_MESSAGE_FDS]; /* FS_NO_DESCRIPTOR once taken over */
    unsigned fd_count;
    u32 answer_size; /* 0: the request has no answer of its own */
};

/* Receives one, waiting until it is there whole. -ECONNRESET: the end; -EPROTO: it cannot be. */
must_check int fs_message_receive(struct fs_message *message, int socket_fd);
/* Sends its answer, `answer_size` bytes of its payload. -ECONNRESET. */
must_check int fs_message_reply(struct fs_message *message, int socket_fd);
/* Closes the descriptors that nobody took over. */
void fs_message_fini(struct fs_message *message);

/* Closes a descriptor, if it is one, and puts another in its place. */
void fs_descriptor_replace(int *fd, int with);
