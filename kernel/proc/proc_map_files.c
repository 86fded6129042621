/*
 * /proc/PID/map_files: a link for each region that shows a file, named by the region's bounds.
 *
 * It leads to the file itself, also when its name is gone or another's by now: what `maps` names is
 * not always what is mapped. A link's key is where its region starts. Its end is not in the key, so
 * a name that was looked up is never good for a second walk (is_valid), which finds the region, or
 * finds that its bounds are others, by itself.
 *
 * Who may look into the process may list and read the links; to follow them, past the permissions
 * of the directories that the file is in, needs a capability (proc(5)).
 *
 * Locking: the region is found with the address space locked for reading; what leaves the lock is
 * its bounds and a reference to its file.
 */
#include <pith/page_cache.h>

#include "proc_files.h"

#define NAME_BYTES_MAX 34 /* two numbers of 16 digits, a hyphen and the NUL */

struct mapped {
    u64 start, end;
    struct file *file; /* a reference */
};

/* The first region of a file that starts at `from` or above. False: there is none. */
static bool mapped_from(struct process *process, u64 from, struct mapped *mapped_out)
{
    struct address_space *space = process_space(process);
    struct region *region;

    if (!space)
        return false;
    rwlock_read_lock(&space->lock);
    region = region_find_from(space, from);
    while (region && (region->start < from || region->pager != &page_cache_pager))
        region = region_find_from(space, region->end);
    if (region) {
        *mapped_out = (struct mapped){region->start, region->end, region->object};
        file_get(mapped_out->file);
    }
    rwlock_read_unlock(&space->lock);
    address_space_put(space);
    return region;
}

/* The region that starts at `start`, as a link's key says it. -ENOENT. */
static int mapped_at(struct process *process, u64 start, struct mapped *mapped_out)
{
    if (!mapped_from(process, start, mapped_out))
        return -ENOENT;
    if (mapped_out->start == start)
        return 0;
    file_put(mapped_out->file);
    return -ENOENT;
}

/* As maps has the bounds, but without leading zeros. */
static u32 mapped_name(const struct mapped *mapped, char *name, size_t size)
{
    return format_text(name, size, "%lx-%lx", mapped->start, mapped->end);
}

/* ---- Links ---- */

static int map_follow(void *object, u64 key, struct path *path_out)
{
    const struct credentials *credentials = thread_current()->credentials;
    struct mapped mapped;
    int error;

    if (!credentials_can(credentials, CAPABILITY_SYS_ADMIN) &&
        !credentials_can(credentials, CAPABILITY_CHECKPOINT_RESTORE))
        return -EPERM;
    error = mapped_at(object, key, &mapped);
    if (error)
        return error;
    *path_out = mapped.file->path;
    path_get(path_out);
    file_put(mapped.file);
    return 0;
}

static ssize_t map_read_link(void *object, u64 key, char *buffer, size_t size)
{
    struct mapped mapped;
    ssize_t length = mapped_at(object, key, &mapped);

    if (length)
        return length;
    length = proc_link_text(&mapped.file->path, buffer, size);
    file_put(mapped.file);
    return length;
}

/* Its mode says how the file was opened. */
#define LINK(permissions)                                                                     \
    {                                                                                         \
        .mode = S_IFLNK | (permissions), .guard = PROC_GUARD_OPEN, .readlink = map_read_link, \
        .follow = map_follow                                                                  \
    }
static const struct proc_entry link_entries[] = {
    [0] = LINK(0), /* cannot be mapped */
    [FILE_READ] = LINK(0400),
    [FILE_WRITE] = LINK(0200),
    [FILE_READ | FILE_WRITE] = LINK(0600),
};

/* ---- The directory ---- */

/* The number that a name begins with. -ENOENT: with none. */
static int name_start(const char *name, u32 bytes, u64 *start_out)
{
    const char *hyphen = memchr(name, '-', bytes);
    char number[NAME_BYTES_MAX] = "0x";

    if (!hyphen || (size_t)(hyphen - name) >= sizeof(number) - 2)
        return -ENOENT;
    memcpy(number + 2, name, hyphen - name);
    return string_to_u64(number, start_out) ? -ENOENT : 0;
}

/* A name is good if it is the one that its region has now. */
static int map_lookup(void *object, const char *name, u32 bytes,
                      const struct proc_entry **entry_out, void **object_out, u64 *key_out)
{
    char expected[NAME_BYTES_MAX];
    struct mapped mapped;
    u64 start;
    int error = name_start(name, bytes, &start);

    if (!error)
        error = mapped_at(object, start, &mapped);
    if (error)
        return error;
    *entry_out = &link_entries[mapped.file->mode & (FILE_READ | FILE_WRITE)];
    file_put(mapped.file);
    if (mapped_name(&mapped, expected, sizeof(expected)) != bytes || memcmp(name, expected, bytes))
        return -ENOENT;
    process_get(object);
    *object_out = object;
    *key_out = mapped.start;
    return 0;
}

/* The file is of no use for the name; the reference came with the look. */
static bool map_next(void *object, u64 *key, char *name, size_t size, u32 *type_out)
{
    struct mapped mapped;

    if (!mapped_from(object, *key, &mapped))
        return false;
    file_put(mapped.file);
    mapped_name(&mapped, name, size);
    *key = mapped.start;
    *type_out = S_IFLNK >> 12;
    return true;
}

static bool map_is_valid(void *object, u64 key)
{
    return false;
}

const struct proc_directory proc_map_files_directory = {
    .owner = proc_process_owner,
    .permits = proc_process_permits,
    .lookup = map_lookup,
    .next = map_next,
    .is_valid = map_is_valid,
    .get = proc_process_get,
    .put = proc_process_put,
};
