/*
 * How scheduling begins: each CPU's idle thread, and the threads that carry deferred work.
 *
 * The code that brings a CPU up runs on a stack that becomes its idle thread's: from sched_init on
 * it is a thread that may take locks; it never blocks, and ends in sched_run.
 */
#include "run_queue.h"

#include "life.h"

static struct thread idle_threads[CPUS_MAX];

struct worker {
    struct wait_queue queue;
    bool wanted; /* guarded_by(&queue.lock) */
    struct thread *thread;
};
static DEFINE_PER_CPU(struct worker, worker);

/*
 * It never was NEW: what becomes it is running already. It is outside the state graph and on no
 * queue.
 */
static void idle_thread_init(u32 id)
{
    struct thread *idle = &idle_threads[id];

    thread_init(idle);
    idle->kernel_name = "idle";
    idle->state = THREAD_RUNNING;
    idle->on_cpu = true;
    idle->affinity = BIT(id);
    idle->cpu = id;
    run_queue_init(run_queue_of(id), id, idle);
    sampling_init(run_queue_of(id));
    /* Until it runs, nobody needs to interrupt it: it looks at its queue first. */
    idle->pending_work = WORK_RESCHEDULE;
}

/* Makes what runs on this CPU its idle thread. */
static void become_idle_thread(void)
{
    struct cpu *cpu = cpu_current();

    cpu->thread = &idle_threads[cpu->id];
    __atomic_fetch_or(&cpus_online, BIT(cpu->id), __ATOMIC_RELEASE);
}

/* sched/'s first function on another CPU. Interrupts are off until it runs a thread. */
static void cpu_begin(void)
{
    become_idle_thread();
    sched_run();
}

/* Before it no code may take a lock that asks for the current thread. */
void sched_init(void)
{
    u32 cpu;

    thread_cache_init();
    cpu_for_each (cpu)
        idle_thread_init(cpu);
    become_idle_thread();
    cpu_started_register(cpu_begin);
}

/*
 * Does a CPU's deferred work when interrupts leave too much of it, to the end: no interrupt need
 * come any more, for the work of the CPU's timers may be among what is left.
 */
static void worker_run(void *argument)
{
    struct worker *own = argument;

    for (;;) {
        spin_lock(&own->queue.lock);
        while (!own->wanted && wait_queue_wait(&own->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_WORK) == 0)
            continue;
        own->wanted = false;
        spin_unlock(&own->queue.lock);
        while (!deferred_run())
            sched_point();
    }
}

/* From the end of an interrupt that had too much to do: this CPU's worker goes on with it. */
static void worker_wake(void)
{
    struct worker *own = this_cpu(worker);

    spin_lock(&own->queue.lock);
    own->wanted = true;
    wait_queue_wake_locked(&own->queue, 1, 0);
    spin_unlock(&own->queue.lock);
}

/* A worker for each CPU that may come, bound to it; those of CPUs that never start never run. */
void sched_init_late(void)
{
    u32 cpu;

    cpu_for_each (cpu) {
        struct worker *own = of_cpu(worker, cpus[cpu]);

        wait_queue_init(&own->queue);
        if (kernel_thread_create("deferred", worker_run, own, &own->thread))
            panic("no memory for the deferred work's threads");
        own->thread->affinity = BIT(cpu);
        own->thread->cpu = cpu;
        thread_start(own->thread);
    }
    deferred_worker_register(worker_wake);
    load_init();
}
