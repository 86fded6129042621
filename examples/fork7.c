/*
 * A child that has ended, and a parent that never asks: a zombie.
 *
 * From CSC 374, Lecture 2 ("Zombie Example"). To see: while this runs, ps shows the child as
 * <defunct>; kill the parent, and the child is gone, too, for process 1 reaps it.
 *
 *     fork7 & sleep 1; ps; kill $!; ps
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

int main(void)
{
    setlinebuf(stdout); /* also into a file: else fork copies what the buffer holds */
    if (fork() == 0) {
        printf("Terminating Child, PID = %d\n", getpid());
        exit(0);
    }
    printf("Running Parent, PID = %d\n", getpid());
    for (;;)
        pause();
}
