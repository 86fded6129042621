/*
 * The page fault's vector: who faulted where, and what becomes of it when it cannot be mended.
 *
 *     user mode            mended, or a signal
 *     a user copy          mended, or the copy's fixup (-EFAULT)
 *     the kernel itself    panic
 *
 * A kernel address faults only by a bug. A user address is touched by the kernel in the copy
 * routines only, whose instructions have fixups; so a fault of any other instruction is a bug even
 * if the page could be mended (SMAP stops it there).
 *
 * Context: interrupts are off at the start; on while a fault is mended, if they were on before.
 */
#include <pith/abi/signal.h>
#include <pith/core.h>

#include "internal.h"

#define RFLAGS_INTERRUPTS BIT(9)

static void (*raise_hook)(struct trap_frame *frame,
                          const struct fault_signal *signal); /* [const] after boot */

void fault_signal_register(void (*raise)(struct trap_frame *frame,
                                         const struct fault_signal *signal))
{
    raise_hook = raise;
}

static u32 access_of_code(u64 code)
{
    if (code & FAULT_FETCH)
        return REGION_EXECUTE;
    return code & FAULT_WRITE ? REGION_WRITE : REGION_READ;
}

/* An address that is no user memory never has a region. */
static int mend(u64 address, u64 code)
{
    struct thread *thread = thread_current();
    u8 mode = thread->mode;
    int error;

    if (!thread->space || address >= USER_END)
        return -EFAULT;
    thread->mode = THREAD_IN_FAULT;
    error = fault_resolve(thread->space, address, access_of_code(code), code);
    thread->mode = mode;
    return error;
}

/*
 * SEGV_MAPERR: no region; SEGV_ACCERR: one that forbids it; BUS_ADRERR: a file that is too short or
 * cannot be read.
 */
static struct fault_signal signal_for(int error, u64 address)
{
    switch (error) {
    case -EACCES:
        return (struct fault_signal){SIGSEGV, SEGV_ACCERR, address};
    case -EFAULT:
        return (struct fault_signal){SIGSEGV, SEGV_MAPERR, address};
    case -ENOMEM:
        return (struct fault_signal){SIGKILL, 0, address};
    default:
        return (struct fault_signal){SIGBUS, BUS_ADRERR, address};
    }
}

static void fault_of_user(struct trap_frame *frame, u64 address, u64 code)
{
    struct fault_signal signal;
    int error;

    interrupts_enable();
    error = mend(address, code);
    if (likely(!error))
        return;
    /* Who is being ended has failed his allocation, and hears of it again. */
    if (error == -ENOMEM && !address_space_is_doomed(thread_current()->space))
        log_warning("out of memory, and nobody to end but who asked for it");
    signal = signal_for(error, address);
    raise_hook(frame, &signal);
}

/*
 * A copy under a spinlock cannot wait for a page: it takes its fixup, and its caller touches the
 * page without the lock and tries again.
 */
static void fault_of_kernel(struct trap_frame *frame, u64 address, u64 code)
{
    u64 instruction = frame->rip;

    if (!fault_fixup(frame) || (code & FAULT_RESERVED))
        panic_at(frame, "page fault at %016lx, error code %lx", address, code);
    if (!(frame->rflags & RFLAGS_INTERRUPTS))
        return; /* under a spinlock: it takes the fixup */
    interrupts_enable();
    if (!mend(address, code))
        frame->rip = instruction;
}

static void page_fault(struct trap_frame *frame, u8 vector)
{
    u64 address = fault_address(), code = frame->original_rax;

    trace_event(TRACE_FAULT, address);
    if (likely(trap_frame_is_user(frame) && !(code & FAULT_RESERVED)))
        fault_of_user(frame, address, code);
    else
        fault_of_kernel(frame, address, code);
}

void page_fault_init(void)
{
    vector_register(VECTOR_PAGE_FAULT, page_fault);
}
