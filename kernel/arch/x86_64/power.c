/*
 * The end of a CPU and of the machine.
 *
 * Context: any, interrupts in any state.
 */
#include <pith/arch.h>

noreturn void machine_halt_cpu(void)
{
    for (;;)
        __asm__ volatile("cli; hlt" : : : "memory");
}

void machine_stop_others(void)
{
}
