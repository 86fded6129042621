/*
 * Copies a file by letting cp do it.
 *
 * From CSC 374, Lecture 2 ("exec: Running new programs"). To see: the child becomes cp, the parent
 * waits, and then the copy is there.
 *
 *     copy FROM TO
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    int status;

    if (argc != 3)
        return 2;
    if (fork() == 0) {
        execl("/usr/bin/cp", "cp", argv[1], argv[2], NULL);
        _exit(127);
    }
    wait(&status);
    printf("copy %s\n", status == 0 ? "completed" : "failed");
    return status != 0;
}
