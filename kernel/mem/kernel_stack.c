/*
 * Kernel stacks, each between guard pages.
 *
 *     | guard 16 KiB | stack 16 KiB | guard | stack | ...      slot = 32 KiB, from KERNEL_VIRTUAL
 *
 * A stack that overflows meets a page that is not mapped: a double fault says so at once, instead
 * of a neighbour's memory that breaks later. Threads come and go quickly, so a freed stack stays
 * mapped: a few on each CPU, found with interrupts off and no lock, all others in one list through
 * their own first words.
 *
 * Taking one away for good needs all CPUs to forget its translations, and so a context that can
 * wait for them, which freeing a stack is not: it is freed by whoever runs next on its CPU, in the
 * middle of a switch. So only the reclaimer does it. It hides the pages first (not present),
 * flushes, and then frees the frames: no CPU can write to a frame that is somebody else's by then.
 *
 * Invariant: a slot's bit is set from its reservation until its pages are unmapped again.
 * Locking:   stacks.lock for the list and the bits; interrupts off for a CPU's few.
 * Context:   allocating may sleep (frames); freeing never does.
 */
#include <pith/mem.h>

#include "internal.h"
#include "kernel_virtual.h"

#define SLOT_BYTES  (2 * KERNEL_STACK_BYTES)
#define SLOTS       65536u
#define STACK_PAGES (KERNEL_STACK_BYTES / PAGE_SIZE)
#define STACK_FLAGS (PTE_PRESENT | PTE_WRITABLE | PTE_GLOBAL | PTE_NO_EXECUTE)
#define LOCAL_MAX   8

struct local_stacks {
    u32 count;
    void *stacks[LOCAL_MAX];
};

static DEFINE_PER_CPU(struct local_stacks, local_stacks); /* [cpu] */

static struct {
    struct spinlock lock;         /* LOCK_KERNEL_VIRTUAL: never held while pages are mapped */
    void *free guarded_by(&lock); /* mapped stacks; the first word of each names the next */
    u64 used[SLOTS / 64] guarded_by(&lock);
    u32 hint guarded_by(&lock); /* no word below has a clear bit */
} stacks = {.lock = SPINLOCK_INIT(LOCK_KERNEL_VIRTUAL)};

static void *slot_stack(u32 slot)
{
    return (void *)(KERNEL_VIRTUAL + slot * SLOT_BYTES + (SLOT_BYTES - KERNEL_STACK_BYTES));
}

static u32 slot_of(const void *stack)
{
    return ((u64)stack - KERNEL_VIRTUAL) / SLOT_BYTES;
}

/* Takes a slot, lowest first. Returns it, or SLOTS: all are in use. */
static u32 slot_reserve(void)
{
    u32 slot = SLOTS, word;

    spin_lock(&stacks.lock);
    for (word = stacks.hint; word < SLOTS / 64 && stacks.used[word] == U64_MAX; word++)
        ;
    stacks.hint = word;
    if (word < SLOTS / 64) {
        unsigned bit = __builtin_ctzl(~stacks.used[word]);

        stacks.used[word] |= BIT(bit);
        slot = word * 64 + bit;
    }
    spin_unlock(&stacks.lock);
    return slot;
}

static void slot_release(u32 slot)
{
    spin_lock(&stacks.lock);
    stacks.used[slot / 64] &= ~BIT(slot % 64);
    stacks.hint = MIN(stacks.hint, slot / 64);
    spin_unlock(&stacks.lock);
}

/* Puts `frame` behind the page at `virtual`, whose entry is empty. -ENOMEM. */
static int page_back(u64 virtual)
{
    struct frame *frame = frame_alloc(0, FRAME_KERNEL, 0);
    int error;

    if (!frame)
        return -ENOMEM;
    error = kernel_map(virtual, frame_address(frame), STACK_FLAGS);
    if (error)
        frame_free(frame);
    return error;
}

static void flush_everything(void *unused)
{
    tlb_flush_everything();
}

/*
 * Takes away a stack of which the first `pages` are mapped. Its pages are hidden first: a CPU may
 * have their translations, even without a use, until the flush.
 */
static void stack_destroy(void *stack, u32 pages)
{
    for (u32 i = 0; i < pages; i++)
        *kernel_entry((u64)stack + i * PAGE_SIZE) &= ~PTE_PRESENT;
    cpu_call(READ_ONCE(cpus_online), flush_everything, NULL);
    for (u32 i = 0; i < pages; i++) {
        pte *entry = kernel_entry((u64)stack + i * PAGE_SIZE);
        struct frame *frame = frame_at(*entry & PTE_ADDRESS);

        WRITE_ONCE(*entry, 0);
        frame_free(frame);
    }
    slot_release(slot_of(stack));
}

/* A stack that could not be mapped whole is taken away like any other. */
static void *stack_create(void)
{
    u32 slot = slot_reserve();
    void *stack = slot_stack(slot);

    if (slot == SLOTS)
        return NULL;
    for (u32 i = 0; i < STACK_PAGES; i++) {
        if (page_back((u64)stack + i * PAGE_SIZE)) {
            stack_destroy(stack, i);
            return NULL;
        }
    }
    return stack;
}

static void *stack_take_free(void)
{
    void *stack;

    spin_lock(&stacks.lock);
    stack = stacks.free;
    if (stack)
        stacks.free = *(void **)stack;
    spin_unlock(&stacks.lock);
    return stack;
}

/* Not cleared: a stack's old content is the kernel's own, and no path gives it to user mode. */
void *kernel_stack_alloc(void)
{
    u64 interrupts = interrupts_save_disable();
    struct local_stacks *local = this_cpu(local_stacks);
    void *stack = local->count ? local->stacks[--local->count] : NULL;

    interrupts_restore(interrupts);
    if (!stack)
        stack = stack_take_free();
    return stack ? stack : stack_create();
}

void kernel_stack_free(void *stack)
{
    u64 interrupts = interrupts_save_disable();
    struct local_stacks *local = this_cpu(local_stacks);

    if (local->count < LOCAL_MAX) {
        local->stacks[local->count++] = stack;
    } else {
        spin_lock(&stacks.lock);
        *(void **)stack = stacks.free;
        stacks.free = stack;
        spin_unlock(&stacks.lock);
    }
    interrupts_restore(interrupts);
}

/* What lies in the CPUs' own few is not reclaimed: it is used again at once. */
static u64 stacks_reclaim(u64 wanted)
{
    u64 pages = 0;
    void *stack;

    while (pages < wanted && (stack = stack_take_free())) {
        stack_destroy(stack, STACK_PAGES);
        pages += STACK_PAGES;
    }
    return pages;
}

static struct reclaimer stack_reclaimer = {.name = "kernel stacks", .reclaim = stacks_reclaim};

void kernel_stack_init(void)
{
    reclaimer_register(&stack_reclaimer);
}
