/*
 * tmpfs: files that are nothing but their page cache (tmpfs(5)).
 *
 * A page of a file that was written is dirty for as long as the file has it, and counts against the
 * limit of the instance; one that was only read is a hole's zeros and may go at any time. So there
 * is no map of what is a hole, no allocation beside the page cache's, and nothing to write back:
 * "dirty" says all. Names are in tmpfs_directory.c.
 *
 *     absent  --read-->  clean zeros  --write, store, fallocate-->  dirty, counted
 *        ^------reclaim------'                                        |
 *        '----------------------- truncate, hole, last link ----------'
 *
 * The same file system holds /dev (devfs.c), memfds and System V's segments (memfd.c), each an
 * instance of its own.
 *
 * Locking: inode.lock for a file's size and holes; limits are atomic counters: taken first, given
 *          back on failure.
 */
#include <pith/fs.h>

#include "memory_pages.h"
#include "tmpfs.h"

#define MODE_USUAL 01777u

/* Of pages, and of inodes. */
static u64 limit_usual(void)
{
    return frames_total_count() / 2;
}

/* ---- Pages ---- */

static int tmpfs_read_pages(struct inode *inode, u64 first, u32 count, struct frame **frames)
{
    for (u32 i = 0; i < count; i++) {
        page_clear(frame_data(frames[i]));
        page_mark_uptodate(frames[i]);
    }
    return 0;
}

static int tmpfs_page_dirtied(struct inode *inode, u64 index)
{
    struct tmpfs *tmpfs = tmpfs_of(inode);

    return memory_page_take(&tmpfs->pages, tmpfs->pages_max);
}

static void tmpfs_pages_dropped(struct inode *inode, u64 count)
{
    memory_pages_give(&tmpfs_of(inode)->pages, count);
}

static const struct page_cache_operations tmpfs_page_operations = {
    .read = tmpfs_read_pages,
    .page_dirtied = tmpfs_page_dirtied,
    .pages_dropped = tmpfs_pages_dropped,
};

static int tmpfs_allocate(struct file *file, int mode, u64 offset, u64 bytes)
{
    if (mode & FALLOC_FL_ZERO_RANGE)
        return -EOPNOTSUPP;
    return memory_file_allocate(file->inode, mode, offset, bytes, NULL);
}

static s64 tmpfs_seek(struct file *file, s64 offset, int whence)
{
    return page_cache_file_seek(file, offset, whence, 0);
}

static const struct file_operations tmpfs_regular_operations = {
    .read = page_cache_file_read,
    .write = page_cache_file_write,
    .seek = tmpfs_seek,
    .map = page_cache_file_map,
    .allocate = tmpfs_allocate,
    .sync = page_cache_file_sync,
};

/* ---- Inodes ---- */

static const struct inode_tables tmpfs_tables = {
    .directory = &tmpfs_directory_operations,
    .other = &tmpfs_file_operations,
    .directory_file = &tmpfs_directory_file_operations,
    .regular_file = &tmpfs_regular_operations,
    .pages = &tmpfs_page_operations,
};

int tmpfs_inode_create(struct file_system *file_system, const struct inode *directory, u32 mode,
                       u64 rdev, struct inode **inode_out)
{
    struct tmpfs *tmpfs = file_system->private_data;
    struct tmpfs_node *node;
    struct inode *inode;

    if (limit_take(&tmpfs->inodes, tmpfs->inodes_max))
        return -ENOSPC;
    node = kmalloc(sizeof(*node), ALLOC_CLEARED);
    inode = node ? inode_alloc(file_system) : NULL;
    if (!inode) {
        kfree(node);
        __atomic_fetch_sub(&tmpfs->inodes, 1, __ATOMIC_RELAXED);
        return -ENOMEM;
    }
    inode->seals = F_SEAL_SEAL; /* a file with a name is not for sealing; memfd_open lifts it */
    list_init(&node->xattrs);
    memory_names_init(&node->names, TMPFS_FIRST_POSITION, node);
    node->parent_number = inode->number;
    inode->private_data = node;
    inode_init_owner(inode, directory, mode);
    inode_init_tables(inode, &tmpfs_tables, mode, rdev);
    if (inode_is_directory(inode)) {
        inode->links = 2;
        inode->size = EMPTY_DIRECTORY_BYTES;
    }
    *inode_out = inode;
    return 0;
}

/* The last reference: no name of it is left, no open file and no dentry. */
static void tmpfs_inode_release(struct inode *inode)
{
    struct tmpfs_node *node = tmpfs_node_of(inode);

    memory_symlink_release(inode);
    memory_xattr_free_all(&node->xattrs);
    __atomic_fetch_sub(&tmpfs_of(inode)->inodes, 1, __ATOMIC_RELAXED);
    memory_names_drain(&tmpfs_of(inode)->drain, &node->names); /* frees the node */
}

/* ---- Instances ---- */

/* Where there is no limit, no blocks are told of, and no files: as on Linux. */
static int tmpfs_statistics(struct file_system *file_system, struct statistics *statistics_out)
{
    struct tmpfs *tmpfs = file_system->private_data;
    u64 pages = READ_ONCE(tmpfs->pages), inodes = READ_ONCE(tmpfs->inodes);

    *statistics_out = (struct statistics){
        .type = TMPFS_MAGIC,
        .block_bytes = PAGE_SIZE,
        .blocks = tmpfs->pages_max,
        .blocks_free = tmpfs->pages_max > pages ? tmpfs->pages_max - pages : 0,
        .files = tmpfs->inodes_max,
        .files_free = tmpfs->inodes_max > inodes ? tmpfs->inodes_max - inodes : 0,
        .name_max = NAME_MAX_BYTES,
    };
    statistics_out->blocks_available = statistics_out->blocks_free;
    return 0;
}

int memory_size_parse(char *text, u64 *bytes_out)
{
    size_t length = strlen(text);
    char unit = length ? text[length - 1] | 0x20 : '\0';
    u32 shift = unit == 'k' ? 10 : unit == 'm' ? 20 : unit == 'g' ? 30 : 0;
    bool percent = length && text[length - 1] == '%';

    if (shift || percent)
        text[length - 1] = '\0';
    if (string_to_u64(text, bytes_out))
        return -EINVAL;
    if (percent)
        *bytes_out = frames_total_count() * PAGE_SIZE / 100 * *bytes_out;
    if (*bytes_out > U64_MAX >> shift)
        return -EINVAL;
    *bytes_out <<= shift;
    return 0;
}

/* Those of size and nr_inodes that are among the options (tmpfs(5)). -EINVAL. */
static int limits_parse(struct tmpfs *tmpfs, const char *options)
{
    char value[32];
    u64 number;

    if (mount_option_find(options, "size", value, sizeof(value))) {
        if (memory_size_parse(value, &number))
            return -EINVAL;
        tmpfs->pages_max = DIV_ROUND_UP(number, PAGE_SIZE);
    }
    if (mount_option_find(options, "nr_inodes", value, sizeof(value))) {
        if (memory_size_parse(value, &number))
            return -EINVAL;
        tmpfs->inodes_max = number;
    }
    return 0;
}

/* mode, uid and gid are the root's, and count at the first mount alone. */
static int root_create(struct file_system *file_system, const char *options)
{
    struct tmpfs *tmpfs = file_system->private_data;
    struct inode *inode;
    int error = mount_option_number(options, "mode", 8, &tmpfs->mode);

    tmpfs->mode &= MODE_BITS;
    if (!error)
        error = mount_option_number(options, "uid", 10, &tmpfs->uid);
    if (!error)
        error = mount_option_number(options, "gid", 10, &tmpfs->gid);
    if (!error)
        error = tmpfs_inode_create(file_system, NULL, S_IFDIR | tmpfs->mode, 0, &inode);
    if (error)
        return error;
    inode->uid = tmpfs->uid;
    inode->gid = tmpfs->gid;
    file_system->root = dentry_create_root(inode);
    if (file_system->root)
        return 0;
    inode_put(inode);
    return -ENOMEM;
}

/*
 * -EINVAL: less room than the files have already. Fewer inodes than there are is no error: no new
 * one is made until enough have gone.
 */
static int tmpfs_remount(struct file_system *file_system, const struct mount_source *source)
{
    struct tmpfs *tmpfs = file_system->private_data, wanted = *tmpfs;
    int error = limits_parse(&wanted, source->options);

    if (error)
        return error;
    if (wanted.pages_max && wanted.pages_max < READ_ONCE(tmpfs->pages))
        return -EINVAL;
    WRITE_ONCE(tmpfs->pages_max, wanted.pages_max);
    WRITE_ONCE(tmpfs->inodes_max, wanted.inodes_max);
    return 0;
}

/* What is not as it is without options. */
static void tmpfs_show_options(struct file_system *file_system, char *buffer, size_t size)
{
    struct tmpfs *tmpfs = file_system->private_data;
    const struct {
        const char *name;
        u64 value, usual;
    } options[] = {
        {"nr_inodes", READ_ONCE(tmpfs->inodes_max), limit_usual()},
        {"uid", tmpfs->uid, 0},
        {"gid", tmpfs->gid, 0},
    };
    int used = 0;

    buffer[0] = '\0';
    if (READ_ONCE(tmpfs->pages_max) != limit_usual())
        used = format_text_clipped(buffer, size, ",size=%luk",
                                   READ_ONCE(tmpfs->pages_max) * (PAGE_SIZE / 1024));
    if (tmpfs->mode != MODE_USUAL)
        used += format_text_clipped(buffer + used, size - (size_t)used, ",mode=%03o", tmpfs->mode);
    for (size_t i = 0; i < ARRAY_SIZE(options); i++) {
        if (options[i].value != options[i].usual)
            used += format_text_clipped(buffer + used, size - (size_t)used, ",%s=%lu",
                                        options[i].name, options[i].value);
    }
}

static void tmpfs_unmount(struct file_system *file_system)
{
    kfree(file_system->private_data);
}

static const struct file_system_operations tmpfs_operations = {
    .inode_release = tmpfs_inode_release,
    .statistics = tmpfs_statistics,
    .remount = tmpfs_remount,
    .show_options = tmpfs_show_options,
    .unmount = tmpfs_unmount,
};

static int tmpfs_mount(const struct file_system_type *type, const struct mount_source *source,
                       struct file_system **file_system_out)
{
    struct file_system *file_system = file_system_alloc(type, &tmpfs_operations, TMPFS_MAGIC);
    struct tmpfs *tmpfs = kmalloc(sizeof(*tmpfs), ALLOC_CLEARED);
    int error = -ENOMEM;

    if (!file_system || !tmpfs)
        goto free_both;
    file_system->private_data = tmpfs;
    memory_drain_init(&tmpfs->drain);
    tmpfs->pages_max = limit_usual();
    tmpfs->inodes_max = limit_usual();
    tmpfs->mode = MODE_USUAL;
    error = limits_parse(tmpfs, source->options);
    if (!error)
        error = root_create(file_system, source->options);
    if (error) {
        file_system_put(file_system);
        return error;
    }
    *file_system_out = file_system;
    return 0;

free_both:
    kfree(tmpfs);
    kfree(file_system);
    return error;
}

static const char *const tmpfs_options[] = {"size", "nr_inodes", "mode",    "uid",
                                            "gid",  "inode32",   "inode64", NULL};

static struct file_system_type tmpfs_type = {
    .name = "tmpfs",
    .options = tmpfs_options,
    .flags = FILE_SYSTEM_NO_DEVICE | FILE_SYSTEM_ACCESS_LISTS,
    .mount = tmpfs_mount,
};

void tmpfs_init(void)
{
    file_system_register(&tmpfs_type);
}
