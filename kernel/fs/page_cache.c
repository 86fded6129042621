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
 * Locking: page lock (LOCKED in frame.flags, a sleeping lock), then cache->lock. Waiters for page
 *          locks share a few queues by the frame's number.
 */
#include <pith/fs.h>

#include "page_cache_internal.h"

#define PAGE_QUEUES 64

static struct wait_queue page_queues[PAGE_QUEUES];
static struct slab_cache *node_cache; /* radix nodes */

static struct radix_node *node_alloc(void)
{
    return slab_alloc(node_cache, ALLOC_CLEARED | ALLOC_NOWAIT);
}

static void node_free(struct radix_node *node)
{
    slab_free(node_cache, node);
}

static const struct radix_allocator node_allocator = {.alloc = node_alloc, .free = node_free};

void page_cache_init(struct page_cache *cache, struct inode *inode)
{
    *cache = (struct page_cache){.inode = inode};
    spin_init(&cache->lock, LOCK_PAGE_CACHE);
    radix_init(&cache->pages, &node_allocator);
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

void page_lock(struct frame *frame)
{
    struct wait_queue *queue = queue_of(frame);
    int error = 0;

    if (page_try_lock(frame))
        return;
    spin_lock(&queue->lock);
    for (;;) {
        /* Marked before the try: an unlock that this try misses sees the mark, and wakes. */
        __atomic_fetch_or(&frame->flags, (u16)FRAME_FLAG_WAITED, __ATOMIC_SEQ_CST);
        if (page_try_lock(frame))
            break;
        error = wait_queue_wait(queue, WAIT_UNINTERRUPTIBLE, WAIT_FOR_FILE);
        assert(!error);
    }
    spin_unlock(&queue->lock);
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

int page_cache_get_locked(struct inode *inode, u64 index, struct frame **frame_out)
{
    struct page_cache *cache = &inode->pages;

    for (;;) {
        struct frame *frame = page_find_any(cache, index);
        int error;

        if (frame) {
            page_lock(frame);
            if (page_belongs(frame, cache, index)) {
                *frame_out = frame;
                return 0;
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

/* Reads a run of locked pages and unlocks them; gives up all references but the first's. */
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
    error = page_cache_get_locked(inode, index, &frames[0]);
    if (error)
        return error;
    if (page_is_uptodate(frames[0])) {
        page_unlock(frames[0]);
        goto found;
    }
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

int page_mark_dirty(struct page_cache *cache, struct frame *frame)
{
    int error;

    if (READ_ONCE(frame->flags) & FRAME_FLAG_DIRTY)
        return 0;
    if (cache->operations->page_dirtied) {
        error = cache->operations->page_dirtied(cache->inode, frame->cache.index);
        if (error)
            return error;
    }
    __atomic_fetch_or(&frame->flags, (u16)FRAME_FLAG_DIRTY, __ATOMIC_RELAXED);
    spin_lock(&cache->lock);
    cache->dirty_count++;
    spin_unlock(&cache->lock);
    return 0;
}

/* Writes one page back if it is dirty. It is locked. */
static int page_write_back(struct inode *inode, struct frame *frame)
{
    struct page_cache *cache = &inode->pages;
    u64 start = frame->cache.index * PAGE_SIZE;
    u64 size = READ_ONCE(inode->size);
    int error = 0;

    if (!(READ_ONCE(frame->flags) & FRAME_FLAG_DIRTY))
        return 0;
    /* Who writes through a mapping from here on faults, and marks it dirty again. */
    mapping_write_protect(&cache->mapping, frame->cache.index, 1);
    __atomic_fetch_and(&frame->flags, (u16)~FRAME_FLAG_DIRTY, __ATOMIC_RELAXED);
    if (start < size)
        error = cache->operations->write(inode, frame->cache.index, frame,
                                         MIN(size - start, PAGE_SIZE));
    spin_lock(&cache->lock);
    if (error)
        __atomic_fetch_or(&frame->flags, (u16)FRAME_FLAG_DIRTY, __ATOMIC_RELAXED);
    else
        cache->dirty_count--;
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

int page_cache_sync(struct inode *inode)
{
    struct page_cache *cache = &inode->pages;
    struct frame *frame;
    int error = 0;

    if (!cache->operations || !cache->operations->write)
        return 0;
    for (u64 index = 0; READ_ONCE(cache->dirty_count) && (frame = page_next(cache, &index));
         index++) {
        int page_error = 0;

        if (READ_ONCE(frame->flags) & FRAME_FLAG_DIRTY) {
            page_lock(frame);
            if (page_belongs(frame, cache, index))
                page_error = page_write_back(inode, frame);
            page_unlock(frame);
        }
        frame_put(frame);
        error = error ? error : page_error;
    }
    return error;
}

/* ---- Taking pages out ---- */

/* The page is in the tree, and locked or nobody's. The tree's reference is the caller's now. */
void page_remove_locked(struct page_cache *cache, struct frame *frame)
{
    radix_remove(&cache->pages, frame->cache.index);
    cache->count--;
    if (frame->flags & FRAME_FLAG_DIRTY)
        cache->dirty_count--;
    frame->cache.owner = NULL;
}

/* Takes out what lies in [first, end). Returns how many dirty pages that were. */
static u64 pages_remove(struct page_cache *cache, u64 first, u64 end)
{
    struct frame *frame;
    u64 dirty = 0;

    for (u64 index = first; (frame = page_next(cache, &index)) && index < end; index++) {
        page_lock(frame);
        if (page_belongs(frame, cache, index)) {
            spin_lock(&cache->lock);
            dirty += frame->flags & FRAME_FLAG_DIRTY ? 1 : 0;
            page_remove_locked(cache, frame);
            spin_unlock(&cache->lock);
            frame_put(frame);
        }
        page_unlock(frame);
        frame_put(frame);
        sched_point();
    }
    if (frame)
        frame_put(frame);
    return dirty;
}

static void pages_drop(struct inode *inode, u64 first, u64 end)
{
    struct page_cache *cache = &inode->pages;
    u64 dirty;

    mapping_zap(&cache->mapping, first, end - first, MAPPING_PRIVATE_TOO);
    dirty = pages_remove(cache, first, end);
    if (dirty && cache->operations->pages_dropped)
        cache->operations->pages_dropped(inode, dirty);
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

    if (within)
        page_clear_part(inode, new_size / PAGE_SIZE, within, PAGE_SIZE);
    pages_drop(inode, DIV_ROUND_UP(new_size, PAGE_SIZE), U64_MAX / PAGE_SIZE);
}

void page_cache_punch(struct inode *inode, u64 first, u64 count)
{
    pages_drop(inode, first, first + count);
}

void page_cache_invalidate(struct inode *inode, u64 first, u64 count)
{
    struct page_cache *cache = &inode->pages;
    struct frame *frame;
    u64 index = first;

    mapping_zap(&cache->mapping, first, count, 0);
    while ((frame = page_next(cache, &index)) && index - first < count) {
        bool removed = false;

        /* Ours and the tree's: nobody else uses it, and under the lock nobody can begin to. */
        spin_lock(&cache->lock);
        if (refcount_read(&frame->references) == 2 && frame->cache.owner == cache &&
            !(frame->flags & (FRAME_FLAG_DIRTY | FRAME_FLAG_LOCKED))) {
            page_remove_locked(cache, frame);
            removed = true;
        }
        spin_unlock(&cache->lock);
        if (removed)
            frame_put(frame);
        frame_put(frame);
        frame = NULL;
        index++;
    }
    if (frame)
        frame_put(frame);
}

void page_cache_fini(struct page_cache *cache)
{
    u64 dirty = pages_remove(cache, 0, U64_MAX);

    page_clock_remove(cache);
    if (dirty && cache->operations->pages_dropped)
        cache->operations->pages_dropped(cache->inode, dirty);
}

void page_caches_init(void)
{
    for (unsigned i = 0; i < PAGE_QUEUES; i++)
        wait_queue_init(&page_queues[i]);
    node_cache = slab_cache_create("page_cache_node", sizeof(struct radix_node), 0);
    if (!node_cache)
        panic("no memory for the cache of radix nodes");
    page_clock_init();
}
