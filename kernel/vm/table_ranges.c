/*
 * Ranges of page tables: looking at them, making them our own, emptying them.
 *
 * Emptying a range cuts at most two tables on each level in part: those at its two ends. They are
 * made our own first, which may fail; all between them is dropped as whole tables, shared or not,
 * and cannot fail:
 *
 *     level 2   |  .  |  X  |  X  |  X  |  .  |     X: the whole table of level 1 is dropped
 *                 /                         \
 *     level 1   |...xxx|                 |xx....|   x: entries are removed
 *
 * Locking: space->lock is held for writing where something changes.
 */
#include "internal.h"
#include "tables.h"

/*
 * The entry for `address` on the lowest level that has one; *level_out is that level. On level 1
 * it is the page's entry, else one that is 0, or LARGE.
 */
static pte *walk_down(const struct address_space *space, u64 address, unsigned *level_out)
{
    pte *table = phys_to_virt(space->root);
    unsigned level = TABLE_LEVELS;

    for (;; level--) {
        pte *entry = &table[table_index(address, level)];

        if (level == 1 || !*entry || (*entry & PTE_LARGE)) {
            *level_out = level;
            return entry;
        }
        table = phys_to_virt(*entry & PTE_ADDRESS);
    }
}

/* The first address behind what the entry of `level` for `address` maps. */
static u64 span_end(u64 address, unsigned level)
{
    u64 bytes = table_entry_bytes(level);

    return ALIGN_DOWN(address, bytes) + bytes;
}

/*
 * A table that is not there, and an entry that is empty, are different answers: only the latter
 * could be filled.
 */
pte *table_lookup(const struct address_space *space, u64 address)
{
    unsigned level;
    pte *entry = walk_down(space, address, &level);

    return level == 1 || *entry ? entry : NULL;
}

/* The processor's rule: a write needs the bit on every level. */
bool table_allows_write(const struct address_space *space, u64 address)
{
    pte *table = phys_to_virt(space->root);

    for (unsigned level = TABLE_LEVELS; level > 0; level--) {
        pte entry = table[table_index(address, level)];

        if (!(entry & PTE_WRITABLE))
            return false;
        if (entry & PTE_LARGE)
            break;
        table = phys_to_virt(entry & PTE_ADDRESS);
    }
    return true;
}

/* One table's span, or that of an absent one, so callers can let a lock go in between. */
u64 tables_visit_one(const struct address_space *space, u64 start, u64 end,
                     struct table_visitor *visitor)
{
    unsigned level;
    pte *entry = walk_down(space, start, &level);
    /* A table of level 1 is what one entry of level 2 maps. */
    u64 next = MIN(span_end(start, MAX(level, 2u)), end);

    if (level == 1)
        visitor->visit(visitor, start, entry, (next - start) >> PAGE_SHIFT);
    else if (*entry)
        visitor->visit_large(visitor, start, entry, (next - start) >> PAGE_SHIFT);
    return next;
}

void tables_visit(const struct address_space *space, u64 start, u64 end,
                  struct table_visitor *visitor)
{
    while (start < end)
        start = tables_visit_one(space, start, end, visitor);
}

/* For what one step may add: a table on each level. */
static void gather_make_room(struct gather *gather)
{
    if (gather->count + TABLE_LEVELS > GATHER_FRAMES)
        gather_finish(gather);
}

/* Owns what there is of one table's span, [start, next) of it. -ENOMEM: now. */
static int own_span(struct address_space *space, u64 start, u64 next, unsigned flags,
                    struct gather *gather)
{
    unsigned level;
    pte *entry = walk_down(space, start, &level);
    int error;

    if (level > 1 && !*entry)
        return 0;
    error = table_own(space, start, gather, &entry);
    if (error || !(*entry & PTE_LARGE))
        return error;
    if (next - start == LARGE_BYTES && !(flags & SPLIT_LARGE))
        return 0;
    return large_split(space, entry);
}

/* Goes on where it was after memory was found: what is owned already is found so. */
int tables_own_range(struct address_space *space, u64 start, u64 end, unsigned flags,
                     struct gather *gather)
{
    while (start < end) {
        unsigned level;
        u64 next;

        walk_down(space, start, &level);
        next = MIN(span_end(start, MAX(level, 2u)), end);
        gather_make_room(gather);
        while (own_span(space, start, next, flags, gather)) {
            gather_finish(gather);
            if (!memory_make_room(TABLE_LEVELS))
                return -ENOMEM;
        }
        start = next;
    }
    return 0;
}

/* space->lock is held for writing, so memory may be waited for. */
static int own_cut(struct address_space *space, u64 address, struct gather *gather)
{
    gather_make_room(gather);
    while (table_own_cut(space, address, gather)) {
        gather_finish(gather);
        if (!memory_make_room(TABLE_LEVELS))
            return -ENOMEM;
    }
    return 0;
}

/* All that tables_unmap may have to change a part of; what lies between goes as whole tables. */
int tables_own_ends(struct address_space *space, u64 start, u64 end, struct gather *gather)
{
    int error = own_cut(space, start, gather);

    return error ? error : own_cut(space, end, gather);
}

/* Takes a table and what it names out of the space's sums. Recursion: one step a level. */
static void table_count_out(struct address_space *space, const struct frame *table)
{
    const pte *entries = frame_table((struct frame *)table);

    space->tables--;
    for (unsigned i = table->table.first; i <= table->table.last; i++) {
        if (!entries[i])
            continue;
        if (table->table.level == 1)
            resident_count(space, pte_frame(entries[i]), entries[i], -1);
        else if (entries[i] & PTE_LARGE)
            resident_count_large(space, -1);
        else
            table_count_out(space, pte_frame(entries[i]));
    }
}

/* Drops what an entry above level 1 names, with all that is in it. */
static void drop_below(struct address_space *space, pte *entry, struct gather *gather)
{
    struct frame *below = pte_frame(*entry);
    bool is_large = *entry & PTE_LARGE;

    table_set(entry, 0);
    gather_make_room(gather);
    if (is_large) {
        resident_count_large(space, -1);
        gather_large(gather, below);
    } else {
        table_count_out(space, below);
        gather->tables = true;
        gather_frame(gather, below);
    }
}

/* Ends when the table is empty: sparse ranges are long. */
static void unmap_pages(struct address_space *space, pte *entry, u64 start, u64 end,
                        struct gather *gather)
{
    struct frame *table = table_frame(entry);

    for (; start < end && table->table.used; start += PAGE_SIZE, entry++) {
        pte old = *entry;

        if (!old)
            continue;
        table_set(entry, 0);
        resident_count(space, pte_frame(old), old, -1);
        gather_page(gather, start);
        gather_make_room(gather);
        gather_frame(gather, pte_frame(old));
    }
}

/* Recursion: one step a level. */
static void unmap_level(struct address_space *space, pte *table, unsigned level, u64 start, u64 end,
                        struct gather *gather)
{
    while (start < end && table_frame(table)->table.used) {
        pte *entry = &table[table_index(start, level)];
        u64 next = MIN(span_end(start, level), end);

        if (*entry && next - start == table_entry_bytes(level)) {
            gather_span(gather, start, next);
            drop_below(space, entry, gather);
        } else if (*entry) {
            pte *below = phys_to_virt(*entry & PTE_ADDRESS);

            if (level == 2)
                unmap_pages(space, &below[table_index(start, 1)], start, next, gather);
            else
                unmap_level(space, below, level - 1, start, next, gather);
            if (!table_frame(below)->table.used)
                drop_below(space, entry, gather);
        }
        start = next;
    }
}

/* Never fails: everything that could was done by tables_own_ends. */
void tables_unmap(struct address_space *space, u64 start, u64 end, struct gather *gather)
{
    space->peak_resident_pages = address_space_peak_resident_pages(space);
    unmap_level(space, phys_to_virt(space->root), TABLE_LEVELS, start, end, gather);
}
