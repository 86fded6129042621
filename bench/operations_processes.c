/* Processes and threads: made, executed, waited for. */
#include "operations.h"

#include <pthread.h>
#include <spawn.h>

#define LARGE_FORKS 5

extern char **environ;

void fork_wait(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        pid_t child = fork();

        check(child >= 0, "fork");
        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
    }
}

static void execute(void)
{
    execl("/proc/self/exe", "operations", "exit", NULL);
    _exit(1);
}

static void fork_exec(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        pid_t child = fork();

        check(child >= 0, "fork");
        if (child == 0)
            execute();
        waitpid(child, NULL, 0);
    }
}

/* A function of its own: nothing that the caller keeps is touched by the child. */
static pid_t vfork_child(void)
{
    pid_t child = vfork();

    if (child == 0)
        execute();
    return child;
}

static void vfork_exec(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        pid_t child = vfork_child();

        check(child >= 0, "vfork");
        waitpid(child, NULL, 0);
    }
}

static void spawn(unsigned times)
{
    char *arguments[] = {"operations", "exit", NULL};

    for (unsigned i = 0; i < times; i++) {
        pid_t child;

        check(posix_spawn(&child, "/proc/self/exe", NULL, NULL, arguments, environ) == 0,
              "posix_spawn");
        waitpid(child, NULL, 0);
    }
}

static void *thread_nothing(void *argument)
{
    return argument;
}

static void thread_join(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        pthread_t thread;

        check(pthread_create(&thread, NULL, thread_nothing, NULL) == 0, "pthread_create");
        pthread_join(thread, NULL);
    }
}

const struct operation process_operations[] = {
    {"fork + exit + wait, small", NULL, fork_wait, NULL, 100},
    {"vfork + exec + wait", NULL, vfork_exec, NULL, 50},
    {"fork + exec + wait", NULL, fork_exec, NULL, 50},
    {"posix_spawn + wait", NULL, spawn, NULL, 50},
    {"thread create + join", NULL, thread_join, NULL, 200},
    {NULL},
};

/* ---- fork with much memory touched, and the first write after it: the price of sharing ---- */

/* In the child, as soon as it runs: it tells the time that its first write takes. */
static uint64_t child_write_ns(char *at)
{
    int fds[2];
    uint64_t ns = 0, began;
    pid_t child;

    check(pipe(fds) == 0, "pipe");
    child = fork();
    check(child >= 0, "fork");
    if (child == 0) {
        began = now_ns();
        *(volatile char *)at = 3;
        ns = now_ns() - began;
        check(write(fds[1], &ns, sizeof(ns)) == sizeof(ns), "write");
        _exit(0);
    }
    check(read(fds[0], &ns, sizeof(ns)) == sizeof(ns), "read");
    waitpid(child, NULL, 0);
    close(fds[0]);
    close(fds[1]);
    return ns;
}

static void large_fork_measure(size_t mib, char *(*map)(size_t), const char *pages)
{
    char *memory = map(mib * MIB), name[80];
    uint64_t began, ns = 0;

    touch(memory, mib * MIB);
    fork_wait(1);
    for (unsigned i = 0; i < LARGE_FORKS; i++) {
        began = now_ns();
        fork_wait(1);
        ns += now_ns() - began;
        memory[i * mib * MIB / LARGE_FORKS] = 2; /* so that every fork finds something to do */
    }
    snprintf(name, sizeof(name), "fork + exit + wait, %zu MiB in %s pages", mib, pages);
    report(name, ns, LARGE_FORKS, LARGE_FORKS);
    munmap(memory, mib * MIB);
}

static void first_write_measure(size_t mib)
{
    char *memory = map_small_pages(mib * MIB), name[80];
    uint64_t began, parent = 0, child = 0;
    size_t step = mib * MIB / LARGE_FORKS / PAGE * PAGE;

    touch(memory, mib * MIB);
    for (unsigned i = 0; i < LARGE_FORKS; i++) {
        fork_wait(1);
        began = now_ns();
        memory[i * step] = 2;
        parent += now_ns() - began;
    }
    snprintf(name, sizeof(name), "first write after fork of %zu MiB, parent", mib);
    report(name, parent, LARGE_FORKS, LARGE_FORKS);
    for (unsigned i = 0; i < LARGE_FORKS; i++)
        child += child_write_ns(memory + i * step);
    snprintf(name, sizeof(name), "first write after fork of %zu MiB, child", mib);
    report(name, child, LARGE_FORKS, LARGE_FORKS);
    munmap(memory, mib * MIB);
}

void large_forks_measure(const char *only)
{
    static const size_t sizes[] = {64, 256, 1024};

    if (only && !strstr("large forks", only))
        return;
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        large_fork_measure(sizes[i], map_huge_pages, "2 MiB");
    for (size_t i = 0; i < sizeof(sizes) / sizeof(*sizes); i++)
        large_fork_measure(sizes[i], map_small_pages, "4 KiB");
    first_write_measure(1024);
}
