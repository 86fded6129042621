/*
 * mremap(2): a region shrinks, grows where it is, or moves with its pages.
 *
 *     tables_own_range(old)     what is carried over must be ours            -ENOMEM
 *     prepare_entries           the tables at the new place are made         -ENOMEM
 *     carry_entries             each entry moves; frames keep their references
 *     flush, then unmap the old place
 *
 * All that may fail comes before the first entry moves, so an error leaves all pages where they
 * were; the new region, which is still empty, is unmapped again. Between the two visits nothing can
 * change: the lock is held for writing, and no fault runs.
 *
 * A 2 MiB page stays one if the distance is a multiple of 2 MiB, else it is split first.
 *
 * Length 0 makes a second mapping of what is shared (mremap(2), BUGS); MREMAP_DONTUNMAP leaves the
 * old region, empty and not locked: what is shared or a file's comes again by faults. What a locked
 * region grows by is brought in when the lock is free.
 *
 * Locking: space->lock for writing. Context: sleeps.
 */
#include <pith/abi/mman.h>

#include "internal.h"
#include "tables.h"

/* One mremap on its way; addresses are checked and whole pages. */
struct move {
    struct address_space *space;
    const struct remap_request *request;
    struct region *region; /* that holds the old place */
    u64 old, old_end, new_bytes;
    bool grows_locked; /* what is new is to be brought in */
};

struct mover {
    struct table_visitor visitor;
    struct address_space *space;
    struct gather *gather;
    u64 distance; /* added to an address, modulo 2^64 */
    int error;
};

/* First pass: the tables at the new place. */
static void prepare_entries(struct table_visitor *visitor, u64 address, pte *entries,
                            unsigned count)
{
    struct mover *mover = container_of(visitor, struct mover, visitor);

    for (unsigned i = 0; i < count && !mover->error; i++) {
        pte *entry;

        if (gather_is_full(mover->gather))
            gather_finish(mover->gather);
        if (entries[i])
            mover->error = table_own(mover->space, address + i * PAGE_SIZE + mover->distance,
                                     mover->gather, &entry);
    }
}

/* Second pass: the tables are ours, so it cannot fail. */
static void carry_entries(struct table_visitor *visitor, u64 address, pte *entries, unsigned count)
{
    struct mover *mover = container_of(visitor, struct mover, visitor);

    for (unsigned i = 0; i < count; i++) {
        pte old = entries[i];

        if (!old)
            continue;
        table_set(&entries[i], 0);
        gather_page(mover->gather, address + i * PAGE_SIZE);
        table_set(table_lookup(mover->space, address + i * PAGE_SIZE + mover->distance), old);
    }
}

/* The same for a 2 MiB page, where the distance lets it stay one. */
static void prepare_large(struct table_visitor *visitor, u64 address, pte *entry, unsigned count)
{
    struct mover *mover = container_of(visitor, struct mover, visitor);
    pte *new;

    if (mover->error)
        return;
    if (gather_is_full(mover->gather))
        gather_finish(mover->gather);
    mover->error = table_own_level_2(mover->space, address + mover->distance, mover->gather, &new);
}

static void carry_large(struct table_visitor *visitor, u64 address, pte *entry, unsigned count)
{
    struct mover *mover = container_of(visitor, struct mover, visitor);
    pte old = *entry, *new;
    int cannot_fail;

    table_set(entry, 0);
    gather_span(mover->gather, address, address + LARGE_BYTES);
    cannot_fail = table_own_level_2(mover->space, address + mover->distance, mover->gather, &new);
    assert(!cannot_fail && !*new);
    table_set(new, old);
}

/* Carries the pages of [old, end) over to `new`, where a region is. -ENOMEM: none was carried. */
static int pages_move(struct move *move, u64 new, u64 end, struct gather *gather)
{
    struct mover mover = {.visitor = {prepare_entries, prepare_large},
                          .space = move->space,
                          .gather = gather,
                          .distance = new - move->old};
    unsigned flags = mover.distance % LARGE_BYTES ? SPLIT_LARGE : 0;

    mover.error = tables_own_range(move->space, move->old, end, flags, gather);
    if (!mover.error)
        tables_visit(move->space, move->old, end, &mover.visitor);
    if (mover.error)
        return mover.error;
    mover.visitor = (struct table_visitor){carry_entries, carry_large};
    tables_visit(move->space, move->old, end, &mover.visitor);
    return 0;
}

/*
 * Where the region goes. With MREMAP_DONTUNMAP alone the address is a hint, and checked the same.
 */
static int place_choose(struct move *move, u64 *new_out)
{
    const struct remap_request *request = move->request;
    struct address_space *space = move->space;
    struct map_request hint = {.pager = move->region->pager};
    u64 new = request->new_address;

    if (request->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) {
        if ((new & ~PAGE_MASK) || !user_range_is_valid(new, move->new_bytes) ||
            (new < move->old_end && move->old < new + move->new_bytes))
            return -EINVAL;
        hint.address = new;
    }
    if (!(request->flags & MREMAP_FIXED))
        return space_place_find(space, &hint, move->new_bytes, new_out);
    if (new < MAP_ADDRESS_MIN)
        return -EPERM;
    *new_out = new;
    return space_unmap_locked(space, new, new + move->new_bytes);
}

/* The old place, whose pages are gone: unmapped, or kept, where it is locked no more. -ENOMEM. */
static int leave_old(struct move *move)
{
    struct address_space *space = move->space;
    struct region *region;
    int error;

    if (!(move->request->flags & MREMAP_DONTUNMAP))
        return space_unmap_locked(space, move->old, move->old_end);
    if (!(region_find(space, move->old)->flags & REGION_LOCKED))
        return 0;
    error = regions_split_at(space, move->old, move->old_end);
    if (error)
        return error;
    region = region_find(space, move->old);
    region_set_flags(region, region->flags & ~REGION_LOCKED);
    region_merge(region);
    return 0;
}

/* The copy is inserted before pages are moved into it, for entries lie in regions, always. */
static int region_move(struct move *move, u64 *address_out)
{
    struct address_space *space = move->space;
    struct region *copy;
    struct gather gather;
    u64 new = 0, kept_end = MIN(move->old_end, move->old + move->new_bytes);
    int error = place_choose(move, &new);

    if (error)
        return error;
    /* Unmapping the new place may have cut the region. */
    move->region = region_find(space, move->old);
    copy = region_alloc(move->region);
    if (!copy)
        return -ENOMEM;
    copy->offset_pages += (move->old - copy->start) >> PAGE_SHIFT;
    copy->start = new;
    copy->end = new + move->new_bytes;
    region_insert(copy);
    gather_init(&gather, space);
    error = pages_move(move, new, kept_end, &gather);
    gather_finish(&gather);
    if (error) {
        int cannot_fail = space_unmap_locked(space, new, new + move->new_bytes);

        return cannot_fail ? cannot_fail : error;
    }
    *address_out = new;
    error = leave_old(move);
    region_merge(copy);
    return error;
}

/* Whether there may be so much more of the region. -ENOMEM, -EAGAIN. */
static int growth_check(const struct move *move)
{
    u64 pages = (move->new_bytes - (move->old_end - move->old)) >> PAGE_SHIFT;
    u32 flags = move->region->flags;

    if (move->request->flags & MREMAP_DONTUNMAP) {
        pages = move->new_bytes >> PAGE_SHIFT;
        flags &= ~REGION_LOCKED;
    }
    return space_growth_check(move->space, flags, pages);
}

/* Only a region that ends where the old place ends can grow without moving. */
static bool has_room_behind(const struct move *move)
{
    struct region *next = region_next(move->region);
    u64 end = move->old + move->new_bytes;

    return move->region->end == move->old_end && end <= USER_END && (!next || next->start >= end);
}

/*
 * In the order of mremap(2)'s errors: the old place, what the flags allow, then limits. What stays
 * and does not grow need not be one region.
 */
static int remap_locked(struct move *move, u64 *address_out)
{
    const struct remap_request *request = move->request;
    u64 new_end = move->old + move->new_bytes;
    bool stays =
        !(request->flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && move->old != move->old_end;
    int error;

    move->region = region_find(move->space, move->old);
    if (!move->region)
        return -EFAULT;
    *address_out = move->old;
    if (stays && new_end <= move->old_end)
        return new_end < move->old_end ? space_unmap_locked(move->space, new_end, move->old_end)
                                       : 0;
    if (move->old_end > move->region->end || (move->region->flags & REGION_SPECIAL))
        return -EFAULT;
    /* Length 0 makes a second mapping of what is shared (mremap(2), BUGS). */
    if (move->old == move->old_end && !(move->region->flags & REGION_SHARED))
        return -EINVAL;
    if (new_end > move->old_end || (request->flags & MREMAP_DONTUNMAP)) {
        error = growth_check(move);
        if (error)
            return error;
    }
    move->grows_locked = new_end > move->old_end && (move->region->flags & REGION_LOCKED);
    if (stays && has_room_behind(move)) {
        region_resize(move->region, move->region->start, new_end);
        region_merge(move->region);
        return 0;
    }
    return request->flags & MREMAP_MAYMOVE ? region_move(move, address_out) : -ENOMEM;
}

/* Arguments as mremap(2) has them; what depends on regions is checked under the lock. */
int address_space_remap(struct address_space *space, const struct remap_request *request,
                        u64 *address_out)
{
    struct move move = {
        .space = space,
        .request = request,
        .old = request->address,
        .old_end = ALIGN_UP(request->address + request->old_bytes, PAGE_SIZE),
        .new_bytes = ALIGN_UP(request->new_bytes, PAGE_SIZE),
    };
    u32 flags = request->flags;
    int error;

    if ((flags & ~(MREMAP_MAYMOVE | MREMAP_FIXED | MREMAP_DONTUNMAP)) ||
        ((flags & (MREMAP_FIXED | MREMAP_DONTUNMAP)) && !(flags & MREMAP_MAYMOVE)))
        return -EINVAL;
    if ((request->address & ~PAGE_MASK) || !move.new_bytes)
        return -EINVAL;
    if (move.new_bytes > USER_END)
        return flags & (MREMAP_FIXED | MREMAP_DONTUNMAP) ? -EINVAL : -ENOMEM;
    if ((flags & MREMAP_DONTUNMAP) && move.new_bytes != move.old_end - move.old)
        return -EINVAL;
    if (!user_range_is_valid(request->address, request->old_bytes))
        return -EFAULT;
    rwlock_write_lock(&space->lock);
    error = remap_locked(&move, address_out);
    space_write_unlock(space);
    if (!error && move.grows_locked) {
        u64 old_bytes = move.old_end - move.old;

        /* What cannot be brought in now faults later, as for mmap. */
        (void)!space_bring_in(space, *address_out + old_bytes, *address_out + move.new_bytes);
    }
    return error;
}
