/*
 * Clearing and copying whole pages, by whichever way is fastest here.
 *
 * Processors like one string instruction, emulators loop over it a byte or a word at a time and run
 * plain stores faster; so each way is timed once at boot, a few microseconds in all, and the best
 * kept. The least of a few tries counts, since the host may take the CPU away in any of them. The
 * trampoline's page, not yet in use, is what they are tried on.
 *
 * Stores of 16 bytes need an SSE register, which holds a user thread's state, or nobody's: it is
 * borrowed, and put back as it was. Nothing can come between that looks at it: the kernel does not
 * switch here, and an interrupt that borrows it too puts it back before it returns. So no state is
 * saved but that register. (Legacy SSE leaves the upper half of the AVX register alone.)
 *
 * Invariant: the two pointers are always valid routines, also before the choice and during it.
 * Context: any; the choice is made on the boot CPU, before others run.
 */
#include "page_routines.h"

#include <pith/core.h>

#include "boot.h"
#include "features.h"

#define TRIES 3
#define WORDS (PAGE_SIZE / sizeof(u64))

static void clear_by_words(void *page)
{
    u64 words = WORDS;

    __asm__ volatile("rep stosq" : "+D"(page), "+c"(words) : "a"(0) : "memory");
}

static void clear_by_bytes(void *page)
{
    u64 bytes = PAGE_SIZE;

    __asm__ volatile("rep stosb" : "+D"(page), "+c"(bytes) : "a"(0) : "memory");
}

static void clear_by_stores(void *page)
{
    void *end = (char *)page + PAGE_SIZE;
    u8 saved[16];

    __asm__ volatile("movups %%xmm0, %[saved]\n"
                     "xorps %%xmm0, %%xmm0\n"
                     "1:\n"
                     ".set offset, 0\n"
                     ".rept 16\n"
                     "movaps %%xmm0, offset(%[at])\n"
                     ".set offset, offset + 16\n"
                     ".endr\n"
                     "addq $256, %[at]\n"
                     "cmpq %[end], %[at]\n"
                     "jne 1b\n"
                     "movups %[saved], %%xmm0"
                     : [at] "+r"(page), [saved] "=m"(saved)
                     : [end] "r"(end)
                     : "memory", "cc");
}

static void copy_by_words(void *to, const void *from)
{
    u64 words = WORDS;

    __asm__ volatile("rep movsq" : "+D"(to), "+S"(from), "+c"(words) : : "memory");
}

static void copy_by_bytes(void *to, const void *from)
{
    u64 bytes = PAGE_SIZE;

    __asm__ volatile("rep movsb" : "+D"(to), "+S"(from), "+c"(bytes) : : "memory");
}

static void copy_by_stores(void *to, const void *from)
{
    u64 *target = to;
    const u64 *source = from;

    for (u64 i = 0; i < WORDS; i += 4) {
        u64 a = source[i], b = source[i + 1], c = source[i + 2], d = source[i + 3];

        __asm__ volatile("" : : : "memory");
        target[i] = a;
        target[i + 1] = b;
        target[i + 2] = c;
        target[i + 3] = d;
    }
}

static void (*const clears[])(void *page) = {clear_by_words, clear_by_stores, clear_by_bytes};
static void (*const copies[])(void *to, const void *from) = {copy_by_words, copy_by_stores,
                                                             copy_by_bytes};
static const char *const names[] = {"words", "stores", "bytes"};
_Static_assert(ARRAY_SIZE(clears) == ARRAY_SIZE(names) && ARRAY_SIZE(copies) == ARRAY_SIZE(names),
               "a name each");

static void (*clear_best)(void *page) = clear_by_words;               /* [const] after boot */
static void (*copy_best)(void *to, const void *from) = copy_by_words; /* [const] after boot */

void page_clear(void *page)
{
    clear_best(page);
}

void page_copy(void *to, const void *from)
{
    copy_best(to, from);
}

static u64 clear_cost(void (*clear)(void *page), void *page)
{
    u64 best = U64_MAX;

    for (int i = 0; i < TRIES; i++) {
        u64 start = tsc_read();

        clear(page);
        best = MIN(best, tsc_read() - start);
    }
    return best;
}

static u64 copy_cost(void (*copy)(void *to, const void *from), void *page)
{
    u64 best = U64_MAX;

    for (int i = 0; i < TRIES; i++) {
        u64 start = tsc_read();

        copy(page, text_start);
        best = MIN(best, tsc_read() - start);
    }
    return best;
}

void page_routines_choose(void)
{
    void *page = phys_to_virt(TRAMPOLINE_ADDRESS);
    u64 clear_least = U64_MAX, copy_least = U64_MAX;
    u32 clear = 0, copy = 0;
    /* By bytes is slow on all that do not say otherwise. */
    u32 count = cpu_has(FEATURE_ERMS) ? ARRAY_SIZE(names) : ARRAY_SIZE(names) - 1;

    for (u32 i = 0; i < count; i++) {
        u64 cost = clear_cost(clears[i], page);

        if (cost < clear_least) {
            clear_least = cost;
            clear = i;
        }
        cost = copy_cost(copies[i], page);
        if (cost < copy_least) {
            copy_least = cost;
            copy = i;
        }
    }
    clear_best = clears[clear];
    copy_best = copies[copy];
    log_info("pages: cleared by %s, copied by %s", names[clear], names[copy]);
}
