/*
 * Virtio over memory-mapped registers (virtio 1.2, 4.2), as QEMU's microvm has it.
 *
 * Devices sit in slots of 0x200 bytes, eight to a page. Where the slots are is said by words on the
 * kernel's command line (`virtio_mmio.device=512@0xfeb00000:5`, written by QEMU with acpi=off) or,
 * with ACPI, only by the DSDT's byte code; there we look into the 24 places where microvm puts
 * them, whose interrupt lines begin at the second I/O APIC's first (24), or at 16 where there is
 * none. An empty slot has a magic value and device id 0.
 *
 * Its interrupt is a level: it stays raised until what it said was acknowledged, and that is done
 * before the queues are looked at, so that what comes meanwhile raises it again.
 *
 * Locking: none: registers that select (a queue, half of the features) are used at boot only;
 * notify and the interrupt's two are single accesses.
 */
#include <pith/virtio.h>

#include "virtio.h"

#define SLOT_BYTES        0x200
#define MICROVM_BASE      0xfeb00000ul
#define MICROVM_SLOTS     24
#define MICROVM_LINE      24
#define MICROVM_SLOTS_OLD 8
#define MICROVM_LINE_OLD  16
#define MAGIC_VALUE       0x74726976 /* "virt" */
#define VERSION_MODERN    2

enum mmio_register {
    REGISTER_MAGIC = 0x000,
    REGISTER_VERSION = 0x004,
    REGISTER_DEVICE_ID = 0x008,
    REGISTER_DEVICE_FEATURES = 0x010,
    REGISTER_DEVICE_FEATURES_SELECT = 0x014,
    REGISTER_DRIVER_FEATURES = 0x020,
    REGISTER_DRIVER_FEATURES_SELECT = 0x024,
    REGISTER_QUEUE_SELECT = 0x030,
    REGISTER_QUEUE_SIZE_MAX = 0x034,
    REGISTER_QUEUE_SIZE = 0x038,
    REGISTER_QUEUE_READY = 0x044,
    REGISTER_QUEUE_NOTIFY = 0x050,
    REGISTER_INTERRUPT_STATUS = 0x060,
    REGISTER_INTERRUPT_ACKNOWLEDGE = 0x064,
    REGISTER_STATUS = 0x070,
    REGISTER_QUEUE_DESCRIPTORS = 0x080,
    REGISTER_QUEUE_AVAILABLE = 0x090,
    REGISTER_QUEUE_USED = 0x0a0,
    REGISTER_CONFIG = 0x100,
};

struct mmio_device {
    struct virtio_device device;
    volatile u8 *registers; /* [const] */
};

/* Whose interrupt a vector is. [const] after boot */
static struct mmio_device *device_of_vector[VECTORS];

static u32 register_read(struct virtio_device *device, u32 offset)
{
    struct mmio_device *mmio = container_of(device, struct mmio_device, device);

    return *(volatile u32 *)(mmio->registers + offset);
}

static void register_write(struct virtio_device *device, u32 offset, u32 value)
{
    struct mmio_device *mmio = container_of(device, struct mmio_device, device);

    *(volatile u32 *)(mmio->registers + offset) = value;
}

static u64 mmio_get_features(struct virtio_device *device)
{
    u64 features;

    register_write(device, REGISTER_DEVICE_FEATURES_SELECT, 1);
    features = (u64)register_read(device, REGISTER_DEVICE_FEATURES) << 32;
    register_write(device, REGISTER_DEVICE_FEATURES_SELECT, 0);
    return features | register_read(device, REGISTER_DEVICE_FEATURES);
}

static void mmio_set_features(struct virtio_device *device, u64 features)
{
    register_write(device, REGISTER_DRIVER_FEATURES_SELECT, 1);
    register_write(device, REGISTER_DRIVER_FEATURES, features >> 32);
    register_write(device, REGISTER_DRIVER_FEATURES_SELECT, 0);
    register_write(device, REGISTER_DRIVER_FEATURES, features);
}

static u32 mmio_get_status(struct virtio_device *device)
{
    return register_read(device, REGISTER_STATUS);
}

static void mmio_set_status(struct virtio_device *device, u32 status)
{
    register_write(device, REGISTER_STATUS, status);
}

static void mmio_config_read(struct virtio_device *device, u32 offset, void *to, u32 bytes)
{
    struct mmio_device *mmio = container_of(device, struct mmio_device, device);
    u8 *out = to;

    for (u32 i = 0; i < bytes; i++)
        out[i] = mmio->registers[REGISTER_CONFIG + offset + i];
}

static u32 mmio_queue_size_max(struct virtio_device *device, u32 index)
{
    register_write(device, REGISTER_QUEUE_SELECT, index);
    return register_read(device, REGISTER_QUEUE_SIZE_MAX);
}

static void write_address(struct virtio_device *device, u32 offset, phys_addr address)
{
    register_write(device, offset, address);
    register_write(device, offset + 4, address >> 32);
}

static void mmio_queue_enable(struct virtio_device *device, u32 index, u32 size,
                              const struct virtqueue_addresses *addresses)
{
    register_write(device, REGISTER_QUEUE_SELECT, index);
    register_write(device, REGISTER_QUEUE_SIZE, size);
    write_address(device, REGISTER_QUEUE_DESCRIPTORS, addresses->descriptors);
    write_address(device, REGISTER_QUEUE_AVAILABLE, addresses->available);
    write_address(device, REGISTER_QUEUE_USED, addresses->used);
    register_write(device, REGISTER_QUEUE_READY, 1);
}

static void mmio_queue_notify(struct virtio_device *device, u32 index)
{
    register_write(device, REGISTER_QUEUE_NOTIFY, index);
}

static const struct virtio_transport mmio_transport = {
    .get_features = mmio_get_features,
    .set_features = mmio_set_features,
    .get_status = mmio_get_status,
    .set_status = mmio_set_status,
    .config_read = mmio_config_read,
    .queue_size_max = mmio_queue_size_max,
    .queue_enable = mmio_queue_enable,
    .queue_notify = mmio_queue_notify,
};

static void mmio_interrupt(struct trap_frame *frame, u8 vector)
{
    struct virtio_device *device = &device_of_vector[vector]->device;

    /* Acknowledged first: what the device does from here on raises the line again. */
    register_write(device, REGISTER_INTERRUPT_ACKNOWLEDGE,
                   register_read(device, REGISTER_INTERRUPT_STATUS));
    virtio_device_interrupt(device);
}

static int slot_route(struct mmio_device *mmio, u32 line)
{
    u8 vector;
    int error = vector_alloc("IO-APIC virtio-mmio", mmio_interrupt, &vector);

    if (error)
        return error;
    device_of_vector[vector] = mmio;
    return irq_line_route(line, vector, IRQ_LINE_LEVEL);
}

/* Looks into a slot. `registers` stay mapped: one page serves eight slots. */
static void slot_probe(volatile u8 *registers, u32 line)
{
    struct mmio_device *mmio;
    int error;

    if (*(volatile u32 *)(registers + REGISTER_MAGIC) != MAGIC_VALUE ||
        *(volatile u32 *)(registers + REGISTER_VERSION) != VERSION_MODERN ||
        *(volatile u32 *)(registers + REGISTER_DEVICE_ID) == 0)
        return;
    mmio = kmalloc(sizeof(*mmio), ALLOC_CLEARED);
    if (!mmio) {
        log_error("virtio: no memory for the device on line %u", line);
        return;
    }
    mmio->registers = registers;
    mmio->device.transport = &mmio_transport;
    mmio->device.kind = register_read(&mmio->device, REGISTER_DEVICE_ID);
    error = slot_route(mmio, line);
    if (error)
        log_error("virtio: the device on line %u has no interrupt: error %d", line, -error);
    else
        virtio_device_register(&mmio->device);
}

/* ---- Slots that the command line names ---- */

static struct named_slot {
    phys_addr base;
    u32 line;
} named_slots[MICROVM_SLOTS];
static unsigned named_slot_count;

/* SIZE@BASE:LINE, as Linux's virtio_mmio.device= has it. */
static int slot_set(const char *value)
{
    char text[64], *base, *line;
    u64 base_number, line_number;

    if (!value || string_copy(text, value, sizeof(text)) < 0)
        return -EINVAL;
    base = strchr(text, '@');
    line = base ? strchr(base, ':') : NULL;
    if (!line || named_slot_count == ARRAY_SIZE(named_slots))
        return -EINVAL;
    *base++ = *line++ = '\0';
    if (strchr(line, ':'))
        *strchr(line, ':') = '\0';
    if (string_to_u64(base, &base_number) || string_to_u64(line, &line_number))
        return -EINVAL;
    named_slots[named_slot_count++] = (struct named_slot){base_number, (u32)line_number};
    return 0;
}

PARAMETER(virtio_mmio_device, .name = "virtio_mmio.device", .values = "SIZE@BASE:LINE",
          .effect = "a virtio device's registers and interrupt line", .set = slot_set);

static void named_slots_probe(void)
{
    for (unsigned i = 0; i < named_slot_count; i++) {
        u64 offset = named_slots[i].base & ~PAGE_MASK;
        volatile u8 *page = device_map(named_slots[i].base & PAGE_MASK, PAGE_SIZE);

        if (page && offset <= PAGE_SIZE - SLOT_BYTES)
            slot_probe(page + offset, named_slots[i].line);
    }
}

void virtio_mmio_init(void)
{
    bool two_apics = irq_line_exists(MICROVM_LINE);
    u32 first_line = two_apics ? MICROVM_LINE : MICROVM_LINE_OLD;
    u32 slots = two_apics ? MICROVM_SLOTS : MICROVM_SLOTS_OLD;
    volatile u8 *registers;

    if (named_slot_count) {
        named_slots_probe();
        return;
    }
    registers = device_map(MICROVM_BASE, ALIGN_UP(slots * SLOT_BYTES, (u32)PAGE_SIZE));
    if (!registers) {
        log_error("virtio: no memory to map the devices' registers");
        return;
    }
    /* QEMU fills the slots from the top. */
    for (u32 slot = slots; slot-- > 0;)
        slot_probe(registers + slot * SLOT_BYTES, first_line + slot);
}
