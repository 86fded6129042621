/*
 * Stores through a shared mapping of the file argv[1] while another thread writes it back argv[2]
 * times. Prints the last number that was stored in each of its pages.
 */
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/mman.h>

#define PAGE  4096
#define PAGES 4

static volatile int is_over, number;
static char *memory;

static void *store(void *unused)
{
    while (!is_over) {
        number++;
        for (int page = 0; page < PAGES; page++)
            *(volatile int *)(memory + page * PAGE) = number;
    }
    return NULL;
}

int main(int argc, char **argv)
{
    int fd = open(argv[1], O_RDWR);
    pthread_t thread;

    memory = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
    if (argc < 3 || memory == MAP_FAILED || pthread_create(&thread, NULL, store, NULL))
        abort();
    while (!number)
        sched_yield();
    for (int rounds = atoi(argv[2]); rounds; rounds--)
        if (msync(memory, PAGES * PAGE, MS_SYNC))
            abort();
    is_over = 1;
    pthread_join(thread, NULL);
    printf("%d\n", number);
    return msync(memory, PAGES * PAGE, MS_SYNC) ? 1 : 0;
}
