/*
 * Prints its arguments, one a line.
 *
 * From CSC 374, Lecture 2 ("Command line arguments", printArgs). To see: the first argument is the
 * name by which the program was called.
 *
 *     print_args one "two words" three
 */
#include <stdio.h>

int main(int argc, char **argv)
{
    for (int i = 0; i < argc; i++)
        printf("argv[%d] = %s\n", i, argv[i]);
    return 0;
}
