/*
 * What calls do with a file's data beside reading and writing: reserving, syncing, listing (copying
 * between files: splice.c).
 *
 * Each checks what is the same for all files, in the order of its man page, then asks the file's
 * own operation; a file that has none gets what the page says of such files.
 *
 * Locking: a listing holds file.offset_lock, so that two threads share a directory's entries out
 *          between them, and the directory's inode.lock, so that names stay while they are copied.
 */
#include <pith/file_calls.h>

#include "file.h"
#include "inode_internal.h"
#include "mount.h"
#include "notify.h"

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
    error = mode & FALLOC_FL_KEEP_SIZE ? 0 : inode_check_size(file->inode, (u64)end);
    if (error)
        return error;
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
    error = mutex_lock_killable(&file->offset_lock);
    if (error)
        return error;
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
