/*
 * /proc's files about the kernel's own memory: what is in use, and the caches' emptying.
 *
 *   slabinfo             each cache of objects (slabinfo(5))
 *   pith/frames          the frames of each kind: what the memory of the machine is used for
 *   pith/coverage        SAN=1: how many of the kernel's functions ran since the boot
 *   sys/vm/drop_caches   1, 2 or 3: gives back what pages and names are kept only because there is
 *                        room (proc(5)); both at once, whatever the number
 */
#include <pith/mem.h>

#include "procfs.h"

#define RECLAIM_ALL U64_MAX

static void slab_line(const struct slab_use *use, void *argument)
{
    struct text_sink *sink = argument;

    text_print(sink, "%-17s %6lu %6lu %6zu %4u %4u", use->name, use->objects_used,
               use->objects_total, use->object_bytes, use->objects_a_slab, use->frames_a_slab);
    text_print(sink, " : tunables %4u %4u %4u : slabdata %6lu %6lu %6u\n", 0, 0, 0,
               use->slabs - use->empty_slabs, use->slabs, 0);
}

static int show_slabinfo(struct text_sink *sink, void *argument)
{
    text_print(sink, "slabinfo - version: 2.1\n"
                     "# name            <active_objs> <num_objs> <objsize> <objperslab> "
                     "<pagesperslab> : tunables <limit> <batchcount> <sharedfactor> : slabdata "
                     "<active_slabs> <num_slabs> <sharedavail>\n");
    slab_for_each(slab_line, sink);
    return 0;
}

static int show_frames(struct text_sink *sink, void *argument)
{
    for (unsigned kind = FRAME_KERNEL; kind < FRAME_KINDS; kind++)
        text_print(sink, "%s %lu\n", frame_kind_name(kind), frames_count_of(kind));
    text_print(sink, "free %lu\ntotal %lu\n", frames_free_count(), frames_total_count());
    return 0;
}

static int show_coverage(struct text_sink *sink, void *argument)
{
    u64 reached, functions;

    coverage_count(&reached, &functions);
    text_print(sink, "%lu of %lu functions\n", reached, functions);
    return 0;
}

static int store_drop_caches(void *object, const char *text, size_t bytes)
{
    if (*text < '1' || *text > '3')
        return -EINVAL;
    while (memory_reclaim(RECLAIM_ALL))
        ;
    return 0;
}

static const struct proc_entry slabinfo = {
    .name = "slabinfo", .mode = S_IFREG | 0400, .show = show_slabinfo};
static const struct proc_entry frames = {
    .name = "frames", .mode = S_IFREG | 0444, .show = show_frames};
static const struct proc_entry coverage = {
    .name = "coverage", .mode = S_IFREG | 0444, .show = show_coverage};
static const struct proc_entry drop_caches = {
    .name = "drop_caches", .mode = S_IFREG | 0200, .store = store_drop_caches};

void proc_memory_use_init(void)
{
    if (proc_register_entry("", &slabinfo, NULL) || proc_register_entry("pith", &frames, NULL) ||
        (SAN && proc_register_entry("pith", &coverage, NULL)) ||
        proc_register_entry("sys/vm", &drop_caches, NULL))
        panic("no memory for the names in /proc");
}
