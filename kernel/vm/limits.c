/*
 * How much an address space may have: resource limits, and what the machine has promised already.
 *
 *     RLIMIT_AS         all regions                       ENOMEM
 *     RLIMIT_DATA       private, writable, no stack       ENOMEM
 *     RLIMIT_MEMLOCK    locked                            EAGAIN
 *     overcommit        COMMITTED: private, writable      ENOMEM
 *
 * A private writable page may come to need a frame of its own; a region whose pages are counted
 * among those promises is COMMITTED, and so is memory shared without a file. vm.overcommit_memory
 * says what is made of the sum (proc(5)):
 *
 *     0   only what alone could never fit is refused
 *     1   nothing is
 *     2   the sum stays below CommitLimit, and MAP_NORESERVE takes nothing out of it
 *
 * Two that ask at the same time may both get the last of it; as on Linux the sum is no exact wall.
 *
 * Locking: the sum is atomic; a space's part of it changes with the space's other sums.
 */
#include "internal.h"

struct overcommit overcommit = {.mode = OVERCOMMIT_GUESS, .ratio = 50};

static u64 committed;                             /* [atomic] pages */
static u64 (*limit_hook)(enum space_limit limit); /* [const] after boot */

void space_limits_register(u64 (*limit_pages)(enum space_limit limit))
{
    limit_hook = limit_pages;
}

u64 space_limit(enum space_limit limit)
{
    return limit_hook(limit);
}

/* ---- Promises ---- */

u64 commit_count(void)
{
    return READ_ONCE(committed);
}

u64 commit_limit(void)
{
    s64 kbytes = READ_ONCE(overcommit.kbytes);

    if (kbytes)
        return (u64)kbytes / (PAGE_SIZE / 1024);
    return frames_total_count() * (u64)READ_ONCE(overcommit.ratio) / 100;
}

void commit_add(s64 pages)
{
    __atomic_fetch_add(&committed, (u64)pages, __ATOMIC_RELAXED);
}

/* GUESS refuses what could never fit even alone: a mistake, mostly. */
bool commit_allows(u64 pages)
{
    switch (READ_ONCE(overcommit.mode)) {
    case OVERCOMMIT_ALWAYS:
        return true;
    case OVERCOMMIT_NEVER:
        return commit_count() + pages < commit_limit();
    default:
        return pages <= frames_total_count();
    }
}

int commit_take(u64 pages)
{
    if (!commit_allows(pages))
        return -ENOMEM;
    commit_add((s64)pages);
    return 0;
}

void commit_give(u64 pages)
{
    commit_add(-(s64)pages);
}

/*
 * Pages of a private writable region may each need a frame; shared ones are counted with their
 * object.
 */
u32 region_commitment(u32 flags)
{
    if ((flags & (REGION_WRITE | REGION_SHARED)) != REGION_WRITE)
        return 0;
    if ((flags & REGION_NO_RESERVE) && READ_ONCE(overcommit.mode) != OVERCOMMIT_NEVER)
        return 0;
    return REGION_COMMITTED;
}

/* ---- Growing ---- */

/* RLIMIT_MEMLOCK is -EAGAIN, all else -ENOMEM (mmap(2)). */
int space_growth_check(const struct address_space *space, u32 flags, u64 pages)
{
    if (space->total_pages + pages > space_limit(SPACE_LIMIT_TOTAL))
        return -ENOMEM;
    if (region_is_data(flags) && space->data_pages + pages > space_limit(SPACE_LIMIT_DATA))
        return -ENOMEM;
    if ((flags & REGION_LOCKED) && space->locked_pages + pages > space_limit(SPACE_LIMIT_LOCKED))
        return -EAGAIN;
    if ((flags & REGION_COMMITTED) && !commit_allows(pages))
        return -ENOMEM;
    return 0;
}
