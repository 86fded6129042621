/*
 * Character devices: from a number to the operations of who registered for it.
 *
 * Opening a device's inode looks its number up, gives the file the operations found and goes on
 * with their `open`. Registrations never end, so finding one needs the lock only to walk the list,
 * and who found one keeps it without.
 *
 * There are no block devices, and a socket's name is connected to, not opened: ENXIO for both.
 */
#include "device.h"

#include <pith/proc_fs.h>

#include "inode_internal.h"

#define DEVICE_NAME_BYTES   64
#define DEVICE_MAJORS_SHOWN 512

/* All [const] but the link. */
struct character_device {
    struct list link;        /* guarded by devices.lock */
    u32 major, minor, count; /* minor .. minor + count - 1 */
    const char *name;        /* in /dev; NULL: none */
    const struct file_operations *operations;
    u32 mode; /* of the name: permissions */
};

static struct {
    struct spinlock lock; /* LOCK_LEAF */
    struct list list;     /* guarded_by(&lock) */
    bool published;       /* /dev is there: new ones appear at once */
} devices = {.lock = SPINLOCK_INIT(LOCK_LEAF), .list = LIST_INIT(devices.list)};

static const struct character_device *device_find(u32 major, u32 minor)
{
    const struct character_device *device, *found = NULL;

    spin_lock(&devices.lock);
    list_for_each (device, &devices.list, link) {
        if (device->major == major && minor - device->minor < device->count)
            found = device;
    }
    spin_unlock(&devices.lock);
    return found;
}

static int device_publish(const struct character_device *device)
{
    char name[DEVICE_NAME_BYTES];
    int error = 0;

    if (!device->name)
        return 0;
    if (device->count == 1)
        return devfs_add(device->name, S_IFCHR | device->mode,
                         DEVICE_NUMBER(device->major, device->minor));
    for (u32 i = 0; i < device->count && !error; i++) {
        format_text(name, sizeof(name), "%s%u", device->name, device->minor + i);
        error = devfs_add(name, S_IFCHR | device->mode,
                          DEVICE_NUMBER(device->major, device->minor + i));
    }
    return error;
}

int character_device_register(u32 major, u32 minor, u32 count, const char *name,
                              const struct file_operations *operations, u32 mode)
{
    struct character_device *device;

    if (device_find(major, minor) || device_find(major, minor + count - 1))
        return -EEXIST;
    device = kmalloc(sizeof(*device), 0);
    if (!device)
        return -ENOMEM;
    *device = (struct character_device){.major = major,
                                        .minor = minor,
                                        .count = count,
                                        .name = name,
                                        .operations = operations,
                                        .mode = mode};
    spin_lock(&devices.lock);
    list_push_back(&devices.list, &device->link);
    spin_unlock(&devices.lock);
    return devices.published ? device_publish(device) : 0;
}

/* Majors whose devices /proc/devices does not name one by one. */
static const struct {
    u32 major;
    const char *driver;
} drivers[] = {{1, "mem"}, {136, "pts"}, {240, "host"}};

static const char *driver_name(u32 major)
{
    for (size_t i = 0; i < ARRAY_SIZE(drivers); i++)
        if (drivers[i].major == major)
            return drivers[i].driver;
    return NULL;
}

static void major_show(struct text_sink *sink, u32 major)
{
    const char *driver = driver_name(major);
    struct character_device *device;

    /* At boot and by the console alone something is added, at the end; nothing ever goes. */
    list_for_each (device, &devices.list, link) {
        if (device->major != major)
            continue;
        text_print(sink, driver ? "%3u %s\n" : "%3u /dev/%s\n", major,
                   driver ? driver : device->name);
        if (driver)
            return;
    }
}

int devices_show(struct text_sink *sink, void *argument)
{
    text_print(sink, "Character devices:\n");
    for (u32 major = 0; major < DEVICE_MAJORS_SHOWN; major++)
        major_show(sink, major);
    text_print(sink, "\nBlock devices:\n");
    return 0;
}

void devices_publish(void)
{
    struct character_device *device;

    /* At boot, before anybody else runs. */
    list_for_each (device, &devices.list, link) {
        if (device_publish(device))
            log_error("no room for /dev/%s", device->name);
    }
    devices.published = true;
}

static int character_device_open(struct inode *inode, struct file *file)
{
    const struct character_device *device =
        device_find(DEVICE_MAJOR(inode->rdev), DEVICE_MINOR(inode->rdev));

    if (!device)
        return -ENXIO;
    file->operations = device->operations;
    return file->operations->open ? file->operations->open(inode, file) : 0;
}

static int no_device_open(struct inode *inode, struct file *file)
{
    return -ENXIO;
}

const struct file_operations character_device_operations = {.open = character_device_open};
const struct file_operations block_device_operations = {.open = no_device_open};
/* A name of a socket: one connects to it, but does not open it. */
const struct file_operations socket_node_operations = {.open = no_device_open};
