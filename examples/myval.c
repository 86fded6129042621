/*
 * One variable, whose address and value each instance of the program prints.
 *
 * From CSCI3150, Lecture 3: Processes ("Now how about this?"). To see: under setarch -R two
 * instances print one address and two values, for an address belongs to a process, not to the
 * machine's memory. Without it the addresses differ, too: each process is laid out at random.
 *
 *     myval VALUE [TIMES]
 */
#include <stdio.h>
#include <stdlib.h>

static int myval;

int main(int argc, char **argv)
{
    int times = argc > 2 ? atoi(argv[2]) : 3;

    if (argc < 2)
        return 2;
    myval = atoi(argv[1]);
    while (times--)
        printf("myval is %d, loc 0x%lx\n", myval, (long)&myval);
    return 0;
}
