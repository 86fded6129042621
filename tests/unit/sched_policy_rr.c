/*
 * rr: fifo in which equals take turns.
 * links: kernel/sched/policy_rr.c kernel/sched/policy_fifo.c
 */
#include <pith/policy.h>

#include "policy_machine.h"

#define QUANTUM 4

static struct machine machine;
static const struct policy_parameters parameters = {.quantum_ns = QUANTUM * UNIT_NS};

TEST(rr_keeps_the_cpu_busy_through_random_work)
{
    machine_check_random_work(&policy_rr);
}

TEST(rr_lets_equals_run_a_quantum_each_in_turn)
{
    machine_init(&machine, &policy_rr, parameters);
    for (u32 i = 0; i < 3; i++)
        machine_add(&machine, 0, FOR_EVER, 0, 1);
    for (u32 unit = 0; unit < 120; unit++) {
        machine_step(&machine);
        CHECK(machine.running == &machine.threads[unit / QUANTUM % 3]);
    }
}

TEST(rr_lets_nobody_wait_longer_than_a_quantum_for_each_of_his_equals)
{
    machine_init(&machine, &policy_rr, parameters);
    for (u32 i = 0; i < 20; i++)
        machine_add(&machine, i, i % 3 ? FOR_EVER : 1 + i, 1 + i, 1000);
    while (machine.now < 5000)
        machine_step(&machine);
    for (u32 i = 0; i < 20; i++)
        CHECK_LE(machine.threads[i].longest_ready, 19 * QUANTUM);
}

TEST(rr_keeps_the_rest_of_the_quantum_of_who_was_preempted)
{
    machine_init(&machine, &policy_rr, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    machine_add(&machine, 1, 2, 0, 1)->policy.priority = 9;
    while (machine.now < QUANTUM + 2)
        machine_step(&machine);
    CHECK_EQ(machine.threads[0].ran, QUANTUM);
    machine_step(&machine);
    CHECK(machine.running == &machine.threads[1]);
}

TEST(rr_runs_a_higher_priority_without_turns)
{
    machine_init(&machine, &policy_rr, parameters);
    machine_add(&machine, 0, FOR_EVER, 0, 1);
    machine_add(&machine, 0, 100, 0, 1)->policy.priority = 2;
    while (machine.now < 100)
        machine_step(&machine);
    CHECK_EQ(machine.threads[0].ran, 0);
    CHECK_EQ(machine.threads[1].ended_at, 100);
}

TEST(rr_and_fifo_threads_share_one_queue)
{
    struct machine_thread *fifo, *rr;

    machine_init(&machine, &policy_rr, parameters);
    fifo = machine_add(&machine, 0, FOR_EVER, 0, 1);
    rr = machine_add(&machine, 0, FOR_EVER, 0, 1);
    policy_fifo.push(&machine.queue, &fifo->policy, POLICY_PUSH_NEW, 0);
    policy_rr.push(&machine.queue, &rr->policy, POLICY_PUSH_NEW, 0);
    CHECK(policy_rr.pick(&machine.queue, 0) == &fifo->policy);
    policy_fifo.charge(&machine.queue, &fifo->policy, 100 * UNIT_NS, 100 * UNIT_NS);
    CHECK(!policy_fifo.should_preempt(&machine.queue, &fifo->policy, 100 * UNIT_NS));
    CHECK_EQ(policy_fifo.slice_ns(&machine.queue, &fifo->policy, 100 * UNIT_NS), 0);
    policy_fifo.push(&machine.queue, &fifo->policy, POLICY_PUSH_YIELDED, 100 * UNIT_NS);
    CHECK(policy_fifo.pick(&machine.queue, 100 * UNIT_NS) == &rr->policy);
    policy_rr.charge(&machine.queue, &rr->policy, QUANTUM * UNIT_NS, 104 * UNIT_NS);
    CHECK(policy_rr.should_preempt(&machine.queue, &rr->policy, 104 * UNIT_NS));
}
