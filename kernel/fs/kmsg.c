/*
 * /dev/kmsg: the kernel's log, a line a read, as dmesg(1) wants it: "6,number,microseconds,-;text".
 *
 *     log ring:  | line | line | line |
 *                                ^ file->offset: where the next read begins; the record's number is
 *                                  where the line ends
 *
 * A position that the ring has lost is moved on by log_read to what is left. Text that is written
 * becomes lines of the log.
 *
 * Everybody logs, whatever locks he holds. So a line wakes nobody itself: it schedules deferred
 * work, and only once somebody has waited. is_watched is set before the log is looked at, so that a
 * line that comes after the look wakes:
 *
 *     reader: is_watched = true; is there a line?        logger: line is in; is_watched?
 *
 * Locking: file.offset_lock (by read(2)'s caller) for the offset; kmsg.queue.lock to wait.
 * Context: reading sleeps; the sink runs under the log's lock, also in interrupts.
 */
#include "device.h"

#define RECORD_HEAD_MOST 256u /* what stands before the text, and more */
#define LOG_LINE_MOST    1024u

/* The line at *position, without its newline; its length, or 0: there is none (yet). */
static size_t log_line_at(u64 *position, char *line, size_t size)
{
    u64 start = *position;
    size_t bytes = log_read(position, line, size - 1);
    char *end;

    line[bytes] = '\0';
    end = strchr(line, '\n');
    if (!end)
        return bytes;
    *end = '\0';
    *position = *position - bytes + (u64)(end - line) + 1;
    if (*position <= start)
        *position = start + (u64)(end - line) + 1;
    return (size_t)(end - line);
}

/* "[    1.234567] text" -> microseconds, and where the text begins. */
static const char *log_line_parse(const char *line, u64 *microseconds_out)
{
    u64 value = 0;

    *microseconds_out = 0;
    if (*line != '[')
        return line;
    for (line++; *line && *line != ']'; line++)
        if (*line >= '0' && *line <= '9')
            value = value * 10 + (u64)(*line - '0');
    *microseconds_out = value;
    return *line == ']' && line[1] == ' ' ? line + 2 : line;
}

static struct {
    struct wait_queue queue;
    bool is_watched; /* [atomic] somebody waited, once: from then on each line wakes */
} kmsg;

static void kmsg_wake(struct deferred *work)
{
    wait_queue_wake(&kmsg.queue, WAKE_ALL, POLL_READABLE);
}

static struct deferred kmsg_work = DEFERRED_INIT(kmsg_wake);

static void kmsg_sink(const char *line, size_t bytes)
{
    if (READ_ONCE(kmsg.is_watched) && !cpu_current()->in_nmi)
        deferred_schedule(&kmsg_work);
}

static bool kmsg_has_line(const struct file *file)
{
    return log_position_end() > file->offset;
}

static int kmsg_wait(const struct file *file)
{
    int error = 0;

    __atomic_store_n(&kmsg.is_watched, true, __ATOMIC_SEQ_CST);
    spin_lock(&kmsg.queue.lock);
    while (!kmsg_has_line(file) && !error)
        error = wait_queue_wait(&kmsg.queue, WAIT_INTERRUPTIBLE, WAIT_FOR_FILE);
    spin_unlock(&kmsg.queue.lock);
    return error ? -ERESTARTSYS : 0;
}

static u32 kmsg_poll(struct file *file, struct poll_table *table)
{
    __atomic_store_n(&kmsg.is_watched, true, __ATOMIC_SEQ_CST);
    poll_wait(table, &kmsg.queue);
    return POLL_WRITABLE | (kmsg_has_line(file) ? POLL_READABLE : 0);
}

static ssize_t kmsg_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    char line[LOG_LINE_MOST], record[LOG_LINE_MOST + RECORD_HEAD_MOST];
    const char *text;
    u64 microseconds;
    int bytes, error = 0;

    while (!log_line_at(&file->offset, line, sizeof(line)) && !error)
        error = file->flags & O_NONBLOCK ? -EAGAIN : kmsg_wait(file);
    if (error)
        return error;
    text = log_line_parse(line, &microseconds);
    bytes = format_text_clipped(record, sizeof(record), "6,%lu,%lu,-;%s\n", file->offset,
                                microseconds, text);
    if ((u64)bytes > io->bytes_left)
        return -EINVAL;
    return io_copy_to(io, record, (size_t)bytes) == (size_t)bytes ? bytes : -EFAULT;
}

/* Each line becomes one of the log's. What is longer than a chunk is a short write. */
static ssize_t kmsg_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    char chunk[LOG_LINE_MOST], *line = chunk;
    size_t bytes = io_copy_from(io, chunk, MIN(io->bytes_left, sizeof(chunk) - 1));

    if (!bytes)
        return io->bytes_left ? -EFAULT : 0;
    chunk[bytes] = '\0';
    while (*line) {
        char *end = strchr(line, '\n');

        if (end)
            *end = '\0';
        log_info("%s", line);
        if (!end)
            break;
        line = end + 1;
    }
    return (ssize_t)bytes;
}

static s64 kmsg_seek(struct file *file, s64 offset, int whence)
{
    if (offset)
        return -ESPIPE;
    file->offset = whence == SEEK_END ? log_position_end() : 0;
    return 0;
}

const struct file_operations kmsg_operations = {
    .read = kmsg_read, .write = kmsg_write, .poll = kmsg_poll, .seek = kmsg_seek};

void kmsg_init(void)
{
    wait_queue_init(&kmsg.queue);
    log_sink_register(kmsg_sink, LOG_DEBUG);
}
