/*
 * fork, then exec in the child: a program that runs another and is still there afterwards.
 *
 * From CSC 374, Lecture 2 ("Creating new processes in UNIX", progExec). To see: the parent's line
 * comes after all of the program's, with the status that the program ended with.
 *
 *     prog_exec print_args one two
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int status;

    if (argc < 2) {
        fprintf(stderr, "usage: %s PROGRAM [ARGUMENTS...]\n", argv[0]);
        return 2;
    }
    if (fork() == 0) {
        execvp(argv[1], argv + 1);
        perror(argv[1]);
        _exit(127);
    }
    wait(&status);
    printf("%s ended with status %d\n", argv[1], WEXITSTATUS(status));
    return 0;
}
