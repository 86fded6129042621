/*
 * Parent and child run the same code, and tell by the result of fork which they are.
 *
 * From CSC 374, Lecture 2 ("Fork Example 1"). To see: each has its own x; the order of
 * the two is open.
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    int x = 1;
    pid_t pid;

    setlinebuf(stdout); /* also into a file: else fork copies what the buffer holds */
    pid = fork();
    if (pid == 0)
        printf("Child has x = %d\n", ++x);
    else
        printf("Parent has x = %d\n", --x);
    printf("Bye from process %d with x = %d\n", getpid(), x);
    return 0;
}
