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
