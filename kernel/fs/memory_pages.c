/*
 * Pages of files that lie in memory alone: tmpfs's, and what the overlay has written; and what such
 * files keep beside them.
 *
 * Each file system has a limit, half of memory if nobody says otherwise; but there are several, and
 * what they hold can be taken from nobody by the out-of-memory choice. So together they never get
 * more than ALL_SHARE of memory: the writer that fills the last of them gets ENOSPC, and programs
 * go on running in what is left. Names (whiteouts too), symbolic links' texts and extended
 * attributes are small, but a user can have any number of them: together they get KEPT_SHARE.
 *
 * Counts are atomic and taken before what they stand for, so a limit is never passed, though two
 * who want the last page at the same moment may both be refused.
 */
#include "memory_pages.h"

#include <pith/mem.h>
#include <pith/page_cache.h>

/* Three quarters. */
#define ALL_SHARE(frames) ((frames) / 4 * 3)

/* A sixteenth: half a million names of a machine with 1 GiB. */
#define KEPT_SHARE(frames) ((frames)*PAGE_SIZE / 16)

static u64 all_used;   /* [atomic] pages */
static u64 kept_bytes; /* [atomic] */

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

int memory_kept_take(size_t bytes)
{
    if (__atomic_add_fetch(&kept_bytes, bytes, __ATOMIC_RELAXED) <=
        KEPT_SHARE(frames_total_count()))
        return 0;
    memory_kept_give(bytes);
    return -ENOSPC;
}

void memory_kept_give(size_t bytes)
{
    __atomic_fetch_sub(&kept_bytes, bytes, __ATOMIC_RELAXED);
}
