/* Traps, between the files of arch/. */
#pragma once

#include <pith/cpu.h>

/* entry.S */
extern const char vector_entries[]; /* VECTOR_ENTRY_BYTES each */
#define VECTOR_ENTRY_BYTES 16
void syscall_entry(void);
void context_begin(void);

/* Called by entry.S; trap.c. */
void trap_dispatch(struct trap_frame *frame, u64 vector);
void user_return_work(struct trap_frame *frame);
void user_frame_enter(struct trap_frame *frame);
extern struct syscall_table syscall_table;

/* descriptors.c: each CPU, on its own per-CPU area; `trap_stacks` has TRAP_STACKS_BYTES. */
#define TRAP_STACK_BYTES  8192ul
#define TRAP_STACKS       4
#define TRAP_STACKS_BYTES (TRAP_STACKS * TRAP_STACK_BYTES)
void descriptors_init(void *trap_stacks);
/* Where the next entry from user mode puts its frame. */
void kernel_stack_set(void *stack_end);

/* The current thread passes user_return_work before it is in user mode again, with this to do. */
static inline void work_add(u64 work)
{
    __atomic_fetch_or(thread_pending_work(thread_current()), work, __ATOMIC_RELAXED);
}

static inline void work_remove(u64 work)
{
    __atomic_fetch_and(thread_pending_work(thread_current()), ~work, __ATOMIC_RELAXED);
}

/* machine_check.c: each CPU. */
void machine_check_init_cpu(void);

/* fpu.c: brings the current thread's registers back; interrupts are off. */
void fpu_restore(void);
void fpu_init(void);     /* boot CPU: sizes */
void fpu_init_cpu(void); /* each CPU */
