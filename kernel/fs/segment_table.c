/*
 * The table of shared segments: which numbers name which.
 *
 *     id = sequence << 15 | index       by_index[index] -> segment
 *     key ----------------------------- by_key[key] -------^        (those that have a key)
 *
 * When an index is used again its sequence number differs, so that an id that somebody kept does
 * not name a stranger's segment. As on Linux the indices go round in a room with half as many again
 * as are used, so that one that was given up is not taken at once; the sequence moves on each time
 * the round begins anew.
 *
 * Tens of thousands of segments may be there, and the lock keeps interrupts off: so key, index and
 * a free index are found without a look at each of them.
 *
 * Invariant: a segment is in by_index, and its bit in `used`, from insert to remove; in by_key
 * while permissions.key is not IPC_PRIVATE besides. count and pages are sums over by_index.
 * Locking:   segments_lock, held by the callers of all but segment_next and segments_usage.
 * Context:   does not sleep; the trees' nodes are taken without waiting.
 */
#include "segments.h"

#define INDEX_BITS  15
#define INDEX_MASK  (BIT(INDEX_BITS) - 1)
#define INDICES     (1u << INDEX_BITS)
#define WORD_BITS   64
#define WORDS       (INDICES / WORD_BITS)
#define ROUND_LEAST 64ul                 /* indices, before one is used again */
#define SEQUENCES   BIT(31 - INDEX_BITS) /* an id is never negative */
_Static_assert(INDICES == SEGMENTS_MOST, "as many as the limit can be set to");

struct spinlock segments_lock = SPINLOCK_INIT(LOCK_SEGMENTS);

static struct {
    struct radix by_index;
    struct radix by_key;
    u64 used[WORDS]; /* a bit for each index in by_index */
    u64 count;
    u64 pages; /* of all */
    u32 sequence;
    s64 last_index; /* of the newest; -1: there was none yet */
} table guarded_by(&segments_lock) = {.by_index = RADIX_INIT(radix_slab_allocator),
                                      .by_key = RADIX_INIT(radix_slab_allocator),
                                      .last_index = -1};

struct segment_settings segment_settings = {
    .segments_max = 4096,
    .bytes_max = U64_MAX - BIT(24),
    .pages_max = U64_MAX - BIT(24),
};

/* ---- Entering and leaving ---- */

/* The first free index from `index` on; INDICES: there is none. */
static u32 index_free_from_locked(u32 index) must_hold(&segments_lock)
{
    u32 word = index / WORD_BITS;
    u64 free = ~table.used[word] & (U64_MAX << index % WORD_BITS);

    while (!free && ++word < WORDS)
        free = ~table.used[word];
    return free ? word * WORD_BITS + (u32)__builtin_ctzl(free) : INDICES;
}

/* A free index; there is one. */
static u32 index_find_locked(void) must_hold(&segments_lock)
{
    u64 end =
        MIN(MAX(table.count * 3 / 2, ROUND_LEAST), (u64)READ_ONCE(segment_settings.segments_max));
    u32 index = index_free_from_locked((u32)(table.last_index + 1) & INDEX_MASK);

    return index < end ? index : index_free_from_locked(0);
}

static int trees_insert_locked(u32 index, struct segment *segment) must_hold(&segments_lock)
{
    u32 key = (u32)segment->status.permissions.key;
    int error = radix_insert(&table.by_index, index, segment);

    if (error || key == IPC_PRIVATE)
        return error;
    error = radix_insert(&table.by_key, key, segment);
    if (error)
        radix_remove(&table.by_index, index);
    return error;
}

int segment_table_insert_locked(struct segment *segment)
{
    u64 pages = segment_pages(segment), pages_max = READ_ONCE(segment_settings.pages_max);
    u32 index;
    int error;

    if (table.count >= (u64)READ_ONCE(segment_settings.segments_max) ||
        table.pages + pages < pages || table.pages + pages > pages_max)
        return -ENOSPC;
    index = index_find_locked();
    error = trees_insert_locked(index, segment);
    if (error)
        return error;
    table.used[index / WORD_BITS] |= BIT(index % WORD_BITS);
    if ((s64)index <= table.last_index)
        table.sequence = (table.sequence + 1) % SEQUENCES;
    table.last_index = index;
    table.count++;
    table.pages += pages;
    segment->id = (s32)(table.sequence << INDEX_BITS | index);
    segment->status.permissions.sequence = (u16)table.sequence;
    return segment->id;
}

void segment_table_remove_locked(struct segment *segment)
{
    u32 index = (u32)segment->id & INDEX_MASK;

    radix_remove(&table.by_index, index);
    table.used[index / WORD_BITS] &= ~BIT(index % WORD_BITS);
    table.count--;
    table.pages -= segment_pages(segment);
}

void segment_key_give_up_locked(struct segment *segment)
{
    struct ipc64_perm *permissions = &segment->status.permissions;

    if (permissions->key != IPC_PRIVATE)
        radix_remove(&table.by_key, (u32)permissions->key);
    permissions->key = IPC_PRIVATE;
}

/* ---- Finding ---- */

struct segment *segment_at_locked(s32 number, enum segment_naming naming)
{
    struct segment *segment;

    if (number < 0)
        return NULL;
    segment = radix_lookup(&table.by_index, (u32)number & INDEX_MASK);
    return segment && naming == SEGMENT_BY_ID && segment->id != number ? NULL : segment;
}

struct segment *segment_of_key_locked(s32 key)
{
    return key == IPC_PRIVATE ? NULL : radix_lookup(&table.by_key, (u32)key);
}

/* ---- All of them ---- */

bool segment_next(u64 *index, struct segment_listing *listing_out)
{
    struct segment *segment;

    spin_lock(&segments_lock);
    segment = radix_next(&table.by_index, index);
    if (segment)
        *listing_out = (struct segment_listing){
            .status = segment->status,
            .resident_pages = READ_ONCE(segment->file->inode->pages.dirty_count),
            .id = segment->id,
        };
    spin_unlock(&segments_lock);
    return segment;
}

int segments_limits(struct shminfo64 *limits_out)
{
    struct shm_info usage;
    u64 segments_max = (u64)READ_ONCE(segment_settings.segments_max);

    *limits_out = (struct shminfo64){
        .bytes_max = READ_ONCE(segment_settings.bytes_max),
        .bytes_min = 1,
        .segments_max = segments_max,
        .segments_max_process = segments_max,
        .pages_max = READ_ONCE(segment_settings.pages_max),
    };
    return segments_usage(&usage);
}

int segments_usage(struct shm_info *usage_out)
{
    struct segment_listing listing;
    u64 index = 0, highest = 0;

    *usage_out = (struct shm_info){};
    for (; segment_next(&index, &listing); index++) {
        highest = index;
        usage_out->segments++;
        usage_out->pages += DIV_ROUND_UP(listing.status.bytes, PAGE_SIZE);
        usage_out->resident_pages += listing.resident_pages;
    }
    return (int)highest;
}
