/*
 * A machine of one CPU for the tests of scheduling policies: threads that compute and wait, and a
 * mechanism that keeps the contract of pith/policy.h and checks that the policy does too.
 *
 * A test says what its threads do, then calls machine_step for each unit of time and looks at what
 * came of it. After each step: somebody runs if anybody is READY, and the queue holds exactly the
 * READY threads.
 */
#pragma once

#include <pith/policy.h>

#include "unit.h"

#define MACHINE_THREADS 64
#define UNIT_NS         POLICY_SIMULATED_UNIT_NS
#define FOR_EVER        UINT64_MAX

enum machine_state {
    MACHINE_WAITING,
    MACHINE_READY,
    MACHINE_RUNNING,
    MACHINE_ENDED
};

struct machine_thread {
    struct policy_thread policy;
    u64 burst;       /* units on the CPU between waits */
    u64 wait;        /* units between bursts; 0: it never waits */
    u64 bursts_left; /* then it ends */

    enum machine_state state;
    bool is_known; /* it was in the queue before */
    u64 wake_at;   /* first: when it arrives */
    u64 burst_left;
    u64 ran; /* units in all */
    u64 ready_since;
    u64 longest_ready; /* the longest time READY without running */
    u64 ended_at;
};

struct machine {
    struct policy_queue queue;
    struct machine_thread threads[MACHINE_THREADS];
    u32 count;
    struct machine_thread *running;
    u64 turn; /* units that `running` has run since it was picked */
    bool ask;
    u64 ask_at;
    u64 now;
    u64 random;
};

static inline u32 random_below(struct machine *machine, u32 limit)
{
    machine->random = machine->random * 6364136223846793005ull + 1442695040888963407ull;
    return (u32)(machine->random >> 33) % limit;
}

static inline void machine_init(struct machine *machine, const struct policy *policy,
                                struct policy_parameters parameters)
{
    memset(machine, 0, sizeof(*machine));
    machine->queue.policy = policy;
    machine->queue.parameters = parameters;
    policy->init(&machine->queue);
}

/* A thread that arrives at `arrival` and computes `burst` units `bursts` times. */
static inline struct machine_thread *machine_add(struct machine *machine, u64 arrival, u64 burst,
                                                 u64 wait, u64 bursts)
{
    struct machine_thread *thread = &machine->threads[machine->count++];

    thread->policy.weight = POLICY_WEIGHT_DEFAULT;
    thread->policy.priority = 1;
    thread->wake_at = arrival;
    thread->burst = burst;
    thread->wait = wait;
    thread->bursts_left = bursts;
    return thread;
}

static inline u64 machine_now_ns(const struct machine *machine)
{
    return machine->now * UNIT_NS;
}

static inline void machine_push(struct machine *machine, struct machine_thread *thread,
                                enum policy_push why)
{
    thread->state = MACHINE_READY;
    if (why != POLICY_PUSH_MIGRATED)
        thread->ready_since = machine->now;
    machine->queue.policy->push(&machine->queue, &thread->policy, why, machine_now_ns(machine));
    machine->ask = true;
}

static inline void machine_wake(struct machine *machine)
{
    for (u32 i = 0; i < machine->count; i++) {
        struct machine_thread *thread = &machine->threads[i];

        if (thread->state != MACHINE_WAITING || thread->wake_at != machine->now)
            continue;
        thread->burst_left = thread->burst;
        thread->policy.expected_burst_ns =
            thread->burst == FOR_EVER ? U64_MAX : thread->burst * UNIT_NS;
        thread->policy.remaining_burst_ns = thread->policy.expected_burst_ns;
        machine_push(machine, thread, thread->is_known ? POLICY_PUSH_WOKEN : POLICY_PUSH_NEW);
        thread->is_known = true;
    }
}

static inline void machine_give_way(struct machine *machine, enum policy_push why)
{
    struct machine_thread *thread = machine->running;

    /* The kernel switches a little after it decided to, and charges again. */
    machine->queue.policy->charge(&machine->queue, &thread->policy, 0, machine_now_ns(machine));
    machine->running = NULL;
    machine_push(machine, thread, why);
}

static inline void machine_pick(struct machine *machine)
{
    struct policy_thread *policy =
        machine->queue.policy->pick(&machine->queue, machine_now_ns(machine));
    struct machine_thread *thread;
    u64 waited;

    CHECK(policy != NULL);
    thread = container_of(policy, struct machine_thread, policy);
    CHECK_EQ(thread->state, MACHINE_READY);
    waited = machine->now - thread->ready_since;
    thread->longest_ready = MAX(thread->longest_ready, waited);
    thread->state = MACHINE_RUNNING;
    machine->running = thread;
    machine->turn = 0;
}

static inline u32 machine_ready_count(const struct machine *machine)
{
    u32 ready = 0;

    for (u32 i = 0; i < machine->count; i++)
        ready += machine->threads[i].state == MACHINE_READY;
    return ready;
}

static inline u64 machine_slice_end(struct machine *machine)
{
    struct policy_queue *queue = &machine->queue;
    u64 slice = 0;

    if (machine->running && queue->count > 0)
        slice = queue->policy->slice_ns(queue, &machine->running->policy, machine_now_ns(machine));
    return slice ? machine->now + DIV_ROUND_UP(slice, UNIT_NS) : 0;
}

static inline void machine_dispatch(struct machine *machine)
{
    struct policy_queue *queue = &machine->queue;
    bool must_ask = machine->ask || (machine->ask_at && machine->ask_at <= machine->now);

    if (machine->running && queue->count > 0 && must_ask &&
        queue->policy->should_preempt(queue, &machine->running->policy, machine_now_ns(machine)))
        machine_give_way(machine, POLICY_PUSH_PREEMPTED);
    if (!machine->running && queue->count > 0) {
        machine_pick(machine);
        must_ask = true;
    }
    if (must_ask)
        machine->ask_at = machine_slice_end(machine);
    machine->ask = false;
    CHECK_EQ(queue->count, machine_ready_count(machine));
    CHECK(machine->running || queue->count == 0);
}

static inline void machine_block(struct machine *machine)
{
    struct machine_thread *thread = machine->running;

    machine->queue.policy->block(&machine->queue, &thread->policy, machine_now_ns(machine));
    machine->running = NULL;
    thread->bursts_left--;
    thread->state = thread->bursts_left ? MACHINE_WAITING : MACHINE_ENDED;
    thread->ended_at = machine->now;
    thread->wake_at = machine->now + thread->wait;
}

/* One unit of time. */
static inline void machine_step(struct machine *machine)
{
    struct machine_thread *thread;

    machine_wake(machine);
    machine_dispatch(machine);
    machine->now++;
    thread = machine->running;
    if (!thread)
        return;
    thread->ran++;
    machine->turn++;
    if (thread->burst != FOR_EVER) {
        thread->burst_left--;
        thread->policy.remaining_burst_ns -= UNIT_NS;
    }
    machine->queue.policy->charge(&machine->queue, &thread->policy, UNIT_NS,
                                  machine_now_ns(machine));
    if (thread->burst != FOR_EVER && thread->burst_left == 0)
        machine_block(machine);
}

static inline bool machine_is_over(const struct machine *machine)
{
    for (u32 i = 0; i < machine->count; i++)
        if (machine->threads[i].state != MACHINE_ENDED)
            return false;
    return true;
}

static inline u64 machine_total_turnaround(const struct machine *machine, const u64 *arrivals)
{
    u64 total = 0;

    for (u32 i = 0; i < machine->count; i++)
        total += machine->threads[i].ended_at - arrivals[i];
    return total;
}

/* Takes a random READY thread out and puts it back, as when it migrates to and fro. */
static inline void machine_disturb(struct machine *machine)
{
    struct machine_thread *thread = &machine->threads[random_below(machine, machine->count)];

    if (thread->state != MACHINE_READY)
        return;
    machine->queue.policy->remove(&machine->queue, &thread->policy, machine_now_ns(machine));
    machine_push(machine, thread, POLICY_PUSH_MIGRATED);
}

/* Threads that come, compute, wait and go at random. */
static inline void machine_add_random(struct machine *machine, u32 count)
{
    static const u32 weights[] = {15, 335, 1024, 1024, 1024, 3121, 88761};

    for (u32 i = 0; i < count; i++) {
        struct machine_thread *thread =
            machine_add(machine, random_below(machine, 50), 1 + random_below(machine, 12),
                        1 + random_below(machine, 20), 1 + random_below(machine, 30));

        thread->policy.weight = weights[random_below(machine, ARRAY_SIZE(weights))];
        thread->policy.priority = 1 + random_below(machine, 99);
    }
}

/*
 * Random work with yields and migrations, to its end: machine_step's checks hold throughout, and
 * everybody gets done. (Who yields may be picked again.)
 */
static inline void machine_check_random_work(const struct policy *policy)
{
    static struct machine machine;

    for (u64 seed = 1; seed <= 40; seed++) {
        struct policy_parameters parameters = {.quantum_ns = (1 + seed % 4) * UNIT_NS,
                                               .boost_interval_ns = 50 * UNIT_NS,
                                               .levels = (u32)(seed % 5),
                                               .seed = seed,
                                               .burst_limit_ns = seed % 3 * 4 * UNIT_NS,
                                               .aging = seed % 2 * 10};

        machine_init(&machine, policy, parameters);
        machine.random = seed;
        machine_add_random(&machine, 1 + random_below(&machine, MACHINE_THREADS - 1));
        while (!machine_is_over(&machine)) {
            CHECK_LT(machine.now, 200000);
            if (random_below(&machine, 8) == 0)
                machine_disturb(&machine);
            if (machine.running && random_below(&machine, 16) == 0)
                machine_give_way(&machine, POLICY_PUSH_YIELDED);
            machine_step(&machine);
        }
    }
}

/* sjf, stcf: a burst without an end beside short ones, which wait for no more than the limit. */
static inline void machine_check_burst_limit(const struct policy *policy)
{
    static struct machine machine;
    struct machine_thread *endless, *brief;

    machine_init(&machine, policy, (struct policy_parameters){.burst_limit_ns = 5 * UNIT_NS});
    endless = machine_add(&machine, 0, FOR_EVER, 0, 1);
    brief = machine_add(&machine, 1, 1, 1, 8);
    while (machine.now < 8 * (5 + 1 + 1) + 1)
        machine_step(&machine);
    CHECK_EQ(brief->state, MACHINE_ENDED);
    CHECK_EQ(endless->ran + brief->ran, machine.now);
}

/* sjf, stcf: a long burst that short ones keep from the CPU until its age counts more than them. */
static inline void machine_check_aging(const struct policy *policy)
{
    static struct machine machine;
    struct machine_thread *starving;

    for (u64 aging = 0; aging <= 10; aging += 10) {
        machine_init(&machine, policy, (struct policy_parameters){.aging = aging});
        machine_add(&machine, 0, 2, 1, 1000);
        machine_add(&machine, 0, 2, 1, 1000);
        starving = machine_add(&machine, 0, 20, 0, 1);
        while (machine.now < 20 * 5)
            machine_step(&machine);
        CHECK_EQ(starving->ran, 0);
        while (machine.now < 20 * 20)
            machine_step(&machine);
        CHECK_EQ(starving->state, aging ? MACHINE_ENDED : MACHINE_READY);
    }
}
