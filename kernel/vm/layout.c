/*
 * Where things are put in a new address space: at random, as Linux does it on x86-64.
 *
 *     program (PIE)     0x555555554000 + up to 2^28 pages
 *     heap              behind the program + up to 32 MiB
 *     mmap, downward    below the stack's largest size, a gap, and up to 2^28 pages
 *     stack             USER_END - up to 16 GiB
 *
 * How much of it is at random is asked for each program that starts: a setting of the machine, and
 * the program's personality (setarch -R), which may make all of it fixed. `norandmaps` on the
 * command line, and the deterministic mode that sets it, turn the setting off.
 */
#include "internal.h"

#define PROGRAM_BASE  0x555555554000ul /* two thirds of user memory */
#define RANDOM_PAGES  (1ul << 28)
#define STACK_PAGES   (1ul << 22)
#define HEAP_BYTES    (32ul << 20)
#define STACK_GAP_MIN (128ul << 20)
#define STACK_GAP_MAX (USER_END / 6 * 5)

s64 layout_randomness = LAYOUT_RANDOM;

static int set_fixed(const char *value)
{
    if (value)
        return -EINVAL;
    layout_randomness = LAYOUT_FIXED;
    return 0;
}

PARAMETER(norandmaps, .name = "norandmaps", .effect = "Addresses are not randomised.",
          .set = set_fixed);

/* A random number of whole pages below `pages`, in bytes; 0 if less than `least` is random. */
static u64 random_offset(const struct address_space *space, u32 least, u64 pages)
{
    return space->randomness < least ? 0 : (random_u64() & (pages - 1)) << PAGE_SHIFT;
}

/* mmap begins below the lowest address that the stack could grow to. */
void layout_place_stack(struct address_space *space, u64 stack_limit_bytes)
{
    /* Room for the stack, wherever it begins, and for its guard. */
    u64 gap = MIN(stack_limit_bytes, STACK_GAP_MAX) + STACK_GUARD_BYTES;

    gap = MIN(MAX(gap, STACK_GAP_MIN), STACK_GAP_MAX);
    space->stack_top = USER_END - random_offset(space, LAYOUT_RANDOM_BUT_HEAP, STACK_PAGES);
    space->mmap_top = ALIGN_DOWN(space->stack_top - gap -
                                     random_offset(space, LAYOUT_RANDOM_BUT_HEAP, RANDOM_PAGES),
                                 PAGE_SIZE);
}

u64 layout_program_base(const struct address_space *space)
{
    return PROGRAM_BASE + random_offset(space, LAYOUT_RANDOM_BUT_HEAP, RANDOM_PAGES);
}

/* Random as a whole number of pages; brk programs expect the heap behind their data. */
u64 layout_heap_start(const struct address_space *space, u64 program_end)
{
    return ALIGN_UP(program_end, PAGE_SIZE) +
           random_offset(space, LAYOUT_RANDOM, HEAP_BYTES >> PAGE_SHIFT);
}
