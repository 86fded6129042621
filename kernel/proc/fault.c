/*
 * Faults of user programs become signals ("exceptional control flow": fault -> signal). The table
 * says which vector becomes which signal with which si_code; page faults come from vm/ with their
 * address, when no region could mend them.
 *
 * A fault's signal is forced (signal_send.c): the instruction would fault again at once, so it can
 * neither be blocked nor ignored, and goes to the thread that faulted. The vector, error code and
 * address go into the signal frame, where handlers look for them (sigcontext's trapno, err, cr2).
 *
 * RDTSC and its like, where the machine lets us catch them, are done for the program instead.
 *
 * Context: on the way in from user mode, interrupts on; nothing is locked.
 */
#include "internal.h"

#define CODE_OF_FPU 0 /* what fpu_codes makes of the FPU's registers */

struct fault {
    int signal, code;
    bool has_address; /* si_addr is the instruction; else 0 */
};

/* As Linux maps them (its x86 traps.c says so to programs by signal and code). */
static const struct fault faults[VECTOR_DEVICE_FIRST] = {
    [VECTOR_DIVIDE] = {SIGFPE, FPE_INTDIV, true},
    [VECTOR_DEBUG] = {SIGTRAP, TRAP_TRACE, true},
    [VECTOR_BREAKPOINT] = {SIGTRAP, SI_KERNEL, false},
    [VECTOR_OVERFLOW] = {SIGSEGV, SI_KERNEL, false},
    [VECTOR_BOUND] = {SIGSEGV, SI_KERNEL, false},
    [VECTOR_INVALID_OPCODE] = {SIGILL, ILL_ILLOPN, true},
    [VECTOR_INVALID_TSS] = {SIGSEGV, SI_KERNEL, false},
    [VECTOR_NO_SEGMENT] = {SIGBUS, SI_KERNEL, false},
    [VECTOR_STACK_FAULT] = {SIGBUS, SI_KERNEL, false},
    [VECTOR_PROTECTION] = {SIGSEGV, SI_KERNEL, false},
    [VECTOR_X87] = {SIGFPE, CODE_OF_FPU, true},
    [VECTOR_ALIGNMENT] = {SIGBUS, BUS_ADRALN, false},
    [VECTOR_SIMD] = {SIGFPE, CODE_OF_FPU, true},
};

/* The first that applies is told: an operation can raise several. */
static const struct {
    u32 exceptions;
    int code;
} fpu_codes[] = {
    {FPU_INVALID, FPE_FLTINV},   {FPU_DIVIDE, FPE_FLTDIV},
    {FPU_OVERFLOW, FPE_FLTOVF},  {FPU_UNDERFLOW | FPU_DENORMAL, FPE_FLTUND},
    {FPU_PRECISION, FPE_FLTRES},
};

static int fpu_code(u8 vector)
{
    u32 raised = user_fpu_exceptions(&thread_current()->user, vector);

    for (size_t i = 0; i < ARRAY_SIZE(fpu_codes); i++) {
        if (raised & fpu_codes[i].exceptions)
            return fpu_codes[i].code;
    }
    return FPE_FLTUNK;
}

static void fault_force(int signal, int code, u64 address)
{
    struct signal_info info;

    signal_info_init(&info, signal, code);
    memcpy(info.payload, &address, sizeof(address));
    signal_force(&info);
}

/* For the frame of a handler; original_rax holds the vector's error code here. */
static void note_fault(const struct trap_frame *frame, u64 vector, u64 address)
{
    struct thread_identity *identity = identity_current();

    identity->fault_trap_number = vector;
    identity->fault_error_code = (s64)frame->original_rax == -1 ? 0 : frame->original_rax;
    identity->fault_address = address;
}

static void fault_from_user(struct trap_frame *frame, u8 vector)
{
    const struct fault *fault = &faults[vector];
    int code = fault->code == CODE_OF_FPU ? fpu_code(vector) : fault->code;

    thread_current()->mode = THREAD_IN_TRAP;
    if (vector != VECTOR_PROTECTION || thread_current()->user.counter_reads == COUNTER_FAULTS ||
        !counter_read_emulated(frame)) {
        note_fault(frame, vector, 0);
        fault_force(fault->signal, code, fault->has_address ? frame->rip : 0);
    }
    thread_current()->mode = THREAD_IN_SYSTEM;
}

/* No memory at all is SIGKILL: a handler could not run either. */
static void page_fault_from_user(struct trap_frame *frame, const struct fault_signal *fault)
{
    note_fault(frame, VECTOR_PAGE_FAULT, fault->address);
    if (fault->signal == SIGKILL) {
        signal_send_current(SIGKILL); /* no memory, and nobody else to take it from */
        return;
    }
    fault_force(fault->signal, fault->code, fault->address);
}

void fault_signals_init(void)
{
    for (u32 vector = 0; vector < VECTOR_DEVICE_FIRST; vector++)
        if (faults[vector].signal)
            vector_register(vector, fault_from_user);
    fault_signal_register(page_fault_from_user);
}
