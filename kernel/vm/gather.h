/*
 * What was taken out of page tables and must not be reused before all TLBs have forgotten it.
 *
 * The one who changes tables gathers frames and the range that changed; gather_finish flushes and
 * then gives up the references.
 */
#pragma once

#include <pith/vm.h>

#define GATHER_FRAMES 48

struct gathered {
    struct frame *frame;
    bool is_large; /* the first of a 2 MiB page's */
};

struct gather {
    struct address_space *space;
    u64 start, end; /* pages to be flushed; start >= end: none */
    bool tables;    /* tables were replaced or dropped: the paging-structure caches too */
    u64 flush;      /* its number in space->flushes, while it is under way */
    u32 count;
    struct gathered frames[GATHER_FRAMES]; /* one reference each */
};

static inline void gather_init(struct gather *gather, struct address_space *space)
{
    gather->space = space;
    gather->start = U64_MAX;
    gather->end = 0;
    gather->tables = false;
    gather->count = 0;
}

static inline bool gather_is_full(const struct gather *gather)
{
    return gather->count == GATHER_FRAMES;
}

static inline bool gather_is_empty(const struct gather *gather)
{
    return gather->start >= gather->end && !gather->tables && !gather->count;
}

static inline void gather_page(struct gather *gather, u64 address)
{
    if (address < gather->start)
        gather->start = address;
    if (address + PAGE_SIZE > gather->end)
        gather->end = address + PAGE_SIZE;
}

static inline void gather_span(struct gather *gather, u64 start, u64 end)
{
    gather->start = MIN(gather->start, start);
    gather->end = MAX(gather->end, end);
}

/* Takes over a reference. There is room. */
static inline void gather_frame(struct gather *gather, struct frame *frame)
{
    gather->frames[gather->count++] = (struct gathered){.frame = frame};
}

/* The same for what a LARGE entry owned. */
static inline void gather_large(struct gather *gather, struct frame *first)
{
    gather->frames[gather->count++] = (struct gathered){.frame = first, .is_large = true};
}

/*
 * Flushes and frees, and makes the gather empty again. No spinlock is held and interrupts are on;
 * nobody else's changes are waited for, so any sleeping lock may be.
 */
void gather_finish(struct gather *gather);
/* Only flushes. */
void gather_flush(struct gather *gather);
/*
 * The same if it concerns this CPU alone; false: others too, for which gather_flush is still to be
 * called. Spinlocks may be held.
 */
bool gather_flush_here(struct gather *gather) must_check;
