/*
 * Page tables, shared across fork.
 *
 *     parent's root   child's root        level 4: own, made by fork
 *          |               |
 *       level 3         level 3           own, made by fork: one entry a GiB
 *            \  R/O      /  R/O
 *             v         v
 *            level 2, references 2        shared until one of them changes something below
 *             |     |
 *          level 1 ...  references 1      each page's entry
 *             |
 *           frame
 *
 * A table that more than one entry names is never changed: not even an empty entry is filled. Who
 * wants to change something makes the tables above it its own first, from the top down: a copy of
 * the table, one reference more on each thing that the table names, and those entries
 * write-protected in both copies, for what they name is shared now. So fork touches one entry a
 * GiB, and the first write after it copies two tables and a page.
 *
 * The processor allows a write only if every entry on the way does, so the one read-only entry on
 * level 3 protects the whole GiB, and this holds always, in shared tables too:
 *
 *   - An entry that is writable names something that no other entry names (but for PTE_SHARED
 *     entries of level 1, which name pages that are meant to be seen by many).
 *
 * Hence a walk knows by one bit whether the next table is its own; and the last who has a table
 * (references 1, its own entry) makes it its own by setting the bit. Nobody can gain a reference to
 * a table below one that is not shared, but through the address space that has it, which is locked.
 * No lock is taken between sharers: they only read, and clear the writable bit, which is cleared
 * for all of them already by the entry above. (The bits Accessed and Dirty, which a processor may
 * set meanwhile and this loses, are used for nothing but figures in /proc.)
 *
 * TLBs: a copy names the same frames with fewer rights, so no translation becomes wrong by it; but
 * the processor may have cached the way through the old table (SDM 3A "Paging-Structure Caches"),
 * whose other user may now change it. So a replaced table is given up only after a flush of those
 * caches on all CPUs that run the address space: gather.h.
 *
 * Invariants: `used` counts a table's entries that are not 0, and they lie in [first, last]; an
 *             entry that is not 0 lies in a region, and owns a reference.
 * Locking:    vm.h, at struct address_space.
 * Context:    nothing here sleeps but root_alloc and what takes a gather under the sleeping lock.
 */
#include "tables.h"

#include "internal.h"

#define TABLE_STOCK  32
#define ROOT_STOCK   8
#define USER_ENTRIES (TABLE_ENTRIES / 2) /* of a root */
#define GIB          (1ul << 30)
#define COPY_GROUP   16u /* of entries; divides TABLE_ENTRIES */

/*
 * Tables that are free and hold only zeros (a root: and the kernel's half), as a table does when
 * its last entry is gone. So a new one costs no clearing.
 */
struct table_stock {
    u32 tables, roots;
    struct frame *table[TABLE_STOCK];
    struct frame *root[ROOT_STOCK];
};

static DEFINE_PER_CPU(struct table_stock, table_stock); /* [cpu] */

/* ---- Tables ---- */

static void table_start(struct frame *table, unsigned level)
{
    refcount_set(&table->references, 1);
    table->table.used = 0;
    table->table.first = TABLE_ENTRIES - 1;
    table->table.last = 0;
    table->table.level = level;
    table->table.kinds = 0;
}

/* Without waiting: table_lock may be held. Who may wait makes room without it, and comes again. */
struct frame *table_alloc(unsigned level)
{
    u64 interrupts = interrupts_save_disable();
    struct table_stock *stock = this_cpu(table_stock);
    struct frame *table = stock->tables ? stock->table[--stock->tables] : NULL;

    interrupts_restore(interrupts);
    if (unlikely(!table))
        table = frame_alloc(0, FRAME_TABLE, ALLOC_CLEARED | ALLOC_NOWAIT);
    if (likely(table))
        table_start(table, level);
    return table;
}

static void table_free(struct frame *table)
{
    u64 interrupts = interrupts_save_disable();
    struct table_stock *stock = this_cpu(table_stock);

    if (likely(stock->tables < TABLE_STOCK))
        stock->table[stock->tables++] = table;
    else
        frame_free(table);
    interrupts_restore(interrupts);
}

/* A root that comes from the stock has the kernel's half already, which never changes. */
struct frame *root_alloc(void)
{
    u64 interrupts = interrupts_save_disable();
    struct table_stock *stock = this_cpu(table_stock);
    struct frame *root = stock->roots ? stock->root[--stock->roots] : NULL;

    interrupts_restore(interrupts);
    if (!root) {
        const pte *kernel = phys_to_virt(page_table_kernel());

        root = frame_alloc(0, FRAME_TABLE, ALLOC_CLEARED);
        if (!root)
            return NULL;
        memcpy(frame_table(root) + USER_ENTRIES, kernel + USER_ENTRIES,
               (TABLE_ENTRIES - USER_ENTRIES) * sizeof(pte));
    }
    table_start(root, TABLE_LEVELS);
    return root;
}

static void root_free(struct frame *root)
{
    u64 interrupts = interrupts_save_disable();
    struct table_stock *stock = this_cpu(table_stock);

    if (stock->roots < ROOT_STOCK)
        stock->root[stock->roots++] = root;
    else
        frame_free(root);
    interrupts_restore(interrupts);
}

/* Recursion: one step a level. */
void table_put(struct frame *table)
{
    pte *entry;

    if (!refcount_dec_is_zero(&table->references))
        return;
    entry = frame_table(table) + table->table.first;
    for (; table->table.used; entry++) {
        struct frame *below = pte_frame(*entry);
        bool is_large = *entry & PTE_LARGE;

        if (!*entry)
            continue;
        *entry = 0;
        table->table.used--;
        if (table->table.level == 1)
            frame_put(below);
        else if (is_large)
            large_put(below);
        else
            table_put(below);
    }
    table_free(table);
}

/* Only where regions are: the rest of a root is empty, and long to search. */
void tables_destroy(struct address_space *space)
{
    pte *root = phys_to_virt(space->root);
    struct region *region;

    for (region = region_first(space); region; region = region_next(region)) {
        for (unsigned i = table_index(region->start, TABLE_LEVELS);
             i <= table_index(region->end - 1, TABLE_LEVELS); i++) {
            if (root[i])
                table_put(pte_frame(root[i]));
            root[i] = 0;
        }
    }
    root_free(frame_at(space->root));
}

/* ---- Making tables our own ---- */

/*
 * One more entry names what `entry` names. Its count cannot be 0, for the table that we copy has a
 * reference; nor wrap, for 2^32 entries need 32 GiB of tables. The address is computed in one step:
 * this runs a thousand times at the first write after a fork. An entry that is 0 counts on frame 0,
 * which is nobody's.
 */
static inline void below_get(pte entry)
{
    u64 offset = (entry & PTE_ADDRESS) >> (PAGE_SHIFT - __builtin_ctzl(sizeof(struct frame)));

    atomic_increment_at(&((struct frame *)FRAME_ARRAY)->references.value, offset);
}

/*
 * Copies [first, last] of a table that names nothing special. A thousand times at the first write
 * after a fork, so in whole groups and without a look whether an entry is there: 6 instructions an
 * entry, which were 14.
 */
static void entries_copy_plain(pte *old, pte *new, unsigned first, unsigned last)
{
    unsigned start = ALIGN_DOWN(first, COPY_GROUP);

    new += start;
    for (pte *group = old + start; group <= old + last; group += COPY_GROUP, new += COPY_GROUP) {
#pragma GCC unroll 16
        for (unsigned i = 0; i < COPY_GROUP; i++) {
            group[i] &= ~(pte)PTE_WRITABLE; /* in memory, and then read */
            new[i] = READ_ONCE(group[i]);
            below_get(new[i]);
        }
    }
}

/* The same for any table. */
static void entries_copy(pte *old, pte *new, unsigned first, unsigned last)
{
    for (unsigned i = first; i <= last; i++) {
        pte entry = old[i];

        if (!entry)
            continue;
        if (entry & PTE_LARGE)
            large_get(pte_frame(entry));
        else
            below_get(entry);
        /* What is shared on purpose is written by all. */
        if ((entry & PTE_WRITABLE) && !(entry & PTE_SHARED)) {
            entry &= ~(pte)PTE_WRITABLE;
            WRITE_ONCE(old[i], entry);
        }
        new[i] = entry;
    }
}

/* Copies a shared table; all that it names is write-protected in both. NULL: no memory. */
static noinline struct frame *table_copy(const struct frame *from)
{
    struct frame *copy = table_alloc(from->table.level);
    pte *old = frame_table((struct frame *)from);
    unsigned first = from->table.first, last = from->table.last;

    if (!copy)
        return NULL;
    copy->table.used = from->table.used;
    copy->table.first = first;
    copy->table.last = last;
    copy->table.kinds = from->table.kinds;
    if (2u * from->table.used > last - first && !from->table.kinds)
        entries_copy_plain(old, frame_table(copy), first, last);
    else
        entries_copy(old, frame_table(copy), first, last);
    return copy;
}

/* Makes the table that a read-only entry of ours names our own. -ENOMEM. */
static noinline int table_unshare(pte *entry, struct gather *gather)
{
    struct frame *table = pte_frame(*entry), *copy;

    /* Pairs with the release of who gave up the reference before ours: its copying is over. */
    if (__atomic_load_n(&table->references.value, __ATOMIC_ACQUIRE) == 1) {
        WRITE_ONCE(*entry, *entry | PTE_WRITABLE);
        return 0;
    }
    copy = table_copy(table);
    if (!copy)
        return -ENOMEM;
    WRITE_ONCE(*entry, frame_address(copy) | TABLE_FLAGS);
    gather->tables = true;
    gather_frame(gather, table);
    return 0;
}

/* The entry of the lowest level that is wanted and there to be owned. -ENOMEM. */
static int own_down(struct address_space *space, u64 address, unsigned lowest,
                    struct gather *gather, pte **entry_out)
{
    pte *table = phys_to_virt(space->root);
    unsigned level = TABLE_LEVELS;

    for (;; level--) {
        pte *entry = &table[table_index(address, level)];

        if (level == lowest || (*entry & PTE_LARGE)) {
            *entry_out = entry;
            return 0;
        }
        if (unlikely(!*entry)) {
            struct frame *below = table_alloc(level - 1);

            if (!below)
                return -ENOMEM;
            table_set(entry, frame_address(below) | TABLE_FLAGS);
            space->tables++;
        } else if (unlikely(!(*entry & PTE_WRITABLE))) {
            int error = table_unshare(entry, gather);

            if (error)
                return error;
        }
        table = phys_to_virt(*entry & PTE_ADDRESS);
    }
}

int table_own(struct address_space *space, u64 address, struct gather *gather, pte **entry_out)
{
    return own_down(space, address, 1, gather, entry_out);
}

int table_own_level_2(struct address_space *space, u64 address, struct gather *gather,
                      pte **entry_out)
{
    return own_down(space, address, 2, gather, entry_out);
}

/* Down along the boundary, as long as it lies inside what an entry spans. */
int table_own_cut(struct address_space *space, u64 address, struct gather *gather)
{
    pte *table = phys_to_virt(space->root);

    for (unsigned level = TABLE_LEVELS; level > 1; level--) {
        pte *entry = &table[table_index(address, level)];
        bool lies_between_entries = !(address & (table_entry_bytes(level) - 1));

        int error = 0;

        if (!*entry || lies_between_entries)
            return 0;
        if (*entry & PTE_LARGE)
            error = large_split(space, entry);
        else if (!(*entry & PTE_WRITABLE))
            error = table_unshare(entry, gather);
        if (error)
            return error;
        table = phys_to_virt(*entry & PTE_ADDRESS);
    }
    return 0;
}

/* ---- fork ---- */

/* Gives the child what lies below the entry of level 3 for `address`. -ENOMEM. */
static int gib_share(const pte *root, pte *child_root, u64 address)
{
    pte *parent_table = phys_to_virt(root[table_index(address, 4)] & PTE_ADDRESS);
    pte *parent_entry = &parent_table[table_index(address, 3)];
    pte *child_entry = &child_root[table_index(address, 4)];
    pte *child_table;

    if (!*parent_entry)
        return 0;
    if (!*child_entry) {
        struct frame *table = table_alloc(3);

        if (!table)
            return -ENOMEM;
        table_set(child_entry, frame_address(table) | TABLE_FLAGS);
    }
    child_table = phys_to_virt(*child_entry & PTE_ADDRESS);
    below_get(*parent_entry);
    WRITE_ONCE(*parent_entry, *parent_entry & ~PTE_WRITABLE);
    table_set(&child_table[table_index(address, 3)], *parent_entry);
    return 0;
}

int tables_share(struct address_space *parent, struct address_space *child)
{
    pte *root = phys_to_virt(parent->root), *child_root = phys_to_virt(child->root);
    struct region *region;
    u64 at = 0;

    /* By regions, for the tables on the top are nearly empty and long to search. */
    for (region = region_first(parent); region; region = region_next(region)) {
        at = MAX(at, ALIGN_DOWN(region->start, GIB));
        while (at < region->end) {
            int error;

            if (!root[table_index(at, 4)]) {
                at = ALIGN_DOWN(at, table_entry_bytes(4)) + table_entry_bytes(4);
                continue;
            }
            error = gib_share(root, child_root, at);
            if (error)
                return error;
            at += GIB;
        }
    }
    child->tables = parent->tables;
    child->resident_anonymous = parent->resident_anonymous;
    child->resident_file = parent->resident_file;
    child->resident_shared = parent->resident_shared;
    return 0;
}
