/*
 * /proc/PID/stat, statm and limits (proc(5)): a process, or one of its threads, in text.
 *
 * What belongs together is taken under one lock into struct snapshot, then printed without locks:
 *
 *     process_table_lock   family, number of threads, usage        one moment
 *     signals_lock         pending, blocked, ignored, caught       another one
 *     references           address space, credentials              kept until it is printed
 *
 * So a line never contradicts itself within a group of fields, as ps and top need it: the parent is
 * the group's, a thread that is counted has its time counted. Between the groups time passes, as on
 * Linux.
 *
 * Addresses, and how a zombie ended, are shown to who may look into the process; to others they are
 * 0 or 1, as Linux has it.
 *
 * Context: sleeps (text grows). Nothing is locked while it is printed.
 */
#include "proc_snapshot.h"

/* One look at both kinds of pending signals and all actions, as kill's callers compare them. */
static void snapshot_signals(struct snapshot *snapshot)
{
    struct process *process = snapshot->process;

    spin_lock(&process->signals_lock);
    snapshot->shared_pending = process->pending.set;
    snapshot->queued = user_pending(process);
    snapshot->queued_limit = process->limits[RLIMIT_SIGPENDING].soft;
    if (snapshot->thread) {
        snapshot->pending = snapshot->thread->identity->pending.set;
        snapshot->blocked = snapshot->thread->identity->blocked;
    }
    for (int i = 0; i < SIGNALS; i++) {
        u64 handler = signal_handler_of(process, i + 1);

        if (handler == SIG_IGN)
            snapshot->ignored |= BIT(i);
        else if (handler != SIG_DFL)
            snapshot->caught |= BIT(i);
    }
    spin_unlock(&process->signals_lock);
}

static void snapshot_family(struct snapshot *snapshot)
{
    struct process *process = snapshot->process;
    struct session *session;

    spin_lock(&process_table_lock);
    session = process_session(process);
    snapshot->parent = process_pid(process->parent);
    snapshot->group = process->group && !process->is_kernel ? process->group->id : 0;
    snapshot->session = session && !process->is_kernel ? session->id : 0;
    snapshot->threads = process->thread_count;
    snapshot->children = process->children_usage;
    snapshot->exit_status = process->exit_status;
    if (!snapshot->one_thread)
        process_usage_locked(process, &snapshot->usage);
    spin_unlock(&process_table_lock);
}

/*
 * R, S, D, T... as ps shows it. A stop is seen when the parent is told of it, which is a moment
 * before the thread leaves its CPU.
 */
static char state_letter(const struct thread_identity *identity)
{
    if (READ_ONCE(identity->stopped) && READ_ONCE(identity->process->stop_wanted))
        return 'T';
    return thread_state_letter(identity->thread);
}

/* Its main thread's. */
static char process_letter(struct process *process)
{
    struct thread_identity *leader;
    char letter;

    spin_lock(&process_table_lock);
    leader = process_leader_locked(process);
    letter = leader ? state_letter(leader) : 'Z';
    spin_unlock(&process_table_lock);
    return letter;
}

/* The thread, if one is asked for, else the process's first stands for priority and place. */
void snapshot_take(struct snapshot *snapshot, struct process *process, struct thread *thread)
{
    *snapshot = (struct snapshot){.process = process, .one_thread = thread};
    if (thread)
        thread_get(thread);
    snapshot->thread = thread ? thread : process_thread_next(process, 0);
    snapshot->id = thread ? thread->identity->tid : process->pid;
    snapshot->letter = thread ? state_letter(thread->identity) : process_letter(process);
    if (thread)
        memcpy(snapshot->name, thread->identity->name, THREAD_NAME_BYTES);
    else
        process_name(process, snapshot->name);
    if (thread)
        thread_usage(thread, &snapshot->usage);
    snapshot_family(snapshot);
    snapshot_signals(snapshot);
    snapshot->space = process_space(process);
    snapshot->credentials = process_credentials(process);
    snapshot->may_inspect = process_may_inspect(process);
}

void snapshot_put(struct snapshot *snapshot)
{
    if (snapshot->thread)
        thread_put(snapshot->thread);
    if (snapshot->space)
        address_space_put(snapshot->space);
    if (snapshot->credentials)
        credentials_put(snapshot->credentials);
}

/* ---- stat ---- */

/* What top and ps show: 20 + nice, or below 0 for who runs with a real-time priority. */
static int shown_priority(const struct thread *thread)
{
    if (!thread)
        return 20;
    if (thread->policy.priority)
        return -1 - (int)thread->policy.priority;
    return 20 + thread->nice;
}

static void print_stat_times(struct text_sink *sink, const struct snapshot *s)
{
    const struct thread *thread = s->thread;

    text_print(sink, " %lu %lu %lu %lu", s->usage.minor_faults, s->children.minor_faults,
               s->usage.major_faults, s->children.major_faults);
    text_print(sink, " %lu %lu %lu %lu", s->usage.user_ns / CLOCK_TICK_NS,
               s->usage.system_ns / CLOCK_TICK_NS, s->children.user_ns / CLOCK_TICK_NS,
               s->children.system_ns / CLOCK_TICK_NS);
    text_print(sink, " %d %d %u 0 %lu", shown_priority(thread), thread ? thread->nice : 0,
               s->threads, s->process->started_ns / CLOCK_TICK_NS);
}

static void print_stat_memory(struct text_sink *sink, const struct snapshot *s)
{
    const struct address_space *space = s->space;
    u64 limit = s->process->limits[RLIMIT_RSS].soft;

    if (!space) {
        text_print(sink, " 0 0 %lu 0 0 0 0 0", limit);
        return;
    }
    text_print(sink, " %lu %lu %lu", space->total_pages << PAGE_SHIFT,
               address_space_resident_pages(space), limit);
    if (s->may_inspect)
        text_print(sink, " %lu %lu %lu 0 0", space->code_start, space->code_end, space->stack_top);
    else
        text_print(sink, " 1 1 0 0 0");
}

/* Old fields of 31 signals each: status has the whole sets. */
static void print_stat_tail(struct text_sink *sink, const struct snapshot *s)
{
    const struct thread *thread = s->thread;
    const struct address_space *space = s->space;
    bool waits = thread && thread->state == THREAD_WAITING;

    text_print(sink, " %lu %lu %lu %lu", (s->pending | s->shared_pending) & 0x7fffffff,
               s->blocked & 0x7fffffff, s->ignored & 0x7fffffff, s->caught & 0x7fffffff);
    text_print(sink, " %d 0 0 %d %u %u %u 0 0 0", waits,
               s->one_thread ? -1 : s->process->exit_signal, thread ? thread->cpu : 0,
               thread ? thread->priority : 0, thread ? (u32)thread->class : 0);
    if (space && s->may_inspect)
        text_print(sink, " %lu %lu %lu %lu %lu %lu %lu", space->data_start, space->data_end,
                   space->heap_start, space->arguments_start, space->arguments_end,
                   space->environment_start, space->environment_end);
    else
        text_print(sink, " 0 0 0 0 0 0 0");
    text_print(sink, " %d\n", s->letter == 'Z' && s->may_inspect ? s->exit_status : 0);
}

/* Linux's PF_* that stand for something here: ps shows two of them as F. */
#define FLAG_EXITING    0x4u
#define FLAG_NOT_EXECED 0x40u
#define FLAG_KERNEL     0x200000u
#define FLAG_RANDOMIZED 0x400000u

/*
 * F of ps: 1 for what was forked and never executed anything. Who used superuser rights (4), nobody
 * keeps.
 */
static u32 stat_flags(const struct snapshot *s)
{
    const struct process *process = s->process;

    if (process->is_kernel)
        return FLAG_KERNEL;
    return (s->letter == 'Z' || s->letter == 'X' ? FLAG_EXITING : 0) |
           (process->did_exec ? 0 : FLAG_NOT_EXECED) |
           (process->personality & ADDR_NO_RANDOMIZE ? 0 : FLAG_RANDOMIZED);
}

static int show_stat(struct text_sink *sink, struct process *process, struct thread *thread)
{
    struct snapshot snapshot;
    u64 device = 0;
    s32 foreground = -1;

    snapshot_take(&snapshot, process, thread);
    session_terminal_describe(process, &device, &foreground);
    text_print(sink, "%d (%s) %c %d %d %d %lu %d %u", snapshot.id, snapshot.name, snapshot.letter,
               snapshot.parent, snapshot.group, snapshot.session, device, foreground,
               stat_flags(&snapshot));
    print_stat_times(sink, &snapshot);
    print_stat_memory(sink, &snapshot);
    print_stat_tail(sink, &snapshot);
    snapshot_put(&snapshot);
    return 0;
}

int proc_show_stat(struct text_sink *sink, void *object)
{
    return show_stat(sink, object, NULL);
}

int proc_show_thread_stat(struct text_sink *sink, void *object)
{
    struct thread *thread = object;

    return show_stat(sink, thread->process, thread);
}

int proc_show_statm(struct text_sink *sink, void *object)
{
    struct address_space *space = process_space(object);

    if (!space) {
        text_print(sink, "0 0 0 0 0 0 0\n");
        return 0;
    }
    text_print(sink, "%lu %lu %lu %lu 0 %lu 0\n", space->total_pages,
               address_space_resident_pages(space),
               (u64)(space->resident_file + space->resident_shared),
               DIV_ROUND_UP(space->code_end - space->code_start, PAGE_SIZE), space->data_pages);
    address_space_put(space);
    return 0;
}

/* ---- limits ---- */

static const struct {
    const char *name, *unit;
} limit_names[RLIMITS] = {
    [RLIMIT_CPU] = {"Max cpu time", "seconds"},
    [RLIMIT_FSIZE] = {"Max file size", "bytes"},
    [RLIMIT_DATA] = {"Max data size", "bytes"},
    [RLIMIT_STACK] = {"Max stack size", "bytes"},
    [RLIMIT_CORE] = {"Max core file size", "bytes"},
    [RLIMIT_RSS] = {"Max resident set", "bytes"},
    [RLIMIT_NPROC] = {"Max processes", "processes"},
    [RLIMIT_NOFILE] = {"Max open files", "files"},
    [RLIMIT_MEMLOCK] = {"Max locked memory", "bytes"},
    [RLIMIT_AS] = {"Max address space", "bytes"},
    [RLIMIT_LOCKS] = {"Max file locks", "locks"},
    [RLIMIT_SIGPENDING] = {"Max pending signals", "signals"},
    [RLIMIT_MSGQUEUE] = {"Max msgqueue size", "bytes"},
    [RLIMIT_NICE] = {"Max nice priority", ""},
    [RLIMIT_RTPRIO] = {"Max realtime priority", ""},
    [RLIMIT_RTTIME] = {"Max realtime timeout", "us"},
};

static void print_limit(struct text_sink *sink, u64 value)
{
    if (value == RLIM_INFINITY)
        text_print(sink, "%-20s ", "unlimited");
    else
        text_print(sink, "%-20lu ", value);
}

int proc_show_limits(struct text_sink *sink, void *object)
{
    struct process *process = object;

    text_print(sink, "%-25s %-20s %-20s %-10s\n", "Limit", "Soft Limit", "Hard Limit", "Units");
    for (int i = 0; i < RLIMITS; i++) {
        text_print(sink, "%-25s ", limit_names[i].name);
        print_limit(sink, process->limits[i].soft);
        print_limit(sink, process->limits[i].hard);
        text_print(sink, "%-10s\n", limit_names[i].unit);
    }
    return 0;
}
