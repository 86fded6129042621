/*
 * spawn: Pith's own system call that makes a process from nothing. Not Linux's: its number is far
 * from theirs, and a Linux answers ENOSYS.
 *
 *     int spawn(const struct spawn_call *call, size_t bytes)
 *
 * The child runs `program` with the arguments and environment given. Of its caller it has only what
 * says who it is and where it stands: rights, limits, root and working directory, umask, group and
 * session, nice value and CPUs. It has no memory, no handlers, no ignored or pending signals, no
 * timers, and no descriptors but those that the actions name. All names are the caller's, looked up
 * before there is a child: if anything fails there never was one.
 *
 * Returns a pidfd (close-on-exec), by which to wait: waitid(P_PIDFD, ...). Errors are those of
 * execve(2), open(2) and fork(2); EEXIST: two actions give one number; EINVAL: an unknown flag or
 * kind.
 */
#pragma once

#include <stdint.h>

#define SPAWN_SYSCALL 0x50490001ul

enum spawn_action_kind {
    SPAWN_INHERIT = 1,   /* the caller's descriptor `source` as `fd` */
    SPAWN_OPEN = 2,      /* `path` opened with `flags` and `mode`, as `fd` */
    SPAWN_DIRECTORY = 3, /* `path` as working directory */
};

struct spawn_action {
    uint32_t kind;
    int32_t fd;
    int32_t source;
    uint32_t flags; /* O_* */
    uint32_t mode;
    uint32_t reserved; /* 0 */
    uint64_t path;     /* const char * */
};

#define SPAWN_NEW_GROUP   1u /* setpgid(0, 0) */
#define SPAWN_NEW_SESSION 2u /* setsid() */
#define SPAWN_ACTIONS_MAX 1024u

struct spawn_call {
    uint64_t program;     /* const char *; no search along PATH */
    uint64_t arguments;   /* char *const *, NULL at its end */
    uint64_t environment; /* the same */
    uint64_t actions;     /* const struct spawn_action * */
    uint32_t action_count;
    uint32_t flags;       /* SPAWN_NEW_* */
    uint64_t signal_mask; /* what the child blocks */
    uint64_t pid;         /* int32_t *: where its pid goes, before it runs; 0: nowhere */
};
#define SPAWN_CALL_BYTES_FIRST 56 /* of the first version */
