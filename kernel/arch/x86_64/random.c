/*
 * The processor's own random numbers, by RDRAND. core/random.c mixes them in; it never relies on
 * them alone, and emulators without them are common.
 */
#include <pith/arch.h>

#include "features.h"

#define TRIES 10 /* SDM 1 "RDRAND": it may run dry for a moment */

bool random_hardware(u64 *value_out)
{
    if (!cpu_has(FEATURE_RDRAND))
        return false;
    for (int i = 0; i < TRIES; i++) {
        bool filled;

        __asm__ volatile("rdrand %0" : "=r"(*value_out), "=@ccc"(filled));
        if (filled)
            return true;
    }
    return false;
}
