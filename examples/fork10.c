/*
 * wait takes the children in the order in which they end.
 *
 * From CSC 374, Lecture 2 ("Wait Example"). To see: five children with the statuses 100 to
 * 104, in an order that may be another each time.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 5

int main(void)
{
    setlinebuf(stdout); /* also into a file: else fork copies what the buffer holds */
    for (int i = 0; i < N; i++)
        if (fork() == 0)
            exit(100 + i);
    for (int i = 0; i < N; i++) {
        int status;
        pid_t child = wait(&status);

        if (WIFEXITED(status))
            printf("Child %d terminated with exit status %d\n", child, WEXITSTATUS(status));
        else
            printf("Child %d terminated abnormally\n", child);
    }
    return 0;
}
