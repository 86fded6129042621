/*
 * A jump out of a signal handler, to where the program was well.
 *
 * From CSC 374, Lecture 2 ("Exceptional Control Flow": nonlocal jumps). To see: sigsetjmp returns
 * once by itself and then once for each jump; and it restores the signal mask, without which the
 * second fault would find SIGSEGV blocked, and kill.
 */
#include <setjmp.h>
#include <signal.h>
#include <stdio.h>

static sigjmp_buf well;

static void jump_back(int number)
{
    siglongjmp(well, number);
}

static int read_byte(const volatile char *address)
{
    return *address;
}

int main(void)
{
    volatile int attempts = 0;
    int came_from;

    signal(SIGSEGV, jump_back);
    came_from = sigsetjmp(well, 1);
    printf("%s\n", came_from ? "back from a fault" : "set");
    if (attempts++ < 2)
        printf("read %d\n", read_byte(NULL));
    printf("the program goes on\n");
    return 0;
}
