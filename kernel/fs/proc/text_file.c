/*
 * /proc's files: their text is made whole when they are read from the beginning, and kept with the
 * open file, so that a reader who goes on in pieces sees one moment.
 */
#include "procfs.h"

#define SINK_FIRST 1024u
#define SINK_MOST  (4ul << 20)
#define STORE_MOST PAGE_SIZE

/* ---- Sinks ---- */

/* Makes room for `more` bytes behind what is there. */
static bool sink_grow(struct text_sink *sink, size_t more)
{
    size_t capacity = sink->capacity ? sink->capacity : SINK_FIRST;
    char *data;

    while (capacity < sink->bytes + more)
        capacity *= 2;
    if (capacity == sink->capacity)
        return true;
    data = capacity <= SINK_MOST ? kmalloc(capacity, 0) : NULL;
    if (!data) {
        sink->error = -ENOMEM;
        return false;
    }
    memcpy(data, sink->data, sink->bytes);
    kfree(sink->data);
    sink->data = data;
    sink->capacity = capacity;
    return true;
}

void text_bytes(struct text_sink *sink, const void *bytes, size_t count)
{
    if (sink->error || !sink_grow(sink, count))
        return;
    memcpy(sink->data + sink->bytes, bytes, count);
    sink->bytes += count;
}

void text_print(struct text_sink *sink, const char *format, ...)
{
    va_list arguments;
    int bytes;

    if (sink->error || !sink_grow(sink, 1))
        return;
    for (u32 attempt = 0; attempt < 2; attempt++) {
        size_t room = sink->capacity - sink->bytes;

        va_start(arguments, format);
        bytes = format_text_list(sink->data + sink->bytes, room, format, arguments);
        va_end(arguments);
        if ((size_t)bytes < room)
            break;
        if (!sink_grow(sink, (size_t)bytes + 1))
            return;
    }
    sink->bytes += (size_t)bytes;
}

/* ---- Files ---- */

struct proc_text {
    struct mutex lock;     /* LOCK_PROC_TEXT */
    struct text_sink sink; /* guarded_by(&lock) */
};

static int text_open(struct inode *inode, struct file *file)
{
    int error = proc_open_guarded(inode, file);
    struct proc_text *text;

    if (error)
        return error;
    text = kmalloc(sizeof(*text), ALLOC_CLEARED);
    if (!text)
        return -ENOMEM;
    mutex_init(&text->lock, LOCK_PROC_TEXT);
    file->private_data = text;
    return 0;
}

static void text_release(struct file *file)
{
    struct proc_text *text = file->private_data;

    kfree(text->sink.data);
    kfree(text);
}

static int text_make(struct proc_text *text, const struct proc_node *node)
{
    int error = proc_node_permits(node, PROC_GUARD_READ);

    if (error)
        return error;
    text->sink.bytes = 0;
    text->sink.error = 0;
    if (node->entry->show_keyed)
        error = node->entry->show_keyed(&text->sink, node->object, node->key);
    else
        error = node->entry->show(&text->sink, node->object);
    return error ? error : text->sink.error;
}

static ssize_t text_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    const struct proc_node *node = proc_node_of(file->inode);
    struct proc_text *text = file->private_data;
    size_t wanted, copied;
    ssize_t result = 0;

    if (!node->entry->show && !node->entry->show_keyed)
        return -EINVAL;
    mutex_lock(&text->lock);
    if (*offset == 0 || !text->sink.data)
        result = text_make(text, node);
    if (!result && *offset < text->sink.bytes && io->bytes_left) {
        wanted = MIN(text->sink.bytes - *offset, io->bytes_left);
        copied = io_copy_to(io, text->sink.data + *offset, wanted);
        *offset += copied;
        result = copied ? (ssize_t)copied : -EFAULT;
    }
    mutex_unlock(&text->lock);
    return result;
}

static ssize_t text_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    const struct proc_node *node = proc_node_of(file->inode);
    size_t wanted = MIN(io->bytes_left, STORE_MOST - 1), copied;
    char *text;
    int error = proc_node_permits(node, PROC_GUARD_READ);

    if (error)
        return error;
    if (!node->entry->store)
        return -EINVAL;
    text = kmalloc(wanted + 1, 0);
    if (!text)
        return -ENOMEM;
    copied = io_copy_from(io, text, wanted);
    text[copied] = '\0';
    error = -EFAULT;
    if (copied == wanted)
        error = node->entry->store(node->object, text, copied);
    kfree(text);
    if (error)
        return error;
    *offset += copied;
    return (ssize_t)copied;
}

const struct file_operations proc_text_operations = {
    .open = text_open,
    .release = text_release,
    .read = text_read,
    .write = text_write,
};
