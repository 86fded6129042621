/* mlfq: its five rules. links: kernel/sched/policy_mlfq.c */
#include <pith/policy.h>

#include "policy_machine.h"

#define QUANTUM 2
#define LEVELS  4
#define BOOST   200

static struct machine machine;
static const struct policy_parameters parameters = {
    .quantum_ns = QUANTUM * UNIT_NS, .boost_interval_ns = BOOST * UNIT_NS, .levels = LEVELS};

static u32 level_of(const struct machine_thread *thread)
{
    return thread->policy.boost == machine.queue.boost ? thread->policy.level : 0;
}

static u64 quantum_of(u32 level)
{
    return (u64)QUANTUM << level;
}

static void random_machine(u64 seed)
{
    machine_init(&machine, &policy_mlfq, parameters);
    machine.random = seed;
    machine_add_random(&machine, 20);
}

TEST(mlfq_keeps_the_cpu_busy_through_random_work)
{
    machine_check_random_work(&policy_mlfq);
}

TEST(mlfq_rule_1_nobody_runs_while_a_higher_level_waits)
{
    for (u64 seed = 1; seed <= 20; seed++) {
        random_machine(seed);
        while (!machine_is_over(&machine)) {
            struct machine_thread *ran;
            u32 level;

            machine_wake(&machine);
            machine_dispatch(&machine);
            ran = machine.running;
            level = ran ? level_of(ran) : 0;
            for (u32 i = 0; i < machine.count; i++)
                if (machine.threads[i].state == MACHINE_READY)
                    CHECK_GE(level_of(&machine.threads[i]), level);
            machine_step(&machine);
        }
    }
}

TEST(mlfq_rule_2_equals_take_turns_of_a_quantum_that_doubles_with_each_level_down)
{
    machine_init(&machine, &policy_mlfq,
                 (struct policy_parameters){.quantum_ns = QUANTUM * UNIT_NS,
                                            .boost_interval_ns = 1000000 * UNIT_NS,
                                            .levels = LEVELS});
    for (u32 i = 0; i < 3; i++)
        machine_add(&machine, 0, FOR_EVER, 0, 1);
    for (u32 round = 0; round < 10; round++) {
        u32 level = MIN(round, LEVELS - 1u);

        for (u64 unit = 0; unit < 3 * quantum_of(level); unit++) {
            machine_step(&machine);
            CHECK(machine.running == &machine.threads[unit / quantum_of(level)]);
        }
    }
}

TEST(mlfq_rule_3_a_new_thread_starts_at_the_top)
{
    machine_init(&machine, &policy_mlfq, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    machine_add(&machine, 50, FOR_EVER, 0, 1);
    while (machine.now < 51)
        machine_step(&machine);
    CHECK_EQ(level_of(&machine.threads[0]), LEVELS - 1);
    CHECK(machine.running == &machine.threads[1]);
    CHECK_EQ(level_of(&machine.threads[1]), 0);
}

/* Time at a level counts whether it is used at once or in bursts of any length. */
TEST(mlfq_rule_4_a_quantum_used_in_any_pieces_moves_a_thread_down)
{
    for (u64 burst = 1; burst <= 8; burst++) {
        struct machine_thread *thread;
        u64 used = 0;

        machine_init(&machine, &policy_mlfq, parameters);
        machine_add(&machine, 0, FOR_EVER, 0, 1);
        thread = machine_add(&machine, 0, burst, 3, 1000);
        for (u32 level = 0; level < LEVELS - 1 && machine.now < BOOST; level++) {
            used += quantum_of(level);
            while (thread->ran < used) {
                CHECK_EQ(level_of(thread), level);
                machine_step(&machine);
            }
            CHECK_EQ(level_of(thread), level + 1);
        }
    }
}

TEST(mlfq_rule_5_each_boost_brings_everybody_to_the_top)
{
    machine_init(&machine, &policy_mlfq, parameters);
    for (u32 i = 0; i < 10; i++)
        machine_add(&machine, 0, i < 5 ? FOR_EVER : 3, 90, 1000);
    for (u32 boost = 1; boost < 10; boost++) {
        while (machine.now < boost * BOOST)
            machine_step(&machine);
        machine_wake(&machine);
        machine_dispatch(&machine);
        for (u32 i = 0; i < 10; i++)
            CHECK_EQ(level_of(&machine.threads[i]), 0);
    }
}

TEST(mlfq_starves_nobody_longer_than_the_boost_interval_and_a_round)
{
    u64 longest = 0;

    machine_init(&machine, &policy_mlfq, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    for (u32 i = 0; i < 8; i++)
        machine_add(&machine, i, 1, 1 + i % 2, FOR_EVER);
    while (machine.now < 20 * BOOST)
        machine_step(&machine);
    for (u32 i = 0; i < machine.count; i++)
        longest = MAX(longest, machine.threads[i].longest_ready);
    CHECK_LE(longest, BOOST + 9 * QUANTUM);
    CHECK_GE(machine.threads[0].ran, 15 * QUANTUM);
}

/* One that gives up the CPU for an instant just before its quantum ends, against one that computes.
 */
static u64 units_of_the_gamer(enum policy_mlfq_account account)
{
    struct policy_parameters gamed = parameters;

    gamed.quantum_ns = 10 * UNIT_NS;
    gamed.mlfq_account = account;
    machine_init(&machine, &policy_mlfq, gamed);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    machine_add(&machine, 0, 9, 1, FOR_EVER);
    while (machine.now < BOOST)
        machine_step(&machine);
    return machine.threads[1].ran;
}

TEST(mlfq_is_gamed_only_where_a_wait_forgives_the_time_used)
{
    CHECK_GE(units_of_the_gamer(POLICY_MLFQ_ACCOUNT_LOST), BOOST * 80 / 100);
    CHECK_LE(units_of_the_gamer(POLICY_MLFQ_ACCOUNT_KEPT), BOOST * 60 / 100);
}

TEST(mlfq_takes_a_long_time_that_was_charged_at_once_from_all_levels_it_fills)
{
    struct machine_thread *thread;

    machine_init(&machine, &policy_mlfq, parameters);
    thread = machine_add(&machine, 0, FOR_EVER, 0, 1);
    machine_wake(&machine);
    machine_dispatch(&machine);
    policy_mlfq.charge(&machine.queue, &thread->policy, 100 * UNIT_NS, 100 * UNIT_NS);
    CHECK_EQ(level_of(thread), LEVELS - 1);
    /* 2 + 4 + 8, then 86 in turns of 16: 6 into the sixth. */
    CHECK_EQ(thread->policy.level_used_ns, 6 * UNIT_NS);
}
