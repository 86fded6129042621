/* Devices, between their files: the table by number (device.c) and the names in /dev (devfs.c). */
#pragma once

#include <pith/fs.h>

/* A name in /dev, with the directories before it. -EEXIST, -ENOMEM, -ENOSPC. */
int devfs_add(const char *name, u32 mode, u64 rdev) must_check;
int devfs_add_link(const char *name, const char *target) must_check;
void devfs_init(void);
/* Puts the names of all that registered before into /dev. */
void devices_publish(void);
void memory_devices_init(void);
/* kmsg.c */
extern const struct file_operations kmsg_operations;
void kmsg_init(void);
struct text_sink;
int devices_show(struct text_sink *sink, void *argument); /* /proc/devices */
