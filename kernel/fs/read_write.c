/*
 * Reading and writing open files of any kind: what is checked before the file's own operation.
 *
 * Rights were asked when the file was opened; here only its mode counts. An operation gets the
 * offset as a pointer, so that read(2) can give the file's own (its lock held by the caller, unless
 * nobody shares the file) and pread(2) one of its own. Whoever is watched (inotify) or counted
 * (/proc/PID/io) is told once, here, for all kinds of files.
 */
#include <pith/fs.h>

#include "inode_internal.h"
#include "notify.h"
#include "open.h"

const struct file_operations path_only_operations = {.flags = 0};

ssize_t file_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct io_counts *counts;
    ssize_t done;

    if (unlikely(!(file->mode & FILE_READ)))
        return -EBADF;
    if (unlikely(!file->operations->read))
        return inode_is_directory(file->inode) ? -EISDIR : -EINVAL;
    done = file->operations->read(file, io, offset);
    counts = &thread_current()->io;
    counts->reads++;
    if (done > 0) {
        counts->bytes_read += (u64)done;
        notify_file(file, IN_ACCESS);
    }
    return done;
}

ssize_t file_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct io_counts *counts;
    ssize_t done;

    if (unlikely(!(file->mode & FILE_WRITE)))
        return -EBADF;
    if (unlikely(!file->operations->write))
        return -EINVAL;
    done = file->operations->write(file, io, offset);
    counts = &thread_current()->io;
    counts->writes++;
    if (done > 0) {
        counts->bytes_written += (u64)done;
        notify_file(file, IN_MODIFY);
    }
    return done;
}

/* Moves all bytes between the file and kernel memory by `move`, its read or write operation. */
static ssize_t move_kernel(struct file *file, const void *memory, size_t bytes, u64 offset,
                           ssize_t (*move)(struct file *, struct io_buffer *, u64 *))
{
    struct io_segment segment;
    struct io_buffer io;
    size_t done = 0;

    while (done < bytes) {
        ssize_t count;

        io_buffer_init_kernel(&io, &segment, (const char *)memory + done, bytes - done);
        count = move(file, &io, &offset);
        if (count < 0)
            return count;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (ssize_t)done;
}

ssize_t file_read_kernel(struct file *file, void *to, size_t bytes, u64 offset)
{
    if (!file->operations->read)
        return inode_is_directory(file->inode) ? -EISDIR : -EINVAL;
    return move_kernel(file, to, bytes, offset, file->operations->read);
}

ssize_t file_write_kernel(struct file *file, const void *from, size_t bytes, u64 offset)
{
    if (!file->operations->write)
        return -EINVAL;
    return move_kernel(file, from, bytes, offset, file->operations->write);
}

s64 file_seek_common(struct file *file, s64 offset, int whence, s64 end)
{
    s64 position;

    switch (whence) {
    case SEEK_SET:
        position = offset;
        break;
    case SEEK_CUR:
        position = (s64)file->offset + offset;
        break;
    case SEEK_END:
        position = end + offset;
        break;
    case SEEK_DATA: /* everything up to the end is data */
    case SEEK_HOLE:
        if (offset < 0 || offset >= end)
            return -ENXIO;
        position = whence == SEEK_DATA ? offset : end;
        break;
    default:
        return -EINVAL;
    }
    if (position < 0)
        return -EINVAL;
    file->offset = (u64)position;
    return position;
}

s64 file_seek(struct file *file, s64 offset, int whence)
{
    s64 result;

    if (file->operations->flags & FILE_OPERATIONS_NO_SEEK)
        return 0;
    if (file->operations->flags & FILE_OPERATIONS_STREAM)
        return -ESPIPE;
    result = mutex_lock_killable(&file->offset_lock);
    if (result)
        return result;
    if (file->operations->seek)
        result = file->operations->seek(file, offset, whence);
    else
        result = file_seek_common(file, offset, whence, (s64)READ_ONCE(file->inode->size));
    mutex_unlock(&file->offset_lock);
    return result;
}
