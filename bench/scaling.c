/*
 * The same work on all CPUs at once: as many workers as there are CPUs, each with its share, and
 * the time for one operation of all of them together. It halves with twice the CPUs where nothing
 * is waited for (and the host has them).
 */
#include "operations.h"

#include <linux/futex.h>
#include <pthread.h>
#include <sched.h>
#include <stdatomic.h>
#include <sys/syscall.h>

#define WORKERS_MAX 64
#define TIMES       4096

/* Work of one thread of a process that all share. */
struct scaling {
    const char *name;
    void (*work)(void);
    unsigned times;
};

static atomic_uint ready;
static atomic_uint begin;

static void fault_pages(void)
{
    char *at = map_small_pages(TIMES * PAGE);

    touch(at, TIMES * PAGE);
    munmap(at, TIMES * PAGE);
}

static void open_file(void)
{
    for (unsigned i = 0; i < TIMES; i++)
        close(open(FILE_NAME, O_RDONLY));
}

static void pipe_byte(void)
{
    int fds[2];
    char byte = 0;

    check(pipe(fds) == 0, "pipe");
    for (unsigned i = 0; i < TIMES; i++) {
        check(write(fds[1], &byte, 1) == 1, "write");
        check(read(fds[0], &byte, 1) == 1, "read");
    }
    close(fds[0]);
    close(fds[1]);
}

/* Nobody waits on the word: what is shared is the kernel's table of waiters. */
static void futex_wake(void)
{
    uint32_t word = 0;

    for (unsigned i = 0; i < TIMES; i++) {
        syscall(SYS_futex, &word, FUTEX_WAKE_PRIVATE, 1);
        syscall(SYS_futex, &word, FUTEX_WAIT_PRIVATE, 1, NULL); /* not 1: EAGAIN at once */
    }
}

static void *worker(void *argument)
{
    const struct scaling *scaling = argument;

    atomic_fetch_add(&ready, 1);
    while (!atomic_load(&begin))
        sched_yield();
    scaling->work();
    return NULL;
}

/* Pith's count of waits for locks since the boot: "lock NAME COUNT NS" each, after every operation.
 */
static void report_lock_waits(void)
{
    FILE *file = fopen("/proc/pith/lock_waits", "r");
    char line[80];

    while (file && fgets(line, sizeof(line), file))
        printf("lock %s", line);
    if (file)
        fclose(file);
}

static void measure(const struct scaling *scaling, unsigned workers)
{
    pthread_t threads[WORKERS_MAX];
    uint64_t began;

    atomic_store(&ready, 0);
    atomic_store(&begin, 0);
    for (unsigned i = 0; i < workers; i++)
        check(pthread_create(&threads[i], NULL, worker, (void *)scaling) == 0, "pthread_create");
    while (atomic_load(&ready) < workers)
        sched_yield();
    began = now_ns();
    atomic_store(&begin, 1);
    for (unsigned i = 0; i < workers; i++)
        pthread_join(threads[i], NULL);
    report(scaling->name, now_ns() - began, scaling->times * workers, 1);
    report_lock_waits();
}

void scaling_measure(void)
{
    static const struct scaling scalings[] = {
        {"page fault", fault_pages, TIMES},
        {"open + close of one file", open_file, TIMES},
        {"pipe, a byte through", pipe_byte, TIMES},
        {"futex wake and failed wait", futex_wake, TIMES},
    };
    long cpus = sysconf(_SC_NPROCESSORS_ONLN);

    for (size_t i = 0; i < sizeof(scalings) / sizeof(*scalings); i++)
        measure(&scalings[i], cpus < WORKERS_MAX ? cpus : WORKERS_MAX);
}
