/* The program that a boot is timed with: ends at once; as process 1, the machine with it. */
#include <sys/reboot.h>
#include <unistd.h>

int main(void)
{
    if (getpid() == 1)
        reboot(RB_AUTOBOOT);
    return 0;
}
