/*
 * MT19937, the Mersenne Twister (Matsumoto and Nishimura, "Mersenne Twister: A 623-dimensionally
 * equidistributed uniform pseudo-random number generator", 1998, with the seeding by an array that
 * its authors added in 2002), set up and read as Python's `random` module does: seeded by the
 * absolute value of an integer, 32 bits a word, least first; a double from 53 bits of two outputs.
 */
#include "process_run.h"

#define N          MERSENNE_TWISTER_WORDS
#define M          397u
#define MATRIX_A   0x9908b0dfu
#define UPPER_MASK 0x80000000u
#define LOWER_MASK 0x7fffffffu

static void init_by_number(struct mersenne_twister *generator, u32 seed)
{
    u32 *state = generator->state;

    state[0] = seed;
    for (u32 i = 1; i < N; i++)
        state[i] = 1812433253u * (state[i - 1] ^ (state[i - 1] >> 30)) + i;
    generator->index = N;
}

/* What the word before it makes of state[i]. */
static u32 mixed(const u32 *state, u32 i, u32 factor)
{
    return state[i] ^ ((state[i - 1] ^ (state[i - 1] >> 30)) * factor);
}

/* The next place; the state is a circle of the words from 1 on. */
static void advance(u32 *state, u32 *i)
{
    if (++*i < N)
        return;
    state[0] = state[N - 1];
    *i = 1;
}

static void init_by_array(struct mersenne_twister *generator, const u32 *key, u32 length)
{
    u32 *state = generator->state, i = 1, j = 0;

    init_by_number(generator, 19650218u);
    for (u32 steps = MAX(N, length); steps > 0; steps--) {
        state[i] = mixed(state, i, 1664525u) + key[j] + j;
        advance(state, &i);
        j = (j + 1) % length;
    }
    for (u32 steps = N - 1; steps > 0; steps--) {
        state[i] = mixed(state, i, 1566083941u) - i;
        advance(state, &i);
    }
    state[0] = UPPER_MASK;
}

void mersenne_twister_init(struct mersenne_twister *generator, u64 seed)
{
    u32 key[] = {(u32)seed, (u32)(seed >> 32)};

    init_by_array(generator, key, key[1] ? 2 : 1);
}

/* Makes the next N words of state from the present ones. */
static void twist(struct mersenne_twister *generator)
{
    u32 *state = generator->state;

    for (u32 i = 0; i < N; i++) {
        u32 joined = (state[i] & UPPER_MASK) | (state[(i + 1) % N] & LOWER_MASK);

        state[i] = state[(i + M) % N] ^ (joined >> 1) ^ (joined & 1 ? MATRIX_A : 0);
    }
    generator->index = 0;
}

static u32 next_word(struct mersenne_twister *generator)
{
    u32 word;

    if (generator->index >= N)
        twist(generator);
    word = generator->state[generator->index++];
    word ^= word >> 11;
    word ^= (word << 7) & 0x9d2c5680u;
    word ^= (word << 15) & 0xefc60000u;
    return word ^ (word >> 18);
}

double mersenne_twister_next(struct mersenne_twister *generator)
{
    u32 high = next_word(generator) >> 5; /* 27 bits */
    u32 low = next_word(generator) >> 6;  /* 26 bits */

    return (high * 67108864.0 + low) / 9007199254740992.0; /* (high * 2^26 + low) / 2^53 */
}
