/*
 * Address spaces: their life from exec or fork to the last reference.
 *
 *     references: threads that run in it, and who reads it for long. The last one empties it.
 *     holders:    [references' one], and who must only find the struct: a walk over a file's
 *                 regions, the out-of-memory choice. The last one frees the struct.
 *
 * Two counts, because whoever gives up the last of `references` closes files. A file that is being
 * cut finds the spaces that show it, and the choice of a victim is made in the middle of any
 * allocation: both hold locks of files or below, and must not be the one who ends a space. They
 * hold a struct that may be empty when they get its lock, and see so: it has no regions.
 *
 * fork copies the tree of regions and shares the tables (tables.c), with the parent's lock held for
 * writing. The parent's CPUs then forget their writable translations, before the child can run.
 * Pagers hear of the child's regions only when its tables name the pages: a file that is cut
 * meanwhile waits for the parent's lock, or finds the child and does its work there.
 *
 * Locking: space->lock; fork takes the parent's, and the child's inside it, which is nobody's yet.
 * Context: sleeps. The last reference may be given up on a CPU that has the space loaded (exit).
 */
#include "internal.h"
#include "tables.h"

static struct slab_cache *space_cache; /* [const] after boot */

int address_space_create(struct address_space **space_out)
{
    struct address_space *space = slab_alloc(space_cache, ALLOC_CLEARED);
    struct frame *root;

    if (!space)
        return -ENOMEM;
    root = root_alloc();
    if (!root) {
        slab_free(space_cache, space);
        return -ENOMEM;
    }
    refcount_set(&space->references, 1);
    refcount_set(&space->holders, 1);
    rwlock_init(&space->lock, LOCK_ADDRESS_SPACE);
    spin_init(&space->table_lock, LOCK_PAGE_TABLE);
    regions_init(space);
    space->root = frame_address(root);
    space->tables = 1;
    space->mmap_top = USER_END; /* until exec decides */
    space->core_filter = CORE_FILTER_DEFAULT;
    *space_out = space;
    return 0;
}

/* The struct alone: whatever was in it went with the last of `references`. */
void address_space_release(struct address_space *space)
{
    if (refcount_dec_is_zero(&space->holders))
        slab_free(space_cache, space);
}

/* Called under process_table_lock: nothing here sleeps. */
void address_space_doom(struct address_space *space)
{
    refcount_inc(&space->holders);
    WRITE_ONCE(space->doomed, true);
}

/*
 * Tried, not waited for: see oom.c. Pages go; regions stay, since who runs in it still has the lock
 * to take.
 */
bool address_space_reap(struct address_space *space)
{
    struct gather gather;

    if (!rwlock_write_try_lock(&space->lock))
        return false;
    if (region_first(space)) { /* else it ended, and has no tables any more */
        gather_init(&gather, space);
        /* Whole tables go, so none must be made for it. */
        tables_unmap(space, 0, TABLES_END, &gather);
        gather_finish(&gather);
    }
    space_write_unlock(space);
    return true;
}

void address_space_put(struct address_space *space)
{
    if (!refcount_dec_is_zero(&space->references))
        return;
    address_space_leave_all(space);
    /* Against who found us through a file: they see no region from here on. */
    rwlock_write_lock(&space->lock);
    tables_destroy(space);
    regions_drop_all(space);
    space_write_unlock(space);
    if (space->executable)
        space->executable_put(space->executable);
    address_space_release(space);
}

/* What exec decided, the child has too; the executable file with a reference of its own. */
static void layout_copy(const struct address_space *from, struct address_space *to)
{
    to->heap_start = from->heap_start;
    to->heap_end = from->heap_end;
    to->mmap_top = from->mmap_top;
    to->stack_top = from->stack_top;
    to->vdso = from->vdso;
    to->no_large_pages = from->no_large_pages;
    to->any_not_inherited = from->any_not_inherited;
    to->core_filter = READ_ONCE(from->core_filter);
    to->code_start = from->code_start;
    to->code_end = from->code_end;
    to->data_start = from->data_start;
    to->data_end = from->data_end;
    to->arguments_start = from->arguments_start;
    to->arguments_end = from->arguments_end;
    to->environment_start = from->environment_start;
    to->environment_end = from->environment_end;
    memcpy(to->auxv, from->auxv, sizeof(to->auxv));
    if (from->executable)
        from->executable_get(from->executable);
    to->executable = from->executable;
    to->executable_get = from->executable_get;
    to->executable_put = from->executable_put;
}

/* What the child does not get (madvise(2): MADV_DONTFORK), or gets empty (MADV_WIPEONFORK). */
static int child_forget(struct address_space *child, struct gather *gather)
{
    struct region *region, *next;

    for (region = region_first(child); region; region = next) {
        int error;

        next = region_next(region);
        if (!(region->flags & (REGION_NO_FORK | REGION_WIPE_ON_FORK)))
            continue;
        error = tables_own_ends(child, region->start, region->end, gather);
        if (error)
            return error;
        tables_unmap(child, region->start, region->end, gather);
        if (region->flags & REGION_NO_FORK) {
            region_drop(region);
        }
    }
    return 0;
}

/* The child's lock is taken only to take out what it must not have; nobody else knows the child. */
int address_space_copy(struct address_space *parent, struct address_space **child_out)
{
    struct address_space *child;
    struct gather gather;
    int error = address_space_create(&child);

    if (error)
        return error;
    rwlock_write_lock(&parent->lock);
    layout_copy(parent, child);
    error = regions_copy(parent, child);
    if (!error) {
        error = tables_share(parent, child);
        /* Now: who zaps a file's pages finds the child when its tables name them, not before. */
        regions_open(child);
    }
    /* The parent's own translations may still be writable. */
    gather_init(&gather, parent);
    gather.start = 0;
    gather.end = USER_END;
    gather_finish(&gather);
    if (!error && parent->any_not_inherited) {
        gather_init(&gather, child);
        rwlock_write_lock(&child->lock);
        error = child_forget(child, &gather);
        gather_finish(&gather);
        space_write_unlock(child);
    }
    space_write_unlock(parent);
    if (error) {
        address_space_put(child);
        return error;
    }
    child->peak_resident_pages = address_space_resident_pages(child);
    *child_out = child;
    return 0;
}

/* Counters change under different locks: a sum below 0 is possible for a moment, and shown as 0. */
u64 address_space_resident_pages(const struct address_space *space)
{
    s64 pages = READ_ONCE(space->resident_anonymous) + READ_ONCE(space->resident_file) +
                READ_ONCE(space->resident_shared);

    return pages > 0 ? pages : 0;
}

u64 address_space_peak_resident_pages(const struct address_space *space)
{
    return MAX(READ_ONCE(space->peak_resident_pages), address_space_resident_pages(space));
}

void address_space_reset_peak(struct address_space *space)
{
    rwlock_write_lock(&space->lock);
    WRITE_ONCE(space->peak_resident_pages, address_space_resident_pages(space));
    rwlock_write_unlock(&space->lock);
}

void vm_init(void)
{
    space_cache = slab_cache_create("address_space", sizeof(struct address_space), 0);
    region_init();
    fault_init();
    page_fault_init();
    shared_memory_init();
    vdso_init();
    sched_switch_register(address_space_switch);
}
