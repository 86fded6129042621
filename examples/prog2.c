/*
 * A program that becomes the program that its arguments name.
 *
 * From CSC 374, Lecture 2 ("Running printArgs from a program", prog2). To see: the rest of argv is
 * a complete argv for the next program.
 *
 *     prog2 print_args one two
 */
#include <stdio.h>
#include <unistd.h>

int main(int argc, char **argv)
{
    if (argc < 2) {
        fprintf(stderr, "usage: %s PROGRAM [ARGUMENTS...]\n", argv[0]);
        return 2;
    }
    execvp(argv[1], argv + 1);
    perror(argv[1]);
    return 127;
}
