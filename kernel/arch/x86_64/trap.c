/*
 * Traps: from a vector to whoever registered for it, and what is done on the way to user mode.
 *
 *     vector          kind        handler sees
 *     0 - 31          exception   user mode's; of the kernel's own only debug, page fault, NMI and
 *                                 machine check: others are a fixup of a user access, or a panic
 *     32 - 255        interrupt   both; is acknowledged, and deferred work runs after it
 *
 * A handler of exceptions may turn interrupts on (if they were on); they are off again after it.
 * original_rax is the error code while the handler runs and -1 after it, so that nobody takes the
 * frame for a system call's, which would be made again after a signal.
 *
 * The way to user mode is a loop, because each kind of work may make more of the next:
 *
 *     user_return (signals, preemption, stops)  interrupts on; changes the frame in any way
 *          | WORK_FRAME                         so the frame is checked behind it,
 *     user_frame_check                          whose protection fault is a signal: back to the top
 *          | nothing of those is left
 *     WORK_FPU                                  last, since a switch would take the registers away
 *
 * It ends with interrupts off and no bit set, and the test and the return are then one (entry.S).
 *
 * Locking: handlers are written at boot, before their vector can come; vectors_lock guards
 * vector_alloc, which gives a free one to a device that is found later.
 */
#include "trap.h"

#include <pith/core.h>

#include "apic.h"
#include "constants.h"
#include "registers.h"

/* What user mode may set for itself in the flags. */
#define USER_FLAGS                                                                       \
    (RFLAGS_CF | RFLAGS_PF | RFLAGS_AF | RFLAGS_ZF | RFLAGS_SF | RFLAGS_TF | RFLAGS_DF | \
     RFLAGS_OF | RFLAGS_RF | RFLAGS_AC | RFLAGS_ID)

static const char *const exception_names[VECTOR_DEVICE_FIRST] = {
    [VECTOR_DIVIDE] = "divide error",
    [VECTOR_DEBUG] = "debug",
    [VECTOR_NMI] = "NMI",
    [VECTOR_BREAKPOINT] = "breakpoint",
    [VECTOR_OVERFLOW] = "overflow",
    [VECTOR_BOUND] = "bound range",
    [VECTOR_INVALID_OPCODE] = "invalid opcode",
    [VECTOR_NO_FPU] = "no FPU",
    [VECTOR_DOUBLE_FAULT] = "double fault",
    [VECTOR_INVALID_TSS] = "invalid TSS",
    [VECTOR_NO_SEGMENT] = "segment not present",
    [VECTOR_STACK_FAULT] = "stack fault",
    [VECTOR_PROTECTION] = "general protection",
    [VECTOR_PAGE_FAULT] = "page fault",
    [VECTOR_X87] = "x87 error",
    [VECTOR_ALIGNMENT] = "alignment check",
    [VECTOR_MACHINE_CHECK] = "machine check",
    [VECTOR_SIMD] = "SIMD error",
};

/* The exceptions of the kernel itself that have handlers. */
#define KERNEL_EXCEPTIONS \
    (BIT(VECTOR_DEBUG) | BIT(VECTOR_NMI) | BIT(VECTOR_PAGE_FAULT) | BIT(VECTOR_MACHINE_CHECK))

static vector_handler *handlers[VECTORS];           /* [const] after they were registered */
static const char *vector_names[VECTORS];           /* [const] like them */
static DEFINE_PER_CPU(u32, vector_counts)[VECTORS]; /* [cpu] how often each came */
static struct spinlock vectors_lock = SPINLOCK_INIT(LOCK_LEAF);
static user_return_handler *user_return;

/* Read by entry.S at each system call. [const] after boot */
struct syscall_table syscall_table;

void vector_register(u8 vector, vector_handler *handler)
{
    handlers[vector] = handler;
}

u64 vector_count(u8 vector, u32 cpu)
{
    return READ_ONCE((*of_cpu(vector_counts, cpus[cpu]))[vector]);
}

const char *vector_device(u8 vector)
{
    return vector_names[vector];
}

int vector_alloc(const char *device, vector_handler *handler, u8 *vector_out)
{
    int error = -ENOSPC;

    spin_lock(&vectors_lock);
    for (u32 vector = VECTOR_DEVICE_FIRST; vector <= VECTOR_DEVICE_LAST; vector++) {
        if (handlers[vector])
            continue;
        handlers[vector] = handler;
        vector_names[vector] = device;
        *vector_out = vector;
        error = 0;
        break;
    }
    spin_unlock(&vectors_lock);
    return error;
}

void user_return_register(user_return_handler *handler)
{
    user_return = handler;
}

void syscall_register(const struct syscall_table *table)
{
    syscall_table = *table;
}

u64 fault_address(void)
{
    return cr2_read();
}

noreturn void trap_panic(struct trap_frame *frame, u64 vector)
{
    const char *name = exception_names[vector];

    if (vector == VECTOR_PAGE_FAULT)
        panic_at(frame, "page fault at %016lx, error code %lx", fault_address(),
                 frame->original_rax);
    panic_at(frame, "%s (vector %lu), error code %lx", name ? name : "exception", vector,
             frame->original_rax);
}

static void exception_of_kernel(struct trap_frame *frame, u64 vector)
{
    bool failing_access = vector == VECTOR_PAGE_FAULT && user_faults_fail();

    if (handlers[vector] && BIT(vector) & KERNEL_EXCEPTIONS && !failing_access) {
        handlers[vector](frame, vector);
        return;
    }
    /* An address that is not canonical raises general protection. */
    if ((vector == VECTOR_PAGE_FAULT || vector == VECTOR_PROTECTION) && fault_fixup(frame))
        return;
    /* A breakpoint register or a single step of user mode's that struck in the first entry code. */
    if (vector == VECTOR_DEBUG)
        return;
    trap_panic(frame, vector);
}

/*
 * What came in user mode has passed a quiet point of RCU, also if another interrupt comes on top of
 * it: only the outermost one says where we were.
 */
static void interrupt_dispatch(struct trap_frame *frame, u64 vector)
{
    struct cpu *cpu = cpu_current();

    (*this_cpu(vector_counts))[vector]++;
    if (vector == VECTOR_SPURIOUS)
        return;
    if (!cpu->in_interrupt)
        cpu->interrupted_user = trap_frame_is_user(frame);
    if (cpu->interrupted_user)
        rcu_quiescent();
    interrupt_enter();
    if (likely(handlers[vector]))
        handlers[vector](frame, vector);
    apic_acknowledge();
    interrupt_exit();
}

/*
 * From entry.S, with the vector and the frame; also for what user_frame_check finds. Interrupts are
 * off when it returns.
 */
void trap_dispatch(struct trap_frame *frame, u64 vector)
{
    if (vector >= VECTOR_DEVICE_FIRST) {
        interrupt_dispatch(frame, vector);
    } else if (!trap_frame_is_user(frame)) {
        exception_of_kernel(frame, vector);
    } else if (likely(handlers[vector])) {
        handlers[vector](frame, vector);
        frame->original_rax = -1;
    } else {
        trap_panic(frame, vector);
    }
    interrupts_disable();
}

/*
 * Makes a frame that was changed (by sigreturn, exec, a debugger, a signal handler's address) safe
 * for sysret and iret: neither may fault, nor give user mode more than it has. An instruction
 * pointer beyond user memory is the general protection fault that the jump would have been.
 */
static void user_frame_check(struct trap_frame *frame)
{
    frame->cs = USER_CS;
    frame->ss = USER_DS;
    frame->rflags = (frame->rflags & USER_FLAGS) | RFLAGS_FIXED | RFLAGS_IF;
    if (frame->rip < USER_END)
        return;
    frame->original_rax = 0;
    trap_dispatch(frame, VECTOR_PROTECTION);
    /* The signal's delivery gives it an instruction pointer, and comes back here. */
    assert(READ_ONCE(*thread_pending_work(thread_current())) & ~WORK_OF_ARCH);
}

/* Interrupts are off, and no work is pending when it returns. */
void user_return_work(struct trap_frame *frame)
{
    const u64 *pending = thread_pending_work(thread_current());
    u64 work;

    while ((work = READ_ONCE(*pending))) {
        if (work & ~WORK_OF_ARCH) {
            interrupts_enable();
            user_return(frame);
            interrupts_disable();
            /* It may have changed the frame in any way. */
            work_add(WORK_FRAME);
        } else if (work & WORK_FRAME) {
            work_remove(WORK_FRAME);
            user_frame_check(frame);
        } else {
            work_remove(WORK_FPU);
            fpu_restore();
        }
    }
}

void user_frame_enter(struct trap_frame *frame)
{
    work_add(WORK_FRAME);
    user_return_work(frame);
}
