/*
 * A call that returns twice: the child's number to the parent, 0 to the child.
 *
 * From CSCI3150, Lecture 3: Processes ("What does this program print?"). To see: both lines, in
 * either order. In Pith, 1 in /proc/sys/kernel/sched_child_runs_first lets the child go first, 0
 * the parent.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    pid_t child = fork();

    if (child == 0) {
        printf("Child of %s is %d\n", argv[0], getpid());
        return 0;
    }
    printf("My child is %d\n", child);
    fflush(stdout);
    wait(NULL);
    return 0;
}
