/*
 * NMIs: what is sent to a CPU that may not listen to anything else.
 *
 * A CPU gets one because another panicked, and stops; or because somebody wants to see its stack:
 * the watchdog, or a person outside (QEMU's `nmi` command, which goes to all CPUs). The reports of
 * several CPUs mix line by line; each begins with the CPU's number.
 *
 * Who asks waits for the answers to a limit: one that halts for a panic meanwhile never answers.
 *
 * Context: an NMI may strike anywhere, with any lock held, so the log waits for its own lock only
 * for a while (cpu->in_nmi). It allocates nothing and takes no other lock.
 */
#include <pith/core.h>

#include "panic.h"
#include "parts.h"

#define REPORT_LIMIT_NS (100 * NS_PER_MS)

static u64 report_wanted; /* [atomic] a bit for each CPU that is to show its stack */

static void log_caller(u64 return_address, void *argument)
{
    log_return_address(return_address);
}

static void stack_report(const struct trap_frame *frame)
{
    log_error("cpu %u: %s, flags %lx", cpu_current()->id,
              trap_frame_is_user(frame) ? "in user mode" : "in the kernel", frame->rflags);
    log_code_address(frame->rip);
    if (!trap_frame_is_user(frame))
        backtrace_walk(frame->rbp, frame->rsp, log_caller, NULL);
}

void stacks_report_others(void)
{
    u64 others = READ_ONCE(cpus_online) & ~BIT(cpu_current()->id);
    u64 limit = clock_monotonic_ns() + REPORT_LIMIT_NS;
    u32 id;

    __atomic_store_n(&report_wanted, others, __ATOMIC_RELEASE);
    cpu_for_each_online (id) {
        if (others & BIT(id))
            cpu_send_nmi(id);
    }
    while (__atomic_load_n(&report_wanted, __ATOMIC_ACQUIRE) && clock_monotonic_ns() < limit)
        cpu_relax();
}

static void nmi(struct trap_frame *frame, u8 vector)
{
    struct cpu *cpu = cpu_current();
    u64 own = BIT(cpu->id);
    bool interrupts_were_on =
        cpu->interrupts_were_on; /* a spinlock may be half taken or half let go */

    if (panic_stops_this_cpu())
        machine_halt_cpu();
    cpu->in_nmi = true;
    stack_report(frame);
    __atomic_fetch_and(&report_wanted, ~own, __ATOMIC_RELEASE);
    cpu->in_nmi = false;
    cpu->interrupts_were_on = interrupts_were_on;
}

void nmi_init(void)
{
    vector_register(VECTOR_NMI, nmi);
}
