/* One look at a process or a thread, for the texts of /proc that show it. Private to proc/. */
#pragma once

#include "proc_files.h"

struct snapshot {
    struct process *process;
    struct thread
        *thread; /* the one that is shown, or whose priority stands for all; may be NULL */
    bool one_thread;
    int id, parent, group, session;
    char letter;
    char name[THREAD_NAME_BYTES];
    u32 threads;
    struct cpu_usage usage, children;
    u64 pending, shared_pending, blocked, ignored, caught;
    u64 queued, queued_limit; /* entries of its user's, and RLIMIT_SIGPENDING */
    int exit_status;
    struct address_space *space; /* a reference, or NULL */
    struct credentials *credentials;
    bool may_inspect; /* the caller may see where things lie, and how it ended */
};

/* `thread` NULL: the whole process. snapshot_put gives up what it holds. */
void snapshot_take(struct snapshot *snapshot, struct process *process, struct thread *thread);
void snapshot_put(struct snapshot *snapshot);
