/*
 * /sys: what the C libraries and programs that list the machine's parts ask, in a tree of the same
 * kind as /proc's.
 *
 * It says what is so (sys_machine.c), and of kinds of devices that there are none: a program that
 * lists them finds an empty folder and goes on, where a missing one would be an error to it.
 */
#include "procfs.h"

#include "../dentry.h"

static struct proc_folder sys_root_folder = {.children = LIST_INIT(sys_root_folder.children)};
static struct file_system *instance; /* [const] after sys_fs_init */

static int sys_mount(const struct file_system_type *type, const struct mount_source *source,
                     struct file_system **file_system_out)
{
    file_system_get(instance);
    *file_system_out = instance;
    return 0;
}

static struct file_system_type sys_type = {
    .name = "sysfs",
    .flags = FILE_SYSTEM_NO_DEVICE,
    .mount = sys_mount,
};

/* Kinds of devices of which there is none: who lists them finds an empty folder, not an error. */
static const char *const empty_folders[] = {
    "block",     "dev/block",          "dev/char",      "class/block", "class/hwmon", "class/net",
    "class/dmi", "class/power_supply", "class/thermal", "class/tty",   "bus",         "fs",
    "module",
};

int sys_register_entry(const char *folder, const struct proc_entry *entry)
{
    return proc_folder_register(&sys_root_folder, folder, entry, NULL);
}

void sys_fs_init(void)
{
    instance = proc_tree_create(&sys_type, SYSFS_MAGIC, &sys_root_folder);
    for (size_t i = 0; i < ARRAY_SIZE(empty_folders); i++)
        if (proc_folder_make(&sys_root_folder, empty_folders[i]))
            panic("no memory for the names in /sys");
    sys_machine_init();
    file_system_register(&sys_type);
}
