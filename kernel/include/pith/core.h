/*
 * What every folder above arch/ and lib/ builds on: assertions and panic, the kernel's log, the
 * words of its command line, time and timers, deferred work, RCU and random numbers.
 */
#pragma once

#include <pith/list.h>
#include <pith/refcount.h>
#include <pith/spinlock.h>
#include <pith/string.h>
#include <pith/tree.h>

/* ---- Panic ---- */

/*
 * Stops all CPUs, prints the text, registers, a backtrace and the current process; never returns.
 */
noreturn void panic(const char *format, ...) printf_like(1, 2);
noreturn void panic_at(const struct trap_frame *frame, const char *format, ...) printf_like(2, 3);
noreturn void assert_failed(const char *condition, const char *file, int line,
                            const char *function);

/* Invariants only: what a user program can cause is never asserted. Always compiled in. */
#define assert(condition)                                            \
    do {                                                             \
        if (unlikely(!(condition)))                                  \
            assert_failed(#condition, __FILE__, __LINE__, __func__); \
    } while (0)

/* The function that holds an address of the kernel's code, and how far in; NULL: none. */
const char *symbol_find(u64 address, u64 *offset_out);
/* The code of the index-th function by address; false: there are not so many. */
bool symbol_at(u64 index, u64 *from_out, u64 *to_out);
/* SAN=1: how many functions there are, and how many ran, in the folders above mem/ and sched/. */
void coverage_count(u64 *reached_out, u64 *functions_out);
/* Logs it: "[<address>] function+offset". */
void log_code_address(u64 address);
/* The same for what a call pushed: behind a call that never returns another function begins. */
void log_return_address(u64 address);
/* Does what the word `panic=` says; the end of the boot. */
void debug_words_run(void);

/* ---- Log: a ring that dmesg reads, and whoever registered as its sink ---- */

enum log_level {
    LOG_ERROR = 3,
    LOG_WARNING = 4,
    LOG_NOTICE = 5,
    LOG_INFO = 6,
    LOG_DEBUG = 7
};

/* One line without its newline. Any context, under any lock. */
void log_line(enum log_level level, const char *format, ...) printf_like(2, 3);
#define log_error(...)   log_line(LOG_ERROR, __VA_ARGS__)
#define log_warning(...) log_line(LOG_WARNING, __VA_ARGS__)
#define log_info(...)    log_line(LOG_INFO, __VA_ARGS__)

/* Gets each finished line ("[    0.001234] text\n"). Any context; must not log. */
typedef void log_sink(const char *line, size_t bytes);
void log_sink_register(log_sink *sink, enum log_level most_verbose);
/* Called once by panic, after its text was logged, with the other CPUs stopped. May be NULL. */
void panic_hook_register(void (*hook)(void));
/* Whether the log, and so a panic's text, already goes to a port of the machine (`log=`). */
bool early_console_has_log(void);
/* Writes to the port that the word `log` names, if any. Polls the port: slow. */
void early_console_write(const char *bytes, size_t count);
/* Prints the current process in a panic; proc/ registers it. */
void panic_describe_register(void (*describe)(void));
#define LOG_BYTES (64u * 1024) /* the ring's size */
/* Copies what the ring holds from sequence position *position on, which it moves. Bytes copied. */
size_t log_read(u64 *position, char *buffer, size_t size);
u64 log_position_end(void);

/* ---- The words of the kernel's command line: name[=value] ---- */

/* A line of the one table of words; docs/kernel-parameters.md is made from all of them. */
struct parameter {
    const char *name;
    const char *values; /* for the reader: "off", "N", "fair|mlfq|..." */
    const char *effect; /* one sentence */
    /* Returns 0 or -EINVAL, which is logged. `value` is NULL for a bare word. */
    int (*set)(const char *value);
    bool *flag; /* instead of `set`: the bare word makes it true */
};
#define PARAMETER(identifier, ...)                       \
    static const struct parameter parameter_##identifier \
        __attribute__((used, __section__(".parameters"), __aligned__(8))) = {__VA_ARGS__}

void parameters_parse(const char *command_line);

/* ---- Time ---- */

#define NS_PER_SECOND 1000000000ul
#define NS_PER_MS     1000000ul
#define NS_PER_US     1000ul

/* Nanoseconds since 1970 (UTC), and how to set them. */
u64 clock_realtime_ns(void);
void clock_realtime_set(u64 ns);
/*
 * Moves them by `ns`, slowly (adjtime(3)), in place of what was left to move, which it returns; 0
 * ends it where it is. And what is left now.
 */
s64 clock_slew(s64 ns);
s64 clock_slew_left(void);
/* The moment of the monotonic clock at which the date is `realtime_ns`, if nobody sets it. */
static inline u64 clock_monotonic_at(u64 realtime_ns)
{
    u64 now_ns = clock_monotonic_ns(), realtime_now_ns = clock_realtime_ns();

    return realtime_ns > realtime_now_ns ? now_ns + (realtime_ns - realtime_now_ns) : 0;
}
/* fs/ gives what is called after the date was set (timers that follow it). Any context. */
void clock_set_register(void (*was_set)(void));

/*
 * A timer as programs set it: 0 means "not set" and "once". Whose moment or span: who uses it says.
 */
struct interval_timer {
    u64 interval_ns, deadline_ns;
};

/*
 * The word `deterministic`: the machine, which has one CPU and counts instructions for time, shows
 * nothing of its host's timing. [const] after the command line was read
 */
extern bool deterministic;
/*
 * From stop to go the clock stands still and interrupts are off: for waiting for the host, under
 * `deterministic` only. May be nested. `stop` returns what `go` restores.
 */
u64 clock_stop(void);
void clock_go(u64 flags);

/* ---- What happens in a run, as one number: trace=hash (trace_hash.c) ---- */

enum trace_event {
    TRACE_CALL,   /* its number */
    TRACE_RESULT, /* of a call */
    TRACE_FAULT,  /* its address */
    TRACE_SWITCH, /* to the thread at this address */
};
extern bool trace_is_hashed; /* [const] after the command line was read */
void trace_hash_add(enum trace_event event, u64 value);
static inline void trace_event(enum trace_event event, u64 value)
{
    if (unlikely(trace_is_hashed))
        trace_hash_add(event, value);
}
/* Logs what it came to so far. */
void trace_hash_report(void);

/* A timer calls its function once, at interrupt exit (deferred work's context), on its own CPU. */
struct timer {
    struct tree_node node; /* guarded by the CPU's timer lock; linked: it is set */
    u64 deadline_ns;
    void (*function)(struct timer *timer); /* may free the timer, or set it again */
    struct cpu *cpu;                       /* where it was last set; NULL: never */
};
void timer_init(struct timer *timer, void (*function)(struct timer *timer));
/* Sets, or sets anew, on this CPU. `deadline_ns` is of clock_monotonic_ns. */
void timer_set(struct timer *timer, u64 deadline_ns);
/* Returns true if the function will not run for the last timer_set. Does not wait for a run. */
bool timer_cancel(struct timer *timer);
/*
 * As above, and waits until a run on another CPU is over. No lock that the function takes is held.
 */
bool timer_cancel_wait(struct timer *timer);
/* Before its memory goes: it is not set, and runs nowhere, whichever CPUs it was set on. */
void timer_fini(struct timer *timer);
/* For a timer's function: whether its interrupt came while deferred work ran. */
bool timer_rang_in_deferred(void);

/* ---- Deferred work: at interrupt exit with interrupts on; takes spinlocks, never sleeps ---- */

struct deferred {
    struct list link;
    void (*function)(struct deferred *work);
    u32 queued; /* [atomic] */
};
#define DEFERRED_INIT(fn) \
    {                     \
        .function = (fn)  \
    }
/* Runs it soon on this CPU; once, however often it was asked for before it ran. Any context. */
void deferred_schedule(struct deferred *work);
/* Runs what waits, up to a budget, in the CPU's worker thread. Returns whether nothing is left. */
bool deferred_run(void) must_check;
/* How many pieces ran on an online CPU. */
u64 deferred_count_of(u32 cpu);
/* sched/ tells how to wake the worker when the budget is used up. */
void deferred_worker_register(void (*wake)(void));

/* ---- RCU: readers take no lock; what they may still see is freed after all CPUs passed on ---- */

struct rcu_head {
    struct list link;
    void (*free)(struct rcu_head *head);
    u64 period;
};
/* Readers only must not block; the kernel is not preempted elsewhere. Checked with SAN=1. */
void rcu_read_lock_checked(void);   /* SAN=1 */
void rcu_read_unlock_checked(void); /* SAN=1 */
static inline void rcu_read_lock(void)
{
    if (SAN)
        rcu_read_lock_checked();
    __asm__ volatile("" : : : "memory"); /* reads stay inside */
}
static inline void rcu_read_unlock(void)
{
    __asm__ volatile("" : : : "memory");
    if (SAN)
        rcu_read_unlock_checked();
}
void rcu_free(struct rcu_head *head, void (*free)(struct rcu_head *head));
/* sched/ says: this CPU switched, idles or ran in user mode. */
void rcu_quiescent(void);

/* ---- Random numbers: ChaCha20 under a key that is replaced after each use ---- */

void random_bytes(void *buffer, size_t bytes);
u64 random_u64(void);
void random_add_entropy(const void *bytes, size_t size);

void core_init(void);
void core_init_cpu(void); /* each other CPU, before it takes threads */
/* arch/ calls it once on each further CPU, on its own stack; sched/ registers what comes then. */
noreturn void cpu_started(void);
void cpu_started_register(void (*function)(void));
/* arch/ brackets every device, timer and IPI handler with these. */
void interrupt_enter(void);
void interrupt_exit(void);
