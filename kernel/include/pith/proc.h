/*
 * Processes and the threads in them: identity, family, signals, limits, life.
 *
 *     number (pid, tid, group id, session id: one space)
 *        |-> thread_identity -> process -> parent, children, group -> session
 *        '-> process, group, session that bear it
 *
 * A process is born by process_clone or process_spawn, becomes another program by process_exec,
 * ends when its last thread has ended, and is then a zombie until its parent waits for it:
 *
 *     clone, spawn --> ALIVE --(last thread leaves)--> ZOMBIE --(waited for)--> REAPED
 *                      ^   |
 *                      '---' exec: the same process, number and family, another program
 *
 * struct process is the process control block (OSTEP 4.5); struct thread (sched.h) is what runs,
 * and struct thread_identity what its process and others know it by. Which parts two threads share
 * is said when they are made (clone); a thread points to its parts itself, so sharing is two
 * pointers to one object with a count.
 *
 * Locking: process_table_lock, then process.signals_lock, then thread.lock. Nobody sleeps under
 *          them. A pointer to a process that is kept needs a reference; under process_table_lock
 *          whatever can be reached from the table, or from a living process, stays.
 * Errors:  0 or a negative errno as the call's man page has it; only what is more, or less, than
 *          that is said here.
 */
#pragma once

#include <pith/abi/process.h>
#include <pith/abi/signal.h>
#include <pith/abi/spawn.h>
#include <pith/credentials.h>
#include <pith/fs.h>
#include <pith/sched.h>
#include <pith/vm.h>

struct number;
struct pi_waiter;
struct signal_actions;
struct tty;

#define THREAD_NAME_BYTES 16    /* with the NUL: PR_SET_NAME */
#define TIMER_SLACK_NS    50000 /* PR_GET_TIMERSLACK; nothing is ever that late on purpose */
#define PID_MAX           32768

static inline u64 signal_bit(int signal)
{
    return BIT(signal - 1);
}

/* ---- Signals' state ---- */

/* What a process does at one signal: sigaction(2), as the kernel keeps it. */
struct signal_action {
    u64 handler;  /* SIG_DFL, SIG_IGN, or an address */
    u64 restorer; /* where the handler returns to; used with SA_RESTORER */
    u64 mask;     /* blocked while the handler runs, never SIGKILL and SIGSTOP */
    u32 flags;    /* SA_* */
};

/* Signals that were sent and not taken yet, of a thread or of a process. Its signals_lock. */
struct pending_signals {
    u64 set;           /* signal_bit of each */
    struct list queue; /* of struct queued_signal; a bit without an entry has no more to say */
};

/* A thread's area for restartable sequences; rseq.c. */
struct rseq {
    struct user_ptr area; /* null: none */
    u32 signature;
};

/* Where handlers with SA_ONSTACK run: sigaltstack(2). [owner] */
struct alternate_stack {
    u64 address, bytes;
    u32 flags; /* SS_DISABLE, SS_AUTODISARM */
};

/* ---- A thread as its process and others see it ---- */

/*
 * What proc/ keeps of a thread beside struct thread, which sched/ owns. It is made with the thread,
 * found by its number while it is in process.threads, and freed with the thread's last reference.
 */
struct thread_identity {
    int tid;                      /* guarded by process_table_lock; exec may change it */
    struct number *number;        /* guarded by process_table_lock */
    struct thread *thread;        /* [const] whose it is; that keeps us */
    struct process *process;      /* [const] holds a reference */
    struct list link;             /* in process.threads; its locks */
    char name[THREAD_NAME_BYTES]; /* [owner] to write; a reader may see it half changed */
    bool exiting;                 /* guarded by process.signals_lock: it takes no more signals */
    int exit_status;              /* of this thread, as wait(2) would say it */

    u64 blocked;        /* guarded by process.signals_lock to write; [owner] reads it */
    u64 saved_mask;     /* [owner] what sigsuspend, ppoll, ... put aside for the way out */
    bool mask_is_saved; /* [owner] saved_mask is restored on the way to user mode */
    bool stopped;       /* guarded by process.signals_lock: it takes part in a group stop */
    struct pending_signals pending;   /* guarded by process.signals_lock */
    struct alternate_stack alternate; /* [owner] */
    u64 forced;    /* guarded by process.signals_lock: faults, which even pid 1 dies of */
    u64 waits_for; /* guarded by process.signals_lock: sigtimedwait's set */
    u64 fault_error_code, fault_trap_number, fault_address; /* [owner] for signal frames */

    struct user_ptr clear_child_tid; /* [owner] set to 0 and woken at its end; null: nothing */
    struct user_ptr set_child_tid;   /* [owner] gets its tid before its first instruction */
    struct user_ptr robust_list;     /* [owner] robust_list.c; null: none */
    u64 timer_slack_ns;              /* [atomic] only kept: PR_SET_TIMERSLACK */
    u64 timer_slack_usual_ns;        /* [const] its parent's when it was made */
    /* guarded by process.signals_lock: RLIMIT_RTTIME; the time since the waits counted were made */
    u64 realtime_ns, realtime_waits;
    struct rseq rseq; /* [owner] */

    /* futex_pi.c's lock guards the three. */
    struct list pi_locks;        /* those that it owns and others wait for */
    struct pi_waiter *pi_waiter; /* how it waits for one; NULL: it does not */
    bool pi_released;            /* it ends, and takes no more */

    struct wait_queue vfork_queue; /* who made it by CLONE_VFORK waits here ... */
    bool vfork_waits;              /* ... guarded by its lock ... until its exec or exit */
    struct rcu_head rcu;
};

/* ---- Groups and sessions ---- */

/* Groups that share a terminal: setsid(2). It lives while it has groups. */
struct session {
    struct refcount references; /* its groups', and whoever keeps a pointer */
    int id;                     /* [const] the pid that its leader had when it began */
    struct number *number;      /* [const] borne until the last reference goes */
    struct process *leader;     /* guarded by process_table_lock; NULL once it ended */
    struct tty *terminal;       /* guarded by process_table_lock; with a reference */
};

/* Processes that signals reach together: setpgid(2), a shell's job. */
struct process_group {
    struct refcount references; /* its members', and a terminal's foreground */
    int id;                     /* [const] */
    struct number *number;      /* guarded by process_table_lock; borne while it has members */
    struct session *session;    /* [const] */
    struct list members;        /* guarded by process_table_lock */
};

/* ---- The process control block ---- */

enum process_state {
    PROCESS_ALIVE,
    PROCESS_ZOMBIE, /* all threads ended; its status waits for the parent */
    PROCESS_REAPED,
};

/* What was used, of one thread or of several: getrusage(2), and more. How it adds up: usage.c. */
struct cpu_usage {
    struct io_counts io;
    u64 user_ns, system_ns; /* sampled parts of an exact sum: sched/accounting.c */
    u64 minor_faults, major_faults;
    u64 voluntary_switches, involuntary_switches;
    u64 peak_resident_pages; /* a maximum, not a sum */
};

/*
 * The process control block: all that a process is, beyond its threads and what these share. It
 * outlives them as a zombie.
 */
struct process {
    struct refcount references; /* the table's, its identities', and of who looks at it */
    int pid;                    /* [const] once it is published */
    struct number *number;      /* guarded by process_table_lock, until it is reaped */
    struct rcu_head rcu;        /* its memory goes a grace period after the last reference */
    u64 started_ns;             /* [const] of clock_monotonic_ns */

    /* guarded by process_table_lock */
    enum process_state state;
    struct process *parent; /* never NULL but for 1, 2 */
    /*
     * The parent's thread that made it, or took it over from that one. Only compared: a thread
     * that ends hands its children on.
     */
    const struct thread *creator;
    struct list children, sibling; /* living ones and zombies; when reaped: who puts them */
    struct list threads; /* of thread_identity, the main one first; under signals_lock too */
    u32 thread_count;    /* that have not ended */
    u32 living_count;    /* [atomic] of them, that have not begun to end: one thread is the last */
    struct process_group *group;          /* a reference; NULL once it is being put */
    struct list group_link;               /* in group.members */
    struct list child_waiters;            /* of struct waiter: who waits for a child of ours */
    int exit_signal;                      /* to the parent; 0: none */
    bool did_exec;                        /* its parent may not change its group any more */
    bool is_subreaper;                    /* PR_SET_CHILD_SUBREAPER */
    bool has_subreaper;                   /* one of its ancestors is */
    struct credentials *last_credentials; /* of the last thread, once there is none; a reference */
    char last_name[THREAD_NAME_BYTES];    /* of that thread */
    struct cpu_usage space_usage;         /* of the address space that it gave up last */
    int leader_status;               /* how the leader ended: the process's, if nobody said more */
    struct cpu_usage ended_usage;    /* of threads that ended; under signals_lock too */
    struct cpu_usage children_usage; /* of those that were waited for */

    struct spinlock signals_lock;   /* LOCK_SIGNALS */
    struct signal_actions *actions; /* guarded_by(&signals_lock), as all below */
    struct pending_signals pending; /* for any of the threads */
    bool group_exit;                /* all threads are to end, with... */
    int exit_status;                /* ... this wait status */
    struct thread *exec_thread;     /* exec waits until only this one is left */
    bool stop_wanted;               /* a group stop is on */
    u32 stop_count;                 /* threads that have yet to stop */
    u32 continues;                  /* how often SIGCONT came, stopped or not */
    int stop_signal;
    bool stop_reportable, continue_reportable; /* what wait(2) has yet to tell */
    bool continue_to_tell;                     /* the parent gets SIGCHLD by who goes on first */
    struct interval_timer real_timer;          /* ITIMER_REAL; itimer.c */
    struct timer real_timer_core;              /* takes signals_lock: cancelled outside it */
    bool real_timer_waits; /* for its SIGALRM to be taken: it is not armed meanwhile */
    struct interval_timer virtual_timer, profile_timer; /* checked at samples */
    struct list posix_timers;                           /* of struct posix_timer, of this process */
    struct list cpu_alarms;         /* on its CPU time, anybody's; cpu_clock.c's lock */
    u64 sampled_ns, cpu_limit_told; /* CPU time by samples; seconds told of */

    struct abi_rlimit limits[RLIMITS]; /* guarded_by(&signals_lock) */
    s32 oom_adjustment;                /* oom_score_adj; read as it is, by any CPU */
    s32 oom_adjustment_min;            /* as low as it may go without the right to lower it */
    struct user *user;                 /* whose pending signals its own count among; user.c */
    bool dumpable;                     /* [atomic] its own user may look into it */
    u64 programs;                      /* [atomic] how many exec began; process_programs */
    int parent_death_signal;           /* [atomic] PR_SET_PDEATHSIG; 0: none */
    u64 personality;                   /* [atomic] personality(2) */
    u8 machine_check_choice;           /* [atomic] PR_MCE_KILL_*, only kept: there are none */
    bool is_io_flusher;                /* [atomic] only kept: memory is never freed by output */
    struct {
        u32 uid, session; /* [atomic] ~0: none */
    } login;              /* inherited; loginuid and sessionid of /proc/PID */
    u32 barriers;         /* [atomic] MEMBARRIER_REGISTER_* that were called */

    struct wait_queue end_queue; /* pidfds poll here: woken when it becomes a zombie */
    bool is_kernel;              /* [const] process 2 */
};

extern struct spinlock process_table_lock;
extern struct process *process_init; /* [const] once it runs: pid 1 */

static inline struct process *process_current(void)
{
    return thread_current()->process;
}
static inline struct thread_identity *identity_current(void)
{
    return thread_current()->identity;
}

/* ---- Finding ---- */

static inline void process_get(struct process *process)
{
    refcount_inc(&process->references);
}
/* Gives up a reference. The last frees, so the caller holds no process lock. */
void process_put(struct process *process);
/* By pid, with a reference, zombies too; NULL: none. */
struct process *process_find(int pid) must_check;
/* The same, by the number of any of its threads: what most calls take that name a process. */
struct process *process_find_by_tid(int tid) must_check;
/* By tid, with a reference on its struct thread (whose identity and process it keeps); NULL. */
struct thread *thread_find(int tid) must_check;
/* process_table_lock is held; no reference. */
struct process *process_find_locked(int pid) must_hold(&process_table_lock);
struct process *process_find_by_tid_locked(int tid) must_hold(&process_table_lock);
struct thread_identity *identity_find_locked(int tid) must_hold(&process_table_lock);
struct process_group *group_find_locked(int id) must_hold(&process_table_lock);
/*
 * The living process or zombie with the lowest pid above `pid`, with a reference; NULL: none.
 *     for (p = process_next(0); p; p = process_next_put(p))
 */
struct process *process_next(int pid) must_check;
struct process *process_next_put(struct process *process) must_check;
/* The thread of a process with the lowest tid above `tid`, with a reference; NULL: none. */
struct thread *process_thread_next(struct process *process, int tid) must_check;
#define thread_for_each(identity, process) list_for_each (identity, &(process)->threads, link)
int process_pid(const struct process *process); /* 0 for NULL */
int process_group_id(struct process *process);
int process_session_id(struct process *process);
struct session *process_session(struct process *process) must_hold(&process_table_lock);
u64 processes_created(void);
u64 threads_count(void); /* that have not ended, of all processes */
/* The address space of a process, with a reference; NULL: it has none (any more). Sleeps not. */
struct address_space *process_space(struct process *process) must_check;
/* The process's rights, files, directories: of its first living thread, with a reference. */
struct credentials *process_credentials(struct process *process) must_check;
struct file_table *process_files(struct process *process) must_check;
struct directories *process_directories(struct process *process) must_check;
/* Copies the name of its main thread. */
void process_name(struct process *process, char name_out[THREAD_NAME_BYTES]);
/* All its time: threads that live and that ended. */
void process_usage(struct process *process, struct cpu_usage *usage_out);
/* One thread's. */
void thread_usage(struct thread *thread, struct cpu_usage *usage_out);
#define CLOCK_TICK_NS (NS_PER_SECOND / 100) /* the unit of times(2): AT_CLKTCK */

/* PR_SET_CHILD_SUBREAPER: all below `process` have a subreaper from now on. */
void process_mark_descendants_locked(struct process *process) must_hold(&process_table_lock);

/* ---- Life ---- */

/* What clone(2) and clone3(2) ask for, decoded. User pointers are looked at where they are used. */
struct clone_request {
    u64 flags;         /* CLONE_*, without the exit signal */
    int exit_signal;   /* to the parent when the child ends; 0: none */
    u64 stack_pointer; /* 0: as the caller's */
    u64 tls;
    int set_tid; /* the number that the child is to have; 0: any */
    struct user_ptr parent_tid, child_tid, pidfd;
};
/*
 * fork, vfork, clone: the caller's copy, as `frame` is when it enters user mode. Its tid, or:
 * -EINVAL for flags that contradict each other; -EPERM; -EAGAIN, RLIMIT_NPROC, threads-max or
 * pid_max; -EEXIST, set_tid is borne; -EBADF, a control group; -ENOMEM; -EFAULT; -ERESTARTNOINTR, a
 * signal is to be seen first. An error leaves nothing behind. Sleeps; with CLONE_VFORK until the
 * child lets go of the memory.
 */
long process_clone(const struct clone_request *request, const struct trap_frame *frame);
/* -EINVAL or -EPERM if `flags` ask for a namespace: there are none. */
int namespaces_refuse(u64 flags) must_check;
/* Whether the caller shares none of these with another thread or process: unshare(2). */
bool process_is_alone(u64 flags);
/* The calling thread gets root, working directory and umask of its own. -ENOMEM. */
int thread_directories_unshare(void) must_check;
/* What exec runs: strings of user or (for init) kernel memory. */
struct exec_request {
    const char *name; /* the path as given: AT_EXECFN */
    struct user_ptr arguments, environment;
    const char *const *kernel_arguments, *const *kernel_environment; /* instead */
    int directory_fd;
    int flags;
};
/*
 * Returns 0 with `frame` ready for the new program, or an error with nothing changed, but for the
 * other threads if memory ran out late (exec.c). Only the calling thread is left then. Sleeps.
 */
int process_exec(const struct exec_request *request, struct trap_frame *frame) must_check;
/* A process from nothing (spawn.c); the pointers are moved into the child, or stay. */
struct spawn_request {
    struct exec_request program;
    struct file_table *files;
    struct directories *directories;
    u32 flags; /* SPAWN_NEW_* */
    u64 signal_mask;
    struct user_ptr pid; /* where its pid is told, or null */
};
/* A pidfd, or an error; then there was no child. */
int process_spawn(struct spawn_request *request) must_check;
/*
 * Ends the calling thread; `status` is a wait status (exit code << 8), and the process's if this is
 * its main thread and nobody ends the whole process.
 */
noreturn void process_exit_thread(int status);
/* Ends all threads of the process. The first status counts, of whoever calls. */
noreturn void process_exit_group(int status);

struct wait_request {
    int which; /* P_ALL, P_PID, P_PGID, P_PIDFD */
    int id;
    const struct process *process; /* P_PIDFD: this one */
    int options;                   /* W* */
};
struct wait_result {
    int pid; /* 0: WNOHANG and nothing yet */
    u32 uid;
    int status; /* as wait4 gives it */
    int code;   /* CLD_* */
    struct cpu_usage usage;
};
/*
 * Waits for a child of the calling process to end, stop or go on, as `options` say, and takes what
 * it tells (WNOWAIT: looks only). -ECHILD: there is none to wait for; -EINTR.
 */
int process_wait(const struct wait_request *request, struct wait_result *result_out) must_check;

/* ---- Sending signals ---- */

/* sigaltstack's ss_flags for a thread whose user stack pointer is there. */
u32 alternate_stack_status(const struct alternate_stack *stack, u64 stack_pointer);

/* What is sent with a signal: the first 48 bytes of siginfo_t, which is all that Linux fills. */
struct signal_info {
    s32 signal, error, code, padding;
    u8 payload[32];
};
void signal_info_init(struct signal_info *info, int signal, int code);
/* si_pid and si_uid of the caller. */
void signal_info_init_sender(struct signal_info *info, int signal, int code);
/*
 * To any thread of the process, or to this one. Rights were checked. -EAGAIN: RLIMIT_SIGPENDING, of
 * a real-time signal that would lose what it says. A process that ends hears nothing: 0. Any
 * context; neither signals_lock nor a lock that stands below it is held.
 */
int signal_send_process(struct process *process, const struct signal_info *info);
int signal_send_thread(struct thread *thread, const struct signal_info *info);
/* To all members that the caller may signal. 0 if there is one; -ESRCH, -EPERM. */
int signal_send_members_locked(struct process_group *group, const struct signal_info *info)
    must_hold(&process_table_lock);
/* To the calling thread, for a fault: it cannot be ignored or stay blocked. */
void signal_force(const struct signal_info *info);
/* Whether the caller may send `signal` to it: kill(2). 0, -EPERM; -EINVAL: there is no such. */
int signal_permission_locked(struct process *process, int signal) must_hold(&process_table_lock)
    must_check;
/* By the kernel (si_code SI_KERNEL): to the calling thread (SIGPIPE, SIGXFSZ). */
void signal_send_current(int signal);
/* To each process of the group. -ESRCH: there is none. */
int signal_send_group(s32 group, int signal);
void signal_send_session_leader(s32 session, int signal);
/* Whether the calling thread blocks the signal or its process ignores it. */
bool signal_is_ignored_or_blocked(int signal);

/* ---- The calling thread's signals ---- */

/* Blocks `mask` until the next way to user mode puts the old one back (ppoll, sigsuspend). */
void signal_mask_replace_temporarily(u64 mask);
/* Puts it back at once: nothing was interrupted. */
void signal_mask_restore(void);
/* Never blocks SIGKILL and SIGSTOP. What is unblocked by it is delivered on the way out. */
void signal_mask_set(u64 mask);
bool signal_is_pending(void); /* one that is not blocked; a hint, no lock is taken */
/* For signalfd and sigtimedwait: takes one of `set` that is pending. Its number, or 0. */
int signal_take(u64 set, struct signal_info *info_out);
/* As sigtimedwait(2): its number, -EAGAIN when the time is over, -EINTR. */
int signal_wait(u64 set, u64 deadline_ns, struct signal_info *info_out);
/* sigaction(2); `changed` NULL: only asks. */
void signal_action_exchange(int signal, const struct abi_sigaction *changed,
                            struct abi_sigaction *before_out);
void signal_info_to_abi(const struct signal_info *info, struct abi_siginfo *abi_out);

/* signalfd(2). flags: O_NONBLOCK. -ENOMEM. */
int signalfd_open(u64 set, u32 flags, struct file **file_out) must_check;
/* Another set for one that is open. -EINVAL: no signalfd. */
int signalfd_change(struct file *file, u64 set) must_check;

/* ---- Clocks of CPU time ---- */

enum cpu_time {
    CPU_TIME_ALL,
    CPU_TIME_USER,
};
/* Of a process, or of one of its threads. */
struct cpu_clock {
    struct process *process; /* a reference */
    struct thread *thread;   /* a reference; NULL: all that it has and had */
    enum cpu_time counts;
};
/* 0: the caller's. -EINVAL: there is none, or it may not be asked. */
int cpu_clock_of_process(int pid, enum cpu_time counts, struct cpu_clock *clock_out) must_check;
int cpu_clock_of_thread(int tid, enum cpu_time counts, struct cpu_clock *clock_out) must_check;
void cpu_clock_put(struct cpu_clock *clock);
u64 cpu_clock_ns(const struct cpu_clock *clock);
/* 0, or -EINTR. */
int cpu_clock_sleep_until(const struct cpu_clock *clock, u64 at_ns) must_check;

/* ---- Timers of the calling process. deadline_ns is what is left; 0: not set. ---- */

struct interval_timer process_itimer_get(int which);
/* Sets it, and tells what it was, in one step. */
struct interval_timer process_itimer_exchange(int which, const struct interval_timer *changed);
struct posix_timer_setup {
    int clock;                  /* CLOCK_*, if it is a wall clock */
    struct cpu_clock cpu_clock; /* else this one */
    int notify, signal;         /* SIGEV_* */
    struct thread *target;      /* SIGEV_THREAD_ID: a reference */
    u64 value;                  /* si_value, or... */
    bool value_is_id;           /* ... the timer's number */
};
struct posix_timer_value {
    u64 interval_ns, value_ns; /* value 0: the timer is stopped */
    bool is_absolute;          /* value is a moment of the timer's clock */
};
/* A timer's number, or -EAGAIN. Takes over the references in `setup` on success. */
int posix_timer_create(const struct posix_timer_setup *setup) must_check;
/* Sets the timer, and tells what was left; `value` NULL: only asks. -EINVAL: there is none. */
int posix_timer_exchange(int id, const struct posix_timer_value *value,
                         struct interval_timer *left_out) must_check;
/* How often it expired beyond the signal that was taken last. */
int posix_timer_overruns(int id) must_check;
int posix_timer_delete(int id) must_check;

/* ---- Groups and sessions ---- */

/*
 * setpgid(2); 0 stands for the caller, and for its pid. -ESRCH: neither the caller nor a child of
 * it; -EACCES: a child that called exec; -EPERM: a session's leader, another session, or no such
 * group; -EINVAL, -ENOMEM.
 */
int process_set_group(int pid, int group_id) must_check;
/* setsid(2): the new session's id. -EPERM: a group, or a session, has the caller's number. */
long process_create_session(void);
/* True if no member has a parent in the same session but another group. */
bool group_is_orphaned_locked(struct process_group *group) must_hold(&process_table_lock);
void group_put(struct process_group *group);
void session_get(struct session *session);
void session_put(struct session *session);
s32 process_group_current(void);
/* No member has a parent in another group of the session: nobody there could continue it. */
bool process_group_is_orphaned(s32 group);
/* 0; -ESRCH: no such group; -EPERM: it is in another session. */
int process_group_in_session(s32 group, s32 session) must_check;
/* The session's id if the calling process leads it, else 0. */
s32 session_current_leader(void);

/* ---- Controlling terminals: a session holds a reference to its terminal ---- */

struct session_terminal_operations {
    void (*get)(struct tty *tty); /* process_table_lock is held */
    void (*put)(struct tty *tty);
    /* The device number, and the group in the foreground. process_table_lock is held. */
    void (*describe)(struct tty *tty, u64 *device_out, s32 *foreground_out);
    /*
     * The leader of a session with this id ends: hangs up the foreground group, unless the terminal
     * is another session's by now. No lock is held.
     */
    void (*leader_exited)(struct tty *tty, s32 session);
};
void session_terminal_register(const struct session_terminal_operations *operations);
/* The session's id if the calling process leads it and it has no terminal, else 0. */
s32 session_without_terminal(void);
/* Of the process's terminal, as /proc/PID/stat shows it; 0 and -1: it has none. */
void session_terminal_describe(struct process *process, u64 *device_out, s32 *foreground_out);
/* The terminal of the calling process's session: borrowed, only to compare; NULL: none. */
struct tty *session_terminal_current(void);
/* The same with a reference. */
struct tty *session_terminal_get(void);
/* Gives the calling process's session a terminal that it does not have yet (takes a reference). */
void session_set_terminal(struct tty *tty);
/* Takes this terminal away from a session that still has it (puts its reference). */
void session_clear_terminal(s32 session, struct tty *tty);

/* ---- pidfds ---- */

/* A descriptor, or an error. flags: O_NONBLOCK. */
int pidfd_open(struct process *process, u32 flags) must_check;
/* A reference; NULL: `fd` is no pidfd. *nonblock_out (or NULL): it was opened with O_NONBLOCK. */
struct process *pidfd_process(int fd, bool *nonblock_out) must_check;
/* The same for what signals may be sent to: also an open /proc/PID. */
struct process *pidfd_process_to_signal(int fd) must_check;
/* A process's open file, with a reference. -EPERM: it is not ours to see; -EBADF; -ESRCH. */
int process_find_file(struct process *process, int fd, struct file **file_out) must_check;

/* ---- Limits ---- */

static inline u64 limit_soft(unsigned resource)
{
    return READ_ONCE(process_current()->limits[resource].soft);
}
/* -EPERM, -EINVAL. */
int process_limits_change(struct process *process, unsigned resource,
                          const struct abi_rlimit *new_limit, struct abi_rlimit *old_out)
    must_check;

/* ---- Credentials ---- */

/* Whether the caller may look into a process: its user's and dumpable, or CAP_SYS_PTRACE. */
bool process_may_inspect(struct process *process);
/*
 * Changes when a process begins another program, before anybody can find the new program's memory.
 * Rights that the others lose by it are lost before, and those that they gain come after: so what
 * process_may_inspect said after a first call holds for a space that was found before a second, if
 * both calls return the same.
 */
static inline u64 process_programs(const struct process *process)
{
    return __atomic_load_n(&process->programs, __ATOMIC_ACQUIRE); /* pairs with exec's increment */
}
/* process_space of a process that the caller may look into. -EPERM; -ESRCH: it has none. */
int process_space_inspect(struct process *process, struct address_space **space_out) must_check;

/* A copy of the caller's, to be changed and installed, or put. NULL: no memory. */
struct credentials *credentials_prepare(void) must_check;
/*
 * Makes them the calling thread's. Takes over the reference; the old ones are given up. Where
 * rights changed, the process is not dumpable any more and forgets PR_SET_PDEATHSIG.
 */
void credentials_install(struct credentials *credentials);
/* The process's real uid is another: what is counted by user is that one's from now on. -ENOMEM. */
int process_user_set(struct process *process, u32 uid) must_check;
/* What a change of uids does to capabilities; `changed` is not installed yet. */
void credentials_uids_changed(struct credentials *changed, const struct credentials *before);
void credentials_fsuid_changed(struct credentials *changed, const struct credentials *before);
/*
 * What exec makes of them: the file's set-id bits, ambient capabilities. AT_SECURE in *secure_out.
 * *dumpable_out: the user may look into the process, as neither it nor the caller has other rights
 * than the user's, and the file is one that he may read.
 */
int credentials_for_exec(const struct file *file, struct credentials **credentials_out,
                         u32 *secure_out, bool *dumpable_out) must_check;

/* ---- Restartable sequences of the calling thread ---- */

/* -EINVAL, -EFAULT, -EPERM: another signature, -EBUSY: it is registered. */
int rseq_register(struct user_ptr area, u32 bytes, u32 signature) must_check;
int rseq_unregister(struct user_ptr area, u32 bytes, u32 signature) must_check;

/* ---- Futexes ---- */

/* What futex(2) asks for, decoded: which fields mean something depends on the operation. */
struct futex_request {
    struct user_ptr at, second; /* the words, 4-byte aligned */
    int operation;              /* FUTEX_*, where one function does several */
    bool is_private; /* nobody else's memory: no look at regions, the key is the address */
    u32 value;       /* that the word must have; or the most to move, or wake at second */
    u32 count;       /* the most to wake */
    u32 bitset;      /* a waker and a waiter must share a bit */
    u32 third;       /* CMP_REQUEUE's value, WAKE_OP's operation */
    u64 deadline_ns; /* U64_MAX: none */
};
/* 0: woken; -EAGAIN: the word is not `value`; -ETIMEDOUT, -EINTR, -EFAULT, -EINVAL. */
int futex_wait(const struct futex_request *request) must_check;
/* How many it woke, or an error. */
long futex_wake(struct user_ptr at, s32 count, u32 bitset, bool is_private);
long futex_two(const struct futex_request *request);
/* futex_waitv(2): until one of the words is woken. Its index; -EAGAIN, -ETIMEDOUT, -EINTR, ... */
int futex_wait_any(const struct futex_request *requests, u32 count, u64 deadline_ns) must_check;
/* Locks with priority inheritance. 0: it is ours; -EDEADLK, -ESRCH, -EPERM, -ETIMEDOUT, ... */
int futex_lock_pi(const struct futex_request *request) must_check;
int futex_unlock_pi(struct user_ptr at, bool is_private) must_check;
/* Waits for `at`, then for the lock `second`; moves waiters there: how many. */
int futex_wait_requeue_pi(const struct futex_request *request) must_check;
long futex_requeue_pi(const struct futex_request *request);
/* Wakes one waiter of a word that the kernel wrote (clear_child_tid). */
void futex_wake_one(struct user_ptr at);

/* ---- Boot ---- */

void proc_init(void);
/*
 * Starts process 1: its thread calls `prepare`, which may sleep (drivers, the initramfs), then
 * executes /init.
 */
void proc_start_init(void (*prepare)(void));
