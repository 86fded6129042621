/*
 * fair: lag within its bound, and what follows from that.
 * links: kernel/sched/policy_fair.c kernel/lib/tree.c
 */
#include <pith/policy.h>

#include "policy_machine.h"

#define QUANTUM 3

static struct machine machine;
static const struct policy_parameters parameters = {.quantum_ns = QUANTUM * UNIT_NS};

static bool is_active(const struct machine_thread *thread)
{
    return thread->state == MACHINE_READY || thread->state == MACHINE_RUNNING;
}

/* The weighted average of the virtual times of all active threads, rounded down, from scratch. */
static u64 average(void)
{
    __int128 sum = 0, weight = 0, step;
    u64 base = 0;

    for (u32 i = 0; i < machine.count; i++) {
        const struct policy_thread *thread = &machine.threads[i].policy;

        if (!is_active(&machine.threads[i]))
            continue;
        if (weight == 0)
            base = thread->virtual_ns;
        sum += (__int128)(s64)(thread->virtual_ns - base) * thread->weight;
        weight += thread->weight;
    }
    step = sum / weight - (sum < 0 && sum % weight != 0);
    return base + (u64)step;
}

/* The lag in time on the CPU. */
static s64 lag_of(const struct machine_thread *thread)
{
    s64 virtual_lag = (s64)(machine.queue.virtual_now_ns - thread->policy.virtual_ns);

    return virtual_lag * thread->policy.weight / (s64)POLICY_WEIGHT_DEFAULT;
}

/* Rounding: a unit of virtual time is up to 1/weight of real, and lag that is kept is rounded. */
static void check_lags(s64 bound)
{
    for (u32 i = 0; i < machine.count; i++) {
        if (!is_active(&machine.threads[i]))
            continue;
        CHECK_LE(lag_of(&machine.threads[i]), bound);
        CHECK_GE(lag_of(&machine.threads[i]), -bound);
    }
}

TEST(fair_keeps_the_cpu_busy_through_random_work)
{
    machine_check_random_work(&policy_fair);
}

TEST(fair_virtual_now_is_the_average_of_all_active_threads)
{
    for (u64 seed = 1; seed <= 20; seed++) {
        machine_init(&machine, &policy_fair, parameters);
        machine.random = seed;
        machine_add_random(&machine, 25);
        while (!machine_is_over(&machine)) {
            machine_step(&machine);
            if (machine.running || machine.queue.count)
                CHECK_EQ(machine.queue.virtual_now_ns, average());
        }
    }
}

TEST(fair_lag_stays_within_a_quantum_while_threads_compute_and_new_ones_come)
{
    for (u64 seed = 1; seed <= 20; seed++) {
        machine_init(&machine, &policy_fair, parameters);
        machine.random = seed;
        for (u32 i = 0; i < 15; i++)
            machine_add(&machine, random_below(&machine, 3000), FOR_EVER, 0, 1)->policy.weight =
                15 + random_below(&machine, 4000);
        while (machine.now < 5000) {
            machine_step(&machine);
            check_lags(QUANTUM * UNIT_NS + 100);
        }
    }
}

/* Who joins or leaves with a lag of his own shifts the others': a quantum is no bound there. */
TEST(fair_lag_stays_within_four_quanta_while_threads_come_wait_and_go)
{
    for (u64 seed = 1; seed <= 60; seed++) {
        machine_init(&machine, &policy_fair, parameters);
        machine.random = seed;
        machine_add_random(&machine, 30);
        while (!machine_is_over(&machine)) {
            machine_step(&machine);
            check_lags(4 * QUANTUM * UNIT_NS);
        }
    }
}

TEST(fair_shares_are_as_the_weights_within_a_quantum)
{
    static const u32 weights[] = {1024, 2048, 512, 335, 88761};
    u64 all = 0;

    machine_init(&machine, &policy_fair, parameters);
    for (u32 i = 0; i < ARRAY_SIZE(weights); i++) {
        machine_add(&machine, 0, FOR_EVER, 0, 1)->policy.weight = weights[i];
        all += weights[i];
    }
    while (machine.now < 100000)
        machine_step(&machine);
    for (u32 i = 0; i < ARRAY_SIZE(weights); i++) {
        u64 expected = machine.now * weights[i] / all;

        CHECK_LE(machine.threads[i].ran, expected + QUANTUM + 1);
        CHECK_GE(machine.threads[i].ran + QUANTUM + 1, expected);
    }
}

TEST(fair_starves_nobody)
{
    machine_init(&machine, &policy_fair, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    for (u32 i = 0; i < 20; i++)
        machine_add(&machine, i, 1 + i % 3, 1 + i % 5, FOR_EVER);
    while (machine.now < 20000)
        machine_step(&machine);
    /* Equal weights: a request is due after a quantum for each, and late by one at most. */
    for (u32 i = 0; i < machine.count; i++)
        CHECK_LE(machine.threads[i].longest_ready, (21 + 2) * QUANTUM);
}

TEST(fair_runs_a_request_to_its_end)
{
    machine_init(&machine, &policy_fair, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    for (u32 i = 0; i < 10; i++)
        machine_add(&machine, 1 + i, 1, 20, FOR_EVER);
    machine_step(&machine);
    machine_step(&machine);
    machine_step(&machine);
    CHECK_EQ(machine.threads[0].ran, QUANTUM);
}

TEST(fair_lets_nobody_who_slept_catch_up_by_more_than_a_quantum)
{
    struct machine_thread *sleeper;

    machine_init(&machine, &policy_fair, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    sleeper = machine_add(&machine, 0, 200, 1000, 10);
    while (machine.threads[1].state != MACHINE_WAITING || machine.now == 0)
        machine_step(&machine);
    while (machine.now < sleeper->wake_at)
        machine_step(&machine);
    sleeper->ran = machine.threads[0].ran = 0;
    for (u32 unit = 0; unit < 100; unit++) {
        machine_step(&machine);
        CHECK_LE(sleeper->ran, machine.threads[0].ran + 2 * QUANTUM);
    }
}

TEST(fair_lets_nobody_be_rid_of_a_debt_by_a_short_sleep)
{
    machine_init(&machine, &policy_fair, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1)->policy.weight = 900;
    machine_add(&machine, 0, 1, 1, FOR_EVER)->policy.weight = 100;
    while (machine.now < 5000)
        machine_step(&machine);
    CHECK_LE(machine.threads[1].ran, 500 + QUANTUM);
}

TEST(fair_debt_shrinks_while_its_thread_sleeps)
{
    struct machine_thread *thread;

    machine_init(&machine, &policy_fair, parameters);
    thread = machine_add(&machine, 0, 2, 500, 2);
    for (u32 i = 0; i < 5; i++)
        machine_add(&machine, 0, FOR_EVER, 0, 1);
    while (thread->state != MACHINE_WAITING || machine.now == 0)
        machine_step(&machine);
    CHECK_LT(thread->policy.lag_ns, -(s64)UNIT_NS);
    while (machine.now < thread->wake_at)
        machine_step(&machine);
    machine_wake(&machine);
    CHECK_GE(lag_of(thread), -100);
}

static bool another_is_eligible(const struct machine_thread *thread)
{
    for (u32 i = 0; i < machine.count; i++) {
        const struct machine_thread *other = &machine.threads[i];

        if (other != thread && other->state == MACHINE_READY && lag_of(other) >= 0)
            return true;
    }
    return false;
}

TEST(fair_yield_lets_everybody_go_first_who_is_owed_time)
{
    machine_init(&machine, &policy_fair, parameters);
    for (u32 i = 0; i < 12; i++)
        machine_add(&machine, i, 1 + i, 1 + i % 5, FOR_EVER);
    while (machine.now < 5000) {
        struct machine_thread *yielding = machine.running;
        bool must_wait = yielding && another_is_eligible(yielding);

        if (yielding && random_below(&machine, 2)) {
            machine_give_way(&machine, POLICY_PUSH_YIELDED);
            machine_dispatch(&machine);
            CHECK(!must_wait || machine.running != yielding);
        }
        machine_step(&machine);
    }
}

TEST(fair_weight_may_change_while_a_thread_runs)
{
    machine_init(&machine, &policy_fair, parameters);
    for (u32 i = 0; i < 4; i++)
        machine_add(&machine, 0, FOR_EVER, 0, 1);
    while (machine.now < 1000) {
        machine_step(&machine);
        machine.running->policy.weight = 15 + random_below(&machine, 80000);
        policy_fair.charge(&machine.queue, &machine.running->policy, 0, machine_now_ns(&machine));
        CHECK_EQ(machine.queue.virtual_now_ns, average());
    }
}
