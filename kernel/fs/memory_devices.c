/*
 * The devices that need no hardware: null, zero, full, random, urandom (null(4), random(4)), and
 * the names of all of major 1, kmsg's too (kmsg.c).
 *
 * None has an offset, so none can be sought. What reads or writes much goes piece by piece: others
 * run in between, a bad address costs at most a piece, and a killed thread stops.
 */
#include "device.h"

#define MAJOR_MEMORY 1u
#define CHUNK_BYTES  256u

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

static const struct file_operations null_operations = {
    .flags = FILE_OPERATIONS_NO_SEEK, .read = null_read, .write = null_write};
static const struct file_operations zero_operations = {
    .flags = FILE_OPERATIONS_NO_SEEK, .read = zero_read, .write = null_write, .map = zero_map};
static const struct file_operations full_operations = {
    .flags = FILE_OPERATIONS_NO_SEEK, .read = zero_read, .write = full_write};
static const struct file_operations random_operations = {
    .flags = FILE_OPERATIONS_NO_SEEK, .read = random_read, .write = random_write};

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
    kmsg_init();
    for (size_t i = 0; i < ARRAY_SIZE(memory_devices); i++)
        if (character_device_register(MAJOR_MEMORY, memory_devices[i].minor, 1,
                                      memory_devices[i].name, memory_devices[i].operations,
                                      memory_devices[i].mode))
            panic("no memory for /dev/%s", memory_devices[i].name);
}
