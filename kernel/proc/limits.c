/*
 * Resource limits (getrlimit(2)): a process's, with copies in its threads of those that are asked
 * all the time (how large a file, how many descriptors).
 *
 * Each is enforced where the resource is: vm/limits.c (memory), fork.c (NPROC), signal.c
 * (SIGPENDING), itimer.c (CPU, RTTIME), fs/. Some are only kept: there is nothing here that they
 * could limit (CORE, RSS, LOCKS, MSGQUEUE).
 *
 * Raising a hard limit needs CAP_SYS_RESOURCE (-EPERM); NOFILE stays below fs.nr_open even so.
 *
 * Locking: signals_lock to change. A reader takes one field as it is.
 */
#include "internal.h"

#define OPEN_FILES_MAX 1048576 /* fs.nr_open */

/* What process 1 starts with; `pith` then sets its caller's. */
static const struct abi_rlimit initial_limits[RLIMITS] = {
    [RLIMIT_CPU] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_FSIZE] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_DATA] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_STACK] = {8ul << 20, RLIM_INFINITY},
    [RLIMIT_CORE] = {0, RLIM_INFINITY},
    [RLIMIT_RSS] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_NOFILE] = {1024, OPEN_FILES_MAX},
    [RLIMIT_MEMLOCK] = {8ul << 20, 8ul << 20},
    [RLIMIT_AS] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_LOCKS] = {RLIM_INFINITY, RLIM_INFINITY},
    [RLIMIT_MSGQUEUE] = {819200, 819200},
    [RLIMIT_NICE] = {0, 0},
    [RLIMIT_RTPRIO] = {0, 0},
    [RLIMIT_RTTIME] = {RLIM_INFINITY, RLIM_INFINITY},
};

/* signals_lock keeps the list of threads. */
static void limits_publish_locked(struct process *process)
{
    struct thread_identity *identity;

    thread_for_each (identity, process) {
        identity->thread->limits_file_size = process->limits[RLIMIT_FSIZE].soft;
        identity->thread->limits_open_files = process->limits[RLIMIT_NOFILE].soft;
    }
}

void limits_init(struct process *process)
{
    u64 half = process_setting(SETTING_THREADS_MAX) / 2;

    memcpy(process->limits, initial_limits, sizeof(process->limits));
    /* As Linux has them: so that one user cannot take all, and leave root none. */
    process->limits[RLIMIT_NPROC] = (struct abi_rlimit){half, half};
    process->limits[RLIMIT_SIGPENDING] = (struct abi_rlimit){half, half};
}

/* Process 1's first thread; all others copy their maker's. */
void limits_init_thread(struct thread *thread)
{
    thread->limits_file_size = thread->process->limits[RLIMIT_FSIZE].soft;
    thread->limits_open_files = thread->process->limits[RLIMIT_NOFILE].soft;
}

/* A soft limit may go anywhere below the hard one, also below what is used already. */
static int change_locked(struct process *process, unsigned resource,
                         const struct abi_rlimit *new_limit)
{
    struct abi_rlimit *limit = &process->limits[resource];

    if (new_limit->hard > limit->hard &&
        !credentials_can(thread_current()->credentials, CAPABILITY_SYS_RESOURCE))
        return -EPERM;
    if (resource == RLIMIT_NOFILE && new_limit->hard > OPEN_FILES_MAX)
        return -EPERM;
    *limit = *new_limit;
    limits_publish_locked(process);
    return 0;
}

/* prlimit(2): old and new in one step, so that two callers do not see each other's halves. */
int process_limits_change(struct process *process, unsigned resource,
                          const struct abi_rlimit *new_limit, struct abi_rlimit *old_out)
{
    int error = 0;

    if (resource >= RLIMITS || (new_limit && new_limit->soft > new_limit->hard))
        return -EINVAL;
    spin_lock(&process->signals_lock);
    if (old_out)
        *old_out = process->limits[resource];
    if (new_limit)
        error = change_locked(process, resource, new_limit);
    spin_unlock(&process->signals_lock);
    return error;
}
