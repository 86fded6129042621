/*
 * Access to an address space by others than its own instructions: exec, /proc/PID/mem, futexes.
 *
 * A page is looked at through its entry; if that does not allow the access, the fault that the
 * access would have been is resolved, and the entry is looked at again.
 *
 * Locking: space->lock for reading and table_lock for the entry; a reference to the frame after
 * that. Context: may sleep.
 */
#include "internal.h"
#include "tables.h"

/* Faults that one access may need: filled, written, and lost to others in between. */
#define TRIES_MAX 16

bool range_is_mapped(struct address_space *space, u64 start, u64 end)
{
    struct region *region = region_find(space, start);

    while (region && region->end < end) {
        struct region *next = region_next(region);

        if (!next || next->start != region->end)
            return false;
        region = next;
    }
    return region != NULL;
}

/* The frame behind a page if its entry allows the access now, with a reference. */
static struct frame *frame_peek(struct address_space *space, u64 address, unsigned access,
                                u32 *code_out)
{
    struct frame *frame = NULL;
    pte *entry;

    *code_out = 0;
    spin_lock(&space->table_lock);
    entry = table_lookup(space, address);
    if (entry && (*entry & PTE_PRESENT)) {
        /* Writable here is enough only if it is so all the way: a shared table's user may not. */
        if (access == PAGER_READ || table_allows_write(space, address)) {
            frame = pte_frame(*entry);
            frame_get(frame);
        } else {
            *code_out = FAULT_PRESENT;
        }
    }
    spin_unlock(&space->table_lock);
    return frame;
}

int address_space_frame_get(struct address_space *space, u64 address, unsigned access,
                            struct frame **frame_out)
{
    u32 wanted = access == PAGER_WRITE ? REGION_WRITE : REGION_READ;

    for (int i = 0; i < TRIES_MAX; i++) {
        struct region *region;
        struct frame *frame = NULL;
        u32 code = 0;
        int error;

        rwlock_read_lock(&space->lock);
        region = region_find(space, address);
        if (region && (region->flags & wanted))
            frame = frame_peek(space, address, access, &code);
        rwlock_read_unlock(&space->lock);
        if (frame) {
            *frame_out = frame;
            return 0;
        }
        error = fault_resolve(space, address, wanted, code);
        if (error)
            return error == -ENOMEM ? error : -EFAULT;
    }
    return -EFAULT;
}

int address_space_populate(struct address_space *space, u64 address, u64 bytes, unsigned access)
{
    for (u64 at = address & PAGE_MASK; at < address + bytes; at += PAGE_SIZE) {
        struct frame *frame;
        int error = address_space_frame_get(space, at, access, &frame);

        if (error)
            return error;
        frame_put(frame);
        sched_point();
    }
    return 0;
}

size_t address_space_read(struct address_space *space, u64 address, void *to, size_t bytes)
{
    size_t done = 0;

    if (!user_range_is_valid(address, bytes))
        return 0;
    while (done < bytes) {
        u64 at = address + done, offset = at & ~PAGE_MASK;
        size_t part = MIN(bytes - done, PAGE_SIZE - offset);
        struct frame *frame;

        if (address_space_frame_get(space, at, PAGER_READ, &frame))
            break;
        memcpy((char *)to + done, (char *)frame_data(frame) + offset, part);
        frame_put(frame);
        done += part;
    }
    return done;
}

size_t address_space_write(struct address_space *space, u64 address, const void *from, size_t bytes)
{
    size_t done = 0;

    if (!user_range_is_valid(address, bytes))
        return 0;
    while (done < bytes) {
        u64 at = address + done, offset = at & ~PAGE_MASK;
        size_t part = MIN(bytes - done, PAGE_SIZE - offset);
        struct frame *frame;

        if (address_space_frame_get(space, at, PAGER_WRITE, &frame))
            break;
        memcpy((char *)frame_data(frame) + offset, (const char *)from + done, part);
        frame_put(frame);
        done += part;
    }
    return done;
}

/* ---- What is resident ---- */

struct resident_visitor {
    struct table_visitor visitor;
    struct region_resident *sum;
    u64 first;
    u8 *bytes; /* mincore's, one for each page from `first` on; or NULL */
};

static void resident_visit(struct table_visitor *visitor, u64 address, pte *entries, unsigned count)
{
    struct resident_visitor *self = container_of(visitor, struct resident_visitor, visitor);

    for (unsigned i = 0; i < count; i++) {
        const struct frame *frame = pte_frame(entries[i]);

        if (!entries[i])
            continue;
        if (self->bytes)
            self->bytes[((address - self->first) >> PAGE_SHIFT) + i] = 1;
        if (!self->sum)
            continue;
        if (frame->kind == FRAME_CACHE)
            self->sum->file++;
        else if (entries[i] & PTE_SHARED)
            self->sum->shared++;
        else if (frame->kind == FRAME_ANONYMOUS)
            self->sum->anonymous++;
        self->sum->dirty += (entries[i] & PTE_DIRTY) != 0;
    }
}

/* Visits with space->lock held for reading only: table_lock for one table's pages at a time. */
static void visit_locked(struct address_space *space, u64 start, u64 end,
                         struct table_visitor *visitor)
{
    while (start < end) {
        u64 next = MIN(ALIGN_DOWN(start, table_entry_bytes(2)) + table_entry_bytes(2), end);

        spin_lock(&space->table_lock);
        tables_visit(space, start, next, visitor);
        spin_unlock(&space->table_lock);
        start = next;
    }
}

void region_count_resident(struct region *region, struct region_resident *resident_out)
{
    struct resident_visitor self = {.visitor.visit = resident_visit, .sum = resident_out};

    *resident_out = (struct region_resident){0};
    visit_locked(region->space, region->start, region->end, &self.visitor);
}

/* Pages of a file that are in memory, mapped or not. */
static void cached_mark(struct region *region, u64 start, u64 end, u8 *bytes)
{
    for (u64 at = start; at < end; at += PAGE_SIZE) {
        u64 index = region->offset_pages + ((at - region->start) >> PAGE_SHIFT);
        struct frame *frame = NULL;

        region->pager->fill_around(region, index, 1, &frame);
        if (!frame)
            continue;
        bytes[(at - start) >> PAGE_SHIFT] = 1;
        frame_put(frame);
    }
}

int address_space_resident(struct address_space *space, u64 address, u64 pages, u8 *resident_out)
{
    u64 end = address + (pages << PAGE_SHIFT);
    struct resident_visitor self = {
        .visitor.visit = resident_visit, .first = address, .bytes = resident_out};
    struct region *region;
    int error = 0;

    memset(resident_out, 0, pages);
    rwlock_read_lock(&space->lock);
    if (range_is_mapped(space, address, end))
        visit_locked(space, address, end, &self.visitor);
    else
        error = -ENOMEM;
    for (region = region_find(space, address); !error && region && region->start < end;
         region = region_next(region)) {
        u64 from = MAX(region->start, address), to = MIN(region->end, end);

        if (region->pager && region->pager->fill_around)
            cached_mark(region, from, to, resident_out + ((from - address) >> PAGE_SHIFT));
    }
    rwlock_read_unlock(&space->lock);
    return error;
}
