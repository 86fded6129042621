/*
 * The cost of single operations of the kernel, as a program sees them: the same static binary runs
 * in Pith and in Linux (bench/compare), by instruction clock, where a nanosecond of the monotonic
 * clock is one instruction, and by wall time.
 *
 *     operations [--only TEXT] [--repeat N]     those whose name contains TEXT, N times as often
 *     operations --scaling                      the same work on all CPUs
 *
 * Prints a line an operation: its name, nanoseconds for each time that it was done, how often that
 * was, and how many spans between two looks at the clock it took. Runs as process 1 too: then it
 * makes what it needs and ends the machine.
 */
#include "operations.h"

#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <time.h>

#define HUGE_PAGE (2 * MIB)

/*
 * Where the plugin that counts instructions takes its counts (instructions.c): at each look at the
 * clock, as the first thing and as the last.
 */
__attribute__((noinline)) void moment_mark(void)
{
    __asm__ volatile("");
}

uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    moment_mark();
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

void check(int is_right, const char *what)
{
    if (is_right)
        return;
    printf("failed: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

void report(const char *name, uint64_t ns, unsigned times, unsigned spans)
{
    printf("%s: %llu %u %u\n", name, (unsigned long long)(ns / times), times, spans);
    fflush(stdout);
}

static char *map_memory(size_t bytes, size_t alignment, int advice)
{
    char *at =
        mmap(NULL, bytes + alignment, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    size_t before;

    check(at != MAP_FAILED, "mmap");
    before = -(uintptr_t)at % alignment;
    if (before)
        munmap(at, before);
    if (alignment - before)
        munmap(at + before + bytes, alignment - before);
    madvise(at + before, bytes, advice);
    return at + before;
}

char *map_small_pages(size_t bytes)
{
    return map_memory(bytes, PAGE, MADV_NOHUGEPAGE);
}

char *map_huge_pages(size_t bytes)
{
    return map_memory(bytes, HUGE_PAGE, MADV_HUGEPAGE);
}

void touch(char *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += PAGE)
        ((volatile char *)at)[i] = 1;
}

static void prepare(const struct operation *operation, unsigned times)
{
    if (operation->prepare)
        operation->prepare(times);
}

static void finish(const struct operation *operation, unsigned times)
{
    if (operation->finish)
        operation->finish(times);
}

/* A tenth of it first: caches fill, pages come. */
static void measure(const struct operation *operation, unsigned repeat)
{
    unsigned warm = operation->times / 10 + 1, times = operation->times * repeat;
    uint64_t began, ended;

    prepare(operation, warm);
    operation->run(warm);
    finish(operation, warm);
    prepare(operation, times);
    began = now_ns();
    operation->run(times);
    ended = now_ns();
    finish(operation, times);
    report(operation->name, ended - began, times, 1);
}

static void measure_all(const struct operation *operation, const char *only, unsigned repeat)
{
    for (; operation->name; operation++) {
        if (!only || strstr(operation->name, only))
            measure(operation, repeat);
    }
}

static void file_make(void)
{
    static char page[PAGE];
    int fd = open(FILE_NAME, O_CREAT | O_RDWR | O_TRUNC, 0600);

    check(fd >= 0, FILE_NAME);
    for (size_t i = 0; i < FILE_SIZE; i += PAGE)
        check(write(fd, page, PAGE) == PAGE, "write");
    close(fd);
}

static void machine_prepare(void)
{
    if (getpid() == 1) {
        mkdir("/proc", 0755);
        mkdir("/dev", 0755);
        mkdir("/tmp", 0755);
        mount("proc", "/proc", "proc", 0, NULL);
        mount("dev", "/dev", "devtmpfs", 0, NULL);
        mount("tmp", "/tmp", "tmpfs", 0, NULL);
    }
    file_make();
}

int main(int argc, char **argv)
{
    const char *only = NULL;
    unsigned repeat = 1;
    int is_scaling = 0;

    if (argc > 1 && strcmp(argv[1], "exit") == 0)
        return 0;
    for (int i = 1; i < argc; i++) {
        if (strcmp(argv[i], "--only") == 0 && i + 1 < argc)
            only = argv[++i];
        else if (strcmp(argv[i], "--repeat") == 0 && i + 1 < argc)
            repeat = atoi(argv[++i]);
        else if (strcmp(argv[i], "--scaling") == 0)
            is_scaling = 1;
    }
    machine_prepare();
    if (is_scaling) {
        scaling_measure();
    } else {
        /*
         * Memory comes last: an emulator's TLB that has grown with it is long to flush, and shrinks
         * late, which switches between processes would pay for.
         */
        measure_all(call_operations, only, repeat);
        measure_all(process_operations, only, repeat);
        measure_all(talk_operations, only, repeat);
        measure_all(memory_operations, only, repeat);
        large_forks_measure(only);
    }
    unlink(FILE_NAME);
    printf("end\n");
    fflush(stdout);
    if (getpid() == 1)
        reboot(RB_AUTOBOOT);
    return 0;
}
