/* The memory that nobody has taken yet, at boot: a short ascending list of ranges. */
#pragma once

#include <pith/arch.h>

/* Removing from the middle makes two of one. */
#define RANGES_MAX (MEMORY_RANGES_MAX + 16)

struct ranges {
    struct memory_range range[RANGES_MAX];
    u32 count;
};

/* Adds [start, end), of which nothing is there yet, cut to whole pages. */
void ranges_add(struct ranges *ranges, phys_addr start, phys_addr end);
/* Takes [start, end) out, as far as it is there. */
void ranges_remove(struct ranges *ranges, phys_addr start, phys_addr end);
/*
 * Takes `bytes` that lie together below `limit`, as high as they fit, where address % modulus is
 * `remainder` (modulus: a power of two). Returns where, or 0: there is no such place.
 */
phys_addr ranges_take(struct ranges *ranges, u64 bytes, u64 modulus, u64 remainder, phys_addr limit)
    must_check;
