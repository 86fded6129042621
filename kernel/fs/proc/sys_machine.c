/*
 * /sys/devices/system: CPUs, the one node, and memory in blocks, as lscpu, lsmem, numactl and the C
 * libraries read them.
 *
 *     cpu/      online, present, ...; cpuN/topology/: one socket, a core for each CPU;
 *               cpuN/cache/ (sys_caches.c)
 *     node/     node0/: all CPUs and all memory
 *     memory/   memoryN/: 128 MiB of physical addresses, if any of them is memory
 *
 * A directory's object is the number of a CPU or of a block; there is nothing to count. CPUs are
 * named by how many the machine has, whether they run yet or not.
 */
#include <pith/mem.h>

#include "sys_machine.h"

#define BLOCK_BYTES (128ul << 20)

static u32 number_of(void *object)
{
    return (u32)(u64)object;
}

u64 sys_all_cpus(void)
{
    return cpu_count == CPUS_MAX ? U64_MAX : BIT(cpu_count) - 1;
}

int sys_number_parse(const char *name, u32 bytes, const char *prefix, u64 limit, u64 *number_out)
{
    u32 at = strlen(prefix);
    u64 number = 0;

    if (bytes <= at || bytes > at + 6 || memcmp(name, prefix, at) != 0 ||
        (name[at] == '0' && bytes > at + 1))
        return -ENOENT;
    for (; at < bytes; at++) {
        if (name[at] < '0' || name[at] > '9')
            return -ENOENT;
        number = number * 10 + (u64)(name[at] - '0');
    }
    *number_out = number;
    return number < limit ? 0 : -ENOENT;
}

/* ---- Texts that several directories have ---- */

static int show_zero(struct text_sink *sink, void *object)
{
    text_print(sink, "0\n");
    return 0;
}

static int show_one(struct text_sink *sink, void *object)
{
    text_print(sink, "1\n");
    return 0;
}

static int show_empty(struct text_sink *sink, void *object)
{
    text_print(sink, "\n");
    return 0;
}

void sys_print_map(struct text_sink *sink, u64 set)
{
    if (cpu_count > 32)
        text_print(sink, "%0*lx,%08lx\n", (int)DIV_ROUND_UP(cpu_count - 32, 4u), set >> 32,
                   set & U32_MAX);
    else
        text_print(sink, "%0*lx\n", (int)DIV_ROUND_UP(cpu_count, 4u), set);
}

static int show_all(struct text_sink *sink, void *object)
{
    text_cpu_list(sink, sys_all_cpus());
    return 0;
}

static int show_all_map(struct text_sink *sink, void *object)
{
    sys_print_map(sink, sys_all_cpus());
    return 0;
}

/* ---- cpu ---- */

static int show_online(struct text_sink *sink, void *object)
{
    text_cpu_list(sink, READ_ONCE(cpus_online));
    return 0;
}

static int show_offline(struct text_sink *sink, void *object)
{
    text_cpu_list(sink, sys_all_cpus() & ~READ_ONCE(cpus_online));
    return 0;
}

static int show_kernel_max(struct text_sink *sink, void *object)
{
    text_print(sink, "%u\n", CPUS_MAX - 1);
    return 0;
}

static int show_number(struct text_sink *sink, void *object)
{
    text_print(sink, "%u\n", number_of(object));
    return 0;
}

static int show_itself(struct text_sink *sink, void *object)
{
    text_cpu_list(sink, BIT(number_of(object)));
    return 0;
}

static int show_itself_map(struct text_sink *sink, void *object)
{
    sys_print_map(sink, BIT(number_of(object)));
    return 0;
}

static const struct proc_entry topology_entries[] = {
    FILE("core_id", show_number),
    FILE("physical_package_id", show_zero),
    FILE("die_id", show_zero),
    FILE("core_cpus", show_itself_map),
    FILE("core_cpus_list", show_itself),
    FILE("thread_siblings", show_itself_map),
    FILE("thread_siblings_list", show_itself),
    FILE("core_siblings", show_all_map),
    FILE("core_siblings_list", show_all),
    FILE("package_cpus", show_all_map),
    FILE("package_cpus_list", show_all),
    FILE("die_cpus", show_all_map),
    FILE("die_cpus_list", show_all),
};

static const struct proc_directory topology_directory = {
    .entries = topology_entries,
    .count = ARRAY_SIZE(topology_entries),
};

static const struct proc_entry cpu_entries[] = {
    FOLDER("topology", &topology_directory),
    FOLDER("cache", &sys_caches_directory),
};

static const struct proc_directory cpu_directory = {
    .entries = cpu_entries,
    .count = ARRAY_SIZE(cpu_entries),
};

static const struct proc_entry cpu_entry = FOLDER(NULL, &cpu_directory);

static int cpu_lookup(void *object, const char *name, u32 bytes,
                      const struct proc_entry **entry_out, void **object_out, u64 *key_out)
{
    *entry_out = &cpu_entry;
    if (sys_number_parse(name, bytes, "cpu", cpu_count, key_out))
        return -ENOENT;
    *object_out = (void *)*key_out;
    return 0;
}

static bool cpu_next(void *object, u64 *key, char *name, size_t size, u32 *type_out)
{
    format_text(name, size, "cpu%lu", *key);
    *type_out = MODE_TO_DT(S_IFDIR);
    return *key < cpu_count;
}

static const struct proc_entry cpus_entries[] = {
    FILE("online", show_online), FILE("offline", show_offline), FILE("possible", show_all),
    FILE("present", show_all),   FILE("isolated", show_empty),  FILE("kernel_max", show_kernel_max),
};

static const struct proc_directory cpus_directory = {
    .entries = cpus_entries,
    .count = ARRAY_SIZE(cpus_entries),
    .lookup = cpu_lookup,
    .next = cpu_next,
};

/* ---- node ---- */

static int show_distance(struct text_sink *sink, void *object)
{
    text_print(sink, "10\n");
    return 0;
}

static int show_node_meminfo(struct text_sink *sink, void *object)
{
    u64 total = frames_total_count(), free = frames_free_count();
    const struct {
        const char *name;
        u64 pages;
    } lines[] = {
        {"MemTotal:", total},
        {"MemFree:", free},
        {"MemUsed:", total - free},
        {"FilePages:", frames_count_of(FRAME_CACHE)},
        {"AnonPages:", frames_count_of(FRAME_ANONYMOUS)},
        {"PageTables:", frames_count_of(FRAME_TABLE)},
        {"Slab:", frames_count_of(FRAME_SLAB)},
    };

    for (size_t i = 0; i < ARRAY_SIZE(lines); i++)
        text_print(sink, "Node 0 %-15s %8lu kB\n", lines[i].name,
                   lines[i].pages * (PAGE_SIZE / 1024));
    return 0;
}

static const struct proc_entry node_entries[] = {
    FILE("cpulist", show_all),
    FILE("cpumap", show_all_map),
    FILE("distance", show_distance),
    FILE("meminfo", show_node_meminfo),
};

static const struct proc_directory node_directory = {
    .entries = node_entries,
    .count = ARRAY_SIZE(node_entries),
};

static const struct proc_entry nodes_entries[] = {
    FILE("online", show_zero),
    FILE("possible", show_zero),
    FILE("has_cpu", show_zero),
    FILE("has_memory", show_zero),
    FILE("has_normal_memory", show_zero),
    FOLDER("node0", &node_directory),
};

static const struct proc_directory nodes_directory = {
    .entries = nodes_entries,
    .count = ARRAY_SIZE(nodes_entries),
};

/* ---- memory ---- */

static u64 blocks_end(void)
{
    u64 end = 0;

    for (u32 i = 0; i < boot_info.usable_count; i++)
        end = MAX(end, boot_info.usable[i].start + boot_info.usable[i].bytes);
    return DIV_ROUND_UP(end, BLOCK_BYTES);
}

static bool block_is_memory(u64 block)
{
    u64 start = block * BLOCK_BYTES;

    for (u32 i = 0; i < boot_info.usable_count; i++)
        if (boot_info.usable[i].start < start + BLOCK_BYTES &&
            boot_info.usable[i].start + boot_info.usable[i].bytes > start)
            return true;
    return false;
}

static int show_block_bytes(struct text_sink *sink, void *object)
{
    text_print(sink, "%lx\n", BLOCK_BYTES);
    return 0;
}

static int show_index(struct text_sink *sink, void *object)
{
    text_print(sink, "%08x\n", number_of(object));
    return 0;
}

static int show_state(struct text_sink *sink, void *object)
{
    text_print(sink, "online\n");
    return 0;
}

static const struct proc_entry block_entries[] = {
    FILE("online", show_one),     FILE("phys_device", show_zero), FILE("phys_index", show_index),
    FILE("removable", show_zero), FILE("state", show_state),
};

static const struct proc_directory block_directory = {
    .entries = block_entries,
    .count = ARRAY_SIZE(block_entries),
};

static const struct proc_entry block_entry = FOLDER(NULL, &block_directory);

static int block_lookup(void *object, const char *name, u32 bytes,
                        const struct proc_entry **entry_out, void **object_out, u64 *key_out)
{
    *entry_out = &block_entry;
    if (sys_number_parse(name, bytes, "memory", blocks_end(), key_out) ||
        !block_is_memory(*key_out))
        return -ENOENT;
    *object_out = (void *)*key_out;
    return 0;
}

static bool block_next(void *object, u64 *key, char *name, size_t size, u32 *type_out)
{
    u64 end = blocks_end();

    while (*key < end && !block_is_memory(*key))
        (*key)++;
    format_text(name, size, "memory%lu", *key);
    *type_out = MODE_TO_DT(S_IFDIR);
    return *key < end;
}

static const struct proc_entry memory_entries[] = {
    FILE("block_size_bytes", show_block_bytes),
};

static const struct proc_directory memory_directory = {
    .entries = memory_entries,
    .count = ARRAY_SIZE(memory_entries),
    .lookup = block_lookup,
    .next = block_next,
};

static const struct proc_entry machine_entries[] = {
    FOLDER("cpu", &cpus_directory),
    FOLDER("node", &nodes_directory),
    FOLDER("memory", &memory_directory),
};

void sys_machine_init(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(machine_entries); i++)
        if (sys_register_entry("devices/system", &machine_entries[i]))
            panic("no memory for the names in /sys");
}
