/*
 * The order in which core/ is brought up: random numbers first, for whatever is made then may want
 * some; each CPU's own parts last, which need the clock and the vectors of arch/.
 */
#include <pith/core.h>

#include "parts.h"

void core_init_cpu(void)
{
    deferred_init_cpu();
    timers_init_cpu();
    rcu_init_cpu();
    watchdog_init_cpu();
}

void core_init(void)
{
    random_init();
    cpu_call_init();
    nmi_init();
    date_init();
    core_init_cpu();
}
