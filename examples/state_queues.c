/*
 * Each process is on the queue of what it waits for.
 *
 * From CSCI3150, Lecture 3: Processes ("State Queues"): a ready queue, and one for each kind of
 * wait. To see: five children, what each waits for, and its state; the one that waits for nothing
 * is running or ready.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/file.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process_state.h"

static int ends[2], file;

static void wait_for_nothing(void)
{
    for (;;)
        ;
}

static void wait_for_time(void)
{
    sleep(1000);
}

static void wait_for_input(void)
{
    char byte;

    if (read(ends[0], &byte, 1) != 1)
        _exit(1);
}

static void wait_for_signal(void)
{
    pause();
}

static void wait_for_lock(void)
{
    lockf(file, F_LOCK, 0); /* the parent holds it */
}

static const struct queue {
    const char *name;
    void (*wait)(void);
    char state;
} queues[] = {
    {"ready", wait_for_nothing, 'R'}, {"sleep", wait_for_time, 'S'}, {"pipe", wait_for_input, 'S'},
    {"signal", wait_for_signal, 'S'}, {"lock", wait_for_lock, 'S'},
};

int main(void)
{
    pid_t children[sizeof(queues) / sizeof(queues[0])];

    file = fileno(tmpfile());
    if (pipe(ends) || lockf(file, F_LOCK, 0))
        return 1;
    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++) {
        children[i] = fork();
        if (children[i] == 0) {
            queues[i].wait();
            _exit(0);
        }
        wait_until_state(children[i], queues[i].state);
        printf("%-6s  state %c\n", queues[i].name, process_state(children[i]));
        fflush(stdout);
    }
    for (size_t i = 0; i < sizeof(queues) / sizeof(queues[0]); i++)
        kill(children[i], SIGKILL);
    while (wait(NULL) > 0)
        ;
    return 0;
}
