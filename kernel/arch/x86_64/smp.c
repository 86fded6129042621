/*
 * Starting the other CPUs: INIT, start-up, and the same initialisation as the first.
 *
 * One after the other: the trampoline has room for one, and a machine of many CPUs still starts in
 * well under a millisecond each. A CPU that does not come up in time stays out of cpus_online, and
 * so do those behind it: it may still come (and then waits for us for good), and the trampoline's
 * words are its own until then.
 *
 * The clock is the TSC, so it may nowhere go back. Before a CPU is let in, it and the boot CPU read
 * theirs in turn: each reading is not below the one before, or the CPU halts for good. What is left
 * of a difference is less than a message between the two takes, so no message arrives before it
 * was sent.
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
/*
 * Real processors may have missed the first start-up message (SDM 3A "MP Initialization Protocol").
 */
#define START_AGAIN_NS (10 * NS_PER_MS)
#define TSC_READINGS   17u /* of both CPUs together */

extern const char trampoline_start[], trampoline_end[];
extern u64 cpu_start_area, cpu_start_stack;
noreturn void cpu_start(void);

/* Of the CPU that starts and the boot CPU, in turn; one of them at a time touches it. */
static struct {
    u32 turn;   /* [atomic] who reads next: even, the CPU that starts, as also the last */
    u64 latest; /* what was read so far at most */
    u64 behind; /* how far a reading was below it at most */
} readings;

static bool is_among(u32 id, const u32 *ids, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        if (ids[i] == id)
            return true;
    }
    return false;
}

/*
 * The boot CPU first, then the others in the tables' order. One that is named twice would be reset
 * while it runs, and so would one whose number is that of another in the bits that we can send.
 */
void cpus_find(void)
{
    u32 ids[CPUS_MAX], count = 1;

    ids[0] = cpuid(1, 0).ebx >> 24;
    for (u32 i = 0; i < machine_facts.cpu_count; i++) {
        u32 id = machine_facts.apic_ids[i];

        if (id <= apic_id_most() && !is_among(id, ids, count) && count < CPUS_MAX)
            ids[count++] = id;
    }
    percpu_init(ids, count);
}

static void turn_await(u32 turn)
{
    while (__atomic_load_n(&readings.turn, __ATOMIC_ACQUIRE) != turn)
        cpu_relax();
}

/*
 * Both CPUs call it, the one that starts with side 0, the boot CPU with side 1. Whether all went
 * well up to our last turn, after which side 0 may not look at the readings any more.
 */
static bool tsc_compare(u32 side)
{
    bool agrees = true;

    for (u32 turn = side; turn < TSC_READINGS; turn += 2) {
        u64 now;

        turn_await(turn);
        now = tsc_read_ordered();
        if (now < readings.latest)
            readings.behind = MAX(readings.behind, readings.latest - now);
        else
            readings.latest = now;
        agrees = readings.behind == 0;
        /* Pairs with the acquire in turn_await. */
        __atomic_store_n(&readings.turn, turn + 1, __ATOMIC_RELEASE);
    }
    return agrees;
}

static bool cpu_is_online(u32 id)
{
    return __atomic_load_n(&cpus_online, __ATOMIC_ACQUIRE) & BIT(id);
}

/* Waits until the CPU has begun to read its TSC, to the limit. */
static bool cpu_has_begun(u64 limit_ns)
{
    while (!__atomic_load_n(&readings.turn, __ATOMIC_ACQUIRE)) {
        if (clock_monotonic_ns() >= limit_ns)
            return false;
        cpu_relax();
    }
    return true;
}

/* False: it did not come, but may yet. */
static bool cpu_start_one(u32 id)
{
    u64 begin = clock_monotonic_ns();
    u32 apic_id = cpus[id]->apic_id;

    cpu_start_area = (u64)cpus[id];
    cpu_start_stack = (u64)cpu_stacks_of(id)->first_stack_end;
    readings.turn = 0;
    readings.latest = readings.behind = 0;
    apic_send_init(apic_id);
    apic_send_startup(apic_id, TRAMPOLINE_ADDRESS >> PAGE_SHIFT);
    if (!cpu_has_begun(begin + START_AGAIN_NS)) {
        apic_send_startup(apic_id, TRAMPOLINE_ADDRESS >> PAGE_SHIFT);
        if (!cpu_has_begun(begin + START_LIMIT_NS)) {
            log_error("cpu %u (APIC %u) does not start", id, apic_id);
            return false;
        }
    }
    (void)tsc_compare(1);
    turn_await(TSC_READINGS);
    if (readings.behind)
        log_error("cpu %u stays out: its TSC differs by %lu ticks", id, readings.behind);
    while (!readings.behind && !cpu_is_online(id))
        cpu_relax();
    return true;
}

void arch_start_cpus(void)
{
    memcpy(phys_to_virt(TRAMPOLINE_ADDRESS), trampoline_start, trampoline_end - trampoline_start);
    for (u32 id = 1; id < cpu_count; id++) {
        if (!cpu_start_one(id))
            return;
    }
}

/*
 * The new CPU's first C, on its own stack. Descriptors come first of what may fault; then what the
 * kernel uses on every CPU, and only then the comparison of clocks, which wants its timer.
 */
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
    if (!tsc_compare(0))
        machine_halt_cpu();
    /* Pairs with the acquire in cpu_is_online: the next CPU may use the trampoline's words. */
    __atomic_fetch_or(&cpus_online, BIT(cpu->id), __ATOMIC_RELEASE);
    cpu_started();
}
