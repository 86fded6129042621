/*
 * The random generator: what Python's random.seed(n) and random.random() give.
 * links: host/process_run_random.c
 */
#include "process_run.h"

#include "unit.h"

static double first_of(u64 seed)
{
    struct mersenne_twister generator;

    mersenne_twister_init(&generator, seed);
    return mersenne_twister_next(&generator);
}

TEST(mersenne_twister_begins_as_python_does_with_seeds_of_one_word)
{
    CHECK(first_of(0u) == 0x1.b0580f98a7dbep-1);
    CHECK(first_of(1u) == 0x1.132d8f91b7584p-3);
    CHECK(first_of(42u) == 0x1.4762f307200c5p-1);
    CHECK(first_of(4294967295u) == 0x1.454d9227a7013p-1);
}

TEST(mersenne_twister_begins_as_python_does_with_seeds_of_two_words)
{
    CHECK(first_of(4294967296u) == 0x1.ced31cb3df170p-4);
    CHECK(first_of(4294967301u) == 0x1.4218067c49768p-3);
    CHECK(first_of(18446744073709551615u) == 0x1.659799fd7f980p-6);
}

TEST(mersenne_twister_goes_on_as_python_does_after_many_rounds_of_its_state)
{
    struct mersenne_twister generator;
    double number = 0;

    mersenne_twister_init(&generator, 7);
    for (u32 i = 0; i < 100000; i++)
        number = mersenne_twister_next(&generator);
    CHECK(number == 0x1.8e97cf25112ccp-2);
}
