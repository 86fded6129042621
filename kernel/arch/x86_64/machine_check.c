/*
 * Machine checks: the hardware found an error of its own. We say what it said, and stop.
 *
 * Nothing is recovered: which memory or thread an error belongs to differs from model to model, and
 * the host has its own handler, which reports a guest's bad memory by this exception. Each bank's
 * status, and address where there is one, is logged before the panic.
 *
 * Context: the exception, on its own stack, with any lock held; nothing that was running can be
 * trusted. in_nmi makes the log wait for its lock only for a while.
 */
#include <pith/core.h>

#include "features.h"
#include "registers.h"
#include "trap.h"

#define CPUID_1_EDX_MCA BIT(14)
#define MSR_MCG_CAP     0x179
#define MSR_MCG_STATUS  0x17a
#define MSR_MCG_CTL     0x17b
#define CAP_MCG_CTL     BIT(8) /* MSR_MCG_CTL is there */
#define MSR_MC0_CTL     0x400
#define MSR_MC0_STATUS  0x401
#define MSR_MC0_ADDRESS 0x402
#define MSR_BANK_STEP   4
#define STATUS_VALID    BIT(63)
#define STATUS_ADDRESS  BIT(58)
#define BANKS_OF(cap)   ((cap)&0xff)

static void machine_check(struct trap_frame *frame, u8 vector)
{
    u32 banks = BANKS_OF(msr_read(MSR_MCG_CAP));

    cpu_current()->in_nmi = true;
    for (u32 bank = 0; bank < banks; bank++) {
        u64 status = msr_read(MSR_MC0_STATUS + bank * MSR_BANK_STEP);

        if (!(status & STATUS_VALID))
            continue;
        log_error("machine check: bank %u, status %016lx, address %016lx", bank, status,
                  status & STATUS_ADDRESS ? msr_read(MSR_MC0_ADDRESS + bank * MSR_BANK_STEP) : 0);
    }
    panic_at(frame, "machine check, status %lx", msr_read(MSR_MCG_STATUS));
}

void machine_check_init_cpu(void)
{
    u64 capabilities;

    if (!(cpuid(1, 0).edx & CPUID_1_EDX_MCA))
        return;
    vector_register(VECTOR_MACHINE_CHECK, machine_check);
    capabilities = msr_read(MSR_MCG_CAP);
    /* KVM tells a guest of the host's bad memory only if this is set. */
    if (capabilities & CAP_MCG_CTL)
        msr_write(MSR_MCG_CTL, U64_MAX);
    for (u32 bank = 0; bank < BANKS_OF(capabilities); bank++) {
        msr_write(MSR_MC0_CTL + bank * MSR_BANK_STEP, U64_MAX);
        msr_write(MSR_MC0_STATUS + bank * MSR_BANK_STEP, 0); /* what it says is of before us */
    }
}
