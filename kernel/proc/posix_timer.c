/*
 * POSIX timers (timer_create(2)): signals at a time, once or again and again.
 *
 * A timer belongs to a process and has a number in it. It counts on a wall clock, by a timer of
 * core/, or on a clock of CPU time, by an alarm that sets off that timer. The moments of
 * CLOCK_REALTIME are translated to the monotonic clock when they are set.
 *
 *     set --> armed --> expired: its signal is queued --> taken: armed for the next interval
 *
 * Each timer has one entry for its signal, allocated with it (-EAGAIN if RLIMIT_SIGPENDING
 * forbids), so that an expiry never fails. While the entry is queued further expiries only count as
 * overruns. A wall-clock timer is not even armed then: how often it would have come is computed
 * when the signal is taken, so that an interval of a nanosecond costs the process that asked for
 * it, and nobody else.
 *
 * Deleting one while its signal is pending leaves the signal: the entry then belongs to the queue
 * alone (entry->timer is NULL), and is freed when it is taken.
 *
 * Locking: process.signals_lock of the owner guards the list and all fields. The timer's function
 *          takes it, so a timer is cancelled and waited for outside of it; it is off the list
 *          before. The time of a CPU clock is read outside, too: it takes the lock of the process
 *          that is measured.
 * Context: timers' functions run in interrupts. Creating and deleting sleep.
 */
#include "proc_files.h"

#define TIMERS_MAX   1024
#define OVERRUNS_MAX 0x7fffffffu /* DELAYTIMER_MAX */

struct posix_timer {
    struct list link;
    struct timer core;
    struct process *process;        /* [const] the owner; the list's timers go before it */
    struct posix_timer_setup setup; /* [const] with its references */
    struct cpu_alarm alarm;         /* on setup.cpu_clock */
    struct queued_signal *queued;   /* [const] in a list of pending signals, or not */
    int id;
    u64 deadline_ns, interval_ns; /* of its clock; 0: not set */
    u64 overruns;                 /* expiries behind the one that is queued */
    s32 overruns_told;            /* of the last signal that was taken */
};

static bool is_on_cpu_clock(const struct posix_timer *timer)
{
    return timer->setup.cpu_clock.process;
}

/* signals_lock is not held: see above. */
static u64 timer_now_ns(const struct posix_timer *timer)
{
    return is_on_cpu_clock(timer) ? cpu_clock_ns(&timer->setup.cpu_clock) : clock_monotonic_ns();
}

/* A timer without a signal is never armed: what is left of it is computed when it is asked. */
static void timer_arm(struct posix_timer *timer)
{
    if (timer->setup.notify == SIGEV_NONE)
        return;
    if (is_on_cpu_clock(timer))
        cpu_alarm_set(&timer->alarm, &timer->setup.cpu_clock, timer->deadline_ns);
    else
        timer_set(&timer->core, timer->deadline_ns);
}

/* The next moment of an interval timer behind now. Returns how many have passed since deadline. */
static u64 timer_forward(struct posix_timer *timer, u64 now_ns)
{
    u64 missed = (now_ns - timer->deadline_ns) / timer->interval_ns;

    timer->deadline_ns += (missed + 1) * timer->interval_ns;
    return missed;
}

/* While its entry is queued, one more expiry is one more overrun (timer_getoverrun(2)). */
static void timer_signal(struct posix_timer *timer) must_hold(&timer->process->signals_lock)
{
    struct abi_siginfo abi = {.signal = timer->setup.signal, .code = SI_TIMER};

    if (list_is_linked(&timer->queued->link)) {
        timer->overruns++;
        return;
    }
    abi.timer.id = timer->id;
    abi.timer.value = timer->setup.value_is_id ? (u64)timer->id : timer->setup.value;
    memcpy(&timer->queued->info, &abi, sizeof(timer->queued->info));
    timer->overruns = 0;
    signal_send_queued_locked(timer->process, timer->setup.target, timer->queued);
}

/*
 * An ignored signal is dropped and never taken: then the timer goes on by itself, but not too fast.
 */
static void timer_expire(struct posix_timer *timer, u64 now_ns)
{
    timer_signal(timer);
    if (!timer->interval_ns) {
        timer->deadline_ns = 0;
        return;
    }
    if (!is_on_cpu_clock(timer)) {
        if (list_is_linked(&timer->queued->link))
            return; /* armed again when it is taken */
        (void)timer_forward(timer, now_ns);
        timer->deadline_ns = MAX(timer->deadline_ns, now_ns + IGNORED_LEAST_NS);
    } else {
        timer->overruns += timer_forward(timer, now_ns);
    }
    timer_arm(timer);
}

/*
 * deadline_ns under the lock is what counts: a timer that was set anew, stopped or deleted may
 * still fire once.
 */
static void timer_expired(struct timer *core)
{
    struct posix_timer *timer = container_of(core, struct posix_timer, core);
    struct process *process = timer->process;
    u64 now_ns = timer_now_ns(timer);

    spin_lock(&process->signals_lock);
    if (timer->deadline_ns && list_is_linked(&timer->link)) {
        if (timer->deadline_ns <= now_ns)
            timer_expire(timer, now_ns);
        else
            timer_arm(timer); /* it was set anew meanwhile */
    }
    spin_unlock(&process->signals_lock);
}

/*
 * Under locks that a signal may not be sent under; the core timer that it sets off comes without
 * them.
 */
static void alarm_rang(struct cpu_alarm *alarm)
{
    struct posix_timer *timer = container_of(alarm, struct posix_timer, alarm);

    timer_set(&timer->core, 0);
}

/*
 * signals_lock is held. Overruns are told with the signal, and how many there were until now can
 * only be computed now.
 */
void posix_timer_signal_taken(struct posix_timer *timer, struct signal_info *info)
{
    struct abi_siginfo abi = {};
    u64 now_ns = clock_monotonic_ns();

    if (!is_on_cpu_clock(timer) && timer->interval_ns && timer->deadline_ns &&
        timer->deadline_ns <= now_ns) {
        timer->overruns += timer_forward(timer, now_ns);
        timer_arm(timer);
    }
    timer->overruns_told = MIN(timer->overruns, OVERRUNS_MAX);
    timer->overruns = 0;
    memcpy(&abi, info, sizeof(*info));
    abi.timer.overruns = timer->overruns_told;
    memcpy(info, &abi, sizeof(*info));
}

/* ---- The calls ---- */

static struct posix_timer *timer_find_locked(struct process *process, int id)
{
    struct posix_timer *timer;

    list_for_each (timer, &process->posix_timers, link)
        if (timer->id == id)
            return timer;
    return NULL;
}

/* The lowest free one, as Linux gives them to a process that deletes none. */
static int id_choose_locked(struct process *process)
{
    int id = 0;

    while (id < TIMERS_MAX && timer_find_locked(process, id))
        id++;
    return id;
}

/* Nobody finds it any more. What is pending of its signal stays, and belongs to the queue alone. */
static void timer_withdraw_locked(struct posix_timer *timer)
{
    list_remove(&timer->link);
    timer->deadline_ns = 0;
    if (is_on_cpu_clock(timer))
        cpu_alarm_cancel(&timer->alarm);
    if (list_is_linked(&timer->queued->link)) {
        timer->queued->timer = NULL;
        timer->queued = NULL;
    }
}

/*
 * Its function may still run for the last time: it is waited for, so no lock that it takes is held.
 */
static void timer_free(struct posix_timer *timer)
{
    timer_fini(&timer->core);
    if (timer->queued)
        queued_signal_free(timer->queued);
    if (timer->setup.target)
        thread_put(timer->setup.target);
    cpu_clock_put(&timer->setup.cpu_clock);
    kfree(timer);
}

/*
 * The signal's entry is charged to the owner now, so RLIMIT_SIGPENDING also limits timers
 * (timer_create(2)).
 */
static struct posix_timer *timer_alloc(struct process *process)
{
    struct posix_timer *timer = kmalloc(sizeof(*timer), ALLOC_CLEARED);

    if (!timer)
        return NULL;
    spin_lock(&process->signals_lock);
    timer->queued = queued_signal_alloc(process);
    spin_unlock(&process->signals_lock);
    if (!timer->queued) {
        kfree(timer);
        return NULL;
    }
    timer->queued->timer = timer;
    timer_init(&timer->core, timer_expired);
    cpu_alarm_init(&timer->alarm, alarm_rang);
    list_init(&timer->link);
    timer->process = process;
    return timer;
}

int posix_timer_create(const struct posix_timer_setup *setup)
{
    struct process *process = process_current();
    struct posix_timer *timer = timer_alloc(process);
    int id;

    if (!timer)
        return -EAGAIN;
    spin_lock(&process->signals_lock);
    id = id_choose_locked(process);
    timer->id = id;
    if (id < TIMERS_MAX) {
        timer->setup = *setup; /* with its references */
        list_push_back(&process->posix_timers, &timer->link);
    }
    spin_unlock(&process->signals_lock);
    if (id < TIMERS_MAX)
        return id;
    timer_free(timer);
    return -EAGAIN;
}

/* What is left until a timer comes (again); 0: it is not set. */
static u64 timer_left_ns(const struct posix_timer *timer, u64 now_ns)
{
    u64 deadline_ns = timer->deadline_ns;

    if (!deadline_ns)
        return 0;
    if (deadline_ns > now_ns)
        return deadline_ns - now_ns;
    if (timer->interval_ns)
        return timer->interval_ns - (now_ns - deadline_ns) % timer->interval_ns;
    /* One that is due but not yet off has a moment left; one without a signal is just over. */
    return timer->setup.notify == SIGEV_NONE ? 0 : 1;
}

/*
 * Its clock's time, read without the lock: the timer is found again under it. A timer that another
 * thread deletes in between is the caller's misuse; it then gets -EINVAL.
 */
static int timer_clock_now(struct process *process, int id, u64 *now_out)
{
    struct cpu_clock clock = {};
    struct posix_timer *timer;

    spin_lock(&process->signals_lock);
    timer = timer_find_locked(process, id);
    if (timer && is_on_cpu_clock(timer)) {
        clock = timer->setup.cpu_clock;
        process_get(clock.process);
        if (clock.thread)
            thread_get(clock.thread);
    }
    spin_unlock(&process->signals_lock);
    *now_out = clock.process ? cpu_clock_ns(&clock) : clock_monotonic_ns();
    cpu_clock_put(&clock);
    return timer ? 0 : -EINVAL;
}

int posix_timer_overruns(int id)
{
    struct process *process = process_current();
    struct posix_timer *timer;
    int overruns = -EINVAL;

    spin_lock(&process->signals_lock);
    timer = timer_find_locked(process, id);
    if (timer)
        overruns = timer->overruns_told;
    spin_unlock(&process->signals_lock);
    return overruns;
}

/* From what timer_settime says to the clock that the timer counts on; 0: it is stopped. */
static u64 moment_of(const struct posix_timer *timer, const struct posix_timer_value *value,
                     u64 now_ns)
{
    u64 at_ns = value->value_ns;
    bool by_date = !is_on_cpu_clock(timer) &&
                   (timer->setup.clock == CLOCK_REALTIME || timer->setup.clock == CLOCK_TAI);

    if (!at_ns)
        return 0;
    if (!value->is_absolute)
        return at_ns > U64_MAX - now_ns ? U64_MAX : now_ns + at_ns;
    return by_date ? MAX(clock_monotonic_at(at_ns), 1ul) : at_ns;
}

static void timer_set_locked(struct posix_timer *timer, const struct posix_timer_value *value,
                             u64 now_ns)
{
    u64 at_ns = moment_of(timer, value, now_ns);

    /* One that is stopped forgets its interval, but for those on CPU time: so Linux tells it. */
    timer->interval_ns = at_ns || is_on_cpu_clock(timer) ? value->interval_ns : 0;
    timer->deadline_ns = at_ns;
    timer->overruns = 0;
    timer->overruns_told = 0;
    if (is_on_cpu_clock(timer))
        cpu_alarm_cancel(&timer->alarm);
    /* One of core/ that is not set any more may still fire; it finds its deadline moved. */
    if (!at_ns)
        return;
    if (at_ns <= now_ns && timer->setup.notify != SIGEV_NONE)
        timer_set(&timer->core, 0);
    else
        timer_arm(timer);
}

/* The clock is read between two looks, and so the timer is found twice. */
int posix_timer_exchange(int id, const struct posix_timer_value *value,
                         struct interval_timer *left_out)
{
    struct process *process = process_current();
    struct posix_timer *timer;
    u64 now_ns;
    int error = timer_clock_now(process, id, &now_ns);

    if (error)
        return error;
    spin_lock(&process->signals_lock);
    timer = timer_find_locked(process, id);
    if (timer) {
        left_out->interval_ns = timer->interval_ns;
        left_out->deadline_ns = timer_left_ns(timer, now_ns);
        if (value)
            timer_set_locked(timer, value, now_ns);
    }
    spin_unlock(&process->signals_lock);
    return timer ? 0 : -EINVAL;
}

int posix_timer_delete(int id)
{
    struct process *process = process_current();
    struct posix_timer *timer;

    spin_lock(&process->signals_lock);
    timer = timer_find_locked(process, id);
    if (timer)
        timer_withdraw_locked(timer);
    spin_unlock(&process->signals_lock);
    if (!timer)
        return -EINVAL;
    timer_free(timer);
    return 0;
}

/* One after the other, for each is waited for outside the lock. */
void posix_timers_clear(struct process *process)
{
    struct posix_timer *timer;

    for (;;) {
        spin_lock(&process->signals_lock);
        timer = list_first_entry(&process->posix_timers, struct posix_timer, link);
        if (timer)
            timer_withdraw_locked(timer);
        spin_unlock(&process->signals_lock);
        if (!timer)
            return;
        timer_free(timer);
    }
}

/* ---- /proc/PID/timers (proc(5)) ---- */

struct shown_timer {
    int id, target, clock, notify, signal;
    u64 value;
};

/* The timer with the lowest number from `first` on. */
static bool timer_show_from(struct process *process, int first, struct shown_timer *shown)
{
    struct posix_timer *timer, *lowest = NULL;

    spin_lock(&process->signals_lock);
    list_for_each (timer, &process->posix_timers, link)
        if (timer->id >= first && (!lowest || timer->id < lowest->id))
            lowest = timer;
    if (lowest) {
        const struct posix_timer_setup *setup = &lowest->setup;

        *shown = (struct shown_timer){
            .id = lowest->id,
            .target = setup->target ? setup->target->identity->tid : process->pid,
            .clock = setup->clock,
            .notify = setup->notify,
            .signal = setup->signal,
            .value = setup->value_is_id ? (u64)lowest->id : setup->value,
        };
    }
    spin_unlock(&process->signals_lock);
    return lowest;
}

/* By number, so that timers that go meanwhile are passed over. */
int proc_show_timers(struct text_sink *sink, void *object)
{
    static const char *const ways[] = {
        [SIGEV_SIGNAL] = "signal", [SIGEV_NONE] = "none", [SIGEV_THREAD] = "thread"};
    struct shown_timer shown;

    for (int id = 0; timer_show_from(object, id, &shown); id = shown.id + 1) {
        text_print(sink, "ID: %d\nsignal: %d/%016lx\n", shown.id, shown.signal, shown.value);
        text_print(sink, "notify: %s/%s.%d\nClockID: %d\n", ways[shown.notify & ~SIGEV_THREAD_ID],
                   shown.notify & SIGEV_THREAD_ID ? "tid" : "pid", shown.target, shown.clock);
    }
    return 0;
}
