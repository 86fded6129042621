/*
 * /proc/pith/lock_waits: which locks were waited for since the boot, by class (docs/locking.md):
 * how often, and how many nanoseconds in all. A class that nobody waited for is left out.
 */
#include <pith/spinlock.h>

#include "procfs.h"

static int show_lock_waits(struct text_sink *sink, void *argument)
{
    for (enum lock_class class = 0; class < LOCK_CLASS_COUNT; class ++) {
        struct lock_waits waits = lock_waits_of(class);

        if (waits.count)
            text_print(sink, "%s %lu %lu\n", lock_class_name(class), waits.count, waits.ns);
    }
    return 0;
}

static const struct proc_entry lock_waits = {
    .name = "lock_waits", .mode = S_IFREG | 0444, .show = show_lock_waits};

void proc_lock_waits_init(void)
{
    if (proc_register_entry("pith", &lock_waits, NULL))
        panic("no memory for the names in /proc");
}
