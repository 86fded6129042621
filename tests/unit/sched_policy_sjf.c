/*
 * sjf: the shortest burst first.
 * links: kernel/sched/policy_sjf.c kernel/sched/policy_burst.c kernel/lib/tree.c
 */
#include <pith/policy.h>

#include "policy_machine.h"

#define JOBS 6

static struct machine machine;

/* The least total turnaround of all orders in which the bursts that `left` names can run. */
static u64 least_turnaround(const u64 *bursts, u32 left, u64 now)
{
    u64 least = left ? U64_MAX : 0;

    for (u32 i = 0; i < JOBS; i++) {
        u64 end = now + bursts[i], total;

        if (!(left & BIT(i)))
            continue;
        total = end + least_turnaround(bursts, left & ~BIT(i), end);
        least = MIN(least, total);
    }
    return least;
}

TEST(sjf_with_a_limit_lets_others_run_beside_a_burst_without_end)
{
    machine_check_burst_limit(&policy_sjf);
}

TEST(sjf_with_aging_lets_a_long_burst_run_beside_short_ones_that_keep_coming)
{
    machine_check_aging(&policy_sjf);
}

TEST(sjf_keeps_the_cpu_busy_through_random_work)
{
    machine_check_random_work(&policy_sjf);
}

TEST(sjf_has_the_least_average_turnaround_of_all_orders_when_all_arrive_together)
{
    static const u64 arrivals[JOBS];
    u64 random = 5;

    for (u32 round = 0; round < 200; round++) {
        u64 bursts[JOBS];

        machine_init(&machine, &policy_sjf, (struct policy_parameters){0});
        machine.random = random;
        for (u32 i = 0; i < JOBS; i++) {
            bursts[i] = 1 + random_below(&machine, 9);
            machine_add(&machine, 0, bursts[i], 0, 1);
        }
        random = machine.random;
        while (!machine_is_over(&machine))
            machine_step(&machine);
        CHECK_EQ(machine_total_turnaround(&machine, arrivals),
                 least_turnaround(bursts, BIT(JOBS) - 1, 0));
    }
}

TEST(sjf_does_not_interrupt_a_long_burst_for_a_short_one)
{
    machine_init(&machine, &policy_sjf, (struct policy_parameters){0});
    machine_add(&machine, 0, 100, 0, 1);
    machine_add(&machine, 1, 1, 0, 1);
    while (!machine_is_over(&machine))
        machine_step(&machine);
    CHECK_EQ(machine.threads[0].ended_at, 100);
}

TEST(sjf_keeps_equals_in_the_order_of_their_arrival)
{
    machine_init(&machine, &policy_sjf, (struct policy_parameters){0});
    for (u32 i = 0; i < 10; i++)
        machine_add(&machine, 0, 5, 0, 1);
    while (!machine_is_over(&machine))
        machine_step(&machine);
    for (u32 i = 0; i < 10; i++)
        CHECK_EQ(machine.threads[i].ended_at, 5 * (i + 1));
}
