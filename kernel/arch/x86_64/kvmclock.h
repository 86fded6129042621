/* KVM's clock, where there is one; kvmclock.c. */
#pragma once

#include <pith/types.h>

/* The TSC's rate; 0: not under KVM. */
u64 kvmclock_tsc_hz(void);
/* Sets the date, under KVM. */
void kvmclock_set_date(void);
