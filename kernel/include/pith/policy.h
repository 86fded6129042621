/*
 * Scheduling policies: which of the READY threads runs next, and for how long.
 *
 * The mechanism (sched/run_queue.c: queues, switches, wake-ups, balancing between CPUs) calls a
 * policy through one table. A policy is one file. It uses nothing but what the table hands it, so
 * that the same file, compiled for the host, drives the simulator process-run: no clock, no lock,
 * no allocation, no CPU number, no kernel header but this one and lib/'s data structures.
 *
 * One `policy_queue` belongs to each CPU and policy; the mechanism holds the run queue's lock
 * around each call and says what time it is. A thread is in one of three places, and the calls move
 * it between them:
 *
 *                push                 pick
 *     elsewhere -----> in the queue ------> running
 *         ^    <------              <------    |
 *         |     remove                push     |
 *         +------------------------------------+
 *                        block
 *
 * The time that the running thread used is charged before any other call at the same `now_ns`.
 * Times are nanoseconds; the simulator counts one unit of its table as POLICY_SIMULATED_UNIT_NS.
 *
 * fifo and rr keep their queues alike, so that one queue may hold the threads of both classes, as
 * POSIX wants it: each thread's own table is called on it.
 */
#pragma once

#include <pith/level_lists.h>
#include <pith/tree.h>

#define POLICY_WEIGHT_DEFAULT    1024u /* nice 0 */
#define POLICY_PRIORITIES        100   /* POSIX: 1 to 99 */
#define POLICY_SIMULATED_UNIT_NS 1000000ull

/* Why a thread comes (back) to the queue. */
enum policy_push {
    POLICY_PUSH_NEW,       /* it never ran */
    POLICY_PUSH_WOKEN,     /* it waited, and no longer does */
    POLICY_PUSH_PREEMPTED, /* it was running and gives way: its turn is over, or a better came */
    POLICY_PUSH_YIELDED,   /* it was running and asked to give way (sched_yield) */
    POLICY_PUSH_MIGRATED,  /* it comes from another CPU's queue */
};

/*
 * What policies keep of a thread: zeroed when the thread is created, and guarded by the
 * run_queue.lock of the queue that it belongs to. The first group is the mechanism's, which changes
 * it only while the thread is not in the queue.
 */
struct policy_thread {
    u32 weight;   /* share: from the nice value, or lottery tickets; not 0 */
    u32 priority; /* POSIX, 1 to 99, larger first */
    bool batch;   /* it is in no hurry: its wake-ups preempt nobody */
    /*
     * How long its next (or present) burst on the CPU lasts in all, and what is left of it: exact
     * in the simulator, in the kernel as the average of past bursts lets expect, and as the
     * present one has shown already.
     */
    u64 expected_burst_ns;
    u64 remaining_burst_ns;

    struct list link;      /* in a list of the queue */
    struct tree_node node; /* in the tree of the queue */
    u64 subtree;           /* what the tree says of all below and with `node` */
    u32 level;             /* mlfq: its list, 0 is the top */
    u64 boost;             /* mlfq: the last boost that it has had */
    u64 slice_left_ns;     /* what is left of its turn; 0: it is over, or has not begun */
    u64 level_used_ns;     /* mlfq: time used at its level */
    u64 virtual_ns;        /* fair, stride: time used, divided by its weight */
    u64 deadline_ns;       /* fair: the virtual deadline of its request */
    u64 came_ns;           /* sjf, stcf: when its burst came */
    u64 rank_ns;           /* sjf, stcf: its place in the queue */
    u64 left_ns;           /* fair: when it left a queue, with lag_ns */
    s64 lag_ns;            /* fair, stride: virtual time that it is owed, while it is elsewhere */
};

/* What a MLFQ thread's quantum is when it comes back from a wait. */
enum policy_mlfq_account {
    POLICY_MLFQ_ACCOUNT_KEPT, /* what it had left: time at a level counts, however it is used */
    POLICY_MLFQ_ACCOUNT_LOST, /* a new one: the book's first rules, which can be gamed */
};

/* A policy's parameters; 0 means the policy's own default, which init puts in its place. */
struct policy_parameters {
    u64 quantum_ns;        /* round_robin, rr, mlfq's top level, lottery, stride, fair's request */
    u64 boost_interval_ns; /* mlfq: how often everybody returns to the top */
    u32 levels;            /* mlfq: number of queues, up to LEVEL_LISTS */
    enum policy_mlfq_account mlfq_account;
    u64 seed;           /* lottery */
    u64 burst_limit_ns; /* sjf, stcf: who has run for so long gives way; 0: there is no limit */
    u64 aging;          /* sjf, stcf: how many ns of waiting make up for one of burst; 0: none do */
};

/* One CPU's queue of a policy. */
struct policy_queue {
    const struct policy *policy; /* [const] */
    struct policy_parameters parameters;
    u32 count;                     /* threads in the queue; the running one is not */
    struct policy_thread *running; /* fair: what pick returned, until push or block takes it back */
    struct level_lists levels;     /* fifo, rr, round_robin, mlfq */
    struct tree tree;              /* the others */
    u64 total_weight;              /* fair: of the threads in the queue */
    u64 virtual_now_ns;            /* fair: the weighted average; stride: the least */
    s64 virtual_sum;               /* fair: sum of (virtual_ns - virtual_now_ns) * weight */
    u64 boost;                     /* mlfq: the number of the last boost */
    u64 random_state;              /* lottery */
};

struct policy {
    const char *name;
    /* Prepares an empty queue; the mechanism has set `policy` and `parameters` before. */
    void (*init)(struct policy_queue *queue);
    /* Puts in a thread that is elsewhere, or the running one. */
    void (*push)(struct policy_queue *queue, struct policy_thread *thread, enum policy_push why,
                 u64 now_ns);
    /* Takes out one that is in the queue (it migrates, is stopped, or changes its priority). */
    void (*remove)(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns);
    /* Chooses, takes out and returns the next to run; NULL: the queue is empty. None runs now. */
    struct policy_thread *(*pick)(struct policy_queue *queue, u64 now_ns);
    /* The running thread used the CPU for `ran_ns` more. */
    void (*charge)(struct policy_queue *queue, struct policy_thread *running, u64 ran_ns,
                   u64 now_ns);
    /* The running thread begins to wait, ends, or leaves this CPU: its account is closed. */
    void (*block)(struct policy_queue *queue, struct policy_thread *running, u64 now_ns);
    /*
     * Whether the running thread must give way now to one that waits in the queue: it is pushed as
     * PREEMPTED, then pick chooses (it may be the same again). Asked after a push, and when the
     * time that slice_ns gave is over.
     */
    bool (*should_preempt)(struct policy_queue *queue, const struct policy_thread *running,
                           u64 now_ns);
    /*
     * After how many ns of running to ask should_preempt again if nothing else happens; 0: never.
     * Only asked while others wait in the queue.
     */
    u64 (*slice_ns)(const struct policy_queue *queue, const struct policy_thread *running,
                    u64 now_ns);
};

/* Takes `ran_ns` from the running thread's turn. Once over, it is over until the next pick. */
static inline void policy_charge_slice(struct policy_thread *running, u64 ran_ns)
{
    running->slice_left_ns -= MIN(ran_ns, running->slice_left_ns);
}

/*
 * Turns: pick gives a thread its quantum as slice_left_ns, and running uses that up. Where nothing
 * else ends a turn, these are all of a policy's charge, should_preempt and slice_ns.
 */
static inline void policy_turn_charge(struct policy_queue *queue, struct policy_thread *running,
                                      u64 ran_ns, u64 now_ns)
{
    policy_charge_slice(running, ran_ns);
}
static inline bool policy_turn_is_over(struct policy_queue *queue,
                                       const struct policy_thread *running, u64 now_ns)
{
    return queue->count > 0 && running->slice_left_ns == 0;
}
static inline u64 policy_turn_left_ns(const struct policy_queue *queue,
                                      const struct policy_thread *running, u64 now_ns)
{
    return running->slice_left_ns;
}
/* block, where there is no account to close. */
static inline void policy_block_nothing(struct policy_queue *queue, struct policy_thread *running,
                                        u64 now_ns)
{
}

/*
 * sjf, stcf: their queue, policy_burst.c. The least rank is the next: the length of the burst, and
 * with aging a part of the time at which that came.
 */
void policy_burst_init(struct policy_queue *queue);
u64 policy_burst_rank(const struct policy_queue *queue, const struct policy_thread *thread,
                      u64 burst_ns);
/* Whether the running thread's burst is as long as any may be. */
bool policy_burst_is_over(const struct policy_queue *queue, const struct policy_thread *running);
/* Ranks a thread whose burst is so long, and puts it in. */
void policy_burst_push(struct policy_queue *queue, struct policy_thread *thread, u64 burst_ns,
                       enum policy_push why, u64 now_ns);
void policy_burst_remove(struct policy_queue *queue, struct policy_thread *thread, u64 now_ns);
struct policy_thread *policy_burst_pick(struct policy_queue *queue, u64 now_ns);
/* The first in the queue; NULL: it is empty. */
const struct policy_thread *policy_burst_first(const struct policy_queue *queue);

extern const struct policy policy_fair;
extern const struct policy policy_fifo; /* POSIX SCHED_FIFO; alone also first come, first served */
extern const struct policy policy_rr;   /* POSIX SCHED_RR */
extern const struct policy policy_round_robin;
extern const struct policy policy_sjf;
extern const struct policy policy_stcf;
extern const struct policy policy_mlfq;
extern const struct policy policy_lottery;
extern const struct policy policy_stride;

/* All of them, to choose by name; NULL ends the list. */
extern const struct policy *const policies[];
