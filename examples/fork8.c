/*
 * A parent that has ended, and a child that never does.
 *
 * From CSC 374, Lecture 2 ("Nonterminating Child Example"). To see: the child lives on, and ps
 * shows it, until it is killed by its own number.
 *
 *     fork8; ps; pkill fork8; ps
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    setlinebuf(stdout); /* also into a file: else fork copies what the buffer holds */
    if (fork() == 0) {
        printf("Running Child, PID = %d\n", getpid());
        for (;;)
            ;
    }
    printf("Terminating Parent, PID = %d\n", getpid());
    return 0;
}
