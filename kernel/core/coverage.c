/*
 * Which of the kernel's functions ran (SAN=1): what the fuzzers measure themselves by.
 *
 * The compiler calls __sanitizer_cov_trace_pc in each basic block of the folders above mem/. A bit
 * stands for 16 bytes of code; a function was reached when one of its bits is set. Two CPUs that
 * set bits of one byte at once may lose one: it is set again with the block's next run.
 *
 * This file is not instrumented itself. Context: any.
 */
#include <pith/core.h>

#define BYTES_PER_BIT  16
#define TEXT_BYTES_MAX (8u << 20)

extern const char text_start[], text_end[];

static u8 blocks_run[TEXT_BYTES_MAX / BYTES_PER_BIT / 8];

void __sanitizer_cov_trace_pc(void);
void __sanitizer_cov_trace_pc(void)
{
    u64 block = ((u64)__builtin_return_address(0) - (u64)text_start) / BYTES_PER_BIT;

    if (block / 8 < sizeof(blocks_run))
        blocks_run[block / 8] |= BIT(block % 8);
}

static bool any_ran(u64 from, u64 to)
{
    for (u64 block = from / BYTES_PER_BIT; block <= (to - 1) / BYTES_PER_BIT; block++) {
        if (block / 8 < sizeof(blocks_run) && blocks_run[block / 8] & BIT(block % 8))
            return true;
    }
    return false;
}

void coverage_count(u64 *reached_out, u64 *functions_out)
{
    u64 from, to;

    *reached_out = 0;
    for (*functions_out = 0; symbol_at(*functions_out, &from, &to); ++*functions_out)
        *reached_out += any_ran(from - (u64)text_start, to - (u64)text_start);
}
