/*
 * waitpid takes the children in the order that the parent asks for.
 *
 * From CSC 374, Lecture 2 ("Waitpid"). To see: five children with the statuses 100 to 104,
 * in this order.
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/wait.h>
#include <unistd.h>

#define N 5

int main(void)
{
    pid_t children[N];

    setlinebuf(stdout); /* also into a file: else fork copies what the buffer holds */
    for (int i = 0; i < N; i++) {
        children[i] = fork();
        if (children[i] == 0)
            exit(100 + i);
    }
    for (int i = 0; i < N; i++) {
        int status;
        pid_t child = waitpid(children[i], &status, 0);

        if (WIFEXITED(status))
            printf("Child %d terminated with exit status %d\n", child, WEXITSTATUS(status));
        else
            printf("Child %d terminated abnormally\n", child);
    }
    return 0;
}
