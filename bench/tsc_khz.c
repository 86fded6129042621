/*
 * Prints the rate of the CPU's time-stamp counter in kHz, which a machine under TCG has too: Linux
 * is told it, because on microvm it finds no clock to measure it by, and would fall back to its
 * tick.
 */
#include <stdint.h>
#include <stdio.h>
#include <time.h>

#define SPAN_NS 100000000ull

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

int main(void)
{
    uint64_t began = now_ns(), cycles = __builtin_ia32_rdtsc(), ns;

    do {
        ns = now_ns() - began;
    } while (ns < SPAN_NS);
    cycles = __builtin_ia32_rdtsc() - cycles;
    printf("%llu\n", (unsigned long long)(cycles * 1000000 / ns));
    return 0;
}
