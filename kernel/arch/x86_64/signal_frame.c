/*
 * Signal frames: how a handler is entered, and how sigreturn comes back.
 *
 * The layout is Linux's (its uapi asm/sigcontext.h and asm/ucontext.h; sigreturn(2)), because
 * programs read and change it: unwinders, garbage collectors, emulators.
 *
 *     stack before ->  +--------------------+
 *                      | 128 bytes red zone |  (psABI 3.2.2; none on the alternate stack)
 *                      | FPU state          |  64-byte aligned: XSAVE's standard format, then a
 *                      |                    |  magic number; uc.fpstate points here
 *                      | siginfo            |
 *                      | ucontext           |
 *     stack pointer -> | restorer           |  the handler's return address
 *                      +--------------------+
 *
 * The FPU state goes from the registers to the user's stack and back without a copy between, if the
 * pages are there; else, and for what the processor refuses to load, by way of the thread's own.
 * Each handler starts with the registers that a program starts with.
 *
 * What comes back from the user is hostile: the flags, segments and instruction pointer are checked
 * on the way to user mode (WORK_FRAME), the FPU state by the processor or here.
 *
 * Context: the thread itself, in a system call or on its way to user mode. Sleeps (user memory).
 */
#include "signal_frame.h"

#include <pith/abi/signal.h>
#include <pith/core.h>

#include "constants.h"
#include "fpu.h"

#define RED_ZONE_BYTES        128
#define SIGINFO_BYTES         128

#define UC_FP_XSTATE          1u
#define UC_SIGCONTEXT_SS      2u
#define UC_STRICT_RESTORE_SS  4u

#define XSAVE_ALIGNMENT       64
#define FXSAVE_ALIGNMENT      16

#define FP_XSTATE_MAGIC1      0x46505853u
#define FP_XSTATE_MAGIC2      0x46505845u
#define FP_XSTATE_MAGIC2_SIZE sizeof(u32)

struct signal_stack {
    u64 address;
    u32 flags, padding;
    u64 bytes;
};

struct signal_context {
    u64 r8, r9, r10, r11, r12, r13, r14, r15;
    u64 rdi, rsi, rbp, rbx, rdx, rax, rcx, rsp, rip, rflags;
    u16 cs, gs, fs, ss;
    u64 error_code, trap_number, old_mask, cr2;
    u64 fpu_state;
    u64 reserved[8];
};

/* The siginfo follows. */
struct user_signal_frame {
    u64 restorer;
    struct {
        u64 flags;
        u64 link;
        struct signal_stack stack;
        struct signal_context registers;
        u64 mask;
    } context;
};
_Static_assert(__builtin_offsetof(struct user_signal_frame, context.registers) == 48, "ucontext");
_Static_assert(sizeof(struct user_signal_frame) == 8 + 304, "rt_sigframe");
#define FRAME_BYTES (sizeof(struct user_signal_frame) + SIGINFO_BYTES)

/* What lies in fpu_registers.software: Linux's struct _fpx_sw_bytes. */
struct fpu_software {
    u32 magic1;
    u32 extended_size; /* with the second magic number */
    u64 components;
    u32 size;
    u32 padding[7];
};

/* What stands around the FPU state in each frame. [const] after signal_frame_init */
static struct {
    struct fpu_software software;
    struct xsave_header header; /* XSAVE leaves all but `present` as it is */
} fpu_words;
/* Up to where XRSTOR looks: in the standard form it ignores the rest (SDM 2D "XRSTOR"). */
#define FPU_WORDS_BYTES __builtin_offsetof(__typeof__(fpu_words), header.reserved[1])
static const u32 fpu_end_word = FP_XSTATE_MAGIC2;

u64 signal_stack_min;

/* AT_MINSIGSTKSZ: the most that a frame takes, with the gaps that alignment can leave. */
void signal_frame_init(void)
{
    if (fpu_layout.components)
        fpu_words.software = (struct fpu_software){
            .magic1 = FP_XSTATE_MAGIC1,
            .extended_size = fpu_layout.bytes + FP_XSTATE_MAGIC2_SIZE,
            .components = fpu_layout.components,
            .size = fpu_layout.bytes,
        };
    signal_stack_min =
        FRAME_BYTES + RED_ZONE_BYTES + 64 + 16 + fpu_layout.bytes + FP_XSTATE_MAGIC2_SIZE;
}

static void registers_to_context(struct signal_context *context, const struct trap_frame *frame)
{
    context->r8 = frame->r8;
    context->r9 = frame->r9;
    context->r10 = frame->r10;
    context->r11 = frame->r11;
    context->r12 = frame->r12;
    context->r13 = frame->r13;
    context->r14 = frame->r14;
    context->r15 = frame->r15;
    context->rdi = frame->rdi;
    context->rsi = frame->rsi;
    context->rbp = frame->rbp;
    context->rbx = frame->rbx;
    context->rdx = frame->rdx;
    context->rax = frame->rax;
    context->rcx = frame->rcx;
    context->rsp = frame->rsp;
    context->rip = frame->rip;
    context->rflags = frame->rflags;
    context->cs = frame->cs;
    context->gs = context->fs = 0;
    context->ss = frame->ss;
    memset(context->reserved, 0, sizeof(context->reserved));
}

static void registers_from_context(struct trap_frame *frame, const struct signal_context *context)
{
    frame->r8 = context->r8;
    frame->r9 = context->r9;
    frame->r10 = context->r10;
    frame->r11 = context->r11;
    frame->r12 = context->r12;
    frame->r13 = context->r13;
    frame->r14 = context->r14;
    frame->r15 = context->r15;
    frame->rdi = context->rdi;
    frame->rsi = context->rsi;
    frame->rbp = context->rbp;
    frame->rbx = context->rbx;
    frame->rdx = context->rdx;
    frame->rax = context->rax;
    frame->rcx = context->rcx;
    frame->rsp = context->rsp;
    frame->rip = context->rip;
    frame->rflags = context->rflags;
    frame->original_rax = -1;
}

static int fpu_push_copy(struct user_context *context, struct user_ptr to)
{
    struct fpu_registers *registers = context->fpu_state;

    fpu_save(context);
    memcpy(registers->software, &fpu_words.software, sizeof(registers->software));
    return copy_out(to, registers, fpu_layout.bytes);
}

/* Writes the FPU state to the user's stack, with the words by which programs know its format. */
static int fpu_push(struct user_context *context, struct user_ptr to)
{
    if (!fpu_layout.components)
        return fpu_push_copy(context, to);
    if (copy_out(user_ptr_add(to, __builtin_offsetof(struct fpu_registers, software)), &fpu_words,
                 FPU_WORDS_BYTES) ||
        (fpu_save_to_user(context, to) && fpu_push_copy(context, to)))
        return -EFAULT;
    return copy_out(user_ptr_add(to, fpu_layout.bytes), &fpu_end_word, sizeof(fpu_end_word));
}

/* Where the frame and the FPU state go: below the stack pointer, or on the alternate stack. */
static struct user_ptr frame_place(const struct trap_frame *frame,
                                   const struct signal_delivery *delivery, struct user_ptr *fpu_out)
{
    u64 at = frame->rsp - RED_ZONE_BYTES;

    if (delivery->on_alternate_stack)
        at = delivery->alternate_stack + delivery->alternate_stack_size;
    at -= fpu_layout.bytes + (fpu_layout.components ? FP_XSTATE_MAGIC2_SIZE : 0);
    at = ALIGN_DOWN(at, 64ul);
    *fpu_out = user_ptr_at(at);
    /* At a function's first instruction the stack is 8 off 16 (psABI 3.2.2). */
    return user_ptr_at(ALIGN_DOWN(at - FRAME_BYTES, 16ul) - 8);
}

/* Whether a frame at `at` would reach below the alternate stack, which it is to lie on. */
static bool alternate_stack_is_full(const struct signal_delivery *delivery, struct user_ptr at)
{
    return (delivery->on_alternate_stack || (delivery->alternate_stack_flags & SS_ONSTACK)) &&
           at.address - delivery->alternate_stack - 1 >= delivery->alternate_stack_size;
}

/*
 * Writes all of the frame before a register changes, so a stack that cannot be written leaves the
 * thread as it was, for the SIGSEGV that follows.
 */
int signal_frame_push(struct trap_frame *frame, const struct signal_delivery *delivery)
{
    struct user_context *context = *this_cpu(user_context_current);
    struct user_signal_frame out; /* every field is set: the user must not see our stack */
    struct user_ptr fpu_at;
    struct user_ptr at = frame_place(frame, delivery, &fpu_at);
    struct user_ptr siginfo_at = user_ptr_add(at, sizeof(out));

    if (alternate_stack_is_full(delivery, at))
        return -EFAULT;
    out.restorer = delivery->restorer;
    out.context.flags = UC_SIGCONTEXT_SS | UC_STRICT_RESTORE_SS;
    if (fpu_layout.components)
        out.context.flags |= UC_FP_XSTATE;
    out.context.link = 0;
    out.context.stack = (struct signal_stack){
        .address = delivery->alternate_stack,
        .flags = delivery->alternate_stack_flags,
        .bytes = delivery->alternate_stack_size,
    };
    registers_to_context(&out.context.registers, frame);
    out.context.registers.trap_number = delivery->trap_number;
    out.context.registers.error_code = delivery->error_code;
    out.context.registers.cr2 = delivery->fault_address;
    out.context.registers.old_mask = delivery->mask;
    out.context.registers.fpu_state = fpu_at.address;
    out.context.mask = delivery->mask;
    if (fpu_push(context, fpu_at) || copy_out(at, &out, sizeof(out)) ||
        copy_out(siginfo_at, delivery->siginfo, SIGINFO_BYTES))
        return -EFAULT;

    fpu_begin_anew(context);
    frame->rdi = delivery->signal;
    frame->rsi = siginfo_at.address;
    frame->rdx = at.address + __builtin_offsetof(struct user_signal_frame, context);
    frame->rax = 0;
    frame->rip = delivery->handler;
    frame->rsp = at.address;
    frame->rflags &= ~(u64)(RFLAGS_DF | RFLAGS_RF | RFLAGS_TF);
    trap_frame_changed();
    return 0;
}

/* How much of the user's FPU state is there: all of ours, or only what FXSAVE knows. */
static u32 fpu_size_in_frame(struct user_ptr from)
{
    struct fpu_software software;
    u32 end_word;

    if (!fpu_layout.components ||
        copy_in(&software, user_ptr_add(from, __builtin_offsetof(struct fpu_registers, software)),
                __builtin_offsetof(struct fpu_software, padding)) ||
        software.magic1 != FP_XSTATE_MAGIC1 || software.size != fpu_layout.bytes ||
        copy_in(&end_word, user_ptr_add(from, software.size), sizeof(end_word)) ||
        end_word != FP_XSTATE_MAGIC2)
        return sizeof(struct fpu_registers);
    return fpu_layout.bytes;
}

/* Whether XRSTOR would load a state that a program wrote (SDM 2D "XRSTOR", its exceptions). */
static bool fpu_state_is_loadable(const struct fpu_registers *registers, u32 bytes)
{
    const struct xsave_header *header = (const struct xsave_header *)(registers + 1);

    if (registers->mxcsr & ~fpu_layout.mxcsr_mask)
        return false;
    return bytes == sizeof(*registers) ||
           !(header->present & ~fpu_layout.components || header->compacted || header->reserved[0]);
}

/* Takes the state by way of the thread's own. -EFAULT: it is not there, or cannot be loaded. */
static int fpu_pop_copy(struct user_context *context, struct user_ptr from, u32 bytes)
{
    struct fpu_registers *registers = context->fpu_state;

    fpu_replaced(context); /* first: a switch while we copy must not overwrite the state */
    if (copy_in(registers, from, bytes) || !fpu_state_is_loadable(registers, bytes)) {
        (void)!fpu_reset(context);
        return -EFAULT;
    }
    if (fpu_layout.components && bytes == sizeof(*registers))
        *(struct xsave_header *)(registers + 1) =
            (struct xsave_header){.present = XCR0_X87 | XCR0_SSE};
    return 0;
}

static int fpu_pop(struct user_context *context, struct user_ptr from)
{
    u32 bytes;

    if (user_ptr_is_null(from))
        return fpu_reset(context);
    if (from.address % (fpu_layout.components ? XSAVE_ALIGNMENT : FXSAVE_ALIGNMENT))
        return -EFAULT; /* as XRSTOR and FXRSTOR would say */
    bytes = fpu_size_in_frame(from);
    if (bytes > sizeof(struct fpu_registers) && !fpu_load_from_user(context, from))
        return 0;
    return fpu_pop_copy(context, from, bytes);
}

int signal_frame_pop(struct trap_frame *frame, struct signal_return *return_out)
{
    struct user_context *context = *this_cpu(user_context_current);
    struct user_signal_frame in;
    /* The handler's return took the restorer off the stack. */
    struct user_ptr at = user_ptr_at(frame->rsp - sizeof(in.restorer));
    int error;

    error = copy_in(&in, at, sizeof(in));
    if (error)
        return error;
    error = fpu_pop(context, user_ptr_at(in.context.registers.fpu_state));
    if (error)
        return error;
    registers_from_context(frame, &in.context.registers);
    trap_frame_changed();
    *return_out = (struct signal_return){
        .mask = in.context.mask,
        .alternate_stack = in.context.stack.address,
        .alternate_stack_size = in.context.stack.bytes,
        .alternate_stack_flags = in.context.stack.flags,
    };
    return 0;
}
