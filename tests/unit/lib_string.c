/* Memory and string functions, beside the C library's: ours are renamed for this program. */
#include "unit.h"

#define memcpy  our_memcpy
#define memmove our_memmove
#define memset  our_memset
#define memcmp  our_memcmp
#define memchr  our_memchr
#define strlen  our_strlen
#define strnlen our_strnlen
#define strcmp  our_strcmp
#define strncmp our_strncmp
#define strchr  our_strchr
#define strrchr our_strrchr
#define strstr  our_strstr
/* The source under test is included; another one is named so that it is not linked too. */
/* links: kernel/lib/radix.c */
#include <lib/string.c>
#undef memcpy
#undef memmove
#undef memset
#undef memcmp
#undef strcmp
#undef strlen

#define LENGTHS 200

static void fill(u8 *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i++)
        at[i] = (u8)(i * 7 + 3);
}

TEST(memcpy_copies_every_length_and_nothing_else)
{
    u8 from[LENGTHS + 16], to[LENGTHS + 16];

    fill(from, sizeof(from));
    for (size_t bytes = 0; bytes <= LENGTHS; bytes++) {
        for (size_t offset = 0; offset < 8; offset++) {
            memset(to, 0xee, sizeof(to));
            CHECK(our_memcpy(to + offset, from + 3, bytes) == to + offset);
            CHECK(memcmp(to + offset, from + 3, bytes) == 0);
            CHECK_EQ(to[offset + bytes], 0xee);
            CHECK(offset == 0 || to[offset - 1] == 0xee);
        }
    }
}

TEST(memmove_moves_either_way_over_itself)
{
    for (size_t bytes = 0; bytes <= LENGTHS; bytes++) {
        for (int distance = -20; distance <= 20; distance++) {
            u8 ours[LENGTHS + 64], theirs[LENGTHS + 64];

            fill(ours, sizeof(ours));
            fill(theirs, sizeof(theirs));
            our_memmove(ours + 32 + distance, ours + 32, bytes);
            memmove(theirs + 32 + distance, theirs + 32, bytes);
            CHECK(memcmp(ours, theirs, sizeof(ours)) == 0);
        }
    }
}

TEST(memset_sets_every_length_and_nothing_else)
{
    for (size_t bytes = 0; bytes <= LENGTHS; bytes++) {
        u8 ours[LENGTHS + 16] = {}, theirs[LENGTHS + 16] = {};

        our_memset(ours + 5, 0xa5, bytes);
        memset(theirs + 5, 0xa5, bytes);
        CHECK(memcmp(ours, theirs, sizeof(ours)) == 0);
    }
}

TEST(memcmp_finds_the_first_difference)
{
    for (size_t at = 0; at < 40; at++) {
        u8 a[40] = {}, b[40] = {};

        b[at] = 1;
        CHECK(our_memcmp(a, b, sizeof(a)) < 0);
        CHECK(our_memcmp(b, a, sizeof(a)) > 0);
        CHECK_EQ(our_memcmp(a, b, at), 0);
    }
}

TEST(strings_are_searched_and_compared)
{
    char text[] = "a path/to/file";

    CHECK_EQ(our_strlen(text), 14);
    CHECK_EQ(our_strnlen(text, 5), 5);
    CHECK(our_strchr(text, '/') == text + 6);
    CHECK(our_strrchr(text, '/') == text + 9);
    CHECK(our_strchr(text, 'z') == NULL);
    CHECK(our_strstr(text, "to") == text + 7);
    CHECK(our_strstr(text, "too") == NULL);
    CHECK(our_strcmp("abc", "abd") < 0 && our_strcmp("b", "abd") > 0 && !our_strcmp("x", "x"));
    CHECK_EQ(our_strncmp("abcd", "abce", 3), 0);
}

TEST(string_copy_cuts_and_says_so)
{
    char buffer[4];

    CHECK_EQ(string_copy(buffer, "abc", sizeof(buffer)), 3);
    CHECK_EQ(string_copy(buffer, "abcd", sizeof(buffer)), -E2BIG);
    CHECK(strcmp(buffer, "abc") == 0);
}

TEST(string_to_u64_takes_all_or_nothing)
{
    u64 value = 0;

    CHECK_EQ(string_to_u64("18446744073709551615", &value), 0);
    CHECK_EQ(value, U64_MAX);
    CHECK_EQ(string_to_u64("0xfF", &value), 0);
    CHECK_EQ(value, 255);
    CHECK_EQ(string_to_u64("18446744073709551616", &value), -ERANGE);
    CHECK_EQ(string_to_u64("12x", &value), -EINVAL);
    CHECK_EQ(string_to_u64("", &value), -EINVAL);
    CHECK_EQ(string_to_u64("0x", &value), -EINVAL);
}
