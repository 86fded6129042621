/*
 * The tables that the processor reads: segments, the task state with its stacks, the gates of all
 * vectors, and where syscall leads.
 *
 * Segments are flat and say only kernel or user; their order is what sysretq wants, which takes the
 * user's cs and ss at fixed distances from one number. The task state holds the stack for entries
 * from user mode and one each for debug, NMI, double fault and machine check, which may strike
 * while the stack pointer is the user's. At the top of each of those lies the CPU's address, where
 * entry_paranoid finds it:
 *
 *     trap_stacks + 8 KiB -> +--------------+
 *                            | (8 bytes)    |  the processor aligns what it pushes to 16
 *          stack pointer ->  | struct cpu * |
 *                            +--------------+
 *                            | trap frame   |
 *                            | C's frames   |
 *
 * A second trap of the same kind would start again at the top and overwrite the first: NMIs are
 * blocked until iretq, debug exceptions come with TF off, the other two never return.
 *
 * Context: each CPU for itself, interrupts off. All [cpu], but the gates, which all CPUs share.
 */
#include <pith/core.h>

#include "constants.h"
#include "features.h"
#include "registers.h"
#include "trap.h"

#define GATE_INTERRUPT 0x8e00ul /* present, interrupts off on entry */
#define GATE_USER      0x6000ul /* user mode may raise it by an instruction */
#define TSS_AVAILABLE  0x89ul

struct packed task_state {
    u32 reserved_0;
    u64 stacks[3]; /* for entries from outer rings; only [0] is used */
    u64 reserved_1;
    u64 trap_stacks[7]; /* the gates' stack numbers, from 1 */
    u64 reserved_2;
    u16 reserved_3;
    u16 ports_at;
};

struct gate {
    u64 words[2];
};

struct packed table_pointer {
    u16 limit;
    u64 address;
};

static DEFINE_PER_CPU(struct task_state, task_state);
static DEFINE_PER_CPU(u64, segments)[] = {
    [KERNEL_CS / 8] = DESCRIPTOR_KERNEL_CODE,
    [KERNEL_DS / 8] = DESCRIPTOR_DATA,
    [USER_DS / 8] = DESCRIPTOR_USER_DATA,
    [USER_CS / 8] = DESCRIPTOR_USER_CODE,
    [TSS_SEL / 8 + 1] = 0,
};
static struct gate gates[VECTORS]; /* [const] after boot */

/* Which of the trap stacks a vector uses; 0: the current one. */
static const u8 vector_stacks[VECTORS] = {
    [VECTOR_DEBUG] = 1,
    [VECTOR_NMI] = 2,
    [VECTOR_DOUBLE_FAULT] = 3,
    [VECTOR_MACHINE_CHECK] = 4,
};

/*
 * A gate of 16 bytes (SDM 3A "64-Bit IDT Gate Descriptors"): target in three parts, selector,
 * stack, rights. User mode may raise only breakpoint and overflow by an instruction; others are a
 * protection fault.
 */
static void gates_init(void)
{
    for (u32 vector = 0; vector < VECTORS; vector++) {
        u64 target = (u64)vector_entries + vector * VECTOR_ENTRY_BYTES;
        u64 rights = GATE_INTERRUPT;

        if (vector == VECTOR_BREAKPOINT || vector == VECTOR_OVERFLOW)
            rights |= GATE_USER;
        gates[vector].words[0] = (target & 0xffff) | KERNEL_CS << 16 |
                                 (u64)vector_stacks[vector] << 32 | rights << 32 |
                                 (target >> 16 & 0xffff) << 48;
        gates[vector].words[1] = target >> 32;
    }
}

static void task_state_init(struct task_state *state, char *trap_stacks)
{
    state->ports_at = sizeof(*state); /* user mode has no ports */
    for (int i = 0; i < TRAP_STACKS; i++) {
        u64 *top = (u64 *)(trap_stacks + (i + 1) * TRAP_STACK_BYTES) - 2;

        *top = (u64)cpu_current();
        state->trap_stacks[i] = (u64)top;
    }
}

/*
 * The far return reloads CS, which no move can; the task register's segment is marked busy by ltr,
 * so each CPU has a table of its own. There is no local table: what the processor begins
 * with is one at address 0, of descriptors that a program could write.
 */
static void segments_load(u64 *table, struct task_state *state)
{
    struct table_pointer pointer = {.limit = sizeof(segments) - 1, .address = (u64)table};
    u64 base = (u64)state;

    table[TSS_SEL / 8] = (sizeof(*state) - 1) | (base & 0xffffff) << 16 | TSS_AVAILABLE << 40 |
                         (base >> 24 & 0xff) << 56;
    table[TSS_SEL / 8 + 1] = base >> 32;
    __asm__ volatile("lgdt %0" : : "m"(pointer));
    __asm__ volatile("pushq %0\n\t"
                     "leaq 1f(%%rip), %%rax\n\t"
                     "pushq %%rax\n\t"
                     "lretq\n"
                     "1:\tmovl %1, %%ss\n\t"
                     "ltr %w2\n\t"
                     "lldt %w3"
                     :
                     : "i"(KERNEL_CS), "r"(KERNEL_DS), "r"(TSS_SEL), "r"(0)
                     : "rax", "memory");
}

/*
 * STAR names both pairs of selectors by one number each: syscall takes KERNEL_CS and the next,
 * sysret USER_DS at + 8 and USER_CS at + 16 (SDM 2B "SYSRET").
 */
static void syscall_init(void)
{
    msr_write(MSR_STAR, (u64)(KERNEL_DS | 3) << 48 | (u64)KERNEL_CS << 32);
    msr_write(MSR_LSTAR, (u64)syscall_entry);
    msr_write(MSR_SYSCALL_MASK,
              RFLAGS_TF | RFLAGS_IF | RFLAGS_DF | RFLAGS_IOPL | RFLAGS_NT | RFLAGS_RF | RFLAGS_AC);
    /* Then SYSENTER is a protection fault, whatever the firmware used it for. */
    if (cpuid(1, 0).edx & CPUID_1_EDX_SEP)
        msr_write(MSR_SYSENTER_CS, 0);
}

void descriptors_init(void *trap_stacks)
{
    struct table_pointer pointer = {.limit = sizeof(gates) - 1, .address = (u64)gates};

    if (!gates[0].words[0])
        gates_init();
    if (cpu_has(FEATURE_RDTSCP))
        msr_write(MSR_TSC_AUX, cpu_current()->id); /* the vDSO's getcpu */
    task_state_init(this_cpu(task_state), trap_stacks);
    segments_load(*this_cpu(segments), this_cpu(task_state));
    __asm__ volatile("lidt %0" : : "m"(pointer));
    syscall_init();
}

void kernel_stack_set(void *stack_end)
{
    cpu_current()->kernel_stack_end = (u64)stack_end;
    this_cpu(task_state)->stacks[0] = (u64)stack_end;
}
