/*
 * Pages of files that lie in memory alone: tmpfs's, and what the overlay has written.
 *
 * Each file system has a limit, half of memory if nobody says otherwise; but there are several, and
 * what they hold can be taken from nobody by the out-of-memory choice. So together they never get
 * more than ALL_SHARE of memory: the writer that fills the last of them gets ENOSPC, and programs
 * go on running in what is left.
 *
 * Counts are atomic and taken before what they stand for, so a limit is never passed, though two
 * who want the last page at the same moment may both be refused.
 */
#include "memory_pages.h"

#include <pith/mem.h>
#include <pith/page_cache.h>

/* Three quarters. */
#define ALL_SHARE(frames) ((frames) / 4 * 3)

static u64 all_used; /* [atomic] */

int limit_take(u64 *used, u64 max)
{
    if (__atomic_add_fetch(used, 1, __ATOMIC_RELAXED) <= max || !max)
        return 0;
    __atomic_fetch_sub(used, 1, __ATOMIC_RELAXED);
    return -ENOSPC;
}

int memory_page_take(u64 *used, u64 max)
{
    int error = limit_take(used, max);

    if (error)
        return error;
    error = limit_take(&all_used, ALL_SHARE(frames_total_count()));
    if (error)
        __atomic_fetch_sub(used, 1, __ATOMIC_RELAXED);
    return error;
}

void memory_pages_give(u64 *used, u64 count)
{
    __atomic_fetch_sub(used, count, __ATOMIC_RELAXED);
    __atomic_fetch_sub(&all_used, count, __ATOMIC_RELAXED);
}

u64 memory_pages_count(void)
{
    return READ_ONCE(all_used);
}
