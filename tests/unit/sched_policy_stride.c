/*
 * stride: shares within one quantum.
 * links: kernel/sched/policy_stride.c kernel/lib/tree.c
 */
#include <pith/policy.h>

#include "policy_machine.h"

#define QUANTUM 4

static struct machine machine;
static const struct policy_parameters parameters = {.quantum_ns = QUANTUM * UNIT_NS};

/*
 * How far two threads' times are from what their tickets say of the sum of both, in units: times
 * (a + b), so that nothing is rounded.
 */
static u64 error_of_pair(const struct machine_thread *a, const struct machine_thread *b)
{
    u64 left = a->ran * b->policy.weight, right = b->ran * a->policy.weight;

    return left > right ? left - right : right - left;
}

TEST(stride_keeps_the_cpu_busy_through_random_work)
{
    machine_check_random_work(&policy_stride);
}

TEST(stride_shares_of_each_pair_are_within_one_quantum_at_every_instant)
{
    for (u64 seed = 1; seed <= 10; seed++) {
        machine_init(&machine, &policy_stride, parameters);
        machine.random = seed;
        for (u32 i = 0; i < 12; i++)
            machine_add(&machine, 0, FOR_EVER, 0, 1)->policy.weight =
                1 + random_below(&machine, 1000);
        while (machine.now < 5000) {
            machine_step(&machine);
            for (u32 i = 0; i < machine.count; i++)
                for (u32 j = 0; j < i; j++) {
                    struct machine_thread *a = &machine.threads[i], *b = &machine.threads[j];

                    CHECK_LE(error_of_pair(a, b),
                             (u64)QUANTUM * (a->policy.weight + b->policy.weight));
                }
        }
    }
}

TEST(stride_lets_nobody_who_slept_catch_up_by_more_than_a_quantum)
{
    struct machine_thread *sleeper;

    machine_init(&machine, &policy_stride, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    sleeper = machine_add(&machine, 0, 100, 1000, 10);
    while (machine.now < 1200)
        machine_step(&machine);
    /* It slept from 200 on; back again, it takes turns. */
    sleeper->ran = machine.threads[0].ran = 0;
    for (u32 unit = 0; unit < 100; unit++) {
        machine_step(&machine);
        CHECK_LE(sleeper->ran, machine.threads[0].ran + QUANTUM);
    }
}

TEST(stride_lets_nobody_who_joins_late_catch_up_on_who_ran_alone)
{
    machine_init(&machine, &policy_stride, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    machine_add(&machine, 1000, FOR_EVER, 0, 1);
    while (machine.now < 1100)
        machine_step(&machine);
    CHECK_LE(machine.threads[1].ran, 50 + QUANTUM);
    CHECK_GE(machine.threads[1].ran, 50 - QUANTUM);
}

TEST(stride_lets_nobody_be_rid_of_a_debt_by_a_short_sleep)
{
    machine_init(&machine, &policy_stride, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1)->policy.weight = 900;
    machine_add(&machine, 0, 1, 1, FOR_EVER)->policy.weight = 100;
    while (machine.now < 5000)
        machine_step(&machine);
    CHECK_LE(machine.threads[1].ran, 500 + QUANTUM);
}

TEST(stride_starves_nobody)
{
    machine_init(&machine, &policy_stride, parameters);
    for (u32 i = 0; i < 30; i++)
        machine_add(&machine, i * 10, i % 4 ? FOR_EVER : 5, 7, FOR_EVER)->policy.weight = 1 + i;
    while (machine.now < 20000)
        machine_step(&machine);
    /* A thread of w tickets of 465 waits 465 / w quanta, and one more for each of the others. */
    for (u32 i = 0; i < 30; i++)
        CHECK_LE(machine.threads[i].longest_ready, QUANTUM * (465 / (1 + i) + 30));
}
