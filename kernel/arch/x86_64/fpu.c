/*
 * The FPU registers (x87, SSE, AVX, AVX-512) of user threads. The kernel itself never uses them.
 *
 * A thread that leaves its CPU has its registers saved; they come back only on the way to user
 * mode (WORK_FPU), so a thread that just runs through the kernel costs nothing, and nothing comes
 * back at all if they are still there: fpu_owner says whose registers a CPU holds, and the context
 * says which CPU that was.
 *
 *     fpu_live                                 the registers are the truth, fpu_state is old
 *     !fpu_live, owner and loaded_cpu agree    both are equal
 *     else                                     fpu_state is the truth, WORK_FPU is pending
 *
 * fpu_state has XSAVE's standard format (SDM 1 "Standard Form"), which is also what signal frames
 * hold. Without XSAVE it is FXSAVE's 512 bytes.
 *
 * Locking: none: a context's owner, or whoever switches from or to it, with interrupts off.
 */
#include "fpu.h"

#include <pith/core.h>

#include "constants.h"
#include "features.h"
#include "registers.h"
#include "trap.h"

#define XSAVE_LEAF        0xd
#define FXSAVE_BYTES      512
#define XSAVE_HEADER_AT   FXSAVE_BYTES
#define XSAVE_HEADER_SIZE 64
#define FPU_CONTROL       0x37f /* all exceptions masked, extended precision (psABI 3.2.1) */
#define MXCSR_DEFAULT     0x1f80
#define MXCSR_MASKS_SHIFT 7 /* above the flags: a mask bit for each */
#define FPU_EXCEPTIONS    0x3f
#define MXCSR_MASK        0xffbf /* where the processor does not say: no denormals-are-zeros */

#define LEAF_VENDOR       0
#define LEAF_SIZES        0x80000008
#define SAVES_POINTERS    BIT(2) /* LEAF_SIZES, ebx: AMD's RstrFpErrPtrs */

struct fpu_layout fpu_layout = {.bytes = FXSAVE_BYTES, .mxcsr_mask = MXCSR_MASK};

static DEFINE_PER_CPU(struct user_context *, fpu_owner); /* [cpu] */
static struct fpu_registers boot_registers;              /* for fpu_init: the MXCSR's mask */
/* What a program starts with: no component is present but these settings. */
static const struct {
    struct fpu_registers registers;
    struct xsave_header header;
} initial = {.registers = {.control = FPU_CONTROL, .mxcsr = MXCSR_DEFAULT}};
static bool pointers_stay; /* [const] after fpu_init */
static void *(*state_alloc)(void);
static void (*state_free)(void *state);

void fpu_memory_register(void *(*alloc)(void), void (*free)(void *state))
{
    state_alloc = alloc;
    state_free = free;
}

size_t fpu_state_bytes(void)
{
    return fpu_layout.bytes;
}

void fpu_init_cpu(void)
{
    cr0_write((cr0_read() & ~(u64)(CR0_EM | CR0_TS)) | CR0_MP | CR0_NE);
    if (cpu_has(FEATURE_XSAVE))
        __asm__ volatile("xsetbv"
                         :
                         : "c"(0), "a"((u32)fpu_layout.components),
                           "d"((u32)(fpu_layout.components >> 32)));
}

/*
 * Whether saving and restoring passes over the addresses of x87's last instruction and operand
 * unless an exception is pending, as AMD's do before Zen (APM 2 "FXSAVE and FXRSTOR Instructions").
 */
static bool pointers_are_left(void)
{
    struct cpuid_result vendor = cpuid(LEAF_VENDOR, 0);

    return memcmp(&vendor.ebx, "Genu", 4) && !(cpuid(LEAF_SIZES, 0).ebx & SAVES_POINTERS);
}

void fpu_init(void)
{
    pointers_stay = pointers_are_left();
    if (cpu_has(FEATURE_XSAVE)) {
        struct cpuid_result components = cpuid(XSAVE_LEAF, 0);

        fpu_layout.components = fpu_components_of((u64)components.edx << 32 | components.eax);
        fpu_init_cpu();
        fpu_layout.bytes = cpuid(XSAVE_LEAF, 0).ebx; /* for the components that are on */
    } else {
        fpu_init_cpu();
    }
    __asm__ volatile("fxsave64 %0" : "=m"(boot_registers));
    if (boot_registers.mxcsr_mask)
        fpu_layout.mxcsr_mask = boot_registers.mxcsr_mask;
}

static void registers_save(void *state)
{
    u32 low = (u32)fpu_layout.components, high = (u32)(fpu_layout.components >> 32);

    if (cpu_has(FEATURE_XSAVEOPT))
        __asm__ volatile("xsaveopt64 (%0)" : : "r"(state), "a"(low), "d"(high) : "memory");
    else if (cpu_has(FEATURE_XSAVE))
        __asm__ volatile("xsave64 (%0)" : : "r"(state), "a"(low), "d"(high) : "memory");
    else
        __asm__ volatile("fxsave64 (%0)" : : "r"(state) : "memory");
}

/* Overwrites the addresses that the next thread would find of the one before. */
static void pointers_overwrite(void)
{
    static const u32 operand;

    __asm__ volatile("fnclex; emms; fildl %0" : : "m"(operand));
}

static void registers_load(const void *state)
{
    u32 low = (u32)fpu_layout.components, high = (u32)(fpu_layout.components >> 32);

    if (pointers_stay)
        pointers_overwrite();

    if (cpu_has(FEATURE_XSAVE))
        __asm__ volatile("xrstor64 (%0)" : : "r"(state), "a"(low), "d"(high) : "memory");
    else
        __asm__ volatile("fxrstor64 (%0)" : : "r"(state) : "memory");
}

/*
 * Whether this CPU's registers are, or equal, those of `context`. Both must agree: the context may
 * have run elsewhere since (its loaded_cpu differs), another may have run here (the owner differs),
 * and a freed context's memory may be another's now (its loaded_cpu is none).
 */
static bool registers_are_of(const struct user_context *context)
{
    return *this_cpu(fpu_owner) == context && context->fpu_loaded_cpu == cpu_current()->id;
}

void fpu_save(struct user_context *context)
{
    u64 flags = interrupts_save_disable();

    if (context->fpu_live) {
        registers_save(context->fpu_state);
        context->fpu_live = false;
        work_add(WORK_FPU);
    }
    interrupts_restore(flags);
}

void fpu_replaced(struct user_context *context)
{
    u64 flags = interrupts_save_disable();

    context->fpu_live = false;
    context->fpu_loaded_cpu = CPU_NONE;
    work_add(WORK_FPU);
    interrupts_restore(flags);
}

/* No restore is owed for it: user_context_switch asks for one whenever it comes to a thread. */
void fpu_leave(struct user_context *context)
{
    if (!context->fpu_live)
        return;
    registers_save(context->fpu_state);
    context->fpu_live = false;
}

/* This CPU's registers are the thread's from now on. Interrupts are off. */
static void registers_now_of(struct user_context *context)
{
    *this_cpu(fpu_owner) = context;
    context->fpu_loaded_cpu = cpu_current()->id;
    context->fpu_live = true;
}

void fpu_restore(void)
{
    struct user_context *context = *this_cpu(user_context_current);

    if (!registers_are_of(context))
        registers_load(context->fpu_state);
    registers_now_of(context);
}

int fpu_save_to_user(struct user_context *context, struct user_ptr to)
{
    u64 flags = interrupts_save_disable();
    int error = context->fpu_live ? user_fpu_save_nofault(to) : -EFAULT;

    interrupts_restore(flags);
    return error;
}

int fpu_load_from_user(struct user_context *context, struct user_ptr from)
{
    u64 flags = interrupts_save_disable();
    int error;

    if (pointers_stay)
        pointers_overwrite();
    error = user_fpu_load_nofault(from);
    if (error) {
        *this_cpu(fpu_owner) = NULL;
        context->fpu_live = false;
    } else {
        registers_now_of(context);
    }
    interrupts_restore(flags);
    return error;
}

void fpu_begin_anew(struct user_context *context)
{
    u64 flags = interrupts_save_disable();

    registers_load(&initial);
    registers_now_of(context);
    interrupts_restore(flags);
}

u32 user_fpu_exceptions(struct user_context *context, u8 vector)
{
    const struct fpu_registers *registers = context->fpu_state;

    fpu_save(context);
    if (vector == VECTOR_X87)
        return registers->status & ~registers->control & FPU_EXCEPTIONS;
    return registers->mxcsr & ~(registers->mxcsr >> MXCSR_MASKS_SHIFT) & FPU_EXCEPTIONS;
}

static void state_reset(void *state)
{
    memset(state, 0, fpu_layout.bytes);
    memcpy(state, &initial.registers, sizeof(initial.registers));
}

int fpu_reset(struct user_context *context)
{
    if (!context->fpu_state) {
        context->fpu_state = state_alloc();
        if (!context->fpu_state)
            return -ENOMEM;
    }
    state_reset(context->fpu_state);
    fpu_replaced(context);
    return 0;
}

/* Also for a child of a kernel thread, which has no registers: then it starts anew. */
int fpu_copy(struct user_context *to, struct user_context *from)
{
    to->fpu_state = state_alloc();
    if (!to->fpu_state)
        return -ENOMEM;
    to->fpu_live = false;
    to->fpu_loaded_cpu = CPU_NONE;
    if (!from->fpu_state) {
        state_reset(to->fpu_state);
        return 0;
    }
    fpu_save(from);
    memcpy(to->fpu_state, from->fpu_state, fpu_layout.bytes);
    return 0;
}

void fpu_free(struct user_context *context)
{
    if (context->fpu_state)
        state_free(context->fpu_state);
    context->fpu_state = NULL;
    context->fpu_live = false;
}
