/*
 * What the files of proc/ share, by the file that has it. A name in _locked, and every must_hold,
 * says which of the two locks the caller holds: process_table_lock (family, numbers, lists) or the
 * process's signals_lock (signals, stops, limits, timers), which stands inside it.
 */
#pragma once

#include <pith/mem.h>
#include <pith/proc.h>

/*
 * A number that means something: a thread, a process, a group or a session (or several of them)
 * bear it. It is given out again when nobody does. All fields: process_table_lock.
 */
struct number {
    int value;
    struct thread_identity *identity;
    struct process *process;
    struct process_group *group;
    struct session *session;
};

/* ---- number.c ---- */

void numbers_init(void);
/*
 * Reserves a number for who will bear it: this one (-EEXIST: it is borne), or for 0 the next. The
 * caller publishes it, or frees it. -EAGAIN: none is free, or threads-max are in use; -ENOMEM.
 */
int number_alloc(int wanted, struct number **number_out) must_check;
/* How many numbers are in use: no fewer than there are threads. */
u64 numbers_count(void);
/* The number that was given out last. */
int number_last(void);
/* One that was never published. */
void number_free(struct number *number);
/* Gives a number back if nobody bears it any more. */
void number_free_unused(struct number *number) must_hold(&process_table_lock);

/* ---- process.c ---- */

void process_tables_init(void);
/*
 * The first of the threads: the main one, while it lives, and from then on the one that stands for
 * all. NULL: none is left. process_table_lock or signals_lock is held.
 */
struct thread_identity *process_leader_locked(const struct process *process);
/* What process_space and process_credentials find, without a reference. */
struct address_space *process_space_locked(const struct process *process)
    must_hold(&process_table_lock);
struct credentials *process_credentials_locked(const struct process *process)
    must_hold(&process_table_lock);
/*
 * ALIVE, without threads, number or parent, with one reference: its actions, limits and the like
 * are the caller's to set (process_inherit). process_put undoes it. -ENOMEM.
 */
int process_alloc(struct process **process_out) must_check;
/*
 * A NEW thread of `process`, with an identity that holds a reference on it; neither is in any list,
 * so thread_put undoes it. -ENOMEM. Sleeps.
 */
int process_thread_alloc(struct process *process, void (*entry)(void *), void *argument,
                         struct thread **thread_out) must_check;
/* An identity for a thread that has none: the second half of the above. -ENOMEM. */
int process_thread_adopt(struct process *process, struct thread *thread) must_check;
/*
 * From here others find it: the number names the process, or the thread, which is in its process's
 * list. The number is the bearer's now. An identity may be published under signals_lock as well.
 */
void process_publish(struct process *process, struct number *number) must_hold(&process_table_lock);
void identity_publish(struct thread_identity *identity, struct number *number)
    must_hold(&process_table_lock);
/* The thread ends: its process has one less. The caller clears its number. */
void identity_withdraw_locked(struct thread_identity *identity) must_hold(&process_table_lock);

/* It was waited for: the table forgets it. The caller puts the table's reference without locks. */
void process_unpublish_locked(struct process *process) must_hold(&process_table_lock);

/* ---- user.c ---- */

/* Process 1 or 2: root's. */
void process_user_init(struct process *process);
/* The parent's signals_lock is held; nobody else sees the child. */
void process_user_inherit(const struct process *parent, struct process *child);
/* The last reference on the process went, and none of its signals is queued. */
void process_user_leave(struct process *process);
/* One more entry of a queue is its user's, and one less. The process's signals_lock is held. */
struct user *user_charge(struct process *process) must_hold(&process->signals_lock);
void user_discharge(struct user *user);
u32 user_pending(const struct process *process) must_hold(&process->signals_lock);

/* ---- signal.c ---- */

/* One signal that is pending, with what was sent along; or a timer's, between two of its times. */
struct queued_signal {
    struct list link;          /* in pending_signals.queue; signals_lock, as all here */
    struct user *charged;      /* [const] whose pending signals it counts among */
    struct posix_timer *timer; /* whose only entry it is; NULL: it goes when it is taken */
    struct signal_info info;
};
/* In no list. NULL: RLIMIT_SIGPENDING is reached, or no memory. */
struct queued_signal *queued_signal_alloc(struct process *process) must_hold(&process->signals_lock)
    must_check;
void queued_signal_free(struct queued_signal *queued);
void signals_init(void);
/* Empty, in the caller's memory. */
void pending_init(struct pending_signals *pending);
/* All of pending's entries go. signals_lock is held, or nobody else knows it. */
void pending_flush(struct pending_signals *pending, u64 set);
/* -EAGAIN: RLIMIT_SIGPENDING. signals_lock is held. */
int pending_add(struct pending_signals *pending, struct process *process,
                const struct signal_info *info) must_hold(&process->signals_lock) must_check;
/* Adds a timer's entry, which is in no queue: cannot fail. signals_lock is held. */
void pending_add_queued(struct pending_signals *pending, struct queued_signal *queued);
/* Takes the next of `set`: the thread's own first, then faults, then by number. 0: none. */
int signal_take_locked(struct process *process, struct thread_identity *identity, u64 set,
                       struct signal_info *info_out) must_hold(&process->signals_lock);
/* Whether the default action of a signal is to do nothing, or to stop. */
bool signal_default_is_ignore(int signal);
bool signal_default_is_stop(int signal);
/*
 * Pending process signals that `own` will not take are shown to the others. signals_lock is held.
 */
void signals_offer_others(struct process *process, struct thread_identity *own, u64 set);
/*
 * Sets or clears WORK_SIGNAL of a thread as what is pending demands: the calling one's, or one's
 * that does not run yet. signals_lock is held.
 */
void signal_work_update_locked(struct process *process, struct thread_identity *identity);
#define SIGNALS_STOP \
    (signal_bit(SIGSTOP) | signal_bit(SIGTSTP) | signal_bit(SIGTTIN) | signal_bit(SIGTTOU))
#define SIGNALS_UNBLOCKABLE (signal_bit(SIGKILL) | signal_bit(SIGSTOP))
#define SIGNALS_OF_FAULTS                                                                  \
    (signal_bit(SIGSEGV) | signal_bit(SIGBUS) | signal_bit(SIGILL) | signal_bit(SIGTRAP) | \
     signal_bit(SIGFPE) | signal_bit(SIGSYS))

/* Of the process and of all its threads. signals_lock is held. */
void pending_flush_all(struct process *process, u64 set);

/* ---- signal_actions.c ---- */

void signal_actions_init(void);
/* All default; or a copy. NULL: no memory. */
struct signal_actions *signal_actions_create(void) must_check;
struct signal_actions *signal_actions_copy(struct signal_actions *from) must_check;
void signal_actions_get(struct signal_actions *actions);
void signal_actions_put(struct signal_actions *actions);
bool signal_actions_are_shared(const struct signal_actions *actions);
/* exec: handlers go, what is ignored stays so. */
void signal_actions_reset(struct signal_actions *actions);
/* Of a process whose signals_lock is held (the handler alone may be read without). */
struct signal_action signal_action_of(const struct process *process, int signal);
u64 signal_handler_of(const struct process *process, int signal);
/* To the default. */
void signal_handler_reset(struct process *process, int signal);

/* ---- signal_send.c ---- */

/* Whether who has these ids may signal whom `theirs` are, without a capability: kill(2). */
bool signal_ids_permit(u32 uid, u32 euid, const struct credentials *theirs);

/* As signal_send_thread and signal_send_process, with signals_lock held. */
int signal_send_thread_locked(struct thread *thread, const struct signal_info *info);
int signal_send_process_locked(struct process *process, const struct signal_info *info)
    must_hold(&process->signals_lock);
/* signal_file.c, for fs/: see struct fs_process_hooks. */
void signal_send_target(const struct signal_target *target, u32 band);
bool signal_target_exists(u32 type, s32 id);
/* Puts an entry that is in no list where its signal belongs, unless that would do nothing. */
void signal_send_queued_locked(struct process *process, struct thread *target,
                               struct queued_signal *queued) must_hold(&process->signals_lock);
/* No thread reaches user mode again: the process ends, of `signal`. */
void process_doom_locked(struct process *process, int signal) must_hold(&process->signals_lock);
/* All threads but the caller get SIGKILL. */
void process_kill_threads_locked(struct process *process, struct thread *except)
    must_hold(&process->signals_lock);

/* ---- signalfd.c ---- */

void signalfd_init(void);
/* A signal became pending: whoever polls a signalfd looks. signals_lock is held. */
void signalfd_tell(void);

/* ---- signal_stop.c: group stops, and telling the parent ---- */

/* SIGCHLD with what became of `child`; wakes the parent if it waits. */
void parent_notify_locked(struct process *child, int code, int status)
    must_hold(&process_table_lock);
/* The calling thread takes part in its process's group stop; sleeps until it is continued. */
void process_stop_self(struct process *process, int signal) must_hold(&process->signals_lock);
/* An exiting thread need not be waited for by a group stop. Returns true: the stop is complete. */
bool process_stop_leave_locked(struct process *process, struct thread_identity *identity)
    must_hold(&process->signals_lock);
void process_stop_begin_locked(struct process *process, int signal)
    must_hold(&process->signals_lock);
void process_continue_locked(struct process *process) must_hold(&process->signals_lock);

/* ---- group.c ---- */

/*
 * Without members, not found by its number yet; takes a reference on `session`, or none. -ENOMEM.
 */
int group_create(struct number *number, struct session *session, struct process_group **group_out)
    must_check;
/* The process is in no group. The group is found by its number from here on. */
void group_join_locked(struct process *process, struct process_group *group)
    must_hold(&process_table_lock);
/* Returns the group that the caller puts after the lock. */
struct process_group *group_leave_locked(struct process *process)
    must_check must_hold(&process_table_lock);
/* A group, or a group in a session, of its own for a process that is being made. */
struct group_place {
    struct number number; /* stands in for the child's until it has its place */
    struct session *session;
    struct process_group *group; /* NULL: it stays in its parent's */
};
/* flags: SPAWN_NEW_GROUP, SPAWN_NEW_SESSION. -ENOMEM; group_place_fini follows in any case. */
int group_place_prepare(struct group_place *place, u32 flags, int id) must_check;
/* Moves the process, whose number nobody else bears. Returns the group that it left, to be put. */
struct process_group *group_place_locked(struct process *process, struct group_place *place)
    must_hold(&process_table_lock);
void group_place_fini(struct group_place *place);
/* The groups that may have become orphaned by the end of `process`: SIGHUP and SIGCONT. */
void group_orphan_check_locked(struct process *process) must_hold(&process_table_lock);
struct session *session_find_locked(int id) must_hold(&process_table_lock);
/* The last reference went. */
void session_release(struct session *session);
/* The terminal of a session whose leader ends, to be hung up and put without locks; or NULL. */
struct tty *session_leader_ended_locked(struct process *leader) must_hold(&process_table_lock);
void session_terminal_hang_up(struct tty *tty, s32 session);

/* ---- fork.c, exit.c, wait.c, pidfd.c ---- */

/* Of a thread that nobody else sees: puts memory, files, directories and credentials. Sleeps. */
void thread_parts_release(struct thread *thread);
/* Robust futexes, clear_child_tid: before the thread leaves its address space. */
void thread_memory_release(struct thread *thread);
/* Puts processes that are out of the table, linked by `sibling`, and their groups. No locks. */
void processes_put_reaped(struct list *reaped);
/* Of a wait status: CLD_EXITED or CLD_KILLED, and the exit code or the signal. */
int status_code(int status);
int status_detail(int status);
/* Whose /proc/PID an open directory is, with a reference; NULL: it is none. */
struct process *proc_directory_process(const struct file *directory);
/*
 * A pidfd of the caller's that others see only once its process is there. No file: there is none.
 */
struct pidfd_reserved {
    struct file *file; /* [owner] a reference */
    int fd;
};
/* A number of the calling thread's table, and the file. -EMFILE, -ENOMEM. */
int pidfd_reserve(struct process *process, struct pidfd_reserved *pidfd_out) must_check;
/* For CLONE_PIDFD also tells its number, else makes none. -EFAULT, -EMFILE, -ENOMEM. */
int pidfd_reserve_for_clone(const struct clone_request *request, struct process *process,
                            struct pidfd_reserved *pidfd_out) must_check;
/* Exactly one of the two follows: others see it from now on, or never did. */
void pidfd_install(const struct pidfd_reserved *pidfd);
void pidfd_release(const struct pidfd_reserved *pidfd);

/* ---- rseq.c ---- */

/* A thread with an area tells its CPU anew before it runs user code. */
void rseq_enable(struct thread *thread);
void rseq_forget(struct thread *thread);
/* WORK_RESTART is set: aborts a sequence, tells the CPU. */
void rseq_return(struct trap_frame *frame);
/* A handler is about to run: aborts a sequence. */
void rseq_before_handler(struct trap_frame *frame);

/* ---- settings.c: /proc/sys/kernel ---- */

enum process_setting {
    SETTING_PID_MAX,          /* numbers stay below it */
    SETTING_THREADS_MAX,      /* how many there may be in use; more are -EAGAIN */
    SETTING_CHILD_RUNS_FIRST, /* 1: a forked child goes before its parent, on one CPU */
    PROCESS_SETTINGS,
};
u64 process_setting(enum process_setting which);
void process_settings_init(void);
/* Makes their files, when /proc is there. */
void process_settings_show(void);

/* ---- the others ---- */

void thread_robust_list_release(struct thread_identity *identity);
void futex_init(void);
void futex_pi_init(void);
/* The locks with priority inheritance that an ending thread holds go to those who wait. */
void pi_locks_release(struct thread *thread);
void oom_init(void);
/* From 0 to 2000, as proc(5)'s oom_score; 0 for who is never ended. */
u64 process_oom_score(struct process *process);
/* How many processes were ended for their memory since the boot. */
u64 process_oom_kills(void);
/* Sets oom_score_adj. -EINVAL; -EACCES: it may not be lowered so far. */
int process_oom_adjust(struct process *process, s32 adjustment) must_check;
/* The parent of a vfork goes on: the child lets go of its memory. */
void vfork_release(struct thread_identity *child);
/* exec ends all threads but the caller, which takes over the leader's number. */
int process_become_single(struct process *process) must_check;
void itimers_init(struct process *process);
/* exec: POSIX timers go; exit: all. */
void itimers_exec(struct process *process);
void itimers_clear(struct process *process);
/* At a sample: ITIMER_VIRTUAL, ITIMER_PROF, RLIMIT_CPU. */
void process_sample(struct thread *thread, u64 period_ns);
/* How soon a timer with an interval comes again while its signal is ignored. */
#define IGNORED_LEAST_NS (10 * NS_PER_MS)
void posix_timers_clear(struct process *process);
/* The timer's signal was taken: its overruns go with it, and it is armed again. */
void posix_timer_signal_taken(struct posix_timer *timer, struct signal_info *info);
/* SIGALRM was taken: ITIMER_REAL is armed again. */
void itimer_signal_taken(struct process *process) must_hold(&process->signals_lock);

/* An alarm on a clock of CPU time (cpu_clock.c), whose lock guards it. In its owner's memory. */
struct cpu_alarm {
    struct list link;              /* in cpu_alarms of the process that is measured, if it is set */
    const struct cpu_clock *clock; /* kept by the alarm's owner, with its references */
    u64 at_ns;                     /* of that clock */
    /* Called once, off the list, with the measured process's signals_lock and the alarms' lock. */
    void (*ring)(struct cpu_alarm *alarm);
};
void cpu_alarm_init(struct cpu_alarm *alarm, void (*ring)(struct cpu_alarm *alarm));
/* Also sets one anew. */
void cpu_alarm_set(struct cpu_alarm *alarm, const struct cpu_clock *clock, u64 at_ns);
void cpu_alarm_cancel(struct cpu_alarm *alarm);
/* At a sample: rings what is due. */
void cpu_alarms_check_locked(struct process *process) must_hold(&process->signals_lock);
void limits_init(struct process *process);
void limits_init_thread(struct thread *thread);
void credentials_init(void);
struct credentials *credentials_create_root(void) must_check;
void usage_add(struct cpu_usage *to, const struct cpu_usage *more);
void usage_add_space(struct cpu_usage *to, const struct address_space *space);
/* exec: what was counted by the old address space stays the process's. */
void usage_keep_space(struct process *process);
u64 process_count_of_user(u32 uid);
void usage_add_thread(struct cpu_usage *to, struct thread *thread);
/* What the threads and the space of a living process add up to. */
void process_usage_locked(struct process *process, struct cpu_usage *usage_out)
    must_hold(&process_table_lock);
void kernel_process_init(void);
void fault_signals_init(void);
/* ss_flags as sigaltstack(2) shows them. */
u32 alternate_stack_status(const struct alternate_stack *stack, u64 stack_pointer);
/* Runs on the way to user mode. */
void user_return(struct trap_frame *frame);
/* Swaps a shared part of the calling thread under process_table_lock, for outside readers. */
void thread_space_set(struct thread *thread, struct address_space *space);
