/*
 * Interval timers (setitimer(2)), and the limits of CPU time.
 *
 * ITIMER_REAL is a timer of core/. While its SIGALRM is pending it is not armed: taking the signal
 * arms it again, so that an interval of a microsecond keeps nobody busy but the process itself:
 *
 *     armed -> expired: SIGALRM is pending, real_timer_waits -> taken: armed for the next period
 *
 * The next deadline is a whole number of periods behind the first, however late a signal is taken:
 * so intervals do not drift. A SIGALRM that is ignored is never taken; then the timer is armed at
 * once, but not for less than IGNORED_LEAST_NS.
 *
 * The other two, RLIMIT_CPU and RLIMIT_RTTIME count CPU time, which is sampled
 * (sched/accounting.c): at each sample the running process's counters move on by one period, so
 * they are as exact as that.
 *
 * Locking: signals_lock. The timer's function takes it, so nobody waits for the timer under it: it
 *          is cancelled first, and its function looks at deadline_ns again.
 * Context: the functions of timers and samples run in interrupts. Setting waits for such a
 *          function.
 */
#include "internal.h"

/* The next deadline is counted from the last one, so that intervals do not drift. */
static u64 next_deadline(const struct interval_timer *timer, u64 now_ns)
{
    u64 periods = (now_ns - timer->deadline_ns) / timer->interval_ns + 1;

    return timer->deadline_ns + periods * timer->interval_ns;
}

/* It may have been set anew since it fired: then it is not due, and is only armed again. */
static void real_timer_expired(struct timer *core)
{
    struct process *process = container_of(core, struct process, real_timer_core);
    struct interval_timer *timer = &process->real_timer;
    u64 now_ns = clock_monotonic_ns();
    struct signal_info info;

    spin_lock(&process->signals_lock);
    if (timer->deadline_ns && timer->deadline_ns <= now_ns) {
        signal_info_init(&info, SIGALRM, SI_KERNEL);
        (void)signal_send_process_locked(process, &info);
        if (!timer->interval_ns)
            timer->deadline_ns = 0;
        else if (process->pending.set & signal_bit(SIGALRM))
            process->real_timer_waits = true;
        else /* it is ignored */
            timer->deadline_ns = MAX(next_deadline(timer, now_ns), now_ns + IGNORED_LEAST_NS);
    }
    if (timer->deadline_ns > now_ns)
        timer_set(core, timer->deadline_ns);
    spin_unlock(&process->signals_lock);
}

void itimer_signal_taken(struct process *process)
{
    struct interval_timer *timer = &process->real_timer;
    u64 now_ns = clock_monotonic_ns();

    if (!process->real_timer_waits)
        return;
    process->real_timer_waits = false;
    timer->deadline_ns = next_deadline(timer, now_ns);
    timer_set(&process->real_timer_core, timer->deadline_ns);
}

void itimers_init(struct process *process)
{
    timer_init(&process->real_timer_core, real_timer_expired);
}

/* ---- CPU time ---- */

/*
 * The interval begins anew at the sample that ended it, so that it does not drift more than the
 * samples do.
 */
static void count_down(struct process *process, struct interval_timer *timer, u64 used_ns,
                       int signal) must_hold(&process->signals_lock)
{
    struct signal_info info;

    if (!timer->deadline_ns)
        return;
    if (timer->deadline_ns > used_ns) {
        timer->deadline_ns -= used_ns;
        return;
    }
    timer->deadline_ns = timer->interval_ns;
    signal_info_init(&info, signal, SI_KERNEL);
    (void)signal_send_process_locked(process, &info);
}

/* SIGXCPU each second above the soft limit, SIGKILL at the hard one (getrlimit(2)). */
static void check_cpu_limit(struct process *process) must_hold(&process->signals_lock)
{
    const struct abi_rlimit *limit = &process->limits[RLIMIT_CPU];
    u64 seconds = process->sampled_ns / NS_PER_SECOND;
    struct signal_info info;

    if (limit->soft == RLIM_INFINITY || seconds < MAX(limit->soft, process->cpu_limit_told + 1))
        return;
    process->cpu_limit_told = seconds;
    signal_info_init(&info, seconds >= limit->hard ? SIGKILL : SIGXCPU, SI_KERNEL);
    (void)signal_send_process_locked(process, &info);
}

/*
 * RLIMIT_RTTIME, in microseconds: how long a real-time thread may run without a wait. At the soft
 * limit, which moves on by a second then, it is told; at the hard one the process ends.
 */
static void check_realtime_limit(struct process *process, const struct thread *thread,
                                 u64 period_ns) must_hold(&process->signals_lock)
{
    struct abi_rlimit *limit = &process->limits[RLIMIT_RTTIME];
    struct thread_identity *identity = thread->identity;
    struct signal_info info;
    u64 ran_us;

    if (limit->soft == RLIM_INFINITY || (thread->class != CLASS_FIFO && thread->class != CLASS_RR))
        return;
    if (identity->realtime_waits != thread->voluntary_switches) {
        identity->realtime_waits = thread->voluntary_switches;
        identity->realtime_ns = 0;
    }
    identity->realtime_ns += period_ns;
    ran_us = identity->realtime_ns / NS_PER_US;
    if (ran_us < MIN(limit->soft, limit->hard))
        return;
    signal_info_init(&info, ran_us >= limit->hard ? SIGKILL : SIGXCPU, SI_KERNEL);
    limit->soft += NS_PER_SECOND / NS_PER_US;
    (void)signal_send_process_locked(process, &info);
}

/* From the sampling timer, for the thread that it interrupted. */
void process_sample(struct thread *thread, u64 period_ns)
{
    struct process *process = thread->process;

    if (!process || process->is_kernel)
        return;
    spin_lock(&process->signals_lock);
    process->sampled_ns += period_ns;
    if (cpu_current()->interrupted_user)
        count_down(process, &process->virtual_timer, period_ns, SIGVTALRM);
    count_down(process, &process->profile_timer, period_ns, SIGPROF);
    check_cpu_limit(process);
    check_realtime_limit(process, thread, period_ns);
    cpu_alarms_check_locked(process);
    spin_unlock(&process->signals_lock);
}

/* ---- setitimer, getitimer ---- */

static struct interval_timer *timer_of(struct process *process, int which)
{
    if (which == ITIMER_REAL)
        return &process->real_timer;
    return which == ITIMER_VIRTUAL ? &process->virtual_timer : &process->profile_timer;
}

/*
 * ITIMER_REAL's timer is cancelled and waited for before the lock is taken, since its function
 * takes it. Another thread may set it in between; the later one wins, and deadline_ns is what
 * counts.
 */
static struct interval_timer itimer_exchange(struct process *process, int which,
                                             const struct interval_timer *changed)
{
    struct interval_timer *timer = timer_of(process, which), before;
    bool is_real = which == ITIMER_REAL;
    u64 now_ns;

    if (is_real && changed)
        timer_cancel_wait(&process->real_timer_core);
    spin_lock(&process->signals_lock);
    now_ns = is_real ? clock_monotonic_ns() : 0; /* the others count down to 0 */
    before = *timer;
    if (changed) {
        *timer = *changed;
        timer->deadline_ns += changed->deadline_ns ? now_ns : 0;
    }
    if (is_real && changed) {
        process->real_timer_waits = false;
        if (timer->deadline_ns)
            timer_set(&process->real_timer_core, timer->deadline_ns);
    }
    spin_unlock(&process->signals_lock);
    /* One that is due is not off yet. */
    if (before.deadline_ns)
        before.deadline_ns = before.deadline_ns > now_ns ? before.deadline_ns - now_ns : 1;
    return before;
}

struct interval_timer process_itimer_get(int which)
{
    return itimer_exchange(process_current(), which, NULL);
}

struct interval_timer process_itimer_exchange(int which, const struct interval_timer *changed)
{
    return itimer_exchange(process_current(), which, changed);
}

/* ---- The end ---- */

void itimers_exec(struct process *process)
{
    posix_timers_clear(process);
}

/* Before the process goes: an armed timer would find freed memory. */
void itimers_clear(struct process *process)
{
    static const struct interval_timer none;

    posix_timers_clear(process);
    if (process->real_timer.deadline_ns)
        (void)itimer_exchange(process, ITIMER_REAL, &none);
    /* Not set, but its function may still run for the last time. */
    timer_fini(&process->real_timer_core);
}
