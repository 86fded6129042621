/*
 * madvise(2) and msync(2): what a program says about ranges of its memory.
 *
 *     flags     DONTFORK, WIPEONFORK, DONTDUMP, HUGEPAGE, ...   a table; regions split and joined
 *     pages     DONTNEED, FREE                                  taken out of the tables at once
 *     holes     REMOVE                                          the pager cuts them into the file
 *     populate  POPULATE_READ, POPULATE_WRITE                   faults, without the lock
 *     hints     NORMAL, WILLNEED, COLD, ...                     believed, and nothing done
 *
 * What is mapped follows the advice even where there are holes, and the call then says -ENOMEM.
 * FREE may give zeros or the old content until the page is written: here always zeros.
 *
 * msync and REMOVE must not hold our lock while the pager works, for that takes locks of files,
 * which come before ours. They take a copy of each region, opened like one, so that its file stays;
 * the pages are the file's, so whatever the program maps meanwhile does not matter.
 *
 * Locking: space->lock for writing; none while the pager works. Context: sleeps.
 */
#include <pith/abi/mman.h>

#include "internal.h"
#include "tables.h"

#define NO_CHANGE 0, 0

/* Advice that changes flags, or is only a hint. */
static const struct {
    u32 set, clear;
    bool known;
} advices[] = {
    [MADV_NORMAL] = {NO_CHANGE, true},
    [MADV_RANDOM] = {NO_CHANGE, true},
    [MADV_SEQUENTIAL] = {NO_CHANGE, true},
    [MADV_WILLNEED] = {NO_CHANGE, true},
    [MADV_MERGEABLE] = {NO_CHANGE, true},
    [MADV_UNMERGEABLE] = {NO_CHANGE, true},
    [MADV_HUGEPAGE] = {REGION_LARGE, REGION_NO_LARGE, true},
    [MADV_NOHUGEPAGE] = {REGION_NO_LARGE, REGION_LARGE, true},
    [MADV_COLD] = {NO_CHANGE, true},
    [MADV_PAGEOUT] = {NO_CHANGE, true},
    [MADV_DONTFORK] = {REGION_NO_FORK, 0, true},
    [MADV_DOFORK] = {0, REGION_NO_FORK, true},
    [MADV_WIPEONFORK] = {REGION_WIPE_ON_FORK, 0, true},
    [MADV_KEEPONFORK] = {0, REGION_WIPE_ON_FORK, true},
    [MADV_DONTDUMP] = {REGION_NO_DUMP, 0, true},
    [MADV_DODUMP] = {0, REGION_NO_DUMP, true},
};

/* Not in the table of flags: what is there goes, and the region stays as it is. */
static bool advice_drops_pages(int advice)
{
    return advice == MADV_DONTNEED || advice == MADV_DONTNEED_LOCKED || advice == MADV_FREE;
}

/* -EINVAL: this region cannot follow the advice. */
static int advice_check(const struct region *region, int advice)
{
    bool private_anonymous = !region->pager && !(region->flags & REGION_SHARED);

    if ((advice == MADV_FREE || advice == MADV_WIPEONFORK) && !private_anonymous)
        return -EINVAL;
    if (advice_drops_pages(advice)) {
        if (region->flags & REGION_SPECIAL)
            return -EINVAL;
        if ((region->flags & REGION_LOCKED) && advice != MADV_DONTNEED_LOCKED)
            return -EINVAL;
    }
    if ((advice == MADV_COLD || advice == MADV_PAGEOUT) && (region->flags & REGION_LOCKED))
        return -EINVAL;
    if (advice == MADV_DOFORK && (region->flags & REGION_SPECIAL))
        return -EINVAL;
    return 0;
}

/* Drops the pages: the next access finds zeros, or the file. */
static int pages_drop(struct address_space *space, u64 start, u64 end)
{
    struct gather gather;
    int error;

    gather_init(&gather, space);
    error = tables_own_ends(space, start, end, &gather);
    if (!error)
        tables_unmap(space, start, end, &gather);
    gather_finish(&gather);
    return error;
}

/* Follows the advice in one region, [start, end) of it; *region_io may be joined to another. */
static int region_advise(struct region **region_io, u64 start, u64 end, int advice)
{
    struct region *region = *region_io;
    struct address_space *space = region->space;
    u32 flags;
    int error = advice_check(region, advice);

    if (error)
        return error;
    if (advice_drops_pages(advice))
        return pages_drop(space, start, end);
    flags = (region->flags | advices[advice].set) & ~advices[advice].clear;
    if (flags == region->flags)
        return 0;
    error = regions_split_at(space, start, end);
    if (error)
        return error;
    region = region_find(space, start);
    region_set_flags(region, flags);
    if (flags & (REGION_NO_FORK | REGION_WIPE_ON_FORK))
        space->any_not_inherited = true;
    *region_io = region_merge(region);
    return 0;
}

/*
 * Region by region from the bottom up; the first that cannot follow ends it, with those before
 * changed (madvise(2)).
 */
static int advise_locked(struct address_space *space, u64 start, u64 end, int advice)
{
    struct region *region = region_find_from(space, start);
    bool hole = false;

    while (start < end) {
        u64 until;
        int error;

        if (!region || region->start >= end)
            return -ENOMEM;
        hole |= region->start > start;
        start = MAX(start, region->start);
        until = MIN(region->end, end);
        error = region_advise(&region, start, until, advice);
        if (error)
            return error;
        start = until;
        if (region->end <= start)
            region = region_next(region);
    }
    /* What is mapped follows the advice all the same (madvise(2)). */
    return hole ? -ENOMEM : 0;
}

/* ---- msync, MADV_REMOVE ---- */

/*
 * What is asked of a file of [start, end): `part` is a copy of a region, for use without the lock.
 */
struct file_span {
    u64 start, end;
    struct region *part; /* NULL: no region of a file is there */
};

/* The first region's part of [start, end), which is empty at `end` when there is none. -ENOMEM. */
static int file_span_borrow(struct address_space *space, u64 start, u64 end, struct file_span *span)
{
    struct region *region;
    int error = 0;

    *span = (struct file_span){end, end, NULL};
    rwlock_write_lock(&space->lock);
    region = region_find_from(space, start);
    if (region && region->start < end) {
        span->start = MAX(region->start, start);
        span->end = MIN(region->end, end);
        if (region->pager) {
            span->part = region_alloc(region);
            if (span->part)
                region_open(span->part);
            else
                error = -ENOMEM;
        }
    }
    space_write_unlock(space);
    return error;
}

static u64 file_span_first(const struct file_span *span)
{
    return span->part->offset_pages + ((span->start - span->part->start) >> PAGE_SHIFT);
}

static int file_span_write(const struct file_span *span)
{
    struct region *part = span->part;

    if (!part || !(part->flags & REGION_SHARED) || !part->pager->sync)
        return 0;
    return part->pager->sync(part, file_span_first(span), (span->end - span->start) >> PAGE_SHIFT);
}

static int file_span_punch(const struct file_span *span)
{
    const u32 needed = REGION_SHARED | REGION_WRITE;
    struct region *part = span->part;

    if (!part || (part->flags & REGION_LOCKED) || !part->pager->punch)
        return -EINVAL;
    if ((part->flags & needed) != needed)
        return -EACCES;
    return part->pager->punch(part, file_span_first(span), (span->end - span->start) >> PAGE_SHIFT);
}

typedef int file_span_function(const struct file_span *span);

/* Does `function` (NULL: nothing) for each region of [start, end). -ENOMEM: also with holes. */
static int file_spans_do(struct address_space *space, u64 start, u64 end,
                         file_span_function *function)
{
    bool hole = false;

    while (start < end) {
        struct file_span span;
        int error = file_span_borrow(space, start, end, &span);

        if (error)
            return error;
        hole = hole || span.start > start;
        if (function && span.start < span.end)
            error = function(&span);
        if (span.part) {
            region_close(span.part);
            region_free(span.part);
        }
        if (error)
            return error;
        start = span.end;
        if (start < end && sched_point_killable())
            return -EINTR;
    }
    return hole ? -ENOMEM : 0;
}

static bool any_is_locked(struct address_space *space, u64 start, u64 end)
{
    const struct region *region;
    bool found = false;

    rwlock_read_lock(&space->lock);
    for (region = region_find_from(space, start); region && region->start < end && !found;
         region = region_next(region))
        found = region->flags & REGION_LOCKED;
    rwlock_read_unlock(&space->lock);
    return found;
}

/* Spans are borrowed one by one, so the lock is free while each is written. */
int address_space_sync(struct address_space *space, u64 address, u64 bytes, int flags)
{
    u64 end = ALIGN_UP(address + bytes, PAGE_SIZE);

    if ((address & ~PAGE_MASK) || !user_range_is_valid(address, bytes))
        return -ENOMEM;
    if ((flags & MS_INVALIDATE) && any_is_locked(space, address, end))
        return -EBUSY;
    return file_spans_do(space, address, end, flags & MS_SYNC ? file_span_write : NULL);
}

/* ---- madvise ---- */

/* madvise(2), MADV_POPULATE_READ. */
static int populate_error(int error)
{
    switch (error) {
    case -EFAULT:
        return -ENOMEM;
    case -EACCES:
        return -EINVAL;
    case -ENXIO:
        return -EFAULT;
    default:
        return error;
    }
}

static bool advice_is_known(int advice)
{
    return advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE || advice == MADV_REMOVE ||
           advice_drops_pages(advice) ||
           (advice >= 0 && advice < (int)ARRAY_SIZE(advices) && advices[advice].known);
}

int address_space_advise(struct address_space *space, u64 address, u64 bytes, int advice)
{
    u64 end = ALIGN_UP(address + bytes, PAGE_SIZE);
    int error;

    if (!advice_is_known(advice) || (address & ~PAGE_MASK) || end < address ||
        (bytes && end == address))
        return -EINVAL;
    if (bytes == 0)
        return 0;
    if (!user_range_is_valid(address, end - address))
        return -ENOMEM;
    if (advice == MADV_POPULATE_READ || advice == MADV_POPULATE_WRITE) {
        error = address_space_populate(space, address, bytes,
                                       advice == MADV_POPULATE_WRITE ? PAGER_WRITE : PAGER_READ);
        return populate_error(error);
    }
    if (advice == MADV_REMOVE)
        return file_spans_do(space, address, end, file_span_punch);
    rwlock_write_lock(&space->lock);
    error = advise_locked(space, address, end, advice);
    space_write_unlock(space);
    return error;
}
