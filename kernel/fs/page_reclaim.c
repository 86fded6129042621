/*
 * Taking the page cache's memory back: a clock hand that goes from cache to cache (OSTEP 22.8).
 *
 * The caches that have pages lie in a circle. The hand stands at one of them; it looks at its pages
 * in order, gives those that were used since it last came by another round (REFERENCED), and takes
 * out those that nobody refers to and that are clean. Then it moves on. One full circle clears all
 * marks, so two find everything that can go.
 *
 *     [cache A] -> [cache B] -> [cache C] -> ...   the front is looked at, then put at the back
 *        pages:  used: the mark goes | clean, nobody's: it goes | dirty or mapped: it stays
 *
 * A mapped page has a reference for each entry that shows it, so it is nobody's only after vm/ has
 * let it go; a locked page has its locker's. So one look at the count under cache->lock decides.
 *
 * An inode whose last reference goes meanwhile takes its cache out of the circle under clock.lock,
 * so what the hand finds there is memory; whether it still lives, inode_get_if_alive says.
 *
 * Locking: clock.lock guards the circle; cache->lock, for a batch of pages at a time, the decision:
 *          under it nobody can find a page, so one without other references is ours.
 * Context: called when an allocation found no memory, in a thread that may sleep; putting the last
 *          reference of an inode may end it here.
 */
#include <pith/fs.h>

#include "page_cache_internal.h"

#define BATCH_PAGES 32

static struct {
    struct spinlock lock; /* LOCK_PAGE_CLOCK */
    struct list caches;   /* guarded_by(&lock) the hand is at the front */
    u64 count;            /* guarded_by(&lock) */
} clock;

void page_clock_add(struct page_cache *cache)
{
    if (list_is_linked(&cache->clock_link))
        return;
    spin_lock(&clock.lock);
    if (!list_is_linked(&cache->clock_link)) {
        list_push_back(&clock.caches, &cache->clock_link);
        clock.count++;
    }
    spin_unlock(&clock.lock);
}

void page_clock_remove(struct page_cache *cache)
{
    spin_lock(&clock.lock);
    if (list_is_linked(&cache->clock_link)) {
        list_remove(&cache->clock_link);
        clock.count--;
    }
    spin_unlock(&clock.lock);
}

/* The cache under the hand, with a reference on its inode; the hand moves on. NULL: none. */
static struct page_cache *clock_next(void)
{
    struct page_cache *found = NULL;
    struct list *link;

    spin_lock(&clock.lock);
    link = list_pop_front(&clock.caches);
    if (link) {
        struct page_cache *cache = list_entry(link, struct page_cache, clock_link);

        list_push_back(&clock.caches, link);
        if (inode_get_if_alive(cache->inode))
            found = cache;
    }
    spin_unlock(&clock.lock);
    return found;
}

/* Whether the page can go now; takes its mark away otherwise. cache->lock is held. */
static bool page_can_go(struct frame *frame)
{
    if (frame->flags & FRAME_FLAG_REFERENCED) {
        __atomic_fetch_and(&frame->flags, (u16)~FRAME_FLAG_REFERENCED, __ATOMIC_RELAXED);
        return false;
    }
    return refcount_read(&frame->references) == 1 &&
           !(frame->flags & (FRAME_FLAG_DIRTY | FRAME_FLAG_LOCKED));
}

/* Looks at a batch of pages from *index on. Returns how many went; *index U64_MAX: that was all. */
static u64 batch_reclaim(struct page_cache *cache, u64 *index)
{
    struct frame *gone[BATCH_PAGES], *frame = NULL;
    u64 count = 0;

    spin_lock(&cache->lock);
    for (unsigned i = 0; i < BATCH_PAGES; i++) {
        frame = radix_next(&cache->pages, index);
        if (!frame)
            break;
        if (page_can_go(frame)) {
            page_remove_locked(cache, frame);
            gone[count++] = frame;
        }
        ++*index;
    }
    spin_unlock(&cache->lock);
    if (!frame)
        *index = U64_MAX;
    for (u64 i = 0; i < count; i++)
        frame_put(gone[i]);
    return count;
}

static u64 cache_reclaim(struct page_cache *cache, u64 wanted)
{
    u64 freed = 0, index = 0;

    while (freed < wanted && index != U64_MAX)
        freed += batch_reclaim(cache, &index);
    return freed;
}

static u64 clock_reclaim(u64 wanted)
{
    u64 freed = 0, rounds = 2 * READ_ONCE(clock.count);

    while (freed < wanted && rounds--) {
        struct page_cache *cache = clock_next();

        if (!cache)
            continue;
        freed += cache_reclaim(cache, wanted - freed);
        inode_put(cache->inode);
    }
    return freed;
}

static struct reclaimer page_reclaimer = {.name = "page cache", .reclaim = clock_reclaim};

void page_clock_init(void)
{
    spin_init(&clock.lock, LOCK_PAGE_CLOCK);
    list_init(&clock.caches);
    reclaimer_register(&page_reclaimer);
}
