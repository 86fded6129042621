/*
 * Reference counts that cannot wrap: one that reaches the top stays there (the object leaks, which
 * is safe), and going up from 0 is a kernel bug (checked with SAN=1).
 */
#pragma once

#include <pith/compiler.h>

struct refcount {
    u32 value; /* [atomic] */
};

#define REFCOUNT_SATURATED 0x80000000u
#define REFCOUNT_INIT(n) \
    {                    \
        (n)              \
    }

void refcount_from_zero(void); /* panics; core/ */

static inline void refcount_set(struct refcount *count, u32 value)
{
    __atomic_store_n(&count->value, value, __ATOMIC_RELAXED);
}

static inline u32 refcount_read(const struct refcount *count)
{
    return __atomic_load_n(&count->value, __ATOMIC_RELAXED);
}

static inline void refcount_inc(struct refcount *count)
{
    u32 before = __atomic_fetch_add(&count->value, 1, __ATOMIC_RELAXED);

    if (unlikely(before == 0))
        refcount_from_zero();
    if (unlikely(before >= REFCOUNT_SATURATED))
        __atomic_store_n(&count->value, REFCOUNT_SATURATED, __ATOMIC_RELAXED);
}

/* For lookups under RCU: false if the object is already dying. */
static inline bool refcount_inc_not_zero(struct refcount *count)
{
    u32 value = refcount_read(count);

    do {
        if (value == 0)
            return false;
    } while (!__atomic_compare_exchange_n(&count->value, &value, value + 1, true, __ATOMIC_RELAXED,
                                          __ATOMIC_RELAXED));
    return true;
}

/* True for the one who gave up the last reference: all earlier uses happened before it. */
static inline bool refcount_dec_is_zero(struct refcount *count)
{
    u32 before = __atomic_fetch_sub(&count->value, 1, __ATOMIC_RELEASE);

    if (unlikely(before >= REFCOUNT_SATURATED)) {
        __atomic_store_n(&count->value, REFCOUNT_SATURATED, __ATOMIC_RELAXED);
        return false;
    }
    if (before != 1)
        return false;
    /* Pairs with the releases of the others. */
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return true;
}
