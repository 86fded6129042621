/*
 * How a thread is scheduled, and what its life was spent with: sched, schedstat, microstates and
 * stack in /proc/PID and /proc/PID/task/TID; /proc/schedstat and the real-time limits of the
 * machine.
 *
 * /proc/PID tells of the process's first thread, as on Linux. The fields of `sched` are Linux's;
 * those that begin with se.avg are averages over the whole life instead of the last moments.
 *
 * microstates is Pith's own: a name and nanoseconds a line. `elapsed` is the thread's age, read in
 * the same moment as the others, and their sum.
 */
#include "proc_files.h"

#define LOAD_ONE       1024  /* se.avg: all the time, at nice 0 */
#define LOAD_SUM_ONE   47742 /* what Linux's sums of a geometric series reach */
#define WEIGHT_SCALE   1024  /* se.load.weight has ten bits more than the table of sched(7) */
#define PRIORITY_NICE0 120
#define NS_PER_MSEC    1000000
#define STACK_LINES    32

/* A process without threads has empty files. */
static int show_first(struct text_sink *sink, void *object,
                      int (*show)(struct text_sink *sink, void *thread))
{
    int error = proc_show_first_thread(sink, object, show);

    return error == -ESRCH ? 0 : error;
}

/* ---- sched, schedstat ---- */

static void print_number(struct text_sink *sink, const char *name, u64 value)
{
    text_print(sink, "%-45s:%21lu\n", name, value);
}

static void print_ms(struct text_sink *sink, const char *name, u64 ns)
{
    text_print(sink, "%-45s:%14lu.%06lu\n", name, ns / NS_PER_MSEC, ns % NS_PER_MSEC);
}

static void print_averages(struct text_sink *sink, const struct thread_schedule *schedule,
                           u64 weight, u64 elapsed_ns)
{
    u64 scale = MAX(elapsed_ns / LOAD_ONE, 1);
    u64 ran = MIN(schedule->ran_ns / scale, LOAD_ONE);
    u64 runnable = MIN((schedule->ran_ns + schedule->ready_ns) / scale, LOAD_ONE);

    print_number(sink, "se.avg.load_sum", runnable * LOAD_SUM_ONE / LOAD_ONE);
    print_number(sink, "se.avg.runnable_sum", runnable * LOAD_SUM_ONE);
    print_number(sink, "se.avg.util_sum", ran * LOAD_SUM_ONE);
    print_number(sink, "se.avg.load_avg", runnable * weight / LOAD_ONE);
    print_number(sink, "se.avg.runnable_avg", runnable);
    print_number(sink, "se.avg.util_avg", ran);
}

/* Kernel priorities as Linux counts them: 0 to 99 of real-time threads, most urgent first. */
static u64 kernel_priority(const struct thread *thread)
{
    if (thread->policy.priority)
        return POLICY_PRIORITIES - 1 - thread->policy.priority;
    return (u64)(PRIORITY_NICE0 + thread->nice);
}

/* The names and the order are Linux's debugging text, which tools read. */
int proc_show_thread_sched(struct text_sink *sink, void *object)
{
    struct thread *thread = object;
    u64 microstates[MICROSTATES], elapsed_ns, from_ns, until_ns;
    struct thread_schedule schedule;

    elapsed_ns = thread_microstates(thread, microstates);
    thread_schedule_describe(thread, &schedule);
    text_print(sink, "%.15s (%d, #threads: %u)\n", thread->identity->name, thread->identity->tid,
               READ_ONCE(thread->process->thread_count));
    text_print(sink, "-------------------------------------------------------------------\n");
    print_ms(sink, "se.exec_start", thread->born_ns + elapsed_ns);
    print_ms(sink, "se.vruntime", schedule.virtual_ns);
    print_ms(sink, "se.sum_exec_runtime", schedule.ran_ns);
    print_number(sink, "se.nr_migrations", schedule.migrations);
    print_number(sink, "nr_switches", thread->voluntary_switches + thread->involuntary_switches);
    print_number(sink, "nr_voluntary_switches", thread->voluntary_switches);
    print_number(sink, "nr_involuntary_switches", thread->involuntary_switches);
    print_number(sink, "se.load.weight", (u64)thread->policy.weight * WEIGHT_SCALE);
    print_averages(sink, &schedule, thread->policy.weight, elapsed_ns);
    print_number(sink, "policy", thread->class);
    print_number(sink, "prio", kernel_priority(thread));
    from_ns = clock_monotonic_ns();
    until_ns = clock_monotonic_ns();
    print_number(sink, "clock-delta", until_ns - from_ns);
    return 0;
}

int proc_show_sched(struct text_sink *sink, void *object)
{
    return show_first(sink, object, proc_show_thread_sched);
}

/* Linux sets its counters of waits to 0, which are not among the fields here. */
int proc_store_sched(void *object, const char *text, size_t bytes)
{
    return 0;
}

int proc_show_thread_schedstat(struct text_sink *sink, void *object)
{
    struct thread_schedule schedule;

    thread_schedule_describe(object, &schedule);
    text_print(sink, "%lu %lu %lu\n", schedule.ran_ns, schedule.ready_ns, schedule.turns);
    return 0;
}

int proc_show_schedstat(struct text_sink *sink, void *object)
{
    return show_first(sink, object, proc_show_thread_schedstat);
}

/* ---- microstates ---- */

int proc_show_thread_microstates(struct text_sink *sink, void *object)
{
    static const char *const names[MICROSTATES] = {
        [MICROSTATE_USER] = "user",       [MICROSTATE_SYSTEM] = "system",
        [MICROSTATE_TRAP] = "trap",       [MICROSTATE_FAULT] = "fault",
        [MICROSTATE_LOCK] = "lock",       [MICROSTATE_IO] = "io",
        [MICROSTATE_CHILD] = "child",     [MICROSTATE_CPU] = "cpu",
        [MICROSTATE_STOPPED] = "stopped", [MICROSTATE_SLEEP] = "sleep",
    };
    u64 ns[MICROSTATES];

    text_print(sink, "elapsed %lu\n", thread_microstates(object, ns));
    for (int i = 0; i < MICROSTATES; i++)
        text_print(sink, "%s %lu\n", names[i], ns[i]);
    return 0;
}

int proc_show_microstates(struct text_sink *sink, void *object)
{
    return show_first(sink, object, proc_show_thread_microstates);
}

/* ---- stack ---- */

struct stack_walk {
    u64 calls[STACK_LINES];
    u32 count;
};

static void stack_note(u64 return_address, void *argument)
{
    struct stack_walk *walk = argument;

    if (walk->count < STACK_LINES)
        walk->calls[walk->count++] = return_address;
}

/* Who runs has no stack that would stand still: an empty file, as for a running thread on Linux. */
int proc_show_thread_stack(struct text_sink *sink, void *object)
{
    struct stack_walk walk = {};

    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN))
        return -EACCES;
    thread_stack_walk(object, stack_note, &walk);
    for (u32 i = 0; i < walk.count; i++) {
        u64 offset = 0;
        const char *name = symbol_find(walk.calls[i], &offset);

        text_print(sink, "[<0>] %s+0x%lx\n", name ? name : "?", offset);
    }
    return 0;
}

int proc_show_stack(struct text_sink *sink, void *object)
{
    return show_first(sink, object, proc_show_thread_stack);
}

/* ---- The machine ---- */

/* Version 15, whose first numbers (yields, wake-ups) are not counted; there are no domains. */
static int show_machine_schedstat(struct text_sink *sink, void *object)
{
    u32 cpu;

    text_print(sink, "version 15\ntimestamp %lu\n", clock_monotonic_ns() / NS_PER_MSEC);
    cpu_for_each_online (cpu) {
        struct cpu_times times;

        cpu_times_of(cpu, &times);
        text_print(sink, "cpu%u 0 0 %lu 0 0 0 %lu %lu %lu\n", cpu, times.switches, times.ran_ns,
                   times.ready_ns, times.turns);
    }
    return 0;
}

static int show_period(struct text_sink *sink, void *object)
{
    struct realtime_limits limits;

    realtime_limits_get(&limits);
    text_print(sink, "%ld\n", limits.period_us);
    return 0;
}

static int show_runtime(struct text_sink *sink, void *object)
{
    struct realtime_limits limits;

    realtime_limits_get(&limits);
    text_print(sink, "%ld\n", limits.runtime_us);
    return 0;
}

static int show_timeslice(struct text_sink *sink, void *object)
{
    struct realtime_limits limits;

    realtime_limits_get(&limits);
    text_print(sink, "%ld\n", limits.timeslice_ms);
    return 0;
}

static int store_limit(const char *text, void (*set)(struct realtime_limits *limits, s64 value))
{
    s64 value;
    int error = proc_parse_number(text, &value);

    if (error)
        return error;
    if (value < -S32_MAX || value > S32_MAX)
        return -EINVAL;
    return realtime_limits_change(set, value);
}

static void set_period(struct realtime_limits *limits, s64 value)
{
    limits->period_us = value;
}

/* -1 takes the limit away. */
static void set_runtime(struct realtime_limits *limits, s64 value)
{
    limits->runtime_us = value;
}

/* What is no time stands for the usual one. */
static void set_timeslice(struct realtime_limits *limits, s64 value)
{
    limits->timeslice_ms = value > 0 ? value : REALTIME_TIMESLICE_MS;
}

static int store_period(void *object, const char *text, size_t bytes)
{
    return store_limit(text, set_period);
}

static int store_runtime(void *object, const char *text, size_t bytes)
{
    return store_limit(text, set_runtime);
}

static int store_timeslice(void *object, const char *text, size_t bytes)
{
    return store_limit(text, set_timeslice);
}

static const struct proc_entry machine_schedstat = {
    .name = "schedstat", .mode = S_IFREG | 0444, .show = show_machine_schedstat};
static const struct proc_entry limits[] = {
    {.name = "sched_rt_period_us",
     .mode = S_IFREG | 0644,
     .show = show_period,
     .store = store_period},
    {.name = "sched_rt_runtime_us",
     .mode = S_IFREG | 0644,
     .show = show_runtime,
     .store = store_runtime},
    {.name = "sched_rr_timeslice_ms",
     .mode = S_IFREG | 0644,
     .show = show_timeslice,
     .store = store_timeslice},
};

void proc_sched_init(void)
{
    if (proc_register_entry("", &machine_schedstat, NULL))
        log_warning("/proc/schedstat could not be made");
    for (size_t i = 0; i < ARRAY_SIZE(limits); i++)
        if (proc_register_entry("sys/kernel", &limits[i], NULL))
            log_warning("/proc/sys/kernel/%s could not be made", limits[i].name);
}
