/*
 * From a file to the regions that show it: for taking its pages out of all of them.
 *
 * A mapping's list has a region from region_opened to region_closed. Its lock is a spinlock, taken
 * inside space->lock by those two; a walk must do the reverse, so it goes from region to region
 * with a cursor in the list, and holds nothing but the struct of the address space (`holders`)
 * while it works there:
 *
 *     regions <-> A <-> cursor <-> B <-> C        A is done; new ones come in at the end
 *
 * What a walk does in a space it does in all regions there that show the file, at once, and leaves
 * its number in each: so a program that cut its mapping into thousands costs a look at each of
 * them, not thousands. A region that was cut from one with the number, or copied by fork, has it
 * too: its entries were made from those that the walk has changed already.
 *
 * A fault that was under way has filled its entry before the walk gets the space's lock, and the
 * walk takes it out again; one that comes later asks the pager, which knows of the cut already.
 *
 * Locking: mapping.lock for the list; space->lock for writing at each step.
 */
#include "internal.h"
#include "tables.h"

/* What a walk does with the pages [start, end) of one region. -ENOMEM: to be tried again. */
typedef int region_work(struct region *region, u64 start, u64 end, struct gather *gather);

void mapping_init(struct mapping *mapping)
{
    spin_init(&mapping->lock, LOCK_MAPPING);
    list_init(&mapping->regions);
}

/*
 * A new region goes to the end of the list: a walk that is under way meets it, and finds nothing to
 * do or does it.
 */
void mapping_add(struct mapping *mapping, struct region *region)
{
    region->mapping = mapping;
    spin_lock(&mapping->lock);
    list_push_back(&mapping->regions, &region->mapping_link);
    spin_unlock(&mapping->lock);
}

void mapping_remove(struct region *region)
{
    struct mapping *mapping = region->mapping;

    spin_lock(&mapping->lock);
    list_remove(&region->mapping_link);
    spin_unlock(&mapping->lock);
    region->mapping = NULL;
}

/* The part of a region that shows the pages [first, first + count): [*start_out, *end_out). */
static bool region_part(const struct region *region, u64 first, u64 count, u64 *start_out,
                        u64 *end_out)
{
    u64 last = count > U64_MAX - first ? U64_MAX : first + count;
    u64 from = MAX(first, region->offset_pages);
    u64 to = MIN(last, region->offset_pages + region_pages(region));

    if (from >= to)
        return false;
    *start_out = region->start + ((from - region->offset_pages) << PAGE_SHIFT);
    *end_out = region->start + ((to - region->offset_pages) << PAGE_SHIFT);
    return true;
}

static u64 walks; /* [atomic] how many there were, which numbers them from 1 */

/* Does the work of a walk in all regions of one address space that show the mapping. */
static void space_work(struct address_space *space, struct mapping *mapping, u64 walk, u64 first,
                       u64 count, region_work *work)
{
    struct gather gather;
    struct region *region;
    u64 start, end;

    gather_init(&gather, space);
    rwlock_write_lock(&space->lock);
    tree_for_each (region, &space->regions, node) {
        if (region->mapping != mapping)
            continue;
        WRITE_ONCE(region->last_walk, walk);
        if (!region_part(region, first, count, &start, &end))
            continue;
        while (work(region, start, end, &gather)) {
            gather_finish(&gather);
            if (!memory_make_room(TABLE_LEVELS)) /* others end, and this cannot be left undone */
                sched_yield();
        }
    }
    gather_finish(&gather);
    space_write_unlock(space);
}

/* The region behind the cursor, with the cursor moved behind it; NULL: that was the last. */
static struct region *cursor_next(struct mapping *mapping, struct region *cursor)
    must_hold(&mapping->lock)
{
    struct list *next = cursor->mapping_link.next;

    while (next != &mapping->regions) {
        struct region *region = list_entry(next, struct region, mapping_link);

        if (region->space) { /* another walk's cursor has none */
            list_remove(&cursor->mapping_link);
            list_push_front(next, &cursor->mapping_link);
            return region;
        }
        next = next->next;
    }
    return NULL;
}

/*
 * The list's lock is let go for each region, so the walk's place in it is kept by the cursor, and
 * what it works on by the space's holders.
 */
static void mapping_walk(struct mapping *mapping, u64 first, u64 count, region_work *work)
{
    u64 walk = __atomic_add_fetch(&walks, 1, __ATOMIC_RELAXED);
    struct region cursor = {.space = NULL};
    struct region *region;

    if (list_is_empty(&mapping->regions))
        return;
    spin_lock(&mapping->lock);
    list_push_front(&mapping->regions, &cursor.mapping_link);
    while ((region = cursor_next(mapping, &cursor))) {
        struct address_space *space = READ_ONCE(region->last_walk) == walk ? NULL : region->space;

        if (space)
            refcount_inc(&space->holders);
        spin_unlock(&mapping->lock); /* also when there is nothing to do: the list may be long */
        if (space) {
            space_work(space, mapping, walk, first, count, work);
            address_space_release(space);
        }
        spin_lock(&mapping->lock);
    }
    list_remove(&cursor.mapping_link);
    spin_unlock(&mapping->lock);
}

/* truncate: private copies show what is gone, and go too. */
static int work_unmap(struct region *region, u64 start, u64 end, struct gather *gather)
{
    int error = tables_own_ends(region->space, start, end, gather);

    if (!error)
        tables_unmap(region->space, start, end, gather);
    return error;
}

struct mapping_visitor {
    struct table_visitor visitor;
    struct address_space *space;
    struct gather *gather;
};

/* Frames that are no cache's are private copies, which stay. */
static void forget_entries(struct table_visitor *visitor, u64 address, pte *entries, unsigned count)
{
    struct mapping_visitor *work = container_of(visitor, struct mapping_visitor, visitor);

    for (unsigned i = 0; i < count; i++) {
        pte old = entries[i];

        if (!old || pte_frame(old)->kind != FRAME_CACHE)
            continue;
        table_set(&entries[i], 0);
        resident_count(work->space, pte_frame(old), old, -1);
        if (gather_is_full(work->gather))
            gather_finish(work->gather);
        gather_page(work->gather, address + i * PAGE_SIZE);
        gather_frame(work->gather, pte_frame(old));
    }
}

/* Private entries are read-only already, or copies. */
static void protect_entries(struct table_visitor *visitor, u64 address, pte *entries,
                            unsigned count)
{
    struct mapping_visitor *work = container_of(visitor, struct mapping_visitor, visitor);

    for (unsigned i = 0; i < count; i++) {
        if ((entries[i] & (PTE_SHARED | PTE_WRITABLE)) != (PTE_SHARED | PTE_WRITABLE))
            continue;
        WRITE_ONCE(entries[i], entries[i] & ~(PTE_WRITABLE | PTE_DIRTY));
        gather_page(work->gather, address + i * PAGE_SIZE);
    }
}

static int work_visit(struct region *region, u64 start, u64 end, struct gather *gather,
                      void (*visit)(struct table_visitor *, u64, pte *, unsigned))
{
    struct mapping_visitor work = {
        .visitor.visit = visit, .space = region->space, .gather = gather};
    int error = tables_own_range(region->space, start, end, 0, gather);

    if (!error)
        tables_visit(region->space, start, end, &work.visitor);
    return error;
}

/* The file changed elsewhere: who copied a page keeps the copy. */
static int work_forget(struct region *region, u64 start, u64 end, struct gather *gather)
{
    return work_visit(region, start, end, gather, forget_entries);
}

static int work_write_protect(struct region *region, u64 start, u64 end, struct gather *gather)
{
    return region->flags & REGION_SHARED ? work_visit(region, start, end, gather, protect_entries)
                                         : 0;
}

void mapping_zap(struct mapping *mapping, u64 first, u64 count, unsigned flags)
{
    mapping_walk(mapping, first, count, flags & MAPPING_PRIVATE_TOO ? work_unmap : work_forget);
}

/* The next write is told to the pager again, which has just begun to write the page back. */
void mapping_write_protect(struct mapping *mapping, u64 first, u64 count)
{
    mapping_walk(mapping, first, count, work_write_protect);
}
