/*
 * probe: the proof that an accelerator really runs Pith (host/pith_accelerator.c).
 *
 * It does what cheap checks of KVM leave out: system calls from user mode, page faults, a timer
 * that wakes an idle CPU, and work on the second CPU. It says nothing; 0 means that all went well,
 * and who started it has a clock.
 */
#include <sched.h>
#include <stddef.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#define CALLS      10000
#define PAGES      256
#define PAGE_BYTES 4096
#define SLEEPS     5
#define SLEEP_NS   1000000

static int touch_pages(void)
{
    volatile char *bytes =
        mmap(NULL, PAGES * PAGE_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    if (bytes == MAP_FAILED)
        return -1;
    for (int i = 0; i < PAGES; i++)
        bytes[i * PAGE_BYTES] = 1;
    return 0;
}

static int move_to_cpu(int cpu)
{
    cpu_set_t set;

    CPU_ZERO(&set);
    CPU_SET(cpu, &set);
    return sched_setaffinity(0, sizeof(set), &set);
}

int main(void)
{
    struct timespec nap = {0, SLEEP_NS};

    for (int i = 0; i < CALLS; i++)
        getppid();
    if (touch_pages())
        return 1;
    for (int i = 0; i < SLEEPS; i++) {
        if (move_to_cpu(i % 2) || nanosleep(&nap, NULL))
            return 1;
    }
    return 0;
}
