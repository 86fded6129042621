/* What the files of vm/ tell each other. */
#pragma once

#include <pith/vm.h>

/* tlb.c: no CPU has the space's tables loaded when it returns. */
void address_space_leave_all(struct address_space *space);

#define STACK_GUARD_BYTES (256 * PAGE_SIZE) /* kept free below a stack that grows */

/* region.c */
#define region_entry(tree_pointer) tree_entry_or_null((tree_pointer), struct region, node)
static inline struct region *region_next(const struct region *region)
{
    return region_entry(tree_next(&region->node));
}
static inline struct region *region_previous(const struct region *region)
{
    return region_entry(tree_previous(&region->node));
}
static inline struct region *region_first(const struct address_space *space)
{
    return region_entry(tree_first(&space->regions));
}
static inline u64 region_pages(const struct region *region)
{
    return (region->end - region->start) >> PAGE_SHIFT;
}
/* Private and writable: what RLIMIT_DATA counts. */
static inline bool region_is_data(u32 flags)
{
    return (flags & (REGION_WRITE | REGION_SHARED | REGION_STACK)) == REGION_WRITE;
}

void region_init(void);
/* An empty tree. */
void regions_init(struct address_space *space);
/* A copy of `like` that is in no tree, without its pager being told. NULL: no memory. */
struct region *region_alloc(const struct region *like) must_check;
void region_free(struct region *region);
/* Into the tree of its space, with the space's sums; the pager is told. */
void region_insert(struct region *region);
/* Out of the tree and away; the pager is told by space_write_unlock. */
void region_drop(struct region *region);
/*
 * Lets go of space->lock, then closes the regions that were dropped: that may end a file, which
 * takes locks that come before ours.
 */
void space_write_unlock(struct address_space *space);
/* Changes the bounds of a region in its tree; they stay between its neighbours. */
void region_resize(struct region *region, u64 start, u64 end);
/* Changes the flags, with the space's sums. */
void region_set_flags(struct region *region, u32 flags);
/* Cuts it at `address`, which lies inside. The region keeps what is below. -ENOMEM. */
int region_split(struct region *region, u64 address) must_check;
/* Makes region bounds at `start` and `end`. -ENOMEM, with the tree as it was but for splits. */
int regions_split_at(struct address_space *space, u64 start, u64 end) must_check;
/* Joins a region with those neighbours that differ in nothing but the place. Returns the result. */
struct region *region_merge(struct region *region);
/*
 * The highest place of `bytes` that is free in [low, high). Returns its address, or 0: there is
 * none.
 */
u64 region_find_room(const struct address_space *space, u64 bytes, u64 low, u64 high);
/*
 * Copies all regions of `from` into the empty tree of `to`, in the same shape. The pagers are told
 * by regions_open, when the pages have been copied too. -ENOMEM: none.
 */
int regions_copy(struct address_space *from, struct address_space *to) must_check;
void regions_open(struct address_space *space);
/* Tells the pager alone: for a region that is in no tree. */
void region_open(struct region *region);
void region_close(struct region *region);
/* Drops all regions, when their pages have gone. */
void regions_drop_all(struct address_space *space);

/* fault.c: resolves a fault as if the access had happened. REGION_READ, WRITE or EXECUTE. */
int fault_resolve(struct address_space *space, u64 address, u32 access, u32 code) must_check;
/* The frame of zeros that is behind all anonymous pages that were only read. */
extern struct frame *zero_frame;
void fault_init(void);
void page_fault_init(void);

/* limits.c: whether `pages` more with these flags may be. -ENOMEM; -EAGAIN: too many are locked. */
int space_growth_check(const struct address_space *space, u32 flags, u64 pages) must_check;
/* Whether so many pages may be promised now. */
bool commit_allows(u64 pages) must_check;
/* Counts promised pages; negative: that are promised no more. */
void commit_add(s64 pages);
/* REGION_COMMITTED, if a region with these flags is to be counted; else 0. */
u32 region_commitment(u32 flags);

/* access.c: whether all of [start, end) lies in regions. space->lock is held. */
bool range_is_mapped(struct address_space *space, u64 start, u64 end);

/* shared_memory.c: an object of so many pages, `promised` of them, with one reference. -ENOMEM. */
int shared_memory_create(u64 pages, u64 promised, void **object_out) must_check;
void shared_memory_put(void *object);
void shared_memory_init(void);
void vdso_init(void);

/*
 * map.c: where `bytes` go by the request: its hint, if that is free, else the highest room.
 * space->lock is held. -ENOMEM.
 */
int space_place_find(struct address_space *space, const struct map_request *request, u64 bytes,
                     u64 *start_out) must_check;
/*
 * lock.c: brings in what is there, region by region; holes are passed over. No lock is held.
 * -ENOMEM: some of it could not be brought in, as what allows nothing; -EINTR: the thread is being
 * killed.
 */
int space_bring_in(struct address_space *space, u64 start, u64 end) must_check;
/* map.c: the work of munmap with space->lock held for writing and addresses checked. -ENOMEM. */
int space_unmap_locked(struct address_space *space, u64 start, u64 end) must_check;
/*
 * Grows the stack above `address` down to it, if there is one. -EFAULT: none, or it may not grow so
 * far. Takes space->lock for writing.
 */
int space_grow_stack(struct address_space *space, u64 address) must_check;
