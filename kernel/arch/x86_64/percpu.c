/*
 * The per-CPU areas: a copy of all per-CPU variables for each CPU but the first, which has the
 * original, and each CPU's trap stacks and first stack.
 *
 *     percpu_start                    area of CPU 1                    area of CPU 2
 *     | cpu_area | run_queue | ...    | cpu_area | run_queue | ...     | cpu_area | ...
 *     `----------- percpu_offset -----^
 *
 * So a variable of CPU n lies percpu_offset of its struct cpu further than the linker says (0 for
 * the boot CPU), and GS finds that struct. The copies hold what the originals were initialised to,
 * so nobody may write a per-CPU variable before this has run, except the boot CPU's own struct cpu.
 *
 * Context: boot CPU, once the number of CPUs is known and before per-CPU variables are used.
 */
#include <pith/core.h>

#include "boot.h"
#include "percpu.h"
#include "trap.h"

DECLARE_PER_CPU(struct cpu, cpu_area);

static struct cpu_stacks stacks[CPUS_MAX];

struct cpu_stacks *cpu_stacks_of(u32 id)
{
    return &stacks[id];
}

static void stacks_init(struct cpu_stacks *of)
{
    of->trap_stacks = boot_alloc_pages(TRAP_STACKS_BYTES / PAGE_SIZE);
    of->first_stack_end = (char *)boot_alloc_pages(BOOT_STACK_PAGES) + BOOT_STACK_PAGES * PAGE_SIZE;
}

void percpu_init(const u32 *apic_ids, u32 count)
{
    u64 bytes = percpu_end - percpu_start;

    cpu_count = count;
    cpus[0]->apic_id = apic_ids[0];
    stacks[0] = (struct cpu_stacks){
        .trap_stacks = boot_alloc_pages(TRAP_STACKS_BYTES / PAGE_SIZE),
        .first_stack_end = boot_stack_end,
    };
    for (u32 id = 1; id < count; id++) {
        char *area = boot_alloc_pages(DIV_ROUND_UP(bytes, PAGE_SIZE));
        struct cpu *cpu;

        memcpy(area, percpu_start, bytes);
        cpu = (struct cpu *)(area + ((char *)&cpu_area - percpu_start));
        *cpu = (struct cpu){
            .self = cpu,
            .percpu_offset = area - percpu_start,
            .stack_guard = cpus[0]->stack_guard, /* one for all: threads move */
            .id = id,
            .apic_id = apic_ids[id],
        };
        cpus[id] = cpu;
        stacks_init(&stacks[id]);
    }
}
