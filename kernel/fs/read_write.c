/* Reading and writing open files of any kind: what is checked before the file's own operation. */
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

ssize_t file_read_kernel(struct file *file, void *to, size_t bytes, u64 offset)
{
    struct io_segment segment;
    struct io_buffer io;
    size_t done = 0;

    if (!file->operations->read)
        return inode_is_directory(file->inode) ? -EISDIR : -EINVAL;
    while (done < bytes) {
        ssize_t count;

        io_buffer_init_kernel(&io, &segment, (char *)to + done, bytes - done);
        count = file->operations->read(file, &io, &offset);
        if (count < 0)
            return count;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (ssize_t)done;
}

ssize_t file_write_kernel(struct file *file, const void *from, size_t bytes, u64 offset)
{
    struct io_segment segment;
    struct io_buffer io;
    size_t done = 0;

    if (!file->operations->write)
        return -EINVAL;
    while (done < bytes) {
        ssize_t count;

        io_buffer_init_kernel(&io, &segment, (const char *)from + done, bytes - done);
        count = file->operations->write(file, &io, &offset);
        if (count < 0)
            return count;
        if (count == 0)
            break;
        done += (size_t)count;
    }
    return (ssize_t)done;
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
    mutex_lock(&file->offset_lock);
    if (file->operations->seek)
        result = file->operations->seek(file, offset, whence);
    else
        result = file_seek_common(file, offset, whence, (s64)READ_ONCE(file->inode->size));
    mutex_unlock(&file->offset_lock);
    return result;
}
