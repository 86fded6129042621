/*
 * The table of processors and the per-CPU areas' one original.
 *
 * The linker puts all per-CPU variables together; each CPU has a copy of the original (arch/
 * makes them before any is used), found by its percpu_offset. The boot CPU runs on the original
 * itself (offset 0), which is safe because all copies are made before anything is written there
 * but what each copy sets anew.
 */
#include <pith/cpu.h>

DEFINE_PER_CPU(struct cpu, cpu_area) = {.self = &cpu_area, .interrupts_were_on = false};

u32 cpu_count = 1;
struct cpu *cpus[CPUS_MAX] = {&cpu_area};
u64 cpus_online = 1;
