/*
 * /proc/PID's files about memory: maps, and what exec laid out (cmdline, environ, auxv, exe).
 *
 * maps looks at one region at a time: it copies what it shows with the address space locked, and
 * prints without the lock, since a file's name needs locks that stand above it. So the text is no
 * picture of one moment, as on Linux.
 */
#include <pith/page_cache.h>

#include "proc_files.h"

#define STRINGS_MAX (1ul << 20) /* of the arguments or the environment that are shown */

/* ---- What exec laid out ---- */

/* Copies a part of another process's memory into the text. */
static int show_bytes(struct text_sink *sink, struct address_space *space, u64 start, u64 end)
{
    u64 left = MIN(end - start, STRINGS_MAX);
    char *page = kmalloc(PAGE_SIZE, 0);

    if (!page)
        return -ENOMEM;
    while (left) {
        size_t wanted = MIN(left, PAGE_SIZE), got;

        got = address_space_read(space, start, page, wanted);
        text_bytes(sink, page, got);
        if (got < wanted)
            break;
        start += got;
        left -= got;
    }
    kfree(page);
    return 0;
}

int proc_show_cmdline(struct text_sink *sink, void *object)
{
    struct address_space *space = process_space(object);
    int error;

    if (!space)
        return 0;
    error = show_bytes(sink, space, space->arguments_start, space->arguments_end);
    address_space_put(space);
    return error;
}

/* Only its owner's, as the file's mode says; the mode is of whoever the process belongs to. */
int proc_show_environ(struct text_sink *sink, void *object)
{
    struct address_space *space = process_space(object);
    int error;

    if (!space)
        return 0;
    error = show_bytes(sink, space, space->environment_start, space->environment_end);
    address_space_put(space);
    return error;
}

int proc_show_auxv(struct text_sink *sink, void *object)
{
    struct address_space *space = process_space(object);
    u32 count = 0;

    if (!space)
        return 0;
    while (count + 2 < ARRAY_SIZE(space->auxv) && space->auxv[count])
        count += 2;
    text_bytes(sink, space->auxv, (count + 2) * sizeof(space->auxv[0]));
    address_space_put(space);
    return 0;
}

int proc_follow_exe(void *object, u64 key, struct path *path_out)
{
    struct address_space *space = process_space(object);
    const struct file *executable;

    if (!space)
        return -ENOENT;
    executable = space->executable;
    if (executable) {
        *path_out = executable->path;
        path_get(path_out);
    }
    address_space_put(space);
    return executable ? 0 : -ENOENT;
}

ssize_t proc_read_exe(void *object, u64 key, char *buffer, size_t size)
{
    struct path path;
    ssize_t length = proc_follow_exe(object, key, &path);

    if (length)
        return length;
    length = proc_link_text(&path, buffer, size);
    path_put(&path);
    return length;
}

/* ---- maps ---- */

struct shown_region {
    u64 start, end, offset;
    u32 flags;
    const char *special; /* a name that is no file's */
    struct file *file;   /* a reference, or NULL */
};

/* The first region above `from`. False: there is none. */
static bool region_copy(struct address_space *space, u64 from, struct shown_region *shown)
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
    }
    rwlock_read_unlock(&space->lock);
    return region;
}

static const char *region_name(const struct shown_region *shown)
{
    if (shown->special)
        return shown->special;
    if (shown->flags & REGION_HEAP)
        return "[heap]";
    return shown->flags & REGION_STACK ? "[stack]" : "";
}

#define NAME_COLUMN 73

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
    if (*name)
        text_print(sink, "%*s%s", MAX(NAME_COLUMN - length, 0), "", name);
    text_print(sink, "\n");
}

int proc_show_maps(struct text_sink *sink, void *object)
{
    struct address_space *space = process_space(object);
    char *buffer = kmalloc(PATH_MAX_BYTES, 0);
    struct shown_region shown = {};

    if (space && buffer) {
        while (region_copy(space, shown.end, &shown)) {
            print_region(sink, &shown, buffer);
            if (shown.file)
                file_put(shown.file);
        }
    }
    if (space)
        address_space_put(space);
    kfree(buffer);
    return buffer ? 0 : -ENOMEM;
}
