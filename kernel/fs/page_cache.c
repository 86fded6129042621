/*
 * The page cache: which frames hold a file's pages (page_cache.h has the picture).
 *
 * A page enters the tree locked and not up to date; whoever put it there reads it and unlocks it.
 * Others find it meanwhile, wait for its lock, and look whether it is still there and up to date.
 *
 *     absent --insert--> LOCKED --read--> UPTODATE --unlock--> (found, mapped, written: DIRTY)
 *        ^                                                         |
 *        '------------------- truncate, reclaim -------------------'
 *
 * A page is found under cache->lock and gets a reference there. So one that has no reference but
 * the tree's, seen under that lock, is nobody's, and can be taken out at once (page_reclaim.c); one
 * that others have is locked first, and they see by its owner that it has gone.
 *
 * Who has a page locked waits for no other page of the same file: a run that is read ahead consists
 * of new pages, which nobody else can have locked. So page locks form no circles.
 *
 * Who wants to read waits for a page's lock only while the page is not up to date. A fault comes
 * with its address space locked, and a write-back locks address spaces with the page locked; but it
 * does so only with pages that are up to date, and these never stop being so:
 *
 *     write(2)                                       a fault on the same page
 *     locks the page, reads it
 *                                                    holds the address space, waits for the page
 *     marks it up to date, unlocks it: all wake
 *     locks it again to write it back
 *     waits for the address space                    it is up to date: goes on without the lock
 *
 * Writing back. What is marked DIRTY must reach the file even if it is changed while it is written.
 * A store through a mapping is seen only if its entry is read-only, and a fault then marks the
 * page; so the mark goes before the entries are made read-only, and these before the data is read:
 *
 *     write-back (page locked)            a store through a mapping
 *     DIRTY goes
 *                                         entry still writable: no fault, not sent yet either
 *     entries read-only
 *     the page is sent                    faults: DIRTY again, so it will be sent again
 *
 * The other way round, a fault between the two would find the page marked, and the mark would go
 * with nobody left to set it. Making entries read-only takes the address space's lock with the page
 * locked, and a fault comes with that lock held: so a fault marks a page without its lock.
 *
 * Cutting. A file is made shorter, or a hole punched, in this order: size (by the caller), pages
 * out of the tree, pages out of the mappings. A fault that found its page before that has mapped it
 * by the time the mappings are walked, since it holds the address space; one that comes later finds
 * the new size, or a new page. What was stored through a mapping in between goes with the page.
 *
 * Invariant: frame.cache.owner == the cache exactly while the tree has the page; dirty_count is the
 *            number of pages marked DIRTY plus those that are being written back. A page that is
 *            DIRTY and not up to date is locked, by who fills it.
 * Locking:   inode.lock (size), page lock (a bit in frame.flags, a sleeping lock), address spaces,
 *            then cache->lock. The exception is the lock of a page that is not up to date, which
 *            comes inside an address space (a fault reads it in). Waiters for page locks share a
 *            few queues by the frame's number.
 * Context:   all but page_cache_find, page_try_lock and page_mark_dirty sleep.
 */
#include <pith/fs.h>

#include "page_cache_internal.h"

#define PAGE_QUEUES 64
#define PAGES_MOST  (U64_MAX / PAGE_SIZE) /* more than any file has */

static struct wait_queue page_queues[PAGE_QUEUES];

void page_cache_init(struct page_cache *cache, struct inode *inode)
{
    *cache = (struct page_cache){.inode = inode};
    spin_init(&cache->lock, LOCK_PAGE_CACHE);
    radix_init(&cache->pages, &radix_slab_allocator);
    mapping_init(&cache->mapping);
    list_init(&cache->clock_link);
}

/* ---- The page lock ---- */

static struct wait_queue *queue_of(const struct frame *frame)
{
    return &page_queues[(frame_address(frame) >> PAGE_SHIFT) % PAGE_QUEUES];
}

bool page_try_lock(struct frame *frame)
{
    u16 before = __atomic_fetch_or(&frame->flags, (u16)FRAME_FLAG_LOCKED, __ATOMIC_ACQUIRE);

    return !(before & FRAME_FLAG_LOCKED);
}

/* Waits for the lock, or until the page has one of the flags `enough`. Whether it is locked now. */
static bool page_lock_unless(struct frame *frame, u16 enough)
{
    struct wait_queue *queue = queue_of(frame);
    bool is_locked;
    int error;

    if (page_try_lock(frame))
        return true;
    spin_lock(&queue->lock);
    for (;;) {
        /* Marked before the try: an unlock that this try misses sees the mark, and wakes. */
        __atomic_fetch_or(&frame->flags, (u16)FRAME_FLAG_WAITED, __ATOMIC_SEQ_CST);
        is_locked = page_try_lock(frame);
        if (is_locked || (__atomic_load_n(&frame->flags, __ATOMIC_ACQUIRE) & enough))
            break;
        error = wait_queue_wait(queue, WAIT_UNINTERRUPTIBLE, WAIT_FOR_FILE);
        assert(!error);
    }
    spin_unlock(&queue->lock);
    return is_locked;
}

void page_lock(struct frame *frame)
{
    (void)page_lock_unless(frame, 0);
}

/* For who wants to read: whether it is locked, and so his to read. If not, it is up to date. */
static bool page_lock_to_read(struct frame *frame)
{
    if (!page_lock_unless(frame, FRAME_FLAG_UPTODATE))
        return false;
    if (!page_is_uptodate(frame))
        return true;
    page_unlock(frame);
    return false;
}

void page_unlock(struct frame *frame)
{
    struct wait_queue *queue = queue_of(frame);
    u16 before = __atomic_fetch_and(&frame->flags, (u16)~FRAME_FLAG_LOCKED, __ATOMIC_SEQ_CST);

    if (!(before & FRAME_FLAG_WAITED))
        return;
    spin_lock(&queue->lock);
    __atomic_fetch_and(&frame->flags, (u16)~FRAME_FLAG_WAITED, __ATOMIC_RELAXED);
    wait_queue_wake_locked(queue, WAKE_ALL, 0);
    spin_unlock(&queue->lock);
}

/* ---- Finding ---- */

static void mark_referenced(struct frame *frame)
{
    if (!(READ_ONCE(frame->flags) & FRAME_FLAG_REFERENCED))
        __atomic_fetch_or(&frame->flags, (u16)FRAME_FLAG_REFERENCED, __ATOMIC_RELAXED);
}

/* In whatever state, with a reference; NULL: absent. */
static struct frame *page_find_any(struct page_cache *cache, u64 index)
{
    struct frame *frame;

    spin_lock(&cache->lock);
    frame = radix_lookup(&cache->pages, index);
    if (frame)
        frame_get(frame);
    spin_unlock(&cache->lock);
    if (frame)
        mark_referenced(frame);
    return frame;
}

struct frame *page_cache_find(struct page_cache *cache, u64 index)
{
    struct frame *frame = page_find_any(cache, index);

    if (frame && !page_is_uptodate(frame)) {
        frame_put(frame);
        return NULL;
    }
    return frame;
}

/* Whether a locked page is still where it was found. */
static bool page_belongs(const struct frame *frame, const struct page_cache *cache, u64 index)
{
    return frame->cache.owner == cache && frame->cache.index == index;
}

/*
 * Puts a new page in, locked and not up to date, with a reference for the caller. -EEXIST: there is
 * one by now; -ENOMEM.
 */
static int page_insert(struct page_cache *cache, u64 index, struct frame **frame_out)
{
    struct frame *frame = frame_alloc(0, FRAME_CACHE, 0);
    int error;

    if (!frame)
        return -ENOMEM;
    frame->flags = FRAME_FLAG_LOCKED;
    frame->cache.owner = cache;
    frame->cache.index = index;
    frame_get(frame); /* the tree's */
    spin_lock(&cache->lock);
    error = radix_insert(&cache->pages, index, frame);
    if (!error)
        cache->count++;
    spin_unlock(&cache->lock);
    if (error) {
        frame->cache.owner = NULL;
        frame_put(frame);
        frame_put(frame);
        return error;
    }
    page_clock_add(cache);
    *frame_out = frame;
    return 0;
}

static bool page_lock_to_write(struct frame *frame)
{
    page_lock(frame);
    return true;
}

/*
 * Finds the page and locks it by `lock`, or puts a new one in. A page that has left the cache by
 * the time its lock was had is not it: looked for again. 0: it is locked; 1: `lock` was false.
 */
static int page_get(struct page_cache *cache, u64 index, bool (*lock)(struct frame *frame),
                    struct frame **frame_out)
{
    for (;;) {
        struct frame *frame = page_find_any(cache, index);
        int error;

        if (frame) {
            bool is_locked = lock(frame);

            if (!is_locked || page_belongs(frame, cache, index)) {
                *frame_out = frame;
                return is_locked ? 0 : 1;
            }
            page_unlock(frame);
            frame_put(frame);
            continue;
        }
        error = page_insert(cache, index, frame_out);
        if (error != -EEXIST)
            return error;
    }
}

int page_cache_get_locked(struct inode *inode, u64 index, struct frame **frame_out)
{
    return page_get(&inode->pages, index, page_lock_to_write, frame_out);
}

/* ---- Reading ---- */

/*
 * Puts in the run of absent pages that begins behind `frames[0]`, as far as it goes, up to `most`
 * in all. Returns how many there are.
 */
static u32 run_insert(struct inode *inode, u64 first, u32 most, struct frame **frames)
{
    u64 end = DIV_ROUND_UP(READ_ONCE(inode->size), PAGE_SIZE);
    u32 count = 1;

    while (count < most && first + count < end &&
           !page_insert(&inode->pages, first + count, &frames[count]))
        count++;
    return count;
}

/*
 * Reads a run of locked pages and unlocks them; gives up all references but the first's. Only the
 * first page's fate is the caller's business: what could not be read ahead is tried again by who
 * wants it.
 */
static int run_read(struct inode *inode, u64 first, u32 count, struct frame **frames)
{
    int error = inode->pages.operations->read(inode, first, count, frames);

    for (u32 i = 0; i < count; i++) {
        page_unlock(frames[i]);
        if (i > 0)
            frame_put(frames[i]);
    }
    if (page_is_uptodate(frames[0]))
        return 0;
    return error ? error : -EIO;
}

int page_cache_get_pages(struct inode *inode, u64 index, u32 read_ahead, struct frame **frame_out)
{
    struct frame *frames[READ_AHEAD_MAX + 1];
    u32 most = MIN(read_ahead, READ_AHEAD_MAX) + 1, count = 1;
    int error;

    frames[0] = page_cache_find(&inode->pages, index);
    if (frames[0])
        goto found;
    error = page_get(&inode->pages, index, page_lock_to_read, &frames[0]);
    if (error < 0)
        return error;
    if (error > 0)
        goto found;
    count = run_insert(inode, index, most, frames);
    error = run_read(inode, index, count, frames);
    if (error) {
        frame_put(frames[0]);
        return error;
    }
found:
    *frame_out = frames[0];
    return 0;
}

int page_cache_get_page(struct inode *inode, u64 index, struct frame **frame_out)
{
    return page_cache_get_pages(inode, index, 0, frame_out);
}

/* ---- Dirty pages ---- */

/* Sets the mark, if the page is the cache's and has none. 0; -EEXIST: it has one; -EAGAIN. */
static int dirty_mark_set(struct page_cache *cache, struct frame *frame)
{
    int error = -EAGAIN;

    spin_lock(&cache->lock);
    if (frame->cache.owner == cache) {
        u16 before = __atomic_fetch_or(&frame->flags, (u16)FRAME_FLAG_DIRTY, __ATOMIC_RELAXED);

        error = before & FRAME_FLAG_DIRTY ? -EEXIST : 0;
        cache->dirty_count += error ? 0 : 1;
    }
    spin_unlock(&cache->lock);
    return error;
}

int page_mark_dirty(struct page_cache *cache, struct frame *frame)
{
    const struct page_cache_operations *operations = cache->operations;
    int error = 0;

    if ((READ_ONCE(frame->flags) & FRAME_FLAG_DIRTY) && READ_ONCE(frame->cache.owner) == cache)
        return 0;
    if (operations->page_dirtied)
        error = operations->page_dirtied(cache->inode, frame->cache.index);
    if (error)
        return error;
    error = dirty_mark_set(cache, frame);
    if (error && operations->pages_dropped)
        operations->pages_dropped(cache->inode, 1);
    return error == -EEXIST ? 0 : error;
}

void page_unmark_dirty(struct page_cache *cache, struct frame *frame)
{
    spin_lock(&cache->lock);
    __atomic_fetch_and(&frame->flags, (u16)~FRAME_FLAG_DIRTY, __ATOMIC_RELAXED);
    cache->dirty_count--;
    spin_unlock(&cache->lock);
    if (cache->operations->pages_dropped)
        cache->operations->pages_dropped(cache->inode, 1);
}

/* Writes one page back if it is dirty. It is locked, so up to date if it is. */
static int page_write_back(struct inode *inode, struct frame *frame)
{
    struct page_cache *cache = &inode->pages;
    u64 start = frame->cache.index * PAGE_SIZE;
    u64 size = READ_ONCE(inode->size);
    int error = 0;

    if (!(READ_ONCE(frame->flags) & FRAME_FLAG_DIRTY))
        return 0;
    assert(page_is_uptodate(frame));
    __atomic_fetch_and(&frame->flags, (u16)~FRAME_FLAG_DIRTY, __ATOMIC_RELAXED);
    mapping_write_protect(&cache->mapping, frame->cache.index, 1);
    if (start < size)
        error = cache->operations->write(inode, frame->cache.index, frame,
                                         MIN(size - start, PAGE_SIZE));
    spin_lock(&cache->lock);
    if (error && !(frame->flags & FRAME_FLAG_DIRTY))
        __atomic_fetch_or(&frame->flags, (u16)FRAME_FLAG_DIRTY, __ATOMIC_RELAXED);
    else
        cache->dirty_count--; /* it is written, or counted anew by who marked it again */
    spin_unlock(&cache->lock);
    return error;
}

struct frame *page_next(struct page_cache *cache, u64 *index)
{
    struct frame *frame;

    spin_lock(&cache->lock);
    frame = radix_next(&cache->pages, index);
    if (frame)
        frame_get(frame);
    spin_unlock(&cache->lock);
    return frame;
}

/* A page that is locked may be one that another thread is writing back: it is waited for, too. */
int page_cache_sync_range(struct inode *inode, u64 first, u64 end)
{
    struct page_cache *cache = &inode->pages;
    struct frame *frame = NULL;
    int error = 0;

    if (!cache->operations || !cache->operations->write)
        return 0;
    for (u64 index = first; READ_ONCE(cache->dirty_count) && (frame = page_next(cache, &index));
         index++) {
        int page_error = 0;

        if (index < end && (READ_ONCE(frame->flags) & (FRAME_FLAG_DIRTY | FRAME_FLAG_LOCKED))) {
            page_lock(frame);
            if (page_belongs(frame, cache, index))
                page_error = page_write_back(inode, frame);
            page_unlock(frame);
        }
        frame_put(frame);
        error = error ? error : page_error;
        if (index >= end)
            break;
        sched_point();
    }
    return error;
}

int page_cache_sync(struct inode *inode)
{
    return page_cache_sync_range(inode, 0, U64_MAX);
}

/* ---- Taking pages out ---- */

void page_remove_locked(struct page_cache *cache, struct frame *frame)
{
    radix_remove(&cache->pages, frame->cache.index);
    cache->count--;
    if (frame->flags & FRAME_FLAG_DIRTY)
        cache->dirty_count--;
    frame->cache.owner = NULL;
}

/* Takes one locked page out, unless it has a flag of `spared`. Returns the flags that it had. */
static u16 page_remove(struct page_cache *cache, struct frame *frame, u16 spared)
{
    u16 flags;

    spin_lock(&cache->lock);
    flags = frame->flags;
    if (!(flags & spared))
        page_remove_locked(cache, frame);
    spin_unlock(&cache->lock);
    if (!(flags & spared))
        frame_put(frame);
    return flags;
}

/*
 * Takes out what lies in [first, end) and has no flag of `spared` (DIRTY or 0), whoever else refers
 * to it, and gives back the room that dirty pages had.
 */
static void pages_remove(struct page_cache *cache, u64 first, u64 end, u16 spared)
{
    struct frame *frame;
    u64 dirty = 0;

    for (u64 index = first; (frame = page_next(cache, &index)) && index < end; index++) {
        page_lock(frame);
        if (page_belongs(frame, cache, index))
            dirty += page_remove(cache, frame, spared) & ~spared & FRAME_FLAG_DIRTY ? 1 : 0;
        page_unlock(frame);
        frame_put(frame);
        sched_point();
    }
    if (frame)
        frame_put(frame);
    if (dirty && cache->operations->pages_dropped)
        cache->operations->pages_dropped(cache->inode, dirty);
}

/* Clears a part of a page that is in memory, also of one that is just being read. */
static void page_clear_part(struct inode *inode, u64 index, u32 from, u32 to)
{
    struct frame *frame = page_find_any(&inode->pages, index);

    if (!frame)
        return;
    page_lock(frame);
    if (page_belongs(frame, &inode->pages, index) && page_is_uptodate(frame))
        memset((u8 *)frame_data(frame) + from, 0, to - from);
    page_unlock(frame);
    frame_put(frame);
}

void page_cache_truncate(struct inode *inode, u64 new_size)
{
    u32 within = new_size & (PAGE_SIZE - 1);
    u64 first = DIV_ROUND_UP(new_size, PAGE_SIZE);

    if (within)
        page_clear_part(inode, new_size / PAGE_SIZE, within, PAGE_SIZE);
    pages_remove(&inode->pages, first, U64_MAX, 0);
    mapping_zap(&inode->pages.mapping, first, PAGES_MOST, MAPPING_PRIVATE_TOO);
}

void page_cache_punch(struct inode *inode, u64 first, u64 count)
{
    struct page_cache *cache = &inode->pages;

    pages_remove(cache, first, first + count, 0);
    mapping_zap(&cache->mapping, first, count, 0);
}

void page_cache_clear(struct inode *inode, u64 from, u64 to)
{
    u64 first = DIV_ROUND_UP(from, PAGE_SIZE), end = to / PAGE_SIZE;

    if (first > end) { /* all in one page */
        page_clear_part(inode, end, from % PAGE_SIZE, to % PAGE_SIZE);
        return;
    }
    if (from % PAGE_SIZE)
        page_clear_part(inode, first - 1, from % PAGE_SIZE, PAGE_SIZE);
    if (first < end)
        page_cache_punch(inode, first, end - first);
    if (to % PAGE_SIZE)
        page_clear_part(inode, end, 0, to % PAGE_SIZE);
}

void page_cache_invalidate(struct inode *inode, u64 first, u64 count)
{
    struct page_cache *cache = &inode->pages;

    pages_remove(cache, first, first + count, FRAME_FLAG_DIRTY);
    mapping_zap(&cache->mapping, first, count, 0);
}

void page_cache_fini(struct page_cache *cache)
{
    pages_remove(cache, 0, U64_MAX, 0);
    page_clock_remove(cache);
}

void page_caches_init(void)
{
    for (unsigned i = 0; i < PAGE_QUEUES; i++)
        wait_queue_init(&page_queues[i]);
    page_clock_init();
}
