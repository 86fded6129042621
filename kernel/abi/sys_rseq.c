/*
 * What lock-free code of user mode asks of the kernel: rseq(2), restartable sequences, and
 * membarrier(2), barriers in all the other threads at once.
 *
 * A barrier is an interrupt on each CPU, whatever runs there. So it holds for threads that are not
 * running as well: they pass the kernel on a CPU that had its barrier before they go on.
 */
#include <pith/abi.h>

#include <pith/core.h>
#include <pith/proc.h>

#include "syscalls.h"

#define RSEQ_FLAG_UNREGISTER 1u

long sys_rseq(const struct syscall_args *args)
{
    struct user_ptr area = arg_user_ptr(args, 0);
    u32 bytes = arg_u32(args, 1), flags = arg_u32(args, 2), signature = arg_u32(args, 3);

    if (flags == RSEQ_FLAG_UNREGISTER)
        return rseq_unregister(area, bytes, signature);
    return flags ? -EINVAL : rseq_register(area, bytes, signature);
}

/* ---- membarrier ---- */

#define MEMBARRIER_QUERY             0
#define MEMBARRIER_GLOBAL            BIT(0)
#define MEMBARRIER_GLOBAL_EXPEDITED  BIT(1)
#define MEMBARRIER_GLOBAL_REGISTER   BIT(2)
#define MEMBARRIER_PRIVATE           BIT(3)
#define MEMBARRIER_PRIVATE_REGISTER  BIT(4)
#define MEMBARRIER_CORE              BIT(5)
#define MEMBARRIER_CORE_REGISTER     BIT(6)
#define MEMBARRIER_SEQUENCE          BIT(7)
#define MEMBARRIER_SEQUENCE_REGISTER BIT(8)
#define MEMBARRIER_ALL               (BIT(9) - 1)
#define MEMBARRIER_REGISTERS                                                               \
    (MEMBARRIER_GLOBAL_REGISTER | MEMBARRIER_PRIVATE_REGISTER | MEMBARRIER_CORE_REGISTER | \
     MEMBARRIER_SEQUENCE_REGISTER)
#define MEMBARRIER_FLAG_CPU 1u

static void barrier_here(void *argument)
{
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
}

/* No instruction after this was fetched before: code that was changed is seen. */
static void serialize_here(void *argument)
{
    cpu_serialize();
}

static void restart_here(void *argument)
{
    struct thread *thread = thread_current();

    if (thread->space == argument && thread->switch_work)
        __atomic_fetch_or(&thread->pending_work, thread->switch_work, __ATOMIC_RELAXED);
}

/* The private commands want to be announced: their registration is the bit above them. */
static int barrier_private(u32 command, u32 flags, int cpu)
{
    u64 targets = READ_ONCE(cpus_online);

    if (!(READ_ONCE(process_current()->barriers) & command << 1))
        return -EPERM;
    if (flags & MEMBARRIER_FLAG_CPU)
        targets &= (u32)cpu < CPUS_MAX ? BIT(cpu) : 0;
    if (command == MEMBARRIER_SEQUENCE)
        cpu_call(targets, restart_here, thread_current()->space);
    else
        cpu_call(targets, command == MEMBARRIER_CORE ? serialize_here : barrier_here, NULL);
    return 0;
}

/*
 * membarrier(2). Each command is one bit; a private one and its registration are neighbours.
 * -EPERM: the private command was not registered. The global ones reach all CPUs, registered or
 * not.
 */
long sys_membarrier(const struct syscall_args *args)
{
    u32 command = arg_u32(args, 0), flags = arg_u32(args, 1);

    if (flags && (command != MEMBARRIER_SEQUENCE || flags != MEMBARRIER_FLAG_CPU))
        return -EINVAL;
    if (command == MEMBARRIER_QUERY)
        return MEMBARRIER_ALL;
    if (command & ~MEMBARRIER_ALL || command & (command - 1))
        return -EINVAL;
    if (command & MEMBARRIER_REGISTERS) {
        __atomic_fetch_or(&process_current()->barriers, command, __ATOMIC_RELAXED);
        return 0;
    }
    if (command >= MEMBARRIER_PRIVATE)
        return barrier_private(command, flags, arg_int(args, 2));
    cpu_call(READ_ONCE(cpus_online), barrier_here, NULL);
    return 0;
}
