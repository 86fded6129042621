/*
 * Run queues: the READY threads of each CPU, and which CPU a thread waits for.
 *
 * How is here, which is in the policies (pith/policy.h). A queue has two parts: the real-time one,
 * whose threads (fifo and rr together) go before all others, and the base policy's. The running
 * thread is in neither; its time is charged whenever somebody looks at the queue.
 *
 * A thread belongs to the queue of `thread->cpu`. It moves to another only while it is READY and in
 * no queue, or under both queues' locks; its context may be continued elsewhere only once on_cpu is
 * false, so a thread that is woken before its old CPU has left its stack goes to that CPU's queue,
 * whose lock is held until the switch is over.
 *
 * Placement: a woken thread goes back to its CPU if that is idle, else to any idle one, else back.
 * Balance: a CPU that runs out of work takes a thread over from the fullest queue.
 *
 * Whoever puts a thread into a queue in which it was not (a wake-up, a new affinity, the successor
 * of a thread whose CPU is forbidden now) holds thread.lock. So who holds it finds the thread
 * running, queued, or waiting, never on its way between two queues, but for a balance, which has
 * both locked.
 *
 * Invariant: ready is the number of threads with `queued` set and this queue's CPU.
 * Locking:   thread.lock, then run_queue.lock; two queues by address.
 */
#include "run_queue.h"

#include "state.h"

DEFINE_PER_CPU(struct run_queue, run_queue);

static u64 cpus_idle;                                   /* [atomic] */
static const struct policy *base_policy = &policy_fair; /* [const] after the command line */
static struct policy_parameters base_parameters;        /* [const] */

/* Shares of nice -20 to 19: a step is worth 1.25 (what Linux's table says to users). */
static const u32 nice_weights[40] = {
    88761, 71755, 56483, 46273, 36291, 29154, 23254, 18705, 14949, 11916, 9548, 7620, 6100, 4904,
    3906,  3121,  2501,  1991,  1586,  1277,  1024,  820,   655,   526,   423,  335,  272,  215,
    172,   137,   110,   87,    70,    56,    45,    36,    29,    23,    18,   15,
};
#define WEIGHT_IDLE_CLASS 3

/* A wake-up finds the running thread's account good enough if it is no older: 1 % of a request. */
#define CHARGE_STALE_NS (30 * NS_PER_US)

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
PARAMETER(policy, "policy", "NAME", "the scheduling policy of normal threads (fair)",
          policy_parameter);

struct run_queue *run_queue_of(u32 cpu)
{
    return of_cpu(run_queue, cpus[cpu]);
}

static void reschedule_interrupt(struct trap_frame *frame, u8 vector);
static void slice_expired(struct timer *timer);

void run_queue_init(struct run_queue *queue, u32 cpu, struct thread *idle)
{
    spin_init(&queue->lock, LOCK_RUN_QUEUE);
    queue->realtime = (struct policy_queue){.policy = &policy_rr};
    queue->realtime.policy->init(&queue->realtime);
    queue->base = (struct policy_queue){.policy = base_policy, .parameters = base_parameters};
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

/* The tables and the queue of a thread: fifo and rr share one queue, each with its own table. */
static const struct policy *policy_of(const struct run_queue *queue, const struct thread *thread)
{
    enum thread_class class = thread_class_now(thread);

    if (class == CLASS_FIFO)
        return &policy_fifo;
    return class == CLASS_RR ? &policy_rr : queue->base.policy;
}

static struct policy_queue *part_of(struct run_queue *queue, const struct thread *thread)
{
    return thread_is_realtime(thread) ? &queue->realtime : &queue->base;
}

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

/* ---- In and out of one queue ---- */

u32 thread_weight(const struct thread *thread)
{
    if (thread->class == CLASS_IDLE)
        return WEIGHT_IDLE_CLASS;
    return nice_weights[thread->nice + 20];
}

void run_queue_push(struct run_queue *queue, struct thread *thread, enum policy_push why,
                    u64 now_ns)
{
    thread->cpu = queue->cpu;
    thread->queued = true;
    policy_of(queue, thread)->push(part_of(queue, thread), &thread->policy, why, now_ns);
    list_push_back(&queue->threads, &thread->queue_link);
    queue->ready++;
}

void run_queue_remove(struct run_queue *queue, struct thread *thread, u64 now_ns)
{
    policy_of(queue, thread)->remove(part_of(queue, thread), &thread->policy, now_ns);
    list_remove(&thread->queue_link);
    thread->queued = false;
    queue->ready--;
}

struct thread *run_queue_pick(struct run_queue *queue, u64 now_ns)
{
    struct policy_thread *picked = NULL;
    struct thread *thread;

    if (queue->ready == 0)
        return NULL;
    if (queue->realtime.count)
        picked = queue->realtime.policy->pick(&queue->realtime, now_ns);
    if (!picked)
        picked = queue->base.policy->pick(&queue->base, now_ns);
    thread = container_of(picked, struct thread, policy);
    list_remove(&thread->queue_link);
    thread->queued = false;
    queue->ready--;
    return thread;
}

/* ---- The running thread ---- */

void run_queue_charge(struct run_queue *queue, u64 now_ns)
{
    struct thread *running = queue->running;
    u64 ran_ns = now_ns - queue->charged_ns;

    if (now_ns <= queue->charged_ns) /* who read the clock waited for the lock meanwhile */
        return;
    queue->charged_ns = now_ns;
    if (running == queue->idle)
        return;
    running->burst_ns += ran_ns;
    running->policy.remaining_burst_ns -= MIN(running->policy.remaining_burst_ns, ran_ns);
    policy_of(queue, running)->charge(part_of(queue, running), &running->policy, ran_ns, now_ns);
}

/* What the next burst may be like: half the last one, half all before. */
static void burst_end(struct thread *thread)
{
    struct policy_thread *policy = &thread->policy;

    policy->expected_burst_ns = (policy->expected_burst_ns + thread->burst_ns) / 2;
    policy->remaining_burst_ns = policy->expected_burst_ns;
    thread->burst_ns = 0;
}

static bool thread_can_run_on(const struct thread *thread, u32 cpu)
{
    return READ_ONCE(thread->affinity) & BIT(cpu);
}

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
        running->involuntary_switches++;
        return;
    }
    policy_of(queue, running)->block(part_of(queue, running), &running->policy, now_ns);
    if (leave == LEAVE_BLOCKED) {
        burst_end(running);
        running->voluntary_switches++;
    } else { /* switch_finish sends it to a CPU where it may run */
        thread_set_state(running, THREAD_READY, now_ns);
        queue->homeless = running;
    }
}

/* ---- Preemption ---- */

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

/* Sets the slice timer for the running thread, if others wait. A timer that comes early is fine. */
void run_queue_arm_slice(struct run_queue *queue, u64 now_ns)
{
    struct thread *running = queue->running;
    u64 slice_ns, deadline_ns;

    if (queue->ready == 0 || running == queue->idle)
        return;
    slice_ns =
        policy_of(queue, running)->slice_ns(part_of(queue, running), &running->policy, now_ns);
    if (slice_ns == 0)
        return;
    deadline_ns = now_ns + slice_ns;
    if (deadline_ns >= queue->slice_deadline_ns)
        return;
    queue->slice_deadline_ns = deadline_ns;
    timer_set(&queue->slice_timer, deadline_ns);
}

static bool running_should_give_way(struct run_queue *queue, u64 now_ns)
{
    struct thread *running = queue->running;

    if (running == queue->idle)
        return queue->ready > 0;
    if (!thread_is_realtime(running) && queue->realtime.count)
        return true;
    if (part_of(queue, running)->count == 0)
        return false;
    return policy_of(queue, running)
        ->should_preempt(part_of(queue, running), &running->policy, now_ns);
}

/* After somebody joined the queue. Only its own CPU sets its slice timer: another is interrupted.
 */
static void preemption_check(struct run_queue *queue, u64 now_ns)
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

/* ---- Which CPU ---- */

void cpu_mark_idle(u32 cpu)
{
    __atomic_fetch_or(&cpus_idle, BIT(cpu), __ATOMIC_RELAXED);
}

void cpu_mark_busy(u32 cpu)
{
    __atomic_fetch_and(&cpus_idle, ~BIT(cpu), __ATOMIC_RELAXED);
}

static u32 choose_cpu(const struct thread *thread)
{
    u64 allowed = READ_ONCE(thread->affinity) & READ_ONCE(cpus_online);
    u64 idle = READ_ONCE(cpus_idle) & allowed;

    /* Pairs with the release in switch_finish: its context is complete once on_cpu is false. */
    if (__atomic_load_n(&thread->on_cpu, __ATOMIC_ACQUIRE))
        return thread->cpu;
    if (idle && !(idle & BIT(thread->cpu)))
        return __builtin_ctzl(idle);
    if (allowed & BIT(thread->cpu))
        return thread->cpu;
    return allowed ? __builtin_ctzl(allowed) : thread->cpu;
}

void thread_make_runnable(struct thread *thread, enum policy_push why, u64 now_ns)
{
    struct run_queue *queue = run_queue_of(choose_cpu(thread));

    spin_lock(&queue->lock);
    if (unlikely(!thread_can_run_on(thread, queue->cpu))) {
        /* It was just leaving that CPU. It has left, since we got the lock: now we may choose. */
        spin_unlock(&queue->lock);
        queue = run_queue_of(choose_cpu(thread));
        spin_lock(&queue->lock);
    }
    run_queue_charge(queue, now_ns);
    run_queue_push(queue, thread, why, now_ns);
    preemption_check(queue, now_ns);
    spin_unlock(&queue->lock);
}

static struct run_queue *fullest_queue(const struct run_queue *own)
{
    struct run_queue *fullest = NULL;
    u32 cpu, most = 0;

    cpu_for_each_online (cpu) {
        struct run_queue *queue = run_queue_of(cpu);

        if (queue != own && READ_ONCE(queue->ready) > most) {
            most = READ_ONCE(queue->ready);
            fullest = queue;
        }
    }
    return fullest;
}

/* Takes the thread that came last, whose turn is farthest away. Both queues are locked. */
static bool steal_from(struct run_queue *queue, struct run_queue *from, u64 now_ns)
{
    struct thread *thread;

    list_for_each_reverse (thread, &from->threads, queue_link) {
        if (!thread_can_run_on(thread, queue->cpu) || thread->on_cpu)
            continue;
        run_queue_charge(from, now_ns);
        run_queue_remove(from, thread, now_ns);
        run_queue_push(queue, thread, POLICY_PUSH_MIGRATED, now_ns);
        return true;
    }
    return false;
}

bool run_queue_steal(struct run_queue *queue)
{
    struct run_queue *from = fullest_queue(queue);
    bool stolen;

    if (!from)
        return false;
    spin_lock_pair(&queue->lock, &from->lock);
    stolen = steal_from(queue, from, clock_monotonic_ns());
    spin_unlock_pair(&queue->lock, &from->lock);
    return stolen;
}

/* ---- How it is to be scheduled ---- */

/*
 * A queued thread is taken out and put back, so that its policy sees it anew. Under thread.lock: a
 * push that goes on meanwhile would ask one policy's table and fill another's queue.
 */
struct anew {
    struct run_queue *queue;
    bool queued, running;
    u64 now_ns;
};

static void anew_begin(struct anew *anew, struct thread *thread)
{
    struct run_queue *queue;

    spin_lock(&thread->lock);
    queue = run_queue_lock_of(thread);
    *anew = (struct anew){queue, thread->queued, queue->running == thread, clock_monotonic_ns()};
    run_queue_charge(queue, anew->now_ns);
    if (anew->queued)
        run_queue_remove(queue, thread, anew->now_ns);
    if (anew->running)
        policy_of(queue, thread)->block(part_of(queue, thread), &thread->policy, anew->now_ns);
}

static void anew_end(struct anew *anew, struct thread *thread)
{
    struct run_queue *queue = anew->queue;

    thread->policy.priority = MAX(thread->priority, thread->lent_priority);
    thread->policy.slice_left_ns = 0;
    thread->policy.weight = thread_weight(thread);
    if (anew->queued)
        run_queue_push(queue, thread, POLICY_PUSH_WOKEN, anew->now_ns);
    if (anew->running) /* it joins its new policy when it is put back */
        run_queue_reschedule(queue);
    else
        preemption_check(queue, anew->now_ns);
    spin_unlock(&queue->lock);
    spin_unlock(&thread->lock);
}

int thread_set_class(struct thread *thread, enum thread_class class, u32 priority, s32 nice)
{
    struct anew anew;

    if (nice < -20 || nice > 19 || priority >= POLICY_PRIORITIES)
        return -EINVAL;
    anew_begin(&anew, thread);
    thread->class = class;
    thread->nice = nice;
    thread->priority = priority;
    anew_end(&anew, thread);
    return 0;
}

void thread_hasten(struct thread *thread)
{
    struct anew anew;

    if (READ_ONCE(thread->policy.weight) >= POLICY_WEIGHT_DEFAULT)
        return;
    anew_begin(&anew, thread);
    thread->nice = MIN(thread->nice, 0);
    if (thread->class == CLASS_IDLE)
        thread->class = CLASS_NORMAL;
    anew_end(&anew, thread);
}

void thread_lend_priority(struct thread *thread, u32 priority)
{
    struct anew anew;

    anew_begin(&anew, thread);
    thread->lent_priority = priority;
    anew_end(&anew, thread);
}

int thread_set_affinity(struct thread *thread, u64 allowed)
{
    u64 now_ns = clock_monotonic_ns();
    struct run_queue *queue;
    bool moves = false;

    if (!(allowed & READ_ONCE(cpus_online)))
        return -EINVAL;
    spin_lock(&thread->lock);
    queue = run_queue_lock_of(thread);
    thread->affinity = allowed;
    if (!thread_can_run_on(thread, queue->cpu)) {
        run_queue_charge(queue, now_ns);
        moves = thread->queued && !thread->on_cpu;
        if (moves)
            run_queue_remove(queue, thread, now_ns);
        else if (queue->running == thread)
            run_queue_reschedule(queue);
    }
    spin_unlock(&queue->lock);
    if (moves)
        thread_make_runnable(thread, POLICY_PUSH_MIGRATED, now_ns);
    spin_unlock(&thread->lock);
    return 0;
}
