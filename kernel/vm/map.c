/*
 * mmap(2), munmap(2), brk(2) and stacks: regions come, grow and go. Pages come later, by faults.
 *
 * The search for a place takes the highest room below mmap_top, then any; a size of whole 2 MiB
 * goes to a multiple of that, so that large pages fit. Limits are asked first; then a fixed place
 * is emptied, and the allocation of the region is all that can still fail. The place is empty then.
 *
 * munmap does in this order, so that an error finds all as it was, and nobody a page without a
 * region:
 *
 *     split       a region with a hole in it becomes two      -ENOMEM
 *     own ends    the tables that the range cuts in part      -ENOMEM
 *     unmap       entries and whole tables go; TLBs flushed   cannot fail
 *     regions     shrink, or are dropped                      cannot fail
 *
 * A dropped region is closed only when the lock is free (space_write_unlock): that may end a file,
 * whose locks stand above ours.
 *
 * Limits and errors: -ENOMEM for RLIMIT_AS, RLIMIT_DATA, overcommit, REGIONS_MAX and no room;
 * -EAGAIN for RLIMIT_MEMLOCK; -EPERM below MAP_ADDRESS_MIN; -EEXIST for MAP_FIXED_NOREPLACE.
 *
 * Locking: space->lock for writing. Context: sleeps. Populating goes without the lock, as faults
 *          do.
 */
#include <pith/abi/mman.h>

#include "internal.h"
#include "tables.h"

#define LOW_END 0x80000000ul /* MAP_32BIT: the first 2 GiB */

/* [start, start + bytes), in whole pages, if it lies in what may be mapped. -EINVAL, -ENOMEM. */
static int range_check(u64 start, u64 bytes, u64 *end_out)
{
    if (start & ~PAGE_MASK)
        return -EINVAL;
    if (bytes == 0 || bytes > USER_END)
        return bytes ? -ENOMEM : -EINVAL;
    bytes = ALIGN_UP(bytes, PAGE_SIZE);
    if (!user_range_is_valid(start, bytes))
        return -ENOMEM;
    *end_out = start + bytes;
    return 0;
}

static bool range_is_free(struct address_space *space, u64 start, u64 end)
{
    struct region *region = region_find_from(space, start);

    return !region || region->start >= end;
}

/* A place that 2 MiB pages fill. 0: there is none. */
static u64 room_find_aligned(const struct address_space *space, u64 bytes, u64 top)
{
    u64 start = region_find_room(space, bytes + LARGE_BYTES - PAGE_SIZE, MAP_ADDRESS_MIN, top);

    return ALIGN_UP(start, LARGE_BYTES);
}

int space_place_find(struct address_space *space, const struct map_request *request, u64 bytes,
                     u64 *start_out)
{
    u64 hint = ALIGN_DOWN(request->address, PAGE_SIZE), top = space->mmap_top;
    bool is_low = request->map_flags & MAP_32BIT;

    if (is_low)
        top = MIN(top, LOW_END);
    if (hint >= MAP_ADDRESS_MIN && user_range_is_valid(hint, bytes) &&
        (!is_low || hint + bytes <= LOW_END) && range_is_free(space, hint, hint + bytes)) {
        *start_out = hint;
        return 0;
    }
    *start_out = 0;
    if (bytes % LARGE_BYTES == 0 && !request->pager)
        *start_out = room_find_aligned(space, bytes, top);
    if (!*start_out)
        *start_out = region_find_room(space, bytes, MAP_ADDRESS_MIN, top);
    /* Above the usual place, where the stack leaves room. */
    if (!*start_out && top == space->mmap_top)
        *start_out = region_find_room(space, bytes, MAP_ADDRESS_MIN, USER_END);
    return *start_out ? 0 : -ENOMEM;
}

/* The place of a MAP_FIXED request, made free. */
static int place_take(struct address_space *space, const struct map_request *request, u64 bytes,
                      u64 *start_out)
{
    u64 end;
    int error = range_check(request->address, bytes, &end);

    if (error)
        return error;
    if (request->address < MAP_ADDRESS_MIN)
        return -EPERM;
    *start_out = request->address;
    if (range_is_free(space, request->address, end))
        return 0;
    if (request->map_flags & MAP_FIXED_NOREPLACE)
        return -EEXIST;
    return space_unmap_locked(space, request->address, end);
}

/* Inserts a region for the request at `start`. */
static int region_create(struct address_space *space, const struct map_request *request, u64 start,
                         u64 end)
{
    const struct region wanted = {
        .space = space,
        .start = start,
        .end = end,
        .flags = request->flags,
        .pager = request->pager,
        .object = request->object,
        .offset_pages = request->offset_pages,
    };
    struct region *region = region_alloc(&wanted);

    if (!region)
        return -ENOMEM;
    region_insert(region);
    region_merge(region);
    return 0;
}

/* Limits before places: a MAP_FIXED that is refused by a limit has unmapped nothing. */
static int map_locked(struct address_space *space, const struct map_request *request, u64 bytes,
                      u64 *start_out)
{
    int error = space_growth_check(space, request->flags, bytes >> PAGE_SHIFT);

    if (error)
        return error;
    if (space->region_count >= REGIONS_MAX)
        return -ENOMEM;
    if (request->map_flags & (MAP_FIXED | MAP_FIXED_NOREPLACE))
        error = place_take(space, request, bytes, start_out);
    else
        error = space_place_find(space, request, bytes, start_out);
    return error ? error : region_create(space, request, *start_out, *start_out + bytes);
}

/*
 * Shared memory without a file gets an object of its own, made before the lock is taken; the region
 * holds it from then on.
 */
int address_space_map(struct address_space *space, const struct map_request *request,
                      u64 *address_out)
{
    struct map_request own = *request;
    bool shares_nothing = (request->flags & REGION_SHARED) && !request->pager, comes_in;
    u64 bytes;
    int error;

    if (request->bytes == 0)
        return -EINVAL;
    if (request->bytes > USER_END)
        return -ENOMEM;
    bytes = ALIGN_UP(request->bytes, PAGE_SIZE);
    if (shares_nothing) {
        own.pager = &shared_memory_pager;
        own.offset_pages = 0;
        error = shared_memory_create(bytes >> PAGE_SHIFT,
                                     request->flags & REGION_NO_RESERVE ? 0 : bytes >> PAGE_SHIFT,
                                     &own.object);
        if (error)
            return error;
    }
    rwlock_write_lock(&space->lock);
    if (space->lock_future)
        own.flags |= REGION_LOCKED;
    comes_in = (request->map_flags & MAP_POPULATE) || (request->flags & REGION_LOCKED) ||
               (space->lock_future & SPACE_LOCK_POPULATE);
    own.flags |= region_commitment(own.flags);
    error = map_locked(space, &own, bytes, address_out);
    space_write_unlock(space);
    if (shares_nothing)
        shared_memory_put(own.object); /* the region has a reference of its own */
    if (!error && comes_in) {
        /* What cannot be filled now faults later (mmap(2)). */
        int ignored = address_space_populate(
            space, *address_out, bytes, request->flags & REGION_WRITE ? PAGER_WRITE : PAGER_READ);
        (void)ignored;
    }
    return error;
}

/* Whether [start, end) is one object's shared mapping, by one protection, without a hole. */
static bool is_one_shared(const struct region *region, u64 start, u64 end)
{
    const struct region *first = region;

    if (!region || region->start > start || !(region->flags & REGION_SHARED))
        return false;
    while (region->end < end) {
        const struct region *next = region_next(region);

        if (!next || next->start != region->end || next->object != first->object ||
            next->flags != first->flags)
            return false;
        region = next;
    }
    return true;
}

/*
 * remap_file_pages(2): another part of the same object takes the place, with the old regions'
 * rights.
 */
int address_space_map_pages(struct address_space *space, u64 address, u64 bytes, u64 offset_pages)
{
    struct map_request request = {.address = address, .map_flags = MAP_FIXED};
    struct region *region;
    int error = -EINVAL;

    if (!bytes || !user_range_is_valid(address, bytes))
        return -EINVAL;
    rwlock_write_lock(&space->lock);
    region = region_find(space, address);
    if (is_one_shared(region, address, address + bytes)) {
        request.flags = region->flags;
        request.pager = region->pager;
        /* The region that goes is closed, and its object let go, only when the lock is. */
        request.object = region->object;
        request.offset_pages = offset_pages;
        error = map_locked(space, &request, bytes, &address);
    }
    space_write_unlock(space);
    return error;
}

/* ---- munmap ---- */

int space_unmap_locked(struct address_space *space, u64 start, u64 end)
{
    struct region *region = region_find_from(space, start), *next;
    struct gather gather;
    int error;

    if (start >= end || !region || region->start >= end)
        return 0;
    /* All that may fail comes first. A region with a hole in it is two; others only shrink. */
    if (region->start < start && region->end > end) {
        error = region_split(region, end);
        if (error)
            return error;
    }
    gather_init(&gather, space);
    error = tables_own_ends(space, start, end, &gather);
    if (error) {
        gather_finish(&gather);
        return error;
    }
    /* Pages go before their regions: entries lie in regions, always. */
    tables_unmap(space, start, end, &gather);
    gather_finish(&gather);
    for (; region && region->start < end; region = next) {
        next = region_next(region);
        if (region->start < start) {
            region_resize(region, region->start, start);
        } else if (region->end > end) {
            region_resize(region, end, region->end);
        } else {
            region_drop(region);
        }
    }
    return 0;
}

int address_space_unmap(struct address_space *space, u64 address, u64 bytes)
{
    u64 end;
    int error = range_check(address, bytes, &end);

    if (error)
        return -EINVAL;
    rwlock_write_lock(&space->lock);
    error = space_unmap_locked(space, address, end);
    space_write_unlock(space);
    return error;
}

/*
 * shmdt(2): pieces that mprotect or munmap left of one attachment are known by lying where the
 * whole would have put them.
 */
int address_space_unmap_object(struct address_space *space, u64 address,
                               bool (*accepts)(const struct region *region, u64 *bytes_out))
{
    struct region *region, *next;
    void *object = NULL;
    u64 bytes = U64_MAX;
    int error = 0;

    rwlock_write_lock(&space->lock);
    for (region = region_find_from(space, address); region && !error; region = next) {
        next = region_next(region);
        if (region->start - address >= bytes)
            break;
        if (region->start - address != region->offset_pages << PAGE_SHIFT ||
            (object ? region->object != object : !accepts(region, &bytes)))
            continue;
        object = region->object;
        error = space_unmap_locked(space, region->start, region->end);
    }
    space_write_unlock(space);
    return object ? error : -EINVAL;
}

/* ---- brk ---- */

/* Moves the heap's end up from `old` to `new`, both page aligned. -ENOMEM. */
static int heap_extend(struct address_space *space, u64 old, u64 new)
{
    struct region *region = old > space->heap_start ? region_find(space, old - PAGE_SIZE) : NULL;
    struct map_request request = {.flags = REGION_READ | REGION_WRITE | REGION_MAY_READ |
                                           REGION_MAY_WRITE | REGION_MAY_EXECUTE | REGION_HEAP};

    if (space->lock_future)
        request.flags |= REGION_LOCKED;
    request.flags |= region_commitment(request.flags);
    if (!range_is_free(space, old, new) ||
        space_growth_check(space, request.flags, (new - old) >> PAGE_SHIFT))
        return -ENOMEM;
    if (region && region->end == old && region->flags == request.flags && !region->pager) {
        region_resize(region, region->start, new);
        return 0;
    }
    return space->region_count < REGIONS_MAX ? region_create(space, &request, old, new) : -ENOMEM;
}

/* brk(2) never fails: it says where the end is, and the C library compares. */
u64 address_space_set_heap_end(struct address_space *space, u64 end)
{
    u64 old, new;
    bool comes_in;
    int error = 0;

    rwlock_write_lock(&space->lock);
    old = ALIGN_UP(space->heap_end, PAGE_SIZE);
    new = ALIGN_UP(end, PAGE_SIZE);
    if (end < space->heap_start || end >= USER_END)
        error = -ENOMEM;
    else if (new > old)
        error = heap_extend(space, old, new);
    else if (new < old)
        error = space_unmap_locked(space, new, old);
    if (!error)
        space->heap_end = end;
    end = space->heap_end;
    comes_in = space->lock_future & SPACE_LOCK_POPULATE;
    space_write_unlock(space);
    if (!error && new > old && comes_in)
        (void)!address_space_populate(space, old, new - old, PAGER_WRITE);
    return end;
}

/* ---- The stack ---- */

/*
 * What stays free below a stack: nothing above another stack, or where the program has a guard of
 * its own, a region that allows nothing.
 */
static u64 stack_guard_bytes(const struct region *below)
{
    bool is_guard = !(below->flags & REGION_PROTECTION) || (below->flags & REGION_GROWS_DOWN);

    return is_guard ? 0 : STACK_GUARD_BYTES;
}

static bool stack_may_begin_at(const struct region *stack, u64 start)
{
    const struct region *below = region_previous(stack);

    if (!(stack->flags & REGION_GROWS_DOWN) || start < MAP_ADDRESS_MIN ||
        (stack->end - start) >> PAGE_SHIFT > space_limit(SPACE_LIMIT_STACK))
        return false;
    if (below && start < below->end + stack_guard_bytes(below))
        return false;
    return !space_growth_check(stack->space, stack->flags, (stack->start - start) >> PAGE_SHIFT);
}

/* Another thread may have grown it since the fault: then there is nothing to do. */
int space_grow_stack(struct address_space *space, u64 address)
{
    u64 start = address & PAGE_MASK;
    struct region *stack;
    int error = 0;

    rwlock_write_lock(&space->lock);
    stack = region_find_from(space, address);
    if (!stack || (stack->start > address && !stack_may_begin_at(stack, start)))
        error = -EFAULT;
    else if (stack->start > address)
        region_resize(stack, start, stack->end);
    space_write_unlock(space);
    return error;
}
