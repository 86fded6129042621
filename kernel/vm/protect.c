/*
 * mprotect(2): regions get other flags, and the pages that are there get other entries.
 *
 * Rights that are taken away must be taken from entries and TLBs at once. Rights that are given
 * could wait for a fault each; but who toggles the protection of memory that is its own touches it
 * next, so entries become writable at once where no fault would find anything to do:
 *
 *     private   the frame has no other user (frame_is_ours)    a fault would just set the bit
 *     shared    the entry was writable before: dirty already   else the pager must hear of it
 *
 * A region that allows nothing keeps its frames: entries that are not PRESENT but HELD, which the
 * processor ignores and all else counts. Giving rights back makes them PRESENT again.
 *
 * The tables of the whole range are made our own first, which may fail (-ENOMEM) with nothing
 * changed but splits. Limits are asked region by region as they become writable, and end the call
 * with those before changed, as on Linux.
 *
 * Errors: -ENOMEM: a hole, a limit, no memory; -EACCES: the file was not opened so, or a vDSO.
 *
 * Locking: space->lock for writing. Context: sleeps.
 */
#include "internal.h"
#include "tables.h"

struct protector {
    struct table_visitor visitor;
    struct gather *gather;
    u32 flags; /* the region's new ones */
};

/*
 * What keeps the writable bit: nobody else sees the page, or a shared one that was dirty already.
 */
static pte may_write_now(u32 flags, const struct frame *frame, pte old)
{
    if (!(flags & REGION_WRITE))
        return 0;
    if (flags & REGION_SHARED)
        return old & PTE_WRITABLE;
    return frame_is_ours(frame) ? PTE_WRITE_NOW : 0;
}

/* Only then must TLBs forget: a right that was gained costs at most one fault. */
static bool rights_were_lost(pte old, pte new)
{
    pte lost = old & ~new &(PTE_PRESENT | PTE_WRITABLE);

    return (old & PTE_PRESENT) && (lost || (new & ~old &PTE_NO_EXECUTE));
}

/* Frames stay what they are; only what may be done with them changes. */
static void protect_entries(struct table_visitor *visitor, u64 address, pte *entries,
                            unsigned count)
{
    struct protector *protector = container_of(visitor, struct protector, visitor);

    for (unsigned i = 0; i < count; i++) {
        pte old = entries[i], new;
        struct frame *frame = pte_frame(old);

        if (!old)
            continue;
        new = pte_make(frame, protector->flags, may_write_now(protector->flags, frame, old));
        WRITE_ONCE(entries[i], new);
        if (rights_were_lost(old, new))
            gather_page(protector->gather, address + i * PAGE_SIZE);
    }
}

/* The region's pages that the entry maps are all of it: others were made small before. */
static void protect_large(struct table_visitor *visitor, u64 address, pte *entry, unsigned count)
{
    struct protector *protector = container_of(visitor, struct protector, visitor);
    struct frame *first = pte_frame(*entry);
    pte old = *entry, write_now = 0;

    if ((protector->flags & REGION_WRITE) && large_is_ours(first))
        write_now = PTE_WRITE_NOW;
    WRITE_ONCE(*entry, pte_make(first, protector->flags, write_now) | PTE_LARGE);
    if (rights_were_lost(old, *entry))
        gather_span(protector->gather, address, address + count * PAGE_SIZE);
}

/* All regions of the range allow it (mprotect(2): EACCES), and there is no hole (ENOMEM). */
static int protect_check(struct address_space *space, u64 start, u64 end, u32 protection)
{
    u32 needed = protection * (REGION_MAY_READ / REGION_READ);
    struct region *region;

    if (!range_is_mapped(space, start, end))
        return -ENOMEM;
    for (region = region_find(space, start); region && region->start < end;
         region = region_next(region))
        if ((region->flags & needed) != needed || (region->flags & REGION_SPECIAL))
            return -EACCES;
    return 0;
}

/*
 * The flags that a region gets. One that becomes writable is promised its pages, and may become
 * data. -ENOMEM.
 */
static int new_flags(const struct region *region, u32 protection, u32 *flags_out)
{
    u32 flags = (region->flags & ~REGION_PROTECTION) | protection;

    if ((flags & REGION_WRITE) && !(region->flags & REGION_WRITE)) {
        u32 commitment = region_commitment(flags) & ~flags;
        u64 pages = region_pages(region);

        if (commitment && !commit_allows(pages))
            return -ENOMEM;
        if (region_is_data(flags) &&
            region->space->data_pages + pages > space_limit(SPACE_LIMIT_DATA))
            return -ENOMEM;
        flags |= commitment;
    }
    *flags_out = flags;
    return 0;
}

/* Neighbours that are alike now become one again as the walk goes on. */
static int protect_locked(struct address_space *space, u64 start, u64 end, u32 protection,
                          struct gather *gather)
{
    struct protector protector = {
        .visitor = {protect_entries, protect_large},
        .gather = gather,
    };
    struct region *region;
    int error = protect_check(space, start, end, protection);

    if (!error)
        error = regions_split_at(space, start, end);
    if (!error)
        error = tables_own_range(space, start, end, protection & REGION_EXECUTE ? SPLIT_LARGE : 0,
                                 gather);
    if (error)
        return error;
    for (region = region_find(space, start); region && region->start < end;
         region = region_next(region)) {
        u32 flags;

        error = new_flags(region, protection, &flags);
        if (error)
            return error;
        if (flags == region->flags)
            continue;
        region_set_flags(region, flags);
        protector.flags = flags;
        tables_visit(space, region->start, region->end, &protector.visitor);
        region = region_merge(region);
    }
    return 0;
}

/*
 * PROT_GROWSDOWN: from the beginning of the stack on in which the range begins, as far as that has
 * grown. -ENOMEM: nothing is there; -EINVAL: it is no stack.
 */
static int stack_begin(struct address_space *space, u64 *start_io, u64 end)
{
    const struct region *region = region_find_from(space, *start_io);

    if (!region || region->start >= end)
        return -ENOMEM;
    *start_io = region->start;
    return region->flags & REGION_GROWS_DOWN ? 0 : -EINVAL;
}

int address_space_protect(struct address_space *space, u64 address, u64 bytes, u32 protection)
{
    u64 end = ALIGN_UP(address + bytes, PAGE_SIZE);
    struct gather gather;
    int error = 0;

    if (address & ~PAGE_MASK)
        return -EINVAL;
    if (bytes == 0)
        return 0;
    if (!user_range_is_valid(address, bytes))
        return -ENOMEM;
    gather_init(&gather, space);
    rwlock_write_lock(&space->lock);
    if (protection & REGION_GROWS_DOWN)
        error = stack_begin(space, &address, end);
    if (!error)
        error = protect_locked(space, address, end, protection & REGION_PROTECTION, &gather);
    gather_finish(&gather);
    space_write_unlock(space);
    return error;
}
