/*
 * What assembly knows of C's structures. The build compiles this file to assembly, picks the lines
 * that begin with "#define" and makes offsets.h of them (kernel.mk); nothing here is ever run. So a
 * field can move, and no number in a .S file goes stale.
 */
#include <pith/cpu.h>

#define OFFSET(name, type, member) \
    __asm__ volatile("\n#define " #name " %c0" : : "i"(__builtin_offsetof(type, member)))
#define VALUE(name, value) __asm__ volatile("\n#define " #name " %c0" : : "i"(value))

void offsets(void);
void offsets(void)
{
    OFFSET(CPU_USER_STACK, struct cpu, user_stack);
    OFFSET(CPU_KERNEL_STACK_END, struct cpu, kernel_stack_end);
    OFFSET(CPU_THREAD, struct cpu, thread);
    OFFSET(CPU_STACK_GUARD, struct cpu, stack_guard);

    OFFSET(SYSCALL_TABLE_HANDLERS, struct syscall_table, handlers);
    OFFSET(SYSCALL_TABLE_COUNT, struct syscall_table, count);
    OFFSET(SYSCALL_TABLE_BEYOND, struct syscall_table, beyond);
    OFFSET(SYSCALL_TABLE_FAILED, struct syscall_table, failed);
    VALUE(THREAD_PENDING_WORK, 0); /* thread_pending_work() */
    OFFSET(CONTEXT_STACK_POINTER, struct context, stack_pointer);

    OFFSET(FRAME_R15, struct trap_frame, r15);
    OFFSET(FRAME_RBP, struct trap_frame, rbp);
    OFFSET(FRAME_RBX, struct trap_frame, rbx);
    OFFSET(FRAME_R12, struct trap_frame, r12);
    OFFSET(FRAME_R13, struct trap_frame, r13);
    OFFSET(FRAME_R14, struct trap_frame, r14);
    OFFSET(FRAME_RCX, struct trap_frame, rcx);
    OFFSET(FRAME_R11, struct trap_frame, r11);
    OFFSET(FRAME_R10, struct trap_frame, r10);
    OFFSET(FRAME_R9, struct trap_frame, r9);
    OFFSET(FRAME_R8, struct trap_frame, r8);
    OFFSET(FRAME_RAX, struct trap_frame, rax);
    OFFSET(FRAME_RDX, struct trap_frame, rdx);
    OFFSET(FRAME_RSI, struct trap_frame, rsi);
    OFFSET(FRAME_RDI, struct trap_frame, rdi);
    OFFSET(FRAME_ORIGINAL_RAX, struct trap_frame, original_rax);
    OFFSET(FRAME_RIP, struct trap_frame, rip);
    OFFSET(FRAME_CS, struct trap_frame, cs);
    OFFSET(FRAME_RFLAGS, struct trap_frame, rflags);
    OFFSET(FRAME_RSP, struct trap_frame, rsp);
    VALUE(FRAME_BYTES, sizeof(struct trap_frame));
}
