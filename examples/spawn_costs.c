/*
 * Four ways to start a program, and what each costs a small and a large parent.
 *
 * From the lecture on processes, "fork or not?", which sets fork and exec beside CreateProcess, and
 * from "A fork() in the road" (HotOS '19), whose figure 1 this repeats: fork grows with its parent,
 * the others do not. To see: on Pith no line grows, since fork shares the page tables; spawn is
 * the cheapest, since nothing is made that the program would throw away.
 *
 *     spawn_costs [ROUNDS [PROGRAM]]
 *
 * The parent touches 1 MiB, 256 MiB and 1 GiB of its memory (as far as there is so much) and then
 * starts PROGRAM ROUNDS times in each way; by default itself, which then ends at once. On Linux,
 * which has no spawn, its lines say so.
 */
#include <errno.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../user/lib/spawn.h"

#define PAGE_BYTES     4096
#define MIB            (1024 * 1024ul)
#define ROUNDS_DEFAULT 50

extern char **environ;

#define END_AT_ONCE "--end"

static const char *program = "/proc/self/exe";

static int status_of(pid_t child)
{
    int status;

    return waitpid(child, &status, 0) == child ? status : -1;
}

static int by_fork(char **arguments)
{
    pid_t child = fork();

    if (child == 0) {
        execve(program, arguments, environ);
        _exit(127);
    }
    return child == -1 ? -1 : status_of(child);
}

static int by_vfork(char **arguments)
{
    pid_t child = vfork();

    if (child == 0) {
        execve(program, arguments, environ);
        _exit(127);
    }
    return child == -1 ? -1 : status_of(child);
}

static int by_posix_spawn(char **arguments)
{
    pid_t child;

    errno = posix_spawn(&child, program, NULL, NULL, arguments, environ);
    return errno ? -1 : status_of(child);
}

static int by_spawn(char **arguments)
{
    struct spawn spawn = SPAWN_OF(program, arguments, environ);
    int pidfd;

    for (int fd = 0; fd < 3; fd++)
        spawn_inherit(&spawn, fd, fd);
    pidfd = spawn_start(&spawn);
    return pidfd == -1 ? -1 : spawn_wait(pidfd);
}

static const struct way {
    const char *name;
    int (*start)(char **arguments);
} ways[] = {
    {"fork+exec", by_fork},
    {"vfork+exec", by_vfork},
    {"posix_spawn", by_posix_spawn},
    {"spawn", by_spawn},
};

static long now_us(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000 + now.tv_nsec / 1000;
}

/* Microseconds for one start and its end, or -1. */
static long cost_of(const struct way *way, int rounds)
{
    char *arguments[] = {(char *)program, (char *)END_AT_ONCE, NULL};
    long begin = now_us();

    for (int i = 0; i < rounds; i++)
        if (way->start(arguments))
            return -1;
    return (now_us() - begin) / rounds;
}

static int grow_to(unsigned long bytes)
{
    static unsigned long touched;
    unsigned char *more;

    if (bytes <= touched)
        return 0;
    more = mmap(NULL, bytes - touched, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    if (more == MAP_FAILED)
        return -1;
    madvise(more, bytes - touched, MADV_NOHUGEPAGE);
    for (unsigned long at = 0; at < bytes - touched; at += PAGE_BYTES)
        more[at] = 1;
    touched = bytes;
    return 0;
}

/* What can be touched without the machine running out: three quarters of what is free. */
static int fits(unsigned long bytes)
{
    return bytes / PAGE_BYTES < (unsigned long)sysconf(_SC_AVPHYS_PAGES) / 4 * 3;
}

int main(int argc, char **argv)
{
    const unsigned long sizes[] = {MIB, 256 * MIB, 1024 * MIB};
    int rounds = argc > 1 ? atoi(argv[1]) : ROUNDS_DEFAULT;

    if (argc > 1 && !strcmp(argv[1], END_AT_ONCE))
        return 0;
    if (argc > 2)
        program = argv[2];
    if (rounds < 1)
        return 2;
    printf("microseconds to start %s and to wait for its end\n%-12s %-12s %10s\n", program,
           "parent", "by", "us");
    for (unsigned i = 0; i < sizeof(sizes) / sizeof(sizes[0]); i++) {
        if (!fits(sizes[i]) || grow_to(sizes[i])) {
            printf("%4lu MiB     does not fit\n", sizes[i] / MIB);
            continue;
        }
        for (unsigned j = 0; j < sizeof(ways) / sizeof(ways[0]); j++) {
            long cost = cost_of(&ways[j], rounds);

            if (cost < 0)
                printf("%4lu MiB     %-12s %10s\n", sizes[i] / MIB, ways[j].name, strerror(errno));
            else
                printf("%4lu MiB     %-12s %10ld\n", sizes[i] / MIB, ways[j].name, cost);
        }
    }
    return 0;
}
