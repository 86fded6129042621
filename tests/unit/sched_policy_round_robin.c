/* round_robin: everybody in turn. links: kernel/sched/policy_round_robin.c */
#include <pith/policy.h>

#include "policy_machine.h"

#define QUANTUM 3

static struct machine machine;
static const struct policy_parameters parameters = {.quantum_ns = QUANTUM * UNIT_NS};

TEST(round_robin_keeps_the_cpu_busy_through_random_work)
{
    machine_check_random_work(&policy_round_robin);
}

TEST(round_robin_lets_all_run_a_quantum_each_in_turn)
{
    machine_init(&machine, &policy_round_robin, parameters);
    for (u32 i = 0; i < 7; i++)
        machine_add(&machine, 0, FOR_EVER, 0, 1);
    for (u32 unit = 0; unit < 210; unit++) {
        machine_step(&machine);
        CHECK(machine.running == &machine.threads[unit / QUANTUM % 7]);
    }
}

TEST(round_robin_lets_nobody_wait_longer_than_a_quantum_for_each_of_the_others)
{
    for (u64 seed = 1; seed <= 20; seed++) {
        machine_init(&machine, &policy_round_robin, parameters);
        machine.random = seed;
        machine_add_random(&machine, 30);
        while (!machine_is_over(&machine))
            machine_step(&machine);
        for (u32 i = 0; i < 30; i++)
            CHECK_LE(machine.threads[i].longest_ready, 29 * QUANTUM);
    }
}

TEST(round_robin_lets_who_was_alone_for_longer_than_a_turn_give_way_at_once)
{
    machine_init(&machine, &policy_round_robin, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    machine_add(&machine, 2 * QUANTUM + 1, FOR_EVER, 0, 1);
    while (machine.now < 2 * QUANTUM + 2)
        machine_step(&machine);
    CHECK_EQ(machine.threads[1].ran, 1);
}
