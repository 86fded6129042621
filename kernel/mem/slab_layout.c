/*
 * One slab: a block of frames that is cut into objects of one size.
 *
 *     | struct slab | object 0 | object 1 | ... | object n-1 | rest |
 *                               `fresh` counts from the end: untouched memory is used last
 *
 * Objects that came back are linked through their first words and go out again first, still warm. A
 * new slab writes nothing but its head.
 *
 * The block is the smallest that holds two objects and wastes at most an eighth behind the last
 * one; an object that fits none so well gets the largest. A block is aligned to its size, so
 * objects of an aligned size are aligned as far as the slab's head, rounded up, lets them be.
 *
 * Invariant: used + fresh + the length of `free` is the number of objects.
 * Locking:   the caller's. Tested on the host (tests/unit/mem_slab_layout.c).
 */
#include "slab.h"

void slab_layout_init(struct slab_layout *layout, size_t size, size_t alignment)
{
    alignment = MAX(alignment, sizeof(void *));
    layout->object_bytes = ALIGN_UP(size, alignment);
    layout->first = ALIGN_UP(sizeof(struct slab), alignment);
    /* The smallest block that wastes at most an eighth at its end. */
    for (layout->order = 0;; layout->order++) {
        u32 room = (PAGE_SIZE << layout->order) - layout->first;

        layout->objects = room / layout->object_bytes;
        if (layout->order == SLAB_ORDER_MAX)
            break;
        if (layout->objects >= 2 && room % layout->object_bytes <= room / 8)
            break;
    }
}

void slab_init_block(struct slab *slab, const struct slab_layout *layout)
{
    slab->free = NULL;
    slab->used = 0;
    slab->fresh = layout->objects;
}

void *slab_take(struct slab *slab, const struct slab_layout *layout)
{
    void *object = slab->free;

    if (object) {
        slab->free = *(void **)object;
    } else {
        if (!slab->fresh)
            return NULL;
        object = (char *)slab + layout->first +
                 (u64)(layout->objects - slab->fresh) * layout->object_bytes;
        slab->fresh--;
    }
    slab->used++;
    return object;
}

void slab_give(struct slab *slab, void *object)
{
    *(void **)object = slab->free;
    slab->free = object;
    slab->used--;
}
