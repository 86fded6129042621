/* Each CPU's memory from before there are frames; percpu.c. */
#pragma once

#include <pith/cpu.h>

#define BOOT_STACK_PAGES 4

struct cpu_stacks {
    void *trap_stacks;     /* lowest address */
    void *first_stack_end; /* becomes the idle thread's */
};

struct cpu_stacks *cpu_stacks_of(u32 id);
/* `apic_ids[0]` is the boot CPU's. */
void percpu_init(const u32 *apic_ids, u32 count);
