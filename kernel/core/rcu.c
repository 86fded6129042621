/*
 * RCU: what readers without a lock may still see is freed after every CPU has passed a quiet point.
 *
 * A reader never blocks and is never preempted, so a CPU that switches, idles or comes from user
 * mode holds nothing from before. A *period* begins with the set of all online CPUs and is over
 * when each has said rcu_quiescent() once:
 *
 *     rcu_free(x)      joins its CPU's batch; the batch waits for a period that begins after now
 *     rcu_quiescent    takes its CPU out of `waiting`; the last one ends the period
 *     every 10 ms      while it has a batch, a CPU looks whether the period is over and then
 *                      frees; if not, it interrupts those that are waited for: the interrupt finds
 *                      them in user mode, or ends their sleep
 *
 * Locking: rcu_lock (LOCK_RCU) guards the period; batches are [cpu], interrupts off.
 * Context: rcu_free anywhere; functions given to it run as deferred work.
 */
#include <pith/core.h>

#include "parts.h"

#define LOOK_INTERVAL_NS (10 * NS_PER_MS)

struct batches {
    struct list next;    /* came while `current` was waiting already */
    struct list current; /* waits for `period` to be over */
    u64 period;
    struct timer timer;
    u32 readers; /* SAN=1: depth of rcu_read_lock */
};

static DEFINE_PER_CPU(struct batches, batches);

static struct spinlock rcu_lock = SPINLOCK_INIT(LOCK_RCU);
static u64 waiting;        /* guarded by rcu_lock for writing: CPUs that the period waits for */
static u64 period_begun;   /* guarded by rcu_lock */
static u64 period_over;    /* guarded by rcu_lock for writing */
static bool period_wanted; /* guarded by rcu_lock: one more after this one */

static void period_begin_locked(void)
{
    period_begun++;
    period_wanted = false;
    /* What was unlinked before must be seen unlinked by whoever reads after his quiet point. */
    __atomic_store_n(&waiting, READ_ONCE(cpus_online), __ATOMIC_SEQ_CST);
}

/* Returns the number of a period that begins after now. */
static u64 period_request(void)
{
    u64 period;

    spin_lock(&rcu_lock);
    if (waiting) {
        period_wanted = true;
        period = period_begun + 1;
    } else {
        period_begin_locked();
        period = period_begun;
    }
    spin_unlock(&rcu_lock);
    return period;
}

static void quiescent_slow(void)
{
    spin_lock(&rcu_lock);
    if (waiting) {
        waiting &= ~BIT(cpu_current()->id);
        if (!waiting) {
            __atomic_store_n(&period_over, period_begun, __ATOMIC_RELEASE);
            if (period_wanted)
                period_begin_locked();
        }
    }
    spin_unlock(&rcu_lock);
}

void rcu_quiescent(void)
{
    if (SAN)
        assert(this_cpu(batches)->readers == 0);
    if (unlikely(READ_ONCE(waiting) & BIT(cpu_current()->id)))
        quiescent_slow();
}

/* Interrupts are off. What came meanwhile waits for a period of its own. */
static void batch_begin(struct batches *of)
{
    list_append_all(&of->current, &of->next);
    of->period = period_request();
    timer_set(&of->timer, clock_monotonic_ns() + LOOK_INTERVAL_NS);
}

void rcu_free(struct rcu_head *head, void (*free)(struct rcu_head *head))
{
    u64 flags = interrupts_save_disable();
    struct batches *of = this_cpu(batches);

    head->free = free;
    list_push_back(&of->next, &head->link);
    if (list_is_empty(&of->current))
        batch_begin(of);
    interrupts_restore(flags);
}

static void batch_free(struct list *batch)
{
    struct list *link;

    while ((link = list_pop_front(batch))) {
        struct rcu_head *head = list_entry(link, struct rcu_head, link);

        head->free(head);
    }
}

static void interrupt_waited_for(void)
{
    u64 mask = READ_ONCE(waiting) & ~BIT(cpu_current()->id);
    u32 id;

    cpu_for_each_online (id) {
        if (mask & BIT(id))
            cpu_send_interrupt(id, VECTOR_RESCHEDULE);
    }
}

static void batch_look(struct timer *timer)
{
    struct batches *of = container_of(timer, struct batches, timer);
    struct list done;
    u64 flags = interrupts_save_disable();

    list_init(&done);
    /* Pairs with the release in quiescent_slow: all reads of the period happened before. */
    if (__atomic_load_n(&period_over, __ATOMIC_ACQUIRE) >= of->period) {
        list_append_all(&done, &of->current);
        if (!list_is_empty(&of->next))
            batch_begin(of);
    } else {
        interrupt_waited_for();
        timer_set(timer, clock_monotonic_ns() + LOOK_INTERVAL_NS);
    }
    interrupts_restore(flags);
    batch_free(&done);
}

void rcu_read_lock_checked(void)
{
    this_cpu(batches)->readers++;
}

void rcu_read_unlock_checked(void)
{
    assert(this_cpu(batches)->readers > 0);
    this_cpu(batches)->readers--;
}

void rcu_init_cpu(void)
{
    struct batches *of = this_cpu(batches);

    list_init(&of->next);
    list_init(&of->current);
    timer_init(&of->timer, batch_look);
}
