/*
 * /sys/devices/system/cpu/cpuN/cache: a directory indexM for each cache of a CPU, as lscpu -C and
 * getconf read them.
 *
 * The CPU that runs the reader is asked (CPUID), and all are taken to be alike: a cache that
 * several share belongs to neighbours in the order of their numbers. A directory's object is the
 * number of the cache, times CPUS_MAX, and that of the CPU; there is nothing to count.
 */
#include "sys_machine.h"

#define CACHES_MOST 8

static u32 cpu_of(void *object)
{
    return (u32)((u64)object % CPUS_MAX);
}

/* What a file's object names; it was there when the file was found. */
static struct cpu_cache cache_of(void *object)
{
    struct cpu_cache cache = {};

    (void)cpu_cache_describe((u32)((u64)object / CPUS_MAX), &cache);
    return cache;
}

/* A file with one number, of the structure's field of that name. */
#define SHOW_NUMBER(field)                                        \
    static int show_##field(struct text_sink *sink, void *object) \
    {                                                             \
        text_print(sink, "%u\n", cache_of(object).field);         \
        return 0;                                                 \
    }
SHOW_NUMBER(level)
SHOW_NUMBER(line_bytes)
SHOW_NUMBER(partitions)
SHOW_NUMBER(ways)
SHOW_NUMBER(sets)

static int show_type(struct text_sink *sink, void *object)
{
    char type = cache_of(object).type;

    text_print(sink, "%s\n", type == 'D' ? "Data" : type == 'I' ? "Instruction" : "Unified");
    return 0;
}

static int show_size(struct text_sink *sink, void *object)
{
    struct cpu_cache cache = cache_of(object);

    text_print(sink, "%luK\n",
               (u64)cache.line_bytes * cache.partitions * cache.ways * cache.sets / 1024);
    return 0;
}

static u64 sharers_of(void *object)
{
    u32 sharers = MAX(cache_of(object).sharers, 1u);

    if (sharers >= CPUS_MAX)
        return sys_all_cpus();
    return sys_all_cpus() & ((BIT(sharers) - 1) << (cpu_of(object) & ~(sharers - 1)));
}

static int show_sharers(struct text_sink *sink, void *object)
{
    text_cpu_list(sink, sharers_of(object));
    return 0;
}

static int show_sharers_map(struct text_sink *sink, void *object)
{
    sys_print_map(sink, sharers_of(object));
    return 0;
}

static const struct proc_entry cache_entries[] = {
    FILE("level", show_level),
    FILE("type", show_type),
    FILE("size", show_size),
    FILE("coherency_line_size", show_line_bytes),
    FILE("physical_line_partition", show_partitions),
    FILE("ways_of_associativity", show_ways),
    FILE("number_of_sets", show_sets),
    FILE("shared_cpu_list", show_sharers),
    FILE("shared_cpu_map", show_sharers_map),
};

static const struct proc_directory cache_directory = {
    .entries = cache_entries,
    .count = ARRAY_SIZE(cache_entries),
};

static const struct proc_entry cache_entry = FOLDER(NULL, &cache_directory);

static bool cache_exists(u64 number)
{
    struct cpu_cache cache;

    return number < CACHES_MOST && cpu_cache_describe((u32)number, &cache);
}

static int cache_lookup(void *object, const char *name, u32 bytes,
                        const struct proc_entry **entry_out, void **object_out, u64 *key_out)
{
    *entry_out = &cache_entry;
    if (sys_number_parse(name, bytes, "index", CACHES_MOST, key_out) || !cache_exists(*key_out))
        return -ENOENT;
    *object_out = (void *)(*key_out * CPUS_MAX + cpu_of(object));
    return 0;
}

static bool cache_next(void *object, u64 *key, char *name, size_t size, u32 *type_out)
{
    format_text(name, size, "index%lu", *key);
    *type_out = MODE_TO_DT(S_IFDIR);
    return cache_exists(*key);
}

const struct proc_directory sys_caches_directory = {
    .lookup = cache_lookup,
    .next = cache_next,
};
