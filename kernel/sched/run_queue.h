/* One CPU's READY threads, and the switch from one to the next. Private to sched/. */
#pragma once

#include <pith/sched.h>

/* What a CPU's busy time is split into. */
enum cpu_mode {
    CPU_IN_SYSTEM,
    CPU_IN_USER,
    CPU_IN_NICE,     /* user mode of threads with a nice value above 0 */
    CPU_IN_DEFERRED, /* work that interrupts left, at their end */
};

struct run_queue {
    struct spinlock lock;         /* LOCK_RUN_QUEUE */
    struct policy_queue realtime; /* guarded_by(&lock) fifo and rr, before all others */
    struct policy_queue base;     /* guarded_by(&lock) everybody else */
    struct list threads;          /* guarded_by(&lock) all of both, in the order they came */
    u32 ready;                    /* guarded_by(&lock) how many; read without it as a hint */
    u64 ready_load, running_load; /* guarded_by(&lock) their shares, and running's; hints too */
    u32 running_priority;         /* guarded_by(&lock) real-time; 0: none; a hint too */
    u64 crowded_since_ns;         /* guarded_by(&lock) since when somebody waits without a break */
    u64 realtime_used_ns;         /* guarded_by(&lock) by real-time threads, in the period... */
    u64 realtime_period_end_ns;   /* guarded_by(&lock) ... that ends then */
    u32 cpu;                      /* [const] */
    struct thread *running;       /* guarded_by(&lock) */
    struct thread *idle;          /* [const] runs when nobody is READY; on no queue */
    struct thread *left;          /* [cpu] who ran before, during a switch */
    struct thread *homeless;      /* [cpu] `left`, if it may not run here any more */
    bool leaving_awaited;         /* guarded_by(&lock) somebody waits for `running` to leave */
    u64 charged_ns;               /* guarded_by(&lock) `running` has been charged up to then */
    u64 slice_deadline_ns;        /* guarded_by(&lock) what slice_timer is set to; U64_MAX */
    struct timer slice_timer;     /* [cpu] */
    struct timer sample_timer;    /* [cpu] */
    bool sampling;                /* [cpu] sample_timer is set */
    u64 switches;                 /* guarded_by(&lock) */
    u64 waited_ns, turns;         /* guarded_by(&lock) READY before they ran; /proc/schedstat */
    u64 ran_ns;                   /* guarded_by(&lock) by all threads */
    u64 idle_since_ns;            /* guarded_by(&lock) idle time is counted up to then */
    u64 idle_ns, iowait_ns;       /* guarded_by(&lock) */
    u32 iowaiting;                /* guarded_by(&lock) threads of this CPU that wait for a device */
    struct time_split busy;       /* guarded_by(&lock) all but idle time; samples are [cpu] */
};

DECLARE_PER_CPU(struct run_queue, run_queue);

/* What becomes of the running thread when another takes its place. */
enum leave {
    LEAVE_PREEMPTED, /* READY, a better one came or its slice is over */
    LEAVE_YIELDED,   /* READY, behind the others */
    LEAVE_BLOCKED,   /* its state says what: it waits, is stopped or dead */
};

/* As what it is scheduled: with a priority that was lent to it, as a real-time thread. */
static inline bool thread_is_realtime(const struct thread *thread)
{
    return thread->policy.priority > 0;
}

static inline bool thread_can_run_on(const struct thread *thread, u32 cpu)
{
    return READ_ONCE(thread->affinity) & BIT(cpu);
}

static inline struct run_queue *run_queue_of(u32 cpu)
{
    return of_cpu(run_queue, cpus[cpu]);
}
/* Prepares the queue of a CPU that runs its idle thread, or will when it starts. */
void run_queue_init(struct run_queue *queue, u32 cpu, struct thread *idle);
u32 thread_weight(const struct thread *thread);
/* What it counts when CPUs are compared. */
u64 thread_load(const struct thread *thread);
/* Locks the queue that a thread belongs to, which may change until then. */
struct run_queue *run_queue_lock_of(struct thread *thread);
void run_queue_push(struct run_queue *queue, struct thread *thread, enum policy_push why,
                    u64 now_ns) must_hold(&queue->lock);
void run_queue_remove(struct run_queue *queue, struct thread *thread, u64 now_ns)
    must_hold(&queue->lock);
/* The next to run, taken out; NULL: nobody is READY. */
struct thread *run_queue_pick(struct run_queue *queue, u64 now_ns) must_hold(&queue->lock);
void run_queue_charge(struct run_queue *queue, u64 now_ns) must_hold(&queue->lock);
void run_queue_put_running(struct run_queue *queue, enum leave leave, u64 now_ns)
    must_hold(&queue->lock);
void run_queue_arm_slice(struct run_queue *queue, u64 now_ns) must_hold(&queue->lock);
/* Asks the CPU of the queue to switch at its next chance. */
void run_queue_reschedule(struct run_queue *queue) must_hold(&queue->lock);
/* Who runs on the CPU of the queue, or as what he does, has changed: for those who compare CPUs. */
void run_queue_set_running(struct run_queue *queue, const struct thread *thread)
    must_hold(&queue->lock);
/* After somebody joined the queue: does the running thread give way, or when is to be asked? */
void preemption_check(struct run_queue *queue, u64 now_ns) must_hold(&queue->lock);
/* The tables and the part of the queue that a thread is scheduled by. */
const struct policy *realtime_policy_of(const struct thread *thread);
static inline const struct policy *policy_of(const struct run_queue *queue,
                                             const struct thread *thread)
{
    if (unlikely(thread_is_realtime(thread)))
        return realtime_policy_of(thread);
    return queue->base.policy;
}
static inline struct policy_queue *part_of(struct run_queue *queue, const struct thread *thread)
{
    return thread_is_realtime(thread) ? &queue->realtime : &queue->base;
}

/* balance.c */
/* Puts a thread that is READY, on no queue and on no CPU, on the best CPU's queue. */
void thread_make_runnable(struct thread *thread, enum policy_push why, u64 now_ns);
/* Takes a thread over from a busier CPU. Interrupts are off. */
bool run_queue_steal(struct run_queue *queue);
/* From a busy CPU's sampling: evens the CPUs' loads out, and lets threads take turns at it. */
void run_queue_balance(struct run_queue *queue);
/* Says whether the CPU runs its idle thread. */
void cpu_mark_idle(u32 cpu);
void cpu_mark_busy(u32 cpu);

/* class.c: a thread whose leaving is awaited is off its CPU, and has another if it is READY. */
void leaving_wake(void);

/* switch.c: runs whoever is next; `queue` is the caller's CPU's, and let go when it returns. */
void schedule_locked(struct run_queue *queue, enum leave leave, u64 now_ns) releases(&queue->lock);
/* The first function of a new thread's context. */
void thread_begin(void *thread);

/* accounting.c */
void sampling_init(struct run_queue *queue);
void sampling_start(struct run_queue *queue);
/* Counts the idle time up to now; the queue is locked and its CPU idle. */
void idle_settle(struct run_queue *queue, u64 now_ns) must_hold(&queue->lock);
