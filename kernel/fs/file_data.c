/*
 * What calls do with a file's data beside reading and writing: copying between files, reserving,
 * syncing, listing.
 */
#include <pith/file_calls.h>

#include "file.h"
#include "inode_internal.h"
#include "mount.h"
#include "notify.h"

#define COPY_CHUNK PAGE_SIZE

/* ---- Copying between files: through a page of the kernel's ---- */

/* Reads one chunk. */
static ssize_t chunk_read(struct file *from, void *page, u64 bytes, u64 *offset)
{
    struct io_segment segment;
    struct io_buffer io;

    io_buffer_init_kernel(&io, &segment, page, bytes);
    return file_read(from, &io, offset);
}

/* Writes it all, or says how much went. */
static ssize_t chunk_write(struct file *to, const void *page, u64 bytes, u64 *offset)
{
    struct io_segment segment;
    struct io_buffer io;
    u64 done = 0;

    while (done < bytes) {
        ssize_t written;

        io_buffer_init_kernel(&io, &segment, (const char *)page + done, bytes - done);
        written = file_write(to, &io, offset);
        if (written <= 0)
            return done ? (ssize_t)done : written;
        done += (u64)written;
    }
    return (ssize_t)done;
}

static ssize_t copy_chunks(struct file *from, u64 *from_offset, struct file *to, u64 *to_offset,
                           u64 bytes, void *page)
{
    u64 done = 0;
    ssize_t result = 0;

    while (done < bytes) {
        u64 before = *from_offset;
        ssize_t got = chunk_read(from, page, MIN(bytes - done, COPY_CHUNK), from_offset);

        result = got;
        if (got <= 0)
            break;
        result = chunk_write(to, page, (u64)got, to_offset);
        if (result < got) /* what was read and not written is read again by the next call */
            *from_offset = before + (result > 0 ? (u64)result : 0);
        if (result <= 0)
            break;
        done += (u64)result;
        if (result < got || got < (ssize_t)COPY_CHUNK)
            break;
        sched_point();
    }
    return done ? (ssize_t)done : result;
}

ssize_t file_copy_between(struct file *from, u64 *from_offset, struct file *to, u64 *to_offset,
                          u64 bytes, u32 nonblock)
{
    struct frame *frame = frame_alloc(0, FRAME_KERNEL, 0);
    ssize_t result;

    if (!frame)
        return -ENOMEM;
    if (!from_offset)
        mutex_lock(&from->offset_lock);
    if (!to_offset && (from_offset || from != to))
        mutex_lock(&to->offset_lock);
    result = copy_chunks(from, from_offset ? from_offset : &from->offset, to,
                         to_offset ? to_offset : &to->offset, MIN(bytes, IO_BYTES_MAX),
                         frame_data(frame));
    if (!to_offset && (from_offset || from != to))
        mutex_unlock(&to->offset_lock);
    if (!from_offset)
        mutex_unlock(&from->offset_lock);
    frame_put(frame);
    return result;
}

/* ---- fallocate, fsync, readahead ---- */

int file_allocate(struct file *file, int mode, s64 offset, s64 bytes)
{
    s64 end;
    int error;

    if (offset < 0 || bytes <= 0)
        return -EINVAL;
    if (mode & ~(FALLOC_FL_KEEP_SIZE | FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        return -EOPNOTSUPP;
    if ((mode & FALLOC_FL_PUNCH_HOLE) &&
        ((mode & FALLOC_FL_ZERO_RANGE) || !(mode & FALLOC_FL_KEEP_SIZE)))
        return -EOPNOTSUPP;
    if (!(file->mode & FILE_WRITE))
        return -EBADF;
    if ((file->inode->mode & S_IFMT) == S_IFIFO)
        return -ESPIPE;
    if (inode_is_directory(file->inode))
        return -EISDIR;
    if (!inode_is_regular(file->inode))
        return -ENODEV;
    if (__builtin_add_overflow(offset, bytes, &end) ||
        (u64)end > file->inode->file_system->size_max)
        return -EFBIG;
    if (!file->operations->allocate)
        return -EOPNOTSUPP;
    error = file->operations->allocate(file, mode, (u64)offset, (u64)bytes);
    if (!error)
        notify_file(file, IN_MODIFY);
    return error;
}

int file_sync(struct file *file, int data_only)
{
    if (file->operations->sync)
        return file->operations->sync(file, data_only);
    return inode_is_regular(file->inode) || inode_is_directory(file->inode) ? 0 : -EINVAL;
}

void file_read_ahead(struct file *file, u64 offset, u64 bytes)
{
    u64 index = offset / PAGE_SIZE, end = DIV_ROUND_UP(offset + bytes, PAGE_SIZE);

    end = MIN(end, DIV_ROUND_UP(READ_ONCE(file->inode->size), PAGE_SIZE));
    while (index < end) {
        u32 count = (u32)MIN(end - index, 32ul);
        struct frame *frame;

        if (page_cache_get_pages(file->inode, index, count - 1, &frame))
            return;
        frame_put(frame);
        index += count;
    }
}

int file_iterate(struct file *file, struct directory_sink *sink)
{
    struct inode *inode = file->inode;
    int error;

    if (!file->operations->iterate)
        return -ENOTDIR;
    mutex_lock(&file->offset_lock);
    error = mutex_lock_killable(&inode->lock);
    if (!error) {
        error = inode->links ? file->operations->iterate(file, sink) : -ENOENT;
        mutex_unlock(&inode->lock);
        file_accessed(file);
    }
    mutex_unlock(&file->offset_lock);
    if (!error)
        notify_file(file, IN_ACCESS);
    return error;
}
