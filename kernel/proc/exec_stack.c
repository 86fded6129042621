/*
 * The stack that a new program finds (psABI 3.4.1), built before the program runs.
 *
 *     top    8 bytes of 0
 *            AT_EXECFN's text
 *            environment strings
 *            argument strings
 *            "x86_64", 16 random bytes
 *            (aligned to 16)
 *            auxiliary vector, ends with AT_NULL
 *            environment pointers, NULL
 *            argument pointers, NULL
 *     rsp -> argument count
 *
 * It is written into the new address space from outside, while exec can still fail. The auxiliary
 * vector is how ld.so learns where the program, the vDSO and itself are without asking the kernel
 * (getauxval(3)); a copy stays in the address space for /proc/PID/auxv.
 *
 * The stack is mapped larger than it needs to be, so that the first calls do not fault into growing
 * it; from there it grows by faults (vm/fault.c), down to RLIMIT_STACK.
 *
 * Context: sleeps (faults in the new address space).
 */
#include <pith/abi/mman.h>

#include "exec.h"

#define STACK_INITIAL_BYTES (128ul << 10) /* mapped from the start; it grows by faults */
#define AUXV_ENTRIES        22
#define CLOCK_TICKS         100

static const char platform[] = "x86_64";

struct stack_layout {
    u64 name, strings, platform, random, vector;
    u64 words; /* from rsp on */
};

/* Executable only if the program's PT_GNU_STACK asks for it. */
static int map_stack(struct exec *exec, u64 needed)
{
    struct address_space *space = exec->space;
    u64 limit = limit_soft(RLIMIT_STACK), address;
    struct map_request request = {
        .flags = REGION_READ | REGION_WRITE | REGION_MAY_READ | REGION_MAY_WRITE |
                 REGION_MAY_EXECUTE | REGION_GROWS_DOWN | REGION_STACK,
        .map_flags = MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED | MAP_GROWSDOWN,
    };

    if (exec->program.executable_stack)
        request.flags |= REGION_EXECUTE;
    request.bytes = ALIGN_UP(needed, PAGE_SIZE) + MIN(STACK_INITIAL_BYTES, limit / 2 & PAGE_MASK);
    request.address = space->stack_top - request.bytes;
    return address_space_map(space, &request, &address);
}

/* From the top down; alignment is lost between the random bytes and the vector. */
static void layout(const struct exec *exec, struct stack_layout *layout)
{
    const struct exec_strings *strings = &exec->strings;
    u64 at = exec->space->stack_top - sizeof(u64);

    layout->name = at -= strlen(exec->name) + 1;
    layout->strings = at -= strings->bytes;
    layout->platform = at -= sizeof(platform);
    layout->random = at = ALIGN_DOWN(at - 16, 16);
    layout->words =
        1 + strings->argument_count + 1 + strings->environment_count + 1 + 2 * AUXV_ENTRIES;
    layout->vector = ALIGN_DOWN(at - layout->words * sizeof(u64), 16);
}

/* Where the table lies in memory, by the segment that has it; 0: in none. */
static u64 program_headers_address(const struct elf_image *image)
{
    u64 offset = image->header.program_headers;

    for (u32 i = 0; i < image->header.program_header_count; i++) {
        const struct elf_program_header *segment = &image->segments[i];

        if (segment->type == ELF_SEGMENT_LOAD && offset - segment->offset < segment->file_bytes)
            return image->bias + segment->address + offset - segment->offset;
    }
    return 0;
}

static void auxv_fill(const struct exec *exec, const struct stack_layout *layout, u64 *auxv)
{
    const struct credentials *credentials = exec->credentials;
    const struct elf_image *program = &exec->program;
    u64 entries[AUXV_ENTRIES][2] = {
        {AT_SYSINFO_EHDR, exec->space->vdso},
        {AT_HWCAP, cpu_hwcap},
        {AT_PAGESZ, PAGE_SIZE},
        {AT_CLKTCK, CLOCK_TICKS},
        {AT_PHDR, program_headers_address(program)},
        {AT_PHENT, sizeof(struct elf_program_header)},
        {AT_PHNUM, program->header.program_header_count},
        {AT_BASE, exec->interpreter.bias},
        {AT_FLAGS, 0},
        {AT_ENTRY, program->bias + program->header.entry},
        {AT_UID, credentials->uid},
        {AT_EUID, credentials->euid},
        {AT_GID, credentials->gid},
        {AT_EGID, credentials->egid},
        {AT_SECURE, exec->secure},
        {AT_RANDOM, layout->random},
        {AT_HWCAP2, cpu_hwcap2},
        {AT_EXECFN, layout->name},
        {AT_PLATFORM, layout->platform},
        {AT_MINSIGSTKSZ, signal_stack_min},
    };

    _Static_assert(sizeof(entries) <= sizeof(exec->space->auxv), "address_space.auxv");
    if (!exec->space->vdso) /* nobody looks behind AT_NULL: use another's line twice */
        memcpy(entries[0], entries[2], sizeof(entries[0]));
    memcpy(auxv, entries, sizeof(entries));
    memcpy(exec->space->auxv, entries, sizeof(entries));
}

/* Fills in the pointers to `count` strings that begin at `text`; returns what follows them. */
static const char *pointers_fill(u64 **word, const char *text, u64 *address, u32 count)
{
    for (u32 i = 0; i < count; i++) {
        size_t bytes = strlen(text) + 1;

        *(*word)++ = *address;
        *address += bytes;
        text += bytes;
    }
    *(*word)++ = 0;
    return text;
}

/* Addresses run along with the strings, which lie in the same order above. */
static void words_fill(const struct exec *exec, const struct stack_layout *layout, u64 *words)
{
    const struct exec_strings *strings = &exec->strings;
    u64 address = layout->strings;
    const char *text = strings->buffer;

    *words++ = strings->argument_count;
    text = pointers_fill(&words, text, &address, strings->argument_count);
    pointers_fill(&words, text, &address, strings->environment_count);
    auxv_fill(exec, layout, words);
}

static int put(struct address_space *space, u64 address, const void *from, size_t bytes)
{
    return address_space_write(space, address, from, bytes) == bytes ? 0 : -ENOMEM;
}

/* Five pieces, from outside: the space is complete before anything runs in it. */
static int stack_write(struct exec *exec, const struct stack_layout *layout)
{
    struct address_space *space = exec->space;
    u64 *words = kmalloc(layout->words * sizeof(u64), ALLOC_CLEARED);
    u8 random[16];
    int error;

    if (!words)
        return -ENOMEM;
    random_bytes(random, sizeof(random));
    words_fill(exec, layout, words);
    error = put(space, layout->name, exec->name, strlen(exec->name) + 1);
    if (!error)
        error = put(space, layout->strings, exec->strings.buffer, exec->strings.bytes);
    if (!error)
        error = put(space, layout->platform, platform, sizeof(platform));
    if (!error)
        error = put(space, layout->random, random, sizeof(random));
    if (!error)
        error = put(space, layout->vector, words, layout->words * sizeof(u64));
    kfree(words);
    return error;
}

int exec_stack_build(struct exec *exec)
{
    struct address_space *space = exec->space;
    struct stack_layout at;
    int error;

    layout(exec, &at);
    error = map_stack(exec, space->stack_top - at.vector);
    if (!error)
        error = stack_write(exec, &at);
    if (error)
        return error;
    space->arguments_start = at.strings;
    space->arguments_end = at.strings + exec->strings.argument_bytes;
    space->environment_start = space->arguments_end;
    space->environment_end = at.strings + exec->strings.bytes;
    exec->stack_pointer = at.vector;
    return 0;
}
