/* Slabs as logic: cutting a block into objects. slab.c puts locks and magazines around it. */
#pragma once

#include <pith/mem.h>

#define SLAB_ORDER_MAX 3 /* 32 KiB */

/* At the start of the block that it describes. */
struct slab {
    struct list link; /* of the cache's partial, full or empty slabs */
    void *free;       /* objects that came back; the first word of each names the next */
    u32 used;         /* objects that are out */
    u32 fresh;        /* objects that were never out: the last so many */
};

/* How objects of one size lie in a slab. [const] */
struct slab_layout {
    u32 object_bytes; /* from one object to the next */
    u32 first;        /* offset of the first */
    u32 objects;      /* in one slab */
    u32 order;        /* of its block */
};

void slab_layout_init(struct slab_layout *layout, size_t size, size_t alignment);
void slab_init_block(struct slab *slab, const struct slab_layout *layout);
/* An object, or NULL: all are out. */
void *slab_take(struct slab *slab, const struct slab_layout *layout);
void slab_give(struct slab *slab, void *object);
