/* Instances of file systems, as mount.c sees them. */
#pragma once

#include <pith/inode.h>
#include <pith/proc_fs.h>

/* A mount of it came into being; goes, with one reference. The second sleeps. */
void file_system_mounted(struct file_system *file_system);
void file_system_unmount(struct file_system *file_system);
/* -EINVAL: the type has no such option. */
int file_system_check_options(const struct file_system_type *type, const char *options) must_check;
/* /proc/filesystems */
void file_system_types_print(struct text_sink *sink);
