/*
 * kmalloc: memory of any size, and kfree, which needs none to be told.
 *
 *     bytes <= 2 KiB   the slab cache of the next larger of thirteen sizes
 *     else             a block of 2^n frames, to 4 MiB
 *
 * kfree tells them apart by the kind of the memory's frame: FRAME_SLAB names its cache,
 * FRAME_KERNEL is a block's first. Small sizes are looked up in a table of one byte for each 16.
 * With SAN=1 the rest of an object behind the bytes that were asked for is poisoned.
 *
 * Context: any with ALLOC_NOWAIT; else where one may sleep.
 */
#include <pith/mem.h>

#include <pith/sanitizer.h>

#include "internal.h"

#define STEP        16u   /* the alignment of everything, and the grain of `class_of_step` */
#define SMALL_BYTES 2048u /* larger requests are frames */

static const struct {
    u32 bytes;
    const char *name;
} classes[] = {
    {16, "kmalloc-16"},
    {32, "kmalloc-32"},
    {48, "kmalloc-48"},
    {64, "kmalloc-64"},
    {96, "kmalloc-96"},
    {128, "kmalloc-128"},
    {192, "kmalloc-192"},
    {256, "kmalloc-256"},
    {384, "kmalloc-384"},
    {512, "kmalloc-512"},
    {768, "kmalloc-768"},
    {1024, "kmalloc-1024"},
    {SMALL_BYTES, "kmalloc-2048"},
};

static struct slab_cache *class_caches[ARRAY_SIZE(classes)]; /* [const] after boot */
static u8 class_of_step[SMALL_BYTES / STEP + 1];             /* [const] after boot */
static struct slab_cache *radix_cache;                       /* [const] after boot */

static unsigned order_of(size_t bytes)
{
    u64 pages = DIV_ROUND_UP(bytes, PAGE_SIZE);

    return pages <= 1 ? 0 : 64 - __builtin_clzl(pages - 1);
}

void *kmalloc(size_t bytes, unsigned flags)
{
    struct frame *frame;

    if (likely(bytes <= SMALL_BYTES)) {
        unsigned class = class_of_step[DIV_ROUND_UP(bytes, STEP)];
        char *memory = slab_alloc(class_caches[class], flags);

        if (memory) {
            memory_poison(memory, classes[class].bytes, POISON_BEHIND_OBJECT);
            memory_unpoison(memory, bytes);
        }
        return memory;
    }
    frame = frame_alloc(order_of(bytes), FRAME_KERNEL, flags);
    return frame ? frame_data(frame) : NULL;
}

/* Only a pointer that kmalloc gave: the middle of a block has no kind of its own. */
void kfree(void *memory)
{
    struct frame *frame;

    if (!memory)
        return;
    frame = frame_of(memory);
    if (frame->kind == FRAME_SLAB) {
        slab_free(frame->slab.owner, memory);
        return;
    }
    assert(frame->kind == FRAME_KERNEL);
    frame_free(frame);
}

static struct radix_node *radix_node_alloc(void)
{
    return slab_alloc(radix_cache, ALLOC_NOWAIT | ALLOC_CLEARED);
}

static void radix_node_free(struct radix_node *node)
{
    slab_free(radix_cache, node);
}

const struct radix_allocator radix_slab_allocator = {radix_node_alloc, radix_node_free};

void kmalloc_init(void)
{
    unsigned class = 0;

    for (unsigned i = 0; i < ARRAY_SIZE(classes); i++)
        class_caches[i] = slab_cache_create(classes[i].name, classes[i].bytes, STEP);
    for (unsigned step = 0; step < ARRAY_SIZE(class_of_step); step++) {
        while (classes[class].bytes < step * STEP)
            class ++;
        class_of_step[step] = class;
    }
    radix_cache = slab_cache_create("radix_node", sizeof(struct radix_node), 0);
}
