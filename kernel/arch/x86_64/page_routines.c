/*
 * Clearing and copying whole pages, by whichever way is fastest here.
 *
 * Processors like one string instruction, emulators loop over it a byte or a word at a time and run
 * plain stores faster; so each way is timed once at boot, a few microseconds in all, and the best
 * kept. The least of a few tries counts, since the host may take the CPU away in any of them. The
 * trampoline's page, not yet in use, is what they are tried on.
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
    u64 *word = page;

    for (u64 i = 0; i < WORDS; i += 8) {
        __asm__ volatile("" : : : "memory"); /* stays a loop of stores */
        word[i] = 0;
        word[i + 1] = 0;
        word[i + 2] = 0;
        word[i + 3] = 0;
        word[i + 4] = 0;
        word[i + 5] = 0;
        word[i + 6] = 0;
        word[i + 7] = 0;
    }
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
