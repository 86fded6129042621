/*
 * Allocations that fail on purpose, so that tests run every path that gives back what it took.
 *
 * `fail_allocation=N` on the command line lets the N-th allocation of the machine fail, or a thread
 * arms the count for itself alone. Only kernels built with SAN=1 ask.
 *
 * Locking: none; two threads that arm at once take turns by luck, and only tests do. Context: any.
 */
#include <pith/mem.h>

#include "internal.h"

static u64 countdown;               /* [atomic] allocations until the one that fails; 0: off */
static const struct thread *chosen; /* whose; NULL: anybody's */

static int fail_allocation_set(const char *value)
{
    return value ? string_to_u64(value, &countdown) : -EINVAL;
}
PARAMETER(fail_allocation, .name = "fail_allocation", .values = "N",
          .effect = "With SAN=1: the N-th memory allocation fails.", .set = fail_allocation_set);

void allocation_fail_nth(u64 n)
{
    __atomic_store_n(&countdown, 0, __ATOMIC_RELAXED);
    chosen = thread_current();
    /* Pairs with the acquire below: who sees the count sees whose it is. */
    __atomic_store_n(&countdown, n, __ATOMIC_RELEASE);
}

/* Exactly one fails: the counter that reaches 0 is off. */
bool allocation_must_fail(void)
{
    u64 left = __atomic_load_n(&countdown, __ATOMIC_ACQUIRE);

    if (likely(!left) || (chosen && chosen != thread_current()))
        return false;
    return __atomic_fetch_sub(&countdown, 1, __ATOMIC_RELAXED) == 1;
}
