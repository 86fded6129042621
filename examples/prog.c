/*
 * A program that becomes print_args.
 *
 * From CSC 374, Lecture 2 ("Running printArgs from a program", prog). To see: the arguments are
 * those that execlp gives, argv[0] too, which need not be the program's name; the process number
 * stays.
 */
#include <stdio.h>
#include <unistd.h>

int main(void)
{
    char number[16];

    snprintf(number, sizeof(number), "%d", getpid());
    execlp("print_args", "any name", "one", "two", number, NULL);
    perror("print_args");
    return 1;
}
