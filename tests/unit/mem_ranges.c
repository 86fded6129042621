/* The ranges of memory at boot. */
#include "../../kernel/mem/ranges.h"

#include "unit.h"

#define MIB (1ul << 20)

TEST(ranges_remove_from_the_middle_leaves_two)
{
    struct ranges ranges = {0};

    ranges_add(&ranges, 1 * MIB, 10 * MIB);
    ranges_remove(&ranges, 2 * MIB + 1, 3 * MIB - 1);
    CHECK_EQ(ranges.count, 2);
    CHECK_EQ(ranges.range[0].start, 1 * MIB);
    CHECK_EQ(ranges.range[0].bytes, 1 * MIB);
    CHECK_EQ(ranges.range[1].start, 3 * MIB);
    CHECK_EQ(ranges.range[1].bytes, 7 * MIB);
}

TEST(ranges_remove_over_several_takes_parts_of_each)
{
    struct ranges ranges = {0};

    ranges_add(&ranges, 0, 1 * MIB);
    ranges_add(&ranges, 2 * MIB, 3 * MIB);
    ranges_add(&ranges, 4 * MIB, 6 * MIB);
    ranges_remove(&ranges, MIB / 2, 5 * MIB);
    CHECK_EQ(ranges.count, 2);
    CHECK_EQ(ranges.range[0].bytes, MIB / 2);
    CHECK_EQ(ranges.range[1].start, 5 * MIB);
    CHECK_EQ(ranges.range[1].bytes, 1 * MIB);
}

TEST(ranges_take_keeps_limit_and_remainder)
{
    struct ranges ranges = {0};
    phys_addr at;

    ranges_add(&ranges, 1 * MIB, 64 * MIB);
    ranges_add(&ranges, 128 * MIB, 256 * MIB);
    at = ranges_take(&ranges, 3 * MIB, 2 * MIB, 1 * MIB, 32 * MIB);
    CHECK_EQ(at, 29 * MIB);
    CHECK_EQ(ranges.count, 3);
    CHECK_EQ(ranges_take(&ranges, 200 * MIB, PAGE_SIZE, 0, U64_MAX), 0);
    CHECK_EQ(ranges_take(&ranges, PAGE_SIZE, PAGE_SIZE, 0, U64_MAX), 256 * MIB - PAGE_SIZE);
}
