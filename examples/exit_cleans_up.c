/*
 * A process need not clean up: the kernel does, however it ends, and keeps only its control block.
 *
 * From CSCI3150, Lecture 3: Processes ("Process Termination"). To see: a child that is killed in
 * the middle of its work leaves no open pipe, no lock and no memory; its number and its status stay
 * until the parent waits.
 */
#include <errno.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <unistd.h>

#include "process_state.h"

#define MEMORY_BYTES (16 << 20)

/* Resident memory in KiB, or -1 when a process has none at all. */
static long resident_kib(pid_t pid)
{
    char path[32], line[128];
    long kib = -1;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/status", pid);
    file = fopen(path, "r");
    while (file && fgets(line, sizeof(line), file))
        sscanf(line, "VmRSS: %ld", &kib);
    if (file)
        fclose(file);
    return kib;
}

static void hold_everything(int lock, int write_end)
{
    char *memory =
        mmap(NULL, MEMORY_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    memset(memory, 1, MEMORY_BYTES);
    lockf(lock, F_LOCK, 0);
    dprintf(write_end, "x");
    pause();
}

int main(void)
{
    int ends[2], lock = fileno(tmpfile()), status;
    pid_t child;
    char byte;

    if (pipe(ends))
        return 1;
    child = fork();
    if (child == 0)
        hold_everything(lock, ends[1]);
    close(ends[1]);
    if (read(ends[0], &byte, 1) != 1)
        return 1;
    printf("it works: memory %s, file %s\n",
           resident_kib(child) * 1024 > MEMORY_BYTES ? "full" : "?",
           lockf(lock, F_TEST, 0) ? "locked" : "free");
    kill(child, SIGKILL);
    wait_until_state(child, 'Z');
    printf("killed:   memory %s, file %s, pipe %s\n", resident_kib(child) == -1 ? "gone" : "?",
           lockf(lock, F_TEST, 0) ? "locked" : "free", read(ends[0], &byte, 1) ? "?" : "closed");
    printf("its number %s, its state is %c\n", kill(child, 0) ? "is free" : "is still taken",
           process_state(child));
    waitpid(child, &status, 0);
    printf("reaped:   ended by signal %d, and its number %s\n", WTERMSIG(status),
           kill(child, 0) && errno == ESRCH ? "is free" : "is still taken");
    return 0;
}
