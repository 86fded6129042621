/*
 * The ranges of memory at boot, before there are frames: what the loader says is usable, less what
 * lies in it already, less what the frame array and the first page tables take.
 *
 * Taking goes from the top down, which leaves low memory whole for the allocator. Page 0 is never
 * given: its address says that there is none. A list that is full loses memory rather than hand out
 * some twice.
 *
 * Invariant: ascending, page aligned, not empty, no two overlap.
 * Context:   boot, one CPU; the logic is tested on the host (tests/unit/mem_ranges.c).
 */
#include "ranges.h"

static void range_delete(struct ranges *ranges, u32 at)
{
    ranges->count--;
    for (u32 i = at; i < ranges->count; i++)
        ranges->range[i] = ranges->range[i + 1];
}

/* Where the list is full, the memory is lost, not handed out twice. */
static void range_insert(struct ranges *ranges, u32 at, phys_addr start, phys_addr end)
{
    if (ranges->count == RANGES_MAX)
        return;
    for (u32 i = ranges->count; i > at; i--)
        ranges->range[i] = ranges->range[i - 1];
    ranges->range[at] = (struct memory_range){start, end - start};
    ranges->count++;
}

/* Rounded inwards: half a page is no page. */
void ranges_add(struct ranges *ranges, phys_addr start, phys_addr end)
{
    u32 at = ranges->count;

    start = ALIGN_UP(start, PAGE_SIZE);
    end = ALIGN_DOWN(end, PAGE_SIZE);
    if (start >= end)
        return;
    while (at > 0 && ranges->range[at - 1].start > start)
        at--;
    range_insert(ranges, at, start, end);
}

/*
 * Rounded outwards: half a page that is taken is taken. A range that is cut in the middle becomes
 * two.
 */
void ranges_remove(struct ranges *ranges, phys_addr start, phys_addr end)
{
    start = ALIGN_DOWN(start, PAGE_SIZE);
    end = ALIGN_UP(end, PAGE_SIZE);
    for (u32 i = 0; i < ranges->count;) {
        phys_addr from = ranges->range[i].start, to = from + ranges->range[i].bytes;

        if (end <= from || to <= start) {
            i++;
            continue;
        }
        range_delete(ranges, i);
        if (end < to)
            range_insert(ranges, i, end, to);
        if (from < start)
            range_insert(ranges, i++, from, start);
    }
}

phys_addr ranges_take(struct ranges *ranges, u64 bytes, u64 modulus, u64 remainder, phys_addr limit)
{
    for (u32 i = ranges->count; i-- > 0;) {
        phys_addr start = ranges->range[i].start;
        phys_addr end = MIN(start + ranges->range[i].bytes, limit), at;

        if (end < bytes || end - bytes < remainder)
            continue;
        at = ALIGN_DOWN(end - bytes - remainder, modulus) + remainder;
        if (at < start || at == 0)
            continue;
        ranges_remove(ranges, at, at + bytes);
        return at;
    }
    return 0;
}
