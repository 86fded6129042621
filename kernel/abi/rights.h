/*
 * Whose thread or process a call is about, and what the caller may ask for there; rights.c.
 */
#pragma once

#include <pith/proc.h>

#define NICE_LEAST (-20)
#define NICE_MOST  19

/* Whether the ids of who asks and of whom it is about are such that one may change the other. */
typedef bool ids_rule(const struct credentials *own, const struct credentials *theirs);

/* A reference to the thread `tid`; 0: the caller. NULL: there is none. */
struct thread *thread_find_or_own(int tid) must_check;
/*
 * Whether the caller may change the process: its own, by `capability`, or by the ids of both.
 * -EPERM; -ESRCH: it has no threads any more, and so no ids.
 */
int process_check_ids(struct process *process, unsigned capability, ids_rule *rule) must_check;
/* Its effective uid, or real, is the caller's effective one; or CAP_SYS_NICE (setpriority(2)). */
bool thread_is_ours_to_schedule(struct thread *thread);
/* The soft limit of its process. */
u64 thread_limit(struct thread *thread, unsigned resource);
/* Without CAP_SYS_NICE: never less nice, but for what RLIMIT_NICE allows. */
bool nice_is_allowed(struct thread *thread, s32 nice);
