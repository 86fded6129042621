/*
 * Whose thread or process a call is about, and what the caller may ask for there.
 *
 * The calls that change another's process agree that one may always change one's own, and that a
 * capability allows all; they differ in which ids must be the same:
 *
 *     call                    of the caller      of the other
 *     setpriority, sched_...  effective          effective or real
 *     ioprio_set              effective or real  real
 *     prlimit                 real               real, effective and saved, of users and groups
 *
 * The rights are those of the thread's process, whose credentials and limits may change meanwhile:
 * one answer is of one moment, as everywhere. A process without threads has no credentials any more
 * and is nobody's.
 */
#include "rights.h"

struct thread *thread_find_or_own(int tid)
{
    if (tid == 0) {
        thread_get(thread_current());
        return thread_current();
    }
    return tid < 0 ? NULL : thread_find(tid);
}

int process_check_ids(struct process *process, unsigned capability, ids_rule *rule)
{
    const struct credentials *own = thread_current()->credentials;
    struct credentials *theirs;
    bool allowed;

    if (process == process_current() || credentials_can(own, capability))
        return 0;
    theirs = process_credentials(process);
    if (!theirs)
        return -ESRCH;
    allowed = rule(own, theirs);
    credentials_put(theirs);
    return allowed ? 0 : -EPERM;
}

static bool ids_let_schedule(const struct credentials *own, const struct credentials *theirs)
{
    return own->euid == theirs->euid || own->euid == theirs->uid;
}

bool thread_is_ours_to_schedule(struct thread *thread)
{
    return !process_check_ids(thread->process, CAPABILITY_SYS_NICE, ids_let_schedule);
}

u64 thread_limit(struct thread *thread, unsigned resource)
{
    return READ_ONCE(thread->process->limits[resource].soft);
}

bool nice_is_allowed(struct thread *thread, s32 nice)
{
    return nice >= thread->nice || 20 - nice <= (s64)thread_limit(thread, RLIMIT_NICE);
}
