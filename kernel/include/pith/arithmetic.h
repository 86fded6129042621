/* Arithmetic that needs more than 64 bits in between. */
/* folder: lib */
#pragma once

#include <pith/compiler.h>

/* a * b / c, rounded down; a result beyond 64 bits is U64_MAX. c is not 0. */
static inline u64 multiply_divide(u64 a, u64 b, u64 c)
{
    unsigned __int128 product = (unsigned __int128)a * b;
    u64 quotient, rest;

    if ((u64)(product >> 64) >= c)
        return U64_MAX;
    /* The compiler would call a library function that divides 128 bits by 128. */
    __asm__("divq %4"
            : "=a"(quotient), "=d"(rest)
            : "a"((u64)product), "d"((u64)(product >> 64)), "r"(c));
    return quotient;
}

/*
 * A moment as nanoseconds since 1970, and as seconds with nanoseconds that are never negative. The
 * first form reaches from 1677 to 2262; what lies beyond becomes the nearest end.
 */
static inline s64 moment_ns(s64 seconds, u32 nanoseconds)
{
    s64 limit = S64_MAX / 1000000000 - 5; /* room for any nanoseconds */

    return MIN(MAX(seconds, -limit), limit) * 1000000000 + nanoseconds;
}

static inline s64 moment_seconds(s64 ns)
{
    return ns / 1000000000 - (ns % 1000000000 < 0);
}

static inline u32 moment_nanoseconds(s64 ns)
{
    return (u32)(ns - moment_seconds(ns) * 1000000000);
}
