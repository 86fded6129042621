/*
 * 2 MiB pages: anonymous memory that one entry of level 2 maps.
 *
 *     level 2   | ... | LARGE, writable | LARGE | ...
 *                            |              |   \
 *                            v              v    '-- another table of level 2, after a fork
 *                     512 frames in a row   512 frames in a row, large_entries 2
 *                     large_entries 1
 *
 * Each of the 512 frames is a frame like any other, with a count of its own; the LARGE entries that
 * name them own one reference to each of them together, and the first frame counts these entries.
 * So whoever refers to one page of it (a futex key, a reader of /proc/PID/mem, an entry of level 1)
 * neither knows nor cares, and a page that is left over when the rest has gone is just a frame.
 *
 * To split one for an entry:
 *
 *     large_entries 1   the table's 512 entries take the references over: nothing is counted
 *     more              each of them takes a reference of its own, and large_entries loses one; the
 *                       pages are shared now with the other LARGE entries, and so copied on write
 *
 * The last LARGE entry gives the references up. Who wants to write to one that is not his alone
 * splits it and copies one small page.
 *
 * TLBs: after a split a processor may hold translations of both sizes for an address (SDM 3A
 * "Details of TLB Use"). They name the same frames with the same rights, and what changes later is
 * flushed by address, which takes both; so the split itself flushes nothing. Instruction fetches
 * are not so patient on all processors (Intel's "machine check error on page size change"): no
 * region that may be executed has 2 MiB pages, and mprotect splits them before it makes it one.
 *
 * Locking: entries as in tables.c; large_entries is atomic, and changes from 1 by its owner alone.
 */
#include "internal.h"
#include "tables.h"

#define MEMORY_LEAST      (64ul << 20) /* with less, none */
#define KEPT_FREE(frames) ((frames) / 8)

s64 large_pages_mode = LARGE_PAGES_ALWAYS;

static u64 large_count; /* [atomic] that are named by a LARGE entry */

u64 large_pages_count(void)
{
    return READ_ONCE(large_count) << LARGE_ORDER;
}

/* Whether regions with these flags get them if there is memory. */
static bool flags_allow(const struct address_space *space, u32 flags)
{
    const u32 never =
        REGION_SHARED | REGION_EXECUTE | REGION_GROWS_DOWN | REGION_SPECIAL | REGION_NO_LARGE;
    s64 mode = READ_ONCE(large_pages_mode);

    if ((flags & never) || mode == LARGE_PAGES_NEVER || READ_ONCE(space->no_large_pages))
        return false;
    return mode == LARGE_PAGES_ALWAYS || (flags & REGION_LARGE);
}

bool large_is_wanted(const struct address_space *space, u32 region_flags)
{
    u64 total = frames_total_count();

    return flags_allow(space, region_flags) && total >= MEMORY_LEAST >> PAGE_SHIFT &&
           frames_free_count() >= KEPT_FREE(total) + LARGE_PAGES;
}

bool region_may_be_large(const struct region *region)
{
    return !region->pager && flags_allow(region->space, region->flags) &&
           ALIGN_UP(region->start, LARGE_BYTES) + LARGE_BYTES <= region->end;
}

/*
 * A block that is free as a whole, or none: nobody is asked to move, and no cache to give up pages.
 */
struct frame *large_alloc(void)
{
    struct frame *first = frame_alloc(LARGE_ORDER, FRAME_ANONYMOUS, ALLOC_NOWAIT);

    if (!first)
        return NULL;
    frame_block_break(first, LARGE_ORDER);
    first->anonymous.large_entries = 1;
    __atomic_fetch_add(&large_count, 1, __ATOMIC_RELAXED);
    return first;
}

void large_get(struct frame *first)
{
    __atomic_fetch_add(&first->anonymous.large_entries, 1, __ATOMIC_RELAXED);
}

/* One entry fewer names it. True: that was the last, and its references are the caller's. */
static bool entries_drop(struct frame *first)
{
    /* Release and acquire: who frees the frames, or writes to them, sees all others done. */
    if (__atomic_sub_fetch(&first->anonymous.large_entries, 1, __ATOMIC_ACQ_REL))
        return false;
    __atomic_fetch_sub(&large_count, 1, __ATOMIC_RELAXED);
    return true;
}

void large_put(struct frame *first)
{
    if (entries_drop(first))
        frame_block_put(first, LARGE_ORDER);
}

static bool has_one_entry(const struct frame *first)
{
    return __atomic_load_n(&first->anonymous.large_entries, __ATOMIC_ACQUIRE) == 1;
}

/* All 512, since a part may be referred to alone. */
bool large_is_ours(const struct frame *first)
{
    if (!has_one_entry(first))
        return false;
    for (u32 i = 0; i < LARGE_PAGES; i++)
        if (!frame_is_ours(first + i))
            return false;
    return true;
}

int large_split(struct address_space *space, pte *entry)
{
    struct frame *first = pte_frame(*entry), *table = table_alloc(1);
    pte value = *entry & ~(pte)PTE_LARGE, *entries;
    bool is_ours = has_one_entry(first);

    if (!table)
        return -ENOMEM;
    entries = frame_table(table);
    for (u32 i = 0; i < LARGE_PAGES; i++, value += PAGE_SIZE) {
        if (!is_ours)
            frame_get(first + i);
        entries[i] = value;
    }
    table->table.used = LARGE_PAGES;
    table->table.first = 0;
    table->table.last = LARGE_PAGES - 1;
    space->tables++;
    /* The table's content before the entry that leads to it: other CPUs walk. */
    __atomic_store_n(entry, frame_address(table) | TABLE_FLAGS, __ATOMIC_RELEASE);
    if (!is_ours)
        large_put(first);
    else if (!entries_drop(first))
        panic("a 2 MiB page that was ours has another entry");
    return 0;
}
