/*
 * Whose scheduling a call is about, and what the caller may ask for without CAP_SYS_NICE.
 *
 * The rights are those of the thread's process, whose credentials and limits may change meanwhile:
 * one answer is of one moment, as everywhere. A process without threads has no credentials any more
 * and is nobody's.
 */
#include "sched_rights.h"

struct thread *thread_find_or_own(int tid)
{
    if (tid == 0) {
        thread_get(thread_current());
        return thread_current();
    }
    return tid < 0 ? NULL : thread_find(tid);
}

bool thread_is_ours_to_schedule(struct thread *thread)
{
    const struct credentials *own = thread_current()->credentials;
    struct credentials *theirs;
    bool same;

    if (thread->process == process_current() || credentials_can(own, CAPABILITY_SYS_NICE))
        return true;
    theirs = process_credentials(thread->process);
    if (!theirs)
        return false;
    same = own->euid == theirs->euid || own->euid == theirs->uid;
    credentials_put(theirs);
    return same;
}

u64 thread_limit(struct thread *thread, unsigned resource)
{
    return READ_ONCE(thread->process->limits[resource].soft);
}

bool nice_is_allowed(struct thread *thread, s32 nice)
{
    return nice >= thread->nice || 20 - nice <= (s64)thread_limit(thread, RLIMIT_NICE);
}
