/* The devices that need no hardware: null, zero, full, random, urandom, kmsg (null(4), random(4)).
 */
#include "device.h"

#define MAJOR_MEMORY  1u
#define CHUNK_BYTES   256u
#define LOG_LINE_MOST 1024u

static ssize_t null_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    return 0;
}

static ssize_t null_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    return (ssize_t)io->bytes_left;
}

/* A page at a time, so that a bad address costs at most that, and others run in between. */
static noinline ssize_t zero_read_pages(struct io_buffer *io)
{
    size_t done = 0;

    while (io->bytes_left) {
        size_t wanted = MIN(io->bytes_left, PAGE_SIZE);
        size_t cleared = io_clear(io, wanted);

        done += cleared;
        if (cleared < wanted)
            return done ? (ssize_t)done : -EFAULT;
        if (sched_point_killable())
            break;
    }
    return (ssize_t)done;
}

static ssize_t zero_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    size_t wanted = io->bytes_left;

    if (unlikely(wanted - 1 >= PAGE_SIZE)) /* 0 too */
        return zero_read_pages(io);
    return io_clear(io, wanted) == wanted ? (ssize_t)wanted : -EFAULT;
}

static ssize_t full_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    return io->bytes_left ? -ENOSPC : 0;
}

static ssize_t random_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    u8 chunk[CHUNK_BYTES];
    size_t done = 0;

    while (io->bytes_left) {
        size_t wanted = MIN(io->bytes_left, sizeof(chunk));
        size_t copied;

        random_bytes(chunk, wanted);
        copied = io_copy_to(io, chunk, wanted);
        done += copied;
        if (copied < wanted)
            return done ? (ssize_t)done : -EFAULT;
        if (sched_point_killable())
            break;
    }
    return (ssize_t)done;
}

static ssize_t random_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    u8 chunk[CHUNK_BYTES];
    size_t done = 0;

    while (io->bytes_left) {
        size_t copied = io_copy_from(io, chunk, sizeof(chunk));

        if (!copied)
            return done ? (ssize_t)done : -EFAULT;
        random_add_entropy(chunk, copied);
        done += copied;
        if (sched_point_killable())
            break;
    }
    return (ssize_t)done;
}

/* A mapping of /dev/zero is anonymous memory, private or shared as it asks. */
static int zero_map(struct file *file, struct map_request *request)
{
    request->pager = NULL;
    request->object = NULL;
    return 0;
}

/* ---- The kernel's log, a line a read, as dmesg(1) wants it: "6,number,microseconds,-;text" ----
 */

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

/* Everybody logs, whatever he holds: those who wait are woken later. log_lock is held. */
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

    __atomic_store_n(&kmsg.is_watched, true, __ATOMIC_SEQ_CST); /* before the look at the log */
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
    char line[LOG_LINE_MOST], record[LOG_LINE_MOST + CHUNK_BYTES];
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

static const struct file_operations null_operations = {
    .flags = FILE_OPERATIONS_NO_SEEK, .read = null_read, .write = null_write};
static const struct file_operations zero_operations = {
    .flags = FILE_OPERATIONS_NO_SEEK, .read = zero_read, .write = null_write, .map = zero_map};
static const struct file_operations full_operations = {
    .flags = FILE_OPERATIONS_NO_SEEK, .read = zero_read, .write = full_write};
static const struct file_operations random_operations = {
    .flags = FILE_OPERATIONS_NO_SEEK, .read = random_read, .write = random_write};
static const struct file_operations kmsg_operations = {
    .read = kmsg_read, .write = kmsg_write, .poll = kmsg_poll, .seek = kmsg_seek};

static const struct {
    u32 minor, mode;
    const char *name;
    const struct file_operations *operations;
} memory_devices[] = {
    {3, 0666, "null", &null_operations},      {5, 0666, "zero", &zero_operations},
    {7, 0666, "full", &full_operations},      {8, 0666, "random", &random_operations},
    {9, 0666, "urandom", &random_operations}, {11, 0644, "kmsg", &kmsg_operations},
};

void memory_devices_init(void)
{
    wait_queue_init(&kmsg.queue);
    log_sink_register(kmsg_sink, LOG_DEBUG);
    for (size_t i = 0; i < ARRAY_SIZE(memory_devices); i++)
        if (character_device_register(MAJOR_MEMORY, memory_devices[i].minor, 1,
                                      memory_devices[i].name, memory_devices[i].operations,
                                      memory_devices[i].mode))
            panic("no memory for /dev/%s", memory_devices[i].name);
}
