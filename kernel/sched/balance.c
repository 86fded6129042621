/*
 * Which CPU a thread waits for: placement when it comes, and balance while it waits.
 *
 * A CPU's load is the sum of the weights of its threads, the running one's included; a real-time
 * thread weighs as much as the nicest can. Three things move threads:
 *
 *     placement  who is woken, or new, goes to an idle CPU, his last one first. If none is idle,
 *                one who is woken goes to his last CPU or the waker's, whichever has the lower
 *                load; one who is new, to the lowest of all; a real-time thread, where the least
 *                urgent runs.
 *     stealing   a CPU that runs out of work takes what came last to another's queue, whose turn
 *                there is farthest away.
 *     balance    a busy CPU looks at each sample (10 ms) for one with more load, and takes over a
 *                thread if that brings the loads nearer to each other, or changes nothing but who
 *                must share. The latter is rotation: of N + 1 threads on N CPUs always two share
 *                one, but each pair only for a while.
 *
 * Rotation is fair because it takes who has been on the crowded CPU longest, so the newcomer stays
 * and the other has the next CPU with him; over a round all have shared equally often:
 *
 *     CPU 0:  a b      b        b c      c   ...
 *     CPU 1:  c    ->  c a  ->  a    ->  a b ...
 *
 * Both kinds of a balance wait until a queue has been crowded, and a thread has been on its CPU,
 * for SETTLED_NS, so that a short wake-up moves nobody.
 *
 * Nobody needs to look from an idle CPU, which has no timer: a busy one that finds others idle
 * while threads wait in its queue interrupts one of them, which then steals.
 *
 * Invariant: the bit of a CPU in cpus_idle is set only while it idles, and cleared by who sends it
 *            a thread, so that two wake-ups do not choose the same one.
 * Locking:   loads of other CPUs are read without locks, as hints; threads move under both locks.
 */
#include "run_queue.h"

#include "state.h"

#define SETTLED_NS (50 * NS_PER_MS)

static u64 cpus_idle; /* [atomic] */

/* Read before it is written: the word is shared by all CPUs, and is mostly right already. */
void cpu_mark_idle(u32 cpu)
{
    if (!(READ_ONCE(cpus_idle) & BIT(cpu)))
        __atomic_fetch_or(&cpus_idle, BIT(cpu), __ATOMIC_RELAXED);
}

void cpu_mark_busy(u32 cpu)
{
    if (READ_ONCE(cpus_idle) & BIT(cpu))
        __atomic_fetch_and(&cpus_idle, ~BIT(cpu), __ATOMIC_RELAXED);
}

/* ---- Placement ---- */

static u64 load_of(const struct run_queue *queue)
{
    return READ_ONCE(queue->ready_load) + READ_ONCE(queue->running_load);
}

/*
 * An idle CPU among `allowed`, the thread's own first; it is the caller's. CPU_NONE: there is none.
 */
static noinline u32 claim_idle_cpu(const struct thread *thread, u64 allowed)
{
    u64 idle;

    while ((idle = READ_ONCE(cpus_idle) & allowed)) {
        u32 cpu = idle & BIT(thread->cpu) ? thread->cpu : (u32)__builtin_ctzl(idle);

        if (__atomic_fetch_and(&cpus_idle, ~BIT(cpu), __ATOMIC_RELAXED) & BIT(cpu))
            return cpu;
    }
    return CPU_NONE;
}

/* What makes a CPU a bad place: for real-time threads how urgent its own one is, else its load. */
static u64 cost_of(u32 cpu, const struct thread *thread)
{
    const struct run_queue *queue = run_queue_of(cpu);

    return thread_is_realtime(thread) ? READ_ONCE(queue->running_priority) : load_of(queue);
}

/* The cheapest of `candidates`; `preferred`, if it is one, unless another is cheaper. */
static noinline u32 cheapest_cpu(const struct thread *thread, u64 candidates, u32 preferred)
{
    u32 cheapest = candidates & BIT(preferred) ? preferred : (u32)__builtin_ctzl(candidates);
    u64 least = cost_of(cheapest, thread);

    for (u64 left = candidates & ~BIT(cheapest); left && least; left &= left - 1) {
        u32 cpu = (u32)__builtin_ctzl(left);
        u64 cost = cost_of(cpu, thread);

        if (cost < least) {
            least = cost;
            cheapest = cpu;
        }
    }
    return cheapest;
}

/*
 * A thread whose old CPU has not left its stack waits for that one, which will run it at once or
 * give it away later.
 */
static u32 choose_cpu(const struct thread *thread, enum policy_push why)
{
    u64 allowed = READ_ONCE(thread->affinity) & READ_ONCE(cpus_online), near;
    u32 idle;

    /* Pairs with the release in switch_finish: its context is complete once on_cpu is false. */
    if (__atomic_load_n(&thread->on_cpu, __ATOMIC_ACQUIRE) || !allowed)
        return thread->cpu;
    if (READ_ONCE(cpus_idle) & allowed) {
        idle = claim_idle_cpu(thread, allowed);
        if (idle != CPU_NONE)
            return idle;
    }
    near = allowed & (BIT(thread->cpu) | BIT(cpu_current()->id));
    if (why == POLICY_PUSH_NEW || thread_is_realtime(thread) || !near)
        near = allowed;
    return near == BIT(thread->cpu) ? thread->cpu : cheapest_cpu(thread, near, thread->cpu);
}

/* Charged before the push, so that the newcomer's place is that of this moment. */
void thread_make_runnable(struct thread *thread, enum policy_push why, u64 now_ns)
{
    struct run_queue *queue = run_queue_of(choose_cpu(thread, why));

    spin_lock(&queue->lock);
    if (unlikely(!thread_can_run_on(thread, queue->cpu))) {
        /* It was just leaving that CPU. It has left, since we got the lock: now we may choose. */
        spin_unlock(&queue->lock);
        queue = run_queue_of(choose_cpu(thread, why));
        spin_lock(&queue->lock);
    }
    run_queue_charge(queue, now_ns);
    run_queue_push(queue, thread, why, now_ns);
    preemption_check(queue, now_ns);
    spin_unlock(&queue->lock);
}

/* ---- Stealing and balance ---- */

/* Who still stands on his stack cannot run elsewhere. */
static bool can_move(const struct run_queue *to, const struct thread *thread)
{
    return thread_can_run_on(thread, to->cpu) && !READ_ONCE(thread->on_cpu);
}

/* Which of the READY threads of `from` is to go to `to`, whose locks are held; NULL: none. */
typedef struct thread *chooser(struct run_queue *to, struct run_queue *from, u64 now_ns);

/* What came last has its turn last, so its wait is shortened most. */
static struct thread *choose_last(struct run_queue *to, struct run_queue *from, u64 now_ns)
{
    struct thread *thread;

    list_for_each_reverse (thread, &from->threads, queue_link)
        if (can_move(to, thread))
            return thread;
    return NULL;
}

/* A real-time thread waits for no more urgent one than there is on the other CPU. */
static bool is_more_urgent(const struct run_queue *to, const struct thread *thread)
{
    return thread_is_realtime(thread) && thread->policy.priority > to->running_priority;
}

/*
 * Whether the loads are nearer to each other, or as near, without `load` here and with it there: a
 * quarter of it is as good as nothing, or small threads would end the rotation of large ones.
 */
static bool evens_out(u64 load, u64 difference)
{
    return load - load / 4 <= difference;
}

static struct thread *choose_settled(struct run_queue *to, struct run_queue *from, u64 now_ns)
{
    u64 from_load = load_of(from), to_load = load_of(to);
    struct thread *thread, *oldest = NULL;

    list_for_each (thread, &from->threads, queue_link) {
        if (!can_move(to, thread))
            continue;
        if (is_more_urgent(to, thread))
            return thread;
        if (from_load <= to_load || !evens_out(thread_load(thread), from_load - to_load) ||
            now_ns < thread->arrived_ns + SETTLED_NS ||
            now_ns < from->crowded_since_ns + SETTLED_NS)
            continue;
        if (!oldest || thread->arrived_ns < oldest->arrived_ns)
            oldest = thread;
    }
    /* If the running one has been there longer, it is its turn, once it waits in the queue. */
    if (oldest && from->running != from->idle && thread_can_run_on(from->running, to->cpu) &&
        from->running->arrived_ns < oldest->arrived_ns)
        return NULL;
    return oldest;
}

/*
 * Both locks, by address, held from the choice to the push: nobody sees the thread in neither queue
 * or in both.
 */
static bool pull(struct run_queue *to, struct run_queue *from, chooser *choose) no_lock_check
{
    struct thread *thread;
    u64 now_ns;

    spin_lock_pair(&to->lock, &from->lock);
    now_ns = clock_monotonic_ns();
    thread = choose(to, from, now_ns);
    if (thread) {
        run_queue_charge(from, now_ns);
        run_queue_charge(to, now_ns);
        run_queue_remove(from, thread, now_ns);
        run_queue_push(to, thread, POLICY_PUSH_MIGRATED, now_ns);
        preemption_check(to, now_ns);
    }
    spin_unlock_pair(&to->lock, &from->lock);
    return thread;
}

/* Tries the others, beginning after our own, so that not all take from the same one. */
static bool pull_from_any(struct run_queue *to, chooser *choose)
{
    for (u32 step = 1; step < cpu_count; step++) {
        u32 cpu = (to->cpu + step) % cpu_count;
        struct run_queue *from = run_queue_of(cpu);

        if (READ_ONCE(cpus_online) & BIT(cpu) && READ_ONCE(from->ready) && pull(to, from, choose))
            return true;
    }
    return false;
}

bool run_queue_steal(struct run_queue *queue)
{
    return pull_from_any(queue, choose_last);
}

/* An idle CPU looks for itself when it is woken; this one only knows that there is work. */
void run_queue_balance(struct run_queue *queue)
{
    u64 idle = READ_ONCE(cpus_idle) & ~BIT(queue->cpu);

    if (READ_ONCE(queue->ready) && idle)
        cpu_send_interrupt(__builtin_ctzl(idle), VECTOR_RESCHEDULE);
    (void)pull_from_any(queue, choose_settled);
}
