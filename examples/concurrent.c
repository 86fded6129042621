/*
 * Two processes are concurrent if their lives overlap; else they are sequential.
 *
 * From CSC 374, Lecture 2 ("Logical Control Flows", "Concurrent Processes"). To see: A overlaps B
 * and C; C begins when B has ended.
 */
#include <stdio.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

static struct life {
    int begin, end; /* points of a clock that ticks with each event */
} * lives;          /* shared by all */

static int *now;

static pid_t start(int which, int until)
{
    pid_t child = fork();

    if (child == 0) {
        char byte;

        lives[which].begin = __atomic_add_fetch(now, 1, __ATOMIC_SEQ_CST);
        if (until != -1 && read(until, &byte, 1) != 1)
            _exit(1);
        lives[which].end = __atomic_add_fetch(now, 1, __ATOMIC_SEQ_CST);
        _exit(0);
    }
    return child;
}

static void compare(int a, int b)
{
    int overlap = lives[a].begin < lives[b].end && lives[b].begin < lives[a].end;

    printf("%c and %c are %s\n", 'A' + a, 'A' + b, overlap ? "concurrent" : "sequential");
}

int main(void)
{
    int ends[2];
    pid_t a;

    lives = mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    now = &lives[3].begin;
    if (pipe(ends))
        return 1;
    a = start(0, ends[0]);
    while (!__atomic_load_n(&lives[0].begin, __ATOMIC_SEQ_CST))
        usleep(1000);
    waitpid(start(1, -1), NULL, 0);
    waitpid(start(2, -1), NULL, 0);
    if (write(ends[1], "e", 1) != 1)
        return 1;
    waitpid(a, NULL, 0);
    compare(0, 1);
    compare(0, 2);
    compare(1, 2);
    return 0;
}
