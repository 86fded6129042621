/* Which of XSAVE's components are turned on. links: kernel/lib/string.c */
#include "unit.h"

#include <arch/x86_64/fpu.h>

#define LEGACY 0x3ul
#define AVX    0x4ul
#define AVX512 0xe0ul
#define MPX    0x18ul
#define KEYS   0x200ul
#define AMX    0x60000ul

TEST(fpu_components_that_programs_use_are_turned_on)
{
    CHECK_EQ(fpu_components_of(LEGACY), LEGACY);
    CHECK_EQ(fpu_components_of(LEGACY | AVX | AVX512), LEGACY | AVX | AVX512);
}

TEST(fpu_components_that_need_more_than_a_bit_stay_off)
{
    CHECK_EQ(fpu_components_of(LEGACY | AVX | MPX | KEYS | AMX), LEGACY | AVX);
}

TEST(fpu_components_of_avx512_are_taken_together_or_not_at_all)
{
    CHECK_EQ(fpu_components_of(LEGACY | AVX | 0x20ul), LEGACY | AVX);
    CHECK_EQ(fpu_components_of(LEGACY | AVX | 0xc0ul), LEGACY | AVX);
}

TEST(fpu_components_of_avx512_need_avx)
{
    CHECK_EQ(fpu_components_of(LEGACY | AVX512), LEGACY);
}
