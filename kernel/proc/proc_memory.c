/*
 * /proc/PID's files about what exec laid out (cmdline, environ, auxv, exe), and the memory itself.
 *
 * Arguments and environment are the program's own memory, which it may change to be seen under
 * another name (PR_SET_MM too): they are read from there each time. mem is that memory as a file,
 * the offset being the address.
 *
 * A file of another process that is kept open must not show its next program, which may have more
 * rights: mem asks for each read whether the program is the one that it was opened for
 * (proc_file_is_current), after it has taken the address space that it will use. If exec came in
 * between, the space may be the new one's, and nothing is read.
 *
 * Locking: none; a reference keeps the space. Context: sleeps (faults in another's memory).
 */
#include "proc_files.h"

#define STRINGS_MAX (1ul << 20) /* of the arguments or the environment that are shown */

/* ---- What exec laid out ---- */

/* Copies a part of another process's memory into the text. */
static int show_bytes(struct text_sink *sink, struct address_space *space, u64 start, u64 end)
{
    u64 left = end > start ? MIN(end - start, STRINGS_MAX) : 0;
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

/* Up to AT_NULL and with it; what lies behind is no entry. */
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

/* The space keeps the file, also when its name is gone. */
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

/* ---- mem ---- */

typedef size_t memory_step(struct address_space *space, struct io_buffer *io, u64 address,
                           void *page, size_t bytes);

static size_t memory_read_step(struct address_space *space, struct io_buffer *io, u64 address,
                               void *page, size_t bytes)
{
    return io_copy_to(io, page, address_space_read(space, address, page, bytes));
}

static size_t memory_write_step(struct address_space *space, struct io_buffer *io, u64 address,
                                void *page, size_t bytes)
{
    return address_space_write(space, address, page, io_copy_from(io, page, bytes));
}

/* The file's offset is the address. -EIO: nothing can be accessed there. */
static ssize_t memory_access(struct file *file, struct io_buffer *io, u64 *offset,
                             memory_step *step)
{
    struct address_space *space = process_space(proc_inode_object(file->inode));
    bool is_current = proc_file_is_current(file); /* if not, `space` may be another program's */
    void *page = space ? kmalloc(PAGE_SIZE, 0) : NULL;
    ssize_t done = 0;

    while (page && io->bytes_left && is_current) {
        size_t wanted = MIN(io->bytes_left, PAGE_SIZE - *offset % PAGE_SIZE);
        size_t copied = step(space, io, *offset, page, wanted);

        *offset += copied;
        done += (ssize_t)copied;
        if (copied < wanted) {
            done = done ? done : -EIO;
            break;
        }
        if (sched_point_killable())
            break;
    }
    if (space && !page)
        done = -ENOMEM;
    kfree(page);
    if (space)
        address_space_put(space);
    return done;
}

static ssize_t memory_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    return memory_access(file, io, offset, memory_read_step);
}

static ssize_t memory_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    return memory_access(file, io, offset, memory_write_step);
}

/* Any address may be sought, also those that are negative as an s64; there is no end. */
static s64 memory_seek(struct file *file, s64 offset, int whence)
{
    if (whence == SEEK_CUR)
        offset += (s64)file->offset;
    else if (whence != SEEK_SET)
        return -EINVAL;
    file->offset = (u64)offset;
    return offset;
}

const struct file_operations proc_memory_operations = {
    .open = proc_open_guarded,
    .read = memory_read,
    .write = memory_write,
    .seek = memory_seek,
};
