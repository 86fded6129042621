/*
 * Frames: one buddy allocator for the machine, a stock of single frames on each CPU.
 *
 *     frame_alloc(0) --> this CPU's stock --(32 at a time)--> buddy allocator
 *     frame_put -------^                                          ^
 *     frame_alloc(order > 0) -------------------------------------'
 *
 * Nearly all that is asked for is one frame, and what is freed is wanted again soon, warm in the
 * cache: so a stock gives the frame that came last. It is touched by its own CPU only, with
 * interrupts off, and trades with the allocator half a stock at a time, so that a thread that frees
 * and allocates in turn at the stock's edge does not go there each time.
 *
 * The last frames are kept for those who cannot wait and those whose work frees memory:
 *
 *     free frames: 0            reserve / 2              reserve                    total
 *                  |<- RESERVE ->|<- NOWAIT, and the last ->|<------ all requests ------->|
 *                                    try of the others
 *
 * Whoever may sleep asks the reclaimers when free frames come down to the reserve; when these have
 * nothing, somebody is ended (reclaim.c). So an ordinary allocation fails only for a thread that is
 * being killed, for a large block, or when nobody is left to end.
 *
 * A block that was broken (frame_block_break) is 2^order frames with a count each; frame_block_put
 * looks whether the caller has the last reference of all of them. Nobody can come by another one
 * meanwhile: whoever could take one has one.
 *
 * Invariants: a frame with references is in no list of ours; counts[kind] summed over all CPUs is
 *             how many frames have that kind.
 * Locking:    frames.lock for the buddy allocator; interrupts off for a stock.
 * Context:    any with ALLOC_NOWAIT; else where one may sleep.
 */
#include <pith/mem.h>

#include <pith/sanitizer.h>

#include "boot_memory.h"
#include "internal.h"

#define STOCK_FRAMES      64
#define STOCK_ORDER       5 /* half a stock, as one block */
#define STOCK_BATCH       (1u << STOCK_ORDER)
#define RECLAIM_TRIES     4
#define RESERVE_SHARE     256 /* of all frames, one of so many is kept back */
#define RESERVE_FRAMES_LO 32
#define RESERVE_FRAMES_HI 2048

struct frame_stock {
    u32 count;
    struct frame *frames[STOCK_FRAMES];
    s64 counts[FRAME_KINDS];
};

static struct {
    struct spinlock lock; /* LOCK_FRAMES */
    struct buddy buddy guarded_by(&lock);
    u64 total;
    u64 reserve; /* [const] after boot: frames that only ALLOC_RESERVE takes all of */
    bool ready;  /* [const] after boot */
} frames = {.lock = SPINLOCK_INIT(LOCK_FRAMES)};

static DEFINE_PER_CPU(struct frame_stock, frame_stock); /* [cpu] */

/* How many frames an allocation must leave. */
static u64 frames_to_leave(unsigned flags)
{
    if (flags & ALLOC_RESERVE)
        return 0;
    return flags & ALLOC_NOWAIT ? frames.reserve / 2 : frames.reserve;
}

/* A block from the buddy allocator, or NULL. */
static struct frame *block_take(unsigned order, unsigned flags)
{
    struct frame *frame = NULL;

    spin_lock(&frames.lock);
    if (frames.buddy.free_frames >= frames_to_leave(flags) + (1ul << order))
        frame = buddy_alloc(&frames.buddy, order);
    spin_unlock(&frames.lock);
    return frame;
}

/* Half a stock as one block, or what there is. Interrupts are off. */
static void stock_fill(struct frame_stock *stock, unsigned flags)
{
    struct frame *block = block_take(STOCK_ORDER, flags);

    if (block) {
        /* The lowest address is given first. */
        for (u32 i = STOCK_BATCH; i-- > 0;)
            stock->frames[stock->count++] = block + i;
        return;
    }
    block = block_take(0, flags);
    if (block)
        stock->frames[stock->count++] = block;
}

/* The oldest half goes: what was freed last is warm, and wanted first. */
static void stock_drain(struct frame_stock *stock)
{
    spin_lock(&frames.lock);
    /* The oldest go. */
    for (u32 i = 0; i < STOCK_BATCH; i++)
        buddy_free(&frames.buddy, stock->frames[i], 0);
    spin_unlock(&frames.lock);
    stock->count -= STOCK_BATCH;
    for (u32 i = 0; i < stock->count; i++)
        stock->frames[i] = stock->frames[i + STOCK_BATCH];
}

static void frame_start(struct frame *frame, struct frame_stock *stock, unsigned order,
                        enum frame_kind kind)
{
    stock->counts[kind] += 1l << order;
    refcount_set(&frame->references, 1);
    frame->kind = kind;
    frame->order = order;
    frame->flags = 0;
    frame->pins = 0;
}

static struct frame *frame_try_alloc(unsigned order, enum frame_kind kind, unsigned flags)
{
    u64 interrupts = interrupts_save_disable();
    struct frame_stock *stock = this_cpu(frame_stock);
    struct frame *frame = NULL;

    if (order == 0) {
        if (unlikely(!stock->count))
            stock_fill(stock, flags);
        if (likely(stock->count))
            frame = stock->frames[--stock->count];
    } else {
        frame = block_take(order, flags);
    }
    if (likely(frame))
        frame_start(frame, stock, order, kind);
    interrupts_restore(interrupts);
    return frame;
}

/*
 * Others allocate meanwhile: what the reclaimers freed may be gone, so it is tried a few times
 * before somebody is ended.
 */
static noinline struct frame *frame_alloc_reclaiming(unsigned order, enum frame_kind kind,
                                                     unsigned flags)
{
    struct frame *frame = NULL;

    do {
        for (int i = 0; !frame && i < RECLAIM_TRIES; i++) {
            if (!memory_reclaim(MAX(1ul << order, (u64)STOCK_BATCH)))
                break;
            frame = frame_try_alloc(order, kind, flags);
        }
        if (!frame) /* others may have freed some meanwhile */
            frame = frame_try_alloc(order, kind, flags);
    } while (!frame && order <= FRAME_ORDER_CHOICE && memory_end_somebody());
    /* Those who cannot wait had half of the reserve; an ordinary request may have it at the end. */
    return frame ? frame : frame_try_alloc(order, kind, flags | ALLOC_NOWAIT);
}

/* A frame from this CPU's stock, if there is one. */
static inline struct frame *stock_pop(enum frame_kind kind)
{
    u64 interrupts = interrupts_save_disable();
    struct frame_stock *stock = this_cpu(frame_stock);
    struct frame *frame = NULL;

    if (likely(stock->count)) {
        frame = stock->frames[--stock->count];
        frame_start(frame, stock, 0, kind);
    }
    interrupts_restore(interrupts);
    return frame;
}

/* What the stock cannot give. */
static noinline struct frame *frame_alloc_slowly(unsigned order, enum frame_kind kind,
                                                 unsigned flags)
{
    struct frame *frame = frame_try_alloc(order, kind, flags);

    if (!frame && !(flags & (ALLOC_NOWAIT | ALLOC_RESERVE)))
        frame = frame_alloc_reclaiming(order, kind, flags);
    return frame;
}

/*
 * The stock first, inline: nearly every call ends there. Clearing is done with interrupts as the
 * caller has them.
 */
struct frame *frame_alloc(unsigned order, enum frame_kind kind, unsigned flags)
{
    struct frame *frame = NULL;

    if (SAN && allocation_must_fail())
        return NULL;
    if (likely(order == 0))
        frame = stock_pop(kind);
    if (unlikely(!frame)) {
        frame = frame_alloc_slowly(order, kind, flags);
        if (!frame)
            return NULL;
    }
    memory_unpoison(frame_data(frame), PAGE_SIZE << order);
    if (flags & ALLOC_CLEARED)
        for (u64 i = 0; i < 1ul << order; i++)
            page_clear(frame_data(frame + i));
    return frame;
}

void frame_free(struct frame *frame)
{
    u64 interrupts = interrupts_save_disable();
    struct frame_stock *stock = this_cpu(frame_stock);
    unsigned order = frame->order;

    assert(frame->kind != FRAME_FREE && frame->kind != FRAME_RESERVED);
    memory_poison(frame_data(frame), PAGE_SIZE << order, POISON_FREE_FRAME);
    stock->counts[frame->kind] -= 1l << order;
    refcount_set(&frame->references, 0);
    frame->kind = FRAME_RESERVED;
    if (likely(order == 0)) {
        if (unlikely(stock->count == STOCK_FRAMES))
            stock_drain(stock);
        stock->frames[stock->count++] = frame;
    } else {
        spin_lock(&frames.lock);
        buddy_free(&frames.buddy, frame, order);
        spin_unlock(&frames.lock);
    }
    interrupts_restore(interrupts);
}

void frame_put(struct frame *frame)
{
    if (refcount_dec_is_zero(&frame->references))
        frame_free(frame);
}

/* From one count for the block to one a frame: what it was allocated as is forgotten. */
void frame_block_break(struct frame *first, unsigned order)
{
    for (u64 i = 0; i < 1ul << order; i++) {
        struct frame *frame = first + i;

        refcount_set(&frame->references, 1);
        frame->kind = first->kind;
        frame->order = 0;
        frame->flags = 0;
        frame->pins = 0;
    }
}

void frame_block_put(struct frame *first, unsigned order)
{
    u64 count = 1ul << order;

    for (u64 i = 0; i < count; i++) {
        /* Who has one of one reference has the only one, and nobody can come by another. */
        if (refcount_read(&first[i].references) == 1)
            continue;
        for (i = 0; i < count; i++)
            frame_put(&first[i]);
        return;
    }
    /* Pairs with the release of those who gave up theirs before. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    for (u64 i = 1; i < count; i++) {
        refcount_set(&first[i].references, 0);
        first[i].kind = FRAME_RESERVED;
    }
    first->order = order;
    frame_free(first);
}

/* Roughly, with what lies in the stocks of the CPUs that are there. */
u64 frames_free_count(void)
{
    u64 count = READ_ONCE(frames.buddy.free_frames);
    u32 cpu;

    cpu_for_each (cpu)
        if (cpus[cpu])
            count += READ_ONCE(of_cpu(frame_stock, cpus[cpu])->count);
    return count;
}

u64 frames_free_blocks(unsigned order)
{
    return READ_ONCE(frames.buddy.blocks[order]);
}

u64 frames_total_count(void)
{
    return READ_ONCE(frames.total);
}

u64 frames_count_of(enum frame_kind kind)
{
    s64 count = 0;
    u32 cpu;

    cpu_for_each (cpu)
        if (cpus[cpu])
            count += READ_ONCE(of_cpu(frame_stock, cpus[cpu])->counts[kind]);
    return count > 0 ? count : 0;
}

bool frames_are_ready(void)
{
    return frames.ready;
}

static void reserve_update(void)
{
    u64 share = frames.total / RESERVE_SHARE;

    frames.reserve = MIN(MAX(share, (u64)RESERVE_FRAMES_LO), (u64)RESERVE_FRAMES_HI);
}

/* At boot, and when the initramfs has been unpacked. */
void frames_release(phys_addr start, u64 bytes)
{
    u64 first = ALIGN_UP(start, PAGE_SIZE) >> PAGE_SHIFT;
    u64 end = ALIGN_DOWN(start + bytes, PAGE_SIZE) >> PAGE_SHIFT;

    if (first >= end)
        return;
    spin_lock(&frames.lock);
    buddy_add(&frames.buddy, first, end - first);
    frames.total += end - first;
    spin_unlock(&frames.lock);
}

struct frame *frame_report_take(void)
{
    struct frame *block;

    _Static_assert(FRAME_REPORT_BYTES == PAGE_SIZE << (BUDDY_ORDERS - 1), "the largest block");
    spin_lock(&frames.lock);
    block = buddy_report_take(&frames.buddy);
    spin_unlock(&frames.lock);
    return block;
}

void frame_report_return(struct frame *first)
{
    spin_lock(&frames.lock);
    buddy_report_return(&frames.buddy, first);
    spin_unlock(&frames.lock);
}

void mem_init(void)
{
    struct ranges ranges;

    boot_memory_finish(&ranges);
    buddy_init(&frames.buddy, (struct frame *)FRAME_ARRAY);
    /* Lists give what came last: so the lowest memory is given first. */
    for (u32 i = ranges.count; i-- > 0;)
        frames_release(ranges.range[i].start, ranges.range[i].bytes);
    buddy_mark_reported(&frames.buddy);
    reserve_update();
    frames.ready = true;
    slab_init();
    kernel_stack_init();
    fpu_memory_init();
}
