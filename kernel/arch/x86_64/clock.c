/*
 * The monotonic clock and this CPU's timer interrupt: the TSC, scaled to nanoseconds.
 *
 *     ns = tsc * clock_scale / 2^32
 *
 * All CPUs' TSCs run together: one that does not is left out (smp.c). Their rate is what the
 * hypervisor or the CPU says; where neither does (QEMU without KVM), it is measured against the
 * APIC's timer, in a quarter of a millisecond, or as long as a busy host needs for the readings of
 * both to lie close together. The timer interrupt is the TSC deadline where the CPU has
 * it, else the APIC's own timer, which may ring early for what lies beyond its range; whoever
 * handles VECTOR_TIMER looks at the clock and sets it anew.
 *
 * Under `deterministic` the time that the machine waits for its host is taken out of the clock
 * (clock_hide): the TSC goes on, what we say does not. Programs then ask us rather than the TSC:
 * the vDSO makes system calls, and RDTSC in user mode is a fault (CR4.TSD) that we answer.
 *
 * Context: any, once clock_init has run; before that the clock stands at 0.
 */
#include "clock.h"

#include <pith/arithmetic.h>
#include <pith/core.h>
#include <pith/vdso.h>

#include "apic.h"
#include "features.h"
#include "kvmclock.h"

#define CALIBRATION_TICKS 250000u   /* of the APIC's timer: 250 us */
#define CALIBRATION_MOST  16000000u /* where the host is so busy that this is not precise */
#define CALIBRATION_TRIES 8
#define CALIBRATION_PARTS 2000    /* how often the readings' width must fit in what is measured */
#define HYPERVISOR_BIT    BIT(31) /* CPUID 1, ecx */
#define HYPERVISOR_LEAF   0x40000000
#define HYPERVISOR_TSC    0x40000010 /* eax: kHz (VMware's and KVM's) */
#define CRYSTAL_LEAF      0x15
#define SCALE_SHIFT       32

u64 tsc_hz;
u64 clock_scale;       /* 0: not known yet */
static u64 hidden_tsc; /* `deterministic`, so one CPU's: ticks that did not happen */

static struct vdso_data boot_vdso_data;
struct vdso_data *vdso_data = &boot_vdso_data;

u64 clock_monotonic_ns(void)
{
    return (u64)((unsigned __int128)(tsc_read_ordered() - hidden_tsc) * clock_scale >> SCALE_SHIFT);
}

void clock_hide(u64 tsc_ticks)
{
    hidden_tsc += tsc_ticks;
}

bool counter_read_emulated(struct trap_frame *frame)
{
    static const u8 rdtsc[] = {0x0f, 0x31}, rdtscp[] = {0x0f, 0x01, 0xf9};
    u64 now = tsc_read() - hidden_tsc;
    u8 code[sizeof(rdtscp)];

    if (!deterministic || copy_in(code, user_ptr_at(frame->rip), sizeof(rdtsc)))
        return false;
    if (memcmp(code, rdtsc, sizeof(rdtsc)) == 0) {
        frame->rip += sizeof(rdtsc);
    } else if (copy_in(code, user_ptr_at(frame->rip), sizeof(rdtscp)) == 0 &&
               memcmp(code, rdtscp, sizeof(rdtscp)) == 0) {
        frame->rip += sizeof(rdtscp);
        frame->rcx = 0; /* the only CPU's number */
    } else {
        return false;
    }
    frame->rax = (u32)now;
    frame->rdx = now >> 32;
    return true;
}

/*
 * The tick of a moment, rounded down: an interrupt may come a little early, and who handles it
 * looks.
 */
static u64 tsc_at_ns(u64 ns)
{
    return multiply_divide(ns, 1ul << SCALE_SHIFT, clock_scale) + hidden_tsc;
}

/* A moment of both clocks. The narrower the two TSC readings, the less was in between. */
struct moment {
    u64 tsc;
    u64 width; /* between the two TSC readings around that of the timer */
    u32 timer;
};

static struct moment moment_take(void)
{
    struct moment best = {.width = U64_MAX};

    for (int i = 0; i < CALIBRATION_TRIES; i++) {
        u64 before = tsc_read();
        u32 timer = apic_timer_left();
        u64 width = tsc_read() - before;

        if (width < best.width)
            best = (struct moment){before + width / 2, width, timer};
    }
    return best;
}

static u64 tsc_hz_measured(void)
{
    u32 ticks = CALIBRATION_TICKS;
    struct moment start, end;

    apic_timer_start(~0u);
    start = moment_take();
    for (;; ticks *= 2) {
        while (start.timer - apic_timer_left() < ticks)
            cpu_relax();
        end = moment_take();
        if ((start.width + end.width) * CALIBRATION_PARTS <= end.tsc - start.tsc ||
            ticks >= CALIBRATION_MOST)
            break;
    }
    apic_timer_start(0);
    return multiply_divide(end.tsc - start.tsc, APIC_TIMER_HZ, start.timer - end.timer);
}

static u64 tsc_hz_told(void)
{
    struct cpuid_result crystal = cpuid(CRYSTAL_LEAF, 0);

    if (cpuid(1, 0).ecx & HYPERVISOR_BIT && cpuid(HYPERVISOR_LEAF, 0).eax >= HYPERVISOR_TSC)
        return cpuid(HYPERVISOR_TSC, 0).eax * 1000ul;
    if (crystal.eax && crystal.ebx && crystal.ecx)
        return (u64)crystal.ecx * crystal.ebx / crystal.eax;
    return 0;
}

/* Who says the rate counts in this order: KVM's clock, the hypervisor, the CPU, a measurement. */
void clock_init(void)
{
    tsc_hz = kvmclock_tsc_hz();
    if (!tsc_hz)
        tsc_hz = tsc_hz_told();
    if (!tsc_hz)
        tsc_hz = tsc_hz_measured();
    clock_scale = (NS_PER_SECOND << SCALE_SHIFT) / tsc_hz;
    vdso_data->clock_scale = deterministic ? 0 : clock_scale;
    vdso_data->has_rdtscp = cpu_has(FEATURE_RDTSCP);
    clock_init_cpu();
}

void clock_init_cpu(void)
{
    if (cpu_has(FEATURE_TSC_DEADLINE))
        apic_timer_use_deadline();
}

/*
 * One that has passed rings at once. The APIC's timer reaches 4.3 seconds; then it rings in vain,
 * and is set again.
 */
void timer_interrupt_set(u64 deadline_ns)
{
    u64 now;

    if (cpu_has(FEATURE_TSC_DEADLINE)) {
        apic_timer_deadline(deadline_ns == U64_MAX ? 0 : MAX(tsc_at_ns(deadline_ns), 1ul));
        return;
    }
    now = clock_monotonic_ns();
    if (deadline_ns == U64_MAX)
        apic_timer_start(0);
    else
        apic_timer_start(deadline_ns > now ? MIN(deadline_ns - now, (u64)U32_MAX) : 1);
}
