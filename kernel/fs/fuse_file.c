/*
 * Regular files and links of the host, and mounting it all.
 *
 * Reads and mappings go through the page cache, in runs of pages that one READ fills directly.
 * Writes are written through: a write(2) puts its bytes into the page cache and then sends the
 * pages that it touched, so that the host sees them when the call returns. What is written through
 * a mapping is sent by msync(2), or when the file is closed.
 *
 * Each open asks whether the file is still what we know: that is what lets names and attributes be
 * believed for long in between. The server needs no OPEN as long as nothing is writable; then it
 * answers ENOSYS once and is not asked again.
 *
 * A write ends with what the host has: a page that could not be sent stays dirty, and the error is
 * the write's, or that of whoever syncs next. A file that only we write to need not be asked for
 * between two of our writes; the next open asks.
 *
 * Locking: as of the page cache; a request is awaited with pages locked, never with a spinlock.
 */
#include <pith/fs.h>

#include "fuse.h"

#define FUSE_SUPER_MAGIC 0x65735546

/* ---- Pages ---- */

/* Reads a run of pages with one request. */
static int run_read(struct inode *inode, u64 first, u32 count, struct frame **frames)
{
    struct fuse_request *request = fuse_request_alloc(FUSE_READ, fuse_node_of(inode)->id);
    struct fuse_read_in question = {.offset = first * PAGE_SIZE, .size = count * PAGE_SIZE};
    struct virtio_piece pieces[FUSE_PAGES_MAX / 2];
    u32 came;
    int error;

    if (!request)
        return -ENOMEM;
    for (u32 i = 0; i < count; i++)
        pieces[i] = (struct virtio_piece){frame_address(frames[i]), PAGE_SIZE};
    fuse_request_add(request, &question, sizeof(question));
    request->pieces = pieces;
    request->piece_count = count;
    error = fuse_request_call(request);
    came = error ? 0 : request->written_bytes;
    fuse_request_free(request);
    thread_current()->io.device_pages_read += count;
    for (u32 i = 0; !error && i < count; i++) {
        u32 filled = MIN(came, PAGE_SIZE);

        memset((u8 *)frame_data(frames[i]) + filled, 0, PAGE_SIZE - filled);
        page_mark_uptodate(frames[i]);
        came -= filled;
    }
    return error;
}

static int fuse_read_pages(struct inode *inode, u64 first, u32 count, struct frame **frames)
{
    u32 most = MIN(fuse_server_of(inode)->max_pages, FUSE_PAGES_MAX / 2);

    for (u32 done = 0; done < count;) {
        u32 part = MIN(count - done, most);
        int error = run_read(inode, first + done, part, frames + done);

        if (error)
            return error;
        done += part;
    }
    return 0;
}

static int fuse_write_page(struct inode *inode, u64 index, struct frame *frame, u32 bytes)
{
    struct fuse_request *request = fuse_request_alloc(FUSE_WRITE, fuse_node_of(inode)->id);
    struct fuse_write_in question = {.offset = index * PAGE_SIZE, .size = bytes};
    struct virtio_piece piece = {frame_address(frame), bytes};
    struct fuse_write_out answer;
    int error;

    if (!request)
        return -ENOMEM;
    fuse_request_add(request, &question, sizeof(question));
    request->pieces = &piece;
    request->piece_count = 1;
    request->pieces_are_read = true;
    request->answer_bytes = sizeof(answer);
    error = fuse_request_call(request);
    if (!error) {
        memcpy(&answer, request->answer, sizeof(answer));
        error = request->answer_bytes == sizeof(answer) && answer.size == bytes ? 0 : -EIO;
    }
    fuse_request_free(request);
    __atomic_add_fetch(&fuse_node_of(inode)->writes, 1, __ATOMIC_RELEASE);
    return error;
}

const struct page_cache_operations fuse_page_operations = {
    .read = fuse_read_pages,
    .write = fuse_write_page,
};

/* ---- Open files ---- */

static int server_open(struct inode *inode, struct file *file)
{
    struct fuse_server *server = fuse_server_of(inode);
    struct fuse_open_in question = {.flags = file->flags & (O_ACCMODE | O_APPEND)};
    struct fuse_open_out answer;
    int error;

    if (!READ_ONCE(server->needs_open))
        return 0;
    error = fuse_call(FUSE_OPEN, fuse_node_of(inode)->id, &question, sizeof(question), &answer,
                      sizeof(answer));
    if (error != -ENOSYS)
        return error;
    WRITE_ONCE(server->needs_open, false);
    return 0;
}

static int file_open_host(struct inode *inode, struct file *file)
{
    int error = fuse_attributes_renew(inode);

    return error ? error : server_open(inode, file);
}

/* What was stored through mappings reaches the host at the latest when a descriptor is closed. */
static int file_flush_host(struct file *file)
{
    return file->mode & FILE_WRITE ? page_cache_sync(file->inode) : 0;
}

static void file_release_host(struct file *file)
{
    struct fuse_release_in question = {.flags = file->flags & O_ACCMODE};
    int error = 0;

    if (READ_ONCE(fuse_server_of(file->inode)->needs_open))
        error = fuse_call(FUSE_RELEASE, fuse_node_of(file->inode)->id, &question, sizeof(question),
                          NULL, 0);
    if (error)
        log_warning("host's files: a release failed: error %d", -error);
}

/*
 * Our own write is no change of the host's: what we know stays right until the next open asks,
 * which finds another time of modification and reads the pages anew.
 */
static ssize_t file_write_host(struct file *file, struct io_buffer *io, u64 *offset)
{
    ssize_t done = page_cache_file_write(file, io, offset);
    int error = done > 0 ? page_cache_sync(file->inode) : 0;

    WRITE_ONCE(fuse_node_of(file->inode)->valid_until_ns, U64_MAX);
    return error ? error : done;
}

static int file_sync_host(struct file *file, int data_only)
{
    struct fuse_fsync_in question = {.fsync_flags = data_only ? 1 : 0};
    int error = page_cache_sync(file->inode);

    if (error)
        return error;
    error =
        fuse_call(FUSE_FSYNC, fuse_node_of(file->inode)->id, &question, sizeof(question), NULL, 0);
    return error == -ENOSYS ? 0 : error;
}

/*
 * Zeros at the host and in memory. A page that is written back meanwhile may carry what it had in
 * the range to the host behind our request; who cleared it here has waited for that WRITE, sees
 * that there was one, and asks again.
 */
static int range_clear(struct inode *inode, const struct fuse_fallocate_in *question)
{
    u64 writes;
    int error;

    do {
        writes = fuse_writes(inode);
        error = fuse_call(FUSE_FALLOCATE, fuse_node_of(inode)->id, question, sizeof(*question),
                          NULL, 0);
        if (error)
            return error;
        page_cache_clear(inode, question->offset, question->offset + question->length);
    } while (fuse_writes(inode) != writes && !sched_point_killable());
    return 0;
}

static int allocate_locked(struct inode *inode, const struct fuse_fallocate_in *question)
{
    struct fuse_node *node = fuse_node_of(inode);
    int error = page_cache_sync(inode);

    if (error)
        return error;
    if (question->mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        error = range_clear(inode, question);
    else
        error = fuse_call(FUSE_FALLOCATE, node->id, question, sizeof(*question), NULL, 0);
    if (error)
        return error;
    WRITE_ONCE(node->valid_until_ns, 0);
    return fuse_attributes_refresh(inode);
}

static int file_allocate_host(struct file *file, int mode, u64 offset, u64 bytes)
{
    const struct fuse_fallocate_in question = {.offset = offset, .length = bytes, .mode = mode};
    struct inode *inode = file->inode;
    int error = mutex_lock_killable(&inode->lock);

    if (error)
        return error;
    error = allocate_locked(inode, &question);
    mutex_unlock(&inode->lock);
    return error;
}

const struct file_operations fuse_file_operations = {
    .open = file_open_host,
    .flush = file_flush_host,
    .release = file_release_host,
    .read = page_cache_file_read,
    .write = file_write_host,
    .map = page_cache_file_map,
    .sync = file_sync_host,
    .allocate = file_allocate_host,
};

/* ---- Links ---- */

/* Reads the target; it cannot change as long as the node is the same. */
static ssize_t fuse_readlink(struct inode *inode, char *buffer, size_t size)
{
    struct fuse_request *request = fuse_request_alloc(FUSE_READLINK, fuse_node_of(inode)->id);
    char *text = kmalloc(PATH_MAX_BYTES, 0);
    struct virtio_piece piece;
    ssize_t result = -ENOMEM;

    if (!request || !text)
        goto free_both;
    piece = (struct virtio_piece){virt_to_phys(text), PATH_MAX_BYTES - 1};
    request->pieces = &piece;
    request->piece_count = 1;
    result = fuse_request_call(request);
    if (result == 0) {
        result = MIN((size_t)request->written_bytes, size);
        memcpy(buffer, text, result);
    }
free_both:
    kfree(text);
    if (request)
        fuse_request_free(request);
    return result;
}

const struct inode_operations fuse_file_inode_operations = {
    .readlink = fuse_readlink,
    .get_attributes = fuse_get_attributes,
    .set_attributes = fuse_set_attributes,
    .get_xattr = fuse_get_xattr,
    .set_xattr = fuse_set_xattr,
    .list_xattr = fuse_list_xattr,
    .remove_xattr = fuse_remove_xattr,
};

/* ---- Mounting ---- */

static int fuse_statistics(struct file_system *file_system, struct statistics *statistics_out)
{
    struct fuse_statfs_out answer;
    int error = fuse_call(FUSE_STATFS, FUSE_ROOT_NODE, NULL, 0, &answer, sizeof(answer));

    if (error)
        return error;
    *statistics_out = (struct statistics){
        .type = FUSE_SUPER_MAGIC,
        .block_bytes = answer.st.bsize,
        .blocks = answer.st.blocks,
        .blocks_free = answer.st.bfree,
        .blocks_available = answer.st.bavail,
        .files = answer.st.files,
        .files_free = answer.st.ffree,
        .name_max = answer.st.namelen,
    };
    return 0;
}

static void fuse_unmount(struct file_system *file_system)
{
    kfree(file_system->private_data);
}

static const struct file_system_operations fuse_operations = {
    .inode_release = fuse_inode_release,
    .statistics = fuse_statistics,
    .unmount = fuse_unmount,
};

/* INIT: versions, and what both sides can do. */
static int server_greet(struct fuse_server *server)
{
    struct fuse_init_in question = {
        .major = FUSE_VERSION,
        .minor = FUSE_MINOR_VERSION,
        .max_readahead = FUSE_PAGES_MAX * PAGE_SIZE,
        .flags = FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES | FUSE_DO_READDIRPLUS |
                 FUSE_NO_OPEN_SUPPORT | FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES |
                 FUSE_NO_OPENDIR_SUPPORT | FUSE_EXPLICIT_INVAL_DATA | FUSE_INIT_EXT,
    };
    struct fuse_init_out answer;
    int error = fuse_call(FUSE_INIT, 0, &question, sizeof(question), &answer, sizeof(answer));

    if (error)
        return error;
    if (answer.major != FUSE_VERSION || !(answer.flags & FUSE_DO_READDIRPLUS))
        return -EPROTO;
    server->max_pages = answer.flags & FUSE_MAX_PAGES ? MAX(answer.max_pages, (u16)1) : 32;
    server->needs_open = true;
    return 0;
}

static int root_create(struct file_system *file_system)
{
    struct fuse_entry_out entry = {.nodeid = FUSE_ROOT_NODE};
    struct fuse_getattr_in question = {0};
    struct fuse_attr_out answer;
    struct inode *inode;
    int error = fuse_call(FUSE_GETATTR, FUSE_ROOT_NODE, &question, sizeof(question), &answer,
                          sizeof(answer));

    if (error)
        return error;
    entry.attr = answer.attr;
    entry.attr_valid = answer.attr_valid;
    entry.attr_valid_nsec = answer.attr_valid_nsec;
    if ((entry.attr.mode & S_IFMT) != S_IFDIR)
        return -EPROTO;
    error = fuse_inode_get(file_system, &entry, &inode);
    if (error)
        return error;
    file_system->root = dentry_create_root(inode);
    if (file_system->root)
        return 0;
    inode_put(inode);
    return -ENOMEM;
}

/* One device, so one instance: it is made by the first mount and stays. */
static struct {
    struct mutex lock;               /* LOCK_DEVICE */
    struct file_system *file_system; /* guarded_by(&lock) with a reference; NULL: not yet */
} instance;

static int instance_create(const struct file_system_type *type)
{
    struct file_system *file_system = file_system_alloc(type, &fuse_operations, FUSE_SUPER_MAGIC);
    struct fuse_server *server = kmalloc(sizeof(*server), ALLOC_CLEARED);
    int error = -ENOMEM;

    if (!file_system || !server) {
        kfree(server);
        kfree(file_system);
        return -ENOMEM;
    }
    radix_init(&server->nodes, &radix_slab_allocator);
    file_system->private_data = server;
    file_system->flags |= FILE_SYSTEM_STAYS;
    error = server_greet(server);
    if (!error)
        error = root_create(file_system);
    if (error) {
        file_system_put(file_system);
        return error;
    }
    instance.file_system = file_system;
    return 0;
}

static int fuse_mount(const struct file_system_type *type, const struct mount_source *source,
                      struct file_system **file_system_out)
{
    int error = 0;

    if (!fuse_device_exists(source->source))
        return -EINVAL;
    mutex_lock(&instance.lock);
    if (!instance.file_system)
        error = instance_create(type);
    if (!error) {
        file_system_get(instance.file_system);
        *file_system_out = instance.file_system;
    }
    mutex_unlock(&instance.lock);
    return error;
}

static struct file_system_type fuse_type = {
    .name = "virtiofs",
    .flags = FILE_SYSTEM_NO_DEVICE,
    .mount = fuse_mount,
};

void fuse_init(void)
{
    mutex_init(&instance.lock, LOCK_DEVICE);
    file_system_register(&fuse_type);
    fuse_device_init();
}
