/* kvmclock's arithmetic. links: kernel/lib/string.c */
#include "unit.h"

#include <arch/x86_64/kvmclock_math.h>

TEST(kvmclock_rate_is_that_of_a_1_ghz_tsc)
{
    CHECK_EQ(kvm_time_tsc_hz(0x80000000u, 1), 1000000000ul);
}

TEST(kvmclock_rate_of_a_tsc_above_1_ghz_has_a_negative_shift)
{
    /* 2.5 GHz: 0.4 ns a tick is (1 >> 1) * 0.8. */
    u64 hz = kvm_time_tsc_hz(3435973837u, -1);

    CHECK(hz > 2499999990ul && hz < 2500000010ul);
}

TEST(kvmclock_without_a_scale_has_no_rate)
{
    CHECK_EQ(kvm_time_tsc_hz(0, 0), 0);
}

TEST(kvmclock_time_goes_on_from_where_it_was_written)
{
    struct kvm_time time = {
        .tsc_at = 1000, .system_ns = 5000, .tsc_to_ns_scale = 0x80000000u, .tsc_shift = 1};

    CHECK_EQ(kvm_time_ns(&time, 1000), 5000);
    CHECK_EQ(kvm_time_ns(&time, 4000), 8000);
}

TEST(kvmclock_time_does_not_overflow_after_years)
{
    struct kvm_time time = {.tsc_to_ns_scale = 3435973837u, .tsc_shift = -1};
    u64 year_ticks = 365ul * 86400 * 2500000000ul;
    u64 ns = kvm_time_ns(&time, year_ticks);

    CHECK(ns > 31535999000000000ul && ns < 31536001000000000ul);
}

TEST(kvmclock_time_is_copied_only_when_it_is_of_one_piece)
{
    struct kvm_time copy, shared = {.version = 3, .system_ns = 7};

    CHECK(!kvm_time_copy(&copy, &shared));
    shared.version = 4;
    CHECK(kvm_time_copy(&copy, &shared));
    CHECK_EQ(copy.system_ns, 7);
}
