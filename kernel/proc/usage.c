/*
 * What a process has used, for getrusage(2), wait4(2), times(2) and /proc/PID/stat and io.
 *
 * Everything is counted by the thread that does it, without a lock, and added up when somebody
 * asks:
 *
 *     threads that live       their own counters       --.
 *     threads that ended      process.ended_usage      --+-> process_usage     (RUSAGE_SELF)
 *     the address space       its peak, or space_usage --'
 *     children waited for     process.children_usage, theirs included          (RUSAGE_CHILDREN)
 *
 * A thread that ends leaves the list and adds its counters to ended_usage under the same locks
 * (exit.c), so a sum has it once, never twice or not at all. A zombie has only the second and third
 * line left. The peak of resident pages is a maximum, not a sum.
 *
 * Locking: process_table_lock, which also keeps the address space of a thread that is looked at.
 *          The times in ended_usage change under signals_lock too: that alone reads them
 *          (cpu_clock.c).
 */
#include "internal.h"

void usage_add(struct cpu_usage *to, const struct cpu_usage *more)
{
    io_counts_add(&to->io, &more->io);
    to->user_ns += more->user_ns;
    to->system_ns += more->system_ns;
    to->minor_faults += more->minor_faults;
    to->major_faults += more->major_faults;
    to->voluntary_switches += more->voluntary_switches;
    to->involuntary_switches += more->involuntary_switches;
    to->peak_resident_pages = MAX(to->peak_resident_pages, more->peak_resident_pages);
}

/*
 * Counters that a running thread may be changing: each is read as it is, and none goes backwards.
 */
void usage_add_thread(struct cpu_usage *to, struct thread *thread)
{
    u64 user_ns, system_ns;

    thread_times(thread, &user_ns, &system_ns);
    to->user_ns += user_ns;
    to->system_ns += system_ns;
    io_counts_add(&to->io, &thread->io);
    to->minor_faults += READ_ONCE(thread->minor_faults);
    to->major_faults += READ_ONCE(thread->major_faults);
    to->voluntary_switches += thread->voluntary_switches;
    to->involuntary_switches += thread->involuntary_switches;
}

void usage_add_space(struct cpu_usage *to, const struct address_space *space)
{
    to->peak_resident_pages =
        MAX(to->peak_resident_pages, address_space_peak_resident_pages(space));
}

/*
 * The space's part is asked of the space while there is one, since its threads share it; afterwards
 * it is what exit noted.
 */
void process_usage_locked(struct process *process, struct cpu_usage *usage_out)
{
    const struct address_space *space = process_space_locked(process);
    struct thread_identity *identity;

    *usage_out = process->ended_usage;
    thread_for_each (identity, process)
        usage_add_thread(usage_out, identity->thread);
    if (space)
        usage_add_space(usage_out, space);
    else
        usage_add(usage_out, &process->space_usage);
}

/*
 * exec calls it between two programs: the new one's faults and peak begin at nothing, the process's
 * sums do not.
 */
void usage_keep_space(struct process *process)
{
    spin_lock(&process_table_lock);
    usage_add(&process->ended_usage, &process->space_usage);
    process->space_usage = (struct cpu_usage){};
    spin_unlock(&process_table_lock);
}

void thread_usage(struct thread *thread, struct cpu_usage *usage_out)
{
    *usage_out = (struct cpu_usage){};
    spin_lock(&process_table_lock); /* it keeps the space, which the thread may be giving up */
    usage_add_thread(usage_out, thread);
    if (thread->space)
        usage_add_space(usage_out, thread->space);
    spin_unlock(&process_table_lock);
}

void process_usage(struct process *process, struct cpu_usage *usage_out)
{
    spin_lock(&process_table_lock);
    process_usage_locked(process, usage_out);
    spin_unlock(&process_table_lock);
}
