/* Between the files of /sys/devices/system: texts and numbers that several of them have. */
#pragma once

#include "procfs.h"

#define FILE(text, function)                                       \
    {                                                              \
        .name = (text), .mode = S_IFREG | 0444, .show = (function) \
    }
#define FOLDER(text, content)                                          \
    {                                                                  \
        .name = (text), .mode = S_IFDIR | 0755, .directory = (content) \
    }

/* All CPUs that the machine has. */
u64 sys_all_cpus(void);
/* The number behind `prefix`, if it is less than `limit`. -ENOENT. */
int sys_number_parse(const char *name, u32 bytes, const char *prefix, u64 limit, u64 *number_out)
    must_check;
/* A set in words of 32, the highest first, as many digits as there are CPUs for. */
void sys_print_map(struct text_sink *sink, u64 set);

/* sys_caches.c: cpuN/cache; the object is the number of the CPU. */
extern const struct proc_directory sys_caches_directory;
