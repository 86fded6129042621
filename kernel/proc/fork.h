/* What fork.c and spawn.c share: how a new process comes into the world. */
#pragma once

#include "internal.h"

/* -EAGAIN: RLIMIT_NPROC, or the machine's limit, is reached. */
int clone_limits_check(const struct thread *parent) must_check;
/* What every new control block has of its parent's, whatever program it will run. */
void process_inherit(struct process *parent, struct process *child);
/* Class, nice value, CPUs, limits that threads keep. */
void scheduling_clone(const struct thread *parent, struct thread *child);
/*
 * Puts a process that lacks nothing else into the family, its parent's group and the table.
 * -ERESTARTNOINTR: the caller is doomed, or must see a signal first.
 */
int process_enter_locked(struct process *parent, struct thread *child, struct number *number,
                         const struct clone_request *request)
    must_check must_hold(&process_table_lock);
