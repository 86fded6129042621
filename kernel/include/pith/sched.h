/*
 * Threads and their states, run queues, and what threads wait with: wait queues, mutexes and the
 * read-write lock.
 *
 *            thread_start          picked                 last switch
 *      NEW ---------------> READY --------> RUNNING ---------------------> DEAD
 *                           ^   ^------------' |  preempted, yields
 *                           |                  |
 *                           |   woken          v
 *                           '---------- WAITING, STOPPED, TRACED
 *
 * Every change goes through thread_set_state (sched/state.c), which checks it against the table of
 * legal edges and charges the time that was spent in the old state.
 *
 * Who waits does so on three levels, each made of the one above it here:
 *
 *     thread_block, thread_wake     one thread, and the lock that guards what it waits for
 *     wait_queue                    many threads, and things that are no threads (poll, epoll)
 *     mutex, rwlock                 a condition that everybody has: may I go on?
 *
 * Locking: whatever guards the condition, then thread.lock, then run_queue.lock. A spinlock keeps
 *          interrupts off, and is let go by thread_block itself; no other may be held.
 * Context: what wakes is for any context; what blocks for threads only, never the idle ones.
 */
#pragma once

#include <pith/core.h>
#include <pith/policy.h>
#include <pith/time_split.h>

struct process;
struct address_space;
struct file_table;
struct directories;
struct credentials;

enum thread_state {
    THREAD_NEW,
    THREAD_READY,
    THREAD_RUNNING,
    THREAD_WAITING,
    THREAD_STOPPED,
    THREAD_TRACED,
    THREAD_DEAD,
    THREAD_STATES,
};

enum wait_kind {
    WAIT_INTERRUPTIBLE,   /* any signal that is not blocked ends it: -EINTR */
    WAIT_KILLABLE,        /* only SIGKILL does: -EINTR */
    WAIT_UNINTERRUPTIBLE, /* nothing does; short, and bounded by a device */
};

/* Why a thread waits: wchan, microstates, load average. */
enum wait_reason {
    WAIT_FOR_NOTHING,
    WAIT_FOR_PIPE,
    WAIT_FOR_FUTEX,
    WAIT_FOR_CHILD,
    WAIT_FOR_FILE,
    WAIT_FOR_LOCK,
    WAIT_FOR_TIMER,
    WAIT_FOR_TERMINAL,
    WAIT_FOR_SIGNAL,
    WAIT_FOR_POLL,
    WAIT_FOR_SOCKET,
    WAIT_FOR_VFORK,
    WAIT_FOR_WORK,
    WAIT_FOR_EXEC,
    WAIT_REASONS,
};

/* What a RUNNING thread does: its samples, which split that time. */
enum thread_mode {
    THREAD_IN_SYSTEM, /* a system call, or what an interrupt left to do: 0 */
    THREAD_IN_USER,
    THREAD_IN_TRAP,  /* an exception that is no page fault */
    THREAD_IN_FAULT, /* a page fault, of its own or of a system call's on its memory */
    THREAD_MODES,
};

/* POSIX scheduling, as sched_setscheduler(2) numbers them. */
enum thread_class {
    CLASS_NORMAL = 0,
    CLASS_FIFO = 1,
    CLASS_RR = 2,
    CLASS_BATCH = 3,
    CLASS_IDLE = 5
};

static inline bool class_is_realtime(int class)
{
    return class == CLASS_FIFO || class == CLASS_RR;
}

/*
 * /proc/sys/kernel/sched_rt_period_us, sched_rt_runtime_us (-1: no limit), sched_rr_timeslice_ms.
 */
#define REALTIME_TIMESLICE_MS 100
struct realtime_limits {
    s64 period_us, runtime_us, timeslice_ms;
};
void realtime_limits_get(struct realtime_limits *limits_out);
/* Sets what `change` makes of them; it may not sleep. -EINVAL: they do not go together. */
int realtime_limits_change(void (*change)(struct realtime_limits *limits, s64 value), s64 value)
    must_check;

/*
 * Work that the thread does on its way to user mode: bits of thread.pending_work. The way out tests
 * the whole word at once, so what is not there costs nothing. BIT(4) and BIT(6) are arch/'s:
 * WORK_OF_ARCH in cpu.h.
 */
#define WORK_SIGNAL     BIT(0) /* look for signals; set before the thread's wake-up */
#define WORK_RESCHEDULE BIT(1) /* another thread should run */
#define WORK_CALLBACK   BIT(3) /* thread.on_user_return is to be called */
#define WORK_KILLED     BIT(5) /* SIGKILL is pending: killable waits end */
#define WORK_RESTART    BIT(7) /* user mode was disturbed: restartable sequences (proc/rseq.c) */

/*
 * A call that ended with -ERESTART_RESTARTBLOCK: if no handler runs, restart_syscall(2) goes on
 * with `function`, which finds here what it needs (the time that is left, say).
 */
struct restart {
    long (*function)(struct restart *restart); /* NULL: nothing to restart */
    u64 values[6];
};

/* What a thread read and wrote: /proc/PID/io. */
struct io_counts {
    u64 reads, writes;             /* calls, also those that failed */
    u64 bytes_read, bytes_written; /* by calls, whatever is behind the descriptor */
    u64 device_pages_read;         /* pages that it waited for a device to read */
};
static inline void io_counts_add(struct io_counts *to, const struct io_counts *more)
{
    to->reads += more->reads;
    to->writes += more->writes;
    to->bytes_read += more->bytes_read;
    to->bytes_written += more->bytes_written;
    to->device_pages_read += more->device_pages_read;
}

/*
 * What runs. sched/ owns its state and its place; proc/ gives it a process and an identity; what it
 * works with is shared with other threads as clone said. A kernel thread has neither memory nor
 * files. Kept by references: its own while it can run, its creator's, and those of who looks.
 */
struct thread {
    /* Known to assembly (arch/x86_64/offsets.c). */
    u64 pending_work;         /* [atomic] WORK_* */
    struct context context;   /* while not RUNNING */
    void *stack;              /* [const] lowest address of the kernel stack */
    struct user_context user; /* [owner], or not RUNNING */

    /* sched/'s own. */
    struct spinlock lock;          /* LOCK_THREAD: state, wait_kind, wait_reason */
    enum thread_state state;       /* guarded_by(&lock) */
    enum wait_kind wait_kind;      /* guarded_by(&lock) */
    enum wait_reason wait_reason;  /* guarded_by(&lock) */
    struct refcount references;    /* the last frees its stack */
    u32 cpu;                       /* whose run queue it belongs to; guarded by that queue's lock */
    bool on_cpu;                   /* [atomic] its stack is in use: cleared after the last switch */
    u64 affinity;                  /* guarded_by(&lock) CPUs it may run on */
    enum thread_class class;       /* guarded by the run queue's lock, as all below */
    s32 nice;                      /* -20 to 19 */
    u16 io_priority;               /* [atomic] ioprio_set(2) */
    bool resets_on_fork;           /* [atomic] its children begin as ordinary ones */
    u32 priority;                  /* 1 to 99 with CLASS_FIFO and CLASS_RR, else 0 */
    u32 lent_priority;             /* of those who wait for it (proc/futex_pi.c); 0: none */
    struct policy_thread policy;   /* its `priority` is the greater of the two */
    struct list queue_link;        /* in its run queue while it is READY */
    u64 born_ns;                   /* [const] of clock_monotonic_ns, as the next */
    u64 state_since_ns;            /* the state's lock (state.c), as the next two */
    u64 time_in_ns[THREAD_STATES]; /* finished stays in each state */
    u64 waited_ns[WAIT_REASONS];   /* the parts of WAITING */
    struct time_split ran;         /* time_in_ns[THREAD_RUNNING] by modes; samples are [cpu] */
    u8 mode;                       /* [owner] enum thread_mode, while in the kernel */
    u64 arrived_ns;                /* when it came to its CPU */
    u64 migrations, turns;         /* how often it changed its CPU, and was picked */
    u64 burst_ns;                  /* how long it ran since it last waited, or... */
    u64 average_burst_ns; /* ... since a burst ended at its limit; the average of past ones */
    u64 voluntary_switches, involuntary_switches; /* as it left the CPU: blocked; else */
    struct timer sleep_timer;                     /* [owner] for waits with a time limit */
    int wake_result;               /* guarded_by(&lock) 0, -EINTR or -ETIMEDOUT: how a wait ended */
    bool queued;                   /* it is in the run queue of `cpu`; that queue's lock */
    void (*entry)(void *argument); /* [const] */
    void *entry_argument;          /* [const] */
    const char *kernel_name;       /* [const] a kernel thread's; else NULL */
    u32 sleep_locks_held;          /* [owner] SAN=1: a bit for each class */
    enum thread_state state_seal;  /* SAN=1: what state is, if nobody else wrote it */
    struct restart restart;        /* [owner] */
    u64 switch_work; /* [owner] set in pending_work when preempted or on another CPU... */
    u32 told_cpu;    /* ... than this one, [owner] of which user mode knows */

    /*
     * What the thread works with. sched/ never looks at them; proc/ sets, shares (clone) and
     * releases them; the folders in between read those of thread_current(). [owner], and others
     * under the process's lock.
     */
    struct address_space *space;     /* NULL: a kernel thread */
    struct file_table *files;        /* fs.h: descriptors */
    struct directories *directories; /* fs.h: root, working directory, umask */
    struct credentials *credentials; /* credentials.h: immutable once set, replaced whole */
    u64 limits_file_size;            /* [atomic] RLIMIT_FSIZE */
    u64 limits_open_files;           /* [atomic] RLIMIT_NOFILE, soft */
    struct io_counts io;             /* [owner] */
    u64 minor_faults, major_faults;  /* [owner] */

    /* proc/'s: the process, and signals. sched/ and what lies between never look at them. */
    struct process *process;          /* [const] NULL: an idle thread */
    struct thread_identity *identity; /* [const] proc/thread.c: tid, signals, robust list, ... */
    void (*on_free)(struct thread *thread); /* [const] the last reference went; NULL: nothing */
    void (*on_user_return)(void);           /* [owner] WORK_CALLBACK */
};

/* ---- Life ---- */

/*
 * A NEW thread with a kernel stack that will run entry(argument). The caller holds its one
 * reference. -ENOMEM. May sleep.
 */
int thread_create(void (*entry)(void *), void *argument, struct thread **thread_out) must_check;
/* NEW to READY, on a CPU that its affinity allows. */
void thread_start(struct thread *thread);
/* Ends the calling thread; its stack is freed by whoever runs next. */
noreturn void thread_exit(void);
static inline void thread_get(struct thread *thread)
{
    refcount_inc(&thread->references);
}
void thread_put(struct thread *thread);
/* A thread of process 2, started. -ENOMEM. */
int kernel_thread_start(const char *name, void (*entry)(void *), void *argument,
                        struct thread **thread_out);
/* proc/ makes each kernel thread that is started from then on one of process 2. */
void kernel_thread_register(void (*adopt)(struct thread *thread));
/*
 * proc/ gives what is called at each switch between threads with different address spaces.
 * Interrupts are off, the run queue is locked.
 */
void sched_switch_register(void (*switch_to)(struct address_space *from, struct address_space *to));

/* proc/ gives what is called at each sample of a busy CPU, for the running thread; see sampling. */
void sched_sample_register(void (*sample)(struct thread *thread, u64 period_ns));

/* ---- Running ---- */

/* sched_yield(2): behind those that are as urgent. The policy says what that is. */
void sched_yield(void);
/* The calling thread is to end: a loop that can take long ends with -EINTR. */
static inline bool fatal_signal_is_pending(void)
{
    return READ_ONCE(thread_current()->pending_work) & WORK_KILLED;
}
/* Where a long loop in the kernel lets others run; may block. No spinlock is held. */
void sched_point(void);
/* The same in a loop whose length a program chose. -EINTR: the thread is to end. */
int sched_point_killable(void) must_check;
/* Called by the way back to user mode when WORK_RESCHEDULE is set. */
void sched_preempt(void);
/* The class of a NEW thread. Nobody else knows it. */
void thread_schedule_init(struct thread *thread, enum thread_class class, u32 priority, s32 nice);
/* Any thread's, whatever it does meanwhile. Rights were checked. -EINVAL: out of range. */
int thread_set_class(struct thread *thread, enum thread_class class, u32 priority, s32 nice)
    must_check;
/* Its nice value alone, -20 to 19: class and priority may change at the same time. */
void thread_set_nice(struct thread *thread, s32 nice);
/*
 * For a thread that is to end: with less than the usual share it now has the usual one. Beside busy
 * threads the idle class gets milliseconds a second, and others wait for what the thread holds: its
 * memory, its parent for its end.
 */
void thread_hasten(struct thread *thread);
/* Until it is lent another, or 0, the thread runs with no less than this real-time priority. */
void thread_lend_priority(struct thread *thread, u32 priority);
/*
 * Once it returns, the thread runs on no other CPU; the caller's own, from the next way to user
 * mode on. -EINVAL: no such CPU online. May sleep.
 */
int thread_set_affinity(struct thread *thread, u64 cpus) must_check;
/* RUNNING time up to now, split into user and system, in ns. */
void thread_times(struct thread *thread, u64 *user_ns_out, u64 *system_ns_out);

/* ---- Waiting: the lowest level ---- */

/*
 * Blocks the calling thread; `lock` is let go only when nobody can miss it any more, and taken
 * again before it returns (NULL: there is none, only time and signals end the wait). Returns 0 when
 * woken by thread_wake; -EINTR as `kind` says (at once, without blocking, if the signal is pending
 * already).
 */
int thread_block(enum wait_kind kind, enum wait_reason reason, struct spinlock *lock);
/* As above, at most until `deadline_ns` (U64_MAX: for ever): -ETIMEDOUT. */
int thread_block_until(enum wait_kind kind, enum wait_reason reason, struct spinlock *lock,
                       u64 deadline_ns);
/* As above, but does not take the lock again. */
int thread_block_and_release(enum wait_kind kind, enum wait_reason reason, struct spinlock *lock,
                             u64 deadline_ns);
/* Makes a WAITING thread READY. Returns 1, or 0 if it was not waiting. Any context. */
int thread_wake(struct thread *thread);
/*
 * Makes it look at pending_work: wakes it if it waits interruptibly (or killably, with
 * WORK_KILLED), interrupts its CPU if it runs user code. The caller set the bit before.
 */
void thread_notify(struct thread *thread);
/*
 * STOPPED: called by the thread itself on its way to user mode; thread_continue ends it. `lock`
 * guards the condition and is let go meanwhile, as in thread_block.
 */
void thread_stop(struct spinlock *lock);
void thread_continue(struct thread *thread);
/* Sleeps until the deadline. 0, or -EINTR. */
int thread_sleep_until(u64 deadline_ns, enum wait_kind kind);

/* ---- Wait queues ---- */

/* An entry of a queue, in its owner's memory: on the stack of who waits, or in an epoll's item. */
struct waiter {
    struct list link;      /* guarded by the queue's lock */
    struct thread *thread; /* [const] whom waiter_wake_thread wakes */
    /* Called under the queue's lock. Returns 1 if it used up a wake-up. `events`: POLL* bits. */
    int (*wake)(struct waiter *waiter, u32 events);
    bool exclusive; /* counts against wait_queue_wake's `count` */
};

struct wait_queue {
    struct spinlock lock; /* also guards the condition that is waited for */
    struct list waiters;  /* guarded_by(&lock) */
};

/* Of class LOCK_WAIT_QUEUE, or of one that stands elsewhere in the order. Nothing to take down. */
void wait_queue_init(struct wait_queue *queue);
void wait_queue_init_class(struct wait_queue *queue, enum lock_class class);
/* What a plain waiter does when it is woken. 0 if its thread was awake already: nothing used up. */
int waiter_wake_thread(struct waiter *waiter, u32 events);
/* queue->lock is held. Waits for one wake-up, without the lock meanwhile. -EINTR. */
int wait_queue_wait(struct wait_queue *queue, enum wait_kind kind, enum wait_reason reason)
    must_hold(&queue->lock) must_check;
int wait_queue_wait_until(struct wait_queue *queue, enum wait_kind kind, enum wait_reason reason,
                          u64 deadline_ns) must_hold(&queue->lock) must_check;
#define WAKE_ALL 0x7fffffff
/* queue->lock is held. Wakes all that are not exclusive, and up to `count` that are. */
int wait_queue_wake_locked(struct wait_queue *queue, int count, u32 events) must_hold(&queue->lock);
/* The same for callers that do not hold the lock (cheap when nobody waits). */
void wait_queue_wake(struct wait_queue *queue, int count, u32 events);
/* For poll: puts an entry on, and takes it off again. */
void wait_queue_add(struct wait_queue *queue, struct waiter *waiter);
void wait_queue_remove(struct wait_queue *queue, struct waiter *waiter);

/* ---- Sleeping locks ---- */

/* One holder, a thread, which may sleep and is the one that unlocks. Not recursive. */
struct lockable mutex {
    u64 owner; /* [atomic] the thread, 0: free; bit 0: somebody waits */
    struct wait_queue queue;
    u16 class;
};
void mutex_init(struct mutex *mutex, enum lock_class class);
void mutex_lock(struct mutex *mutex) acquires(mutex);
/* -EINTR: SIGKILL came. */
int mutex_lock_killable(struct mutex *mutex) try_acquires(0, mutex) must_check;
bool mutex_try_lock(struct mutex *mutex) try_acquires(1, mutex);
void mutex_unlock(struct mutex *mutex) releases(mutex);
bool mutex_is_held(const struct mutex *mutex); /* by the caller */

/* Many readers or one writer; a waiting writer keeps new readers out. */
struct lockable rwlock {
    u64 state;             /* [atomic] rwlock.c */
    struct thread *writer; /* who has it for writing; for assertions */
    struct wait_queue queue;
    u16 class;
};
void rwlock_init(struct rwlock *lock, enum lock_class class);
void rwlock_read_lock(struct rwlock *lock);
void rwlock_read_unlock(struct rwlock *lock);
void rwlock_write_lock(struct rwlock *lock);
bool rwlock_write_try_lock(struct rwlock *lock) must_check;
void rwlock_write_unlock(struct rwlock *lock);
bool rwlock_is_write_held(const struct rwlock *lock); /* by the caller */

/* ---- What others see ---- */

/* One letter, as in /proc/PID/stat: R S D T t Z X I. */
char thread_state_letter(const struct thread *thread);
const char *wait_reason_name(enum wait_reason reason);
/*
 * What a thread's life was spent with, in ns; the answer is its length, which is their sum. What
 * part of its RUNNING time was of which mode is sampled, all else is exact.
 */
enum microstate {
    MICROSTATE_USER,
    MICROSTATE_SYSTEM,
    MICROSTATE_TRAP,
    MICROSTATE_FAULT,
    MICROSTATE_LOCK,
    MICROSTATE_IO,
    MICROSTATE_CHILD,
    MICROSTATE_CPU, /* it waited for a CPU */
    MICROSTATE_STOPPED,
    MICROSTATE_SLEEP, /* it waited for a time, a signal, or work */
    MICROSTATES,
};
u64 thread_microstates(struct thread *thread, u64 ns_out[MICROSTATES]);
struct thread_schedule {
    u64 ran_ns, ready_ns, turns, migrations, virtual_ns;
};
void thread_schedule_describe(struct thread *thread, struct thread_schedule *out);
/* Visits the calls that a thread waits in, the innermost first; none of one that runs. */
void thread_stack_walk(struct thread *thread, void (*visit)(u64 return_address, void *argument),
                       void *argument);
/* Load averages over 1, 5 and 15 minutes, times 2048. */
void load_average(u64 averages_out[3]);
/* Threads that run or are READY, and that wait uninterruptibly. */
void threads_count_active(u32 *running_out, u32 *blocked_out);
struct cpu_times {
    u64 user_ns, nice_ns, system_ns, deferred_ns, idle_ns, iowait_ns;
    u64 ran_ns, ready_ns, turns; /* of its threads: on the CPU, READY before, how often picked */
    u64 switches;
};
void cpu_times_of(u32 cpu, struct cpu_times *times_out);
u64 context_switches_total(void);

/* Makes the boot stack a thread that may use locks, not block. */
void sched_init(void);
/* Starts the kernel threads that sched/ and core/ need; after memory and proc_init. */
void sched_init_late(void);
/* Becomes the calling CPU's idle thread and runs what is READY. */
noreturn void sched_run(void);
