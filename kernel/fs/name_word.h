/*
 * Names eight bytes at a time: where a component ends, its hash, and whether two are the same.
 *
 * A walk does nothing as often as this, and names are short: one word mostly holds a whole
 * component, so that scanning, hashing and comparing it costs a load, a test and a multiplication.
 *
 * Words are loaded wherever a name ends, so up to 7 bytes behind it are read and thrown away. Names
 * lie in mapped memory with more behind it: in the direct map, the kernel's image, or on a stack
 * whose top is a trap frame.
 *
 * The hash of a name is the same whether it was scanned from a path (name_scan) or comes with its
 * length from a file system (name_hash, dentry.c): both take whole words, then the rest padded with
 * zeros. It is folded to 32 bits and mixed with the parent's address for the bucket.
 */
#pragma once

#include <pith/arch.h>

#define EACH_BYTE(value) (0x0101010101010101ul * (value))

/*
 * The highest bit of each byte that is 0. The subtraction borrows from higher bytes, so only the
 * lowest bit found is exact, which is the one that is asked for.
 */
static inline u64 name_word_zeros(u64 word)
{
    return (word - EACH_BYTE(1)) & ~word & EACH_BYTE(0x80);
}

/* The first `bytes` (less than 8) of a word. */
static inline u64 name_word_part(u64 word, u32 bytes)
{
    return word & ((1ul << (bytes * 8)) - 1);
}

/* An odd number whose bits look random: 2^64 / golden ratio (Knuth 6.4). */
#define NAME_HASH_FACTOR 0x9e3779b97f4a7c15ul

static inline u64 name_hash_step(u64 hash, u64 word)
{
    hash = (hash ^ word) * NAME_HASH_FACTOR;
    return hash ^ hash >> 32;
}

/* The component that begins at `text`, up to the first slash or NUL: its length and hash. */
static inline u32 name_scan(const char *text, u32 *hash_out)
{
    u64 hash = 0, word, ends;
    u32 bytes = 0;

    for (;;) {
        word = word_load_unchecked(text + bytes);
        ends = name_word_zeros(word) | name_word_zeros(word ^ EACH_BYTE((u64)'/'));
        if (ends)
            break;
        hash = name_hash_step(hash, word);
        bytes += sizeof(word);
    }
    u32 rest = (u32)__builtin_ctzl(ends) / 8;
    *hash_out = (u32)name_hash_step(hash, name_word_part(word, rest));
    return bytes + rest;
}

/* Whether `bytes` of both are the same. Reads behind both, as above. */
static inline bool name_is_same(const char *a, const char *b, u32 bytes)
{
    for (; bytes >= sizeof(u64); bytes -= sizeof(u64), a += sizeof(u64), b += sizeof(u64))
        if (word_load_unchecked(a) != word_load_unchecked(b))
            return false;
    return name_word_part(word_load_unchecked(a) ^ word_load_unchecked(b), bytes) == 0;
}
