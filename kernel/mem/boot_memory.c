/*
 * Memory at boot: the frame array, and what is left for the allocator.
 *
 * The array has one `struct frame` a page of memory, found by the page's number, so it is as sparse
 * as memory is. It is backed in whole blocks of the buddy allocator's largest order (4 MiB of
 * memory, 8 pages of array): the allocator looks at a block's neighbour within such a block and
 * must find a frame there. Where a piece of array is 2 MiB large and aligned, one large page maps
 * it.
 *
 *     memory   0 .. 640K    1M ...... 256M          4G ... 5G
 *     array    [ one piece of 2 MiB      ]          [ 8 MiB ]
 *
 * What was taken before us (boot_alloc_pages) is never given back and has frames only by the
 * rounding.
 * Context: boot, one CPU, interrupts off.
 */
#include <pith/mem.h>

#include "boot_memory.h"

#define LARGE_PAGE       (2ul << 20)
#define BLOCK_BYTES      (PAGE_SIZE << (BUDDY_ORDERS - 1))
#define ARRAY_BLOCK      (BLOCK_BYTES / PAGE_SIZE * sizeof(struct frame))
#define FRAME_PAGE_FLAGS (PTE_PRESENT | PTE_WRITABLE | PTE_GLOBAL | PTE_NO_EXECUTE)

static struct ranges free_ranges; /* what nobody has taken yet */

phys_addr boot_memory_table(void)
{
    phys_addr address = ranges_take(&free_ranges, PAGE_SIZE, PAGE_SIZE, 0, U64_MAX);

    if (!address)
        panic("no memory for the kernel's first page tables");
    memset(phys_to_virt(address), 0, PAGE_SIZE);
    return address;
}

/* Backs [from, to) of the array, both multiples of ARRAY_BLOCK. */
static void array_back(u64 from, u64 to)
{
    u64 bytes = to - from;
    phys_addr physical =
        ranges_take(&free_ranges, bytes, LARGE_PAGE, from & (LARGE_PAGE - 1), U64_MAX);

    if (!physical)
        panic("no memory for the array of frames");
    while (from < to) {
        u64 virtual = FRAME_ARRAY + from;
        u64 step = !(from & (LARGE_PAGE - 1)) && to - from >= LARGE_PAGE ? LARGE_PAGE : PAGE_SIZE;
        int error = step == LARGE_PAGE ? kernel_map_large(virtual, physical, FRAME_PAGE_FLAGS)
                                       : kernel_map(virtual, physical, FRAME_PAGE_FLAGS);

        assert(!error);
        memset((void *)virtual, 0, step);
        from += step;
        physical += step;
    }
}

/*
 * What is to have frames: also what is taken now and may be given back (frames_release), and frame
 * 0, on which the entries of page tables count that are 0 (vm/tables.c).
 */
static void ranges_of_frames(struct ranges *ranges)
{
    *ranges = free_ranges;
    ranges_add(ranges, 0, PAGE_SIZE);
    ranges_add(ranges, boot_info.kernel_start, boot_info.kernel_end);
    ranges_add(ranges, ALIGN_DOWN(boot_info.initramfs, PAGE_SIZE),
               ALIGN_UP(boot_info.initramfs + boot_info.initramfs_bytes, PAGE_SIZE));
}

/* What is taken now but given back later, the initramfs, has its frames in the array too. */
void boot_memory_finish(struct ranges *ranges_out)
{
    struct ranges with_frames;
    u64 done = 0;

    for (u32 i = 0; i < boot_info.usable_count; i++)
        ranges_add(&free_ranges, boot_info.usable[i].start,
                   boot_info.usable[i].start + boot_info.usable[i].bytes);
    ranges_of_frames(&with_frames);
    for (u32 i = 0; i < with_frames.count; i++) {
        const struct memory_range *range = &with_frames.range[i];
        u64 start = range->start / BLOCK_BYTES * ARRAY_BLOCK;
        u64 end = DIV_ROUND_UP(range->start + range->bytes, BLOCK_BYTES) * ARRAY_BLOCK;

        start = MAX(start, done);
        if (start < end)
            array_back(start, end);
        done = MAX(done, end);
    }
    *ranges_out = free_ranges;
    free_ranges.count = 0;
}
