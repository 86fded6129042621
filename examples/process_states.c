/*
 * The process API, and the state that each call leaves a process in.
 *
 * From OSTEP 4.2 ("Process API": create, destroy, wait, miscellaneous control, status) and 4.4,
 * figure 4.2. To see: the letter in /proc/PID/stat after each step; R is running or ready.
 */
#include <signal.h>
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process_state.h"

static void show(const char *what, pid_t child)
{
    char state = process_state(child);

    printf("%-36s %c\n", what, state ? state : '-');
    fflush(stdout);
}

static void live(int from)
{
    char byte;

    while (read(from, &byte, 1) == 1)
        for (;;)
            ;
    _exit(0);
}

int main(void)
{
    int ends[2];
    pid_t child;

    if (pipe(ends))
        return 1;
    child = fork();
    if (child == 0)
        live(ends[0]);
    wait_until_state(child, 'S');
    show("created, and blocked in read", child);
    if (write(ends[1], "x", 1) != 1)
        return 1;
    wait_until_state(child, 'R');
    show("the input is there: ready, running", child);
    kill(child, SIGSTOP);
    waitpid(child, NULL, WUNTRACED);
    show("suspended", child);
    kill(child, SIGCONT);
    waitpid(child, NULL, WCONTINUED);
    wait_until_state(child, 'R');
    show("resumed", child);
    kill(child, SIGKILL);
    wait_until_state(child, 'Z');
    show("destroyed, not yet waited for", child);
    waitpid(child, NULL, 0);
    show("waited for", child);
    return 0;
}
