/*
 * /proc/PID/stat, statm, status and limits (proc(5)): a process, or one of its threads, in text.
 *
 * What belongs together is taken under one lock into struct snapshot, then printed without locks.
 */
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
    int exit_status;
    struct address_space *space; /* a reference, or NULL */
    struct credentials *credentials;
};

static void snapshot_signals(struct snapshot *snapshot)
{
    struct process *process = snapshot->process;

    spin_lock(&process->signals_lock);
    snapshot->shared_pending = process->pending.set;
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
    snapshot->group = process->group ? process->group->id : 0;
    snapshot->session = session ? session->id : 0;
    snapshot->threads = process->thread_count;
    snapshot->children = process->children_usage;
    snapshot->exit_status = process->exit_status;
    if (!snapshot->one_thread)
        process_usage_locked(process, &snapshot->usage);
    spin_unlock(&process_table_lock);
}

/* `thread` NULL: the whole process. snapshot_put gives up what it holds. */
static void snapshot_take(struct snapshot *snapshot, struct process *process, struct thread *thread)
{
    *snapshot = (struct snapshot){.process = process, .one_thread = thread};
    if (thread)
        thread_get(thread);
    snapshot->thread = thread ? thread : process_thread_next(process, 0);
    snapshot->id = thread ? thread->identity->tid : process->pid;
    snapshot->letter = thread ? thread_state_letter(thread) : process_state_letter(process);
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
}

static void snapshot_put(struct snapshot *snapshot)
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
    text_print(sink, " %lu %lu %lu %lu %lu %lu 0 0", space->total_pages << PAGE_SHIFT,
               address_space_resident_pages(space), limit, space->code_start, space->code_end,
               space->stack_top);
}

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
    if (space)
        text_print(sink, " %lu %lu %lu %lu %lu %lu %lu", space->data_start, space->data_end,
                   space->heap_start, space->arguments_start, space->arguments_end,
                   space->environment_start, space->environment_end);
    else
        text_print(sink, " 0 0 0 0 0 0 0");
    text_print(sink, " %d\n", s->letter == 'Z' ? s->exit_status : 0);
}

static int show_stat(struct text_sink *sink, struct process *process, struct thread *thread)
{
    struct snapshot snapshot;
    u64 device = 0;
    s32 foreground = -1;

    snapshot_take(&snapshot, process, thread);
    session_terminal_describe(process, &device, &foreground);
    text_print(sink, "%d (%s) %c %d %d %d %lu %d %u", snapshot.id, snapshot.name, snapshot.letter,
               snapshot.parent, snapshot.group, snapshot.session, device, foreground, 0);
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

/* ---- status ---- */

static const char *state_name(char letter)
{
    switch (letter) {
    case 'R':
        return "running";
    case 'S':
        return "sleeping";
    case 'D':
        return "disk sleep";
    case 'T':
        return "stopped";
    case 't':
        return "tracing stop";
    case 'I':
        return "idle";
    case 'X':
        return "dead";
    default:
        return "zombie";
    }
}

static void print_status_ids(struct text_sink *sink, const struct snapshot *s)
{
    const struct credentials *c = s->credentials;

    text_print(sink, "Tgid:\t%d\nNgid:\t0\nPid:\t%d\nPPid:\t%d\nTracerPid:\t0\n", s->process->pid,
               s->id, s->parent);
    if (!c)
        return;
    text_print(sink, "Uid:\t%u\t%u\t%u\t%u\n", c->uid, c->euid, c->suid, c->fsuid);
    text_print(sink, "Gid:\t%u\t%u\t%u\t%u\n", c->gid, c->egid, c->sgid, c->fsgid);
}

static void print_status_files(struct text_sink *sink, const struct snapshot *s)
{
    struct file_table *files = process_files(s->process);

    text_print(sink, "FDSize:\t%u\nGroups:\t", files ? file_table_capacity(files) : 0);
    if (files)
        file_table_put(files);
    for (u32 i = 0; s->credentials && i < s->credentials->group_count; i++)
        text_print(sink, "%u ", s->credentials->groups[i]);
    text_print(sink, "\n");
}

static u64 kib(u64 pages)
{
    return pages * (PAGE_SIZE / 1024);
}

static void print_status_memory(struct text_sink *sink, const struct address_space *space)
{
    if (!space)
        return;
    text_print(sink, "VmPeak:\t%8lu kB\nVmSize:\t%8lu kB\nVmLck:\t%8lu kB\nVmPin:\t%8u kB\n",
               kib(space->peak_total_pages), kib(space->total_pages), kib(space->locked_pages), 0);
    text_print(sink, "VmHWM:\t%8lu kB\nVmRSS:\t%8lu kB\n",
               kib(address_space_peak_resident_pages(space)),
               kib(address_space_resident_pages(space)));
    text_print(sink, "RssAnon:\t%8lu kB\nRssFile:\t%8lu kB\nRssShmem:\t%8lu kB\n",
               kib(space->resident_anonymous), kib(space->resident_file),
               kib(space->resident_shared));
    text_print(sink, "VmData:\t%8lu kB\nVmStk:\t%8lu kB\nVmExe:\t%8lu kB\n", kib(space->data_pages),
               132ul, (space->code_end - space->code_start) / 1024);
    text_print(sink, "VmLib:\t%8u kB\nVmPTE:\t%8u kB\nVmSwap:\t%8u kB\n", 0, 0, 0);
}

static void print_status_signals(struct text_sink *sink, const struct snapshot *s)
{
    text_print(sink, "Threads:\t%u\nSigQ:\t%u/%lu\n", s->threads, s->process->pending_count,
               s->process->limits[RLIMIT_SIGPENDING].soft);
    text_print(sink, "SigPnd:\t%016lx\nShdPnd:\t%016lx\nSigBlk:\t%016lx\n", s->pending,
               s->shared_pending, s->blocked);
    text_print(sink, "SigIgn:\t%016lx\nSigCgt:\t%016lx\n", s->ignored, s->caught);
}

static void print_status_rights(struct text_sink *sink, const struct credentials *c)
{
    if (!c)
        return;
    text_print(sink, "CapInh:\t%016lx\nCapPrm:\t%016lx\nCapEff:\t%016lx\n",
               c->capabilities_inheritable, c->capabilities_permitted, c->capabilities_effective);
    text_print(sink, "CapBnd:\t%016lx\nCapAmb:\t%016lx\nNoNewPrivs:\t%u\n",
               c->capabilities_bounding, c->capabilities_ambient, c->no_new_privileges);
    text_print(sink, "Seccomp:\t0\nSeccomp_filters:\t0\n");
}

static void print_status_cpus(struct text_sink *sink, const struct snapshot *s)
{
    u64 allowed = (s->thread ? s->thread->affinity : ~0ul) & READ_ONCE(cpus_online);
    u32 first = __builtin_ctzl(allowed | BIT(63)), last = 63 - __builtin_clzl(allowed | 1);

    text_print(sink, "Cpus_allowed:\t%lx\nCpus_allowed_list:\t", allowed);
    if (first == last)
        text_print(sink, "%u\n", first);
    else
        text_print(sink, "%u-%u\n", first, last);
    text_print(sink, "voluntary_ctxt_switches:\t%lu\nnonvoluntary_ctxt_switches:\t%lu\n",
               s->usage.voluntary_switches, s->usage.involuntary_switches);
}

static int show_status(struct text_sink *sink, struct process *process, struct thread *thread)
{
    struct directories *directories = process_directories(process);
    struct snapshot snapshot;

    snapshot_take(&snapshot, process, thread);
    text_print(sink, "Name:\t%s\n", snapshot.name);
    if (directories) {
        text_print(sink, "Umask:\t%04o\n", directories->umask);
        directories_put(directories);
    }
    text_print(sink, "State:\t%c (%s)\n", snapshot.letter, state_name(snapshot.letter));
    print_status_ids(sink, &snapshot);
    print_status_files(sink, &snapshot);
    print_status_memory(sink, snapshot.space);
    print_status_signals(sink, &snapshot);
    print_status_rights(sink, snapshot.credentials);
    print_status_cpus(sink, &snapshot);
    snapshot_put(&snapshot);
    return 0;
}

int proc_show_status(struct text_sink *sink, void *object)
{
    return show_status(sink, object, NULL);
}

int proc_show_thread_status(struct text_sink *sink, void *object)
{
    struct thread *thread = object;

    return show_status(sink, thread->process, thread);
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
