/*
 * The arithmetic of kvmclock (struct pvclock_vcpu_time_info of Linux's "pvclock"), apart so that it
 * is tested on the host. Nothing here touches the machine.
 */
#pragma once

#include <pith/compiler.h>

/* What KVM writes: struct pvclock_vcpu_time_info. */
struct kvm_time {
    u32 version, padding;
    u64 tsc_at; /* when `system_ns` was so */
    u64 system_ns;
    u32 tsc_to_ns_scale; /* times 2^32, after the shift */
    s8 tsc_shift;
    u8 flags;
    u8 padding_2[2];
};
#define KVM_TIME_TSC_STABLE BIT(0) /* in `flags`: the same on all CPUs */

/*
 * Copies what KVM wrote if it is of one piece. KVM may write anew between any two instructions of
 * ours (the vCPU was off its CPU); its version is odd while it does, and another afterwards.
 */
static inline bool kvm_time_copy(struct kvm_time *copy, const struct kvm_time *shared)
{
    u32 version = __atomic_load_n(&shared->version, __ATOMIC_ACQUIRE);

    *copy = *(const volatile struct kvm_time *)shared;
    __atomic_thread_fence(__ATOMIC_ACQUIRE);
    return !(version & 1) && __atomic_load_n(&shared->version, __ATOMIC_RELAXED) == version;
}

/* ns = ((tsc << shift) * scale) >> 32, so the rate is 10^9 * 2^32 / scale >> shift. 0: no scale. */
static inline u64 kvm_time_tsc_hz(u32 scale, s8 shift)
{
    /* 10^9 << 32 is just below 2^62. */
    u64 hz;

    if (scale == 0)
        return 0;
    hz = (1000000000ul << 32) / scale;
    return shift < 0 ? hz << -shift : hz >> shift;
}

static inline u64 kvm_time_ns(const struct kvm_time *time, u64 tsc)
{
    u64 ticks = tsc - time->tsc_at;

    ticks = time->tsc_shift < 0 ? ticks >> -time->tsc_shift : ticks << time->tsc_shift;
    return time->system_ns + (u64)((unsigned __int128)ticks * time->tsc_to_ns_scale >> 32);
}
