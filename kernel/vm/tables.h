/* The page tables of address spaces, inside vm/. The rule of sharing stands in tables.c. */
#pragma once

#include <pith/vm.h>

#include "gather.h"

/* What our entries carry beyond the hardware's bits. All only on level 1. */
#define PTE_SHARED PTE_SOFT_1 /* of a shared mapping: never copied on write */
#define PTE_HELD   PTE_SOFT_2 /* not PRESENT, for its region allows nothing; the frame is here */
/*
 * Read-only until all CPUs have forgotten the frame that was here before (fault.c). Only while a
 * fault holds space->lock for reading.
 */
#define PTE_SETTLING PTE_SOFT_3

/*
 * PTE_LARGE, on level 2 alone: no table, but 2 MiB of anonymous memory (large.c). It owns one
 * reference to all 512 frames together.
 */
#define LARGE_ORDER 9u
#define LARGE_PAGES (1u << LARGE_ORDER)
#define LARGE_BYTES (PAGE_SIZE << LARGE_ORDER)

/* What a table may have that is not copied like the rest: table.kinds. */
#define TABLE_KINDS (PTE_SHARED | PTE_LARGE)

static inline struct frame *pte_frame(pte entry)
{
    return frame_at(entry & PTE_ADDRESS);
}
/* The frame behind one page of what an entry maps. */
static inline struct frame *pte_page_frame(pte entry, u64 address)
{
    struct frame *frame = pte_frame(entry);

    return entry & PTE_LARGE ? frame + table_index(address, 1) : frame;
}
static inline pte *frame_table(struct frame *frame)
{
    return frame_data(frame);
}
static inline struct frame *table_frame(const pte *table)
{
    return frame_of((const void *)((u64)table & PAGE_MASK));
}

/* The entry for a frame in a region. PTE_WRITE_NOW: writing needs no further fault. */
#define PTE_WRITE_NOW PTE_WRITABLE
static inline pte pte_make(const struct frame *frame, u32 region_flags, pte write_now)
{
    pte entry = frame_address(frame);

    if (region_flags & REGION_SHARED)
        entry |= PTE_SHARED;
    if (unlikely(!(region_flags & REGION_PROTECTION)))
        return entry | PTE_HELD;
    entry |= PTE_PRESENT | PTE_USER | PTE_ACCESSED;
    if (write_now)
        entry |= PTE_WRITABLE | PTE_DIRTY;
    if (!(region_flags & REGION_EXECUTE))
        entry |= PTE_NO_EXECUTE;
    return entry;
}

/*
 * Whether a private page's frame has no other user, so that its entry may simply become writable.
 * The tables above the entry are our own.
 */
static inline bool frame_is_ours(const struct frame *frame)
{
    /* Pairs with the release of who gave up a reference: its copying from the frame is over. */
    return frame->kind == FRAME_ANONYMOUS &&
           __atomic_load_n(&frame->references.value, __ATOMIC_ACQUIRE) ==
               1 + READ_ONCE(frame->pins);
}

/* The end of the user's half of a root: beyond USER_END by the page that is never mapped. */
#define TABLES_END (table_entry_bytes(TABLE_LEVELS) * TABLE_ENTRIES / 2)

/* ---- Tables; whoever changes them holds what vm.h says of struct address_space ---- */

/* What an entry that names a table of our own has. */
#define TABLE_FLAGS (PTE_PRESENT | PTE_WRITABLE | PTE_USER | PTE_ACCESSED)
/* An empty one with one reference. Does not sleep. NULL: no memory. */
struct frame *table_alloc(unsigned level) must_check;
/* A root with the kernel's half. NULL: no memory. */
struct frame *root_alloc(void) must_check;
/* Gives up one reference to a table; the last one gives up all that it names. */
void table_put(struct frame *table);
/* All of the user's half goes; no CPU has it loaded. The regions are still there. */
void tables_destroy(struct address_space *space);

/*
 * The entry of level 1 for an address, or the LARGE one of level 2; NULL: there is no table for it.
 */
pte *table_lookup(const struct address_space *space, u64 address);
/* Whether all entries on the way to an address allow writing. */
bool table_allows_write(const struct address_space *space, u64 address);
/*
 * The same, to be changed: all tables above it are made, or made our own. Tables that were replaced
 * go to `gather`. -ENOMEM: as far as it came stays, and is no harm. Does not sleep.
 */
int table_own(struct address_space *space, u64 address, struct gather *gather, pte **entry_out)
    must_check;
/* The same for the entry of level 2: it may be 0, LARGE, or name a table. */
int table_own_level_2(struct address_space *space, u64 address, struct gather *gather,
                      pte **entry_out) must_check;
/* The entry of level 1 where all tables are there and our own, as nearly always; else NULL. */
static inline pte *table_own_quickly(const struct address_space *space, u64 address)
{
    const pte *table = phys_to_virt(space->root);
    pte entry = table[table_index(address, 4)];

    if (unlikely(!(entry & PTE_WRITABLE)))
        return NULL;
    table = phys_to_virt(entry & PTE_ADDRESS);
    entry = table[table_index(address, 3)];
    if (unlikely(!(entry & PTE_WRITABLE)))
        return NULL;
    table = phys_to_virt(entry & PTE_ADDRESS);
    entry = table[table_index(address, 2)];
    if (unlikely((entry & (PTE_WRITABLE | PTE_LARGE)) != PTE_WRITABLE))
        return NULL;
    return (pte *)phys_to_virt(entry & PTE_ADDRESS) + table_index(address, 1);
}
/*
 * Makes our own those tables that a boundary at `address` cuts in two, as far as they exist.
 * -ENOMEM.
 */
int table_own_cut(struct address_space *space, u64 address, struct gather *gather) must_check;
/* Writes an entry of level 1 or another, and keeps the table's count of used entries true. */
static inline void table_set(pte *entry, pte value)
{
    struct frame *table = table_frame(entry);
    u16 index = ((u64)entry & ~PAGE_MASK) / sizeof(pte);

    if (!*entry && value) {
        table->table.used++;
        table->table.first = MIN(table->table.first, index);
        table->table.last = MAX(table->table.last, index);
        table->table.kinds |= value & TABLE_KINDS;
    } else if (*entry && !value) {
        table->table.used--;
    }
    WRITE_ONCE(*entry, value);
}

/* fork: gives the child references to all of the parent's tables, write-protected. -ENOMEM. */
int tables_share(struct address_space *parent, struct address_space *child) must_check;

/* ---- Ranges; space->lock is held for writing, so these may flush and free as they go ---- */

/*
 * Makes what exists of the tables in the range our own, so that it can be changed; 2 MiB pages that
 * lie there in part become small ones, with SPLIT_LARGE all. -ENOMEM.
 */
#define SPLIT_LARGE BIT(0)
int tables_own_range(struct address_space *space, u64 start, u64 end, unsigned flags,
                     struct gather *gather) must_check;
/* The same for the tables that the range covers in part: all that tables_unmap needs. -ENOMEM. */
int tables_own_ends(struct address_space *space, u64 start, u64 end, struct gather *gather)
    must_check;
/* Empties the range; frees tables that become empty. After tables_own_ends. */
void tables_unmap(struct address_space *space, u64 start, u64 end, struct gather *gather);

/*
 * Calls `visit` for each run of entries of level 1 that exist in the range: `count` entries from
 * `entries` on, for the pages from `address` on; and `visit_large` for each 2 MiB page, of which
 * the range has `count` pages from `address` on. That may be NULL where there is a pager.
 */
struct table_visitor {
    void (*visit)(struct table_visitor *visitor, u64 address, pte *entries, unsigned count);
    void (*visit_large)(struct table_visitor *visitor, u64 address, pte *entry, unsigned count);
};
void tables_visit(const struct address_space *space, u64 start, u64 end,
                  struct table_visitor *visitor);
/* One step of it: what one table or absent table spans. Returns where the next one begins. */
u64 tables_visit_one(const struct address_space *space, u64 start, u64 end,
                     struct table_visitor *visitor);

/* ---- 2 MiB pages: large.c ---- */

/* Whether memory is plentiful enough, and the user wants it, for a region with these flags. */
bool large_is_wanted(const struct address_space *space, u32 region_flags);
/* 2 MiB that are not cleared yet, as one entry will own them. NULL: there is no such block. */
struct frame *large_alloc(void) must_check;
/* For one more entry that names it, and one less. */
void large_get(struct frame *first);
void large_put(struct frame *first);
/* Whether no other entry, and nobody else, refers to it or a part of it. */
bool large_is_ours(const struct frame *first);
/* Makes of an entry that is ours one that names a table of 512 small ones. -ENOMEM. */
int large_split(struct address_space *space, pte *entry) must_check;

/* Adds to (sign: 1) or takes from (-1) what is resident, for a 2 MiB page. */
static inline void resident_count_large(struct address_space *space, s64 sign)
{
    space->resident_anonymous += sign * (s64)LARGE_PAGES;
}
/* Adds to (sign: 1) or takes from (-1) what is resident, for one frame of a region. */
static inline void resident_count(struct address_space *space, const struct frame *frame, pte entry,
                                  s64 sign)
{
    if (likely(frame->kind == FRAME_ANONYMOUS))
        *(entry & PTE_SHARED ? &space->resident_shared : &space->resident_anonymous) += sign;
    else if (frame->kind == FRAME_CACHE)
        space->resident_file += sign;
}
