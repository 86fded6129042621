/*
 * A function that is to run at the exit runs at both exits.
 *
 * From CSC 374, Lecture 2 ("exit: Destroying Process"). To see: the line twice: what was registered
 * is memory, and fork copies memory.
 */
#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static void clean_up(void)
{
    printf("cleaning up\n");
}

int main(void)
{
    setlinebuf(stdout); /* also into a file: else fork copies what the buffer holds */
    atexit(clean_up);
    fork();
    exit(0);
}
