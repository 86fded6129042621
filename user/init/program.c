/*
 * From a fresh child of init to the program: terminal, streams, limits, ids, directory, exec.
 *
 * The order matters: what needs root comes before the ids change, and the directory and the program
 * are looked up with the rights of the user who runs it. Until exec, failures are said on the
 * stream that will be the program's standard error; the descriptor of init's own that leads there
 * closes with exec.
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#define STATUS_NOT_EXECUTABLE 126
#define STATUS_NOT_FOUND      127
#define PATH_DEFAULT          "/usr/local/bin:/usr/bin:/bin"
#define PATH_BYTES            4096
#define SIGNALS_LAST          64

/* ---- Streams ---- */

static int stream_open(const struct description *description, int number)
{
    static const char *const channels[STREAMS] = {"/dev/host/stdin", "/dev/host/stdout",
                                                  "/dev/host/stderr"};
    uint32_t kind = description->streams[number];
    const char *path = kind == HOST_STREAM_CHANNEL    ? channels[number]
                       : kind == HOST_STREAM_TERMINAL ? description->terminal_path
                                                      : "/dev/null";
    int flags = kind != HOST_STREAM_CHANNEL ? O_RDWR : number ? O_WRONLY : O_RDONLY;
    int fd = description->session && kind == HOST_STREAM_CHANNEL
                 ? session_open_channel(description->session, HOST_CHANNEL_STDIN + number, flags)
                 : open_above_streams(path, flags);

    if (fd < 0)
        fail("cannot open", path, errno);
    return fd;
}

static void give_to_user(const struct description *description, int fd)
{
    if (fchown(fd, description->uid, description->gid))
        fail("cannot give a stream to the program's user", NULL, errno);
}

/*
 * Puts each stream at its number; what the caller had closed stays closed. They belong to the
 * program's user, who may open them again (/dev/stdout, /dev/tty).
 */
static void open_streams(const struct description *description)
{
    int fds[STREAMS];

    for (int i = 0; i < STREAMS; i++) {
        fds[i] = -1;
        if (description->streams[i] != HOST_STREAM_CLOSED)
            fds[i] = stream_open(description, i);
        if (description->streams[i] == HOST_STREAM_CHANNEL ||
            description->streams[i] == HOST_STREAM_TERMINAL)
            give_to_user(description, fds[i]);
    }
    for (int i = 0; i < STREAMS; i++) {
        if (fds[i] < 0)
            close(i);
        else if (dup2(fds[i], i) < 0)
            fail("cannot place a descriptor", NULL, errno);
    }
}

/* A session of its own, with the terminal if there is one. */
static void take_terminal(const struct description *description)
{
    int fd;

    setsid();
    if (!description->has_terminal)
        return;
    fd = open(description->terminal_path, O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || ioctl(fd, TIOCSCTTY, 0))
        fail("cannot take the terminal", NULL, errno);
    close(fd);
}

/* ---- Rights ---- */

/* How many processes there can be is the guest's own matter: its limit holds if it is lower. */
static void limit_to_own(unsigned resource, uint64_t pair[2])
{
    uint64_t own[2];

    if (syscall(SYS_prlimit64, 0, resource, NULL, own))
        fail("cannot ask for a resource limit", NULL, errno);
    for (int i = 0; i < 2; i++)
        if (pair[i] > own[i])
            pair[i] = own[i];
}

static void set_limits(const struct description *description)
{
    for (size_t i = 0; i < description->limit_count; i++) {
        const struct run_limit *limit = &description->limits[i];
        uint64_t pair[2] = {limit->soft, limit->hard};

        if (limit->resource == RLIMIT_NPROC)
            limit_to_own(limit->resource, pair);
        /* EPERM: beyond what this kernel can have at all, so its own limit holds. */
        if (syscall(SYS_prlimit64, 0, limit->resource, pair, NULL) && errno != EPERM &&
            errno != EINVAL)
            fail("cannot set a resource limit", NULL, errno);
    }
    if (description->nice && setpriority(PRIO_PROCESS, 0, description->nice))
        fail("cannot set the priority", NULL, errno);
}

static void set_ids(const struct description *description)
{
    uint32_t uid = description->uid, gid = description->gid;

    if (syscall(SYS_setgroups, description->group_count, description->groups) ||
        syscall(SYS_setresgid, gid, gid, gid) || syscall(SYS_setresuid, uid, uid, uid))
        fail("cannot become the program's user", NULL, errno);
}

static void ignore_signals(uint64_t ignored)
{
    for (int number = 1; number <= SIGNALS_LAST; number++) {
        if (ignored & (1ull << (number - 1)))
            signal(number, SIG_IGN);
    }
}

/* ---- The program's file ---- */

/* A file without a magic number is a script for the shell, as execvp(3) has it. */
static void become_script(const struct description *description, const char *path)
{
    size_t count = 0;
    char **arguments;

    while (description->arguments[count])
        count++;
    arguments = calloc(count + 2, sizeof(char *));
    if (!arguments)
        fail("there is no memory to start", path, ENOMEM);
    arguments[0] = description->arguments[0];
    arguments[1] = (char *)path;
    memcpy(arguments + 2, description->arguments + 1, (count - 1) * sizeof(char *));
    execve("/bin/sh", arguments, description->environment);
}

/* Returns only if it failed, with errno. */
static void become_path(const struct description *description, const char *path)
{
    execve(path, description->arguments, description->environment);
    if (errno != ENOEXEC)
        return;
    become_script(description, path);
    errno = ENOEXEC;
}

static const char *find_path_variable(const struct description *description)
{
    for (char **variable = description->environment; *variable; variable++) {
        if (!strncmp(*variable, "PATH=", strlen("PATH=")))
            return *variable + strlen("PATH=");
    }
    return PATH_DEFAULT;
}

/* Tries each directory of PATH. The last error that says more than "not here" counts. */
static int become_from_path(const struct description *description)
{
    const char *folder = find_path_variable(description);
    char path[PATH_BYTES];
    int error = ENOENT;

    if (!*description->program) /* execvp(3); not the folder itself */
        return ENOENT;
    for (;;) {
        int size = strcspn(folder, ":");

        if (snprintf(path, sizeof(path), "%.*s%s%s", size, folder, size ? "/" : "",
                     description->program) < (int)sizeof(path)) {
            become_path(description, path);
            if (errno != ENOENT && errno != ENOTDIR)
                error = errno;
        }
        if (!folder[size])
            return error;
        folder += size + 1;
    }
}

static _Noreturn void say_not_started(const char *program, int error)
{
    struct stat status;

    if (!strchr(program, '/') && error == ENOENT) {
        complain(program, "command not found", 0);
        _exit(STATUS_NOT_FOUND);
    }
    if (error == EACCES && stat(program, &status) == 0 && S_ISDIR(status.st_mode))
        error = EISDIR;
    complain(program, NULL, error);
    _exit(error == ENOENT || error == ENOTDIR ? STATUS_NOT_FOUND : STATUS_NOT_EXECUTABLE);
}

void program_become(const struct description *description, int control_fd)
{
    uint32_t moment = HOST_MOMENT_PROGRAM, self = getpid();
    int error;

    take_terminal(description);
    open_streams(description);
    if (description->session) /* its own standard error is not the run's */
        complain_to(fcntl(STDERR_FILENO, F_DUPFD_CLOEXEC, STREAMS));
    set_limits(description);
    if (control_fd >= 0)
        ioctl(control_fd, HOST_IOCTL_TARGET, &self);
    set_ids(description);
    umask(description->umask);
    ignore_signals(description->ignored_signals);
    if (description->directory && chdir(description->directory))
        fail("cannot change to the directory", description->directory, errno);
    if (control_fd >= 0)
        ioctl(control_fd, HOST_IOCTL_STAMP, &moment);
    if (strchr(description->program, '/')) {
        become_path(description, description->program);
        error = errno;
    } else {
        error = become_from_path(description);
    }
    say_not_started(description->program, error);
}
