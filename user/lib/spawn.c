/* The library over spawn: collects what the child is to have, then makes one system call. */
#include "spawn.h"

#include <errno.h>
#include <signal.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <unistd.h>

#ifndef P_PIDFD
#define P_PIDFD 3
#endif

/* One that finds no room is counted: spawn_start then fails. */
static void add(struct spawn *spawn, const struct spawn_action *action)
{
    uint32_t index = spawn->call.action_count++;

    if (index < SPAWN_ACTIONS_ROOM)
        spawn->actions[index] = *action;
}

void spawn_inherit(struct spawn *spawn, int source, int fd)
{
    const struct spawn_action action = {.kind = SPAWN_INHERIT, .source = source, .fd = fd};

    add(spawn, &action);
}

void spawn_open(struct spawn *spawn, int fd, const char *path, int flags, mode_t mode)
{
    const struct spawn_action action = {
        .kind = SPAWN_OPEN, .fd = fd, .flags = flags, .mode = mode, .path = (uintptr_t)path};

    add(spawn, &action);
}

void spawn_directory(struct spawn *spawn, const char *path)
{
    const struct spawn_action action = {.kind = SPAWN_DIRECTORY, .path = (uintptr_t)path};

    add(spawn, &action);
}

int spawn_start(struct spawn *spawn)
{
    if (spawn->call.action_count > SPAWN_ACTIONS_ROOM) {
        errno = E2BIG;
        return -1;
    }
    spawn->call.actions = (uintptr_t)spawn->actions;
    spawn->call.pid = (uintptr_t)&spawn->pid;
    return syscall(SPAWN_SYSCALL, &spawn->call, sizeof(spawn->call));
}

int spawn_wait(int pidfd)
{
    siginfo_t info;
    int error;

    do
        error = waitid((idtype_t)P_PIDFD, pidfd, &info, WEXITED);
    while (error == -1 && errno == EINTR);
    if (error == -1)
        return -1;
    close(pidfd);
    return info.si_code == CLD_EXITED ? info.si_status << 8 : info.si_status;
}
