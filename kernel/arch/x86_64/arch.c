/*
 * The order in which the machine is brought up.
 *
 * Until descriptors_init has run, any fault is a triple fault: what stands before it touches only
 * the image, the loader's data below 1 GiB, and memory that it took itself. What constrains the
 * order:
 *
 * - boot_info, parameters: everything asks them; patch_sites_apply writes into the text, which is
 *   writable only until page_tables_init;
 * - features before the page tables, which use 1 GiB pages and no-execute where they are there;
 * - page tables before the firmware's tables, which may lie outside of what the boot tables map,
 *   and memory allocated by boot_alloc_pages is below 1 GiB until then;
 * - the firmware's tables before the per-CPU areas (how many?), those before descriptors (each has
 *   its trap stacks); the APIC's timer before the clock, which may be measured against it.
 *
 * Context: boot CPU, interrupts off.
 */
#include <pith/core.h>

#include "acpi.h"
#include "apic.h"
#include "boot.h"
#include "clock.h"
#include "features.h"
#include "kvmclock.h"
#include "page_routines.h"
#include "percpu.h"
#include "signal_frame.h"
#include "trap.h"
#include "user_access.h"

void arch_init_early(void)
{
    boot_info_init();
    parameters_parse(boot_info.command_line);
    features_init();
    features_enable();
    if (cpu_has(FEATURE_SMAP))
        patch_sites_apply();
    page_tables_init();
    machine_facts_init();
    cpus_find();
    descriptors_init(cpu_stacks_of(0)->trap_stacks);
    kernel_stack_set(cpu_stacks_of(0)->first_stack_end);
    machine_check_init_cpu();
    fpu_init();
    signal_frame_init();
    apic_init();
    apic_init_cpu();
    clock_init();
    io_apics_init();
}

void arch_init_late(void)
{
    log_info("clock: the TSC runs at %lu kHz", tsc_hz / 1000);
    page_routines_choose();
    kvmclock_set_date();
}
