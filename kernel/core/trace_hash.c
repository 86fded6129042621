/*
 * A run in one number: each system call with its result, each fault of a page and each switch of
 * threads, with the clock's value, goes into a hash. Two runs that are the same event for event
 * give the same hash; with `deterministic` all runs of a program are to be the same (trace=hash
 * shows whether they are, trace=log where they part).
 *
 * The hash is FNV-1a over whole words rather than bytes: it is to tell runs apart, nothing more.
 *
 * Locking: trace_lock, a leaf: events come under run queues' locks and in faults.
 */
#include <pith/core.h>
#include <pith/spinlock.h>
#include <pith/string.h>

#define HASH_START 0xcbf29ce484222325ul
#define HASH_PRIME 0x100000001b3ul

bool trace_is_hashed;
static bool trace_is_logged;

static struct spinlock trace_lock = SPINLOCK_INIT(LOCK_LEAF);
static u64 hash = HASH_START, events; /* guarded by trace_lock */

static int trace_set(const char *value)
{
    if (!value || (strcmp(value, "hash") != 0 && strcmp(value, "log") != 0))
        return -EINVAL;
    trace_is_hashed = true;
    trace_is_logged = strcmp(value, "log") == 0;
    return 0;
}

PARAMETER(trace, .name = "trace", .values = "hash|log",
          .effect = "makes one number of all calls, faults and switches; logs it, or also each",
          .set = trace_set);

void trace_hash_add(enum trace_event event, u64 value)
{
    static const char *const names[] = {
        [TRACE_CALL] = "call",
        [TRACE_RESULT] = "result",
        [TRACE_FAULT] = "fault",
        [TRACE_SWITCH] = "switch",
    };
    u64 now_ns = clock_monotonic_ns();
    const u64 words[] = {event, now_ns, value};

    spin_lock(&trace_lock);
    for (size_t i = 0; i < ARRAY_SIZE(words); i++)
        hash = (hash ^ words[i]) * HASH_PRIME;
    events++;
    spin_unlock(&trace_lock);
    if (trace_is_logged)
        log_info("trace: %s %lx", names[event], value);
}

void trace_hash_report(void)
{
    if (trace_is_hashed)
        log_info("trace: %lu events, hash %016lx, at %lu ns", events, hash, clock_monotonic_ns());
}
