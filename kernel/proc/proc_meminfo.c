/*
 * /proc's files about the machine's memory: meminfo, vmstat, buddyinfo, zoneinfo (proc(5)).
 *
 * The lines are Linux's, in its order, as far as there is something to say: a counter that nobody
 * keeps has no line (Mapped and Dirty, for frames have no count of their mappings and a page's
 * dirtiness is its file's affair), and one that is 0 stands for what cannot happen here. All memory
 * is one zone of one node. There are no two lists of pages: those of processes stay until they are
 * given up, so they count as active; those of files are what reclaim takes, so as inactive.
 */
#include <pith/page_cache.h>

#include "proc_files.h"

struct memory_use {
    u64 total, free, cached, shared, anonymous, slab, slab_reclaimable, tables, stacks, large;
};

/* The caches that the reclaimer of names gives back. */
static void reclaimable_add(const struct slab_use *use, void *argument)
{
    if (!strcmp(use->name, "dentry") || !strcmp(use->name, "inode"))
        *(u64 *)argument += use->slabs * use->frames_a_slab;
}

/* Each counter is right, their sum only nearly: frames change their kind meanwhile. */
static void memory_use_take(struct memory_use *use)
{
    *use = (struct memory_use){
        .total = frames_total_count(),
        .free = frames_free_count(),
        .cached = frames_count_of(FRAME_CACHE),
        .shared = memory_pages_count(),
        .anonymous = frames_count_of(FRAME_ANONYMOUS),
        .slab = frames_count_of(FRAME_SLAB),
        .tables = frames_count_of(FRAME_TABLE),
        .stacks = threads_count() * (KERNEL_STACK_BYTES >> PAGE_SHIFT),
        .large = large_pages_count(),
    };
    slab_for_each(reclaimable_add, &use->slab_reclaimable);
    use->slab_reclaimable = MIN(use->slab_reclaimable, use->slab);
}

static u64 file_pages(const struct memory_use *use)
{
    return use->cached - MIN(use->shared, use->cached);
}

/* ---- meminfo ---- */

static void line(struct text_sink *sink, const char *name, u64 pages)
{
    text_print(sink, "%-15s %8lu kB\n", name, pages * (PAGE_SIZE / 1024));
}

static void print_lists(struct text_sink *sink, const struct memory_use *use)
{
    u64 memory = use->anonymous + use->shared;

    line(sink, "Active:", memory);
    line(sink, "Inactive:", file_pages(use));
    line(sink, "Active(anon):", memory);
    line(sink, "Inactive(anon):", 0);
    line(sink, "Active(file):", 0);
    line(sink, "Inactive(file):", file_pages(use));
    line(sink, "Unevictable:", 0);
}

static void print_kernel_use(struct text_sink *sink, const struct memory_use *use)
{
    line(sink, "KReclaimable:", use->slab_reclaimable);
    line(sink, "Slab:", use->slab);
    line(sink, "SReclaimable:", use->slab_reclaimable);
    line(sink, "SUnreclaim:", use->slab - use->slab_reclaimable);
    line(sink, "KernelStack:", use->stacks);
    line(sink, "PageTables:", use->tables);
    line(sink, "SecPageTables:", 0);
    line(sink, "NFS_Unstable:", 0);
    line(sink, "Bounce:", 0);
    line(sink, "WritebackTmp:", 0);
}

static void print_large(struct text_sink *sink, const struct memory_use *use)
{
    line(sink, "HardwareCorrupted:", 0);
    line(sink, "AnonHugePages:", use->large);
    line(sink, "ShmemHugePages:", 0);
    line(sink, "ShmemPmdMapped:", 0);
    line(sink, "FileHugePages:", 0);
    line(sink, "FilePmdMapped:", 0);
    text_print(sink, "HugePages_Total:   %5u\nHugePages_Free:    %5u\n", 0, 0);
    text_print(sink, "HugePages_Rsvd:    %5u\nHugePages_Surp:    %5u\n", 0, 0);
    line(sink, "Hugepagesize:", table_entry_bytes(2) >> PAGE_SHIFT);
    line(sink, "Hugetlb:", 0);
}

static int show_meminfo(struct text_sink *sink, void *argument)
{
    struct memory_use use;

    memory_use_take(&use);
    line(sink, "MemTotal:", use.total);
    line(sink, "MemFree:", use.free);
    line(sink, "MemAvailable:", use.free + (file_pages(&use) + use.slab_reclaimable) / 2);
    line(sink, "Buffers:", 0);
    line(sink, "Cached:", use.cached);
    line(sink, "SwapCached:", 0);
    print_lists(sink, &use);
    line(sink, "SwapTotal:", 0);
    line(sink, "SwapFree:", 0);
    line(sink, "Writeback:", 0);
    line(sink, "AnonPages:", use.anonymous);
    line(sink, "Shmem:", use.shared);
    print_kernel_use(sink, &use);
    line(sink, "CommitLimit:", commit_limit());
    line(sink, "Committed_AS:", commit_count());
    text_print(sink, "VmallocTotal:   %8lu kB\n", (KERNEL_VIRTUAL_END - KERNEL_VIRTUAL) / 1024);
    print_large(sink, &use);
    return 0;
}

/* ---- vmstat ---- */

static void print_names_of_zero(struct text_sink *sink, const char *names)
{
    while (*names) {
        size_t length = 0;

        while (names[length] && names[length] != ' ')
            length++;
        text_bytes(sink, names, length);
        text_print(sink, " 0\n");
        names += length;
        while (*names == ' ')
            names++;
    }
}

static int show_vmstat(struct text_sink *sink, void *argument)
{
    struct fault_totals faults;
    struct memory_use use;

    memory_use_take(&use);
    faults_count(&faults);
    text_print(sink, "nr_free_pages %lu\n", use.free);
    print_names_of_zero(sink, "nr_bounce nr_zspages nr_free_cma numa_miss numa_foreign numa_other "
                              "nr_inactive_anon");
    text_print(sink, "nr_active_anon %lu\nnr_inactive_file %lu\nnr_active_file 0\n",
               use.anonymous + use.shared, file_pages(&use));
    text_print(sink, "nr_unevictable 0\nnr_slab_reclaimable %lu\nnr_slab_unreclaimable %lu\n",
               use.slab_reclaimable, use.slab - use.slab_reclaimable);
    text_print(sink, "nr_isolated_anon 0\nnr_isolated_file 0\nnr_anon_pages %lu\n", use.anonymous);
    text_print(sink, "nr_file_pages %lu\nnr_writeback 0\nnr_writeback_temp 0\nnr_shmem %lu\n",
               use.cached, use.shared);
    print_names_of_zero(sink, "nr_shmem_hugepages nr_shmem_pmdmapped nr_file_hugepages "
                              "nr_file_pmdmapped");
    text_print(sink, "nr_anon_transparent_hugepages %lu\nnr_kernel_stack %lu\n",
               use.large / (table_entry_bytes(2) >> PAGE_SHIFT), use.stacks * (PAGE_SIZE / 1024));
    text_print(sink, "nr_page_table_pages %lu\n", use.tables);
    print_names_of_zero(sink, "nr_sec_page_table_pages nr_swapcached pgpromote_success "
                              "pgpromote_candidate pgpgin pgpgout pswpin pswpout");
    text_print(sink, "pgfault %lu\npgmajfault %lu\n", faults.faults, faults.major_faults);
    print_names_of_zero(sink, "pgdemote_kswapd pgdemote_direct zone_reclaim_failed");
    text_print(sink, "oom_kill %lu\n", process_oom_kills());
    print_names_of_zero(sink, "numa_pte_updates numa_huge_pte_updates numa_hint_faults "
                              "numa_hint_faults_local numa_pages_migrated pgmigrate_success "
                              "pgmigrate_fail compact_stall compact_fail compact_success "
                              "htlb_buddy_alloc_success htlb_buddy_alloc_fail swap_ra swap_ra_hit "
                              "ksm_swpin_copy cow_ksm zswpin zswpout nr_unstable");
    return 0;
}

/* ---- buddyinfo, zoneinfo ---- */

#define ZONE "Node 0, zone %8s"

static int show_buddyinfo(struct text_sink *sink, void *argument)
{
    text_print(sink, ZONE " ", "Normal");
    for (unsigned order = 0; order < FRAME_ORDERS; order++)
        text_print(sink, "%6lu ", frames_free_blocks(order));
    text_print(sink, "\n");
    return 0;
}

static void node_line(struct text_sink *sink, const char *name, u64 pages)
{
    text_print(sink, "\n      %-12s %lu", name, pages);
}

static int show_zoneinfo(struct text_sink *sink, void *argument)
{
    u64 first = boot_info.usable_count ? boot_info.usable[0].start >> PAGE_SHIFT : 0;
    struct memory_use use;

    memory_use_take(&use);
    text_print(sink, ZONE "\n  per-node stats", "Normal");
    node_line(sink, "nr_inactive_anon", 0);
    node_line(sink, "nr_active_anon", use.anonymous + use.shared);
    node_line(sink, "nr_inactive_file", file_pages(&use));
    node_line(sink, "nr_active_file", 0);
    node_line(sink, "nr_unevictable", 0);
    node_line(sink, "nr_slab_reclaimable", use.slab_reclaimable);
    node_line(sink, "nr_slab_unreclaimable", use.slab - use.slab_reclaimable);
    node_line(sink, "nr_anon_pages", use.anonymous);
    node_line(sink, "nr_file_pages", use.cached);
    node_line(sink, "nr_shmem", use.shared);
    node_line(sink, "nr_kernel_stack", use.stacks * (PAGE_SIZE / 1024));
    node_line(sink, "nr_page_table_pages", use.tables);
    text_print(sink, "\n  pages free     %lu\n        boost    0", use.free);
    text_print(sink, "\n        present  %lu\n        managed  %lu\n        cma      0", use.total,
               use.total);
    text_print(sink, "\n        protection: (0)");
    node_line(sink, "nr_free_pages", use.free);
    text_print(sink, "\n  node_unreclaimable:  0\n  start_pfn:           %lu\n", first);
    return 0;
}

void proc_meminfo_init(void)
{
    if (proc_register("meminfo", 0444, show_meminfo, NULL) ||
        proc_register("vmstat", 0444, show_vmstat, NULL) ||
        proc_register("buddyinfo", 0444, show_buddyinfo, NULL) ||
        proc_register("zoneinfo", 0444, show_zoneinfo, NULL))
        panic("no memory for the names in /proc");
}
