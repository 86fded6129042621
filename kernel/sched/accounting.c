/*
 * Where the time went: user and system time, load averages, times of CPUs.
 *
 * The time in each state is exact (state.c). What part of RUNNING was user mode is sampled: while
 * a CPU is busy a timer looks every SAMPLE_NS at what it interrupted, and the samples split the
 * exact sum. An idle CPU has no timer.
 *
 * Locking: a CPU's samples are its own; a thread's are written by the CPU that runs it.
 */
#include "run_queue.h"

#include "life.h"
#include "state.h"

#define SAMPLE_NS      (10 * NS_PER_MS)
#define LOAD_PERIOD_NS (5 * NS_PER_SECOND)
#define LOAD_ONE       2048 /* the fixed point of load averages */

static u64 loads[3]; /* [cpu] the boot CPU writes them */
static struct timer load_timer;
static void (*sample_hook)(struct thread *thread, u64 period_ns); /* [const] after boot */

void sched_sample_register(void (*hook)(struct thread *thread, u64 period_ns))
{
    sample_hook = hook;
}

static void sample(struct timer *timer)
{
    struct run_queue *queue = container_of(timer, struct run_queue, sample_timer);
    struct thread *thread = thread_current();

    if (thread == queue->idle) {
        queue->sampling = false;
        return;
    }
    if (!cpu_current()->interrupted_user) {
        thread->system_ticks++;
        queue->system_ticks++;
    } else {
        thread->user_ticks++;
        if (thread->nice > 0)
            queue->nice_ticks++;
        else
            queue->user_ticks++;
    }
    if (sample_hook)
        sample_hook(thread, SAMPLE_NS);
    timer_set(&queue->sample_timer, clock_monotonic_ns() + SAMPLE_NS);
}

void sampling_init(struct run_queue *queue)
{
    timer_init(&queue->sample_timer, sample);
}

void sampling_start(struct run_queue *queue)
{
    if (queue->sampling)
        return;
    queue->sampling = true;
    timer_set(&queue->sample_timer, clock_monotonic_ns() + SAMPLE_NS);
}

/* Without samples all is user time, as Linux says of what was too short for a tick. */
static u64 share_of(u64 total_ns, u64 part, u64 whole)
{
    if (whole == 0)
        return total_ns;
    return total_ns / whole * part + total_ns % whole * part / whole;
}

void thread_times(struct thread *thread, u64 *user_ns_out, u64 *system_ns_out)
{
    struct run_queue *queue = run_queue_lock_of(thread);
    u64 total_ns = thread->time_in_ns[THREAD_RUNNING];
    u64 user = thread->user_ticks, system = thread->system_ticks;

    if (thread->state == THREAD_RUNNING)
        total_ns += clock_monotonic_ns() - thread->state_since_ns;
    spin_unlock(&queue->lock);
    *user_ns_out = share_of(total_ns, user, user + system);
    *system_ns_out = total_ns - *user_ns_out;
}

void cpu_times_of(u32 cpu, struct cpu_times *times_out)
{
    struct run_queue *queue = run_queue_of(cpu);
    u64 now_ns = clock_monotonic_ns(), idle_ns = queue->idle_ns, busy_ns, ticks;

    if (READ_ONCE(queue->running) == queue->idle)
        idle_ns += now_ns - READ_ONCE(queue->idle_since_ns);
    busy_ns = now_ns - MIN(now_ns, idle_ns);
    ticks = queue->user_ticks + queue->nice_ticks + queue->system_ticks;
    *times_out = (struct cpu_times){
        .user_ns = share_of(busy_ns, queue->user_ticks, ticks),
        .nice_ns = ticks ? share_of(busy_ns, queue->nice_ticks, ticks) : 0,
        .idle_ns = idle_ns,
    };
    times_out->system_ns = busy_ns - MIN(busy_ns, times_out->user_ns + times_out->nice_ns);
}

u64 context_switches_total(void)
{
    u64 total = 0;
    u32 cpu;

    cpu_for_each_online (cpu)
        total += READ_ONCE(run_queue_of(cpu)->switches);
    return total;
}

/* ---- Load averages ---- */

void threads_count_active(u32 *running_out, u32 *blocked_out)
{
    u32 running = 0, cpu;

    cpu_for_each_online (cpu) {
        struct run_queue *queue = run_queue_of(cpu);

        running += READ_ONCE(queue->ready) + (READ_ONCE(queue->running) != queue->idle);
    }
    *running_out = running;
    *blocked_out = threads_uninterruptible();
}

/* Decay over 5 s of averages over 1, 5 and 15 minutes: 2048 * exp(-5/60) and so on. */
static void load_sample(struct timer *timer)
{
    static const u64 decay[3] = {1884, 2014, 2037};
    u32 running, blocked;
    u64 active;

    threads_count_active(&running, &blocked);
    active = (u64)(running + blocked) * LOAD_ONE;
    for (int i = 0; i < 3; i++) {
        u64 sum = loads[i] * decay[i] + active * (LOAD_ONE - decay[i]);

        /* Rounding up while it rises lets it reach what it rises to. */
        WRITE_ONCE(loads[i], (sum + (active >= loads[i] ? LOAD_ONE - 1 : 0)) / LOAD_ONE);
    }
    timer_set(&load_timer, clock_monotonic_ns() + LOAD_PERIOD_NS);
}

void load_average(u64 averages_out[3])
{
    for (int i = 0; i < 3; i++)
        averages_out[i] = READ_ONCE(loads[i]);
}

void load_init(void)
{
    timer_init(&load_timer, load_sample);
    timer_set(&load_timer, clock_monotonic_ns() + LOAD_PERIOD_NS);
}
