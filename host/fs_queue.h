/* A virtqueue seen from the device: takes chains of buffers from the guest and gives them back. */
#pragma once

#include <sys/uio.h>

#include "fs_memory.h"

#define FS_QUEUE_SIZE_MAX 32768 /* virtio 1.2, 2.7: the largest split ring */
#define FS_CHAIN_MAX      1024  /* buffers of one request: as many as one preadv takes (IOV_MAX) */

/* One request: buffers that we may read, and buffers that we may write, all in guest memory. */
struct fs_chain {
    u16 head; /* what gives it back */
    unsigned readable_count;
    unsigned writable_count;
    size_t readable_bytes;
    size_t writable_bytes;
    /* The readable ones, then the writable ones. The guest can change their contents any time. */
    struct iovec buffers[FS_CHAIN_MAX];
};

struct vring_desc;
struct vring_avail;
struct vring_used;

struct fs_queue {
    unsigned size;        /* a power of two; 0: not told yet */
    u16 next_available;   /* the next entry of the available ring that we take */
    u16 next_used;        /* the next entry of the used ring that we fill */
    u16 notified_used;    /* next_used when the guest was last notified */
    bool has_event_index; /* VIRTIO_F_EVENT_IDX was negotiated */
    bool enabled;
    bool broken; /* the guest wrote nonsense: nothing more is taken until the next start */
    bool has_addresses;
    u64 descriptors_address; /* in the front end's addresses */
    u64 available_address;
    u64 used_address;
    const struct vring_desc *descriptors; /* NULL until the addresses were found in memory */
    struct vring_avail *available;
    struct vring_used *used;
    int kick_fd; /* the guest made something available; -1: stopped */
    int call_fd; /* tells the guest that something was used; -1: none */
};

void fs_queue_init(struct fs_queue *queue);

/* Finds the rings in memory (again, after the memory table changed). -EINVAL: not all there. */
must_check int fs_queue_map(struct fs_queue *queue, const struct fs_memory *memory);

/* Whether requests may be taken. */
bool fs_queue_is_running(const struct fs_queue *queue);

/*
 * Takes the next chain. 0, or -EAGAIN: there is none now; -EPROTO: the guest's ring is nonsense,
 * and the queue is broken from now on.
 */
must_check int fs_queue_pop(struct fs_queue *queue, const struct fs_memory *memory,
                            struct fs_chain *chain_out);

/* Gives a chain back, with `written` bytes in its writable buffers, and notifies if wished. */
void fs_queue_push(struct fs_queue *queue, u16 head, u32 written);

/* Asks for a kick at the next request. True: one came meanwhile, so look again first. */
bool fs_queue_enable_kicks(struct fs_queue *queue);
