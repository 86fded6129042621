/*
 * Scheduling policies: which of the READY threads runs next, and for how long.
 *
 * The mechanism (sched/run_queue.c: queues, switches, wake-ups, balancing between CPUs) calls a
 * policy through one table. A policy is one file. It uses nothing but what the table hands it, so
 * that the same file, compiled for the host, drives the simulator process-run: no clock, no lock,
 * no allocation, no CPU number, no kernel header but this one and lib/'s data structures.
 *
 * One `policy_queue` belongs to each CPU and policy; the mechanism holds the run queue's lock
 * around each call and says what time it is. The running thread is not in the queue: `pick` takes
 * it out, `push` puts it back. Times are nanoseconds; the simulator counts one unit of its table as
 * POLICY_SIMULATED_UNIT_NS.
 */
#pragma once

#include <pith/list.h>
#include <pith/tree.h>

#define POLICY_WEIGHT_DEFAULT    1024u /* nice 0 */
#define POLICY_LEVELS            100   /* POSIX priorities 0 to 99; MLFQ uses the first few */
#define POLICY_SIMULATED_UNIT_NS 1000000ull

/* Why a thread comes (back) to the queue. */
enum policy_push {
    POLICY_PUSH_NEW,       /* it never ran */
    POLICY_PUSH_WOKEN,     /* it waited, and no longer does */
    POLICY_PUSH_EXPIRED,   /* it used up its slice */
    POLICY_PUSH_PREEMPTED, /* a better one came */
    POLICY_PUSH_YIELDED,   /* it asked to (sched_yield) */
    POLICY_PUSH_MIGRATED,  /* it comes from another CPU's queue */
};

/* What policies keep of a thread. guarded_by(run_queue.lock) of the queue that it belongs to. */
struct policy_thread {
    struct list link;
    struct tree_node node;
    u32 weight;   /* share: from the nice value, or lottery tickets; set by the mechanism */
    u32 priority; /* POSIX, 1 to 99, larger first; set by the mechanism */
    u32 level;    /* mlfq: the queue, 0 is the top */
    /*
     * How long its next burst on the CPU is expected to last, and what is left of it: exact in the
     * simulator, an exponential average of past bursts in the kernel; set by the mechanism.
     */
    u64 expected_burst_ns;
    u64 remaining_burst_ns;
    u64 slice_left_ns; /* what it may still use before it is asked again */
    u64 virtual_ns;    /* fair: weighted time used; stride: pass */
    u64 deadline_ns;   /* fair: the virtual deadline of its request */
    s64 lag_ns;        /* fair: what it is owed, kept while it is not in a queue */
    u64 level_used_ns; /* mlfq: time used at this level */
};

/* A policy's parameters; 0 means the policy's own default. */
struct policy_parameters {
    u64 quantum_ns;        /* round_robin, rr, mlfq's top level, lottery, stride, fair's request */
    u64 boost_interval_ns; /* mlfq: how often everybody returns to the top */
    u32 levels;            /* mlfq: number of queues */
    u64 seed;              /* lottery */
};

/* One CPU's queue of a policy. */
struct policy_queue {
    const struct policy *policy; /* [const] */
    struct policy_parameters parameters;
    u32 count; /* threads in the queue; the running one is not */
    struct list levels[POLICY_LEVELS];
    u64 levels_used[2]; /* a bit for each level that is not empty */
    struct tree tree;
    u64 total_weight;   /* of the threads in the queue */
    u64 virtual_now_ns; /* fair: the weighted average; stride: the least pass */
    s64 virtual_sum;    /* fair: sum of (virtual_ns - base) * weight */
    u64 next_boost_ns;
    u64 random_state;
};

struct policy {
    const char *name;
    /* Prepares an empty queue; the mechanism has set `policy` and `parameters` before. */
    void (*init)(struct policy_queue *queue);
    /* Puts in a thread that is in no queue. */
    void (*push)(struct policy_queue *queue, struct policy_thread *thread, enum policy_push why,
                 u64 now_ns);
    /* Takes out one that is in the queue (it migrates, is stopped, or changes its priority). */
    void (*remove)(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns);
    /* Chooses, takes out and returns the next to run; NULL: the queue is empty. */
    struct policy_thread *(*pick)(struct policy_queue *queue, u64 now_ns);
    /* The running thread, which is not in the queue, used the CPU for `ran_ns` more. */
    void (*charge)(struct policy_queue *queue, struct policy_thread *running, u64 ran_ns,
                   u64 now_ns);
    /* The running thread begins to wait, or ends: its account is closed. May be NULL. */
    void (*block)(struct policy_queue *queue, struct policy_thread *running, u64 now_ns);
    /*
     * Whether the running thread must give way now to one that waits in the queue. Asked after a
     * push, and when the time that slice_ns gave is over (after `charge`).
     */
    bool (*should_preempt)(struct policy_queue *queue, const struct policy_thread *running,
                           u64 now_ns);
    /*
     * After how many ns of running to ask should_preempt again if nothing else happens; 0: never.
     * Only asked while others wait in the queue.
     */
    u64 (*slice_ns)(const struct policy_queue *queue, const struct policy_thread *running);
};

extern const struct policy policy_fair;
extern const struct policy policy_fifo; /* POSIX SCHED_FIFO; alone also first come, first served */
extern const struct policy policy_rr;   /* POSIX SCHED_RR */
extern const struct policy policy_round_robin;
extern const struct policy policy_sjf;
extern const struct policy policy_stcf;
extern const struct policy policy_mlfq;
extern const struct policy policy_lottery;
extern const struct policy policy_stride;
