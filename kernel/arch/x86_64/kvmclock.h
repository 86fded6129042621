/* KVM's clock, where there is one; kvmclock.c. */
#pragma once

#include <pith/types.h>

/* The TSC's rate in Hz; 0: not under KVM. Boot CPU. */
u64 kvmclock_tsc_hz(void);
/*
 * Sets the date from the host's, under KVM; elsewhere the description of the run brings it. Boot
 * CPU.
 */
void kvmclock_set_date(void);
