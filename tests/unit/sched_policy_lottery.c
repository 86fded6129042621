/*
 * lottery: chances as the tickets say.
 * links: kernel/sched/policy_lottery.c kernel/lib/tree.c
 */
#include <pith/policy.h>

#include "policy_machine.h"

#define QUANTUM 2
#define DRAWS   20000
#define SIGMAS  4.5 /* one test in 100,000 would fail by chance; the seeds are fixed */

static struct machine machine;

static void lottery_machine(u64 seed)
{
    machine_init(&machine, &policy_lottery,
                 (struct policy_parameters){.quantum_ns = QUANTUM * UNIT_NS, .seed = seed});
}

/* Whether `won` of DRAWS draws is what a thread of `tickets` of `all` may expect. */
static bool is_likely(u64 won, u32 tickets, u32 all)
{
    double share = (double)tickets / all, error = (double)won - DRAWS * share;

    return error * error <= SIGMAS * SIGMAS * DRAWS * share * (1 - share);
}

TEST(lottery_keeps_the_cpu_busy_through_random_work)
{
    machine_check_random_work(&policy_lottery);
}

TEST(lottery_shares_are_as_the_tickets_within_statistical_bounds)
{
    static const u32 tickets[] = {1, 2, 3, 10, 50, 100, 834};
    u32 all = 1000;

    for (u64 seed = 1; seed <= 10; seed++) {
        lottery_machine(seed);
        for (u32 i = 0; i < ARRAY_SIZE(tickets); i++)
            machine_add(&machine, 0, FOR_EVER, 0, 1)->policy.weight = tickets[i];
        while (machine.now < (u64)DRAWS * QUANTUM)
            machine_step(&machine);
        for (u32 i = 0; i < ARRAY_SIZE(tickets); i++)
            CHECK(is_likely(machine.threads[i].ran / QUANTUM, tickets[i], all));
    }
}

TEST(lottery_draws_are_independent_of_the_last_winner)
{
    u32 same = 0;
    const struct machine_thread *last = NULL;

    lottery_machine(7);
    for (u32 i = 0; i < 4; i++)
        machine_add(&machine, 0, FOR_EVER, 0, 1);
    for (u32 draw = 0; draw < DRAWS; draw++) {
        for (u32 unit = 0; unit < QUANTUM; unit++)
            machine_step(&machine);
        same += machine.running == last;
        last = machine.running;
    }
    CHECK(is_likely(same, 1, 4));
}

TEST(lottery_starves_nobody_who_has_a_ticket)
{
    lottery_machine(3);
    machine_add(&machine, 0, FOR_EVER, 0, 1)->policy.weight = 1;
    machine_add(&machine, 0, FOR_EVER, 0, 1)->policy.weight = 99;
    while (machine.now < (u64)DRAWS * QUANTUM)
        machine_step(&machine);
    /* A gap of n draws has the chance 0.99^n; 20,000 draws hold 200 gaps. */
    CHECK_LE(machine.threads[0].longest_ready, 1600 * QUANTUM);
    CHECK_GT(machine.threads[0].ran, 0);
}

TEST(lottery_gives_the_same_seed_the_same_winners)
{
    u64 first[8];

    for (u32 run = 0; run < 2; run++) {
        lottery_machine(99);
        for (u32 i = 0; i < 8; i++)
            machine_add(&machine, 0, FOR_EVER, 0, 1)->policy.weight = 1 + i;
        while (machine.now < 1000)
            machine_step(&machine);
        for (u32 i = 0; i < 8; i++) {
            if (run == 0)
                first[i] = machine.threads[i].ran;
            CHECK_EQ(machine.threads[i].ran, first[i]);
        }
    }
}
