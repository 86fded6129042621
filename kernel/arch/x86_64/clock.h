/* The TSC as a clock; clock.c. */
#pragma once

#include <pith/types.h>

extern u64 clock_scale; /* [const] after clock_init: ns a tick, times 2^32 */

/* Boot CPU, with its APIC on. */
void clock_init(void);
/* Each other CPU, with its APIC on: readies the timer that timer_interrupt_set sets. */
void clock_init_cpu(void);
