/*
 * Radix trees: six bits of the index choose a slot on each level.
 *
 *     levels = 2         root: node, level 1
 *                       /    |     \
 *     index >> 6:      0     1 ...  63
 *                      |
 *                      node, level 0: items of the indices 0 to 63
 *
 * A tree is as high as its largest index needs: an insertion beyond it puts nodes above the root,
 * and a removal that leaves the root with slot 0 alone takes it away again. So a file of one page
 * has no node at all.
 *
 * Invariants: no node is empty; the root of a tree with more than one level uses another slot than
 *             its first; `used` counts a node's slots that are not NULL.
 * Locking:    the caller's. Context: any.
 */
#include <pith/radix.h>

#include <pith/abi/errno.h>

#define RADIX_LEVELS_MAX 11 /* 11 * 6 >= 64 */

static u32 slot_of(u64 index, u32 level)
{
    return index >> (level * RADIX_BITS) & (RADIX_SLOTS - 1);
}

static bool index_has_place(const struct radix *radix, u64 index)
{
    return radix->levels == RADIX_LEVELS_MAX || !(index >> (radix->levels * RADIX_BITS));
}

/* Takes away roots that use only their first slot. */
static void radix_shrink(struct radix *radix)
{
    while (radix->levels) {
        struct radix_node *node = radix->root;

        if (node && (node->used > 1 || !node->slots[0]))
            return;
        radix->root = node ? node->slots[0] : NULL;
        radix->levels = radix->root ? radix->levels - 1 : 0;
        if (node)
            radix->allocator->free(node);
    }
}

/* Makes the tree high enough for `index`. -ENOMEM: as far as it came is undone. */
static int radix_grow(struct radix *radix, u64 index)
{
    while (!index_has_place(radix, index)) {
        struct radix_node *node;

        if (radix->root) {
            node = radix->allocator->alloc();
            if (!node) {
                radix_shrink(radix);
                return -ENOMEM;
            }
            node->level = radix->levels;
            node->used = 1;
            node->slots[0] = radix->root;
            radix->root = node;
        }
        radix->levels++;
    }
    return 0;
}

/*
 * Frees the empty nodes on the way to `index`; path[level] are those that exist, from `level` up.
 */
static void radix_prune(struct radix *radix, u64 index, struct radix_node **path, u32 level)
{
    for (; level < radix->levels; level++) {
        if (path[level]->used)
            break;
        radix->allocator->free(path[level]);
        if (level + 1 == radix->levels) {
            radix->root = NULL;
            break;
        }
        path[level + 1]->slots[slot_of(index, level + 1)] = NULL;
        path[level + 1]->used--;
    }
    radix_shrink(radix);
}

int radix_insert(struct radix *radix, u64 index, void *item)
{
    struct radix_node *path[RADIX_LEVELS_MAX];
    void **link = &radix->root;
    int error = radix_grow(radix, index);

    if (error)
        return error;
    for (u32 level = radix->levels; level-- > 0;) {
        struct radix_node *node = *link;

        if (!node) {
            node = radix->allocator->alloc();
            if (!node) {
                radix_prune(radix, index, path, level + 1);
                return -ENOMEM;
            }
            node->level = level;
            *link = node;
            if (level + 1 < radix->levels)
                path[level + 1]->used++;
        }
        path[level] = node;
        link = &node->slots[slot_of(index, level)];
    }
    if (*link)
        return -EEXIST;
    *link = item;
    if (radix->levels)
        path[0]->used++;
    return 0;
}

void *radix_replace(struct radix *radix, u64 index, void *item)
{
    void **link = &radix->root, *old;

    for (u32 level = radix->levels; level-- > 0;)
        link = &((struct radix_node *)*link)->slots[slot_of(index, level)];
    old = *link;
    *link = item;
    return old;
}

void *radix_remove(struct radix *radix, u64 index)
{
    struct radix_node *path[RADIX_LEVELS_MAX];
    void **link = &radix->root, *item;

    if (!index_has_place(radix, index))
        return NULL;
    for (u32 level = radix->levels; level-- > 0;) {
        if (!*link)
            return NULL;
        path[level] = *link;
        link = &path[level]->slots[slot_of(index, level)];
    }
    item = *link;
    if (!item)
        return NULL;
    *link = NULL;
    if (radix->levels)
        path[0]->used--;
    radix_prune(radix, index, path, 0);
    return item;
}

/* The first slot of `node` from `slot` on that is not NULL, or RADIX_SLOTS. */
static u32 slot_next_used(const struct radix_node *node, u32 slot)
{
    while (slot < RADIX_SLOTS && !node->slots[slot])
        slot++;
    return slot;
}

/*
 * From slot to slot on the lowest level that has any left, climbing where a node is done. `at` is
 * the index looked for; its bits below `level` are 0 once it was moved on.
 */
void *radix_next(const struct radix *radix, u64 *index)
{
    const struct radix_node *path[RADIX_LEVELS_MAX];
    u64 at = *index;
    u32 level = radix->levels;

    if (!radix->root || !index_has_place(radix, at))
        return NULL;
    if (level == 0)
        return radix->root;
    path[--level] = radix->root;
    for (;;) {
        u32 slot = slot_next_used(path[level], slot_of(at, level));

        if (slot == RADIX_SLOTS) {
            /* On with the next slot of the lowest level that has one. */
            at = ((at >> (level * RADIX_BITS) | (RADIX_SLOTS - 1)) + 1) << (level * RADIX_BITS);
            do {
                if (++level == radix->levels)
                    return NULL;
            } while (slot_of(at, level) == 0);
            continue;
        }
        if (slot != slot_of(at, level))
            at = ((at >> (level * RADIX_BITS) & ~(u64)(RADIX_SLOTS - 1)) | slot)
                 << (level * RADIX_BITS);
        if (level == 0) {
            *index = at;
            return path[0]->slots[slot];
        }
        path[level - 1] = path[level]->slots[slot];
        level--;
    }
}
