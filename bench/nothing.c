/*
 * The program that a boot is timed with: says that it runs, and ends at once; as process 1, the
 * machine with it.
 */
#include <sys/reboot.h>
#include <unistd.h>

/* Where it begins, for who counts instructions (instructions.c). */
__attribute__((noinline)) void moment_mark(void)
{
    __asm__ volatile("");
}

int main(void)
{
    moment_mark();
    (void)!write(1, "runs\n", 5);
    if (getpid() == 1)
        reboot(RB_AUTOBOOT);
    return 0;
}
