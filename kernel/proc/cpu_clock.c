/*
 * Clocks of CPU time: how long a process, or one thread of it, has run; and alarms on them.
 *
 * A clock is read exactly: each thread's RUNNING time up to now, and what the threads that ended
 * left. An alarm rings when its clock has reached a value. Nobody knows when that will be, so the
 * samples of busy CPUs look (sched/accounting.c): a process that runs is sampled, and one that does
 * not run has a clock that stands still. An alarm thus comes up to one sample late, never early.
 *
 *     timer or sleeper --alarm--> process.cpu_alarms of the process that is measured
 *                                       ^ looked at in each sample of its threads
 *
 * An alarm lies in the list of the process that it measures, which need not be its owner's: a timer
 * of one process may measure another. So the lists have a lock of their own, which is taken inside
 * any one process's. An owner that goes cancels its alarm under that lock: ring() is not running
 * then, and will not.
 *
 * Invariant: an alarm is in its clock's list exactly until it rings or is cancelled.
 * Locking:   cpu_alarms_lock guards all lists; signals_lock of the measured process, outside it,
 *            keeps its threads while they are added up. ring() is called under both.
 * Context:   samples come from a timer's interrupt; only cpu_clock_sleep_until sleeps.
 */
#include "internal.h"

static struct spinlock cpu_alarms_lock = SPINLOCK_INIT(LOCK_CPU_ALARMS);

/* ---- Which clock ---- */

/* Of any process: who may see it, may see what it used (clock_getcpuclockid(3)). */
int cpu_clock_of_process(int pid, enum cpu_time counts, struct cpu_clock *clock_out)
{
    struct process *process = process_current();

    if (pid)
        process = process_find(pid);
    else
        process_get(process);
    if (!process)
        return -EINVAL;
    *clock_out = (struct cpu_clock){.process = process, .counts = counts};
    return 0;
}

/* Only the threads of one's own process have clocks to read. */
int cpu_clock_of_thread(int tid, enum cpu_time counts, struct cpu_clock *clock_out)
{
    struct thread *thread = thread_current();

    if (tid)
        thread = thread_find(tid);
    else
        thread_get(thread);
    if (!thread)
        return -EINVAL;
    if (thread->process != process_current()) {
        thread_put(thread);
        return -EINVAL;
    }
    process_get(thread->process);
    *clock_out = (struct cpu_clock){thread->process, thread, counts};
    return 0;
}

void cpu_clock_put(struct cpu_clock *clock)
{
    if (clock->thread)
        thread_put(clock->thread);
    if (clock->process)
        process_put(clock->process);
}

/* ---- What it shows ---- */

static u64 thread_ns(struct thread *thread, enum cpu_time counts)
{
    u64 user_ns, system_ns;

    thread_times(thread, &user_ns, &system_ns);
    return counts == CPU_TIME_USER ? user_ns : user_ns + system_ns;
}

/* signals_lock of its process is held. */
static u64 clock_ns_locked(const struct cpu_clock *clock)
{
    struct process *process = clock->process;
    struct thread_identity *identity;
    u64 sum_ns;

    if (clock->thread)
        return thread_ns(clock->thread, clock->counts);
    sum_ns = process->ended_usage.user_ns;
    if (clock->counts == CPU_TIME_ALL)
        sum_ns += process->ended_usage.system_ns;
    thread_for_each (identity, process)
        sum_ns += thread_ns(identity->thread, clock->counts);
    return sum_ns;
}

/*
 * A thread's clock needs no lock but its run queue's; a process's must not lose a thread that is
 * just ending.
 */
u64 cpu_clock_ns(const struct cpu_clock *clock)
{
    u64 ns;

    if (clock->thread)
        return thread_ns(clock->thread, clock->counts);
    spin_lock(&clock->process->signals_lock);
    ns = clock_ns_locked(clock);
    spin_unlock(&clock->process->signals_lock);
    return ns;
}

/* ---- Alarms ---- */

void cpu_alarm_init(struct cpu_alarm *alarm, void (*ring)(struct cpu_alarm *alarm))
{
    list_init(&alarm->link);
    alarm->ring = ring;
}

static void alarm_set_locked(struct cpu_alarm *alarm, const struct cpu_clock *clock, u64 at_ns)
{
    list_remove(&alarm->link);
    alarm->clock = clock;
    alarm->at_ns = at_ns;
    list_push_back(&clock->process->cpu_alarms, &alarm->link);
}

void cpu_alarm_set(struct cpu_alarm *alarm, const struct cpu_clock *clock, u64 at_ns)
{
    spin_lock(&cpu_alarms_lock);
    alarm_set_locked(alarm, clock, at_ns);
    spin_unlock(&cpu_alarms_lock);
}

void cpu_alarm_cancel(struct cpu_alarm *alarm)
{
    spin_lock(&cpu_alarms_lock);
    list_remove(&alarm->link);
    spin_unlock(&cpu_alarms_lock);
}

/* Rung alarms are off the list before ring() runs, which may set them anew. */
void cpu_alarms_check_locked(struct process *process)
{
    struct cpu_alarm *alarm, *following;

    /* An alarm that is set right now is seen at the next sample. */
    if (list_is_empty(&process->cpu_alarms))
        return;
    spin_lock(&cpu_alarms_lock);
    list_for_each_safe (alarm, following, &process->cpu_alarms, link) {
        if (clock_ns_locked(alarm->clock) < alarm->at_ns)
            continue;
        list_remove(&alarm->link);
        alarm->ring(alarm);
    }
    spin_unlock(&cpu_alarms_lock);
}

/* ---- Sleeping ---- */

struct sleeper {
    struct cpu_alarm alarm;
    struct thread *thread;
    bool rang; /* guarded by cpu_alarms_lock */
};

static void sleeper_wake(struct cpu_alarm *alarm)
{
    struct sleeper *sleeper = container_of(alarm, struct sleeper, alarm);

    sleeper->rang = true;
    thread_wake(sleeper->thread);
}

/*
 * The alarm lies on this stack: it is off the list before the function returns, whatever ended the
 * wait.
 */
int cpu_clock_sleep_until(const struct cpu_clock *clock, u64 at_ns)
{
    struct sleeper sleeper = {.thread = thread_current()};
    int error = 0;

    if (cpu_clock_ns(clock) >= at_ns)
        return 0;
    cpu_alarm_init(&sleeper.alarm, sleeper_wake);
    spin_lock(&cpu_alarms_lock);
    alarm_set_locked(&sleeper.alarm, clock, at_ns);
    while (!sleeper.rang && !error)
        error = thread_block(WAIT_INTERRUPTIBLE, WAIT_FOR_TIMER, &cpu_alarms_lock);
    if (sleeper.rang)
        error = 0;
    list_remove(&sleeper.alarm.link);
    spin_unlock(&cpu_alarms_lock);
    return error;
}
