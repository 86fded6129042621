/*
 * Two processes on one CPU that wait for each other in turn: each wait is a context switch.
 *
 * From CSCI3150, Lecture 3: Processes ("Context switching") and CSC 374, Lecture 2 ("Context
 * Switching"). To see: the kernel counts each time that a process left the CPU, of its own will
 * because it waits, or because another became ready.
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define ROUNDS 100

/* Waits for a byte, and gives one. */
static void turn(int from, int to)
{
    char ball;

    if (read(from, &ball, 1) == 1)
        while (write(to, &ball, 1) != 1)
            ;
}

int main(void)
{
    int there[2], back[2];
    struct rusage child;
    cpu_set_t first;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    if (pipe(there) || pipe(back))
        return 1;
    if (fork() == 0) {
        for (int i = 0; i < ROUNDS; i++)
            turn(there[0], back[1]);
        return 0;
    }
    if (write(there[1], "o", 1) != 1)
        return 1;
    for (int i = 0; i < ROUNDS - 1; i++)
        turn(back[0], there[1]);
    wait(NULL);
    getrusage(RUSAGE_CHILDREN, &child);
    printf("%d rounds: the child left the CPU %s\n", ROUNDS,
           child.ru_nvcsw + child.ru_nivcsw >= ROUNDS - 1 ? "in each" : "not in each");
    return 0;
}
