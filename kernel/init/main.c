/*
 * What is brought up, in which order.
 *
 * Each step may use all that stand above it. Interrupts are off until the scheduler runs the first
 * thread.
 */
#include <pith/init.h>

#include <pith/core.h>

struct step {
    const char *name;
    void (*init)(void);
};

static const struct step steps[] = {
    {"arch, early", arch_init_early},
    {"core", core_init},
    {"arch, late", arch_init_late},
};

noreturn void kernel_main(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(steps); i++)
        steps[i].init();
    log_info("pith: %u CPUs", cpu_count);
    panic("nothing to run");
}
