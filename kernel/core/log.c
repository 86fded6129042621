/*
 * The kernel's log: a ring of lines, and whoever wants to see each at once.
 *
 * The ring holds the last LOG_BYTES bytes of finished lines; a position is a count of all bytes
 * ever written, so a reader that fell behind sees by its position that lines are gone and starts at
 * the next whole line. Sinks (the debug console, the host port) get each line after it is in the
 * ring. A panic goes on without the lock if its holder was stopped.
 *
 * Locking: log_lock (LOCK_LOG) guards the ring and orders the sinks' calls.
 * Context: any, under any lock, NMIs too.
 */
#include <pith/core.h>

#include "panic.h"

#define LINE_BYTES      512 /* a longer line is cut */
#define SINKS_MAX       4
#define NMI_WAIT_ROUNDS 100000
#define SECOND_PARTS    1000000ul

struct sink {
    log_sink *write;
    enum log_level most_verbose;
};

static struct spinlock log_lock = SPINLOCK_INIT(LOCK_LOG);
static char ring[LOG_BYTES];         /* guarded by log_lock */
static u64 written;                  /* guarded by log_lock: all bytes so far */
static struct sink sinks[SINKS_MAX]; /* guarded by log_lock */

static void ring_append(const char *line, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        ring[(written + i) % LOG_BYTES] = line[i];
    written += bytes;
}

static size_t line_format(char *line, const char *format, va_list arguments)
{
    u64 now = clock_monotonic_ns() / NS_PER_US;
    size_t bytes = format_text_clipped(line, LINE_BYTES - 1, "[%5lu.%06lu] ", now / SECOND_PARTS,
                                       now % SECOND_PARTS);
    int rest = format_text_list(line + bytes, LINE_BYTES - 1 - bytes, format, arguments);

    bytes = MIN(bytes + rest, (size_t)LINE_BYTES - 2);
    line[bytes++] = '\n';
    return bytes;
}

/*
 * A panic takes no lock: its holder may have been stopped. An NMI may have struck the holder, so it
 * waits only for a while, and then its lines may mix with another CPU's.
 */
no_lock_check static bool log_lock_take(void)
{
    if (panic_is_under_way())
        return false;
    for (int i = 0; cpu_current()->in_nmi && READ_ONCE(log_lock.held); i++) {
        if (i == NMI_WAIT_ROUNDS)
            return false;
        cpu_relax();
    }
    spin_lock(&log_lock);
    return true;
}

no_lock_check static void log_lock_release(bool taken)
{
    if (taken)
        spin_unlock(&log_lock);
}

void log_line(enum log_level level, const char *format, ...)
{
    char line[LINE_BYTES];
    size_t bytes;
    bool locked;
    va_list arguments;

    va_start(arguments, format);
    bytes = line_format(line, format, arguments);
    va_end(arguments);

    locked = log_lock_take();
    ring_append(line, bytes);
    for (int i = 0; i < SINKS_MAX; i++) {
        if (sinks[i].write && level <= sinks[i].most_verbose)
            sinks[i].write(line, bytes);
    }
    log_lock_release(locked);
}

/* Hands a new sink what the ring holds, line by line. */
static void replay(log_sink *write)
{
    char line[LINE_BYTES];
    u64 at = written > LOG_BYTES ? written - LOG_BYTES : 0;
    size_t bytes = 0;

    for (; at < written; at++) {
        line[bytes++] = ring[at % LOG_BYTES];
        if (line[bytes - 1] != '\n' && bytes < LINE_BYTES)
            continue;
        write(line, bytes);
        bytes = 0;
    }
}

void log_sink_register(log_sink *sink, enum log_level most_verbose)
{
    bool locked = log_lock_take();

    for (int i = 0; i < SINKS_MAX; i++) {
        if (sinks[i].write)
            continue;
        sinks[i] = (struct sink){sink, most_verbose};
        replay(sink);
        break;
    }
    log_lock_release(locked);
}

/* Moves a position that the ring has overtaken to the first whole line that is still there. */
static u64 position_mend(u64 position)
{
    if (position > written)
        return written;
    if (written <= LOG_BYTES || position >= written - LOG_BYTES)
        return position;
    position = written - LOG_BYTES;
    while (position < written && ring[position % LOG_BYTES] != '\n')
        position++;
    return MIN(position + 1, written);
}

size_t log_read(u64 *position, char *buffer, size_t size)
{
    bool locked = log_lock_take();
    size_t bytes = 0;

    *position = position_mend(*position);
    while (bytes < size && *position < written)
        buffer[bytes++] = ring[(*position)++ % LOG_BYTES];
    log_lock_release(locked);
    return bytes;
}

u64 log_position_end(void)
{
    return READ_ONCE(written);
}
