/*
 * Memory for the FPU states of user threads, which arch/ asks for but cannot allocate, standing
 * below us: a slab cache of the size that XSAVE needs here (fpu_state_bytes), cleared, for XRSTOR
 * faults on a header whose reserved bytes are not 0 (SDM 1 "XSAVE Header").
 */
#include "internal.h"

#include <pith/mem.h>

#define FPU_ALIGNMENT 64 /* XSAVE's */

static struct slab_cache *fpu_states;

static void *fpu_state_alloc(void)
{
    return slab_alloc(fpu_states, ALLOC_CLEARED);
}

static void fpu_state_free(void *state)
{
    slab_free(fpu_states, state);
}

void fpu_memory_init(void)
{
    fpu_states = slab_cache_create("fpu_state", fpu_state_bytes(), FPU_ALIGNMENT);
    if (!fpu_states)
        panic("no memory for FPU states");
    fpu_memory_register(fpu_state_alloc, fpu_state_free);
}
