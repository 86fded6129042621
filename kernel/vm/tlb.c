/*
 * Translations that CPUs have cached: which CPU has whose, and how they are made to forget.
 *
 * `space->cpus` has a bit for each CPU that may have cached something of the space: set before its
 * root is loaded, cleared after another was. A kernel thread keeps the tables that it finds loaded
 * (loading is dear, and it touches no user memory), so its CPU stays in the set and is interrupted
 * like the others.
 *
 *     one who changes an entry               one who switches to the space
 *     write the entry                        set our bit in space->cpus       (locked: a barrier)
 *     read space->cpus    (after a barrier)  load the root, which forgets all else
 *
 * Whichever comes second sees the other: the bit, and the CPU is interrupted; or the new entry.
 *
 * Invariant: this_cpu(loaded) is whose root this CPU has; NULL: the kernel's.
 * Locking:   none. A space that dies makes all CPUs leave it before its tables are freed.
 */
#include <pith/vm.h>

#include "gather.h"
#include "internal.h"
#include "tables.h"

/* From so many pages on, loading the root anew costs less than forgetting them one by one. */
#define FLUSH_PAGES_MAX 16

static DEFINE_PER_CPU(struct address_space *, loaded); /* [cpu] */

void address_space_switch(struct address_space *from, struct address_space *to)
{
    struct address_space **mine = this_cpu(loaded), *before = *mine;
    u64 bit = BIT(cpu_current()->id);

    if (!to || to == before)
        return;
    __atomic_fetch_or(&to->cpus, bit, __ATOMIC_SEQ_CST);
    page_table_load(to->root);
    *mine = to;
    if (before)
        __atomic_fetch_and(&before->cpus, ~bit, __ATOMIC_RELEASE);
}

static void flush_range(struct gather *gather)
{
    if (*this_cpu(loaded) != gather->space)
        return;
    if (gather->start < gather->end &&
        (gather->end - gather->start) >> PAGE_SHIFT > FLUSH_PAGES_MAX) {
        tlb_flush_all();
        return;
    }
    for (u64 page = gather->start; page < gather->end; page += PAGE_SIZE)
        tlb_flush_page(page);
    /* Any INVLPG empties the paging-structure caches (SDM 3A "Operations that Invalidate"). */
    if (gather->tables && gather->start >= gather->end)
        tlb_flush_page(0);
}

static void flush_on_cpu(void *gather)
{
    flush_range(gather);
}

void gather_flush(struct gather *gather)
{
    u64 others;

    if (gather->start >= gather->end && !gather->tables)
        return;
    flush_range(gather);
    /* Orders the entries' stores before this load, as the picture above needs. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    others = READ_ONCE(gather->space->cpus) & ~BIT(cpu_current()->id);
    if (unlikely(others))
        cpu_call(others, flush_on_cpu, gather);
    gather->start = U64_MAX;
    gather->end = 0;
    gather->tables = false;
}

void gather_finish(struct gather *gather)
{
    gather_flush(gather);
    for (u32 i = 0; i < gather->count; i++) {
        struct frame *frame = gather->frames[i];

        if (frame->kind == FRAME_TABLE)
            table_put(frame);
        else
            frame_put(frame);
    }
    gather->count = 0;
}

static void leave(void *space)
{
    struct address_space **mine = this_cpu(loaded);
    u64 interrupts = interrupts_save_disable();

    if (*mine == space) {
        page_table_load(page_table_kernel());
        *mine = NULL;
        __atomic_fetch_and(&((struct address_space *)space)->cpus, ~BIT(cpu_current()->id),
                           __ATOMIC_RELEASE);
    }
    interrupts_restore(interrupts);
}

void address_space_leave_all(struct address_space *space)
{
    u64 others;

    leave(space);
    others = __atomic_load_n(&space->cpus, __ATOMIC_ACQUIRE) & ~BIT(cpu_current()->id);
    if (unlikely(others))
        cpu_call(others, leave, space);
}
