/*
 * Regions: runs of pages with one protection and one pager, in a tree by address.
 *
 * Each node carries the bounds of its subtree and the largest room between two regions in it. The
 * room on either side of a region lies between it and the nearest end of a child's subtree, so a
 * node's summary needs its children only:
 *
 *         start                                             end of the subtree
 *         | left subtree |<- room ->| region |<- room ->| right subtree |
 *
 * The search for a place then goes down one path, from the top of memory, and skips every subtree
 * that cannot have it.
 *
 * A region is opened (its pager takes references) when it goes into a tree, and closed when it has
 * left: not at once, for to close may end a file, which takes locks that stand before space->lock.
 * So what leaves the tree is put into space->dropped, and space_write_unlock closes it when the
 * lock is free. Who finds a region under the lock therefore finds it open.
 *
 * fork copies the tree as it is, node by node in the same shape: no comparison, no balancing. The
 * pagers are told by regions_open when the tables have been shared as well (address_space.c says
 * why).
 *
 * Invariants: regions do not overlap, are whole pages and never empty; neighbours that could be one
 *             region are one, where somebody changed them; the space's sums are those over its
 *             tree.
 * Locking:    space->lock, held for writing where the tree changes. `recent` is a guess that is
 *             checked under the lock; who removes a region clears it.
 * Context:    nothing sleeps but for memory.
 */
#include "internal.h"

static struct slab_cache *region_cache; /* [const] after boot */

static struct region *child_region(struct tree_node *node)
{
    return region_entry(node);
}

/* The tree calls it from the bottom up after each change. */
static void region_summarize(struct tree_node *node)
{
    struct region *region = tree_entry(node, struct region, node);
    struct region *left = child_region(node->left), *right = child_region(node->right);

    region->subtree_start = region->start;
    region->subtree_end = region->end;
    region->largest_gap = 0;
    if (left) {
        region->subtree_start = left->subtree_start;
        region->largest_gap = MAX(left->largest_gap, region->start - left->subtree_end);
    }
    if (right) {
        u64 gap = MAX(right->largest_gap, right->subtree_start - region->end);

        region->subtree_end = right->subtree_end;
        region->largest_gap = MAX(region->largest_gap, gap);
    }
}

static bool region_before(const struct tree_node *a, const struct tree_node *b)
{
    return tree_entry(a, struct region, node)->start < tree_entry(b, struct region, node)->start;
}

void region_init(void)
{
    region_cache = slab_cache_create("region", sizeof(struct region), 0);
}

void regions_init(struct address_space *space)
{
    space->regions = (struct tree){.summarize = region_summarize};
}

/* ---- Finding ---- */

struct region *region_find_from(struct address_space *space, u64 address)
{
    /* Faults come in runs. The region lives while the lock is held: removing one resets this. */
    struct region *recent = READ_ONCE(space->recent), *found = NULL;
    struct tree_node *node = space->regions.root;

    if (recent && address - recent->start < recent->end - recent->start)
        return recent;
    while (node) {
        struct region *region = tree_entry(node, struct region, node);

        if (address < region->end) {
            found = region;
            if (address >= region->start) {
                WRITE_ONCE(space->recent, region);
                break;
            }
            node = node->left;
        } else {
            node = node->right;
        }
    }
    return found;
}

struct region *region_find(struct address_space *space, u64 address)
{
    struct region *region = region_find_from(space, address);

    return region && region->start <= address ? region : NULL;
}

/*
 * Looks for `bytes` of room in the subtree and above it up to *upper; nothing free lies above
 * *upper. On success *upper is where the room ends, else all of the subtree was seen and *upper is
 * its start. Recursion: the height of the tree.
 */
static bool room_in_subtree(struct region *region, u64 bytes, u64 *upper)
{
    if (!region)
        return false;
    if (region->largest_gap >= bytes ||
        (*upper > region->subtree_end && *upper - region->subtree_end >= bytes)) {
        if (room_in_subtree(child_region(region->node.right), bytes, upper))
            return true;
        if (*upper > region->end && *upper - region->end >= bytes)
            return true;
        *upper = MIN(*upper, region->start);
        return room_in_subtree(child_region(region->node.left), bytes, upper);
    }
    *upper = MIN(*upper, region->subtree_start);
    return false;
}

u64 region_find_room(const struct address_space *space, u64 bytes, u64 low, u64 high)
{
    u64 upper = high;

    room_in_subtree(child_region(space->regions.root), bytes, &upper);
    if (upper < bytes || upper - bytes < low)
        return 0;
    return upper - bytes;
}

/* ---- Changing the tree ---- */

/* A copy, but in no tree and known to no mapping: its pager has not heard of it. */
struct region *region_alloc(const struct region *like)
{
    struct region *region = slab_alloc(region_cache, 0);

    if (!region)
        return NULL;
    *region = *like;
    region->node = (struct tree_node){0};
    region->mapping = NULL;
    list_init(&region->mapping_link);
    return region;
}

void region_free(struct region *region)
{
    slab_free(region_cache, region);
}

/* Adds `pages` with these flags to the space's sums; negative: takes them away. */
static void sums_add(struct address_space *space, u32 flags, s64 pages)
{
    space->total_pages += pages;
    space->peak_total_pages = MAX(space->peak_total_pages, space->total_pages);
    if (flags & REGION_LOCKED)
        space->locked_pages += pages;
    if (region_is_data(flags))
        space->data_pages += pages;
    if (flags & REGION_COMMITTED) {
        space->committed_pages += pages;
        commit_add(pages);
    }
}

void region_open(struct region *region)
{
    if (region->pager && region->pager->region_opened)
        region->pager->region_opened(region);
}

void region_close(struct region *region)
{
    if (region->pager && region->pager->region_closed)
        region->pager->region_closed(region);
}

/* Counted and opened in the same step, so that whoever finds it finds it whole. */
void region_insert(struct region *region)
{
    struct address_space *space = region->space;

    tree_insert(&space->regions, &region->node, region_before);
    sums_add(space, region->flags, region_pages(region));
    space->region_count++;
    region_open(region);
}

/* space->dropped is linked through node.right, which is free once the region is out of the tree. */
void region_drop(struct region *region)
{
    struct address_space *space = region->space;

    WRITE_ONCE(space->recent, NULL);
    tree_remove(&space->regions, &region->node);
    sums_add(space, region->flags, -(s64)region_pages(region));
    space->region_count--;
    region->node.right = space->dropped ? &space->dropped->node : NULL;
    space->dropped = region;
}

void space_write_unlock(struct address_space *space)
{
    struct region *region = space->dropped;

    space->dropped = NULL;
    rwlock_write_unlock(&space->lock);
    while (region) {
        struct region *next = child_region(region->node.right);

        region_close(region);
        region_free(region);
        region = next;
    }
}

/* The start may move: what is shown there stays the same page of the object. */
void region_resize(struct region *region, u64 start, u64 end)
{
    struct address_space *space = region->space;

    sums_add(space, region->flags, (s64)((end - start) >> PAGE_SHIFT) - (s64)region_pages(region));
    region->offset_pages += ((s64)start - (s64)region->start) >> PAGE_SHIFT;
    region->start = start;
    region->end = end;
    tree_summarize(&space->regions, &region->node);
}

void region_set_flags(struct region *region, u32 flags)
{
    sums_add(region->space, region->flags, -(s64)region_pages(region));
    region->flags = flags;
    sums_add(region->space, flags, region_pages(region));
}

/* The upper part is a new region, opened on its own; -ENOMEM leaves it as it was. */
int region_split(struct region *region, u64 address)
{
    struct region *upper;

    if (region->space->region_count >= REGIONS_MAX)
        return -ENOMEM;
    upper = region_alloc(region);
    if (!upper)
        return -ENOMEM;
    upper->start = address;
    upper->offset_pages += (address - region->start) >> PAGE_SHIFT;
    region_resize(region, region->start, address);
    region_insert(upper);
    return 0;
}

int regions_split_at(struct address_space *space, u64 start, u64 end)
{
    struct region *region = region_find(space, start);
    int error = 0;

    if (region && region->start < start)
        error = region_split(region, start);
    if (error)
        return error;
    region = region_find(space, end);
    return region && region->start < end ? region_split(region, end) : 0;
}

/* Whether two neighbours, `lower` ending where `upper` starts, are one region in all but name. */
static bool regions_are_one(const struct region *lower, const struct region *upper)
{
    if (!lower || !upper || lower->end != upper->start || lower->flags != upper->flags ||
        lower->pager != upper->pager || lower->object != upper->object ||
        (lower->flags & REGION_SPECIAL))
        return false;
    return !lower->pager || lower->offset_pages + region_pages(lower) == upper->offset_pages;
}

/* Joins them: the lower takes over. */
static void regions_join(struct region *lower, struct region *upper)
{
    u64 end = upper->end;

    region_drop(upper);
    region_resize(lower, lower->start, end);
}

/* Called by who changed flags or bounds, so that mprotect and back leaves one region, not three. */
struct region *region_merge(struct region *region)
{
    struct region *lower = region_previous(region), *upper = region_next(region);

    if (regions_are_one(region, upper))
        regions_join(region, upper);
    if (regions_are_one(lower, region)) {
        regions_join(lower, region);
        return lower;
    }
    return region;
}

/* ---- fork ---- */

/* Puts a copy of the region `from` at *link, below `parent`. -ENOMEM. */
static int region_copy(const struct tree_node *from, struct address_space *to,
                       struct tree_node *parent, struct tree_node **link)
{
    struct region *copy = region_alloc(tree_entry(from, struct region, node));

    if (!copy)
        return -ENOMEM;
    copy->node.height = from->height;
    copy->node.parent = parent;
    copy->space = to;
    copy->flags &= ~REGION_LOCKED; /* mlock(2): not inherited */
    *link = &copy->node;
    return 0;
}

/*
 * Takes a leaf out of a tree that goes as a whole, without balancing what is left. *cursor is where
 * to look on. NULL: the tree is empty.
 */
static struct region *leaf_take(struct tree *tree, struct tree_node **cursor)
{
    struct tree_node *node = *cursor;

    if (!node)
        return NULL;
    while (node->left || node->right)
        node = node->left ? node->left : node->right;
    *cursor = node->parent;
    if (!node->parent)
        tree->root = NULL;
    else if (node->parent->left == node)
        node->parent->left = NULL;
    else
        node->parent->right = NULL;
    return tree_entry(node, struct region, node);
}

/* The tree is taken apart leaf by leaf, in time proportional to its size. */
void regions_drop_all(struct address_space *space)
{
    struct tree_node *cursor = space->regions.root;
    struct region *region;

    space->recent = NULL;
    commit_add(-(s64)space->committed_pages);
    while ((region = leaf_take(&space->regions, &cursor))) {
        region->node.right = space->dropped ? &space->dropped->node : NULL;
        space->dropped = region;
    }
}

static void regions_copy_undo(struct address_space *space)
{
    struct tree_node *cursor = space->regions.root;
    struct region *region;

    while ((region = leaf_take(&space->regions, &cursor)))
        region_free(region);
}

/* The tree's shape is copied as it is, so nothing is compared, balanced or summed up anew. */
int regions_copy(struct address_space *from, struct address_space *to)
{
    const struct tree_node *at = from->regions.root;
    struct tree_node *copy;

    if (!at)
        return 0;
    if (!commit_allows(from->committed_pages))
        return -ENOMEM;
    if (region_copy(at, to, NULL, &to->regions.root))
        return -ENOMEM;
    copy = to->regions.root;
    while (at) {
        struct tree_node **link = at->left && !copy->left     ? &copy->left
                                  : at->right && !copy->right ? &copy->right
                                                              : NULL;

        if (!link) {
            at = at->parent;
            copy = copy->parent;
            continue;
        }
        at = link == &copy->left ? at->left : at->right;
        if (region_copy(at, to, copy, link)) {
            regions_copy_undo(to);
            return -ENOMEM;
        }
        copy = *link;
    }
    to->total_pages = to->peak_total_pages = from->total_pages;
    to->data_pages = from->data_pages;
    to->committed_pages = from->committed_pages;
    commit_add((s64)to->committed_pages);
    to->region_count = from->region_count;
    return 0;
}

void regions_open(struct address_space *space)
{
    struct region *region;

    tree_for_each (region, &space->regions, node)
        region_open(region);
}
