/*
 * /proc/PID's files of a line or a few: what a thread is called, what it waits in, what it has read
 * and written, its children, its timers' slack, the filter of core dumps.
 *
 * A process is asked through its first thread, as on Linux, where the file is about one. `syscall`
 * shows a thread's registers, which stand still only while its lock keeps it from being woken.
 *
 * Locking: said at each: process_table_lock for the family, thread.lock for registers. A name is
 *          read as it is; a reader may see it half changed.
 */
#include "proc_files.h"

#define CORE_FILTER_TEXT_BYTES 12 /* 32 bits after 0x, and the NUL */

/* ---- comm ---- */

int proc_show_comm(struct text_sink *sink, void *object)
{
    char name[THREAD_NAME_BYTES];

    process_name(object, name);
    text_print(sink, "%s\n", name);
    return 0;
}

int proc_show_thread_comm(struct text_sink *sink, void *object)
{
    struct thread *thread = object;

    text_print(sink, "%.15s\n", thread->identity->name);
    return 0;
}

/* Only a thread's own process may rename it, whoever may write to the file (proc(5)). */
int proc_store_thread_comm(void *object, const char *text, size_t bytes)
{
    struct thread *thread = object;
    char name[THREAD_NAME_BYTES] = {};

    if (thread->process != process_current())
        return -EINVAL;
    memcpy(name, text, MIN(bytes, THREAD_NAME_BYTES - 1));
    memcpy(thread->identity->name, name, sizeof(name));
    return 0;
}

int proc_show_first_thread(struct text_sink *sink, void *process,
                           int (*show)(struct text_sink *sink, void *thread))
{
    struct thread *thread = process_thread_next(process, 0);
    int error;

    if (!thread)
        return -ESRCH;
    error = show(sink, thread);
    thread_put(thread);
    return error;
}

int proc_store_comm(void *object, const char *text, size_t bytes)
{
    struct thread *thread = process_thread_next(object, 0);
    int error = thread ? proc_store_thread_comm(thread, text, bytes) : -ESRCH;

    if (thread)
        thread_put(thread);
    return error;
}

/* ---- Where it waits ---- */

int proc_show_thread_wchan(struct text_sink *sink, void *object)
{
    struct thread *thread = object;
    bool waits = READ_ONCE(thread->state) == THREAD_WAITING;

    text_print(sink, "%s", waits ? wait_reason_name(READ_ONCE(thread->wait_reason)) : "0");
    return 0;
}

int proc_show_wchan(struct text_sink *sink, void *object)
{
    if (proc_show_first_thread(sink, object, proc_show_thread_wchan))
        text_print(sink, "0");
    return 0;
}

/* The SYSCALL instruction leaves where it returns to and the flags in these (SDM 2B "SYSCALL"). */
static bool is_in_system_call(const struct trap_frame *frame)
{
    return frame->rcx == frame->rip && frame->r11 == frame->rflags;
}

/* Copies the registers that a thread entered the kernel with. False: it runs. */
static bool registers_copy(struct thread *thread, struct trap_frame *frame_out)
{
    bool stands = thread == thread_current();

    /* A waiting thread's frame stays while its lock keeps it waiting. */
    spin_lock(&thread->lock);
    stands = stands || thread->state == THREAD_WAITING || thread->state == THREAD_STOPPED;
    if (stands && thread->space)
        *frame_out = *trap_frame_at((char *)thread->stack + KERNEL_STACK_BYTES);
    spin_unlock(&thread->lock);
    return stands;
}

int proc_show_thread_syscall(struct text_sink *sink, void *object)
{
    struct trap_frame f = {.original_rax = ~0ul, .rip = 1};

    if (!registers_copy(object, &f))
        text_print(sink, "running\n");
    else if (is_in_system_call(&f))
        text_print(sink, "%ld 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx 0x%lx\n",
                   (s64)f.original_rax, f.rdi, f.rsi, f.rdx, f.r10, f.r8, f.r9, f.rsp, f.rip);
    else
        text_print(sink, "-1 0x%lx 0x%lx\n", f.rsp, f.rip);
    return 0;
}

int proc_show_syscall(struct text_sink *sink, void *object)
{
    return proc_show_first_thread(sink, object, proc_show_thread_syscall);
}

/* ---- io ---- */

/* The same lines of a thread and of a process. */
static int print_io(struct text_sink *sink, const struct cpu_usage *usage)
{
    text_print(sink, "rchar: %lu\nwchar: %lu\nsyscr: %lu\nsyscw: %lu\n", usage->io.bytes_read,
               usage->io.bytes_written, usage->io.reads, usage->io.writes);
    /* The host writes; it does not say when, or whether a cut file's pages ever came so far. */
    text_print(sink, "read_bytes: %lu\nwrite_bytes: 0\ncancelled_write_bytes: 0\n",
               usage->io.device_pages_read << PAGE_SHIFT);
    return 0;
}

int proc_show_thread_io(struct text_sink *sink, void *object)
{
    struct cpu_usage usage;

    thread_usage(object, &usage);
    return print_io(sink, &usage);
}

/* With what its children did that it waited for (proc(5) leaves that out; Linux does it). */
int proc_show_io(struct text_sink *sink, void *object)
{
    struct process *process = object;
    struct cpu_usage usage;

    spin_lock(&process_table_lock);
    process_usage_locked(process, &usage);
    usage_add(&usage, &process->children_usage);
    spin_unlock(&process_table_lock);
    return print_io(sink, &usage);
}

/* ---- The family, and small settings ---- */

#define CHILDREN_AT_ONCE 64

/* The pids of a thread's children, in rounds: printing may sleep, the list's lock is a spinlock. */
int proc_show_children(struct text_sink *sink, void *object)
{
    const struct thread *thread = object;
    int pids[CHILDREN_AT_ONCE], after = 0;
    u32 count;

    do {
        struct process *child;

        count = 0;
        spin_lock(&process_table_lock);
        list_for_each (child, &thread->process->children, sibling) {
            u32 at = count;

            if (child->creator != thread || child->pid <= after)
                continue;
            /* The lowest ones, in order. */
            while (at && pids[at - 1] > child->pid) {
                if (at < CHILDREN_AT_ONCE)
                    pids[at] = pids[at - 1];
                at--;
            }
            if (at < CHILDREN_AT_ONCE)
                pids[at] = child->pid;
            count = MIN(count + 1, CHILDREN_AT_ONCE);
        }
        spin_unlock(&process_table_lock);
        for (u32 i = 0; i < count; i++)
            text_print(sink, "%d ", pids[i]);
        after = count ? pids[count - 1] : 0;
    } while (count == CHILDREN_AT_ONCE);
    return 0;
}

int proc_show_personality(struct text_sink *sink, void *object)
{
    text_print(sink, "%08lx\n", ((struct process *)object)->personality);
    return 0;
}

/* What of its memory a core dump would hold: kept for programs that set it; nothing is dumped. */
int proc_show_core_filter(struct text_sink *sink, void *object)
{
    struct address_space *space = process_space(object);

    if (!space)
        return 0;
    text_print(sink, "%08x\n", READ_ONCE(space->core_filter));
    address_space_put(space);
    return 0;
}

int proc_store_core_filter(void *object, const char *text, size_t bytes)
{
    char number[CORE_FILTER_TEXT_BYTES] = "";
    struct address_space *space;
    u64 filter;
    int error;

    if (bytes && text[bytes - 1] == '\n')
        bytes--;
    if (bytes >= sizeof(number))
        return -EINVAL;
    memcpy(number, text, bytes);
    error = string_to_u64(number, &filter);
    if (error || filter > U32_MAX)
        return error ? error : -ERANGE;
    space = process_space(object);
    if (!space)
        return 0;
    WRITE_ONCE(space->core_filter, filter & CORE_FILTER_MASK);
    address_space_put(space);
    return 0;
}

/* Others' timers are the affair of who may also change their priority. */
static int may_tune(const struct thread *thread)
{
    return thread == thread_current() ||
                   credentials_can(thread_current()->credentials, CAPABILITY_SYS_NICE)
               ? 0
               : -EPERM;
}

static int show_thread_slack(struct text_sink *sink, void *object)
{
    struct thread *thread = object;
    int error = may_tune(thread);

    if (!error)
        text_print(sink, "%lu\n", READ_ONCE(thread->identity->timer_slack_ns));
    return error;
}

int proc_show_timer_slack(struct text_sink *sink, void *object)
{
    return proc_show_first_thread(sink, object, show_thread_slack);
}

int proc_store_timer_slack(void *object, const char *text, size_t bytes)
{
    struct thread *thread;
    s64 slack;
    int error = proc_parse_number(text, &slack);

    if (error || slack < 0)
        return -EINVAL;
    thread = process_thread_next(object, 0);
    if (!thread)
        return -ESRCH;
    error = may_tune(thread);
    if (!error)
        WRITE_ONCE(thread->identity->timer_slack_ns,
                   slack ? (u64)slack : thread->identity->timer_slack_usual_ns);
    thread_put(thread);
    return error;
}
