/*
 * SAN=1: switches that nobody asked for, so that races show that a quiet machine hides.
 *
 * A race needs a switch at one of few moments. Here one in some passes of each place where the
 * kernel may be preempted becomes a switch, now or on the way to user mode. Which passes, the seed
 * says: the word `shake=SEED` tries others, and one that found something finds it again as far as
 * the CPUs and the devices come by in the same order (one CPU, the instruction clock).
 *
 *     sched_point                                   may switch anyway
 *     before a mutex or rwlock is taken             may sleep anyway
 *     after one was given back                      sleeps nowhere, but see below
 *
 * The end of a spinlock is no such place: `this_cpu(x)` is its holder's until he sleeps, and code
 * with a CPU's own data in hand takes and gives back spinlocks. No file that takes a sleeping lock
 * uses this_cpu, and whoever calls one that does may sleep there; so giving one back is safe.
 *
 * Locking: the state is [cpu]; an interrupt in between costs nothing but a number used twice.
 */
#include "run_queue.h"

#include "sleep_check.h"

#define SHAKE_ONE_IN 16

static u64 seed; /* [const] after the command line */
static DEFINE_PER_CPU(u64, shake_state);

static int shake_parameter(const char *value)
{
    return value ? string_to_u64(value, &seed) : -EINVAL;
}
PARAMETER(shake, "shake", "SEED",
          "with SAN=1: the seed of the switches that are there to find races", shake_parameter);

/* xorshift64 (Marsaglia, "Xorshift RNGs", 2003); 0 would stay 0. */
static u64 shake_next(void)
{
    u64 *state = this_cpu(shake_state);
    u64 x = *state ? *state : (seed + 1) * 0x9e3779b97f4a7c15ul + cpu_current()->id;

    x ^= x << 13;
    x ^= x >> 7;
    x ^= x << 17;
    *state = x;
    return x;
}

/* Only where others are READY and a switch is allowed: elsewhere it would show nothing. */
void sched_shake_now(void)
{
    const struct run_queue *queue = this_cpu(run_queue);
    const struct cpu *cpu = cpu_current();
    struct thread *thread = cpu->thread;
    u64 number;

    if (!READ_ONCE(queue->ready) || thread == queue->idle || cpu->spinlocks_held ||
        cpu->in_interrupt || !interrupts_are_enabled())
        return;
    number = shake_next();
    if (number % SHAKE_ONE_IN)
        return;
    /* A real-time thread's place in its queue is its own to give up. */
    if (number & BIT(32) && !thread_is_realtime(thread))
        sched_yield();
    else
        __atomic_fetch_or(&thread->pending_work, WORK_RESCHEDULE, __ATOMIC_RELAXED);
}
