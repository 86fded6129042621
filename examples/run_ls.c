/*
 * A program that becomes ls.
 *
 * From CSC 374, Lecture 2 ("Running printArgs from a program", runls). To see: exec does not
 * return; the line after it is never printed.
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    execlp("ls", "ls", "/proc/self/task", "-d", NULL);
    perror("this is printed only if ls could not run");
    return 1;
}
