/* What the transports and the queues of virtio share. */
#pragma once

#include <pith/virtio.h>

#define VIRTIO_QUEUES_MAX    8
#define VIRTIO_INTERRUPT_CPU 0u /* where the transports send all interrupts */

/* Bits of a device's status, virtio 1.2, 2.1. */
#define STATUS_ACKNOWLEDGE 1u
#define STATUS_DRIVER      2u
#define STATUS_DRIVER_OK   4u
#define STATUS_FEATURES_OK 8u
#define STATUS_FAILED      128u

struct virtqueue_addresses {
    phys_addr descriptors, available, used;
};

/* How a transport does what every device needs. */
struct virtio_transport {
    u64 (*get_features)(struct virtio_device *device);
    void (*set_features)(struct virtio_device *device, u64 features);
    u32 (*get_status)(struct virtio_device *device);
    void (*set_status)(struct virtio_device *device, u32 status);
    void (*config_read)(struct virtio_device *device, u32 offset, void *to, u32 bytes);
    /* How many descriptors the device allows in a queue; 0: there is none. */
    u32 (*queue_size_max)(struct virtio_device *device, u32 index);
    void (*queue_enable)(struct virtio_device *device, u32 index, u32 size,
                         const struct virtqueue_addresses *addresses);
    void (*queue_notify)(struct virtio_device *device, u32 index);
};

struct virtio_device {
    const struct virtio_transport *transport;    /* [const] */
    u32 kind;                                    /* [const] enum virtio_kind */
    u64 features;                                /* [const] after probe */
    const struct virtio_driver *driver;          /* guarded by the boot's single thread */
    struct virtqueue *queues[VIRTIO_QUEUES_MAX]; /* [const] after probe */
    struct list link;
};

/* A transport found a device; it stays for ever. Binds it to its driver, now or later. */
void virtio_device_register(struct virtio_device *device);
/* A transport's interrupt for the device. */
void virtio_device_interrupt(struct virtio_device *device);

void virtqueue_interrupt(struct virtqueue *queue);

/* Registers the driver of the link to the `pith` command. */
void host_link_init(void);
/* Registers the driver that gives free memory back to the host. */
void balloon_init(void);
void virtio_mmio_init(void);
/* Returns whether there is a PCI bus. */
bool pci_init(void);
/* PCI found a virtio device; virtio_pci.c drives it. */
void virtio_pci_found(u32 function_address, u16 device_id);

/* PCI configuration space: `function` is bus << 16 | device << 11 | function << 8. */
u32 pci_read(u32 function, u32 offset);
u16 pci_read_u16(u32 function, u32 offset);
u8 pci_read_u8(u32 function, u32 offset);
void pci_write(u32 function, u32 offset, u32 value);
void pci_write_u16(u32 function, u32 offset, u16 value);
