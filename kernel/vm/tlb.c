/*
 * Translations that CPUs have cached: which CPU has whose, and how they are made to forget.
 *
 * `space->cpus` has a bit for each CPU that may have cached something of the space: set before its
 * root is loaded, cleared after another was. A kernel thread, and the idle one, keep the tables
 * that they find loaded (loading is dear, and they touch no user memory): their CPU is lazy. It is
 * not interrupted to forget pages; when it comes back to a thread of the space it looks whether
 * there was a flush meanwhile. Only when tables are given up it is interrupted like the others, for
 * the processor walks tables on its own account.
 *
 *     one who changes an entry               one who switches to the space
 *     write the entry                        set our bit in cpus, clear it in lazy_cpus
 *     count in flushes                       (a barrier)
 *     (a barrier)                            load the root, which forgets all else; or, if it is
 *     read cpus, lazy_cpus                   loaded, read flushes and forget all if it counted
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

struct loaded {
    struct address_space *space;
    bool lazy;
    u64 flushes; /* space->flushes as it was when we forgot all */
};

static DEFINE_PER_CPU(struct loaded, loaded); /* [cpu] */

/* Forgets everything of the space that is loaded. */
static void forget_all(struct loaded *mine)
{
    mine->flushes = __atomic_load_n(&mine->space->flushes, __ATOMIC_SEQ_CST);
    tlb_flush_all();
}

/* A thread of the space whose tables we kept runs here again. */
static void come_back(struct loaded *mine, u64 bit)
{
    mine->lazy = false;
    __atomic_fetch_and(&mine->space->lazy_cpus, ~bit, __ATOMIC_SEQ_CST);
    if (__atomic_load_n(&mine->space->flushes, __ATOMIC_SEQ_CST) != mine->flushes)
        forget_all(mine);
}

void address_space_switch(struct address_space *from, struct address_space *to)
{
    struct loaded *mine = this_cpu(loaded);
    struct address_space *before = mine->space;
    u64 bit = BIT(cpu_current()->id);

    if (to == before) {
        if (to && mine->lazy)
            come_back(mine, bit);
        return;
    }
    if (!to) {
        mine->lazy = true;
        __atomic_fetch_or(&before->lazy_cpus, bit, __ATOMIC_SEQ_CST);
        return;
    }
    __atomic_fetch_or(&to->cpus, bit, __ATOMIC_SEQ_CST);
    mine->flushes = __atomic_load_n(&to->flushes, __ATOMIC_SEQ_CST);
    page_table_load(to->root);
    mine->space = to;
    if (before) {
        /* The bit in cpus comes last: it keeps who waits for all to leave from freeing `before`. */
        if (mine->lazy)
            __atomic_fetch_and(&before->lazy_cpus, ~bit, __ATOMIC_RELEASE);
        __atomic_fetch_and(&before->cpus, ~bit, __ATOMIC_RELEASE);
    }
    mine->lazy = false;
}

/* Forgets what was gathered, on this CPU. */
static void forget_range(const struct gather *gather)
{
    struct loaded *mine = this_cpu(loaded);

    if (mine->space != gather->space)
        return;
    /* If this was the only flush that we lacked, coming back from laziness finds none. */
    if (mine->flushes + 1 == gather->flush)
        mine->flushes = gather->flush;
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

static void forget_range_here(void *gather)
{
    forget_range(gather);
}

static bool nothing_to_forget(const struct gather *gather)
{
    return gather->start >= gather->end && !gather->tables;
}

static void forgotten(struct gather *gather)
{
    gather->start = U64_MAX;
    gather->end = 0;
    gather->tables = false;
}

/* Forgets on this CPU. Returns the others that have to. */
static u64 forget_and_count(struct gather *gather)
{
    struct address_space *space = gather->space;
    u64 others;

    /* Also the barrier between the entries' stores and the loads below, as in the picture above. */
    gather->flush = __atomic_add_fetch(&space->flushes, 1, __ATOMIC_SEQ_CST);
    forget_range(gather);
    others = __atomic_load_n(&space->cpus, __ATOMIC_SEQ_CST) & ~BIT(cpu_current()->id);
    if (!gather->tables)
        others &= ~__atomic_load_n(&space->lazy_cpus, __ATOMIC_SEQ_CST);
    return others;
}

bool gather_flush_here(struct gather *gather)
{
    if (nothing_to_forget(gather))
        return true;
    if (unlikely(forget_and_count(gather)))
        return false;
    forgotten(gather);
    return true;
}

void gather_flush(struct gather *gather)
{
    u64 others;

    if (nothing_to_forget(gather))
        return;
    others = forget_and_count(gather);
    if (unlikely(others))
        cpu_call(others, forget_range_here, gather);
    forgotten(gather);
}

/* The references are given up only now: until here a processor may have read the frames. */
void gather_finish(struct gather *gather)
{
    gather_flush(gather);
    for (u32 i = 0; i < gather->count; i++) {
        struct frame *frame = gather->frames[i].frame;

        if (gather->frames[i].is_large)
            large_put(frame);
        else if (frame->kind == FRAME_TABLE)
            table_put(frame);
        else
            frame_put(frame);
    }
    gather->count = 0;
}

/* On each CPU that has it loaded: an idle one keeps a dead process's tables no longer than this. */
static void leave(void *argument)
{
    struct address_space *space = argument;
    u64 interrupts = interrupts_save_disable(), bit = BIT(cpu_current()->id);
    struct loaded *mine = this_cpu(loaded);

    if (mine->space == space) {
        page_table_load(page_table_kernel());
        *mine = (struct loaded){0};
        __atomic_fetch_and(&space->cpus, ~bit, __ATOMIC_RELEASE);
        __atomic_fetch_and(&space->lazy_cpus, ~bit, __ATOMIC_RELEASE);
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
