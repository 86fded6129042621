/*
 * kvmclock: what KVM says of the TSC's rate and of the date (Linux's Documentation/virt/kvm,
 * "KVM-specific MSRs" and "pvclock").
 *
 * Only where CPUID names KVM's clock source. KVM writes a page of ours at our asking; it is read
 * once at boot and switched off again, and from then on our own scaling of the TSC is the clock, as
 * everywhere else: one arithmetic, also in the vDSO. That costs what kvmclock is made for, a TSC
 * that changes its rate by live migration, which a machine of one run does not have.
 *
 * Context: boot CPU.
 */
#include "kvmclock.h"

#include <pith/core.h>

#include "features.h"
#include "kvmclock_math.h"
#include "registers.h"

#define KVM_LEAF            0x40000000
#define KVM_FEATURES_LEAF   0x40000001
#define KVM_FEATURE_CLOCK   BIT(3) /* the MSRs below */
#define MSR_KVM_WALL_CLOCK  0x4b564d00
#define MSR_KVM_SYSTEM_TIME 0x4b564d01
#define SYSTEM_TIME_ON      BIT(0)
#define HYPERVISOR_PRESENT  BIT(31) /* CPUID 1, ecx */

struct wall_clock {
    u32 version, seconds, nanoseconds;
};

static struct kvm_time kvm_time aligned(64);     /* the machine writes it */
static struct wall_clock wall_clock aligned(64); /* the machine writes it */

static bool kvmclock_is_here(void)
{
    struct cpuid_result name;

    if (!(cpuid(1, 0).ecx & HYPERVISOR_PRESENT))
        return false;
    name = cpuid(KVM_LEAF, 0);
    return !memcmp(&name.ebx, "KVMK", 4) && !memcmp(&name.ecx, "VMKV", 4) &&
           !memcmp(&name.edx, "M\0\0\0", 4) && cpuid(KVM_FEATURES_LEAF, 0).eax & KVM_FEATURE_CLOCK;
}

/* What KVM says now. It writes at our next entry of the guest, before the write of the MSR ends. */
static struct kvm_time kvm_time_ask(void)
{
    struct kvm_time copy;

    msr_write(MSR_KVM_SYSTEM_TIME, kernel_image_phys(&kvm_time) | SYSTEM_TIME_ON);
    while (!kvm_time_copy(&copy, &kvm_time))
        cpu_relax();
    return copy;
}

u64 kvmclock_tsc_hz(void)
{
    struct kvm_time time;

    if (!kvmclock_is_here())
        return 0;
    time = kvm_time_ask();
    msr_write(MSR_KVM_SYSTEM_TIME, 0);
    return kvm_time_tsc_hz(time.tsc_to_ns_scale, time.tsc_shift);
}

void kvmclock_set_date(void)
{
    struct kvm_time time;
    u64 at_boot_ns, now_ns;

    if (!kvmclock_is_here())
        return;
    msr_write(MSR_KVM_WALL_CLOCK, kernel_image_phys(&wall_clock));
    at_boot_ns = READ_ONCE(wall_clock.seconds) * NS_PER_SECOND + READ_ONCE(wall_clock.nanoseconds);
    /* The date of the system time's 0: that clock says how long ago it was. */
    time = kvm_time_ask();
    if (cpu_count > 1 && !(time.flags & KVM_TIME_TSC_STABLE))
        log_warning("clock: the host does not promise that the CPUs' TSCs run together");
    now_ns = kvm_time_ns(&time, tsc_read());
    msr_write(MSR_KVM_SYSTEM_TIME, 0);
    if (at_boot_ns)
        clock_realtime_set(at_boot_ns + now_ns);
}
