/*
 * What is still in use: read at power off, when nearly everything should have been given back.
 *
 * Context: any; nothing is locked for long.
 */
#include <pith/mem.h>

static const char *const kind_names[FRAME_KINDS] = {
    [FRAME_RESERVED] = "reserved", [FRAME_FREE] = "free",   [FRAME_KERNEL] = "kernel",
    [FRAME_SLAB] = "slab",         [FRAME_TABLE] = "table", [FRAME_ANONYMOUS] = "anonymous",
    [FRAME_CACHE] = "cache",
};

const char *frame_kind_name(enum frame_kind kind)
{
    return kind_names[kind];
}

static void cache_report(const struct slab_use *use, void *argument)
{
    if (use->objects_used)
        log_info("in use: %lu of %lu objects of %s, %zu bytes each, in %lu frames",
                 use->objects_used, use->objects_total, use->name, use->object_bytes,
                 use->slabs * use->frames_a_slab);
}

void mem_report_use(void)
{
    for (unsigned kind = FRAME_KERNEL; kind < FRAME_KINDS; kind++)
        if (frames_count_of(kind))
            log_info("in use: %lu frames of kind %s", frames_count_of(kind), kind_names[kind]);
    slab_for_each(cache_report, NULL);
    log_info("frames: %lu of %lu free", frames_free_count(), frames_total_count());
}
