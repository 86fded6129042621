/*
 * From a trap frame to a handler and back.
 *
 * The table of names and arguments (syscall_table.c) is const; the bare function pointers stand
 * beside it, and the entry code of arch/ jumps through them: a call costs one compare and one
 * indirect jump. A hole in the table goes to one function that counts it, so there is no test for
 * holes.
 *
 *     entry.S -> functions[number](frame) ---- >= 0 ------------------------------> user mode
 *                      |
 *                      `- -1 .. -4095 -> result_of_failed -+- an errno -----------> user mode
 *                                                          `- -512 and below ----> signal delivery
 *
 * A handler that a signal interrupted returns -EINTR. For calls that the table marks RESTARTS,
 * dispatch makes that -ERESTARTSYS, which signal delivery (proc/signal_deliver.c) turns into a
 * repeated call or into EINTR, by what the handler that it runs wants. The codes that ask for it
 * never reach a program: result_of_failed makes signal delivery pending for each, whether or not a
 * signal is still there.
 *
 * Invariant: functions[] has an entry for every number below SYSCALLS.
 * Locking: none; the pointers are written once, before the first program.
 * Context: the calling thread, interrupts on.
 */
#include <pith/abi.h>

#include <pith/core.h>
#include <pith/sched.h>

#include <pith/abi/spawn.h>

#include "machine.h"
#include "missing.h"
#include "syscalls.h"

static syscall_function *functions[SYSCALLS]; /* [const] after abi_init */
static u8 absent_was_called[SYSCALLS];        /* [atomic] */

static long syscall_absent(const struct syscall_args *args)
{
    u64 number = args->frame.original_rax;

    missing_note_absent(number);
    if (__atomic_exchange_n(&absent_was_called[number], 1, __ATOMIC_RELAXED) == 0)
        log_info("system call %lu (%s) is absent", number,
                 syscalls[number].name ? syscalls[number].name : "no name");
    return -ENOSYS;
}

/* Numbers that Linux will not reach soon are Pith's own. */
static long syscall_beyond(const struct syscall_args *args)
{
    return args->frame.original_rax == SPAWN_SYSCALL ? sys_spawn(args) : -ENOSYS;
}

/*
 * A call that is to be made again needs signal delivery, whether a signal is still there or another
 * thread was faster to take it. -EINTR leaves as it is where no signal can have caused it.
 */
static long result_of_failed(const struct syscall_args *args, long result)
{
    u64 *work = &thread_current()->pending_work;
    u64 number = args->frame.original_rax;

    /* A handler that replaced the registers is no longer the call of that number. */
    if ((s64)number < 0)
        return result;
    if (unlikely(number < SYSCALLS && syscalls[number].status == PARTIAL))
        missing_note_refused(args, number, result);
    if (result == -EINTR && number < SYSCALLS && (syscalls[number].flags & RESTARTS) &&
        (READ_ONCE(*work) & WORK_SIGNAL))
        return -ERESTARTSYS;
    if (result <= -ERESTARTSYS)
        __atomic_fetch_or(work, WORK_SIGNAL, __ATOMIC_RELAXED);
    return result;
}

/* Stands for all handlers while calls are traced: entry code that traces nothing tests nothing. */
static long syscall_traced(const struct syscall_args *args)
{
    syscall_function *function = syscalls[args->frame.original_rax].function;
    long result;

    trace_event(TRACE_CALL, args->frame.original_rax);
    result = function ? function(args) : syscall_absent(args);
    trace_event(TRACE_RESULT, (u64)result);
    return result;
}

static const struct syscall_table syscall_table_of_entry = {
    .handlers = functions,
    .count = SYSCALLS,
    .beyond = syscall_beyond,
    .failed = result_of_failed,
};

void abi_init(void)
{
    for (u64 number = 0; number < SYSCALLS; number++)
        functions[number] = trace_is_hashed             ? syscall_traced
                            : syscalls[number].function ? syscalls[number].function
                                                        : syscall_absent;
    syscall_register(&syscall_table_of_entry);
    machine_names_init();
    missing_init();
}
