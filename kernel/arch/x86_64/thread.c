/*
 * What the machine keeps of a thread: its kernel context, and the user registers that are not in
 * its trap frame (FS and GS bases; the FPU's are fpu.c's).
 *
 *     kernel stack of a thread that is switched out        of a user thread, at the very top
 *
 *     context.stack_pointer -> r15 r14 r13 r12 rbx rbp     struct trap_frame   <- kernel_stack_end
 *                              address to return to
 *
 * A new thread's stack is laid out as if it had called context_switch from context_begin. Room for
 * a trap frame is left above, also for a kernel thread: one of them becomes process 1.
 *
 * Where the CPU lets user mode write the bases (FSGSBASE), they are read back when the thread
 * leaves; elsewhere only user_context_set_* changes them and the saved ones are the truth. While
 * the kernel runs, the user's GS base lies in the MSR that swapgs exchanges.
 *
 * Invariant: the hardware's bases are those of user_context_current while a user thread runs; a
 * kernel thread (fpu_state NULL) leaves whatever is there, since it never reads them.
 * Locking: none: a context is its owner's, or whoever's switches from or to it.
 * Context: switches happen with interrupts off; what reads or writes the user's GS base switches
 * them off, for between its two swapgs the kernel has none of its own.
 */
#include <pith/core.h>

#include "constants.h"
#include "features.h"
#include "fpu.h"
#include "registers.h"
#include "trap.h"

DEFINE_PER_CPU(struct user_context *, user_context_current);

static u64 hardware_fs_base(void)
{
    u64 base;

    __asm__ volatile("rdfsbase %0" : "=r"(base));
    return base;
}

/* Interrupts are off. An NMI in between finds the user's GS, which its entry expects. */
static u64 hardware_user_gs_base(void)
{
    u64 base;

    __asm__ volatile("swapgs; rdgsbase %0; swapgs" : "=r"(base) : : "memory");
    return base;
}

static void hardware_set_fs_base(u64 base)
{
    if (cpu_has(FEATURE_FSGSBASE))
        __asm__ volatile("wrfsbase %0" : : "r"(base));
    else
        msr_write(MSR_FS_BASE, base);
}

static void hardware_set_user_gs_base(u64 base)
{
    if (cpu_has(FEATURE_FSGSBASE))
        __asm__ volatile("swapgs; wrgsbase %0; swapgs" : : "r"(base) : "memory");
    else
        msr_write(MSR_KERNEL_GS_BASE, base);
}

/* Brings the saved bases up to date. Interrupts are off. */
static void bases_save(struct user_context *context)
{
    if (!cpu_has(FEATURE_FSGSBASE) || !context->fpu_state)
        return; /* what is saved is true, or the thread has none */
    context->fs_base = hardware_fs_base();
    context->gs_base = hardware_user_gs_base();
}

/* The hardware's bases become the thread's. Interrupts are off. */
static void bases_load(const struct user_context *context)
{
    hardware_set_fs_base(context->fs_base);
    hardware_set_user_gs_base(context->gs_base);
}

void context_init(struct context *context, void *stack_end, void (*entry)(void *), void *argument)
{
    /* As context_switch pops them. */
    struct {
        u64 r15, r14, r13, r12, rbx, rbp, return_address, end_of_backtrace;
    } *saved = (void *)((u64)stack_end - sizeof(struct trap_frame) - sizeof(*saved));

    /* context_begin is entered by a return that leaves the stack aligned for a call. */
    saved = (void *)(ALIGN_DOWN((u64)saved, 16) - 8);
    memset(saved, 0, sizeof(*saved));
    saved->r12 = (u64)entry;
    saved->r13 = (u64)argument;
    saved->return_address = (u64)context_begin;
    context->stack_pointer = (u64)saved;
}

/* `deterministic` has CR4.TSD set always, and answers in clock.c. Interrupts are off. */
static void counter_load(const struct user_context *context)
{
    bool faults = context->counter_reads == COUNTER_FAULTS || deterministic;

    cr4_write((cr4_read() & ~(u64)CR4_TSD) | (faults ? CR4_TSD : 0));
}

/* The order matters to an NMI only: it may find any mixture, and touches none of it. */
void user_context_switch(struct user_context *from, struct user_context *to, void *stack_end)
{
    kernel_stack_set(stack_end);
    if (from && from->fpu_state) {
        bases_save(from);
        fpu_leave(from);
    }
    *this_cpu(user_context_current) = to;
    if (unlikely(to->counter_reads != (from ? from->counter_reads : COUNTER_IS_READ)))
        counter_load(to);
    if (to->fpu_state) {
        bases_load(to);
        work_add(WORK_FPU);
    }
}

void trap_frame_changed(void)
{
    work_add(WORK_FRAME);
}

void trap_frame_init_user(struct trap_frame *frame, u64 instruction_pointer, u64 stack_pointer)
{
    *frame = (struct trap_frame){
        .original_rax = -1,
        .rip = instruction_pointer,
        .cs = USER_CS,
        .rflags = RFLAGS_IF | RFLAGS_FIXED,
        .rsp = stack_pointer,
        .ss = USER_DS,
    };
    trap_frame_changed();
}

/* `to` is nobody's yet. The live registers go to `from` first, as the copy is of memory. */
int user_context_copy(struct user_context *to, struct user_context *from)
{
    u64 flags = interrupts_save_disable();

    bases_save(from);
    interrupts_restore(flags);
    to->fs_base = from->fs_base;
    to->gs_base = from->gs_base;
    to->counter_reads = from->counter_reads;
    return fpu_copy(to, from);
}

int user_context_init(struct user_context *context)
{
    return fpu_reset(context);
}

int user_context_reset(struct user_context *context)
{
    int error = fpu_reset(context);

    if (error)
        return error;
    user_context_set_fs(context, 0);
    user_context_set_gs(context, 0);
    return 0;
}

void user_context_free(struct user_context *context)
{
    fpu_free(context);
}

void user_context_set_fs(struct user_context *context, u64 base)
{
    u64 flags = interrupts_save_disable();

    context->fs_base = base;
    hardware_set_fs_base(base);
    interrupts_restore(flags);
}

void user_context_set_gs(struct user_context *context, u64 base)
{
    u64 flags = interrupts_save_disable();

    context->gs_base = base;
    hardware_set_user_gs_base(base);
    interrupts_restore(flags);
}

u64 user_context_fs(const struct user_context *context)
{
    return cpu_has(FEATURE_FSGSBASE) ? hardware_fs_base() : context->fs_base;
}

u64 user_context_gs(const struct user_context *context)
{
    u64 flags, base;

    if (!cpu_has(FEATURE_FSGSBASE))
        return context->gs_base;
    flags = interrupts_save_disable();
    base = hardware_user_gs_base();
    interrupts_restore(flags);
    return base;
}

void user_context_set_counter(struct user_context *context, enum counter_reads reads)
{
    u64 flags = interrupts_save_disable();

    context->counter_reads = reads;
    counter_load(context);
    interrupts_restore(flags);
}
