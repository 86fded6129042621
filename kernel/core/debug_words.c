/*
 * Words of the command line that break the kernel on purpose, so that tests can see what a panic
 * looks like from outside.
 *
 * Context: the end of the boot, so that the host's link carries the text.
 */
#include <pith/core.h>
#include <pith/sanitizer.h>

#define BAD_ADDRESS ((volatile u64 *)0xffffb00000000000ul) /* in no area of arch.h */

static u64 poisoned;

static void panic_now(void)
{
    panic("asked for by the command line");
}

static void panic_fault(void)
{
    *BAD_ADDRESS = 0;
}

static void panic_assert(void)
{
    assert(!"asked for by the command line");
}

/* Runs over the stack's end, which is a double fault: there is no stack to take the fault on. */
static void panic_stack(void)
{
    __asm__ volatile("movq %0, %%rsp; pushq $0" : : "r"(BAD_ADDRESS));
}

static void panic_text_write(void)
{
    *(volatile u8 *)panic_text_write = 0;
}

/* These three are found by SAN=1 only. */
static void panic_poison(void)
{
    u64 *alias = phys_to_virt(kernel_image_phys(&poisoned));

    memory_poison(alias, sizeof(*alias), POISON_FREED_OBJECT);
    *alias = 1;
}

static void panic_undefined(void)
{
    u32 shift = 31 + cpu_count, one = 1; /* too far, as the sanitizer finds and no analyser */

    poisoned = one << shift;
}

static void panic_lock_order(void) no_lock_check
{
    struct spinlock outer = SPINLOCK_INIT(LOCK_PROCESS_TABLE);
    struct spinlock inner = SPINLOCK_INIT(LOCK_LEAF);

    spin_lock(&inner);
    spin_lock(&outer);
}

static void hang(void)
{
    interrupts_disable();
    for (;;)
        cpu_relax();
}

struct word {
    const char *name;
    void (*action)(void);
};
static const struct word words[] = {
    {"now", panic_now},
    {"fault", panic_fault},
    {"assert", panic_assert},
    {"stack", panic_stack},
    {"write-text", panic_text_write},
    {"poison", panic_poison},
    {"undefined", panic_undefined},
    {"lock-order", panic_lock_order},
    {"hang", hang},
};
static void (*chosen)(void);

static int panic_set(const char *value)
{
    for (size_t i = 0; value && i < ARRAY_SIZE(words); i++) {
        if (!strcmp(value, words[i].name)) {
            chosen = words[i].action;
            return 0;
        }
    }
    return -EINVAL;
}

PARAMETER(panic, "panic", "now|fault|assert|stack|write-text|poison|undefined|lock-order|hang",
          "breaks the kernel at the end of its boot, in this way", .set = panic_set);

void debug_words_run(void)
{
    if (chosen)
        chosen();
}
