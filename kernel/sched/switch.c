/*
 * The switch from one thread to the next.
 *
 * The run queue's lock is handed over: the thread that leaves takes it, the one that comes lets it
 * go (switch_finish). While it is held nobody can find the leaving thread in this queue, so nobody
 * continues its context before it is complete; its stack is still in use until then, which on_cpu
 * says to those who would put it on another CPU's queue.
 *
 *     leaving thread                        thread that comes (was switched out here before)
 *     spin_lock(&queue->lock)
 *     state, put back, pick next
 *     context_switch  ------------------->  returns from its own context_switch
 *                                           left->on_cpu = false (release)
 *                                           spin_unlock(&queue->lock)
 *                                           frees `left` if it is DEAD: its stack is free now
 *
 * Context: interrupts are off from the lock to the unlock. The number of held spinlocks is the
 *          CPU's, always 1 in a switch; whether interrupts are on after it is the thread's.
 */
#include <pith/core.h>
#include <pith/mem.h>

#include "run_queue.h"

#include "queue_check.h"
#include "sleep_check.h"
#include "state.h"

static void (*switch_space)(struct address_space *from, struct address_space *to);

void sched_switch_register(void (*switch_to)(struct address_space *from, struct address_space *to))
{
    switch_space = switch_to;
}

/* What the thread that comes does for the one that left. Lets the queue's lock go. */
static void switch_finish(void)
{
    struct run_queue *queue = this_cpu(run_queue);
    struct thread *left = queue->left;
    struct thread *homeless = queue->homeless;
    bool dead = left->state == THREAD_DEAD, awaited = queue->leaving_awaited;

    queue->homeless = NULL;
    queue->leaving_awaited = false;
    /* Pairs with the acquire in choose_cpu. Nobody but us may touch a homeless or dead one. */
    __atomic_store_n(&left->on_cpu, false, __ATOMIC_RELEASE);
    spin_unlock(&queue->lock);
    if (unlikely(homeless)) {
        spin_lock(&homeless->lock);
        thread_make_runnable(homeless, POLICY_PUSH_MIGRATED, clock_monotonic_ns());
        spin_unlock(&homeless->lock);
    }
    if (unlikely(awaited))
        leaving_wake();
    if (unlikely(dead))
        thread_put(left);
}

/*
 * From here on two stacks are in play: what is read after context_switch is this thread's, some
 * time later, maybe on another CPU.
 */
static void switch_to(struct run_queue *queue, struct thread *from, struct thread *to)
{
    struct cpu *cpu = cpu_current();
    bool interrupts_were_on = cpu->interrupts_were_on;

    trace_event(TRACE_SWITCH, (u64)to);
    queue->left = from;
    queue->running = to;
    queue->switches++;
    to->on_cpu = true;
    to->cpu = queue->cpu;
    if (unlikely(to->switch_work) && to->told_cpu != queue->cpu)
        __atomic_fetch_or(&to->pending_work, to->switch_work, __ATOMIC_RELAXED);
    if (to->space != from->space)
        switch_space(from->space, to->space);
    cpu->thread = to;
    user_context_switch(&from->user, &to->user, (char *)to->stack + KERNEL_STACK_BYTES);
    context_switch(&from->context, &to->context);
    /* Perhaps on another CPU, and long after. */
    cpu_current()->interrupts_were_on = interrupts_were_on;
    switch_finish();
}

/*
 * Whoever sends a thread to a CPU reads its mark: it is set before the last look at the queue
 * (sched_run).
 */
static void note_idleness(struct run_queue *queue, const struct thread *from,
                          const struct thread *to, u64 now_ns)
{
    if (to == queue->idle) {
        cpu_mark_idle(queue->cpu);
        queue->idle_since_ns = now_ns;
    } else if (from == queue->idle) {
        cpu_mark_busy(queue->cpu);
        idle_settle(queue, now_ns);
        sampling_start(queue);
    }
}

/*
 * The one place where a CPU changes its thread. Called with the state of the leaving one set; the
 * queue's lock is let go by whoever comes.
 */
void schedule_locked(struct run_queue *queue, enum leave leave, u64 now_ns)
{
    struct thread *from = queue->running, *to;

    run_queue_charge(queue, now_ns);
    run_queue_put_running(queue, leave, now_ns);
    to = run_queue_pick(queue, now_ns);
    if (!to)
        to = queue->idle;
    if (from->pending_work & WORK_RESCHEDULE)
        __atomic_fetch_and(&from->pending_work, ~WORK_RESCHEDULE, __ATOMIC_RELAXED);
    cpu_current()->reschedule_wanted = false;
    rcu_quiescent();
    if (to != queue->idle)
        thread_set_state(to, THREAD_RUNNING, now_ns);
    run_queue_check(queue, to);
    if (to == from) {
        run_queue_arm_slice(queue, now_ns);
        spin_unlock(&queue->lock);
        return;
    }
    if (leave == LEAVE_PREEMPTED && unlikely(from->switch_work))
        __atomic_fetch_or(&from->pending_work, from->switch_work, __ATOMIC_RELAXED);
    if (leave == LEAVE_BLOCKED)
        from->voluntary_switches++;
    else
        from->involuntary_switches++;
    note_idleness(queue, from, to, now_ns);
    queue->running = to;
    run_queue_arm_slice(queue, now_ns);
    switch_to(queue, from, to);
}

/* The other end of a first switch: it lets the lock go that the thread before took. */
void thread_begin(void *argument)
{
    struct thread *thread = argument;

    cpu_current()->interrupts_were_on = true;
    switch_finish();
    thread->entry(thread->entry_argument);
    thread_exit();
}

void sched_preempt(void)
{
    struct run_queue *queue;

    interrupts_disable();
    queue = this_cpu(run_queue);
    spin_lock(&queue->lock);
    schedule_locked(queue, LEAVE_PREEMPTED, clock_monotonic_ns());
    interrupts_enable();
}

void sched_yield(void)
{
    struct run_queue *queue;

    interrupts_disable();
    queue = this_cpu(run_queue);
    spin_lock(&queue->lock);
    schedule_locked(queue, LEAVE_YIELDED, clock_monotonic_ns());
    interrupts_enable();
}

/* Cheap enough for inner loops: one word of this CPU's, mostly. */
void sched_point(void)
{
    struct cpu *cpu = cpu_current();

    sched_shake();
    if (likely(!cpu->reschedule_wanted))
        return;
    if (cpu->spinlocks_held || cpu->in_interrupt || cpu->thread == this_cpu(run_queue)->idle)
        return;
    sched_preempt();
}

int sched_point_killable(void)
{
    sched_point();
    return fatal_signal_is_pending() ? -EINTR : 0;
}

/*
 * Who makes a thread READY for an idle CPU interrupts it, unless WORK_RESCHEDULE says that somebody
 * has: that interrupt may be over, and what it was for stolen. Under the lock, so that who is next
 * to find the mark set has put his thread into the queue before, where the next look finds it.
 */
static void idle_mark_clear(struct run_queue *queue)
{
    spin_lock(&queue->lock);
    __atomic_store_n(&queue->idle->pending_work, 0, __ATOMIC_RELAXED);
    spin_unlock(&queue->lock);
}

/*
 * The idle thread's life. Interrupts are off between the last look at the queue and the halt, so
 * that a wake-up in between ends the halt at once.
 */
noreturn void sched_run(void)
{
    struct run_queue *queue = this_cpu(run_queue);

    cpu_mark_idle(queue->cpu);
    for (;;) {
        interrupts_disable();
        if (READ_ONCE(queue->ready) || run_queue_steal(queue)) {
            spin_lock(&queue->lock);
            schedule_locked(queue, LEAVE_PREEMPTED, clock_monotonic_ns());
            continue;
        }
        if (READ_ONCE(queue->idle->pending_work)) {
            idle_mark_clear(queue);
            continue;
        }
        rcu_quiescent();
        cpu_mark_idle(queue->cpu); /* who claimed us may have found somebody better */
        cpu_wait_for_interrupt();
    }
}
