/*
 * The system call interface: the table, and how handlers see their arguments.
 *
 * A handler decodes, checks and calls down; nothing below abi/ knows a register. The table
 * (abi/syscall_table.c) is the one place that names calls: dispatch, the tracer's argument names
 * and docs/syscalls.md come from it.
 */
#pragma once

#include <pith/arch.h>

/* The frame itself: registers rdi, rsi, rdx, r10, r8, r9 in order (psABI A.2.1). */
struct syscall_args {
    struct trap_frame frame;
};

static inline u64 arg_u64(const struct syscall_args *args, unsigned index)
{
    const struct trap_frame *frame = &args->frame;
    const u64 *const registers[6] = {&frame->rdi, &frame->rsi, &frame->rdx,
                                     &frame->r10, &frame->r8,  &frame->r9};

    return *registers[index];
}
static inline int arg_int(const struct syscall_args *args, unsigned index)
{
    return (int)arg_u64(args, index);
}
static inline u32 arg_u32(const struct syscall_args *args, unsigned index)
{
    return (u32)arg_u64(args, index);
}
static inline s64 arg_s64(const struct syscall_args *args, unsigned index)
{
    return (s64)arg_u64(args, index);
}
static inline struct user_ptr arg_user_ptr(const struct syscall_args *args, unsigned index)
{
    return (struct user_ptr){arg_u64(args, index)};
}

enum syscall_status {
    ABSENT = 0, /* answers `error`, and is counted */
    PARTIAL,    /* `lacks` says what is not there */
    COMPLETE,
};

/*
 * What an argument is, for the tracer, for docs/syscalls.md and for the list of what programs
 * missed: it tells a number, which says what was asked for, from an address or a size, which does
 * not.
 */
enum argument_kind {
    ARG_NONE = 0,
    ARG_INT,
    ARG_UINT,
    ARG_LONG,
    ARG_HEX,
    ARG_POINTER,
    ARG_FD,
    ARG_FD_AT,
    ARG_PATH,
    ARG_BUFFER_IN,
    ARG_BUFFER_OUT,
    ARG_SIZE,
    ARG_OFFSET,
    ARG_FLAGS,
    ARG_OPEN_FLAGS,
    ARG_MODE,
    ARG_PID,
    ARG_SIGNAL,
    ARG_FDS_OUT,
    ARG_STRUCT_IN,
    ARG_STRUCT_OUT,
};

/* Returns the result or a negative errno. May sleep; interrupts are on. */
typedef long syscall_function(const struct syscall_args *args);

/*
 * syscall.flags: -EINTR means that a signal came before anything was done, and that the call is to
 * be made again after a handler with SA_RESTART. Handlers just return -EINTR.
 */
#define RESTARTS BIT(0)

struct syscall {
    const char *name;
    enum argument_kind arguments[6];
    syscall_function *function;
    enum syscall_status status;
    u32 flags; /* RESTARTS */
    const char *lacks;
};

#define SYSCALLS 451 /* one more than the last number */

extern const struct syscall syscalls[SYSCALLS];

/* Fills the dispatcher's table and gives it to arch/. Once, before the first program. */
void abi_init(void);
