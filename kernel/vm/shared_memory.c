/*
 * Memory that is shared but no file's: MAP_SHARED | MAP_ANONYMOUS, for a family of processes.
 *
 *     region --object--> shared_memory --index--> frame <--entries of all who share
 *
 * The object holds the frames by their index, made when they are first touched. Each region has a
 * reference to it; the last one frees all. Two faults for one page may both allocate: the second
 * finds the first one's frame in the tree, uses that, and gives its own back.
 *
 * MADV_REMOVE takes frames out of the object, then out of all regions that show it, which it knows
 * as a file does (mapping.c); a fault between the two makes a new page of zeros, which stays.
 *
 * The object keeps the size that it was made with: a mapping that mremap makes larger shows nothing
 * behind that (SIGBUS), as behind a file's end. Its pages are promised as a whole when it is made
 * (limits.c), since any of them may be touched by somebody who did not map it.
 *
 * Locking: shared_memory.lock guards the frames. Context: fill may sleep (it allocates).
 */
#include "internal.h"

struct shared_memory {
    struct refcount references;
    struct spinlock lock;                  /* LOCK_PAGE_CACHE */
    struct radix frames guarded_by(&lock); /* one reference each */
    u64 pages;                             /* [const] its size: what lies behind is SIGBUS */
    u64 committed_pages;                   /* [const] promised for it */
    struct mapping mapping;                /* the regions that show it */
};

static struct slab_cache *shared_cache; /* [const] after boot */

/* What is promised for it is given back with the object, however little of it was touched. */
int shared_memory_create(u64 pages, u64 promised, void **object_out)
{
    struct shared_memory *memory;
    int error = commit_take(promised);

    if (error)
        return error;
    memory = slab_alloc(shared_cache, 0);
    if (!memory) {
        commit_give(promised);
        return -ENOMEM;
    }
    memory->pages = pages;
    memory->committed_pages = promised;
    refcount_set(&memory->references, 1);
    spin_init(&memory->lock, LOCK_PAGE_CACHE);
    radix_init(&memory->frames, &radix_slab_allocator);
    mapping_init(&memory->mapping);
    *object_out = memory;
    return 0;
}

/* The last region is gone, so no fault can be asking for a frame. */
void shared_memory_put(void *object)
{
    struct shared_memory *memory = object;
    struct frame *frame;
    u64 index = 0;

    if (!refcount_dec_is_zero(&memory->references))
        return;
    radix_for_each(frame, &memory->frames, index)
    {
        radix_remove(&memory->frames, index);
        frame_put(frame);
    }
    commit_give(memory->committed_pages);
    slab_free(shared_cache, memory);
}

/* Puts `frame` at `index`, or finds that another came first. A reference for the caller. */
static int frame_publish(struct shared_memory *memory, u64 index, struct frame *frame,
                         struct frame **frame_out)
{
    int error;

    spin_lock(&memory->lock);
    error = radix_insert(&memory->frames, index, frame);
    *frame_out = error == -EEXIST ? radix_lookup(&memory->frames, index) : frame;
    if (error != -ENOMEM)
        frame_get(*frame_out);
    spin_unlock(&memory->lock);
    if (error)
        frame_put(frame);
    return error == -ENOMEM ? error : 0;
}

/* The frame is allocated without the lock; whoever publishes first wins. */
static int shared_fill(struct region *region, u64 index, unsigned access, struct frame **frame_out)
{
    struct shared_memory *memory = region->object;
    struct frame *frame;

    if (index >= memory->pages)
        return -EFAULT;
    spin_lock(&memory->lock);
    frame = radix_lookup(&memory->frames, index);
    if (frame)
        frame_get(frame);
    spin_unlock(&memory->lock);
    if (!frame) {
        struct frame *new = frame_alloc(0, FRAME_ANONYMOUS, ALLOC_CLEARED);

        return new ? frame_publish(memory, index, new, frame_out) : -ENOMEM;
    }
    *frame_out = frame;
    return 0;
}

static void shared_opened(struct region *region)
{
    struct shared_memory *memory = region->object;

    refcount_inc(&memory->references);
    mapping_add(&memory->mapping, region);
}

static void shared_closed(struct region *region)
{
    mapping_remove(region);
    shared_memory_put(region->object);
}

/* The first frame of [*index, end), with the object's reference; NULL: none. */
static struct frame *frame_take(struct shared_memory *memory, u64 *index, u64 end)
{
    struct frame *frame;

    spin_lock(&memory->lock);
    frame = radix_next(&memory->frames, index);
    if (frame && *index < end)
        radix_remove(&memory->frames, *index);
    else
        frame = NULL;
    spin_unlock(&memory->lock);
    return frame;
}

static int shared_punch(struct region *region, u64 first, u64 count)
{
    struct shared_memory *memory = region->object;
    struct frame *frame;

    for (u64 index = first; (frame = frame_take(memory, &index, first + count)); index++) {
        frame_put(frame);
        sched_point();
    }
    mapping_zap(&memory->mapping, first, count, MAPPING_PRIVATE_TOO);
    return 0;
}

const struct pager shared_memory_pager = {
    .name = "/dev/zero (deleted)",
    .fill = shared_fill,
    .punch = shared_punch,
    .region_opened = shared_opened,
    .region_closed = shared_closed,
};

void shared_memory_init(void)
{
    shared_cache = slab_cache_create("shared_memory", sizeof(struct shared_memory), 0);
}
