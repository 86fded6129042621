/*
 * Slab caches: objects of one kind, with a magazine of ready ones on each CPU (after Bonwick's
 * "Magazines and Vmem").
 *
 *     slab_alloc --> magazine of this CPU --(half a magazine)--> partial slabs --> new slab
 *     slab_free  --> the same             --(the oldest half)--> their slabs   --> frames
 *
 * A magazine is touched by its own CPU with interrupts off and without a lock; that is what nearly
 * every call does. It holds about MAGAZINE_BYTES of objects, so that small ones come in crowds and
 * large ones do not lie about. A CPU's first miss makes its magazine; without one all works too,
 * and the caches that caches and magazines come from have none.
 *
 * A slab's life, under the cache's lock:
 *
 *     new --> empty --> partial <--> full
 *               ^          |
 *               '----------'   one empty slab stays with its cache, any other goes back to frame.c
 *
 * The one that stays keeps a cache whose last object comes and goes from asking for frames each
 * time. Slabs are freed with no lock held: what is to go is linked up first.
 *
 * An object leads to its slab, and to its cache, by its frame: all frames of a slab say whose they
 * are. So kfree needs no size, and SAN=1 proves that an object goes back where it came from.
 *
 * Invariants: a slab is in `partial` if some of its objects are out, in `full` if all are, in
 *             `empty` if none is; `objects_out` counts what is out of slabs, magazines included.
 * Locking:    slab_cache.lock for the slabs; interrupts off for a magazine; caches.lock for the
 *             list of caches, to which is only added. Frames are allocated and freed with no lock
 *             of ours held.
 * Context:    any with ALLOC_NOWAIT; else where one may sleep.
 */
#include <pith/mem.h>

#include <pith/sanitizer.h>

#include "internal.h"
#include "slab.h"

#define MAGAZINE_MAX   30         /* with its head 248 bytes */
#define MAGAZINE_BYTES (8 * 1024) /* of objects, about */
#define MAGAZINE_MIN   4

struct magazine {
    u32 count;
    void *objects[MAGAZINE_MAX];
};

struct slab_cache {
    const char *name; /* [const], as all up to the lock */
    struct slab_layout layout;
    u32 object_size;      /* as asked for */
    u32 magazine_rounds;  /* 0: no magazines */
    struct list link;     /* caches.lock */
    struct spinlock lock; /* LOCK_SLAB */
    struct list partial guarded_by(&lock);
    struct list full guarded_by(&lock);
    struct list empty guarded_by(&lock);
    u32 empty_count guarded_by(&lock);
    u32 slab_count guarded_by(&lock);
    u64 objects_out guarded_by(&lock);
    struct magazine *magazines[CPUS_MAX]; /* [cpu] NULL: not made yet */
};

static struct {
    struct spinlock lock; /* LOCK_LEAF */
    struct list list guarded_by(&lock);
} caches = {.lock = SPINLOCK_INIT(LOCK_LEAF), .list = LIST_INIT(caches.list)};

/* The caches that caches are made of. */
static struct slab_cache cache_cache, magazine_cache;

/* Any address inside a slab leads there: its frame says so. */
static struct slab *slab_of(const void *object)
{
    return frame_of(object)->slab.slab;
}

static void cache_init(struct slab_cache *cache, const char *name, size_t size, size_t alignment)
{
    u32 rounds;

    *cache = (struct slab_cache){.name = name, .object_size = size};
    slab_layout_init(&cache->layout, size, alignment);
    rounds = MAGAZINE_BYTES / cache->layout.object_bytes;
    cache->magazine_rounds = MIN(MAX(rounds, (u32)MAGAZINE_MIN), (u32)MAGAZINE_MAX);
    spin_init(&cache->lock, LOCK_SLAB);
    list_init(&cache->partial);
    list_init(&cache->full);
    list_init(&cache->empty);
    spin_lock(&caches.lock);
    list_push_back(&caches.list, &cache->link);
    spin_unlock(&caches.lock);
}

struct slab_cache *slab_cache_create(const char *name, size_t size, size_t alignment)
{
    struct slab_cache *cache = slab_alloc(&cache_cache, 0);

    if (!cache)
        panic("no memory for the slab cache %s", name);
    cache_init(cache, name, size, alignment);
    return cache;
}

/* One object out of the cache's slabs, or NULL. */
static void *cache_take_locked(struct slab_cache *cache) must_hold(&cache->lock)
{
    struct slab *slab = list_first_entry(&cache->partial, struct slab, link);
    void *object;

    if (!slab) {
        slab = list_first_entry(&cache->empty, struct slab, link);
        if (!slab)
            return NULL;
        cache->empty_count--;
        list_remove(&slab->link);
        list_push_front(&cache->partial, &slab->link);
    }
    object = slab_take(slab, &cache->layout);
    cache->objects_out++;
    if (slab->used == cache->layout.objects) {
        list_remove(&slab->link);
        list_push_front(&cache->full, &slab->link);
    }
    return object;
}

/* Puts an object back. Returns its slab if that is to be freed, else NULL. */
static struct slab *cache_give_locked(struct slab_cache *cache, void *object)
    must_hold(&cache->lock)
{
    struct slab *slab = slab_of(object);
    bool was_full = slab->used == cache->layout.objects;

    slab_give(slab, object);
    cache->objects_out--;
    if (slab->used && !was_full)
        return NULL;
    list_remove(&slab->link);
    if (slab->used) {
        list_push_front(&cache->partial, &slab->link);
        return NULL;
    }
    if (cache->empty_count == 0) {
        cache->empty_count++;
        list_push_front(&cache->empty, &slab->link);
        return NULL;
    }
    cache->slab_count--;
    return slab;
}

/* The block's other frames are of the kind SLAB too, and must not be when it is given back. */
static void slab_free_block(struct slab *slab, u32 order)
{
    struct frame *frame = frame_of(slab);

    /* frame_free gives the whole block; its other frames are nobody's from here on. */
    for (u32 i = 1; i < 1u << order; i++)
        frame[i].kind = FRAME_RESERVED;
    frame_free(frame);
}

/* Adds an empty slab. -ENOMEM. */
static int cache_grow(struct slab_cache *cache, unsigned flags)
{
    u32 order = cache->layout.order;
    struct frame *frame = frame_alloc(order, FRAME_SLAB, flags & ~ALLOC_CLEARED);
    struct slab *slab;

    if (!frame)
        return -ENOMEM;
    slab = frame_data(frame);
    for (u32 i = 0; i < 1u << order; i++) {
        frame[i].kind = FRAME_SLAB;
        frame[i].slab.owner = cache;
        frame[i].slab.slab = slab;
    }
    slab_init_block(slab, &cache->layout);
    spin_lock(&cache->lock);
    list_push_front(&cache->empty, &slab->link);
    cache->empty_count++;
    cache->slab_count++;
    spin_unlock(&cache->lock);
    return 0;
}

/* Gives this CPU a magazine if it can; without one all works too. */
static void magazine_create(struct slab_cache *cache)
{
    struct magazine *magazine;
    u64 interrupts;
    struct magazine **place;

    if (!cache->magazine_rounds)
        return;
    magazine = slab_alloc(&magazine_cache, ALLOC_NOWAIT);
    if (!magazine)
        return;
    magazine->count = 0;
    interrupts = interrupts_save_disable();
    place = &cache->magazines[cpu_current()->id];
    if (!*place) {
        *place = magazine;
        magazine = NULL;
    }
    interrupts_restore(interrupts);
    if (magazine)
        slab_free(&magazine_cache, magazine);
}

/*
 * Half a magazine comes with the object, so that the next calls find some. The magazine is looked
 * up again under the lock, which keeps the thread on this CPU.
 */
static noinline void *slab_alloc_slow(struct slab_cache *cache, unsigned flags)
{
    void *object;

    if (!cache->magazines[cpu_current()->id])
        magazine_create(cache);
    for (;;) {
        struct magazine *magazine;

        spin_lock(&cache->lock);
        magazine = cache->magazines[cpu_current()->id];
        object = cache_take_locked(cache);
        while (object && magazine && magazine->count < cache->magazine_rounds / 2) {
            void *another = cache_take_locked(cache);

            if (!another)
                break;
            magazine->objects[magazine->count++] = another;
        }
        spin_unlock(&cache->lock);
        if (object)
            return object;
        if (cache_grow(cache, flags))
            return NULL;
    }
}

/* The magazine may be another CPU's a moment later: interrupts are off as long as it is used. */
void *slab_alloc(struct slab_cache *cache, unsigned flags)
{
    u64 interrupts;
    struct magazine *magazine;
    void *object = NULL;

    if (SAN && allocation_must_fail())
        return NULL;
    interrupts = interrupts_save_disable();
    magazine = cache->magazines[cpu_current()->id];
    if (likely(magazine && magazine->count))
        object = magazine->objects[--magazine->count];
    interrupts_restore(interrupts);
    if (unlikely(!object)) {
        object = slab_alloc_slow(cache, flags);
        if (!object)
            return NULL;
    }
    memory_unpoison(object, cache->layout.object_bytes);
    if (flags & ALLOC_CLEARED)
        memset(object, 0, cache->layout.object_bytes);
    return object;
}

/* Empties half of this CPU's magazine, if it has one, and puts `object` back. */
static noinline void slab_free_slow(struct slab_cache *cache, void *object)
{
    struct slab *slabs = NULL; /* to be freed, linked through `free` */
    struct magazine *magazine;
    u32 moved = 0;

    spin_lock(&cache->lock);
    magazine = cache->magazines[cpu_current()->id];
    if (magazine && magazine->count)
        moved = magazine->count - magazine->count / 2;
    for (u32 i = 0; i <= moved; i++) {
        struct slab *slab = cache_give_locked(cache, i == moved ? object : magazine->objects[i]);

        if (slab) {
            slab->free = slabs;
            slabs = slab;
        }
    }
    if (moved) {
        magazine->count -= moved;
        for (u32 i = 0; i < magazine->count; i++)
            magazine->objects[i] = magazine->objects[i + moved];
    }
    spin_unlock(&cache->lock);
    while (slabs) {
        struct slab *next = slabs->free;

        slab_free_block(slabs, cache->layout.order);
        slabs = next;
    }
}

/* Poisoned before it lies where others may take it. */
void slab_free(struct slab_cache *cache, void *object)
{
    u64 interrupts;
    struct magazine *magazine;

    if (SAN)
        assert(frame_of(object)->kind == FRAME_SLAB && frame_of(object)->slab.owner == cache);
    memory_poison(object, cache->layout.object_bytes, POISON_FREED_OBJECT);
    interrupts = interrupts_save_disable();
    magazine = cache->magazines[cpu_current()->id];
    if (likely(magazine && magazine->count < cache->magazine_rounds)) {
        magazine->objects[magazine->count++] = object;
        interrupts_restore(interrupts);
        return;
    }
    interrupts_restore(interrupts);
    slab_free_slow(cache, object);
}

/* How many objects lie in magazines; roughly, for other CPUs go on. */
static u64 magazines_count(const struct slab_cache *cache)
{
    u64 count = 0;
    u32 cpu;

    cpu_for_each (cpu) {
        const struct magazine *magazine = READ_ONCE(cache->magazines[cpu]);

        if (magazine)
            count += READ_ONCE(magazine->count);
    }
    return count;
}

/* Counts of magazines change meanwhile: the figures are as good as a look. */
void slab_for_each(void (*visit)(const struct slab_use *use, void *argument), void *argument)
{
    struct slab_cache *cache;

    /* Caches are only ever added at the end, so the walk needs no lock while it visits. */
    list_for_each (cache, &caches.list, link) {
        struct slab_use use = {.name = cache->name,
                               .object_bytes = cache->object_size,
                               .objects_a_slab = cache->layout.objects,
                               .frames_a_slab = 1u << cache->layout.order};

        spin_lock(&cache->lock);
        use.objects_used = cache->objects_out;
        use.slabs = cache->slab_count;
        use.empty_slabs = cache->empty_count;
        spin_unlock(&cache->lock);
        use.objects_used -= MIN(magazines_count(cache), use.objects_used);
        use.objects_total = use.slabs * use.objects_a_slab;
        visit(&use, argument);
    }
}

void slab_init(void)
{
    cache_init(&magazine_cache, "magazine", sizeof(struct magazine), 0);
    magazine_cache.magazine_rounds = 0;
    cache_init(&cache_cache, "slab_cache", sizeof(struct slab_cache), 0);
    cache_cache.magazine_rounds = 0;
    kmalloc_init();
}
