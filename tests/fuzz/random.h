/*
 * Random numbers that follow from a seed: splitmix64 (Steele, Lea, Flood: "Fast Splittable
 * Pseudorandom Number Generators"), one state a thread.
 */
#pragma once

#include <stdint.h>

static _Thread_local uint64_t random_state;

static inline uint64_t next(void)
{
    uint64_t z = random_state += 0x9e3779b97f4a7c15;

    z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9;
    z = (z ^ z >> 27) * 0x94d049bb133111eb;
    return z ^ z >> 31;
}

static inline unsigned below(unsigned limit)
{
    return next() % limit;
}
