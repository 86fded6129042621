/*
 * spawn, Pith's own call: a process from nothing. Linux has no such call: there all are skipped.
 */
#include "guest.h"

#include <poll.h>
#include <sys/personality.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#include "../../user/lib/spawn.c"

#define NAME_BYTES 256

extern char **environ;

/* What the child does, by its first argument: it answers by its exit status. */
static int child_descriptors(void)
{
    int count = 0;

    for (int fd = 0; fd < 1024; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static int child_signals(void)
{
    struct sigaction action;
    sigset_t blocked;

    for (int signal = 1; signal <= 31; signal++)
        if (sigaction(signal, NULL, &action) == 0 && action.sa_handler != SIG_DFL)
            return 100 + signal;
    sigprocmask(SIG_BLOCK, NULL, &blocked);
    return sigismember(&blocked, SIGUSR2) ? 2 : 1;
}

static int child_main(int argc, char **argv)
{
    char name[NAME_BYTES];

    if (argc < 2 || strncmp(argv[1], "child-", 6) != 0)
        return -1;
    if (!strcmp(argv[1], "child-status"))
        return atoi(argv[2]);
    if (!strcmp(argv[1], "child-descriptors"))
        return child_descriptors();
    if (!strcmp(argv[1], "child-signals"))
        return child_signals();
    if (!strcmp(argv[1], "child-environment"))
        return getenv("SPAWNED") && !getenv("PATH") ? atoi(getenv("SPAWNED")) : 99;
    if (!strcmp(argv[1], "child-says"))
        return write(1, argv[2], strlen(argv[2])) < 0;
    if (!strcmp(argv[1], "child-place"))
        return getcwd(name, sizeof(name)) && !strcmp(name, argv[2]) ? 0 : 1;
    if (!strcmp(argv[1], "child-group"))
        return (getpgrp() == getpid()) + 2 * (getsid(0) == getpid());
    if (!strcmp(argv[1], "child-personality"))
        return personality(~0u) == (unsigned)atoi(argv[2]) ? 0 : 1;
    if (!strcmp(argv[1], "child-dumpable"))
        return prctl(PR_GET_DUMPABLE);
    if (!strcmp(argv[1], "child-waits"))
        return read(0, name, 1) == 0 ? 7 : 8;
    return 98;
}

__attribute__((__constructor__)) static void set_hook(void)
{
    guest_main_hook = child_main;
}

static void need_spawn(void)
{
    if (syscall(SPAWN_SYSCALL, NULL, 0) == -1 && errno == ENOSYS)
        SKIP("this is no Pith");
}

/* Starts ourselves with one word, and one argument, and what `spawn` lists. */
static int start(struct spawn *spawn, const char *word, const char *argument)
{
    char *arguments[] = {"spawned", (char *)word, (char *)argument, NULL};
    int pidfd;

    spawn->call.program = (uintptr_t) "/proc/self/exe";
    spawn->call.arguments = (uintptr_t)arguments;
    if (!spawn->call.environment)
        spawn->call.environment = (uintptr_t)environ;
    pidfd = CHECK_OK(spawn_start(spawn));
    return pidfd;
}

static int status_of(struct spawn *spawn, const char *word, const char *argument)
{
    return spawn_wait(start(spawn, word, argument));
}

TEST(spawn_runs_a_program_and_returns_a_descriptor_to_wait_for)
{
    struct spawn spawn = {};
    struct pollfd entry = {.events = POLLIN};
    siginfo_t info;

    need_spawn();
    entry.fd = start(&spawn, "child-status", "42");
    CHECK_EQ(fcntl(entry.fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(poll(&entry, 1, 10000), 1);
    CHECK_OK(waitid((idtype_t)P_PIDFD, entry.fd, &info, WEXITED));
    CHECK_EQ(info.si_status, 42);
    CHECK_EQ(info.si_pid, spawn.pid);
}

TEST(spawn_child_has_only_the_descriptors_that_are_listed)
{
    struct spawn none = {}, two = {};

    need_spawn();
    for (int i = 0; i < 20; i++)
        CHECK_OK(open("/", O_RDONLY)); /* without close-on-exec: fork and exec would leak them */
    CHECK_EQ(status_of(&none, "child-descriptors", NULL), 0);
    spawn_inherit(&two, 0, 5);
    spawn_inherit(&two, 0, 800);
    CHECK_EQ(status_of(&two, "child-descriptors", NULL), 2 << 8);
}

TEST(spawn_inherits_and_opens_descriptors_by_number)
{
    struct spawn piped = {}, opened = {};
    char text[64];
    int fds[2];

    need_spawn();
    enter_empty_directory();
    CHECK_OK(pipe(fds));
    spawn_inherit(&piped, fds[1], STDOUT_FILENO);
    CHECK_EQ(status_of(&piped, "child-says", "through a pipe"), 0);
    CHECK_EQ(read(fds[0], text, sizeof(text)), strlen("through a pipe"));
    spawn_open(&opened, STDOUT_FILENO, "file", O_WRONLY | O_CREAT | O_TRUNC, 0644);
    CHECK_EQ(status_of(&opened, "child-says", "into a file"), 0);
    CHECK_STR_EQ(read_file("file", text, sizeof(text)), "into a file");
}

TEST(spawn_gives_the_environment_and_the_directory_that_are_asked_for)
{
    char *environment[] = {"SPAWNED=55", NULL};
    struct spawn with = {}, placed = {};

    need_spawn();
    with.call.environment = (uintptr_t)environment;
    CHECK_EQ(status_of(&with, "child-environment", NULL), 55 << 8);
    spawn_directory(&placed, "/tmp");
    CHECK_EQ(status_of(&placed, "child-place", "/tmp"), 0);
    CHECK_OK(chdir("/usr"));
    CHECK_EQ(status_of(&(struct spawn){}, "child-place", "/usr"), 0);
}

TEST(spawn_child_has_default_actions_and_the_mask_of_the_call)
{
    struct spawn plain = {}, masked = {};
    sigset_t set;

    need_spawn();
    signal(SIGUSR1, SIG_IGN);
    signal(SIGPIPE, SIG_IGN);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_EQ(status_of(&plain, "child-signals", NULL), 1 << 8);
    masked.call.signal_mask = 1ul << (SIGUSR2 - 1);
    CHECK_EQ(status_of(&masked, "child-signals", NULL), 2 << 8);
}

TEST(spawn_puts_the_child_in_a_group_or_session_of_its_own)
{
    struct spawn plain = {}, group = {.call.flags = SPAWN_NEW_GROUP};
    struct spawn session = {.call.flags = SPAWN_NEW_SESSION};

    need_spawn();
    CHECK_EQ(status_of(&plain, "child-group", NULL), 0);
    CHECK_EQ(status_of(&group, "child-group", NULL), 1 << 8);
    CHECK_EQ(status_of(&session, "child-group", NULL), 3 << 8);
}

TEST(spawn_errors_leave_no_child)
{
    struct spawn absent = SPAWN_OF("/no/such/program", NULL, NULL);
    struct spawn twice = SPAWN_OF("/proc/self/exe", NULL, NULL);
    struct spawn closed = SPAWN_OF("/proc/self/exe", NULL, NULL);
    struct spawn missing = SPAWN_OF("/proc/self/exe", NULL, NULL);
    struct spawn unknown = SPAWN_OF("/proc/self/exe", NULL, NULL);
    struct spawn data = SPAWN_OF("/", NULL, NULL);

    need_spawn();
    CHECK_ERRNO(spawn_start(&absent), ENOENT);
    CHECK_ERRNO(spawn_start(&data), EACCES);
    spawn_inherit(&twice, 0, 4);
    spawn_inherit(&twice, 1, 4);
    CHECK_ERRNO(spawn_start(&twice), EEXIST);
    spawn_inherit(&closed, 999, 0);
    CHECK_ERRNO(spawn_start(&closed), EBADF);
    spawn_open(&missing, 0, "/no/such/file", O_RDONLY, 0);
    CHECK_ERRNO(spawn_start(&missing), ENOENT);
    unknown.call.flags = 0x80;
    CHECK_ERRNO(spawn_start(&unknown), EINVAL);
    CHECK_ERRNO(syscall(SPAWN_SYSCALL, bad_address(), sizeof(struct spawn_call)), EFAULT);
    CHECK_ERRNO(syscall(SPAWN_SYSCALL, &unknown.call, 8), EINVAL);
    CHECK_ERRNO(wait(NULL), ECHILD);
}

TEST(spawn_over_rlimit_nproc_gives_eagain)
{
    struct rlimit limit = {1, 1};
    struct spawn spawn = SPAWN_OF("/proc/self/exe", NULL, NULL);

    NEEDS_ROOT();
    need_spawn();
    CHECK_OK(setrlimit(RLIMIT_NPROC, &limit));
    CHECK_OK(setuid(65533));
    CHECK_ERRNO(spawn_start(&spawn), EAGAIN);
}

TEST(spawn_child_dies_with_the_end_of_its_input)
{
    struct spawn spawn = {};
    int fds[2], pidfd;

    need_spawn();
    CHECK_OK(pipe(fds));
    spawn_inherit(&spawn, fds[0], STDIN_FILENO);
    pidfd = start(&spawn, "child-waits", NULL);
    close(fds[1]); /* the child has no copy of it */
    CHECK_EQ(spawn_wait(pidfd), 7 << 8);
}

static void *spawn_many(void *unused)
{
    for (int i = 0; i < 20; i++)
        CHECK_EQ(status_of(&(struct spawn){}, "child-status", "3"), 3 << 8);
    return unused;
}

TEST(spawn_from_several_processes_at_once)
{
    pid_t children[4];

    need_spawn();
    for (int i = 0; i < 4; i++) {
        children[i] = CHECK_OK(fork());
        if (children[i] == 0) {
            spawn_many(NULL);
            _exit(0);
        }
    }
    for (int i = 0; i < 4; i++)
        CHECK_EXIT(children[i], 0);
}

TEST(spawn_child_inherits_personality)
{
    struct spawn spawn = {};
    char text[16];

    need_spawn();
    CHECK_OK(personality(ADDR_NO_RANDOMIZE));
    snprintf(text, sizeof(text), "%d", ADDR_NO_RANDOMIZE);
    CHECK_EQ(status_of(&spawn, "child-personality", text), 0);
}

TEST(spawn_of_a_program_with_other_rights_is_not_dumpable)
{
    char *arguments[] = {"spawned", "child-dumpable", NULL};
    struct spawn plain = {}, secure = {};

    need_spawn();
    NEEDS_ROOT();
    CHECK_EQ(status_of(&plain, "child-dumpable", NULL), 1 << 8);
    enter_empty_directory();
    CHECK_EQ(system("cp /proc/$PPID/exe program"), 0);
    CHECK_OK(chown("program", 0, 1234));
    CHECK_OK(chmod("program", 02755));
    secure.call.program = (uintptr_t) "program";
    secure.call.arguments = (uintptr_t)arguments;
    secure.call.environment = (uintptr_t)environ;
    CHECK_EQ(spawn_wait(CHECK_OK(spawn_start(&secure))), 0);
}
