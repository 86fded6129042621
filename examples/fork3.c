/*
 * Three forks one after the other: eight processes.
 *
 * From CSC 374, Lecture 2 ("Fork Example 3"). To see: one L0, two L1, four L2, eight Bye.
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    setlinebuf(stdout); /* also into a file: else fork copies what the buffer holds */
    printf("L0\n");
    fork();
    printf("L1\n");
    fork();
    printf("L2\n");
    fork();
    printf("Bye\n");
    return 0;
}
