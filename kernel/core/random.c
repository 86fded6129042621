/*
 * Random numbers: ChaCha20 (RFC 8439) with fast key erasure.
 *
 *     key --ChaCha20--> | next key | bytes to give out ............ |
 *                            |            each is wiped as it goes out
 *                            `-> used for the next blocks, once
 *
 * So what was given cannot be found again in memory, and who sees the memory now learns nothing of
 * what was given before. What adds entropy is XORed into the key before the next blocks: it can
 * only add.
 *
 * At boot the key comes from the processor's generator where there is one, else from the TSC and
 * the word `seed` that `pith` puts on the command line; the description of the run then brings more
 * from the host's generator, before the first program.
 *
 * Locking: random_lock (LOCK_RANDOM). Context: any.
 */
#include <pith/core.h>

#include "parts.h"

#define KEY_WORDS    8
#define BLOCK_WORDS  16
#define POOL_BLOCKS  8
#define POOL_BYTES   (POOL_BLOCKS * BLOCK_WORDS * sizeof(u32))
#define KEY_BYTES    (KEY_WORDS * sizeof(u32))
#define ROUNDS       20
#define HARDWARE_U64 4

struct pool {
    u32 key[KEY_WORDS];
    u8 bytes[POOL_BYTES];
    size_t used; /* of `bytes`; all: empty */
};

static struct spinlock random_lock = SPINLOCK_INIT(LOCK_RANDOM);
static struct pool pool = {.used = POOL_BYTES}; /* guarded by random_lock */

static inline u32 rotate(u32 value, int bits)
{
    return value << bits | value >> (32 - bits);
}

static inline void quarter_round(u32 *a, u32 *b, u32 *c, u32 *d)
{
    *a += *b;
    *d = rotate(*d ^ *a, 16);
    *c += *d;
    *b = rotate(*b ^ *c, 12);
    *a += *b;
    *d = rotate(*d ^ *a, 8);
    *c += *d;
    *b = rotate(*b ^ *c, 7);
}

static void chacha20_block(const u32 key[KEY_WORDS], u32 counter, u32 out[BLOCK_WORDS])
{
    static const u32 constants[4] = {0x61707865, 0x3320646e, 0x79622d32, 0x6b206574};
    u32 state[BLOCK_WORDS] = {};

    memcpy(state, constants, sizeof(constants));
    memcpy(state + 4, key, KEY_BYTES);
    state[12] = counter;
    memcpy(out, state, sizeof(state));
    for (int round = 0; round < ROUNDS; round += 2) {
        for (int i = 0; i < 4; i++)
            quarter_round(&out[i], &out[4 + i], &out[8 + i], &out[12 + i]);
        for (int i = 0; i < 4; i++)
            quarter_round(&out[i], &out[4 + (i + 1) % 4], &out[8 + (i + 2) % 4],
                          &out[12 + (i + 3) % 4]);
    }
    for (int i = 0; i < BLOCK_WORDS; i++)
        out[i] += state[i];
}

static void pool_refill_locked(void)
{
    u32 block[BLOCK_WORDS];

    for (u32 i = 0; i < POOL_BLOCKS; i++) {
        chacha20_block(pool.key, i, block);
        memcpy(pool.bytes + i * sizeof(block), block, sizeof(block));
    }
    memcpy(pool.key, pool.bytes, KEY_BYTES);
    memset(pool.bytes, 0, KEY_BYTES);
    pool.used = KEY_BYTES;
}

void random_bytes(void *buffer, size_t bytes)
{
    u8 *out = buffer;

    spin_lock(&random_lock);
    while (bytes) {
        size_t part;

        if (pool.used == POOL_BYTES)
            pool_refill_locked();
        part = MIN(bytes, POOL_BYTES - pool.used);
        memcpy(out, pool.bytes + pool.used, part);
        memset(pool.bytes + pool.used, 0, part);
        pool.used += part;
        out += part;
        bytes -= part;
    }
    spin_unlock(&random_lock);
}

u64 random_u64(void)
{
    u64 value;

    random_bytes(&value, sizeof(value));
    return value;
}

void random_add_entropy(const void *bytes, size_t size)
{
    const u8 *in = bytes;
    u8 *key = (u8 *)pool.key;

    spin_lock(&random_lock);
    for (size_t i = 0; i < size; i++) {
        key[i % KEY_BYTES] ^= in[i];
        if (i % KEY_BYTES == KEY_BYTES - 1)
            pool_refill_locked();
    }
    pool_refill_locked();
    spin_unlock(&random_lock);
}

static int seed_set(const char *value)
{
    if (!value)
        return -EINVAL;
    random_add_entropy(value, strlen(value));
    return 0;
}

PARAMETER(seed, "seed", "TEXT", "goes into the random number generator's key", .set = seed_set);

void random_init(void)
{
    u64 words[HARDWARE_U64 + 1] = {};

    for (int i = 0; i < HARDWARE_U64; i++) {
        if (!random_hardware(&words[i]))
            break;
    }
    words[HARDWARE_U64] = boot_info.tsc_at_entry ^ tsc_read();
    random_add_entropy(words, sizeof(words));
}
