/*
 * The calls about many threads at once: nice values (setpriority(2)) and the priority of input and
 * output (ioprio_set(2)).
 *
 * Both name a thread, a process group or a user, and both are a visitor that is called with each
 * thread that is meant. For one thread, `who` is a thread's number, not a process's, as on Linux.
 * Processes that begin or end during the walk may be missed, or met once.
 *
 * Errors: -ESRCH: nobody was meant; else the last thread's error. -EPERM: another's thread;
 * -EACCES: less nice than RLIMIT_NICE allows.
 */
#include <pith/abi.h>

#include <pith/proc.h>

#include "rights.h"
#include "syscalls.h"

/* ---- Nice values ---- */

/* What is done with each thread that is meant. Returns 0 or an error. */
typedef int priority_visitor(struct thread *thread, s32 *value);

static int nice_read(struct thread *thread, s32 *nice)
{
    *nice = MIN(*nice, thread->nice);
    return 0;
}

static int nice_write(struct thread *thread, s32 *nice)
{
    if (!thread_is_ours_to_schedule(thread))
        return -EPERM;
    if (!nice_is_allowed(thread, *nice) &&
        !credentials_can(thread_current()->credentials, CAPABILITY_SYS_NICE))
        return -EACCES;
    thread_set_nice(thread, *nice);
    return 0;
}

static bool process_is_meant(struct process *process, int which, int id)
{
    struct credentials *credentials;
    bool meant;

    if (which == PRIO_PGRP)
        return process_group_id(process) == (id ? id : process_group_id(process_current()));
    credentials = process_credentials(process);
    if (!credentials)
        return false;
    meant = credentials->uid == (id ? (u32)id : thread_current()->credentials->uid);
    credentials_put(credentials);
    return meant;
}

/* The last error counts, as on Linux; -ESRCH: nobody was meant. */
static int visit_process(struct process *process, priority_visitor *visit, s32 *value, int result)
{
    struct thread *thread = process_thread_next(process, 0);

    while (thread) {
        int tid = thread->identity->tid, error = visit(thread, value);

        if (error || result == -ESRCH)
            result = error;
        thread_put(thread);
        thread = process_thread_next(process, tid);
    }
    return result;
}

static int visit_all(int which, int id, priority_visitor *visit, s32 *value)
{
    struct process *process;
    struct thread *thread;
    int result = -ESRCH;

    if (which < PRIO_PROCESS || which > PRIO_USER)
        return -EINVAL;
    if (which == PRIO_PROCESS) {
        thread = thread_find_or_own(id);
        if (!thread)
            return -ESRCH;
        result = visit(thread, value);
        thread_put(thread);
        return result;
    }
    for (process = process_next(0); process; process = process_next_put(process))
        if (!process->is_kernel && process_is_meant(process, which, id))
            result = visit_process(process, visit, value, result);
    return result;
}

/* Answers 20 - nice, so that no answer looks like an error. */
long sys_getpriority(const struct syscall_args *args)
{
    s32 nice = NICE_MOST;
    int error = visit_all(arg_int(args, 0), arg_int(args, 1), nice_read, &nice);

    return error ? error : 20 - nice;
}

long sys_setpriority(const struct syscall_args *args)
{
    s32 nice = MAX(NICE_LEAST, MIN(arg_int(args, 2), NICE_MOST));

    return visit_all(arg_int(args, 0), arg_int(args, 1), nice_write, &nice);
}

/* ---- Priorities of input and output: ioprio_set(2) ---- */

/* A priority is a class and a level within it. The host serves requests as they come, so it is only
 * kept. */
#define IO_CLASS_SHIFT   13
#define IO_LEVEL_MASK    ((1 << IO_CLASS_SHIFT) - 1)
#define IO_LEVELS        8
#define IO_PRIORITY_MASK 0xffff /* what lies above is not looked at */

enum io_class {
    IO_NONE, /* the nice value decides */
    IO_REALTIME,
    IO_BEST_EFFORT,
    IO_IDLE,
};

/* ioprio_set counts from 1 what setpriority counts from 0. */
static int which_of_io(int which)
{
    return (int)((u32)which - 1 + PRIO_PROCESS);
}

static int io_priority_read(struct thread *thread, s32 *value)
{
    *value = READ_ONCE(thread->io_priority);
    return 0;
}

/* The most urgent one is the least number. */
static int io_priority_least(struct thread *thread, s32 *value)
{
    s32 own = READ_ONCE(thread->io_priority);

    if (own >> IO_CLASS_SHIFT == IO_NONE)
        own = IO_BEST_EFFORT << IO_CLASS_SHIFT | (thread->nice - NICE_LEAST) / 5;
    *value = MIN(*value, own);
    return 0;
}

static bool ids_let_set_io_priority(const struct credentials *own, const struct credentials *theirs)
{
    return own->euid == theirs->uid || own->uid == theirs->uid;
}

static int io_priority_write(struct thread *thread, s32 *value)
{
    if (process_check_ids(thread->process, CAPABILITY_SYS_NICE, ids_let_set_io_priority))
        return -EPERM;
    WRITE_ONCE(thread->io_priority, *value);
    return 0;
}

static int io_priority_check(s32 value)
{
    u32 class = (u32)value >> IO_CLASS_SHIFT, level = value & IO_LEVEL_MASK;
    const struct credentials *own = thread_current()->credentials;

    switch (class) {
    case IO_REALTIME:
        if (!credentials_can(own, CAPABILITY_SYS_NICE) &&
            !credentials_can(own, CAPABILITY_SYS_ADMIN))
            return -EPERM;
        return level < IO_LEVELS ? 0 : -EINVAL;
    case IO_BEST_EFFORT:
        return level < IO_LEVELS ? 0 : -EINVAL;
    case IO_IDLE:
        return 0;
    case IO_NONE:
        return level == 0 ? 0 : -EINVAL;
    default:
        return -EINVAL;
    }
}

long sys_ioprio_get(const struct syscall_args *args)
{
    int which = which_of_io(arg_int(args, 0)), error;
    s32 value = IO_IDLE << IO_CLASS_SHIFT | IO_LEVELS; /* more than any */

    error = visit_all(which, arg_int(args, 1),
                      which == PRIO_PROCESS ? io_priority_read : io_priority_least, &value);
    return error ? error : value;
}

long sys_ioprio_set(const struct syscall_args *args)
{
    s32 value = arg_int(args, 2) & IO_PRIORITY_MASK;
    int error = io_priority_check(value);

    return error ? error
                 : visit_all(which_of_io(arg_int(args, 0)), arg_int(args, 1), io_priority_write,
                             &value);
}
