/* Exact sums split by samples: parts that add up, keep their shares, and never go backwards. */
#include <pith/time_split.h>

#include "unit.h"

#define MS    1000000ull
#define STEPS 100000

static u64 sum_of(const struct time_split *split)
{
    u64 sum = 0;

    for (u32 part = 0; part < TIME_SPLIT_PARTS; part++)
        sum += split->told_ns[part];
    return sum;
}

TEST(time_split_without_samples_is_all_in_the_part_named)
{
    struct time_split split = {};

    time_split_look(&split, 7, 1);
    CHECK_EQ(split.told_ns[1], 7);
    CHECK_EQ(sum_of(&split), 7);
}

TEST(time_split_gives_each_part_the_share_of_its_samples)
{
    struct time_split split = {.samples = {1, 3, 0, 4}};

    time_split_look(&split, 800 * MS, 1);
    CHECK_EQ(split.told_ns[0], 100 * MS);
    CHECK_EQ(split.told_ns[1], 300 * MS);
    CHECK_EQ(split.told_ns[2], 0);
    CHECK_EQ(split.told_ns[3], 400 * MS);
}

TEST(time_split_takes_nothing_back_when_samples_turn_to_another_part)
{
    struct time_split split = {};

    time_split_look(&split, 9 * MS, 1);
    split.samples[0] = 1;
    time_split_look(&split, 10 * MS, 1);
    CHECK_EQ(split.told_ns[1], 9 * MS);
    CHECK_EQ(split.told_ns[0], 1 * MS);
    split.samples[1] = 1; /* half each: the late one catches up first */
    time_split_look(&split, 18 * MS, 1);
    CHECK_EQ(split.told_ns[1], 9 * MS);
    CHECK_EQ(split.told_ns[0], 9 * MS);
}

TEST(time_split_ignores_a_sum_that_shrank)
{
    struct time_split split = {.samples = {1}};

    time_split_look(&split, 10, 1);
    time_split_look(&split, 9, 1);
    CHECK_EQ(split.told_ns[0], 10);
    CHECK_EQ(sum_of(&split), 10);
}

TEST(time_split_adds_up_and_never_goes_backwards_however_samples_fall)
{
    struct time_split split = {}, before;
    u64 total_ns = 0, random = 1, whole = 0;

    for (u32 step = 0; step < STEPS; step++) {
        random = random * 6364136223846793005ull + 1442695040888963407ull;
        total_ns += (random >> 33) % (step % 100 ? 20 * MS : 3);
        if (random >> 63) {
            split.samples[(random >> 40) % (step < STEPS / 2 ? 2 : 3)]++;
            whole++;
        }
        before = split;
        time_split_look(&split, total_ns, 1);
        CHECK_EQ(sum_of(&split), total_ns);
        for (u32 part = 0; part < TIME_SPLIT_PARTS; part++)
            CHECK_GE(split.told_ns[part], before.told_ns[part]);
        CHECK_EQ(split.told_ns[3], 0);
    }
    for (u32 part = 0; part < 3; part++) {
        u64 share_ns = total_ns / whole * split.samples[part];

        CHECK_LE(split.told_ns[part], share_ns + 20 * MS);
        CHECK_LE(share_ns, split.told_ns[part] + 20 * MS);
    }
}
