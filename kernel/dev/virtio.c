/*
 * Virtio devices and their drivers: who is given which device.
 *
 * Transports register devices while the machine boots, folders above register drivers; either may
 * come first, so both registrations bind. A driver is offered each device of its kind; what it
 * gives back (-EBUSY: it has one; -ENODEV) is marked as failed and stays unused.
 *
 *     reset -> ACKNOWLEDGE -> DRIVER -> features -> FEATURES_OK? -> probe: queues -> DRIVER_OK
 *                                                        | no: the device is not ours
 *
 * Locking: both lists are only changed by the boot's single thread, so they need no lock; the
 * interrupt path reads only a device's queues, which are constant once it is ready.
 * Context: boot; virtio_device_interrupt in interrupts.
 */
#include <pith/virtio.h>

#include <pith/host_link.h>

#include "virtio.h"

#define DRIVERS_MAX 8
#define RESET_TRIES 1000000

static struct list devices = LIST_INIT(devices);
static const struct virtio_driver *drivers[DRIVERS_MAX];
static unsigned driver_count;

/* It is over when the device says so (2.4.2); one that never does is broken. */
static bool device_reset(struct virtio_device *device)
{
    device->transport->set_status(device, 0);
    for (unsigned tries = 0; tries < RESET_TRIES; tries++) {
        if (device->transport->get_status(device) == 0)
            return true;
        cpu_relax();
    }
    return false;
}

/* Steps 1 to 6 of virtio 1.2, 3.1.1; the driver's probe does 7 and 8. */
static int device_negotiate(struct virtio_device *device, const struct virtio_driver *driver)
{
    const struct virtio_transport *transport = device->transport;

    if (!device_reset(device))
        return -EIO;
    transport->set_status(device, STATUS_ACKNOWLEDGE);
    transport->set_status(device, STATUS_ACKNOWLEDGE | STATUS_DRIVER);
    device->features =
        transport->get_features(device) & (driver->features | VIRTIO_FEATURE_VERSION_1);
    if (!(device->features & VIRTIO_FEATURE_VERSION_1))
        return -ENODEV;
    transport->set_features(device, device->features);
    transport->set_status(device, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK);
    return transport->get_status(device) & STATUS_FEATURES_OK ? 0 : -ENODEV;
}

/* Nothing if the device has a driver, or is of another kind. */
static void device_bind(struct virtio_device *device, const struct virtio_driver *driver)
{
    int error;

    if (device->driver || device->kind != driver->kind)
        return;
    device->driver = driver;
    error = device_negotiate(device, driver);
    if (!error)
        error = driver->probe(device);
    if (!error)
        return;
    log_warning("virtio: %s gave up its device: error %d", driver->name, -error);
    /* No bit of the status may be taken back but by a reset (2.1.1). */
    device->transport->set_status(device, device->transport->get_status(device) | STATUS_FAILED);
    device->driver = NULL;
}

void virtio_device_register(struct virtio_device *device)
{
    list_push_back(&devices, &device->link);
    for (unsigned i = 0; i < driver_count; i++)
        device_bind(device, drivers[i]);
}

void virtio_driver_register(const struct virtio_driver *driver)
{
    struct virtio_device *device;

    assert(driver_count < DRIVERS_MAX);
    drivers[driver_count++] = driver;
    list_for_each (device, &devices, link)
        device_bind(device, driver);
}

u64 virtio_features(const struct virtio_device *device)
{
    return device->features;
}

void virtio_config_read(struct virtio_device *device, u32 offset, void *to, u32 bytes)
{
    device->transport->config_read(device, offset, to, bytes);
}

void virtio_device_ready(struct virtio_device *device)
{
    device->transport->set_status(device, STATUS_ACKNOWLEDGE | STATUS_DRIVER | STATUS_FEATURES_OK |
                                              STATUS_DRIVER_OK);
}

void virtio_device_interrupt(struct virtio_device *device)
{
    for (unsigned i = 0; i < VIRTIO_QUEUES_MAX; i++) {
        if (device->queues[i])
            virtqueue_interrupt(device->queues[i]);
    }
}

void dev_init(void)
{
    host_link_init();
    balloon_init();
    if (!pci_init())
        virtio_mmio_init();
}
