/*
 * Virtio devices: how drivers find them and exchange buffers with them (virtio 1.2).
 *
 * A transport (mmio or PCI) finds devices; a driver that registered for their kind is given each of
 * them (`probe`), negotiates features, makes its queues and says that it is ready. On a queue it
 * pushes chains of memory pieces, first those that the device reads, then those that it writes, and
 * pops them when the device is done.
 *
 * A device is a peer that may lie. What it writes (an index, a length) is checked against what the
 * driver pushed; what is wrong breaks the queue, which then gives nothing more, and is logged.
 *
 * Context: anything here but probe may be called in interrupts and under spinlocks above
 * LOCK_DEVICE_QUEUE.
 */
#pragma once

#include <pith/mem.h>

enum virtio_kind {
    VIRTIO_NET = 1,
    VIRTIO_BLOCK = 2,
    VIRTIO_CONSOLE = 3,
    VIRTIO_ENTROPY = 4,
    VIRTIO_BALLOON = 5,
    VIRTIO_FILE_SYSTEM = 26,
};

#define VIRTIO_FEATURE_VERSION_1 BIT(32)

struct virtio_device;
struct virtqueue;

struct virtio_driver {
    const char *name;
    enum virtio_kind kind;
    u64 features; /* what it can use; the transport adds VERSION_1 */
    /*
     * Takes the device over: makes queues, calls virtio_device_ready. An error gives the device
     * back. Called once at boot, may sleep.
     */
    int (*probe)(struct virtio_device *device);
};

void virtio_driver_register(const struct virtio_driver *driver);

/* The features that both sides have. */
u64 virtio_features(const struct virtio_device *device);
/* Copies from the device's configuration. */
void virtio_config_read(struct virtio_device *device, u32 offset, void *to, u32 bytes);
/* From here on the device may use the queues. */
void virtio_device_ready(struct virtio_device *device);

/* A piece of memory that lies together physically. */
struct virtio_piece {
    phys_addr address;
    u32 bytes;
};

/* The device is done with something. Interrupts are off. */
typedef void virtqueue_handler(struct virtqueue *queue);

/*
 * Makes the queue `index` with up to `most` descriptors. `handler` may be NULL: the driver looks
 * for itself. -ENOENT: the device has no such queue; -ENOMEM.
 */
int virtqueue_create(struct virtio_device *device, u32 index, u32 most, virtqueue_handler *handler,
                     struct virtqueue **queue_out) must_check;
/*
 * Pushes a chain: `readable` pieces for the device to read, then `writable` ones to write. `token`
 * (not NULL) comes back from virtqueue_pop. -ENOSPC: no descriptors left now; -EIO: broken.
 */
int virtqueue_push(struct virtqueue *queue, const struct virtio_piece *pieces, u32 readable,
                   u32 writable, void *token) must_check;
/*
 * Tells the device, if it wants to know, that something was pushed. Under `deterministic` the
 * requests among it are answered when this returns, and the handler was called.
 */
void virtqueue_notify(struct virtqueue *queue);
/*
 * What the device is done with: the token and how many bytes it wrote; NULL: nothing. From a broken
 * queue all that was pushed comes back, with no bytes.
 */
void *virtqueue_pop(struct virtqueue *queue, u32 *written_out);
/* How many pieces a chain may have at most. */
u32 virtqueue_size(const struct virtqueue *queue);
/*
 * For a panic, with all other CPUs stopped: makes the queue usable whoever holds its lock. False:
 * it is broken, or was being changed just then.
 */
bool virtqueue_recover(struct virtqueue *queue) must_check;
bool virtqueue_is_broken(const struct virtqueue *queue);
