/* fifo: priorities, and the order of arrival among equals. links: kernel/sched/policy_fifo.c */
#include <pith/policy.h>

#include "policy_machine.h"

static struct machine machine;

TEST(fifo_keeps_the_cpu_busy_through_random_work)
{
    machine_check_random_work(&policy_fifo);
}

TEST(fifo_runs_equals_in_the_order_of_their_arrival_each_to_its_end)
{
    machine_init(&machine, &policy_fifo, (struct policy_parameters){0});
    for (u32 i = 0; i < 5; i++)
        machine_add(&machine, i, 10, 0, 1);
    for (u32 unit = 0; unit < 50; unit++) {
        machine_step(&machine);
        CHECK_EQ(machine.threads[unit / 10].ran, unit % 10 + 1);
    }
    CHECK(machine_is_over(&machine));
}

TEST(fifo_gives_a_woken_higher_priority_the_cpu_at_once)
{
    struct machine_thread *high;

    machine_init(&machine, &policy_fifo, (struct policy_parameters){0});
    machine_add(&machine, 0, 100, 0, 1);
    high = machine_add(&machine, 7, 3, 10, 5);
    high->policy.priority = 50;
    for (u32 unit = 0; unit < 90; unit++) {
        machine_step(&machine);
        CHECK(high->state != MACHINE_READY);
    }
    CHECK_EQ(high->ran, 15);
}

TEST(fifo_puts_who_was_preempted_before_his_equals)
{
    struct machine_thread *first;

    machine_init(&machine, &policy_fifo, (struct policy_parameters){0});
    first = machine_add(&machine, 0, 10, 0, 1);
    machine_add(&machine, 0, 10, 0, 1);
    machine_add(&machine, 5, 2, 0, 1)->policy.priority = 9;
    while (machine.now < 12)
        machine_step(&machine);
    CHECK_EQ(first->ended_at, 12);
}

TEST(fifo_puts_who_yields_behind_his_equals)
{
    machine_init(&machine, &policy_fifo, (struct policy_parameters){0});
    machine_add(&machine, 0, 10, 0, 1);
    machine_add(&machine, 0, 10, 0, 1);
    machine_step(&machine);
    machine_give_way(&machine, POLICY_PUSH_YIELDED);
    machine_step(&machine);
    CHECK_EQ(machine.threads[0].ran, 1);
    CHECK_EQ(machine.threads[1].ran, 1);
}

TEST(fifo_orders_all_posix_priorities)
{
    machine_init(&machine, &policy_fifo, (struct policy_parameters){0});
    for (u32 i = 0; i < MACHINE_THREADS; i++)
        machine_add(&machine, 0, 1, 0, 1)->policy.priority = i < 40 ? 1 + i : 99 - (i - 40);
    for (u32 last = 99, unit = 0; unit < MACHINE_THREADS; unit++) {
        u32 priority = 0;

        machine_step(&machine);
        for (u32 i = 0; i < MACHINE_THREADS; i++)
            if (machine.threads[i].state == MACHINE_ENDED &&
                machine.threads[i].ended_at == unit + 1)
                priority = machine.threads[i].policy.priority;
        CHECK_LE(priority, last);
        last = priority;
    }
}
