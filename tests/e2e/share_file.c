/*
 * Uses the file argv[2] of a writable share, argv[3] times, as argv[1] says.
 *
 * `fault`: a thread writes a byte of a page that is not in memory while another reads the page
 * through a mapping. `punch`: a page is punched right after it was read, and read again. `clear`:
 * two pages and parts of those before and behind are punched while another thread stores to the
 * first and writes all back. `cut`: the file is made shorter while that thread works.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#define PAGE 4096

static pthread_barrier_t barrier;
static const volatile char *memory;
static int fd, rounds;

static void *load(void *unused)
{
    for (int round = 0; round < rounds; round++) {
        pthread_barrier_wait(&barrier);
        (void)memory[0];
        pthread_barrier_wait(&barrier);
    }
    return unused;
}

static void fault(void)
{
    pthread_t thread;

    memory = mmap(NULL, PAGE, PROT_READ, MAP_SHARED, fd, 0);
    pthread_barrier_init(&barrier, NULL, 2);
    if (memory == MAP_FAILED || pthread_create(&thread, NULL, load, NULL))
        abort();
    for (int round = 0; round < rounds; round++) {
        if (posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
            abort();
        pthread_barrier_wait(&barrier);
        if (pwrite(fd, "x", 1, 1) != 1)
            abort();
        pthread_barrier_wait(&barrier);
    }
    pthread_join(thread, NULL);
}

static void punch(void)
{
    for (int round = 0; round < rounds; round++) {
        off_t at = (off_t)round * PAGE;
        char before = 0, after = 1;

        if (pread(fd, &before, 1, at) != 1 || !before ||
            fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, at, PAGE) ||
            pread(fd, &after, 1, at) != 1)
            abort();
        if (after)
            printf("page %d still has what was punched\n", round);
    }
}

/* What is punched: all but the first bytes of the first page, and the last of the last. */
#define CLEAR_PAGES 4
#define CLEAR_FROM  100
#define CLEAR_TO    (CLEAR_PAGES * PAGE - 100)
#define STORES      20

static volatile char *shared;
static volatile int number;

static void *store(void *unused)
{
    for (int round = 0; round < rounds; round++) {
        pthread_barrier_wait(&barrier);
        for (int i = 0; i < STORES; i++) {
            *(volatile int *)shared = ++number;
            for (int page = 1; page < CLEAR_PAGES; page++)
                shared[page * PAGE] = 0; /* makes it dirty */
            if (msync((void *)shared, CLEAR_PAGES * PAGE, MS_SYNC))
                abort();
        }
        pthread_barrier_wait(&barrier);
    }
    return unused;
}

static void clear_check(const char *where)
{
    for (int at = CLEAR_FROM; at < CLEAR_TO; at++) {
        if (shared[at]) {
            printf("%s: byte %d is still there\n", where, at);
            return;
        }
    }
    if (*(volatile int *)shared != number || shared[CLEAR_TO] != 'x')
        printf("%s: what was not punched is lost\n", where);
}

static void store_begin(pthread_t *thread)
{
    shared = mmap(NULL, CLEAR_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    pthread_barrier_init(&barrier, NULL, 2);
    if (shared == MAP_FAILED || pthread_create(thread, NULL, store, NULL))
        abort();
}

static void clear(void)
{
    pthread_t thread;

    store_begin(&thread);
    for (int round = 0; round < rounds; round++) {
        memset((void *)shared, 'x', CLEAR_PAGES * PAGE);
        pthread_barrier_wait(&barrier);
        if (fallocate(fd, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, CLEAR_FROM,
                      CLEAR_TO - CLEAR_FROM))
            abort();
        pthread_barrier_wait(&barrier);
        clear_check("in memory");
        if (msync((void *)shared, CLEAR_PAGES * PAGE, MS_SYNC) ||
            posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED))
            abort();
        clear_check("on the host");
    }
    pthread_join(thread, NULL);
}

/* The bytes that the file has at the host: an open asks, once what is known is old enough. */
static off_t size_at_host(const char *name)
{
    struct stat status;
    int again;

    usleep(5000);
    again = open(name, O_RDONLY);
    if (again < 0 || fstat(again, &status) || close(again))
        abort();
    return status.st_size;
}

/* Within its last page, so that all that is stored to stays in the file. */
static void cut(const char *name)
{
    pthread_t thread;

    store_begin(&thread);
    for (int round = 0; round < rounds; round++) {
        if (ftruncate(fd, CLEAR_PAGES * PAGE))
            abort();
        pthread_barrier_wait(&barrier);
        for (int bytes = PAGE - 1; bytes > PAGE - STORES; bytes--)
            if (ftruncate(fd, (CLEAR_PAGES - 1) * PAGE + bytes))
                abort();
        pthread_barrier_wait(&barrier);
        if (size_at_host(name) != CLEAR_PAGES * PAGE - STORES + 1)
            printf("the file is longer than it was cut to\n");
    }
    pthread_join(thread, NULL);
}

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    fd = open(argv[2], O_RDWR);
    rounds = atoi(argv[3]);
    if (strcmp(argv[1], "fault") == 0)
        fault();
    else if (strcmp(argv[1], "clear") == 0)
        clear();
    else if (strcmp(argv[1], "cut") == 0)
        cut(argv[2]);
    else
        punch();
    return 0;
}
