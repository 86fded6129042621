/*
 * The state of a process, as the examples look at it: the letter of /proc/PID/stat, which is what
 * ps shows in its column STAT.
 *
 *     R running or ready   S waiting   D waiting for a disk or a vfork   T stopped   Z zombie
 */
#pragma once

#include <stdio.h>
#include <sys/types.h>
#include <unistd.h>

/* 0: there is no such process. */
static inline char process_state(pid_t pid)
{
    char path[32], state = 0;
    FILE *file;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    file = fopen(path, "r");
    if (!file)
        return 0;
    if (fscanf(file, "%*d (%*[^)]) %c", &state) != 1)
        state = 0;
    fclose(file);
    return state;
}

static inline void wait_until_state(pid_t pid, char state)
{
    while (process_state(pid) != state)
        usleep(1000);
}
