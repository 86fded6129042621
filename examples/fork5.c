/*
 * Only the child forks again: four processes, each the child of the one before.
 *
 * From CSC 374, Lecture 2 ("Fork Example 5"). To see: L0, L1 and L2 in this order, for each
 * is printed by a child of the one before; the four Bye fall where they may.
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    setlinebuf(stdout); /* also into a file: else fork copies what the buffer holds */
    printf("L0\n");
    if (fork() == 0) {
        printf("L1\n");
        if (fork() == 0) {
            printf("L2\n");
            fork();
        }
    }
    printf("Bye\n");
    return 0;
}
