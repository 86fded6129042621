/*
 * Privileged registers, an instruction each. A write of an MSR that does not exist is a protection
 * fault and so a panic: the caller asked CPUID. "memory" keeps writes in their place among accesses
 * that they change the meaning of.
 */
#pragma once

#include <pith/types.h>

static inline u64 msr_read(u32 msr)
{
    u32 low, high;

    __asm__ volatile("rdmsr" : "=a"(low), "=d"(high) : "c"(msr));
    return (u64)high << 32 | low;
}

static inline void msr_write(u32 msr, u64 value)
{
    __asm__ volatile("wrmsr" : : "c"(msr), "a"((u32)value), "d"((u32)(value >> 32)) : "memory");
}

static inline u64 cr0_read(void)
{
    u64 value;

    __asm__ volatile("movq %%cr0, %0" : "=r"(value));
    return value;
}

static inline void cr0_write(u64 value)
{
    __asm__ volatile("movq %0, %%cr0" : : "r"(value) : "memory");
}

static inline u64 cr2_read(void)
{
    u64 value;

    __asm__ volatile("movq %%cr2, %0" : "=r"(value));
    return value;
}

static inline u64 cr4_read(void)
{
    u64 value;

    __asm__ volatile("movq %%cr4, %0" : "=r"(value));
    return value;
}

static inline void cr4_write(u64 value)
{
    __asm__ volatile("movq %0, %%cr4" : : "r"(value) : "memory");
}
