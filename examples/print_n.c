/*
 * Prints a word as often as its first argument says.
 *
 * From CSC 374, Lecture 2 ("Command line arguments", printN). To see: an argument is text; what is
 * to be a number, the program must make one.
 *
 *     print_n 3 hello
 */
#include <stdio.h>
#include <stdlib.h>

int main(int argc, char **argv)
{
    if (argc != 3) {
        fprintf(stderr, "usage: %s N WORD\n", argv[0]);
        return 2;
    }
    for (int i = 0; i < atoi(argv[1]); i++)
        printf("%d %s\n", i, argv[2]);
    return 0;
}
