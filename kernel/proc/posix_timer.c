/*
 * POSIX timers (timer_create(2)): signals at a time, once or again and again.
 *
 * A timer belongs to a process and has a number in it. When it expires it sends its signal, unless
 * the last one is still pending: then it counts an overrun. Both clocks that it knows are core/'s:
 * deadlines of CLOCK_REALTIME are translated when they are set.
 *
 * Locking: process.signals_lock guards the list and all fields. A timer's function takes it, so a
 *          timer is cancelled and waited for outside of it; it is off the list before.
 */
#include "internal.h"

#define TIMERS_MAX 1024

struct posix_timer {
    struct list link;
    struct timer core;
    struct process *process;
    struct thread *target; /* SIGEV_THREAD_ID: a reference; else NULL */
    int id, notify, signal;
    u64 value;
    u64 deadline_ns, interval_ns;
    s32 overruns; /* expirations without a signal of their own since the last signal was sent */
    int clock;    /* [const] */
};

static void timer_signal(struct posix_timer *timer)
{
    struct abi_siginfo abi = {.signal = timer->signal, .code = SI_TIMER};
    struct pending_signals *pending =
        timer->target ? &timer->target->identity->pending : &timer->process->pending;
    struct signal_info info;

    if (timer->notify == SIGEV_NONE)
        return;
    if (pending->set & signal_bit(timer->signal)) {
        timer->overruns++;
        return;
    }
    abi.timer.id = timer->id;
    abi.timer.value = timer->value;
    memcpy(&info, &abi, sizeof(info));
    timer->overruns = 0;
    if (timer->target)
        (void)signal_send_thread_locked(timer->target, &info);
    else
        (void)signal_send_process_locked(timer->process, &info);
}

static void timer_expired(struct timer *core)
{
    struct posix_timer *timer = container_of(core, struct posix_timer, core);
    struct process *process = timer->process;
    u64 now_ns = clock_monotonic_ns();

    spin_lock(&process->signals_lock);
    if (timer->deadline_ns && timer->deadline_ns <= now_ns) {
        u64 late_ns = now_ns - timer->deadline_ns;

        timer_signal(timer);
        if (timer->interval_ns) {
            u64 missed = late_ns / timer->interval_ns;

            timer->overruns += missed;
            timer->deadline_ns += (missed + 1) * timer->interval_ns;
        } else {
            timer->deadline_ns = 0;
        }
    }
    if (timer->deadline_ns && list_is_linked(&timer->link))
        timer_set(core, timer->deadline_ns);
    spin_unlock(&process->signals_lock);
}

static struct posix_timer *timer_find_locked(struct process *process, int id)
{
    struct posix_timer *timer;

    list_for_each (timer, &process->posix_timers, link)
        if (timer->id == id)
            return timer;
    return NULL;
}

static int id_choose_locked(struct process *process)
{
    int id = 0;

    while (id < TIMERS_MAX && timer_find_locked(process, id))
        id++;
    return id;
}

/* `event` NULL: SIGALRM with the timer's number. Takes over the target's reference. */
int posix_timer_create(int clock, const struct abi_sigevent *event, struct thread *target)
{
    struct process *process = process_current();
    struct posix_timer *timer = kmalloc(sizeof(*timer), ALLOC_CLEARED);
    int id;

    if (!timer)
        return -ENOMEM;
    timer_init(&timer->core, timer_expired);
    list_init(&timer->link);
    timer->process = process;
    timer->notify = event ? event->notify : SIGEV_SIGNAL;
    timer->signal = event ? event->signal : SIGALRM;
    timer->target = target;
    timer->clock = clock;
    spin_lock(&process->signals_lock);
    id = id_choose_locked(process);
    timer->id = id;
    timer->value = event ? event->value : (u64)id;
    if (id < TIMERS_MAX)
        list_push_back(&process->posix_timers, &timer->link);
    spin_unlock(&process->signals_lock);
    if (id == TIMERS_MAX) { /* the caller keeps the target */
        kfree(timer);
        return -EAGAIN;
    }
    return id;
}

int posix_timer_get(int id, struct interval_timer *left_out, s32 *overruns_out, int *clock_out)
{
    struct process *process = process_current();
    u64 now_ns = clock_monotonic_ns();
    struct posix_timer *timer;

    spin_lock(&process->signals_lock);
    timer = timer_find_locked(process, id);
    if (timer) {
        left_out->interval_ns = timer->interval_ns;
        left_out->deadline_ns = 0;
        if (timer->deadline_ns)
            left_out->deadline_ns = timer->deadline_ns > now_ns ? timer->deadline_ns - now_ns : 1;
        *overruns_out = timer->overruns;
        *clock_out = timer->clock;
    }
    spin_unlock(&process->signals_lock);
    return timer ? 0 : -EINVAL;
}

int posix_timer_set(int id, const struct interval_timer *value)
{
    struct process *process = process_current();
    struct posix_timer *timer;

    spin_lock(&process->signals_lock);
    timer = timer_find_locked(process, id);
    if (timer) {
        timer->interval_ns = value->interval_ns;
        timer->deadline_ns = value->deadline_ns;
        timer->overruns = 0;
        /* One that is cancelled may still fire; it finds its deadline moved and does nothing. */
        if (timer->deadline_ns)
            timer_set(&timer->core, timer->deadline_ns);
    }
    spin_unlock(&process->signals_lock);
    return timer ? 0 : -EINVAL;
}

static void timer_free(struct posix_timer *timer)
{
    timer_fini(&timer->core);
    if (timer->target)
        thread_put(timer->target);
    kfree(timer);
}

int posix_timer_delete(int id)
{
    struct process *process = process_current();
    struct posix_timer *timer;

    spin_lock(&process->signals_lock);
    timer = timer_find_locked(process, id);
    if (timer) {
        list_remove(&timer->link);
        timer->deadline_ns = 0;
    }
    spin_unlock(&process->signals_lock);
    if (!timer)
        return -EINVAL;
    timer_free(timer);
    return 0;
}

void posix_timers_clear(struct process *process)
{
    struct posix_timer *timer;

    for (;;) {
        spin_lock(&process->signals_lock);
        timer = list_first_entry(&process->posix_timers, struct posix_timer, link);
        if (timer) {
            list_remove(&timer->link);
            timer->deadline_ns = 0;
        }
        spin_unlock(&process->signals_lock);
        if (!timer)
            return;
        timer_free(timer);
    }
}
