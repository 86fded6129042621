/*
 * /sys: what the C libraries and lscpu ask about CPUs, in a tree of the same kind as /proc's.
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

void text_cpu_list(struct text_sink *sink, u64 set)
{
    const char *comma = "";

    for (u32 first = 0; first < CPUS_MAX; first++) {
        u32 last = first;

        if (!(set & BIT(first)))
            continue;
        while (last + 1 < CPUS_MAX && (set & BIT(last + 1)))
            last++;
        text_print(sink, first == last ? "%s%u" : "%s%u-%u", comma, first, last);
        comma = ",";
        first = last;
    }
    text_print(sink, "\n");
}

static int show_online(struct text_sink *sink, void *argument)
{
    text_cpu_list(sink, READ_ONCE(cpus_online));
    return 0;
}

static int show_present(struct text_sink *sink, void *argument)
{
    text_cpu_list(sink, cpu_count == CPUS_MAX ? U64_MAX : BIT(cpu_count) - 1);
    return 0;
}

static int show_kernel_max(struct text_sink *sink, void *argument)
{
    text_print(sink, "%u\n", CPUS_MAX - 1);
    return 0;
}

static const struct proc_entry entries[] = {
    {.name = "online", .mode = S_IFREG | 0444, .show = show_online},
    {.name = "possible", .mode = S_IFREG | 0444, .show = show_present},
    {.name = "present", .mode = S_IFREG | 0444, .show = show_present},
    {.name = "kernel_max", .mode = S_IFREG | 0444, .show = show_kernel_max},
};

int sys_register_entry(const char *folder, const struct proc_entry *entry)
{
    return proc_folder_register(&sys_root_folder, folder, entry, NULL);
}

void sys_fs_init(void)
{
    instance = proc_tree_create(&sys_type, SYSFS_MAGIC, &sys_root_folder);
    for (size_t i = 0; i < ARRAY_SIZE(entries); i++)
        if (proc_folder_register(&sys_root_folder, "devices/system/cpu", &entries[i], NULL))
            panic("no memory for the names in /sys");
    file_system_register(&sys_type);
}
