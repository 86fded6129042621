/*
 * Timers: a tree a CPU, ordered by deadline, and one interrupt for the earliest.
 *
 * There is no tick: the CPU's timer interrupt is set for the first deadline and for nothing else.
 * Cancelling leaves it set, since most timers that are cancelled are set again before it rings; an
 * interrupt that finds nothing due sets the next. A timer is out of the tree before its function
 * runs, and the function may free it or set it again: it is not touched afterwards. `running` of
 * its CPU tells timer_cancel_wait whether it still runs.
 *
 * A timer may be set and cancelled from several CPUs at once; the last one has its way. It belongs
 * to the CPU that timer->cpu names, which only who holds that CPU's lock changes.
 *
 * Under `deterministic` the clock stands still, and no timer rings, while the machine waits for its
 * host (clock_stop, clock_go): however long the host takes, the machine's time is the same after.
 *
 * Locking: timers.lock (LOCK_TIMER) of the CPU that it is set on.
 * Context: functions run as deferred work: interrupts on, no sleeping.
 */
#include <pith/core.h>

#include "parts.h"

struct timers {
    struct spinlock lock;
    struct tree tree;      /* guarded_by(&lock) */
    u64 armed_ns;          /* guarded_by(&lock) when the interrupt rings */
    struct timer *running; /* guarded_by(&lock) */
    bool rang_in_deferred; /* [cpu] the interrupt whose timers run came while deferred work ran */
    struct deferred work;  /* [cpu] */
};

static DEFINE_PER_CPU(struct timers, timers);

bool deterministic;
PARAMETER(deterministic, .name = "deterministic", .flag = &deterministic,
          .effect = "hides the host's timing: the clock stands still during each request to it");

/* `deterministic`, so one CPU's, with interrupts off. */
static struct {
    u32 depth;
    u64 since_tsc;
} stopped;

static struct timer *timer_of(struct tree_node *node)
{
    return tree_entry_or_null(node, struct timer, node);
}

static bool timer_is_before(const struct tree_node *a, const struct tree_node *b)
{
    return tree_entry(a, struct timer, node)->deadline_ns <
           tree_entry(b, struct timer, node)->deadline_ns;
}

/* Sets the interrupt for what comes first. */
static void timers_arm_locked(struct timers *on, u64 deadline_ns)
{
    on->armed_ns = deadline_ns;
    timer_interrupt_set(deadline_ns);
}

void timer_init(struct timer *timer, void (*function)(struct timer *timer))
{
    *timer = (struct timer){.function = function, .cpu = cpu_current()};
}

/*
 * Locks the timers of the CPU that the timer is, or was last, set on. timer->cpu changes only under
 * the lock of the CPU that it names, so it holds still from here on.
 */
static struct timers *timers_lock_of(struct timer *timer)
{
    for (;;) {
        struct cpu *cpu = READ_ONCE(timer->cpu);
        struct timers *on = of_cpu(timers, cpu);

        spin_lock(&on->lock);
        if (timer->cpu == cpu)
            return on;
        spin_unlock(&on->lock);
    }
}

bool timer_cancel(struct timer *timer)
{
    struct timers *on = timers_lock_of(timer);
    bool was_set = tree_is_linked(&timer->node);

    if (was_set)
        tree_remove(&on->tree, &timer->node);
    spin_unlock(&on->lock);
    return was_set;
}

bool timer_cancel_wait(struct timer *timer)
{
    bool was_set = timer_cancel(timer);

    if (was_set)
        return true;
    while (__atomic_load_n(&of_cpu(timers, READ_ONCE(timer->cpu))->running, __ATOMIC_ACQUIRE) ==
           timer)
        cpu_relax();
    return false;
}

/* Set anew elsewhere while it ran, it may still run on a CPU that timer->cpu does not name. */
void timer_fini(struct timer *timer)
{
    u32 id;

    do {
        timer_cancel(timer);
        cpu_for_each_online (id)
            while (__atomic_load_n(&of_cpu(timers, cpus[id])->running, __ATOMIC_ACQUIRE) == timer)
                cpu_relax();
    } while (tree_is_linked(&timer->node));
}

/* Takes the timer off where it is set and locks this CPU's timers, to which it now belongs. */
static struct timers *timer_move_here(struct timer *timer)
{
    for (;;) {
        struct timers *on = timers_lock_of(timer);

        if (tree_is_linked(&timer->node))
            tree_remove(&on->tree, &timer->node);
        if (timer->cpu == cpu_current())
            return on;
        WRITE_ONCE(timer->cpu, cpu_current());
        spin_unlock(&on->lock);
    }
}

void timer_set(struct timer *timer, u64 deadline_ns)
{
    u64 flags = interrupts_save_disable();
    struct timers *on = timer_move_here(timer);

    timer->deadline_ns = deadline_ns;
    tree_insert(&on->tree, &timer->node, timer_is_before);
    if (deadline_ns < on->armed_ns)
        timers_arm_locked(on, deadline_ns);
    spin_unlock(&on->lock);
    interrupts_restore(flags);
}

/* Runs all that are due, the earliest first, then sets the interrupt for the next. */
static void timers_run(struct deferred *work)
{
    struct timers *on = container_of(work, struct timers, work);
    struct timer *timer;

    spin_lock(&on->lock);
    while ((timer = timer_of(tree_first(&on->tree))) &&
           timer->deadline_ns <= clock_monotonic_ns()) {
        tree_remove(&on->tree, &timer->node);
        on->running = timer;
        spin_unlock(&on->lock);
        timer->function(timer);
        spin_lock(&on->lock);
        /* Pairs with the acquire in timer_cancel_wait. */
        __atomic_store_n(&on->running, NULL, __ATOMIC_RELEASE);
    }
    if (timer && timer->deadline_ns < on->armed_ns)
        timers_arm_locked(on, timer->deadline_ns);
    spin_unlock(&on->lock);
}

static void timer_interrupt(struct trap_frame *frame, u8 vector)
{
    struct timers *on = this_cpu(timers);
    struct timer *first;

    spin_lock(&on->lock);
    on->armed_ns = U64_MAX;
    first = timer_of(tree_first(&on->tree));
    if (first && first->deadline_ns > clock_monotonic_ns())
        timers_arm_locked(on, first->deadline_ns);
    else if (first)
        deferred_schedule(&on->work);
    spin_unlock(&on->lock);
    on->rang_in_deferred = cpu_current()->in_interrupt > 1;
}

bool timer_rang_in_deferred(void)
{
    return this_cpu(timers)->rang_in_deferred;
}

u64 clock_stop(void)
{
    u64 flags = interrupts_save_disable();

    if (stopped.depth++ == 0) {
        timer_interrupt_set(U64_MAX);
        stopped.since_tsc = tsc_read();
    }
    return flags;
}

void clock_go(u64 flags)
{
    if (--stopped.depth == 0) {
        clock_hide(tsc_read() - stopped.since_tsc);
        timer_interrupt_set(this_cpu(timers)->armed_ns);
    }
    interrupts_restore(flags);
}

void timers_init_cpu(void)
{
    struct timers *on = this_cpu(timers);

    spin_init(&on->lock, LOCK_TIMER);
    on->armed_ns = U64_MAX;
    on->work = (struct deferred)DEFERRED_INIT(timers_run);
    vector_register(VECTOR_TIMER, timer_interrupt);
}
