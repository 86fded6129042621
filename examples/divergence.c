/*
 * After a fork parent and child have the same memory, the same program counter, and two lives.
 *
 * From CSCI3150, Lecture 3: Processes ("Duplicating Address Spaces", "Divergence"). To see: one
 * address, and from the first write on two values behind it.
 */
#include <stdio.h>
#include <sys/wait.h>
#include <unistd.h>

static int value = 1;

static void show(const char *who)
{
    static int *address = &value; /* copied with everything else */

    printf("%-7s value %d %s\n", who, value, address == &value ? "at the same address" : "moved");
    fflush(stdout);
}

int main(void)
{
    pid_t child;

    show("before");
    child = fork();
    if (child == 0) {
        show("child");
        value = 2;
        show("child");
        return 0;
    }
    wait(NULL);
    show("parent"); /* does not see what the child wrote */
    value = 3;
    show("parent");
    return 0;
}
