/*
 * Radix trees: from a number of 64 bits to a pointer, dense where the numbers are dense.
 *
 * The page cache finds a file's frames with one. The caller locks; nothing here sleeps. The memory
 * of nodes comes from where the tree's allocator says, so that lib/ needs to know no allocator.
 */
#pragma once

#include <pith/compiler.h>

#define RADIX_BITS  6
#define RADIX_SLOTS (1u << RADIX_BITS)

struct radix_node {
    u32 used;  /* slots that are not NULL */
    u32 level; /* 0: slots are items */
    void *slots[RADIX_SLOTS];
};

/* Where nodes come from: cleared, or NULL if there is no memory; called under the caller's lock. */
struct radix_allocator {
    struct radix_node *(*alloc)(void);
    void (*free)(struct radix_node *node);
};

struct radix {
    void *root;                              /* of `levels` levels; the item itself at 0 levels */
    u32 levels;                              /* indices below 2^(6 * levels) have a place */
    const struct radix_allocator *allocator; /* [const] */
};

#define RADIX_INIT(radix_allocator)     \
    {                                   \
        .allocator = &(radix_allocator) \
    }

static inline void radix_init(struct radix *radix, const struct radix_allocator *allocator)
{
    *radix = (struct radix){.allocator = allocator};
}

static inline bool radix_is_empty(const struct radix *radix)
{
    return radix->root == NULL;
}

/* The item at `index`, or NULL. */
static inline void *radix_lookup(const struct radix *radix, u64 index)
{
    u32 level = radix->levels;
    void *at = radix->root;

    if (level * RADIX_BITS < 64 && index >> (level * RADIX_BITS))
        return NULL;
    while (level && at) {
        level--;
        at = ((struct radix_node *)at)->slots[index >> (level * RADIX_BITS) & (RADIX_SLOTS - 1)];
    }
    return at;
}

/* Puts `item`, which is not NULL, at `index`. -EEXIST: there is one; -ENOMEM: nothing changed. */
int radix_insert(struct radix *radix, u64 index, void *item) must_check;
/* Puts `item` in the place of what is at `index`, and returns that; there is something. */
void *radix_replace(struct radix *radix, u64 index, void *item);
/* Takes out what is at `index` and returns it, or NULL. Never needs memory. */
void *radix_remove(struct radix *radix, u64 index);
/* The first item at or above *index, whose index it stores there; NULL: there is none. */
void *radix_next(const struct radix *radix, u64 *index);

/* The body may remove `item`. `index` is a u64 that says where to begin. */
#define radix_for_each(item, radix, index)           \
    for (item = radix_next((radix), &(index)); item; \
         item = (index) == U64_MAX ? NULL : ((index)++, radix_next((radix), &(index))))
