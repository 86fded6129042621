/*
 * Virtio over PCI (virtio 1.2, 4.1): registers lie in BARs that vendor capabilities name, and
 * interrupts come as messages (MSI-X), one vector for all of a device's queues.
 *
 *     configuration space                       a BAR, mapped once, uncached
 *       VENDOR common: bar, offset, length  -->   features, status, queues
 *       VENDOR notify: bar, offset, length  -->   a doorbell for each queue
 *       VENDOR device: bar, offset, length  -->   the device's own configuration
 *       MSI-X: bar, offset                  -->   table of messages
 *
 * The capabilities are the device's word: each is checked to name a memory BAR and to have room for
 * the structure that we read in it before anything is mapped. A list that runs in a loop ends by
 * the count of all that fit.
 *
 * With message interrupts nothing is to be acknowledged, so the status register that 4.1.4.5 has is
 * never read, and a vector need not be shared between devices.
 *
 * Locking: none: registers that select are used at boot only; a doorbell is one write.
 * Context: boot, but for notify and the interrupt.
 */
#include <pith/virtio.h>

#include "virtio.h"

#define CONFIG_COMMAND      0x04
#define COMMAND_DECODE      (BIT(0) | BIT(1)) /* of ports and of memory */
#define COMMAND_MEMORY      BIT(1)
#define COMMAND_MASTER      BIT(2)
#define COMMAND_NO_INTX     BIT(10)
#define CONFIG_BAR          0x10
#define BARS                6
#define BAR_IO              BIT(0)
#define BAR_64              BIT(2)
#define CONFIG_SUBSYSTEM    0x2e
#define CONFIG_CAPABILITIES 0x34
#define CAPABILITIES_MAX    48 /* 192 bytes of 4: a list cannot be longer without a loop */

#define CAPABILITY_VENDOR   0x09
#define CAPABILITY_MSIX     0x11
#define MSIX_ENABLE         BIT(15)
#define MSIX_MASK_ALL       BIT(14)

#define DEVICE_MODERN_FIRST 0x1040
#define NO_VECTOR           0xffff

/* virtio 1.2, 4.1.4: what a vendor capability names. */
enum structure {
    STRUCTURE_COMMON = 1,
    STRUCTURE_NOTIFY = 2,
    STRUCTURE_ISR = 3,
    STRUCTURE_DEVICE = 4,
    STRUCTURES = 5,
};

struct common_config {
    u32 device_feature_select;
    u32 device_feature;
    u32 driver_feature_select;
    u32 driver_feature;
    u16 config_msix_vector;
    u16 queue_count;
    u8 status;
    u8 generation;
    u16 queue_select;
    u16 queue_size;
    u16 queue_msix_vector;
    u16 queue_enable;
    u16 queue_notify_offset;
    u32 queue_descriptors[2]; /* 64 bits, which must be accessed by halves (4.1.3.1) */
    u32 queue_available[2];
    u32 queue_used[2];
};
_Static_assert(sizeof(struct common_config) == 56, "virtio 1.2, 4.1.4.3");

struct msix_entry {
    u32 address_low, address_high, data, control;
};

struct pci_device {
    struct virtio_device device;
    u32 function; /* [const], as all below */
    volatile u8 *bars[BARS];
    u64 bar_bytes[BARS];
    volatile struct common_config *common;
    volatile u8 *config;
    u32 config_bytes;
    volatile u8 *notify;
    u32 notify_bytes;
    u32 notify_multiplier;
    volatile u16 *queue_notify[VIRTIO_QUEUES_MAX];
};

static struct pci_device *device_of_vector[VECTORS]; /* [const] after boot */

static struct pci_device *pci_of(struct virtio_device *device)
{
    return container_of(device, struct pci_device, device);
}

static u64 pci_get_features(struct virtio_device *device)
{
    volatile struct common_config *common = pci_of(device)->common;
    u64 features;

    common->device_feature_select = 1;
    features = (u64)common->device_feature << 32;
    common->device_feature_select = 0;
    return features | common->device_feature;
}

static void pci_set_features(struct virtio_device *device, u64 features)
{
    volatile struct common_config *common = pci_of(device)->common;

    common->driver_feature_select = 1;
    common->driver_feature = features >> 32;
    common->driver_feature_select = 0;
    common->driver_feature = (u32)features;
}

static u32 pci_get_status(struct virtio_device *device)
{
    return pci_of(device)->common->status;
}

static void pci_set_status(struct virtio_device *device, u32 status)
{
    pci_of(device)->common->status = status;
}

static void pci_config_read(struct virtio_device *device, u32 offset, void *to, u32 bytes)
{
    struct pci_device *pci = pci_of(device);
    u8 *out = to;

    for (u32 i = 0; i < bytes; i++)
        out[i] = offset + i < pci->config_bytes ? pci->config[offset + i] : 0;
}

/* 0: no such queue, and virtqueue_create says -ENOENT. */
static u32 pci_queue_size_max(struct virtio_device *device, u32 index)
{
    volatile struct common_config *common = pci_of(device)->common;

    if (index >= common->queue_count)
        return 0;
    common->queue_select = index;
    return common->queue_size;
}

static void address_write(volatile u32 *halves, phys_addr address)
{
    halves[0] = (u32)address;
    halves[1] = address >> 32;
}

/* A queue whose doorbell would lie outside of its BAR is left off: it gives no answers. */
static void pci_queue_enable(struct virtio_device *device, u32 index, u32 size,
                             const struct virtqueue_addresses *addresses)
{
    struct pci_device *pci = pci_of(device);
    volatile struct common_config *common = pci->common;
    u64 offset;

    common->queue_select = index;
    common->queue_size = size;
    common->queue_msix_vector = 0;
    if (common->queue_msix_vector == NO_VECTOR) { /* it had no room for it (4.1.5.1.2.2) */
        log_error("virtio: queue %u has no interrupt", index);
        return;
    }
    address_write(common->queue_descriptors, addresses->descriptors);
    address_write(common->queue_available, addresses->available);
    address_write(common->queue_used, addresses->used);
    offset = (u64)common->queue_notify_offset * pci->notify_multiplier;
    if (offset + sizeof(u16) > pci->notify_bytes) {
        log_error("virtio: queue %u's doorbell lies outside of its BAR", index);
        return;
    }
    pci->queue_notify[index] = (volatile u16 *)(pci->notify + offset);
    common->queue_enable = 1;
}

static void pci_queue_notify(struct virtio_device *device, u32 index)
{
    if (pci_of(device)->queue_notify[index])
        *pci_of(device)->queue_notify[index] = index;
}

static const struct virtio_transport pci_transport = {
    .get_features = pci_get_features,
    .set_features = pci_set_features,
    .get_status = pci_get_status,
    .set_status = pci_set_status,
    .config_read = pci_config_read,
    .queue_size_max = pci_queue_size_max,
    .queue_enable = pci_queue_enable,
    .queue_notify = pci_queue_notify,
};

static void pci_interrupt(struct trap_frame *frame, u8 vector)
{
    virtio_device_interrupt(&device_of_vector[vector]->device);
}

/*
 * The address of a memory BAR, and its size by the all-ones probe, during which the device must not
 * answer at the address that is none (PCI 3.0, 6.2.5.1).
 */
static int bar_find(u32 function, u32 bar, phys_addr *address_out, u64 *bytes_out)
{
    u32 offset = CONFIG_BAR + 4 * bar;
    u32 low = pci_read(function, offset), high = 0, mask;
    u16 command = pci_read_u16(function, CONFIG_COMMAND);

    if (bar >= BARS || (low & BAR_IO) || ((low & BAR_64) && bar + 1 >= BARS))
        return -ENODEV;
    if (low & BAR_64)
        high = pci_read(function, offset + 4);
    pci_write_u16(function, CONFIG_COMMAND, command & ~COMMAND_DECODE);
    pci_write(function, offset, 0xffffffff);
    mask = pci_read(function, offset) & ~0xfu;
    pci_write(function, offset, low);
    pci_write_u16(function, CONFIG_COMMAND, command);
    if (mask == 0)
        return -ENODEV;
    *address_out = (u64)high << 32 | (low & ~0xfu);
    *bytes_out = (u64)(~mask) + 1;
    return *address_out ? 0 : -ENODEV;
}

/* Where `bytes` at `offset` of a BAR are mapped; NULL: they are not in it, or no memory. */
static volatile u8 *bar_map(struct pci_device *pci, u32 bar, u64 offset, u64 bytes)
{
    phys_addr address;

    if (bar >= BARS)
        return NULL;
    if (!pci->bars[bar]) {
        if (bar_find(pci->function, bar, &address, &pci->bar_bytes[bar]))
            return NULL;
        pci->bars[bar] = device_map(address, ALIGN_UP(pci->bar_bytes[bar], PAGE_SIZE));
    }
    if (!pci->bars[bar] || offset > pci->bar_bytes[bar] || bytes > pci->bar_bytes[bar] - offset)
        return NULL;
    return pci->bars[bar] + offset;
}

/* One vendor capability: cfg_type, bar, offset, length (4.1.4). The first of a kind counts. */
static void structure_find(struct pci_device *pci, u32 at)
{
    u8 kind = pci_read_u8(pci->function, at + 3);
    u8 bar = pci_read_u8(pci->function, at + 4);
    u32 offset = pci_read(pci->function, at + 8);
    u32 bytes = pci_read(pci->function, at + 12);

    if (kind == STRUCTURE_COMMON && !pci->common && bytes >= sizeof(struct common_config)) {
        pci->common = (volatile struct common_config *)bar_map(pci, bar, offset, bytes);
    } else if (kind == STRUCTURE_NOTIFY && !pci->notify) {
        pci->notify = bar_map(pci, bar, offset, bytes);
        pci->notify_bytes = bytes;
        pci->notify_multiplier = pci_read(pci->function, at + 16);
    } else if (kind == STRUCTURE_DEVICE && !pci->config) {
        pci->config = bar_map(pci, bar, offset, bytes);
        pci->config_bytes = pci->config ? bytes : 0;
    }
}

/*
 * Entry 0 of the device's table is our one vector. All are masked while it is written, for a
 * message of half an entry goes anywhere.
 */
static int msix_enable(struct pci_device *pci, u32 at)
{
    u32 table = pci_read(pci->function, at + 4);
    u16 control = pci_read_u16(pci->function, at + 2);
    volatile struct msix_entry *entry;
    u64 address;
    u32 data;
    u8 vector;
    int error;

    entry = (volatile struct msix_entry *)bar_map(pci, table & 7, table & ~7u, sizeof(*entry));
    if (!entry)
        return -ENODEV;
    error = vector_alloc("PCI-MSI virtio-pci", pci_interrupt, &vector);
    if (error)
        return error;
    device_of_vector[vector] = pci;
    irq_message(VIRTIO_INTERRUPT_CPU, vector, &address, &data);
    pci_write_u16(pci->function, at + 2, control | MSIX_ENABLE | MSIX_MASK_ALL);
    entry->address_low = (u32)address;
    entry->address_high = address >> 32;
    entry->data = data;
    entry->control = 0;
    pci_write_u16(pci->function, at + 2, (control | MSIX_ENABLE) & ~MSIX_MASK_ALL);
    return 0;
}

/* Walks the list of capabilities; a loop in it ends by the count. */
static int capabilities_read(struct pci_device *pci)
{
    u32 at = pci_read_u8(pci->function, CONFIG_CAPABILITIES) & 0xfc;
    u32 msix = 0;

    for (unsigned i = 0; at && i < CAPABILITIES_MAX; i++) {
        u8 id = pci_read_u8(pci->function, at);

        if (id == CAPABILITY_VENDOR)
            structure_find(pci, at);
        else if (id == CAPABILITY_MSIX)
            msix = at;
        at = pci_read_u8(pci->function, at + 1) & 0xfc;
    }
    if (!pci->common || !pci->notify || !msix)
        return -ENODEV;
    return msix_enable(pci, msix);
}

/* A transitional device's kind is its subsystem's number (virtio 1.2, 4.1.2.1). */
void virtio_pci_found(u32 function, u16 device_id)
{
    struct pci_device *pci = kmalloc(sizeof(*pci), ALLOC_CLEARED);
    u16 command = pci_read_u16(function, CONFIG_COMMAND);
    int error;

    if (!pci) {
        log_error("virtio: no memory for PCI function %x", function);
        return;
    }
    pci->function = function;
    pci->device.transport = &pci_transport;
    pci->device.kind = device_id >= DEVICE_MODERN_FIRST ? device_id - DEVICE_MODERN_FIRST
                                                        : pci_read_u16(function, CONFIG_SUBSYSTEM);
    pci_write_u16(function, CONFIG_COMMAND,
                  command | COMMAND_MEMORY | COMMAND_MASTER | COMMAND_NO_INTX);
    error = capabilities_read(pci);
    if (error) {
        log_error("virtio: PCI function %x cannot be used: error %d", function, -error);
        kfree(pci);
        return;
    }
    pci->common->config_msix_vector = NO_VECTOR;
    virtio_device_register(&pci->device);
}
