/*
 * /proc's files: their text is made when they are read from the beginning, and kept with the open
 * file, so that a reader who goes on in pieces sees one moment.
 *
 * A text whose length the caller of mmap(2) decides (`show_records`) is made in pieces of as many
 * records as a page holds, each when a read comes to it: who wants the first line does not pay for,
 * and memory does not hold, what ten thousand regions have to say.
 *
 *     0            start                 start + sink.bytes
 *     | forgotten  | the piece: sink     | not made yet: from `cursor` on, TEXT_END: nothing
 *
 * A read before the piece begins at 0 again; one behind it makes and forgets what lies between. As
 * on Linux a read gives what is left of one piece and at most one piece more, so a reader with a
 * page of room gets whole records, and there are programs that take a shorter read for the end.
 */
#include "procfs.h"

#define SINK_FIRST 1024u
#define SINK_MOST  (4ul << 20)
#define PIECE_MOST PAGE_SIZE
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

bool text_end_record(struct text_sink *sink)
{
    bool fits = sink->bytes < PIECE_MOST || sink->whole_bytes == 0;

    if (!fits)
        sink->bytes = sink->whole_bytes;
    sink->whole_bytes = sink->bytes;
    return fits && !sink->error;
}

void text_cpu_list(struct text_sink *sink, u64 set)
{
    const char *comma = "";

    for (u32 first = 0; first < CPUS_MAX; first++) {
        u32 last = first;

        if (!(set & BIT(first)))
            continue;
        while (last + 1 < CPUS_MAX && (set & BIT(last + 1)))
            last++;
        text_print(sink, first == last ? "%s%u" : "%s%u-%u", comma, first, last);
        comma = ",";
        first = last;
    }
    text_print(sink, "\n");
}

/* ---- Files ---- */

/* All but the lock and what is [const] is guarded by it. */
struct proc_text {
    u64 generation;        /* [const] when it was opened */
    struct mutex lock;     /* LOCK_PROC_TEXT */
    struct text_sink sink; /* the piece that was made last */
    u64 start;             /* its place in the file */
    u64 cursor;            /* where the next one begins, for `show_records` */
};

/* Makes the one piece of a `show_opened` text. */
static int text_make_opened(struct proc_text *text, const struct proc_node *node)
{
    int error = node->entry->show_opened(&text->sink, node->object);

    text->cursor = TEXT_END;
    if (proc_node_generation(node) != text->generation)
        text->sink.bytes = 0;
    return error ? error : text->sink.error;
}

static int text_open(struct inode *inode, struct file *file)
{
    const struct proc_node *node = proc_node_of(inode);
    int error = proc_open_guarded(inode, file);
    struct proc_text *text;

    if (error)
        return error;
    text = kmalloc(sizeof(*text), ALLOC_CLEARED);
    if (!text)
        return -ENOMEM;
    text->generation = (u64)file->private_data;
    mutex_init(&text->lock, LOCK_PROC_TEXT);
    if (node->entry->show_opened)
        error = text_make_opened(text, node);
    if (error) {
        kfree(text->sink.data);
        kfree(text);
        return error;
    }
    file->private_data = text;
    return 0;
}

static void text_release(struct file *file)
{
    struct proc_text *text = file->private_data;

    kfree(text->sink.data);
    kfree(text);
}

static void text_rewind(struct proc_text *text)
{
    text->start = 0;
    text->cursor = 0;
    text->sink.bytes = 0;
}

/* Makes the next piece in the place of the last. For a text without records that is all of it. */
static int piece_make(struct proc_text *text, const struct proc_node *node)
{
    const struct proc_entry *entry = node->entry;
    int error = proc_node_permits(node, PROC_GUARD_READ);

    if (error)
        return error;
    text->start += text->sink.bytes;
    text->sink.bytes = 0;
    text->sink.whole_bytes = 0;
    text->sink.error = 0;
    if (entry->show_records) {
        error = entry->show_records(&text->sink, node->object, &text->cursor);
    } else {
        text->cursor = TEXT_END;
        error = entry->show_keyed ? entry->show_keyed(&text->sink, node->object, node->key)
                                  : entry->show(&text->sink, node->object);
    }
    if (proc_node_generation(node) != text->generation) {
        text->sink.bytes = 0;
        text->cursor = TEXT_END;
    }
    return error ? error : text->sink.error;
}

/* Whether the byte at `offset` is in the piece that is there. */
static bool piece_has(const struct proc_text *text, u64 offset)
{
    return offset >= text->start && offset < text->start + text->sink.bytes;
}

/* Makes pieces until one has the byte at `offset`, or the text ends before it. */
static int piece_find(struct proc_text *text, const struct proc_node *node, u64 offset)
{
    if ((offset == 0 || offset < text->start) && !node->entry->show_opened)
        text_rewind(text);
    while (!piece_has(text, offset) && text->cursor != TEXT_END) {
        int error = piece_make(text, node);

        if (!error)
            error = sched_point_killable();
        if (error) {
            text_rewind(text);
            return error;
        }
    }
    return 0;
}

static ssize_t text_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    const struct proc_node *node = proc_node_of(file->inode);
    struct proc_text *text = file->private_data;
    bool is_last_piece = false;
    ssize_t done = 0;
    int error = 0;

    if (!node->entry->show && !node->entry->show_opened && !node->entry->show_keyed &&
        !node->entry->show_records)
        return -EINVAL;
    mutex_lock(&text->lock);
    while (io->bytes_left && !is_last_piece && !error) {
        size_t within, copied;

        is_last_piece = *offset == 0 || !piece_has(text, *offset);
        error = piece_find(text, node, *offset);
        if (error || !piece_has(text, *offset))
            break;
        within = *offset - text->start;
        copied = io_copy_to(io, text->sink.data + within,
                            MIN(text->sink.bytes - within, io->bytes_left));
        *offset += copied;
        done += copied;
        error = copied ? 0 : -EFAULT;
    }
    mutex_unlock(&text->lock);
    return done ? done : error;
}

/* Each write(2) is one store: what does not fit in a page is a short write. */
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
