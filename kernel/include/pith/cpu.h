/*
 * One processor and its own data.
 *
 * GS holds the address of this CPU's `struct cpu` while the kernel runs. A per-CPU variable is
 * defined once (DEFINE_PER_CPU) and exists once for each CPU, at the same distance from all others
 * of that CPU. The kernel is preempted only where it says so, so `this_cpu(x)` stays ours until we
 * block or pass a sched_point(); what interrupt handlers touch too needs interrupts off.
 */
#pragma once

#include <pith/arch.h>

#define CPUS_MAX 64
#define CPU_NONE (~0u)

struct thread;

/* The first fields are known to assembly (arch/x86_64/offsets.c). All [cpu]. */
struct cpu {
    struct cpu *self;        /* at 0: cpu_current() reads it */
    u64 user_stack;          /* scratch of the system call entry */
    u64 kernel_stack_end;    /* where the next entry from user mode puts its frame */
    struct thread *thread;   /* what runs here */
    u64 percpu_offset;       /* [const] from the linker's address of a variable to this CPU's */
    u64 stack_guard;         /* at 40: the compiler's stack protector reads it */
    u32 id;                  /* [const] 0, 1, ...: our numbers, without gaps */
    u32 apic_id;             /* [const] the hardware's: what messages name */
    u32 spinlocks_held;      /* interrupts stay off while it is not 0 */
    bool interrupts_were_on; /* before the first of them */
    bool in_nmi;             /* core/: an NMI or machine check is handled */
    bool interrupted_user;   /* the outermost interrupt that is handled came in user mode */
    bool reschedule_wanted;  /* sched/: switch at the next point where we may */
    u32 in_interrupt;        /* device or timer handlers that run, and deferred work after them */
    u32 user_faults_fail;    /* arch/: a _nofault access is under way */
    u64 work_pending;        /* core/: deferred work waits for the interrupt's end */
};

_Static_assert(__builtin_offsetof(struct cpu, stack_guard) == 40, "-mstack-protector-guard-offset");

static inline struct cpu *cpu_current(void)
{
    struct cpu *cpu;

    __asm__ volatile("movq %%gs:0, %0" : "=r"(cpu));
    return cpu;
}

/* The thread that asks; [cpu] yet stable for its caller, who moves with it. */
static inline struct thread *thread_current(void)
{
    struct thread *thread;

    __asm__ volatile("movq %%gs:%c1, %0"
                     : "=r"(thread)
                     : "i"(__builtin_offsetof(struct cpu, thread)));
    return thread;
}

/*
 * The first field of struct thread: a u64 of bits that say what the thread does on its way to user
 * mode. sched.h names them; these are arch/'s own.
 */
#define WORK_FPU     BIT(4) /* the FPU registers are to be restored */
#define WORK_FRAME   BIT(6) /* the trap frame was changed: check it, and restore all of it */
#define WORK_OF_ARCH (WORK_FPU | WORK_FRAME)

static inline u64 *thread_pending_work(struct thread *thread)
{
    return (u64 *)thread;
}

extern u32 cpu_count;              /* [const] after arch_init_late: CPUs that the machine has */
extern struct cpu *cpus[CPUS_MAX]; /* [const] after boot */
extern u64 cpus_online;            /* [atomic] a bit for each CPU that runs threads */

#define cpu_for_each(id) for (id = 0; id < cpu_count; id++)
#define cpu_for_each_online(id)        \
    for (id = 0; id < cpu_count; id++) \
        if (READ_ONCE(cpus_online) & BIT(id))

#define DECLARE_PER_CPU(type, name) extern __typeof__(type) name
#define DEFINE_PER_CPU(type, name)  section(".percpu") __typeof__(type) name
/* Pointers to this CPU's, and to another CPU's, copy of a per-CPU variable. */
#define this_cpu(name)    ((__typeof__(name) *)((char *)&(name) + cpu_current()->percpu_offset))
#define of_cpu(name, cpu) ((__typeof__(name) *)((char *)&(name) + (cpu)->percpu_offset))

/*
 * Runs function(argument) on each CPU of `mask` (our bit is honoured too) with interrupts off, and
 * returns when all have done so. `function` neither sleeps nor waits for another CPU. Interrupts
 * are on and no spinlock is held: a CPU that waited for another while it could not be interrupted
 * itself would deadlock with it.
 */
void cpu_call(u64 mask, void (*function)(void *argument), void *argument);
