/*
 * /proc's files about the machine: stat, uptime, loadavg, cpuinfo, and the settings and limits that
 * Pith has in common with Linux (proc(5)).
 *
 * What never changes is a line in a table; what root may change is a setting of whom it concerns
 * (sched/, vm/, settings.c), registered here only because proc/ stands above them.
 *
 * Times are in CLOCK_TICK_NS, of which user mode counts 100 a second whatever the kernel does
 * (AT_CLKTCK).
 */
#include "proc_files.h"

static u64 ticks(u64 ns)
{
    return ns / CLOCK_TICK_NS;
}

static void print_cpu(struct text_sink *sink, const struct cpu_times *t)
{
    text_print(sink, " %lu %lu %lu %lu %lu 0 %lu 0 0 0\n", ticks(t->user_ns), ticks(t->nice_ns),
               ticks(t->system_ns), ticks(t->idle_ns), ticks(t->iowait_ns), ticks(t->deferred_ns));
}

/* CPUs one after the other: columns of a sum may be a moment apart. */
static void cpu_times_sum(struct cpu_times *sum)
{
    u32 cpu;

    *sum = (struct cpu_times){};
    cpu_for_each_online (cpu) {
        struct cpu_times times;

        cpu_times_of(cpu, &times);
        sum->user_ns += times.user_ns;
        sum->nice_ns += times.nice_ns;
        sum->system_ns += times.system_ns;
        sum->deferred_ns += times.deferred_ns;
        sum->idle_ns += times.idle_ns;
        sum->iowait_ns += times.iowait_ns;
    }
}

static int show_stat(struct text_sink *sink, void *argument)
{
    u64 booted_ns = clock_realtime_ns() - clock_monotonic_ns();
    struct cpu_times times;
    u32 cpu, running, blocked;

    cpu_times_sum(&times);
    text_print(sink, "cpu ");
    print_cpu(sink, &times);
    cpu_for_each_online (cpu) {
        cpu_times_of(cpu, &times);
        text_print(sink, "cpu%u", cpu);
        print_cpu(sink, &times);
    }
    threads_count_active(&running, &blocked);
    proc_print_intr(sink);
    text_print(sink, "ctxt %lu\nbtime %lu\nprocesses %lu\n", context_switches_total(),
               booted_ns / NS_PER_SECOND, processes_created());
    text_print(sink, "procs_running %u\nprocs_blocked %u\n", running, blocked);
    proc_print_softirq(sink);
    return 0;
}

/* Idle time is all CPUs', so it may be more than the time since the boot (proc(5)). */
static int show_uptime(struct text_sink *sink, void *argument)
{
    u64 up = clock_monotonic_ns() / (NS_PER_SECOND / 100);
    struct cpu_times times;
    u64 idle;

    cpu_times_sum(&times);
    idle = times.idle_ns / (NS_PER_SECOND / 100);
    text_print(sink, "%lu.%02lu %lu.%02lu\n", up / 100, up % 100, idle / 100, idle % 100);
    return 0;
}

static int show_loadavg(struct text_sink *sink, void *argument)
{
    u64 loads[3];
    u32 running, blocked;

    load_average(loads);
    threads_count_active(&running, &blocked);
    for (int i = 0; i < 3; i++) {
        u64 hundredths = (loads[i] * 100 + 1024) / 2048;

        text_print(sink, "%lu.%02lu ", hundredths / 100, hundredths % 100);
    }
    text_print(sink, "%u/%lu %d\n", running, threads_count(), number_last());
    return 0;
}

static void show_one_cpu(struct text_sink *sink, const struct cpu_description *cpu, u32 id)
{
    const char *flag;
    u32 position = 0;

    text_print(sink, "processor\t: %u\nvendor_id\t: %s\ncpu family\t: %u\nmodel\t\t: %u\n", id,
               cpu->vendor, cpu->family, cpu->model);
    text_print(sink, "model name\t: %s\nstepping\t: %u\n", cpu->name, cpu->stepping);
    text_print(sink, "cpu MHz\t\t: %lu.%03lu\n", tsc_hz / 1000000, tsc_hz / 1000 % 1000);
    if (cpu->cache_bytes)
        text_print(sink, "cache size\t: %u KB\n", cpu->cache_bytes / 1024);
    text_print(sink, "physical id\t: 0\nsiblings\t: %u\n", cpu_count);
    text_print(sink, "core id\t\t: %u\ncpu cores\t: %u\napicid\t\t: %u\n", id, cpu_count,
               cpus[id]->apic_id);
    text_print(sink, "initial apicid\t: %u\n", cpus[id]->apic_id);
    text_print(sink,
               "fpu\t\t: yes\nfpu_exception\t: yes\ncpuid level\t: %u\nwp\t\t: yes\nflags\t\t:",
               cpu->cpuid_level);
    while ((flag = cpu_flag_next(&position)))
        text_print(sink, " %s", flag);
    text_print(sink, "\nbugs\t\t:\nbogomips\t: %lu.%02lu\n", tsc_hz / 500000, tsc_hz / 5000 % 100);
    if (cpu->tlb_entries)
        text_print(sink, "TLB size\t: %u 4K pages\n", cpu->tlb_entries);
    text_print(sink, "clflush size\t: %u\ncache_alignment\t: %u\n", cpu->cache_line_bytes,
               cpu->cache_line_bytes);
    text_print(sink, "address sizes\t: %u bits physical, %u bits virtual\npower management:\n\n",
               cpu->physical_bits, cpu->virtual_bits);
}

static int show_cpuinfo(struct text_sink *sink, void *argument)
{
    struct cpu_description description;
    u32 cpu;

    cpu_describe(&description);
    cpu_for_each_online (cpu)
        show_one_cpu(sink, &description, cpu);
    return 0;
}

static int show_constant(struct text_sink *sink, void *argument)
{
    text_print(sink, "%s\n", (const char *)argument);
    return 0;
}

static int show_nothing(struct text_sink *sink, void *argument)
{
    return 0;
}

struct system_file {
    const char *name;
    int (*show)(struct text_sink *sink, void *argument);
    const char *constant;
};

static const struct system_file system_files[] = {
    {"stat", show_stat, NULL},
    {"uptime", show_uptime, NULL},
    {"loadavg", show_loadavg, NULL},
    {"cpuinfo", show_cpuinfo, NULL},
    /* There are neither block devices nor swap: lists without lines. */
    {"diskstats", show_nothing, NULL},
    {"partitions", show_nothing, NULL},
    {"swaps", show_constant, "Filename\t\t\t\tType\t\tSize\t\tUsed\t\tPriority"},
    {"sys/kernel/cap_last_cap", show_constant, "40"},
    {"sys/kernel/arch", show_constant, "x86_64"},
    {"sys/kernel/overflowuid", show_constant, "65534"},
    {"sys/kernel/overflowgid", show_constant, "65534"},
    {"sys/fs/overflowuid", show_constant, "65534"},
    {"sys/fs/overflowgid", show_constant, "65534"},
    {"sys/fs/suid_dumpable", show_constant, "0"},
    {"sys/fs/protected_fifos", show_constant, "0"},
    {"sys/fs/protected_regular", show_constant, "0"},
    {"sys/kernel/pty/max", show_constant, "1024"},
    {"sys/kernel/ngroups_max", show_constant, "65536"},
    {"sys/kernel/tainted", show_constant, "0"},
    {"sys/vm/max_map_count", show_constant, "65530"},
    {"sys/vm/mmap_min_addr", show_constant, "65536"},
    {"sys/fs/nr_open", show_constant, "1048576"},
    {"sys/fs/pipe-max-size", show_constant, "1048576"},
};

static const struct proc_setting layout_setting = {"randomize_va_space", &layout_randomness,
                                                   LAYOUT_FIXED, LAYOUT_RANDOM};
static const struct proc_setting memory_settings[] = {
    {"overcommit_memory", &overcommit.mode, OVERCOMMIT_GUESS, OVERCOMMIT_NEVER},
    {"overcommit_ratio", &overcommit.ratio, 0, S32_MAX},
    {"overcommit_kbytes", &overcommit.kbytes, 0, S64_MAX},
};

void proc_system_init(void)
{
    process_settings_show();
    proc_meminfo_init();
    proc_interrupts_init();
    if (proc_register_setting("sys/kernel", &layout_setting))
        log_warning("/proc/sys/kernel/%s could not be made", layout_setting.name);
    for (size_t i = 0; i < ARRAY_SIZE(memory_settings); i++)
        if (proc_register_setting("sys/vm", &memory_settings[i]))
            log_warning("/proc/sys/vm/%s could not be made", memory_settings[i].name);
    for (size_t i = 0; i < ARRAY_SIZE(system_files); i++)
        if (proc_register(system_files[i].name, 0444, system_files[i].show,
                          (void *)system_files[i].constant))
            log_warning("/proc/%s could not be made", system_files[i].name);
}
