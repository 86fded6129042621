/*
 * Where things are put in a new address space: at random, as Linux does it on x86-64.
 *
 *     program (PIE)     0x555555554000 + up to 2^28 pages
 *     heap              behind the program + up to 32 MiB
 *     mmap, downward    below the stack's largest size, a gap, and up to 2^28 pages
 *     stack             USER_END - up to 16 GiB
 *
 * `norandmaps` on the command line, and the deterministic mode that sets it, make all of it fixed.
 */
#include <pith/vm.h>

#define PROGRAM_BASE      0x555555554000ul /* two thirds of user memory */
#define RANDOM_PAGES      (1ul << 28)
#define STACK_PAGES       (1ul << 22)
#define HEAP_BYTES        (32ul << 20)
#define STACK_GAP_MIN     (128ul << 20)
#define STACK_GAP_MAX     (USER_END / 6 * 5)
#define STACK_GUARD_BYTES (256 * PAGE_SIZE)

static bool fixed;

PARAMETER(norandmaps, .name = "norandmaps", .effect = "Addresses are not randomised.",
          .flag = &fixed);

/* A random number of whole pages below `pages`, in bytes. */
static u64 random_offset(u64 pages)
{
    return fixed ? 0 : (random_u64() & (pages - 1)) << PAGE_SHIFT;
}

u64 layout_stack_top(void)
{
    return USER_END - random_offset(STACK_PAGES);
}

u64 layout_mmap_top(u64 stack_top, u64 stack_limit_bytes)
{
    /* Room for the stack, wherever it begins, and for its guard. */
    u64 gap = MIN(stack_limit_bytes, STACK_GAP_MAX) + STACK_GUARD_BYTES;

    gap = MIN(MAX(gap, STACK_GAP_MIN), STACK_GAP_MAX);
    return ALIGN_DOWN(stack_top - gap - random_offset(RANDOM_PAGES), PAGE_SIZE);
}

u64 layout_program_base(void)
{
    return PROGRAM_BASE + random_offset(RANDOM_PAGES);
}

u64 layout_heap_start(u64 program_end)
{
    return ALIGN_UP(program_end, PAGE_SIZE) + random_offset(HEAP_BYTES >> PAGE_SHIFT);
}
