/*
 * adjtimex(2) and clock_adjtime(2): how well the clock is disciplined.
 *
 * It is not: the description of the run brought the date, and the TSC was calibrated once. So they
 * tell the state of a clock that nobody synchronises, with the largest errors, and adjust nothing.
 */
#include <pith/abi.h>

#include <pith/proc.h>

#include "syscalls.h"

#define OFFSET_READ      0xa001 /* ADJ_OFFSET_SS_READ: asks, as mode 0 does */
#define NOT_SYNCHRONISED 0x0040 /* STA_UNSYNC */
#define CLOCK_ERROR      5      /* TIME_ERROR: the answer of such a clock */
#define ERROR_MOST_US    16000000
#define TICK_US          10000
#define TOLERANCE_SCALED (500l << 16) /* parts per million */
#define TIME_CONSTANT    2

struct abi_timex {
    u32 modes;
    s64 offset, frequency, error_most_us, error_estimated_us;
    s32 status;
    s64 constant, precision_us, tolerance;
    s64 seconds, microseconds;
    s64 tick_us, pps_frequency, pps_jitter;
    s32 pps_shift;
    s64 pps_stability, pps_jitters, pps_calibrations, pps_errors, pps_excesses;
    s32 tai_offset, unused[11];
};
_Static_assert(sizeof(struct abi_timex) == 208, "struct timex of linux/timex.h");

static long clock_tell(struct user_ptr at)
{
    struct abi_timex timex;
    u64 now_ns = clock_realtime_ns();

    if (copy_in(&timex, at, sizeof(timex)))
        return -EFAULT;
    if (timex.modes && timex.modes != OFFSET_READ)
        return credentials_can(thread_current()->credentials, CAPABILITY_SYS_TIME) ? -EOPNOTSUPP
                                                                                   : -EPERM;
    timex = (struct abi_timex){
        .modes = timex.modes,
        .error_most_us = ERROR_MOST_US,
        .error_estimated_us = ERROR_MOST_US,
        .status = NOT_SYNCHRONISED,
        .constant = TIME_CONSTANT,
        .precision_us = 1,
        .tolerance = TOLERANCE_SCALED,
        .seconds = now_ns / NS_PER_SECOND,
        .microseconds = now_ns % NS_PER_SECOND / NS_PER_US,
        .tick_us = TICK_US,
    };
    return copy_out(at, &timex, sizeof(timex)) ? -EFAULT : CLOCK_ERROR;
}

long sys_adjtimex(const struct syscall_args *args)
{
    return clock_tell(arg_user_ptr(args, 0));
}

long sys_clock_adjtime(const struct syscall_args *args)
{
    if (arg_int(args, 0) != CLOCK_REALTIME)
        return -EOPNOTSUPP;
    return clock_tell(arg_user_ptr(args, 1));
}
