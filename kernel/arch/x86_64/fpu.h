/* FPU registers, for the rest of arch/; fpu.c. */
#pragma once

#include <pith/cpu.h>

/* How XSAVE (or FXSAVE) lays the registers out on this CPU. [const] after fpu_init */
struct fpu_layout {
    u64 components; /* bits of XCR0; 0: there is only FXSAVE */
    u32 bytes;
    u32 mxcsr_mask; /* bits of MXCSR that may be set */
};
extern struct fpu_layout fpu_layout;

#define XCR0_X87      BIT(0)
#define XCR0_SSE      BIT(1)
#define XCR0_AVX      BIT(2)
#define XCR0_AVX512   (BIT(5) | BIT(6) | BIT(7))
#define XCR0_FOR_USER (XCR0_X87 | XCR0_SSE | XCR0_AVX | XCR0_AVX512)

/*
 * Of the components that CPUID offers, those that we turn on. XSETBV takes AVX-512's three only
 * together, and only with AVX (SDM 1 "XCR0"). Others must not be on: AMX would want permissions,
 * and protection keys CR4.PKE.
 */
static inline u64 fpu_components_of(u64 offered)
{
    u64 components = offered & XCR0_FOR_USER;

    if (!(components & XCR0_AVX) || (components & XCR0_AVX512) != XCR0_AVX512)
        components &= ~XCR0_AVX512;
    return components;
}

/* The first 512 bytes, and XSAVE's header behind them (SDM 1 "FXSAVE Area", "XSAVE Header"). */
struct aligned(64) fpu_registers
{
    u16 control, status, tag, opcode;
    u64 instruction, data;
    u32 mxcsr, mxcsr_mask;
    u8 rest[432];
    u8 software[48]; /* ours in signal frames */
};
_Static_assert(sizeof(struct fpu_registers) == 512, "FXSAVE area");

struct xsave_header {
    u64 present, compacted;
    u64 reserved[6];
};

/* user_memory.c: what fpu_save_to_user and fpu_load_from_user do it with. Interrupts are off. */
int user_fpu_save_nofault(struct user_ptr to) must_check;
int user_fpu_load_nofault(struct user_ptr from) must_check;

DECLARE_PER_CPU(struct user_context *, user_context_current); /* [cpu] thread.c */

/* Brings the current thread's fpu_state up to date. */
void fpu_save(struct user_context *context);
/* The current thread's fpu_state was written: it is the truth now. */
void fpu_replaced(struct user_context *context);
/*
 * The current thread's registers, to and from the user's memory without a copy of ours between:
 * what signal frames want. -EFAULT: they are not in the registers, not all of that memory is there,
 * or what it holds cannot be loaded; then fpu_state is the way. There is XSAVE. After a failed load
 * the registers hold nothing.
 */
int fpu_save_to_user(struct user_context *context, struct user_ptr to) must_check;
int fpu_load_from_user(struct user_context *context, struct user_ptr from) must_check;
/* Gives the current thread the registers that a program starts with. */
void fpu_begin_anew(struct user_context *context);
/* The context's thread leaves this CPU; interrupts are off. */
void fpu_leave(struct user_context *context);
int fpu_reset(struct user_context *context) must_check;
int fpu_copy(struct user_context *to, struct user_context *from) must_check;
void fpu_free(struct user_context *context);
