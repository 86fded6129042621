/*
 * The end of a CPU and of the machine.
 *
 * Each way is tried in turn: what ACPI names, what a PC's chipset and keyboard controller have, and
 * at last a triple fault, which resets (QEMU with -no-reboot then ends). A write that ends the
 * machine takes a moment to do so, in which the CPU goes on; so each is followed by a wait before
 * the next.
 *
 * Context: any, interrupts in any state, locks held or not: after a panic too.
 */
#include <pith/core.h>

#include "acpi.h"

#define RESET_PORT          0xcf9
#define RESET_FULL          0x0e
#define KEYBOARD_PORT       0x64
#define KEYBOARD_PULSE      0xfe
#define WAIT_FOR_EFFECT_TSC 10000000ul

noreturn void machine_halt_cpu(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" : : : "memory");
}

void machine_stop_others(void)
{
    u32 id;

    cpu_for_each_online (id) {
        if (id != cpu_current()->id)
            cpu_send_nmi(id);
    }
}

static void wait_for_effect(void)
{
    u64 start = tsc_read();

    while (tsc_read() - start < WAIT_FOR_EFFECT_TSC)
        cpu_relax();
}

static noreturn void triple_fault(void)
{
    struct packed {
        u16 limit;
        u64 address;
    } no_gates = {};

    __asm__ volatile("cli; lidt %0; ud2" : : "m"(no_gates));
    machine_halt_cpu();
}

noreturn void machine_power_off(void)
{
    interrupts_disable();
    acpi_power_off();
    wait_for_effect();
    triple_fault();
}

noreturn void machine_restart(void)
{
    interrupts_disable();
    acpi_restart();
    wait_for_effect();
    port_write_u8(RESET_PORT, RESET_FULL);
    wait_for_effect();
    port_write_u8(KEYBOARD_PORT, KEYBOARD_PULSE);
    wait_for_effect();
    triple_fault();
}
