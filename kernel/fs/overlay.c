/*
 * overlay: a directory of another file system below, memory above (mount -t overlay -o
 * lowerdir=DIR[,size=BYTES]). The program's root is one, over the host's files: it shows them as
 * they are, may change everything, and whatever it changes is gone with the instance.
 *
 *     name in the overlay -> overlay inode -> its own names, fields, pages: what differs
 *                                 |
 *                                 '-> lower dentry -> lower inode: all the rest
 *
 * There is no upper directory on another file system: what differs lies in the overlay's own
 * inodes. So there is only one copy of a page, one inode for a file before and after it was written
 * (with one device, number and link count), and nothing is copied up but the pages that are
 * written. Written pages count against a limit; beyond it the writer gets ENOSPC.
 *
 * What must stay in memory is held by the overlay itself: an inode that differs from its lower
 * holds a reference on itself, a directory's own names hold their inodes. All else is cache. When
 * the last mount goes the name cache forgets the root, and with it everything lets go: first the
 * changed inodes, then names, directory by directory.
 *
 *     overlay_inode.c      one inode for each lower file; when it differs; attributes
 *     overlay_file.c       pages, holes, links
 *     overlay_xattr.c      extended attributes
 *     overlay_directory.c  looking up, listing
 *     overlay_names.c      making, removing, moving names
 *     overlay_changes.c    the listing of what differs
 *
 * Invariant: nothing below is ever written; the lower path keeps the lower mount in being.
 * Locking:   an overlay's inode before the lower's of the same file (both LOCK_INODE: the lower
 *            counts as a child); limits are atomic counters, taken first and given back on failure.
 */
#include "overlay.h"

#include "tmpfs.h"

static int overlay_statistics(struct file_system *file_system, struct statistics *statistics_out)
{
    struct overlay *overlay = file_system->private_data;
    u64 pages = READ_ONCE(overlay->pages), max = READ_ONCE(overlay->pages_max);
    u64 inodes = READ_ONCE(overlay->own_inodes), inodes_max = overlay->inodes_max;

    *statistics_out = (struct statistics){
        .type = OVERLAY_MAGIC,
        .block_bytes = PAGE_SIZE,
        .blocks = max,
        .blocks_free = max > pages ? max - pages : 0,
        .blocks_available = max > pages ? max - pages : 0,
        .files = inodes_max,
        .files_free = inodes_max > inodes ? inodes_max - inodes : 0,
        .name_max = NAME_MAX_BYTES,
        .id = file_system->device,
    };
    return 0;
}

/* The limit in pages; half of the memory if the options do not say. -EINVAL. */
static int limit_parse(const char *options, u64 *pages_out)
{
    char value[32];
    u64 bytes;

    *pages_out = frames_total_count() / 2;
    if (!mount_option_find(options, "size", value, sizeof(value)))
        return 0;
    if (memory_size_parse(value, &bytes))
        return -EINVAL;
    *pages_out = DIV_ROUND_UP(bytes, PAGE_SIZE);
    return 0;
}

static int overlay_remount(struct file_system *file_system, const struct mount_source *source)
{
    struct overlay *overlay = file_system->private_data;
    char value[32];
    u64 pages;
    int error;

    if (!mount_option_find(source->options, "size", value, sizeof(value)))
        return 0;
    error = limit_parse(source->options, &pages);
    if (!error && pages && pages < READ_ONCE(overlay->pages))
        error = -EINVAL;
    if (!error)
        WRITE_ONCE(overlay->pages_max, pages);
    return error;
}

static void overlay_show_options(struct file_system *file_system, char *buffer, size_t size)
{
    struct overlay *overlay = file_system->private_data;

    format_text_clipped(buffer, size, ",size=%luk", READ_ONCE(overlay->pages_max) * 4);
}

static void overlay_unmount(struct file_system *file_system)
{
    struct overlay *overlay = file_system->private_data;

    path_put(&overlay->lower);
    kfree(overlay);
}

static const struct file_system_operations overlay_operations = {
    .inode_release = overlay_inode_release,
    .statistics = overlay_statistics,
    .remount = overlay_remount,
    .show_options = overlay_show_options,
    .unmount = overlay_unmount,
};

/* Finds the directory below. Upper directories on another file system are not known here. */
static int lower_find(const char *options, struct path *lower_out)
{
    char *name = kmalloc(PATH_MAX_BYTES, 0);
    int error = -EINVAL;

    if (!name)
        return -ENOMEM;
    if (!mount_option_find(options, "upperdir", name, PATH_MAX_BYTES) &&
        mount_option_find(options, "lowerdir", name, PATH_MAX_BYTES))
        error = path_find(NULL, name, LOOKUP_FOLLOW | LOOKUP_DIRECTORY, lower_out);
    kfree(name);
    return error;
}

static int root_create(struct file_system *file_system)
{
    struct overlay *overlay = file_system->private_data;
    struct inode *inode;
    int error = overlay_inode_get(file_system, overlay->lower.dentry, &inode);

    if (error)
        return error;
    overlay_node_of(inode)->parent_number = inode->number;
    file_system->root = dentry_create_root(inode);
    if (!file_system->root) {
        inode_put(inode);
        return -ENOMEM;
    }
    overlay->root = inode;
    return 0;
}

static int overlay_mount(const struct file_system_type *type, const struct mount_source *source,
                         struct file_system **file_system_out)
{
    struct file_system *file_system = file_system_alloc(type, &overlay_operations, OVERLAY_MAGIC);
    struct overlay *overlay = kmalloc(sizeof(*overlay), ALLOC_CLEARED);
    int error = -ENOMEM;

    if (!file_system || !overlay)
        goto free_both;
    list_init(&overlay->changed);
    memory_drain_init(&overlay->drain);
    overlay->inodes_max = frames_total_count() / 2;
    error = limit_parse(source->options, &overlay->pages_max);
    if (!error)
        error = lower_find(source->options, &overlay->lower);
    if (error)
        goto free_both;
    file_system->private_data = overlay;
    error = root_create(file_system);
    if (error) {
        file_system_put(file_system);
        return error;
    }
    *file_system_out = file_system;
    return 0;

free_both:
    kfree(overlay);
    kfree(file_system);
    return error;
}

static const char *const overlay_options[] = {"lowerdir", "upperdir", "workdir", "size", NULL};

static struct file_system_type overlay_type = {
    .name = "overlay",
    .options = overlay_options,
    .flags = FILE_SYSTEM_NO_DEVICE | FILE_SYSTEM_ACCESS_LISTS,
    .mount = overlay_mount,
};

void overlay_init(void)
{
    file_system_register(&overlay_type);
}
