/*
 * The address sanitizer (SAN=1): which memory may be touched.
 *
 * The compiler asks before each access of the kernel's C code; an access to what an allocator
 * poisoned is a panic that says where. Only the direct map is watched, in pieces of 8 bytes: the
 * start of what is poisoned is rounded up to 8. Without SAN=1 all of this is nothing.
 */
/* folder: core */
#pragma once

#include <pith/compiler.h>

/* Why memory is poisoned; the values are the shadow's. */
enum poison {
    POISON_FREED_OBJECT = 0xfb,
    POISON_BEHIND_OBJECT = 0xfc,
    POISON_FREE_FRAME = 0xff,
};

void sanitizer_poison(const void *start, size_t bytes, enum poison why);
void sanitizer_unpoison(const void *start, size_t bytes);

static inline void memory_poison(const void *start, size_t bytes, enum poison why)
{
    if (SAN)
        sanitizer_poison(start, bytes, why);
}

static inline void memory_unpoison(const void *start, size_t bytes)
{
    if (SAN)
        sanitizer_unpoison(start, bytes);
}

/* arch/ says: the shadow of all memory below `end` is there, and says that all may be touched. */
void sanitizer_begin(u64 memory_end);
