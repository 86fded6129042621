/*
 * Uses the file argv[2] of a writable share, argv[3] times, as argv[1] says.
 *
 * `fault`: a thread writes a byte of a page that is not in memory while another reads the page
 * through a mapping. `punch`: a page is punched right after it was read, and read again.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
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

int main(int argc, char **argv)
{
    if (argc < 4)
        return 2;
    fd = open(argv[2], O_RDWR);
    rounds = atoi(argv[3]);
    if (strcmp(argv[1], "fault") == 0)
        fault();
    else
        punch();
    return 0;
}
