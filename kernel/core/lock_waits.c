/*
 * How often, and for how long, somebody waited for a lock: by the lock's class, on each CPU.
 *
 * Only who found a lock taken comes here, when he has it or gave it up, so a lock that nobody waits
 * for costs nothing. Spinlocks count the time of spinning, sleeping locks that of the whole wait.
 *
 * Invariant: a CPU's counts are changed by that CPU alone. An interrupt may come between, but no
 *            class is waited for both in interrupt handlers and with interrupts on: those of
 *            sleeping locks are never taken in a handler, and a spinlock's waiter has them off.
 * Context:   any.
 */
#include <pith/core.h>

static DEFINE_PER_CPU(struct lock_waits, lock_waits)[LOCK_CLASS_COUNT]; /* [cpu] */

#define LOCK_CLASS_NAME(name, kind, why) #name,
static const char *const class_names[] = {LOCK_CLASSES(LOCK_CLASS_NAME)};

const char *lock_class_name(enum lock_class class)
{
    return class_names[class];
}

void lock_waited(enum lock_class class, u64 since_ns)
{
    struct lock_waits *waits = &(*this_cpu(lock_waits))[class];

    waits->count++;
    waits->ns += clock_monotonic_ns() - since_ns;
}

struct lock_waits lock_waits_of(enum lock_class class)
{
    struct lock_waits sum = {0};
    u32 cpu;

    cpu_for_each_online (cpu) {
        const struct lock_waits *waits = &(*of_cpu(lock_waits, cpus[cpu]))[class];

        sum.count += READ_ONCE(waits->count);
        sum.ns += READ_ONCE(waits->ns);
    }
    return sum;
}
