/*
 * mlock(2): regions whose pages are to stay in memory.
 *
 * Pages of processes are never paged out, so to lock them is to count them, against RLIMIT_MEMLOCK,
 * and to bring them in. Bringing in goes region by region without the lock, as faults do: a region
 * that goes meanwhile is passed over, and one that comes is not waited for.
 *
 * What regions to come get is decided under the same hold of the lock as what those get that are
 * there: so none that another thread maps meanwhile falls between.
 *
 * Locking: space->lock for writing to count; for reading to find the next region. Context: sleeps.
 */
#include "internal.h"

#define LOCK_ALL BIT(2) /* with SPACE_LOCK_*: whatever is there; holes are no error */

/* How many pages of the range are not locked yet. */
static u64 unlocked_pages(struct address_space *space, u64 start, u64 end)
{
    struct region *region;
    u64 pages = 0;

    for (region = region_find_from(space, start); region && region->start < end;
         region = region_next(region))
        if (!(region->flags & REGION_LOCKED))
            pages += (MIN(region->end, end) - MAX(region->start, start)) >> PAGE_SHIFT;
    return pages;
}

/* Counted before anything changes. A vDSO is never locked: its frames are the kernel's. */
static int lock_locked(struct address_space *space, u64 start, u64 end, unsigned flags)
{
    u64 limit = flags & SPACE_LOCK ? space_limit(SPACE_LIMIT_LOCKED) : U64_MAX;
    struct region *region;
    int error;

    if (!(flags & LOCK_ALL) && !range_is_mapped(space, start, end))
        return -ENOMEM;
    if (space->locked_pages + unlocked_pages(space, start, end) > limit)
        return -ENOMEM;
    error = regions_split_at(space, start, end);
    if (error)
        return error;
    for (region = region_find_from(space, start); region && region->start < end;
         region = region_next(region)) {
        if (region->flags & REGION_SPECIAL)
            continue;
        region_set_flags(region, flags & SPACE_LOCK ? region->flags | REGION_LOCKED
                                                    : region->flags & ~REGION_LOCKED);
        region = region_merge(region);
    }
    return 0;
}

int space_bring_in(struct address_space *space, u64 start, u64 end)
{
    int result = 0;

    while (start < end && result != -EINTR) {
        struct region *region;
        u64 until = end;
        u32 flags = 0;
        int error = 0;

        rwlock_read_lock(&space->lock);
        region = region_find_from(space, start);
        if (region && region->start < end) {
            start = MAX(start, region->start);
            until = MIN(region->end, end);
            flags = region->flags;
        }
        rwlock_read_unlock(&space->lock);
        if (flags & (REGION_READ | REGION_WRITE))
            error = address_space_populate(space, start, until - start,
                                           (flags & (REGION_WRITE | REGION_SHARED)) == REGION_WRITE
                                               ? PAGER_WRITE
                                               : PAGER_READ);
        else if (flags)
            error = -EFAULT;
        if (error)
            result = error == -EINTR ? -EINTR : -ENOMEM;
        start = until;
    }
    return result;
}

/* What cannot be brought in is an error for mlock, and stays locked all the same (mlock(2)). */
int address_space_lock(struct address_space *space, u64 start, u64 end, unsigned flags)
{
    int error;

    if (start >= end)
        return 0;
    rwlock_write_lock(&space->lock);
    error = lock_locked(space, start, end, flags);
    space_write_unlock(space);
    if (!error && (flags & SPACE_LOCK_POPULATE))
        error = space_bring_in(space, start, end);
    return error;
}

/* What cannot be brought in faults later: here that is no error. */
int address_space_lock_all(struct address_space *space, unsigned now, unsigned future)
{
    int error = 0;

    rwlock_write_lock(&space->lock);
    if (now)
        error = lock_locked(space, 0, USER_END, now | LOCK_ALL);
    if (!error)
        space->lock_future = (u8)future;
    space_write_unlock(space);
    if (!error && (now & SPACE_LOCK_POPULATE))
        (void)!space_bring_in(space, 0, USER_END);
    return error;
}

int address_space_unlock_all(struct address_space *space)
{
    int error;

    rwlock_write_lock(&space->lock);
    error = lock_locked(space, 0, USER_END, LOCK_ALL);
    if (!error)
        space->lock_future = 0;
    space_write_unlock(space);
    return error;
}
