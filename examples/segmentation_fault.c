/*
 * A write that faults and kills: beyond the end of an array there is no page.
 *
 * From CSC 374, Lecture 2 ("Fault Example 2"). To see: the kernel finds that the address is not the
 * process's, and sends SIGSEGV; the parent learns it from wait. The fault's address is the write's.
 */
#define _GNU_SOURCE
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#define PAGE 4096

static volatile int *array; /* of one page; nothing follows it */

static void say_why(int number, siginfo_t *info, void *context)
{
    dprintf(STDOUT_FILENO, "%s at element %ld: %s\n", strsignal(number),
            (long)((volatile int *)info->si_addr - array),
            info->si_code == SEGV_MAPERR ? "nothing is mapped there" : "something is mapped there");
    signal(number, SIG_DFL); /* the instruction runs again, faults again, and kills */
}

int main(void)
{
    struct sigaction action = {.sa_sigaction = say_why, .sa_flags = SA_SIGINFO};
    char *pages = mmap(NULL, 8 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    int status;

    array = (volatile int *)pages;
    munmap(pages + PAGE, 7 * PAGE);
    if (fork() == 0) {
        sigaction(SIGSEGV, &action, NULL);
        array[500] = 13;
        dprintf(STDOUT_FILENO, "element 500 is %d\n", array[500]);
        array[5000] = 13;
        dprintf(STDOUT_FILENO, "element 5000 is %d\n", array[5000]);
        return 0;
    }
    wait(&status);
    if (WIFSIGNALED(status))
        printf("the child was killed by signal %d (%s)\n", WTERMSIG(status),
               strsignal(WTERMSIG(status)));
    return 0;
}
