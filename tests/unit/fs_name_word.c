/*
 * Names by words: ends, hashes and comparisons against loops over bytes.
 * links: kernel/lib/string.c
 */
#include "fs/name_word.h"

#include "unit.h"

#define NAME_MOST    40u
#define NAME_PADDING 8u /* so that the test reads nothing but its own */

static u64 random_state = 5;

static u32 random_below(u32 limit)
{
    random_state = random_state * 6364136223846793005ul + 1442695040888963407ul;
    return (u32)(random_state >> 33) % limit;
}

/* A name of `bytes` characters, then a slash or NUL, then rubbish that must not matter. */
static void name_make(char *text, u32 bytes)
{
    for (u32 i = 0; i < NAME_MOST + NAME_PADDING; i++)
        text[i] = (char)(random_below(2) ? 128 + random_below(128) : 1 + random_below(46));
    text[bytes] = random_below(2) ? '/' : '\0';
}

TEST(name_scan_ends_at_the_first_slash_or_nul)
{
    char text[NAME_MOST + NAME_PADDING];

    for (u32 round = 0; round < 20000; round++) {
        u32 bytes = random_below(NAME_MOST), hash, again;

        name_make(text, bytes);
        CHECK_EQ(name_scan(text, &hash), bytes);
        /* What lies behind the end is no part of the hash. */
        text[bytes] = text[bytes] ? '\0' : '/';
        text[bytes + 1] ^= 0x55;
        CHECK_EQ(name_scan(text, &again), bytes);
        CHECK_EQ(hash, again);
    }
}

TEST(name_comparison_agrees_with_memcmp)
{
    char a[NAME_MOST + NAME_PADDING], b[NAME_MOST + NAME_PADDING];

    for (u32 round = 0; round < 20000; round++) {
        u32 bytes = random_below(NAME_MOST);

        name_make(a, bytes);
        memcpy(b, a, sizeof(b));
        for (u32 i = bytes; i < sizeof(b); i++)
            b[i] = (char)~b[i];
        CHECK(name_is_same(a, b, bytes));
        if (bytes == 0)
            continue;
        b[random_below(bytes)] ^= 1 << random_below(8);
        CHECK_EQ(name_is_same(a, b, bytes), memcmp(a, b, bytes) == 0);
    }
}

TEST(name_hashes_of_similar_names_differ)
{
    char text[NAME_MOST + NAME_PADDING] = {0};
    u32 hashes[256], same = 0;

    for (u32 i = 0; i < 256; i++) {
        memset(text, 0, sizeof(text));
        snprintf(text, sizeof(text), "file-%03u.txt", i);
        (void)name_scan(text, &hashes[i]);
        for (u32 k = 0; k < i; k++)
            same += hashes[i] == hashes[k];
    }
    CHECK_EQ(same, 0);
}
