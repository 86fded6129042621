/* Memory: faults, mappings, their removal. The time of a fault is that of one page. */
#include "operations.h"

#include <sys/syscall.h>

#define MAPPING (64 * 1024ul)

static char *memory;
static size_t memory_bytes;
static int fd;
static pid_t sharer;
static int hold[2];

static void small_prepare(unsigned times)
{
    memory_bytes = times * PAGE;
    memory = map_small_pages(memory_bytes);
}

static void huge_prepare(unsigned times)
{
    memory_bytes = (times * PAGE + 2 * MIB - 1) / (2 * MIB) * (2 * MIB);
    memory = map_huge_pages(memory_bytes);
}

static void touch_memory(unsigned times)
{
    touch(memory, times * PAGE);
}

static void memory_unmap(unsigned times)
{
    munmap(memory, memory_bytes);
}

static void touched_prepare(unsigned times)
{
    small_prepare(times);
    touch(memory, memory_bytes);
}

/* ---- Of a file ---- */

static void file_prepare(unsigned times)
{
    memory_bytes = times * PAGE;
    fd = open(FILE_NAME, O_RDONLY);
    check(memory_bytes <= FILE_SIZE, "the file is too short");
    memory = mmap(NULL, memory_bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE, fd, 0);
    check(memory != MAP_FAILED, "mmap file");
}

static void file_read(unsigned times)
{
    for (size_t i = 0; i < times * PAGE; i += PAGE)
        (void)((volatile char *)memory)[i];
}

static void file_finish(unsigned times)
{
    memory_unmap(times);
    close(fd);
}

/* ---- After fork: the child holds the pages until we have written them all ---- */

static void shared_prepare(unsigned times)
{
    touched_prepare(times);
    check(pipe(hold) == 0, "pipe");
    sharer = fork();
    check(sharer >= 0, "fork");
    if (sharer == 0) {
        char byte;

        close(hold[1]);
        (void)!read(hold[0], &byte, 1);
        _exit(0);
    }
    *(volatile char *)memory = 1; /* what fork shares is taken apart by the first write */
}

static void shared_finish(unsigned times)
{
    close(hold[0]);
    close(hold[1]);
    waitpid(sharer, NULL, 0);
    memory_unmap(times);
}

/* ---- Mappings ---- */

static char *map_anonymous(void)
{
    return mmap(NULL, MAPPING, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
}

static void map_unmap(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        munmap(map_anonymous(), MAPPING);
}

static void map_touch_unmap(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        char *at = map_anonymous();

        touch(at, MAPPING);
        munmap(at, MAPPING);
    }
}

static void mapping_prepare(unsigned times)
{
    memory_bytes = MAPPING;
    memory = map_small_pages(MAPPING);
    touch(memory, MAPPING);
}

/* Two calls: taken away, given back. */
static void protect_toggle(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        mprotect(memory, MAPPING / 2, PROT_READ);
        mprotect(memory, MAPPING / 2, PROT_READ | PROT_WRITE);
    }
}

static void discard_touch(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        madvise(memory, MAPPING, MADV_DONTNEED);
        touch(memory, MAPPING);
    }
}

/* musl's brk refuses, so the kernel's is called; up by a page, and down again. */
static void break_move(unsigned times)
{
    unsigned long end = syscall(SYS_brk, 0);

    for (unsigned i = 0; i < times; i++) {
        syscall(SYS_brk, end + PAGE);
        syscall(SYS_brk, end);
    }
}

const struct operation memory_operations[] = {
    {"anonymous fault, 4 KiB pages", small_prepare, touch_memory, memory_unmap, 4096},
    {"anonymous memory in 2 MiB pages, per 4 KiB", huge_prepare, touch_memory, memory_unmap, 16384},
    {"unmap, per 4 KiB page", touched_prepare, memory_unmap, NULL, 4096},
    {"file fault, cached", file_prepare, file_read, file_finish, 1024},
    {"file copy-on-write", file_prepare, touch_memory, file_finish, 1024},
    {"copy-on-write after fork", shared_prepare, touch_memory, shared_finish, 2048},
    {"mmap + munmap 64 KiB, untouched", NULL, map_unmap, NULL, 1000},
    {"mmap + munmap 64 KiB, touched", NULL, map_touch_unmap, NULL, 500},
    {"mprotect toggle", mapping_prepare, protect_toggle, memory_unmap, 1000},
    {"MADV_DONTNEED 64 KiB and touch", mapping_prepare, discard_touch, memory_unmap, 500},
    {"brk up and down", NULL, break_move, NULL, 1000},
    {NULL},
};
