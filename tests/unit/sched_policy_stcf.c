/*
 * stcf: the shortest time to completion first.
 * links: kernel/sched/policy_stcf.c kernel/sched/policy_burst.c kernel/lib/tree.c
 */
#include <pith/policy.h>

#include "policy_machine.h"

#define JOBS     4
#define LONGEST  5
#define LAST     9                       /* arrival */
#define TIME_MAX (LAST + JOBS * LONGEST) /* when all is over */
#define STATES   (6 * 6 * 6 * 6)         /* what is left of each job, 0 to LONGEST */

static struct machine machine;

struct jobs {
    u64 arrivals[JOBS];
    u64 bursts[JOBS];
};

static u32 part_of(u32 state, u32 job)
{
    for (; job > 0; job--)
        state /= LONGEST + 1;
    return state % (LONGEST + 1);
}

static u32 step_of(u32 job)
{
    u32 step = 1;

    for (; job > 0; job--)
        step *= LONGEST + 1;
    return step;
}

/*
 * The least total of the ends of all schedules, unit by unit: from `state` at `time` on, either
 * nobody runs or one of those who have arrived does. Filled from the last unit backwards.
 */
static u64 least_ends(const struct jobs *jobs)
{
    static u32 least[TIME_MAX + 1][STATES];
    u32 all = 0;

    for (u32 state = 0; state < STATES; state++)
        least[TIME_MAX][state] = state == 0 ? 0 : 1000000;
    for (u32 time = TIME_MAX; time-- > 0;)
        for (u32 state = 0; state < STATES; state++) {
            u32 best = least[time + 1][state];

            for (u32 job = 0; job < JOBS; job++) {
                u32 left = part_of(state, job), after;

                if (left == 0 || jobs->arrivals[job] > time)
                    continue;
                after = least[time + 1][state - step_of(job)] + (left == 1 ? time + 1 : 0);
                best = MIN(best, after);
            }
            least[time][state] = best;
        }
    for (u32 job = 0; job < JOBS; job++)
        all += (u32)jobs->bursts[job] * step_of(job);
    return least[0][all];
}

TEST(stcf_with_a_limit_lets_others_run_beside_a_burst_without_end)
{
    machine_check_burst_limit(&policy_stcf);
}

TEST(stcf_with_aging_lets_a_long_burst_run_beside_short_ones_that_keep_coming)
{
    machine_check_aging(&policy_stcf);
}

TEST(stcf_keeps_the_cpu_busy_through_random_work)
{
    machine_check_random_work(&policy_stcf);
}

TEST(stcf_has_the_least_average_turnaround_of_all_schedules)
{
    u64 random = 3;

    for (u32 round = 0; round < 100; round++) {
        struct jobs jobs;
        u64 arrivals = 0;

        machine_init(&machine, &policy_stcf, (struct policy_parameters){0});
        machine.random = random;
        for (u32 job = 0; job < JOBS; job++) {
            jobs.arrivals[job] = random_below(&machine, LAST + 1);
            jobs.bursts[job] = 1 + random_below(&machine, LONGEST);
            arrivals += jobs.arrivals[job];
            machine_add(&machine, jobs.arrivals[job], jobs.bursts[job], 0, 1);
        }
        random = machine.random;
        while (!machine_is_over(&machine))
            machine_step(&machine);
        CHECK_EQ(machine_total_turnaround(&machine, jobs.arrivals), least_ends(&jobs) - arrivals);
    }
}

TEST(stcf_interrupts_who_has_more_left)
{
    machine_init(&machine, &policy_stcf, (struct policy_parameters){0});
    machine_add(&machine, 0, 10, 0, 1);
    machine_add(&machine, 4, 5, 0, 1);
    machine_add(&machine, 4, 7, 0, 1);
    while (!machine_is_over(&machine))
        machine_step(&machine);
    CHECK_EQ(machine.threads[1].ended_at, 9);
    CHECK_EQ(machine.threads[0].ended_at, 15);
    CHECK_EQ(machine.threads[2].ended_at, 22);
}
