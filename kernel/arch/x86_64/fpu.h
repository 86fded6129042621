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

DECLARE_PER_CPU(struct user_context *, user_context_current); /* [cpu] thread.c */

/* Brings the current thread's fpu_state up to date. */
void fpu_save(struct user_context *context);
/* The current thread's fpu_state was written: it is the truth now. */
void fpu_replaced(struct user_context *context);
/* The context's thread leaves this CPU; interrupts are off. */
void fpu_leave(struct user_context *context);
int fpu_reset(struct user_context *context) must_check;
int fpu_copy(struct user_context *to, struct user_context *from) must_check;
void fpu_free(struct user_context *context);
