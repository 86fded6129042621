/*
 * Page faults: what a page is, when it is first touched or first written.
 *
 *     entry      access      region               what happens
 *     0          read        anonymous            the frame of zeros, read-only
 *     0          write       anonymous            a new frame, cleared; or 2 MiB (large.c)
 *     0          read        of a pager           the pager's frames, this one and its neighbours
 *     0          write       of a pager, private  a copy of the pager's frame
 *     0          write       of a pager, shared   the pager's frame, which it knows to be written
 *     read-only  write       private              ours if nobody else has it, else a copy (COW)
 *     2 MiB, r/o write       anonymous            ours if nobody else has any of it, else split
 *     read-only  write       shared               the pager is told, and it may be written
 *     allows it  any         any                  nothing: another thread was quicker
 *
 * Frames are allocated, cleared and copied with no spinlock held. Then, under table_lock, the
 * tables above the entry are made our own (tables.c), and the entry is written if it is still what
 * it was; if not, what was prepared is given back and the access is simply tried again.
 *
 * A frame takes another's place in two steps, for other CPUs that run the space may still read the
 * old one through their TLBs. If anybody wrote to the new frame before all have forgotten the old
 * one, he could tell them so and they would not see it:
 *
 *     CPU 0: copies on write     CPU 1                        CPU 2: has the old frame in its TLB
 *     entry = new, writable
 *                                writes to it: no fault
 *                                unlocks a mutex elsewhere
 *     interrupts CPU 2 ...                                    locks the mutex, reads old content
 *
 * So the entry is read-only and SETTLING until the flush is over. Who wants to write meanwhile does
 * a flush of his own, which is as good, and makes it writable: nobody waits for another.
 *
 * Nobody else can map a private frame behind our back: it has one reference for each entry that
 * names it, the tables above ours are our own, and who else refers to it (a futex key, a reader of
 * /proc/PID/mem) got there through this entry under this lock. So one reference, or one and those
 * of its pins, means that it is ours to write.
 *
 * Locking: space->lock for reading, from the look at the region to the entry's write: so a file
 *          that is cut meanwhile waits for us, then finds our entry (mapping.c).
 * Context: a thread that may sleep, interrupts on.
 */
#include "internal.h"
#include "tables.h"

#define AROUND_PAGES        16 /* how many of a file's pages one fault maps, if they are in memory */
#define CLEAR_PAGES_AT_ONCE 32 /* without looking whether others should run */

/* One fault on its way. */
struct fault {
    struct address_space *space;
    struct region *region;
    u64 page;   /* the address of the page */
    u32 access; /* REGION_READ, WRITE or EXECUTE */
    bool major; /* its page had to come from a device */
    struct gather gather;
};

struct frame *zero_frame; /* [const] after boot */

static u64 page_index(const struct region *region, u64 page)
{
    return region->offset_pages + ((page - region->start) >> PAGE_SHIFT);
}

static DEFINE_PER_CPU(struct fault_totals, totals); /* [cpu], roughly: a preempted one may count
                                                       for its neighbour */

/* Whoever is held up by a fault has it, whosever memory it is. */
static void fault_count(const struct fault *fault)
{
    this_cpu(totals)->faults++;
    if (unlikely(fault->major)) {
        thread_current()->major_faults++;
        this_cpu(totals)->major_faults++;
    } else {
        thread_current()->minor_faults++;
    }
}

void faults_count(struct fault_totals *totals_out)
{
    u32 cpu;

    *totals_out = (struct fault_totals){};
    cpu_for_each_online (cpu) {
        totals_out->faults += READ_ONCE(of_cpu(totals, cpus[cpu])->faults);
        totals_out->major_faults += READ_ONCE(of_cpu(totals, cpus[cpu])->major_faults);
    }
}

/* ---- Entries, under table_lock ---- */

/*
 * Takes table_lock and makes the entry of the fault's page our own to change. -ENOMEM, without the
 * lock. Tables are taken without waiting; where that fails, room is made without the lock.
 */
static int entry_lock(struct fault *fault, pte **entry_out)
    acquires(&fault->space->table_lock) no_lock_check
{
    spin_lock(&fault->space->table_lock);
    *entry_out = table_own_quickly(fault->space, fault->page);
    if (likely(*entry_out))
        return 0;
    while (table_own(fault->space, fault->page, &fault->gather, entry_out)) {
        spin_unlock(&fault->space->table_lock);
        gather_finish(&fault->gather);
        if (!memory_make_room(TABLE_LEVELS))
            return -ENOMEM;
        spin_lock(&fault->space->table_lock);
    }
    return 0;
}

/* Lets go of it, and then of what was replaced. */
static void entry_unlock(struct fault *fault) releases(&fault->space->table_lock) no_lock_check
{
    spin_unlock(&fault->space->table_lock);
    if (unlikely(!gather_is_empty(&fault->gather)))
        gather_finish(&fault->gather);
}

/*
 * Puts `frame`, whose reference it takes over, behind the fault's page, if nothing is there yet.
 * -ENOMEM.
 */
static int entry_fill(struct fault *fault, struct frame *frame, pte write_now)
{
    pte *entry, value = pte_make(frame, fault->region->flags, write_now);
    int error = entry_lock(fault, &entry);

    if (unlikely(error)) {
        frame_put(frame);
        return error;
    }
    if (likely(!*entry)) {
        table_set(entry, value);
        resident_count(fault->space, frame, value, 1);
        fault_count(fault);
        frame = NULL;
    }
    entry_unlock(fault);
    if (unlikely(frame))
        frame_put(frame);
    return 0;
}

/* ---- Nothing was there ---- */

/*
 * Whether a page that is read gets the frame of zeros. Where several CPUs run in the space it costs
 * more than a frame: all are interrupted when the page is written after all.
 */
static bool zeros_are_cheaper(const struct fault *fault)
{
    u64 own = BIT(cpu_current()->id);

    return !(fault->region->flags & REGION_WRITE) ||
           (READ_ONCE(fault->space->cpus) & ~READ_ONCE(fault->space->lazy_cpus)) == own;
}

/* Takes table_lock and gives the fault's entry of level 2, if nothing is there. */
static bool large_entry_lock(struct fault *fault, pte **entry_out)
    acquires(&fault->space->table_lock) no_lock_check
{
    spin_lock(&fault->space->table_lock);
    if (!table_own_level_2(fault->space, fault->page, &fault->gather, entry_out) && !**entry_out)
        return true;
    entry_unlock(fault);
    return false;
}

/* Clearing 2 MiB takes long; others may run in between, for no spinlock is held. */
static void large_clear(struct frame *first)
{
    for (u32 i = 0; i < LARGE_PAGES; i++) {
        page_clear(frame_data(first + i));
        if (i % CLEAR_PAGES_AT_ONCE == 0)
            sched_point();
    }
}

/* Puts 2 MiB behind the fault's page. False: it gets a small page. */
static bool fill_large(struct fault *fault)
{
    struct frame *first;
    pte *entry;

    if (!large_entry_lock(fault, &entry))
        return false;
    entry_unlock(fault);
    first = large_alloc();
    if (!first)
        return false;
    large_clear(first);
    if (!large_entry_lock(fault, &entry)) {
        large_put(first);
        return false;
    }
    table_set(entry, pte_make(first, fault->region->flags, PTE_WRITE_NOW) | PTE_LARGE);
    resident_count_large(fault->space, 1);
    fault_count(fault);
    entry_unlock(fault);
    return true;
}

/* Whether the 2 MiB around the page lie in its region, and are to be one page. */
static bool may_be_large(const struct fault *fault)
{
    const struct region *region = fault->region;
    u64 start = ALIGN_DOWN(fault->page, LARGE_BYTES);

    return start >= region->start && region->end - start >= LARGE_BYTES &&
           large_is_wanted(fault->space, region->flags);
}

static int fill_anonymous(struct fault *fault)
{
    struct frame *frame;

    if ((fault->access & REGION_WRITE) && unlikely(may_be_large(fault)) && fill_large(fault))
        return 0;
    if (!(fault->access & REGION_WRITE) && zeros_are_cheaper(fault)) {
        frame_get(zero_frame);
        return entry_fill(fault, zero_frame, 0);
    }
    frame = frame_alloc(0, FRAME_ANONYMOUS, ALLOC_CLEARED);
    return frame ? entry_fill(fault, frame, PTE_WRITE_NOW) : -ENOMEM;
}

/* The pager's page at the fault. -ENXIO: beyond the object's end, where -EFAULT means no region. */
static int pager_fill(struct fault *fault, unsigned access, struct frame **frame_out)
{
    struct region *region = fault->region;
    const struct thread *thread = thread_current();
    u64 reads = thread->io.device_pages_read;
    int error = region->pager->fill(region, page_index(region, fault->page), access, frame_out);

    if (thread->io.device_pages_read != reads)
        fault->major = true;
    return error == -EFAULT ? -ENXIO : error;
}

/* A private page that is written at once: a copy of the pager's. */
static int fill_copied(struct fault *fault)
{
    struct frame *original, *copy;
    int error = pager_fill(fault, PAGER_READ, &original);

    if (error)
        return error;
    copy = frame_alloc(0, FRAME_ANONYMOUS, 0);
    if (copy)
        page_copy(frame_data(copy), frame_data(original));
    frame_put(original);
    return copy ? entry_fill(fault, copy, PTE_WRITE_NOW) : -ENOMEM;
}

/* The pages around the fault's that one table and the region hold: [*first_out, + count). */
static unsigned around_range(const struct fault *fault, u64 *first_out)
{
    const struct region *region = fault->region;
    u64 bytes = AROUND_PAGES * PAGE_SIZE;
    u64 first = MAX(ALIGN_DOWN(fault->page, bytes), region->start);
    u64 end = MIN(ALIGN_DOWN(fault->page, bytes) + bytes, region->end);

    *first_out = first;
    return (end - first) >> PAGE_SHIFT;
}

/*
 * Writes the entries of frames[i], for pages from `first`, where there are none. Takes them over.
 */
static int fill_entries(struct fault *fault, struct frame **frames, u64 first, unsigned count)
{
    pte *entry;
    int error = entry_lock(fault, &entry);

    if (likely(!error)) {
        entry -= (fault->page - first) >> PAGE_SHIFT;
        for (unsigned i = 0; i < count; i++) {
            pte value;

            if (!frames[i] || entry[i])
                continue;
            value = pte_make(frames[i], fault->region->flags, 0);
            table_set(&entry[i], value);
            resident_count(fault->space, frames[i], value, 1);
            frames[i] = NULL;
        }
        fault_count(fault);
        entry_unlock(fault);
    }
    for (unsigned i = 0; i < count; i++)
        if (frames[i])
            frame_put(frames[i]);
    return error;
}

/* A page of a pager that is only read: with its neighbours, as far as they are in memory. */
static int fill_around(struct fault *fault)
{
    struct region *region = fault->region;
    struct frame *frames[AROUND_PAGES] = {0};
    u64 first = fault->page;
    unsigned count = 1, own = 0;
    int error = 0;

    if (region->pager->fill_around) {
        count = around_range(fault, &first);
        own = (fault->page - first) >> PAGE_SHIFT;
        region->pager->fill_around(region, page_index(region, first), count, frames);
    }
    if (!frames[own])
        error = pager_fill(fault, PAGER_READ, &frames[own]);
    if (error) {
        for (unsigned i = 0; i < count; i++)
            if (frames[i])
                frame_put(frames[i]);
        return error;
    }
    return fill_entries(fault, frames, first, count);
}

/*
 * The pager's own frame, which it has marked as written: through a shared mapping that is the
 * file's page itself.
 */
static int fill_written(struct fault *fault)
{
    struct frame *frame;
    int error = pager_fill(fault, PAGER_WRITE, &frame);

    return error ? error : entry_fill(fault, frame, PTE_WRITE_NOW);
}

/* Which of the cases of the table above, for an entry that is 0. */
static int fault_absent(struct fault *fault)
{
    if (!fault->region->pager)
        return fill_anonymous(fault);
    if (!(fault->access & REGION_WRITE))
        return fill_around(fault);
    return fault->region->flags & REGION_SHARED ? fill_written(fault) : fill_copied(fault);
}

/* ---- Something is there ---- */

/* Whether two values of an entry differ in no more than what the processor sets by itself. */
static bool entry_is_same(pte a, pte b)
{
    return ((a ^ b) & ~(pte)(PTE_ACCESSED | PTE_DIRTY)) == 0;
}

/* All CPUs forget what was behind the page; then the entry may become writable. */
static int entry_settle(struct fault *fault, pte settling)
{
    pte *entry;
    int error;

    gather_page(&fault->gather, fault->page);
    gather_flush(&fault->gather);
    error = entry_lock(fault, &entry);
    if (unlikely(error))
        return error;
    if (entry_is_same(*entry, settling))
        WRITE_ONCE(*entry, pte_make(pte_frame(settling), fault->region->flags, PTE_WRITE_NOW));
    entry_unlock(fault);
    return 0;
}

/* Replaces what the entry names by `frame`, if it is still `expected`. Takes over the reference. */
static int entry_replace(struct fault *fault, pte expected, struct frame *frame)
{
    pte *entry;
    int error = entry_lock(fault, &entry);

    if (unlikely(error)) {
        frame_put(frame);
        return error;
    }
    if (likely(entry_is_same(*entry, expected))) {
        pte settling = pte_make(frame, fault->region->flags, 0) | PTE_SETTLING;
        struct frame *old = pte_frame(expected);

        resident_count(fault->space, old, expected, -1);
        table_set(entry, settling);
        resident_count(fault->space, frame, settling, 1);
        gather_page(&fault->gather, fault->page);
        gather_frame(&fault->gather, old);
        fault_count(fault);
        if (unlikely(!gather_flush_here(&fault->gather))) {
            spin_unlock(&fault->space->table_lock);
            return entry_settle(fault, settling);
        }
        WRITE_ONCE(*entry, pte_make(frame, fault->region->flags, PTE_WRITE_NOW));
        frame = NULL;
    }
    entry_unlock(fault);
    if (unlikely(frame))
        frame_put(frame);
    return 0;
}

/* Copy-on-write. We have a reference to `old`, and give it up. */
static int copy_on_write(struct fault *fault, pte expected, struct frame *old)
{
    struct frame *copy;

    if (old == zero_frame) {
        copy = frame_alloc(0, FRAME_ANONYMOUS, ALLOC_CLEARED);
    } else {
        copy = frame_alloc(0, FRAME_ANONYMOUS, 0);
        if (copy)
            page_copy(frame_data(copy), frame_data(old));
    }
    frame_put(old);
    return copy ? entry_replace(fault, expected, copy) : -ENOMEM;
}

/* The first write through a shared mapping: the pager marks its page dirty. */
static int write_shared(struct fault *fault)
{
    struct region *region = fault->region;
    struct frame *frame;
    pte *entry;
    int error = pager_fill(fault, PAGER_WRITE, &frame);

    if (error)
        return error;
    error = entry_lock(fault, &entry);
    if (!error) {
        if (*entry && pte_frame(*entry) == frame)
            WRITE_ONCE(*entry, pte_make(frame, region->flags, PTE_WRITE_NOW));
        fault_count(fault);
        entry_unlock(fault);
    }
    frame_put(frame);
    return error;
}

/*
 * A 2 MiB page whose entry did not allow the access: it does now, or *entry_io is that of a small
 * page. Takes and keeps table_lock. -ENOMEM, without it.
 */
static int large_resolve(struct fault *fault, pte **entry_io) no_lock_check
{
    u32 flags = fault->region->flags;

    while (**entry_io & PTE_LARGE) {
        pte *entry = *entry_io;
        struct frame *first = pte_frame(*entry);
        bool writes = fault->access & REGION_WRITE;

        if ((*entry & PTE_WRITABLE) || !writes || large_is_ours(first)) {
            pte write_now = writes ? PTE_WRITE_NOW : *entry & PTE_WRITE_NOW;

            WRITE_ONCE(*entry, pte_make(first, flags, write_now) | PTE_LARGE);
            return 0;
        }
        if (!large_split(fault->space, entry)) {
            *entry_io = table_own_quickly(fault->space, fault->page);
            return 0;
        }
        entry_unlock(fault);
        if (!memory_make_room(TABLE_LEVELS) || entry_lock(fault, entry_io))
            return -ENOMEM;
    }
    return 0;
}

/* An entry is there, but did not allow the access; or did not when the processor looked. */
static int fault_present(struct fault *fault)
{
    u32 flags = fault->region->flags;
    struct frame *frame;
    pte *entry, value;
    int error = entry_lock(fault, &entry);

    if (unlikely(error))
        return error;
    if (unlikely(*entry & PTE_LARGE)) {
        error = large_resolve(fault, &entry);
        if (error)
            return error;
    }
    value = *entry;
    frame = pte_frame(value);
    if (!value || (value & (PTE_WRITABLE | PTE_LARGE))) {
        /* Gone again, or just the tables above forbade it, and now they do not. */
        entry_unlock(fault);
        return 0;
    }
    if (unlikely(value & PTE_SETTLING)) {
        entry_unlock(fault);
        return entry_settle(fault, value);
    }
    if (!(fault->access & REGION_WRITE)) {
        WRITE_ONCE(*entry, pte_make(frame, flags, 0));
        entry_unlock(fault);
        return 0;
    }
    if (flags & REGION_SHARED) {
        entry_unlock(fault);
        return write_shared(fault);
    }
    if (frame_is_ours(frame)) {
        WRITE_ONCE(*entry, pte_make(frame, flags, PTE_WRITE_NOW));
        fault_count(fault);
        entry_unlock(fault);
        return 0;
    }
    frame_get(frame);
    entry_unlock(fault);
    return copy_on_write(fault, value, frame);
}

/* ---- All of it ---- */

/* Only the region above an address can reach it by growing. */
static bool only_growth_reaches(const struct region *region, u64 address)
{
    return region && region->start > address && (region->flags & REGION_GROWS_DOWN);
}

/*
 * The stack grows outside the read lock, with the lock for writing: then everything is looked at
 * anew.
 */
int fault_resolve(struct address_space *space, u64 address, u32 access, u32 code)
{
    struct region *region;
    struct fault fault;
    int error;

    rwlock_read_lock(&space->lock);
    region = region_find_from(space, address);
    if (unlikely(only_growth_reaches(region, address))) {
        rwlock_read_unlock(&space->lock);
        error = space_grow_stack(space, address);
        if (error)
            return error;
        rwlock_read_lock(&space->lock);
        region = region_find_from(space, address);
    }
    if (unlikely(!region || region->start > address)) {
        error = -EFAULT;
    } else if (unlikely(!(region->flags & access))) {
        error = -EACCES;
    } else if (unlikely(address_space_is_doomed(space))) {
        error = -ENOMEM;
    } else {
        fault.space = space;
        fault.region = region;
        fault.page = address & PAGE_MASK;
        fault.access = access;
        fault.major = false;
        gather_init(&fault.gather, space);
        error = code & FAULT_PRESENT ? fault_present(&fault) : fault_absent(&fault);
    }
    rwlock_read_unlock(&space->lock);
    return error;
}

void fault_init(void)
{
    zero_frame = frame_alloc(0, FRAME_KERNEL, ALLOC_CLEARED);
    assert(zero_frame);
}
