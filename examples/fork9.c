/*
 * wait: the parent goes on only when the child has ended.
 *
 * From CSC 374, Lecture 2 ("wait: Synchronizing with children"). To see: CT after HC, always; HP
 * where it may.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

int main(void)
{
    setlinebuf(stdout); /* also into a file: else fork copies what the buffer holds */
    if (fork() == 0) {
        printf("HC: hello from child\n");
    } else {
        printf("HP: hello from parent\n");
        wait(NULL);
        printf("CT: child has terminated\n");
    }
    printf("Bye\n");
    return 0;
}
