/*
 * /proc/PID's files about its regions: maps, smaps, smaps_rollup, clear_refs, numa_maps, pagemap.
 *
 * They look at one region at a time: what is shown is copied with the address space locked, and
 * printed without the lock, since a file's name needs locks that stand above it. So the text is no
 * picture of one moment, as on Linux. The cursor of a long text is an address: regions that come or
 * go before it move nothing, and each address is shown at most once.
 *
 *     lock for reading: region_find_from(cursor) -> struct shown_region, a reference to its file
 *     unlock; print; put the file; cursor = the region's end
 *
 * Counting what is resident walks the page tables (vm/resident.c), a table at a time.
 *
 * Frame numbers in pagemap are for CAP_SYS_ADMIN alone: they help to attack memory from outside.
 */
#include <pith/page_cache.h>

#include "proc_files.h"

struct shown_region {
    u64 start, end, offset;
    u32 flags;
    const char *special; /* a name that is no file's */
    struct file *file;   /* a reference, or NULL */
    bool may_be_large;
    struct region_resident resident; /* if it was wanted */
};

/* The first region above `from`, with COUNTED what of it is resident. False: there is none. */
#define COUNTED BIT(0)
static bool region_copy(struct address_space *space, u64 from, unsigned flags,
                        struct shown_region *shown)
{
    struct region *region;

    rwlock_read_lock(&space->lock);
    region = region_find_from(space, from);
    if (region) {
        *shown = (struct shown_region){
            .start = region->start, .end = region->end, .flags = region->flags};
        if (region->pager && region->pager->name)
            shown->special = region->pager->name;
        else if (region->pager == &page_cache_pager)
            shown->file = region->object;
        if (shown->file) {
            shown->offset = region->offset_pages << PAGE_SHIFT;
            file_get(shown->file);
        }
        shown->may_be_large = region_may_be_large(region);
        if (flags & COUNTED)
            region_count_resident(region, &shown->resident);
    }
    rwlock_read_unlock(&space->lock);
    return region;
}

/* What maps names in brackets; "" has no name, as anonymous memory. */
static const char *region_name(const struct shown_region *shown)
{
    if (shown->special)
        return shown->special;
    if (shown->flags & REGION_HEAP)
        return "[heap]";
    return shown->flags & REGION_STACK ? "[stack]" : "";
}

#define NAME_COLUMN 73

/* A line's name, behind the `length` characters that it has. */
static void print_name(struct text_sink *sink, int length, const char *name)
{
    if (*name)
        text_print(sink, "%*s%s", MAX(NAME_COLUMN - length, 0), "", name);
    text_print(sink, "\n");
}

static void print_region(struct text_sink *sink, const struct shown_region *shown, char *buffer)
{
    const char *name = region_name(shown);
    char line[128], *path;
    u64 device = 0, inode_number = 0;
    int length;

    if (shown->file) {
        inode_number = shown->file->inode->number;
        device = shown->file->inode->file_system->device;
        if (path_name(&shown->file->path, buffer, PATH_MAX_BYTES, &path) == 0)
            name = path;
    }
    length = format_text(
        line, sizeof(line), "%08lx-%08lx %c%c%c%c %08lx %02lx:%02lx %lu ", shown->start, shown->end,
        shown->flags & REGION_READ ? 'r' : '-', shown->flags & REGION_WRITE ? 'w' : '-',
        shown->flags & REGION_EXECUTE ? 'x' : '-', shown->flags & REGION_SHARED ? 's' : 'p',
        shown->offset, device >> 8 & 0xfff, device & 0xff, inode_number);
    text_bytes(sink, line, length);
    print_name(sink, length, name);
}

/* `buffer` has room for a path. */
typedef void region_print(struct text_sink *sink, const struct shown_region *shown, char *buffer);

/* Calls `print` for the regions from the address *cursor on, as `show_records` does. */
static int regions_show(struct text_sink *sink, struct process *process, u64 *cursor,
                        unsigned flags, region_print *print)
{
    struct address_space *space = process_space(process);
    char *buffer = kmalloc(PATH_MAX_BYTES, 0);
    struct shown_region shown;
    bool goes_on = buffer;

    while (goes_on) {
        if (!space || !region_copy(space, *cursor, flags, &shown)) {
            *cursor = TEXT_END;
            break;
        }
        print(sink, &shown, buffer);
        if (shown.file)
            file_put(shown.file);
        goes_on = text_end_record(sink);
        if (goes_on)
            *cursor = shown.end;
    }
    if (space)
        address_space_put(space);
    kfree(buffer);
    return buffer ? 0 : -ENOMEM;
}

int proc_show_maps(struct text_sink *sink, void *object, u64 *cursor)
{
    return regions_show(sink, object, cursor, 0, print_region);
}

/* ---- smaps ---- */

static u64 kib(u64 pages)
{
    return pages * (PAGE_SIZE / 1024);
}

static void print_kib(struct text_sink *sink, const char *name, u64 value)
{
    text_print(sink, "%-16s%8lu kB\n", name, value);
}

/* What smaps and smaps_rollup have in common, but for the parts of Pss and for Locked. */
static void print_resident(struct text_sink *sink, const struct region_resident *r)
{
    print_kib(sink, "Shared_Clean:", kib(r->shared_clean));
    print_kib(sink, "Shared_Dirty:", kib(r->shared_dirty));
    print_kib(sink, "Private_Clean:", kib(r->private_clean));
    print_kib(sink, "Private_Dirty:", kib(r->private_dirty));
    print_kib(sink, "Referenced:", kib(r->referenced));
    print_kib(sink, "Anonymous:", kib(r->anonymous));
    print_kib(sink, "LazyFree:", 0);
    print_kib(sink, "AnonHugePages:", kib(r->large));
    print_kib(sink, "ShmemPmdMapped:", 0);
    print_kib(sink, "FilePmdMapped:", 0);
    print_kib(sink, "Shared_Hugetlb:", 0);
    print_kib(sink, "Private_Hugetlb:", 0);
    print_kib(sink, "Swap:", 0);
    print_kib(sink, "SwapPss:", 0);
}

static void print_sizes(struct text_sink *sink, const struct region_resident *r)
{
    print_kib(sink, "Rss:", kib(r->anonymous + r->file + r->shared_memory));
    print_kib(sink, "Pss:", r->proportional_bytes / 1024);
    print_kib(sink, "Pss_Dirty:", r->proportional_dirty_bytes / 1024);
}

/* proc(5), VmFlags: in the order in which Linux shows them. */
static const struct {
    u32 flag;
    char name[3];
} flag_names[] = {
    {REGION_READ, "rd"},        {REGION_WRITE, "wr"},      {REGION_EXECUTE, "ex"},
    {REGION_SHARED, "sh"},      {REGION_MAY_READ, "mr"},   {REGION_MAY_WRITE, "mw"},
    {REGION_MAY_EXECUTE, "me"}, {REGION_SHARED, "ms"},     {REGION_GROWS_DOWN, "gd"},
    {REGION_LOCKED, "lo"},      {REGION_NO_FORK, "dc"},    {REGION_SPECIAL, "de"},
    {REGION_COMMITTED, "ac"},   {REGION_NO_RESERVE, "nr"}, {REGION_WIPE_ON_FORK, "wf"},
    {REGION_NO_DUMP, "dd"},     {REGION_LARGE, "hg"},      {REGION_NO_LARGE, "nh"},
};

static void print_smap(struct text_sink *sink, const struct shown_region *shown, char *buffer)
{
    const struct region_resident *r = &shown->resident;
    u64 resident = r->anonymous + r->file + r->shared_memory;

    print_region(sink, shown, buffer);
    print_kib(sink, "Size:", (shown->end - shown->start) / 1024);
    print_kib(sink, "KernelPageSize:", PAGE_SIZE / 1024);
    print_kib(sink, "MMUPageSize:", PAGE_SIZE / 1024);
    print_sizes(sink, r);
    print_resident(sink, r);
    print_kib(sink, "Locked:", shown->flags & REGION_LOCKED ? kib(resident) : 0);
    text_print(sink, "THPeligible:    %d\nVmFlags: ", shown->may_be_large);
    for (size_t i = 0; i < ARRAY_SIZE(flag_names); i++)
        if (shown->flags & flag_names[i].flag)
            text_print(sink, "%s ", flag_names[i].name);
    text_print(sink, "\n");
}

int proc_show_smaps(struct text_sink *sink, void *object, u64 *cursor)
{
    return regions_show(sink, object, cursor, COUNTED, print_smap);
}

/* ---- clear_refs ---- */

#define CLEAR_PEAK 5

/*
 * proc(5): 1 to 3 for the pages of these regions, 5 for the peak. 4 would begin to tell pages that
 * are written from then on, which nobody here could show: refused.
 */
int proc_store_clear_refs(void *object, const char *text, size_t bytes)
{
    static const unsigned kinds[] = {
        [1] = REFERENCED_ANONYMOUS | REFERENCED_PAGER,
        [2] = REFERENCED_ANONYMOUS,
        [3] = REFERENCED_PAGER,
        [CLEAR_PEAK] = 0,
    };
    struct address_space *space;
    s64 what;
    int error = proc_parse_number(text, &what);

    if (error || what < 1 || what > CLEAR_PEAK || (what != CLEAR_PEAK && !kinds[what]))
        return -EINVAL;
    space = process_space(object);
    if (!space)
        return 0;
    if (what == CLEAR_PEAK)
        address_space_reset_peak(space);
    else
        error = address_space_forget_references(space, kinds[what]);
    address_space_put(space);
    return error;
}

/* ---- numa_maps: numa(7); all memory is of node 0, and no policy but the default is there ---- */

static void print_pages(struct text_sink *sink, const char *name, u64 pages)
{
    if (pages)
        text_print(sink, " %s=%lu", name, pages);
}

static void print_numa(struct text_sink *sink, const struct shown_region *shown, char *buffer)
{
    const struct region_resident *r = &shown->resident;
    u64 file_pages = r->file + r->shared_memory, pages = r->anonymous + file_pages;
    char *path;

    text_print(sink, "%08lx default", shown->start);
    if (shown->file && path_name(&shown->file->path, buffer, PATH_MAX_BYTES, &path) == 0)
        text_print(sink, " file=%s", path);
    else if (shown->flags & REGION_HEAP)
        text_print(sink, " heap");
    else if (shown->flags & REGION_STACK)
        text_print(sink, " stack");
    print_pages(sink, "anon", r->anonymous);
    print_pages(sink, "dirty", r->private_dirty + r->shared_dirty);
    if (file_pages)
        print_pages(sink, "mapped", pages);
    print_pages(sink, "N0", pages);
    if (pages)
        text_print(sink, " kernelpagesize_kB=%lu", PAGE_SIZE / 1024);
    text_print(sink, "\n");
}

int proc_show_numa_maps(struct text_sink *sink, void *object, u64 *cursor)
{
    return regions_show(sink, object, cursor, COUNTED, print_numa);
}

/* ---- smaps_rollup ---- */

static void resident_add(struct region_resident *sum, const struct region_resident *more)
{
    /* A structure of nothing but u64s. */
    u64 *to = (u64 *)sum;
    const u64 *from = (const u64 *)more;

    for (size_t i = 0; i < sizeof(*sum) / sizeof(u64); i++)
        to[i] += from[i];
}

/* One region after the other, summed: no picture of one moment either. */
int proc_show_smaps_rollup(struct text_sink *sink, void *object)
{
    struct address_space *space = process_space(object);
    struct region_resident sum = {}, locked = {};
    struct shown_region shown = {};
    char line[96];
    u64 first = 0;
    int length;

    if (!space)
        return -ESRCH;
    while (region_copy(space, shown.end, COUNTED, &shown)) {
        first = first ? first : shown.start;
        resident_add(&sum, &shown.resident);
        if (shown.flags & REGION_LOCKED)
            resident_add(&locked, &shown.resident);
        if (shown.file)
            file_put(shown.file);
    }
    address_space_put(space);
    length =
        format_text(line, sizeof(line), "%08lx-%08lx ---p 00000000 00:00 0 ", first, shown.end);
    text_bytes(sink, line, length);
    print_name(sink, length, "[rollup]");
    print_sizes(sink, &sum);
    print_kib(sink, "Pss_Anon:",
              (sum.proportional_bytes - sum.proportional_file_bytes -
               sum.proportional_shared_memory_bytes) /
                  1024);
    print_kib(sink, "Pss_File:", sum.proportional_file_bytes / 1024);
    print_kib(sink, "Pss_Shmem:", sum.proportional_shared_memory_bytes / 1024);
    print_resident(sink, &sum);
    print_kib(sink, "Locked:", kib(locked.anonymous + locked.file + locked.shared_memory));
    return 0;
}

/* ---- pagemap ---- */

#define PAGEMAP_FRAME (BIT(55) - 1)
#define WORDS_AT_ONCE (PAGE_SIZE / sizeof(u64))

/* As many words as one page holds; the file's position chooses the page. */
static ssize_t words_read(struct address_space *space, struct io_buffer *io, u64 *offset,
                          u64 *words)
{
    bool shows_frames = credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN);
    ssize_t done = 0;

    while (io->bytes_left) {
        u64 first = *offset / sizeof(u64), count = MIN(io->bytes_left / sizeof(u64), WORDS_AT_ONCE);
        size_t copied;

        if (first >= USER_END >> PAGE_SHIFT)
            break;
        count = MIN(count, (USER_END >> PAGE_SHIFT) - first);
        address_space_page_words(space, first << PAGE_SHIFT, count, words);
        for (u64 i = 0; !shows_frames && i < count; i++)
            words[i] &= ~PAGEMAP_FRAME;
        copied = io_copy_to(io, words, count * sizeof(u64));
        *offset += copied;
        done += copied;
        if (copied < count * sizeof(u64))
            return done ? done : -EFAULT;
        if (sched_point_killable())
            break;
    }
    return done;
}

/* Frames of a program that is gone are not told: the file is checked once the space is held. */
static ssize_t pagemap_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct address_space *space;
    u64 *words;
    ssize_t done = 0;

    if ((*offset | io->bytes_left) % sizeof(u64))
        return -EINVAL;
    space = process_space(proc_inode_object(file->inode));
    if (!space)
        return 0;
    words = kmalloc(PAGE_SIZE, 0);
    if (words && proc_file_is_current(file))
        done = words_read(space, io, offset, words);
    kfree(words);
    address_space_put(space);
    return words ? done : -ENOMEM;
}

const struct file_operations proc_pagemap_operations = {
    .open = proc_open_guarded,
    .read = pagemap_read,
};
