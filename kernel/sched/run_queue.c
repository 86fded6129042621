/*
 * Run queues: the READY threads of each CPU, and which of them is the next.
 *
 * How is here, which is in the policies (pith/policy.h). A queue has two parts: the real-time one,
 * whose threads (fifo and rr together) go before all others, and the base policy's. The running
 * thread is in neither; its time is charged whenever somebody looks at the queue.
 *
 * A thread belongs to the queue of `thread->cpu`. It moves to another (balance.c) only while it is
 * READY and in no queue, or under both queues' locks; its context may be continued elsewhere only
 * once on_cpu is false, so a thread that is woken before its old CPU has left its stack goes to
 * that CPU's queue, whose lock is held until the switch is over.
 *
 * Whoever puts a thread into a queue in which it was not (a wake-up, a new affinity, the successor
 * of a thread whose CPU is forbidden now) holds thread.lock. So who holds it finds the thread
 * running, queued, or waiting, never on its way between two queues, but for a balance, which has
 * both locked.
 *
 * Throttling: a real-time thread that never waits would keep everybody else from the CPU, the shell
 * that could end it among them. So in each period the real-time threads of a CPU have only so much
 * time (sched_rt_runtime_us of sched_rt_period_us) while others wait; after that the others run
 * until the period is over. A CPU on which nobody else waits is theirs.
 *
 * Invariant: ready is the number of threads with `queued` set and this queue's CPU.
 * Locking:   thread.lock, then run_queue.lock; two queues by address.
 */
#include "run_queue.h"

#include "state.h"

DEFINE_PER_CPU(struct run_queue, run_queue);

static const struct policy *base_policy = &policy_fair; /* [const] after the command line */

/* What a burst may last before it counts as several, and how waiting is weighed against it. */
#define BURST_LIMIT_NS (100 * NS_PER_MS)
#define BURST_AGING    10
static const struct policy_parameters base_parameters = {
    .burst_limit_ns = BURST_LIMIT_NS,
    .aging = BURST_AGING,
};

/* Shares of nice -20 to 19: a step is worth 1.25 (what Linux's table says to users). */
static const u32 nice_weights[40] = {
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906,  3121,  2501,  1991,  1586,  1277,  1024,  820,   655,   526,   423,  335,  272,  215,
    172,   137,   110,   87,    70,    56,    45,    36,    29,    23,    18,   15,
};
#define WEIGHT_IDLE_CLASS 3

static struct spinlock limits_lock = SPINLOCK_INIT(LOCK_REALTIME_LIMITS);
static struct realtime_limits limits = {
    /* [atomic], each on its own; guarded_by(&limits_lock) for writing */
    .period_us = 1000000,
    .runtime_us = 950000,
    .timeslice_ms = REALTIME_TIMESLICE_MS,
};

static int policy_parameter(const char *value)
{
    for (size_t i = 0; value && policies[i]; i++) {
        if (strcmp(value, policies[i]->name) == 0) {
            base_policy = policies[i];
            return 0;
        }
    }
    return -EINVAL;
}
PARAMETER(sched, "sched", "NAME", "the scheduling policy of normal threads (fair)",
          policy_parameter);

static void reschedule_interrupt(struct trap_frame *frame, u8 vector);
static void slice_expired(struct timer *timer);

void run_queue_init(struct run_queue *queue, u32 cpu, struct thread *idle)
{
    spin_init(&queue->lock, LOCK_RUN_QUEUE);
    queue->realtime = (struct policy_queue){
        .policy = &policy_rr,
        .parameters.quantum_ns = REALTIME_TIMESLICE_MS * NS_PER_MS,
    };
    queue->realtime.policy->init(&queue->realtime);
    queue->base = (struct policy_queue){.policy = base_policy, .parameters = base_parameters};
    queue->base.parameters.seed += cpu; /* or all CPUs would draw the same lots */
    queue->base.policy->init(&queue->base);
    list_init(&queue->threads);
    queue->ready = 0;
    queue->cpu = cpu;
    queue->idle = idle;
    queue->running = idle;
    queue->charged_ns = clock_monotonic_ns();
    queue->idle_since_ns = queue->charged_ns;
    queue->slice_deadline_ns = U64_MAX;
    timer_init(&queue->slice_timer, slice_expired);
    vector_register(VECTOR_RESCHEDULE, reschedule_interrupt);
}

/* fifo and rr share one part of the queue, each with its own table. */
const struct policy *realtime_policy_of(const struct thread *thread)
{
    bool is_lent = thread->lent_priority > thread->priority;

    return thread->class == CLASS_RR && !is_lent ? &policy_rr : &policy_fifo;
}

/* By trial: the thread may move while we wait for the lock of the queue that it was in. */
struct run_queue *run_queue_lock_of(struct thread *thread)
{
    for (;;) {
        struct run_queue *queue = run_queue_of(READ_ONCE(thread->cpu));

        spin_lock(&queue->lock);
        if (thread->cpu == queue->cpu)
            return queue;
        spin_unlock(&queue->lock);
    }
}

/* ---- What real-time threads leave to the others ---- */

/* What is left of this period for real-time threads, which -1 does not limit. */
static u64 realtime_left_ns(const struct run_queue *queue, u64 now_ns)
{
    s64 runtime_us = READ_ONCE(limits.runtime_us);
    u64 runtime_ns = (u64)runtime_us * NS_PER_US;

    if (runtime_us < 0)
        return U64_MAX;
    if (now_ns >= queue->realtime_period_end_ns)
        return runtime_ns;
    return runtime_ns - MIN(runtime_ns, queue->realtime_used_ns);
}

/*
 * A period begins with the first real-time work after the last one was over, so that an idle CPU's
 * periods do not save up time.
 */
static void realtime_charge(struct run_queue *queue, u64 ran_ns, u64 now_ns)
{
    if (now_ns >= queue->realtime_period_end_ns) {
        queue->realtime_period_end_ns = now_ns + (u64)READ_ONCE(limits.period_us) * NS_PER_US;
        queue->realtime_used_ns = 0;
    }
    queue->realtime_used_ns += ran_ns;
}

static bool realtime_is_spent(const struct run_queue *queue, u64 now_ns)
{
    return realtime_left_ns(queue, now_ns) == 0;
}

void realtime_limits_get(struct realtime_limits *limits_out)
{
    limits_out->period_us = READ_ONCE(limits.period_us);
    limits_out->runtime_us = READ_ONCE(limits.runtime_us);
    limits_out->timeslice_ms = READ_ONCE(limits.timeslice_ms);
}

static bool limits_are_valid(const struct realtime_limits *wanted)
{
    return wanted->period_us > 0 && wanted->runtime_us >= -1 &&
           wanted->runtime_us <= wanted->period_us && wanted->timeslice_ms > 0;
}

static void limits_set_locked(const struct realtime_limits *wanted) must_hold(&limits_lock)
{
    u32 cpu;

    WRITE_ONCE(limits.period_us, wanted->period_us);
    WRITE_ONCE(limits.runtime_us, wanted->runtime_us);
    WRITE_ONCE(limits.timeslice_ms, wanted->timeslice_ms);
    cpu_for_each (cpu) {
        struct run_queue *queue = run_queue_of(cpu);

        spin_lock(&queue->lock);
        queue->realtime.parameters.quantum_ns = (u64)wanted->timeslice_ms * NS_PER_MS;
        spin_unlock(&queue->lock);
    }
}

int realtime_limits_change(void (*change)(struct realtime_limits *limits, s64 value), s64 value)
{
    struct realtime_limits wanted;
    int error = -EINVAL;

    spin_lock(&limits_lock);
    wanted = limits;
    change(&wanted, value);
    if (limits_are_valid(&wanted)) {
        limits_set_locked(&wanted);
        error = 0;
    }
    spin_unlock(&limits_lock);
    return error;
}

/* ---- In and out of one queue ---- */

/* nice is a share, the idle class nearly none: 3 of 1024 beside one thread at nice 0. */
u32 thread_weight(const struct thread *thread)
{
    if (thread->class == CLASS_IDLE)
        return WEIGHT_IDLE_CLASS;
    return nice_weights[thread->nice + 20];
}

/* Real-time threads count as the nicest can, so that they are spread over the CPUs. */
u64 thread_load(const struct thread *thread)
{
    return thread_is_realtime(thread) ? nice_weights[0] : thread->policy.weight;
}

/*
 * Also where a thread changes its CPU: it is in no queue now, so nobody finds it in the wrong one.
 */
void run_queue_push(struct run_queue *queue, struct thread *thread, enum policy_push why,
                    u64 now_ns)
{
    if (thread->cpu != queue->cpu) {
        thread->cpu = queue->cpu;
        thread->arrived_ns = now_ns;
        thread->migrations++;
    }
    if (queue->ready == 0)
        queue->crowded_since_ns = now_ns;
    thread->queued = true;
    policy_of(queue, thread)->push(part_of(queue, thread), &thread->policy, why, now_ns);
    list_push_back(&queue->threads, &thread->queue_link);
    queue->ready++;
    queue->ready_load += thread_load(thread);
}

static void run_queue_took_out(struct run_queue *queue, struct thread *thread)
    must_hold(&queue->lock)
{
    list_remove(&thread->queue_link);
    thread->queued = false;
    queue->ready--;
    queue->ready_load -= thread_load(thread);
}

void run_queue_remove(struct run_queue *queue, struct thread *thread, u64 now_ns)
{
    policy_of(queue, thread)->remove(part_of(queue, thread), &thread->policy, now_ns);
    run_queue_took_out(queue, thread);
}

/*
 * Real-time threads first, unless they have used up their period and others wait. Nobody runs now,
 * so the shares of the running one are cleared.
 */
struct thread *run_queue_pick(struct run_queue *queue, u64 now_ns)
{
    struct policy_queue *part = &queue->base;
    struct thread *thread;

    queue->running_load = 0;
    queue->running_priority = 0;
    if (queue->ready == 0)
        return NULL;
    if (queue->realtime.count && !(queue->base.count && realtime_is_spent(queue, now_ns)))
        part = &queue->realtime;
    thread = container_of(part->policy->pick(part, now_ns), struct thread, policy);
    run_queue_took_out(queue, thread);
    run_queue_set_running(queue, thread);
    queue->waited_ns += now_ns - MIN(now_ns, thread->state_since_ns);
    queue->turns++;
    thread->turns++;
    return thread;
}

void run_queue_set_running(struct run_queue *queue, const struct thread *thread)
{
    queue->running_load = thread_load(thread);
    queue->running_priority = thread_is_realtime(thread) ? thread->policy.priority : 0;
}

/* ---- The running thread ---- */

/* What the next burst may be like: half the last one, half all before. */
static void burst_end(struct thread *thread)
{
    struct policy_thread *policy = &thread->policy;

    thread->average_burst_ns = (thread->average_burst_ns + thread->burst_ns) / 2;
    policy->expected_burst_ns = thread->average_burst_ns;
    policy->remaining_burst_ns = thread->average_burst_ns;
    thread->burst_ns = 0;
}

/*
 * A burst that outlasts what was expected is expected to last as long again, so that who computes
 * without an end is not for ever about to be done; at the limit it is over, and another one begins.
 */
static void burst_grow(struct thread *thread, u64 ran_ns)
{
    struct policy_thread *policy = &thread->policy;

    thread->burst_ns += ran_ns;
    if (ran_ns < policy->remaining_burst_ns) {
        policy->remaining_burst_ns -= ran_ns;
    } else if (thread->burst_ns < BURST_LIMIT_NS) {
        policy->expected_burst_ns = MIN(2 * thread->burst_ns, BURST_LIMIT_NS);
        policy->remaining_burst_ns = policy->expected_burst_ns - thread->burst_ns;
    } else {
        thread->burst_ns = BURST_LIMIT_NS;
        burst_end(thread);
    }
}

/*
 * Called before anything else is done with the queue, so that policies always see times of one
 * moment.
 */
void run_queue_charge(struct run_queue *queue, u64 now_ns)
{
    struct thread *running = queue->running;
    u64 ran_ns = now_ns - queue->charged_ns;

    if (now_ns <= queue->charged_ns) /* who read the clock waited for the lock meanwhile */
        return;
    queue->charged_ns = now_ns;
    if (running == queue->idle)
        return;
    if (thread_is_realtime(running))
        realtime_charge(queue, ran_ns, now_ns);
    queue->ran_ns += ran_ns;
    burst_grow(running, ran_ns);
    policy_of(queue, running)->charge(part_of(queue, running), &running->policy, ran_ns, now_ns);
}

/*
 * A thread that may not run here any more is put into no queue: it still stands on its stack.
 * switch_finish places it when it has left.
 */
void run_queue_put_running(struct run_queue *queue, enum leave leave, u64 now_ns)
{
    struct thread *running = queue->running;

    if (running == queue->idle)
        return;
    if (leave != LEAVE_BLOCKED && thread_can_run_on(running, queue->cpu)) {
        thread_set_state(running, THREAD_READY, now_ns);
        run_queue_push(queue, running,
                       leave == LEAVE_YIELDED ? POLICY_PUSH_YIELDED : POLICY_PUSH_PREEMPTED,
                       now_ns);
        return;
    }
    policy_of(queue, running)->block(part_of(queue, running), &running->policy, now_ns);
    if (leave == LEAVE_BLOCKED) {
        burst_end(running);
    } else { /* switch_finish sends it to a CPU where it may run */
        thread_set_state(running, THREAD_READY, now_ns);
        queue->homeless = running;
    }
}

/* ---- Preemption ---- */

/* Once is enough until the CPU has looked: WORK_RESCHEDULE says that it was asked. */
void run_queue_reschedule(struct run_queue *queue)
{
    struct thread *running = queue->running;

    if (READ_ONCE(running->pending_work) & WORK_RESCHEDULE)
        return;
    __atomic_fetch_or(&running->pending_work, WORK_RESCHEDULE, __ATOMIC_RELAXED);
    if (queue->cpu == cpu_current()->id)
        cpu_current()->reschedule_wanted = true;
    else
        cpu_send_interrupt(queue->cpu, VECTOR_RESCHEDULE);
}

/* When real-time threads that wait for a new period may run; U64_MAX: not while others want to. */
static u64 realtime_comes_ns(const struct run_queue *queue, u64 now_ns)
{
    if (READ_ONCE(limits.runtime_us) == 0)
        return U64_MAX;
    return MAX(queue->realtime_period_end_ns, now_ns + 1) - now_ns;
}

/* When to look again whether the running thread must give way; 0: not before somebody comes. */
static u64 slice_of_running(struct run_queue *queue, u64 now_ns)
{
    struct thread *running = queue->running;
    u64 slice_ns =
        policy_of(queue, running)->slice_ns(part_of(queue, running), &running->policy, now_ns);
    u64 change_ns = U64_MAX;

    if (thread_is_realtime(running) && queue->base.count)
        change_ns = realtime_left_ns(queue, now_ns);
    else if (!thread_is_realtime(running) && queue->realtime.count)
        change_ns = realtime_comes_ns(queue, now_ns);
    if (change_ns == U64_MAX)
        return slice_ns;
    return slice_ns ? MIN(slice_ns, change_ns) : change_ns;
}

/* Sets the slice timer for the running thread, if others wait. A timer that comes early is fine. */
void run_queue_arm_slice(struct run_queue *queue, u64 now_ns)
{
    u64 slice_ns, deadline_ns;

    if (queue->ready == 0 || queue->running == queue->idle)
        return;
    slice_ns = slice_of_running(queue, now_ns);
    if (slice_ns == 0)
        return;
    deadline_ns = now_ns + slice_ns;
    if (deadline_ns >= queue->slice_deadline_ns)
        return;
    queue->slice_deadline_ns = deadline_ns;
    timer_set(&queue->slice_timer, deadline_ns);
}

/* Between the two parts the mechanism decides, within one its policy. */
static bool running_should_give_way(struct run_queue *queue, u64 now_ns)
{
    struct thread *running = queue->running;

    if (running == queue->idle)
        return queue->ready > 0;
    if (thread_is_realtime(running) && queue->base.count && realtime_is_spent(queue, now_ns))
        return true;
    if (!thread_is_realtime(running) && queue->realtime.count && !realtime_is_spent(queue, now_ns))
        return true;
    if (part_of(queue, running)->count == 0)
        return false;
    return policy_of(queue, running)
        ->should_preempt(part_of(queue, running), &running->policy, now_ns);
}

/*
 * After somebody joined the queue. Only its own CPU sets its slice timer: another is interrupted.
 */
void preemption_check(struct run_queue *queue, u64 now_ns)
{
    if (running_should_give_way(queue, now_ns))
        run_queue_reschedule(queue);
    else if (queue->cpu == cpu_current()->id)
        run_queue_arm_slice(queue, now_ns);
    else if (queue->slice_deadline_ns == U64_MAX)
        cpu_send_interrupt(queue->cpu, VECTOR_RESCHEDULE);
}

static void preemption_check_now(struct run_queue *queue)
{
    u64 now_ns = clock_monotonic_ns();

    spin_lock(&queue->lock);
    run_queue_charge(queue, now_ns);
    preemption_check(queue, now_ns);
    spin_unlock(&queue->lock);
}

/*
 * The timer may be early, or about a thread that has left: the question is asked anew, not
 * answered.
 */
static void slice_expired(struct timer *timer)
{
    struct run_queue *queue = container_of(timer, struct run_queue, slice_timer);

    WRITE_ONCE(queue->slice_deadline_ns, U64_MAX);
    preemption_check_now(queue);
}

/* Another CPU gave us a thread: look whether it is to run, and when. */
static void reschedule_interrupt(struct trap_frame *frame, u8 vector)
{
    preemption_check_now(this_cpu(run_queue));
}
