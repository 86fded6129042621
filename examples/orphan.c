/*
 * What happens if a parent ends before its child?
 *
 * From CSCI3150, Lecture 3: Processes ("wait() a second..."). To see: the child gets another parent
 * at once: process 1, or as here the nearest ancestor that asked for orphans, which then reaps it.
 */
#include <stdio.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    pid_t grandparent = getpid(), waited;
    int status;

    prctl(PR_SET_CHILD_SUBREAPER, 1);
    if (fork() == 0) {
        pid_t parent = getpid();

        if (fork() == 0) {
            while (getppid() == parent)
                usleep(1000);
            printf("my parent has ended; now it is %s\n",
                   getppid() == grandparent ? "my grandparent" : "another");
            fflush(stdout);
            _exit(7);
        }
        _exit(3);
    }
    while ((waited = wait(&status)) > 0)
        printf("reaped a process that ended with %d\n", WEXITSTATUS(status));
    return 0;
}
