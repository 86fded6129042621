/*
 * How a thread is to be scheduled: its class, its priority, its weight, its CPUs.
 *
 * What a policy keeps of a thread says where in the queue it lies. So whatever changes that,
 * changes it while the thread is in no queue: it is taken out, changed, and put back, all under
 * thread.lock and the queue's, and its policy sees it anew. A running thread leaves its policy, and
 * joins the new one when it is put back, which it is at once.
 *
 * Where it is put back is POSIX's rule as sched(7) has it: who is raised goes to the tail of his
 * new priority, who is lowered to its head, and who is left as he was keeps his place.
 *
 * Locking: thread.lock, then run_queue.lock. thread.lock too, since a push that goes on meanwhile
 *          would ask one policy's table and fill another's queue.
 */
#include "run_queue.h"

#include "state.h"

/* What the policy is told of it. It is in no queue. */
static void policy_tell(struct thread *thread)
{
    u32 own = class_is_realtime(thread->class) ? thread->priority : 0;

    thread->policy.priority = MAX(own, thread->lent_priority);
    thread->policy.weight = thread_weight(thread);
    thread->policy.batch = thread->class == CLASS_BATCH || thread->class == CLASS_IDLE;
}

void thread_schedule_init(struct thread *thread, enum thread_class class, u32 priority, s32 nice)
{
    thread->class = class;
    thread->priority = priority;
    thread->nice = nice;
    policy_tell(thread);
}

/* A queued thread that is taken out and put back. */
struct anew {
    struct run_queue *queue;
    struct policy_queue *part; /* that it was in */
    bool queued, running;
    u64 now_ns;
};

/*
 * The thread is on no queue and in no policy's account until anew_end. Both locks are held
 * meanwhile.
 */
static void anew_begin(struct anew *anew, struct thread *thread) no_lock_check
{
    struct run_queue *queue;

    spin_lock(&thread->lock);
    queue = run_queue_lock_of(thread);
    *anew = (struct anew){queue, part_of(queue, thread), thread->queued, queue->running == thread,
                          clock_monotonic_ns()};
    run_queue_charge(queue, anew->now_ns);
    if (anew->queued)
        run_queue_remove(queue, thread, anew->now_ns);
    if (anew->running)
        policy_of(queue, thread)->block(part_of(queue, thread), &thread->policy, anew->now_ns);
}

/* A turn that was begun under another policy is over: its length meant something else there. */
static void anew_end(struct anew *anew, struct thread *thread) no_lock_check
{
    struct run_queue *queue = anew->queue;
    u32 priority = thread->policy.priority;
    enum policy_push why;

    policy_tell(thread);
    why = thread->policy.priority < priority ? POLICY_PUSH_PREEMPTED : POLICY_PUSH_WOKEN;
    if (part_of(queue, thread) != anew->part)
        thread->policy.slice_left_ns = 0;
    if (anew->queued)
        run_queue_push(queue, thread, why, anew->now_ns);
    if (anew->running) { /* it joins its new policy when it is put back */
        run_queue_set_running(queue, thread);
        run_queue_reschedule(queue);
    } else {
        preemption_check(queue, anew->now_ns);
    }
    spin_unlock(&queue->lock);
    spin_unlock(&thread->lock);
}

int thread_set_class(struct thread *thread, enum thread_class class, u32 priority, s32 nice)
{
    struct anew anew;

    if (nice < -20 || nice > 19 || priority >= POLICY_PRIORITIES)
        return -EINVAL;
    if (thread->class == class && thread->priority == priority && thread->nice == nice)
        return 0;
    anew_begin(&anew, thread);
    thread->class = class;
    thread->nice = nice;
    thread->priority = priority;
    anew_end(&anew, thread);
    return 0;
}

void thread_set_nice(struct thread *thread, s32 nice)
{
    struct anew anew;

    anew_begin(&anew, thread);
    thread->nice = nice;
    anew_end(&anew, thread);
}

/* Looked at without locks first: most threads that are killed have the usual share already. */
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

/* To a thread that waits it does nothing now; it is queued by the new priority when it wakes. */
void thread_lend_priority(struct thread *thread, u32 priority)
{
    struct anew anew;

    anew_begin(&anew, thread);
    thread->lent_priority = priority;
    anew_end(&anew, thread);
}

/* ---- Affinity ---- */

/* Who waits until another thread is not where it may not run. */
static struct wait_queue leaving_queue = {.lock = SPINLOCK_INIT(LOCK_WAIT_QUEUE),
                                          .waiters = LIST_INIT(leaving_queue.waiters)};

/*
 * Under the lock also where nobody seems to wait: what is waited for changes under other locks, so
 * who has looked, and is about to queue itself, must be met there.
 */
void leaving_wake(void)
{
    spin_lock(&leaving_queue.lock);
    wait_queue_wake_locked(&leaving_queue, WAKE_ALL, 0);
    spin_unlock(&leaving_queue.lock);
}

/*
 * One that waits finds its CPU when it wakes. The lock is the one under which it wakes and moves:
 * without it one could be seen READY with the CPU of before, and nobody would tell of its move.
 */
static bool runs_where_it_may_not(struct thread *thread)
{
    bool does;

    spin_lock(&thread->lock);
    does = (thread->state == THREAD_RUNNING || thread->state == THREAD_READY) &&
           !thread_can_run_on(thread, READ_ONCE(thread->cpu));
    spin_unlock(&thread->lock);
    return does;
}

/* -EINVAL: none of them is there. The thread is sent away from a CPU that is forbidden now. */
static int affinity_change(struct thread *thread, u64 allowed) no_lock_check
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
        if (moves) {
            run_queue_remove(queue, thread, now_ns);
        } else if (queue->running == thread) {
            queue->leaving_awaited = true;
            run_queue_reschedule(queue);
        }
    }
    spin_unlock(&queue->lock);
    if (moves)
        thread_make_runnable(thread, POLICY_PUSH_MIGRATED, now_ns);
    spin_unlock(&thread->lock);
    leaving_wake(); /* it may be allowed again where others wait for it to leave */
    return 0;
}

/*
 * A thread that runs elsewhere gives way when the interrupt reaches its CPU; the switch then tells,
 * whether the thread was sent to another CPU, waits or is dead.
 */
int thread_set_affinity(struct thread *thread, u64 allowed)
{
    int error = affinity_change(thread, allowed);

    if (error || thread == thread_current())
        return error;
    spin_lock(&leaving_queue.lock);
    while (!error && runs_where_it_may_not(thread))
        error = wait_queue_wait(&leaving_queue, WAIT_KILLABLE, WAIT_FOR_WORK);
    spin_unlock(&leaving_queue.lock);
    return 0;
}
