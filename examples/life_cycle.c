/*
 * The life of a process: fork, execve, exit, wait4.
 *
 * From L41, Lecture 3: The Process Model ("The UNIX process life cycle"). To see: the process keeps
 * its number through execve, which replaces its program; exit leaves a status and what it used,
 * and wait4 brings both.
 */
#define _GNU_SOURCE
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* What the new program does. */
static int second_life(const char *number)
{
    printf("execve: a new program, %s process\n",
           atoi(number) == getpid() ? "the same" : "another");
    return 42;
}

int main(int argc, char **argv)
{
    struct rusage usage;
    int status;
    pid_t child;

    setlinebuf(stdout);
    if (argc > 1)
        return second_life(argv[1]);
    child = fork();
    if (child == 0) {
        char number[16], *arguments[] = {argv[0], number, NULL};

        printf("fork:   a new process, the same program\n");
        snprintf(number, sizeof(number), "%d", getpid());
        execve("/proc/self/exe", arguments, environ);
        _exit(127);
    }
    if (wait4(child, &status, 0, &usage) != child)
        return 1;
    printf("wait4:  it called exit(%d), and used %s memory\n", WEXITSTATUS(status),
           usage.ru_maxrss > 0 ? "some" : "no");
    return 0;
}
