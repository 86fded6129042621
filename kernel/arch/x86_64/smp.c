/*
 * Starting the other CPUs: INIT, start-up, and the same initialisation as the first.
 *
 * One after the other: the trampoline has room for one, and a machine of many CPUs still starts in
 * well under a millisecond each. A CPU that does not come up in time stays out of cpus_online.
 *
 * Context: the boot CPU, interrupts on or off; cpu_start on the new CPU, interrupts off.
 */
#include <pith/core.h>

#include "acpi.h"
#include "apic.h"
#include "boot.h"
#include "clock.h"
#include "features.h"
#include "fpu.h"
#include "percpu.h"
#include "trap.h"

#define START_LIMIT_NS NS_PER_SECOND

extern const char trampoline_start[], trampoline_end[];
extern u64 cpu_start_area, cpu_start_stack;
noreturn void cpu_start(void);

/* The boot CPU first, then the others in the tables' order. */
void cpus_find(void)
{
    u32 ids[CPUS_MAX], count = 1, own = cpuid(1, 0).ebx >> 24;

    ids[0] = own;
    for (u32 i = 0; i < machine_facts.cpu_count; i++) {
        if (machine_facts.apic_ids[i] != own && count < CPUS_MAX)
            ids[count++] = machine_facts.apic_ids[i];
    }
    percpu_init(ids, count);
}

static bool cpu_is_online(u32 id)
{
    return __atomic_load_n(&cpus_online, __ATOMIC_ACQUIRE) & BIT(id);
}

static void cpu_start_one(u32 id)
{
    u64 limit = clock_monotonic_ns() + START_LIMIT_NS;

    cpu_start_area = (u64)cpus[id];
    cpu_start_stack = (u64)cpu_stacks_of(id)->first_stack_end;
    apic_send_init(cpus[id]->apic_id);
    /* Real processors want 10 ms here and a second start-up message; virtual ones neither. */
    apic_send_startup(cpus[id]->apic_id, TRAMPOLINE_ADDRESS >> PAGE_SHIFT);
    while (!cpu_is_online(id) && clock_monotonic_ns() < limit)
        cpu_relax();
    if (!cpu_is_online(id))
        log_error("cpu %u (APIC %u) does not start", id, cpus[id]->apic_id);
}

void arch_start_cpus(void)
{
    memcpy(phys_to_virt(TRAMPOLINE_ADDRESS), trampoline_start, trampoline_end - trampoline_start);
    for (u32 id = 1; id < cpu_count; id++)
        cpu_start_one(id);
}

noreturn void cpu_start(void)
{
    struct cpu *cpu = cpu_current();
    struct cpu_stacks *stacks = cpu_stacks_of(cpu->id);

    page_table_load(page_table_kernel());
    features_enable();
    descriptors_init(stacks->trap_stacks);
    kernel_stack_set(stacks->first_stack_end);
    machine_check_init_cpu();
    fpu_init_cpu();
    apic_init_cpu();
    clock_init_cpu();
    core_init_cpu();
    /* Pairs with the acquire in cpu_is_online: the next CPU may use the trampoline's words. */
    __atomic_fetch_or(&cpus_online, BIT(cpu->id), __ATOMIC_RELEASE);
    cpu_started();
}
