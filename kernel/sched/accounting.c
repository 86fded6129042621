/*
 * Where the time went: user and system time, load averages, times of CPUs.
 *
 * The time in each state is exact (state.c). What part of RUNNING was user mode is sampled: while
 * a CPU is busy a timer looks every SAMPLE_NS at what it interrupted, and the samples split the
 * exact sum so that no part ever goes backwards (pith/time_split.h). An idle CPU has no timer.
 *
 * The work that interrupts leave is a thread's time too, since it runs in its place, but a column
 * of its own for the CPU (softirq). Handlers run with interrupts off, so no sample falls into one:
 * they count as what they interrupted, and irq is 0; so is steal, for nobody tells the kernel what
 * the host took.
 *
 * Locking: a CPU's samples are its own; a thread's are written by the CPU that runs it. What has
 *          been told of either is guarded by the run queue's lock.
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

/* What the CPU did when the sample's interrupt came. */
static enum cpu_mode mode_of_cpu(const struct thread *thread)
{
    if (timer_rang_in_deferred())
        return CPU_IN_DEFERRED;
    if (!cpu_current()->interrupted_user)
        return CPU_IN_SYSTEM;
    return thread->nice > 0 ? CPU_IN_NICE : CPU_IN_USER;
}

/* Of the thread that the timer interrupted, on its own CPU: nobody else writes these counters. */
static void sample(struct timer *timer)
{
    struct run_queue *queue = container_of(timer, struct run_queue, sample_timer);
    struct thread *thread = thread_current();

    if (thread == queue->idle) {
        queue->sampling = false;
        return;
    }
    thread->ran.samples[cpu_current()->interrupted_user ? THREAD_IN_USER : thread->mode]++;
    queue->busy.samples[mode_of_cpu(thread)]++;
    if (sample_hook)
        sample_hook(thread, SAMPLE_NS);
    run_queue_balance(queue);
    timer_set(&queue->sample_timer, clock_monotonic_ns() + SAMPLE_NS);
}

void sampling_init(struct run_queue *queue)
{
    timer_init(&queue->sample_timer, sample);
}

/*
 * The timer stops by itself when it finds the CPU idle, so an idle machine has no periodic
 * interrupt.
 */
void sampling_start(struct run_queue *queue)
{
    if (queue->sampling)
        return;
    queue->sampling = true;
    timer_set(&queue->sample_timer, clock_monotonic_ns() + SAMPLE_NS);
}

/* What an idle CPU does is wait for a device, as long as one of its threads does. */
void idle_settle(struct run_queue *queue, u64 now_ns)
{
    u64 spent_ns = now_ns - MIN(now_ns, queue->idle_since_ns);

    if (queue->iowaiting)
        queue->iowait_ns += spent_ns;
    else
        queue->idle_ns += spent_ns;
    queue->idle_since_ns += spent_ns;
}

/*
 * Both changes are the same CPU's: a thread that is woken gets another one only after its state has
 * changed.
 */
void iowait_change(struct thread *thread, s32 change, u64 now_ns)
{
    struct run_queue *queue = run_queue_of(thread->cpu);

    spin_lock(&queue->lock);
    if (queue->running == queue->idle)
        idle_settle(queue, now_ns);
    queue->iowaiting += (u32)change;
    spin_unlock(&queue->lock);
}

/*
 * `total_ns` of RUNNING by modes. Without samples all is user time, as Linux says of what was too
 * short for a tick.
 */
static void ran_look(struct thread *thread, u64 total_ns, u64 ns_out[THREAD_MODES])
{
    time_split_look(&thread->ran, total_ns, THREAD_IN_USER);
    memcpy(ns_out, thread->ran.told_ns, THREAD_MODES * sizeof(ns_out[0]));
}

/*
 * What was told never goes backwards: samples only divide what came since the last look
 * (time_split.h).
 */
void thread_times(struct thread *thread, u64 *user_ns_out, u64 *system_ns_out)
{
    struct run_queue *queue = run_queue_lock_of(thread);
    u64 total_ns = thread->time_in_ns[THREAD_RUNNING], ns[THREAD_MODES];

    if (thread->state == THREAD_RUNNING)
        total_ns += clock_monotonic_ns() - thread->state_since_ns;
    ran_look(thread, total_ns, ns);
    spin_unlock(&queue->lock);
    *user_ns_out = ns[THREAD_IN_USER];
    *system_ns_out = ns[THREAD_IN_SYSTEM] + ns[THREAD_IN_TRAP] + ns[THREAD_IN_FAULT];
}

/* ---- Microstates ---- */

/* What a thread waits for that waits for such a reason. */
static const u8 microstates_of_waits[WAIT_REASONS] = {
    [WAIT_FOR_NOTHING] = MICROSTATE_SLEEP, [WAIT_FOR_PIPE] = MICROSTATE_IO,
    [WAIT_FOR_FUTEX] = MICROSTATE_LOCK,    [WAIT_FOR_CHILD] = MICROSTATE_CHILD,
    [WAIT_FOR_FILE] = MICROSTATE_IO,       [WAIT_FOR_LOCK] = MICROSTATE_LOCK,
    [WAIT_FOR_TIMER] = MICROSTATE_SLEEP,   [WAIT_FOR_TERMINAL] = MICROSTATE_IO,
    [WAIT_FOR_SIGNAL] = MICROSTATE_SLEEP,  [WAIT_FOR_POLL] = MICROSTATE_IO,
    [WAIT_FOR_SOCKET] = MICROSTATE_IO,     [WAIT_FOR_VFORK] = MICROSTATE_CHILD,
    [WAIT_FOR_WORK] = MICROSTATE_SLEEP,    [WAIT_FOR_EXEC] = MICROSTATE_SLEEP,
};
static const u8 microstates_of_modes[THREAD_MODES] = {
    [THREAD_IN_USER] = MICROSTATE_USER,
    [THREAD_IN_SYSTEM] = MICROSTATE_SYSTEM,
    [THREAD_IN_TRAP] = MICROSTATE_TRAP,
    [THREAD_IN_FAULT] = MICROSTATE_FAULT,
};
/* Those of the states that none of the two above divides. */
static const u8 microstates_of_states[THREAD_STATES] = {
    [THREAD_NEW] = MICROSTATE_CPU,
    [THREAD_READY] = MICROSTATE_CPU,
    [THREAD_STOPPED] = MICROSTATE_STOPPED,
    [THREAD_TRACED] = MICROSTATE_STOPPED,
};

/* State, times and clock in one moment: thread.lock stops all changes but READY and RUNNING. */
static u64 thread_times_copy(struct thread *thread, u64 time_in_ns[THREAD_STATES],
                             u64 waited_ns[WAIT_REASONS], u64 modes_ns[THREAD_MODES])
{
    struct run_queue *queue;
    u64 now_ns, spent_ns;

    spin_lock(&thread->lock);
    queue = run_queue_lock_of(thread);
    now_ns = MAX(clock_monotonic_ns(), thread->state_since_ns);
    spent_ns = now_ns - thread->state_since_ns;
    memcpy(time_in_ns, thread->time_in_ns, sizeof(thread->time_in_ns));
    memcpy(waited_ns, thread->waited_ns, sizeof(thread->waited_ns));
    time_in_ns[thread->state] += spent_ns;
    if (thread->state == THREAD_WAITING)
        waited_ns[thread->wait_reason] += spent_ns;
    ran_look(thread, time_in_ns[THREAD_RUNNING], modes_ns);
    spin_unlock(&queue->lock);
    spin_unlock(&thread->lock);
    return now_ns - thread->born_ns;
}

/* Time that is nobody's: a DEAD thread has none, RUNNING and WAITING are divided further. */
u64 thread_microstates(struct thread *thread, u64 ns_out[MICROSTATES])
{
    u64 time_in_ns[THREAD_STATES], waited_ns[WAIT_REASONS], modes_ns[THREAD_MODES];
    u64 elapsed_ns = thread_times_copy(thread, time_in_ns, waited_ns, modes_ns);

    memset(ns_out, 0, MICROSTATES * sizeof(ns_out[0]));
    for (int mode = 0; mode < THREAD_MODES; mode++)
        ns_out[microstates_of_modes[mode]] += modes_ns[mode];
    for (int reason = 0; reason < WAIT_REASONS; reason++)
        ns_out[microstates_of_waits[reason]] += waited_ns[reason];
    for (int state = 0; state < THREAD_STATES; state++)
        if (state != THREAD_RUNNING && state != THREAD_WAITING && state != THREAD_DEAD)
            ns_out[microstates_of_states[state]] += time_in_ns[state];
    return elapsed_ns;
}

void thread_schedule_describe(struct thread *thread, struct thread_schedule *out)
{
    u64 time_in_ns[THREAD_STATES], waited_ns[WAIT_REASONS], modes_ns[THREAD_MODES];

    (void)thread_times_copy(thread, time_in_ns, waited_ns, modes_ns);
    *out = (struct thread_schedule){
        .ran_ns = time_in_ns[THREAD_RUNNING],
        .ready_ns = time_in_ns[THREAD_READY],
        .turns = READ_ONCE(thread->turns),
        .migrations = READ_ONCE(thread->migrations),
        .virtual_ns = READ_ONCE(thread->policy.virtual_ns),
    };
}

/* ---- Times of CPUs ---- */

/* Busy time is what is not idle, so that the columns add up to the time since the boot. */
void cpu_times_of(u32 cpu, struct cpu_times *times_out)
{
    struct run_queue *queue = run_queue_of(cpu);
    u64 now_ns;

    spin_lock(&queue->lock);
    now_ns = clock_monotonic_ns();
    if (queue->running == queue->idle)
        idle_settle(queue, now_ns);
    *times_out = (struct cpu_times){
        .idle_ns = queue->idle_ns,
        .iowait_ns = queue->iowait_ns,
        .ran_ns = queue->ran_ns,
        .ready_ns = queue->waited_ns,
        .turns = queue->turns,
        .switches = queue->switches,
    };
    time_split_look(&queue->busy, now_ns - MIN(now_ns, queue->idle_ns + queue->iowait_ns),
                    CPU_IN_USER);
    times_out->system_ns = queue->busy.told_ns[CPU_IN_SYSTEM];
    times_out->user_ns = queue->busy.told_ns[CPU_IN_USER];
    times_out->nice_ns = queue->busy.told_ns[CPU_IN_NICE];
    times_out->deferred_ns = queue->busy.told_ns[CPU_IN_DEFERRED];
    spin_unlock(&queue->lock);
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

/* Without locks: a snapshot of hints, as procs_running is on Linux. */
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
