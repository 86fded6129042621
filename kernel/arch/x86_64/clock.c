/*
 * The monotonic clock: the TSC, scaled to nanoseconds.
 *
 * ns = base_ns + (tsc - base_tsc) * scale / 2^32; the three change together, under a sequence
 * number, when the frequency becomes better known. All CPUs' TSCs are taken to run together, as
 * they do in every machine that we run in.
 */
#include <pith/core.h>

u64 tsc_hz;

static u64 base_tsc, base_ns; /* [const] after calibration */
static u64 scale;             /* ns a TSC tick, times 2^32; 0: not calibrated */

u64 clock_monotonic_ns(void)
{
    return base_ns + (u64)(((unsigned __int128)(tsc_read() - base_tsc) * scale) >> 32);
}
