/*
 * fork can fail: here because its user may have no more processes.
 *
 * From CSCI3150, Lecture 3: Processes ("fork() can return an error. Why might this happen?"). To
 * see: the parent gets -1 and EAGAIN, there is no child; when one has ended, there is room again.
 */
#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

#define PROCESSES_MOST 4
#define USER           61234 /* one that has no process yet; the limit does not hold for root */

int main(void)
{
    struct rlimit limit = {PROCESSES_MOST, PROCESSES_MOST};
    int ends[2];

    if (pipe(ends))
        return 1;
    setrlimit(RLIMIT_NPROC, &limit);
    if (getuid() == 0 && setuid(USER))
        return 1;
    for (int children = 0;; children++) {
        pid_t child = fork();

        if (child == 0) {
            char end;

            close(ends[1]);
            return (int)read(ends[0], &end, 1); /* lives until the parent closes its end */
        }
        if (child == -1) {
            printf("child %d: fork gives %s\n", children + 1, strerror(errno));
            break;
        }
        printf("child %d is there\n", children + 1);
        fflush(stdout);
    }
    close(ends[1]);
    while (wait(NULL) > 0)
        ;
    fflush(stdout);
    switch (fork()) {
    case -1:
        printf("they have ended: fork still gives %s\n", strerror(errno));
        return 1;
    case 0:
        return 0;
    default:
        printf("they have ended: fork gives a child\n");
        return 0;
    }
}
