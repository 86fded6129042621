/* Formatted text, beside the C library's. links: kernel/lib/format.c */
#include "unit.h"

#include <pith/string.h>

#include <stdio.h>

#define BOTH(...)                                                         \
    do {                                                                  \
        char ours[256], theirs[256];                                      \
        int our_length = format_text(ours, sizeof(ours), __VA_ARGS__);    \
        int their_length = snprintf(theirs, sizeof(theirs), __VA_ARGS__); \
        CHECK_EQ(our_length, their_length);                               \
        CHECK(strcmp(ours, theirs) == 0);                                 \
    } while (0)

TEST(format_numbers_like_the_c_library)
{
    long values[] = {0, 1, -1, 9, 10, -123456, 0x7fffffff, -2147483648l, 4294967296l};

    for (int i = 0; i < (int)ARRAY_SIZE(values); i++) {
        BOTH("%ld|%5ld|%-5ld|%05ld|%+ld|% ld|%.3ld|%8.3ld", values[i], values[i], values[i],
             values[i], values[i], values[i], values[i], values[i]);
        BOTH("%lu|%lx|%lX|%lo|%#lx|%#lo", values[i], values[i], values[i], values[i], values[i],
             values[i]);
        BOTH("%d|%u|%hd|%hu|%hhd|%hhu", (int)values[i], (int)values[i], (short)values[i],
             (unsigned short)values[i], (signed char)values[i], (unsigned char)values[i]);
    }
    BOTH("%ld %ld", INT64_MIN, INT64_MAX);
    BOTH("%.0d|%016lx|%-16lx|", 0, 0x1234ul, 0x1234ul);
}

TEST(format_text_and_characters_like_the_c_library)
{
    BOTH("%s|%10s|%-10s|%.2s|%*s|%-*s|%c|%3c|%-3c|%%", "abc", "abc", "abc", "abc", 6, "x", 6, "y",
         'c', 'd', 'e');
    BOTH("plain");
}

TEST(format_cuts_at_the_size_and_returns_the_whole_length)
{
    char buffer[6] = "xxxxx";

    CHECK_EQ(format_text(buffer, 4, "%s", "abcdef"), 6);
    CHECK(strcmp(buffer, "abc") == 0 && buffer[4] == 'x');
    CHECK_EQ(format_text_clipped(buffer, 4, "%s", "abcdef"), 3);
    CHECK_EQ(format_text(buffer, 0, "%s", "abcdef"), 6);
}
