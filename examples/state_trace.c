/*
 * Two processes on one CPU, step by step.
 *
 * From OSTEP 4.4, figures 4.3 (both only compute) and 4.4 (the first waits for input in between).
 * To see: the two tables of the book. The policy is first in, first out, so that only a wait or an
 * end gives the CPU to the other; each step of work notes who works and asks the kernel how the
 * other is. Needs the right to choose that policy (root).
 */
#define _GNU_SOURCE
#include <sched.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process_state.h"

#define STEPS_MOST 16

static struct trace {
    pid_t pids[2];
    int steps;
    struct {
        char state[2]; /* as the kernel has it; that of the one that runs is R */
        int running;
    } step[STEPS_MOST];
} * trace; /* shared by all */

static int disk[2], start_line[2];

static void work(int me, int steps)
{
    for (int i = 0; i < steps; i++) {
        int at = trace->steps++;

        trace->step[at].running = me;
        trace->step[at].state[me] = 'R';
        trace->step[at].state[!me] = process_state(trace->pids[!me]);
    }
}

static void wait_for_disk(void)
{
    char byte;

    if (read(disk[0], &byte, 1) != 1)
        _exit(1);
}

static void disk_is_done(void)
{
    if (write(disk[1], "d", 1) != 1)
        _exit(1);
}

static void first_computes(void)
{
    work(0, 4);
}

static void second_computes(void)
{
    work(1, 4);
}

static void first_waits(void)
{
    work(0, 3);
    wait_for_disk();
    work(0, 2);
}

static void second_sees_it_done(void)
{
    work(1, 3);
    disk_is_done(); /* at this moment, as far as this CPU is concerned */
    work(1, 2);
}

static void show(const char *title)
{
    printf("%s\n time  process 0  process 1\n", title);
    for (int i = 0; i < trace->steps; i++) {
        const char *name[2];

        for (int who = 0; who < 2; who++)
            switch (trace->step[i].state[who]) {
            case 'R':
                name[who] = trace->step[i].running == who ? "running" : "ready";
                break;
            case 'S':
                name[who] = "blocked";
                break;
            default:
                name[who] = "-";
            }
        printf("%5d  %-9s  %s\n", i + 1, name[0], name[1]);
    }
    fflush(stdout);
}

static void run(const char *title, void (*const live[2])(void))
{
    memset(trace, 0, sizeof(*trace));
    if (pipe(disk) || pipe(start_line))
        exit(1);
    for (int i = 0; i < 2; i++) {
        pid_t child = fork();

        if (child == 0) {
            char byte;

            if (read(start_line[0], &byte, 1) == 1)
                live[i]();
            _exit(0);
        }
        trace->pids[i] = child;
        wait_until_state(child, 'S'); /* so they stand in line in this order */
    }
    if (write(start_line[1], "go", 2) == 2)
        while (wait(NULL) > 0)
            ;
    show(title);
}

int main(void)
{
    struct sched_param highest = {.sched_priority = 1};
    cpu_set_t first;

    CPU_ZERO(&first);
    CPU_SET(0, &first);
    sched_setaffinity(0, sizeof(first), &first);
    if (sched_setscheduler(0, SCHED_FIFO, &highest)) {
        perror("state_trace: first in, first out");
        return 1;
    }
    trace = mmap(NULL, sizeof(*trace), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    run("only computing", (void (*const[])(void)){first_computes, second_computes});
    run("computing and waiting", (void (*const[])(void)){first_waits, second_sees_it_done});
    return 0;
}
