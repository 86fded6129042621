/*
 * Access to an address space by others than its own instructions: exec, /proc/PID/mem, futexes.
 *
 * A page is looked at through its entry; if that does not allow the access, the fault that the
 * access would have been is resolved, and the entry is looked at again:
 *
 *     lock(table_lock)
 *     entry present, and writable on all levels if we write?   yes: take a reference to its frame
 *     unlock
 *     no: fault_resolve, as the owner's own access would have; then from the start
 *
 * The reference keeps the frame while it is copied from or to, without a lock. A write goes to the
 * frame that the entry named: had it been shared copy-on-write, it would not have been writable. A
 * fork in between does share it, and may see the write in both: so only who is alone (exec), or
 * whose race is the program's own (/proc/PID/mem), writes here.
 *
 * TRIES_MAX bounds what a program can do by taking the page away again each time.
 *
 * Locking: space->lock for reading and table_lock for the entry; a reference to the frame after
 *          that.
 * Context: sleeps, with no lock that faults may take.
 */
#include "internal.h"
#include "tables.h"

/* Faults that one access may need: filled, written, and lost to others in between. */
#define TRIES_MAX 16

/* A walk over neighbours: adjacent regions count as one range, whatever they are. */
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
            frame = pte_page_frame(*entry, address);
            frame_get(frame);
        } else {
            *code_out = FAULT_PRESENT;
        }
    }
    spin_unlock(&space->table_lock);
    return frame;
}

/* As address_space_frame_get, with the errors of fault_resolve. */
static int frame_get_at(struct address_space *space, u64 address, unsigned access,
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
            return error;
    }
    return -EFAULT;
}

int address_space_frame_get(struct address_space *space, u64 address, unsigned access,
                            struct frame **frame_out)
{
    int error = frame_get_at(space, address, access, frame_out);

    return error && error != -ENOMEM ? -EFAULT : error;
}

/* A page at a time, so that others run and a killed caller stops. */
int address_space_populate(struct address_space *space, u64 address, u64 bytes, unsigned access)
{
    for (u64 at = address & PAGE_MASK; at < address + bytes; at += PAGE_SIZE) {
        struct frame *frame;
        int error = frame_get_at(space, at, access, &frame);

        if (error)
            return error;
        frame_put(frame);
        if (at + PAGE_SIZE < address + bytes && sched_point_killable())
            return -EINTR;
    }
    return 0;
}

/* Copies between the space's memory and the kernel's, which is `to`, or else `from`. */
static size_t transfer(struct address_space *space, u64 address, void *to, const void *from,
                       size_t bytes)
{
    unsigned access = from ? PAGER_WRITE : PAGER_READ;
    size_t done = 0;

    if (!user_range_is_valid(address, bytes))
        return 0;
    while (done < bytes) {
        u64 at = address + done, offset = at & ~PAGE_MASK;
        size_t part = MIN(bytes - done, PAGE_SIZE - offset);
        struct frame *frame;
        char *inside;

        if (address_space_frame_get(space, at, access, &frame))
            break;
        inside = (char *)frame_data(frame) + offset;
        if (from)
            memcpy(inside, (const char *)from + done, part);
        else
            memcpy((char *)to + done, inside, part);
        frame_put(frame);
        done += part;
    }
    return done;
}

size_t address_space_read(struct address_space *space, u64 address, void *to, size_t bytes)
{
    return transfer(space, address, to, NULL, bytes);
}

size_t address_space_write(struct address_space *space, u64 address, const void *from, size_t bytes)
{
    return transfer(space, address, NULL, from, bytes);
}
