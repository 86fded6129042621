/*
 * adjtimex(2) and clock_adjtime(2): how well the clock is disciplined.
 *
 * It is not: the description of the run brought the date, and the TSC was calibrated once. So they
 * tell the state of a clock that nobody synchronises, with the largest errors. They adjust what
 * adjtime(3) does, the date, slowly, and refuse the rest: the clock's rate is nobody's to change.
 */
#include <pith/abi.h>

#include <pith/proc.h>

#include "clocks.h"
#include "syscalls.h"

#define ADJUST_DATE      0x8001 /* ADJ_OFFSET_SINGLESHOT: `offset` is left to move, from now on */
#define ADJUST_READ      0xa001 /* ADJ_OFFSET_SS_READ: only asks what is left */
#define NOT_SYNCHRONISED 0x0040 /* STA_UNSYNC */
#define CLOCK_ERROR      5      /* TIME_ERROR: the answer of such a clock */
#define ERROR_MOST_US    16000000
#define DATE_MOST_US     (S64_MAX / (s64)NS_PER_US)
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

/* What adjtime(3) wants; how much was left to move goes out, in microseconds. */
static int date_adjust(const struct abi_timex *timex, s64 *left_us_out)
{
    bool changes = timex->modes && timex->modes != ADJUST_READ;
    s64 left_ns = clock_slew_left();

    if (changes && !credentials_can(thread_current()->credentials, CAPABILITY_SYS_TIME))
        return -EPERM;
    if (changes && timex->modes != ADJUST_DATE)
        return -EOPNOTSUPP;
    if (changes) /* no more than a clock of 64 bits can show */
        left_ns = clock_slew(MAX(MIN(timex->offset, DATE_MOST_US), -DATE_MOST_US) * (s64)NS_PER_US);
    *left_us_out = timex->modes ? left_ns / (s64)NS_PER_US : 0;
    return 0;
}

/*
 * Returns TIME_ERROR, adjtimex(2)'s word for a clock that nobody synchronises. -EFAULT, -EPERM
 * (CAP_SYS_TIME); -EOPNOTSUPP: a change that is not adjtime(3)'s.
 */
static long clock_tell(struct user_ptr at)
{
    struct abi_timex timex;
    u64 now_ns = clock_realtime_ns();
    s64 left_us;
    int error;

    if (copy_in(&timex, at, sizeof(timex)))
        return -EFAULT;
    error = date_adjust(&timex, &left_us);
    if (error)
        return error;
    timex = (struct abi_timex){
        .modes = timex.modes,
        .offset = left_us,
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

/* -EINVAL: no clock; -EOPNOTSUPP: one that goes by itself. */
long sys_clock_adjtime(const struct syscall_args *args)
{
    struct cpu_clock cpu_clock;
    int error;

    if (arg_int(args, 0) == CLOCK_REALTIME)
        return clock_tell(arg_user_ptr(args, 1));
    error = clock_find(arg_int(args, 0), &cpu_clock);
    if (error)
        return error;
    cpu_clock_put(&cpu_clock);
    return -EOPNOTSUPP;
}
