/*
 * The library over Pith's system call spawn: a process from nothing.
 *
 *     struct spawn spawn = SPAWN_OF("/bin/sort", arguments, environ);
 *
 *     spawn_inherit(&spawn, pipe_fd, STDIN_FILENO);
 *     spawn_open(&spawn, STDOUT_FILENO, "sorted", O_WRONLY | O_CREAT, 0644);
 *     spawn_inherit(&spawn, STDERR_FILENO, STDERR_FILENO);
 *     pidfd = spawn_start(&spawn);
 *     status = spawn_wait(pidfd);
 *
 * What is not named here the child does not have. Nothing happens before spawn_start, which gives a
 * descriptor or -1 with errno; too many actions are its E2BIG.
 */
#pragma once

#include <pith/abi/spawn.h>
#include <sys/types.h>

#define SPAWN_ACTIONS_ROOM 32

struct spawn {
    struct spawn_call call;
    struct spawn_action actions[SPAWN_ACTIONS_ROOM];
    int32_t pid; /* of the child, after spawn_start */
};

#define SPAWN_OF(name, argv, envp)            \
    {                                         \
        .call = {                             \
            .program = (uintptr_t)(name),     \
            .arguments = (uintptr_t)(argv),   \
            .environment = (uintptr_t)(envp), \
        },                                    \
    }

/* The caller's descriptor `source` is the child's `fd`. */
void spawn_inherit(struct spawn *spawn, int source, int fd);
/* The child's `fd` is `path`, opened as open(2) does. */
void spawn_open(struct spawn *spawn, int fd, const char *path, int flags, mode_t mode);
/* The child begins in `path`. */
void spawn_directory(struct spawn *spawn, const char *path);
/* Starts it. A pidfd, close-on-exec; -1 with errno: there is no child. */
int spawn_start(struct spawn *spawn);
/* Waits until it has ended and closes the pidfd. A wait status as waitpid(2) gives it, or -1. */
int spawn_wait(int pidfd);
