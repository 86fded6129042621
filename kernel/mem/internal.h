/* What the files of mem/ tell each other. */
#pragma once

#include <pith/mem.h>

/* frame.c: whether the buddy allocator works; before it, tables come from boot memory. */
bool frames_are_ready(void);

/* allocation_failure.c: whether this allocation is the one to fail. SAN=1. */
bool allocation_must_fail(void);

/* reclaim.c: runs the out-of-memory choice; as memory_make_room returns. */
bool memory_end_somebody(void) must_check;

void slab_init(void);
void kmalloc_init(void);
void kernel_stack_init(void);
void fpu_memory_init(void);
