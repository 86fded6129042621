/*
 * Deferred work, and the brackets around every interrupt that run it.
 *
 * An interrupt handler does little: it queues a struct deferred on its CPU. When the outermost
 * interrupt ends, what is queued runs with interrupts on, up to a budget; what is left over is the
 * CPU's worker thread's (sched/). While any of it runs, cpu->in_interrupt is not 0, so an interrupt
 * in between leaves the queue alone and no work ever runs inside another.
 *
 * A piece of work is taken off the queue before it runs: asked for again meanwhile, it runs again.
 *
 * Locking: each CPU's queue is its own, with interrupts off.
 */
#include <pith/core.h>

#include "parts.h"

#define BUDGET 64 /* pieces of work at the end of one interrupt */

static DEFINE_PER_CPU(struct list, deferred_queue); /* [cpu] */
static DEFINE_PER_CPU(u64, deferred_count);         /* [cpu] pieces that ran */
static void (*worker_wake)(void);

u64 deferred_count_of(u32 cpu)
{
    return READ_ONCE(*of_cpu(deferred_count, cpus[cpu]));
}

void deferred_init_cpu(void)
{
    list_init(this_cpu(deferred_queue));
}

void deferred_worker_register(void (*wake)(void))
{
    worker_wake = wake;
}

/*
 * Once queued it stays queued until it runs; who asks outside of an interrupt sends this CPU one,
 * at whose end it runs. Any context, NMIs excepted.
 */
void deferred_schedule(struct deferred *work)
{
    u64 flags;
    struct cpu *cpu;

    if (__atomic_exchange_n(&work->queued, 1, __ATOMIC_ACQ_REL))
        return;
    flags = interrupts_save_disable();
    cpu = cpu_current();
    list_push_back(this_cpu(deferred_queue), &work->link);
    cpu->work_pending = 1;
    if (!cpu->in_interrupt)
        cpu_send_interrupt(cpu->id, VECTOR_CALL); /* whose end runs it */
    interrupts_restore(flags);
}

/* Interrupts are off, and on while a piece runs. Returns whether all is done. */
static bool run_queue_within(u32 budget)
{
    struct list *queue = this_cpu(deferred_queue);
    struct list *link;

    while (budget-- && (link = list_pop_front(queue))) {
        struct deferred *work = list_entry(link, struct deferred, link);
        void (*function)(struct deferred *) = work->function;

        __atomic_store_n(&work->queued, 0, __ATOMIC_RELEASE);
        (*this_cpu(deferred_count))++;
        interrupts_enable();
        function(work);
        interrupts_disable();
    }
    return list_is_empty(queue);
}

/* The worker's: what the interrupts' budget left over. */
bool deferred_run(void)
{
    u64 flags = interrupts_save_disable();
    struct cpu *cpu = cpu_current();
    bool is_done;

    cpu->in_interrupt++;
    is_done = run_queue_within(BUDGET);
    if (is_done)
        cpu->work_pending = 0;
    cpu->in_interrupt--;
    interrupts_restore(flags);
    return is_done;
}

void interrupt_enter(void)
{
    cpu_current()->in_interrupt++;
}

void interrupt_exit(void)
{
    struct cpu *cpu = cpu_current();

    if (cpu->in_interrupt == 1 && unlikely(cpu->work_pending)) {
        if (run_queue_within(BUDGET))
            cpu->work_pending = 0;
        else if (worker_wake)
            worker_wake();
    }
    cpu->in_interrupt--;
}
