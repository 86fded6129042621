/*
 * What of an address space is in memory: for mincore(2), /proc/PID/smaps, pagemap and clear_refs.
 *
 * A page has as many users as there are ways from roots to its frame: the references of its frame
 * that are entries', times those of the tables above it that forks share. So the proportional set
 * size (each page divided by its users) and the difference between private and shared need no
 * reverse mapping.
 *
 * A page was referenced if a processor set its entry's bit Accessed (SDM 3A "Accessed and Dirty
 * Flags"), which an entry has from the beginning, for it is made at a reference. A table that forks
 * share tells what any of its users referenced; who forgets makes it its own first. Changes of
 * entries that do not use atomic instructions may lose a reference that comes at that moment.
 *
 * Locking: space->lock for reading, table_lock for one table's pages at a time; for writing where
 *          references are forgotten.
 */
#include "gather.h"
#include "internal.h"
#include "tables.h"

struct resident_visitor {
    struct table_visitor visitor;
    struct address_space *space;
    u64 first;                   /* the address that the next two begin with */
    u8 *bytes;                   /* mincore's, one for each page; or NULL */
    u64 *words;                  /* pagemap's; or NULL */
    struct region_resident *sum; /* or NULL */
};

/* How many address spaces share the table of level 1 (or the 2 MiB page) at an address. */
static u64 table_users(const struct address_space *space, u64 address)
{
    const pte *table = phys_to_virt(space->root);
    u64 users = 1;

    for (unsigned level = TABLE_LEVELS; level > 1; level--) {
        pte entry = table[table_index(address, level)];

        if (!entry || (entry & PTE_LARGE))
            break;
        users *= refcount_read(&pte_frame(entry)->references);
        table = phys_to_virt(entry & PTE_ADDRESS);
    }
    return users;
}

/* The entries that name a frame: a page of a file is referred to by its cache too. */
static u64 entry_users(const struct frame *frame)
{
    u64 references = refcount_read(&frame->references);

    if (frame->kind == FRAME_CACHE && references > 1)
        references--;
    return MAX(references, 1ul);
}

/* Private or shared is a question of users, not of the mapping: proc(5), smaps. */
static void pages_count(struct region_resident *sum, pte entry, const struct frame *frame,
                        u64 users, u64 pages)
{
    bool is_file = frame->kind == FRAME_CACHE;
    bool is_dirty = (entry & PTE_DIRTY) || (is_file && (frame->flags & FRAME_FLAG_DIRTY));
    u64 share = (pages << PAGE_SHIFT) / users;

    if (is_file)
        sum->file += pages;
    else if (entry & PTE_SHARED)
        sum->shared_memory += pages;
    else
        sum->anonymous += pages;
    if (entry & PTE_ACCESSED)
        sum->referenced += pages;
    sum->proportional_bytes += share;
    if (is_file)
        sum->proportional_file_bytes += share;
    else if (entry & PTE_SHARED)
        sum->proportional_shared_memory_bytes += share;
    if (is_dirty)
        sum->proportional_dirty_bytes += share;
    *(users > 1  ? is_dirty ? &sum->shared_dirty : &sum->shared_clean
      : is_dirty ? &sum->private_dirty
                 : &sum->private_clean) += pages;
}

/* proc(5), /proc/PID/pagemap. */
#define PAGEMAP_EXCLUSIVE BIT(56)
#define PAGEMAP_FILE      BIT(61) /* or shared anonymous */
#define PAGEMAP_PRESENT   BIT(63)

/* A page that one user has is EXCLUSIVE, whatever kind it is. */
static u64 pagemap_word(pte entry, const struct frame *frame, u64 users)
{
    bool is_file = frame->kind == FRAME_CACHE || (entry & PTE_SHARED);

    return PAGEMAP_PRESENT | (is_file ? PAGEMAP_FILE : 0) | (users == 1 ? PAGEMAP_EXCLUSIVE : 0) |
           frame_address(frame) >> PAGE_SHIFT;
}

/* mincore and pagemap want a word for each page, smaps a sum: one walk serves all. */
static void resident_visit(struct table_visitor *visitor, u64 address, pte *entries, unsigned count)
{
    struct resident_visitor *self = container_of(visitor, struct resident_visitor, visitor);
    u64 at = (address - self->first) >> PAGE_SHIFT, tables = table_users(self->space, address);

    for (unsigned i = 0; i < count; i++) {
        const struct frame *frame = pte_frame(entries[i]);
        u64 users;

        if (!entries[i])
            continue;
        if (self->bytes)
            self->bytes[at + i] = 1;
        users = tables * entry_users(frame);
        if (self->words)
            self->words[at + i] = pagemap_word(entries[i], frame, users);
        if (self->sum && frame != zero_frame)
            pages_count(self->sum, entries[i], frame, users, 1);
    }
}

static void resident_visit_large(struct table_visitor *visitor, u64 address, pte *entry,
                                 unsigned count)
{
    struct resident_visitor *self = container_of(visitor, struct resident_visitor, visitor);
    u64 at = (address - self->first) >> PAGE_SHIFT;
    struct frame *first = pte_frame(*entry);
    u64 users = table_users(self->space, address) * first->anonymous.large_entries;

    if (self->bytes)
        memset(self->bytes + at, 1, count);
    for (unsigned i = 0; self->words && i < count; i++)
        self->words[at + i] =
            pagemap_word(*entry, pte_page_frame(*entry, address + i * PAGE_SIZE), users);
    if (!self->sum)
        return;
    pages_count(self->sum, *entry, first, users, count);
    if (count == LARGE_PAGES)
        self->sum->large += count;
}

/* One table's span at a time, so that the lock is held for 512 entries at most. */
static void visit_locked(struct resident_visitor *self, u64 start, u64 end)
{
    struct address_space *space = self->space;

    self->visitor = (struct table_visitor){resident_visit, resident_visit_large};
    while (start < end) {
        spin_lock(&space->table_lock);
        start = tables_visit_one(space, start, end, &self->visitor);
        spin_unlock(&space->table_lock);
    }
}

/* The caller has space->lock, so the region stays; each table is looked at under table_lock. */
void region_count_resident(struct region *region, struct region_resident *resident_out)
{
    struct resident_visitor self = {.space = region->space, .sum = resident_out};

    *resident_out = (struct region_resident){0};
    visit_locked(&self, region->start, region->end);
}

void address_space_page_words(struct address_space *space, u64 address, u64 pages, u64 *words_out)
{
    struct resident_visitor self = {.space = space, .first = address, .words = words_out};

    memset(words_out, 0, pages * sizeof(*words_out));
    rwlock_read_lock(&space->lock);
    if (region_first(space)) /* else it ended */
        visit_locked(&self, address, address + (pages << PAGE_SHIFT));
    rwlock_read_unlock(&space->lock);
}

/* ---- References ---- */

struct forgetter {
    struct table_visitor visitor;
    struct gather *gather;
};

/* The flush is gathered for spans: a translation that stays cached would hide the next use. */
static void forget_entry(struct forgetter *self, pte *entry, u64 address, u64 bytes)
{
    /* Atomically, for the processor may set Dirty meanwhile. */
    if ((*entry & PTE_ACCESSED) &&
        (__atomic_fetch_and(entry, ~(pte)PTE_ACCESSED, __ATOMIC_RELAXED) & PTE_ACCESSED))
        gather_span(self->gather, address, address + bytes);
}

static void forget_visit(struct table_visitor *visitor, u64 address, pte *entries, unsigned count)
{
    struct forgetter *self = container_of(visitor, struct forgetter, visitor);

    for (unsigned i = 0; i < count; i++)
        forget_entry(self, &entries[i], address + i * PAGE_SIZE, PAGE_SIZE);
}

static void forget_visit_large(struct table_visitor *visitor, u64 address, pte *entry,
                               unsigned count)
{
    struct forgetter *self = container_of(visitor, struct forgetter, visitor);

    forget_entry(self, entry, address, count * PAGE_SIZE);
}

/* A processor that has cached a translation sets no bit for it: hence the flush. */
int address_space_forget_references(struct address_space *space, unsigned kinds)
{
    struct gather gather;
    struct forgetter self = {.visitor = {forget_visit, forget_visit_large}, .gather = &gather};
    struct region *region;
    int error = 0;

    gather_init(&gather, space);
    rwlock_write_lock(&space->lock);
    for (region = region_first(space); region && !error; region = region_next(region)) {
        if (!(kinds & (region->pager ? REFERENCED_PAGER : REFERENCED_ANONYMOUS)))
            continue;
        error = tables_own_range(space, region->start, region->end, 0, &gather);
        if (!error)
            tables_visit(space, region->start, region->end, &self.visitor);
    }
    gather_finish(&gather);
    space_write_unlock(space);
    return error;
}

/* ---- Sizes ---- */

/* The tables below an entry of level `level`, with it. */
static u64 tables_count(pte entry, unsigned level)
{
    const struct frame *frame;
    const pte *table;
    u64 count = 1;

    if (!entry || (entry & PTE_LARGE) || level == 1)
        return 0;
    frame = pte_frame(entry);
    table = phys_to_virt(entry & PTE_ADDRESS);
    for (unsigned i = frame->table.first; level > 2 && i <= frame->table.last; i++)
        count += tables_count(table[i], level - 1);
    return count;
}

/* Sums over all regions: asked rarely, so kept nowhere. */
void address_space_sizes(struct address_space *space, struct space_sizes *sizes_out)
{
    const pte *root = phys_to_virt(space->root);
    struct region *region;

    *sizes_out = (struct space_sizes){};
    rwlock_read_lock(&space->lock);
    for (region = region_first(space); region; region = region_next(region)) {
        u64 pages = (region->end - region->start) >> PAGE_SHIFT;

        if (region->flags & REGION_GROWS_DOWN)
            sizes_out->stack_pages += pages;
        else if ((region->flags & (REGION_EXECUTE | REGION_WRITE)) == REGION_EXECUTE)
            sizes_out->code_pages += pages;
    }
    spin_lock(&space->table_lock);
    for (unsigned i = 0; region_first(space) && i <= table_index(USER_END - 1, TABLE_LEVELS); i++)
        sizes_out->table_pages += tables_count(root[i], TABLE_LEVELS);
    spin_unlock(&space->table_lock);
    rwlock_read_unlock(&space->lock);
}

/* ---- mincore ---- */

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

/* mincore(2): a file's page counts if it is in the page cache, mapped here or not. */
int address_space_resident(struct address_space *space, u64 address, u64 pages, u8 *resident_out)
{
    u64 end = address + (pages << PAGE_SHIFT);
    struct resident_visitor self = {.space = space, .first = address, .bytes = resident_out};
    struct region *region;
    int error = 0;

    memset(resident_out, 0, pages);
    rwlock_read_lock(&space->lock);
    if (range_is_mapped(space, address, end))
        visit_locked(&self, address, end);
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
