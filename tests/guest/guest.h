/*
 * The harness of the guest tests: plain C programs that check the ABI of the system calls. Each
 * runs on Linux first, and then, the same binary, in Pith.
 *
 *     TEST(pipe_write_without_reader_gives_epipe)
 *     {
 *         int fds[2];
 *         CHECK_OK(pipe(fds));
 *         ...
 *         CHECK_ERRNO(write(fds[1], "x", 1), EPIPE);
 *     }
 *
 * Each test runs in a forked child, in its own process group, with a deadline that its parent
 * keeps (so the child's alarm and timers are its own). A failed check prints both values and ends
 * the process that made it; a check that fails in any descendant fails the test, since the flag
 * lies in shared memory. What is left of the group is killed afterwards.
 *
 * Lines: `ok NAME`, `FAIL NAME: where: what`, `skip NAME: why`, at last `N passed, N failed,
 * N skipped`. Arguments are names of tests to run, or after --not, names to leave out; --list
 * prints all; --deadline SECONDS. Files are made below $TMPDIR, or /tmp.
 *
 * A comment `covers: CALL...` names the system calls that a file's tests check beside those that
 * tests' names begin with; tools/generate-syscalls reads it.
 */
#pragma once

#ifndef _GNU_SOURCE
#define _GNU_SOURCE
#endif
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <sched.h>
#include <signal.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/types.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define GUEST_UNUSED __attribute__((__unused__))
#define PAGE         4096

enum {
    GUEST_STATUS_FAILED = 101,
    GUEST_STATUS_SKIPPED = 77
};

struct guest_test {
    const char *name;
    void (*run)(void);
    struct guest_test *next;
};

/* In memory that all descendants share. */
struct guest_shared {
    int failed; /* [atomic] set by the first failed check, which prints */
};

struct guest_state {
    struct guest_test *first, **end;
    struct guest_shared *shared;
    const char *running;
    const char *program; /* argv[0], for tests that execute it again */
    int report;          /* a copy of standard output out of the tests' way */
    int deadline_seconds;
    volatile sig_atomic_t deadline_passed;
    volatile pid_t child;
    char directory[64];
};

static struct guest_state guest = {.deadline_seconds = 30};

GUEST_UNUSED static void guest_register(struct guest_test *test)
{
    if (!guest.end)
        guest.end = &guest.first;
    *guest.end = test;
    guest.end = &test->next;
}

#define TEST(sentence)                                                          \
    static void sentence(void);                                                 \
    __attribute__((__constructor__)) static void sentence##_register(void)      \
    {                                                                           \
        static struct guest_test test = {.name = #sentence, .run = (sentence)}; \
                                                                                \
        guest_register(&test);                                                  \
    }                                                                           \
    static void sentence(void)

/* ---- Reports ---- */

__attribute__((__format__(__printf__, 2, 0))) static void
guest_print(const char *verdict, const char *format, va_list arguments)
{
    char line[1024];
    int length = snprintf(line, sizeof(line) - 1, "%s %s: ", verdict, guest.running);

    length += vsnprintf(line + length, sizeof(line) - 1 - length, format, arguments);
    if (length > (int)sizeof(line) - 2)
        length = sizeof(line) - 2;
    for (int i = 0; i < length; i++)
        if (line[i] == '\n')
            line[i] = ' ';
    line[length++] = '\n';
    if (write(guest.report, line, length) < 0)
        _exit(GUEST_STATUS_FAILED);
}

/* Ends this process, and fails the test. */
__attribute__((__noreturn__, __format__(__printf__, 3, 4))) static void
guest_fail(const char *file, int line, const char *format, ...)
{
    char text[900], place[1000];
    const char *slash = strrchr(file, '/');
    va_list arguments;

    va_start(arguments, format);
    vsnprintf(text, sizeof(text), format, arguments);
    va_end(arguments);
    if (!__atomic_exchange_n(&guest.shared->failed, 1, __ATOMIC_SEQ_CST)) {
        snprintf(place, sizeof(place), "FAIL %s: %s:%d: %s\n", guest.running,
                 slash ? slash + 1 : file, line, text);
        if (write(guest.report, place, strlen(place)) < 0)
            _exit(GUEST_STATUS_FAILED);
    }
    _exit(GUEST_STATUS_FAILED);
}

/* Ends the test as skipped; only in the test's own process. */
GUEST_UNUSED __attribute__((__noreturn__, __format__(__printf__, 1, 2))) static void
guest_skip(const char *format, ...)
{
    va_list arguments;

    va_start(arguments, format);
    guest_print("skip", format, arguments);
    va_end(arguments);
    _exit(GUEST_STATUS_SKIPPED);
}
#define SKIP(...) guest_skip(__VA_ARGS__)
#define NEEDS_ROOT()            \
    do {                        \
        if (geteuid() != 0)     \
            SKIP("needs root"); \
    } while (0)

/* ---- Checks ---- */

GUEST_UNUSED static const char *guest_error_name(int error)
{
    static const char *const names[] = {
        [0] = "none",
#define GUEST_NAME(name) [name] = #name
        GUEST_NAME(EPERM),     GUEST_NAME(ENOENT),
        GUEST_NAME(ESRCH),     GUEST_NAME(EINTR),
        GUEST_NAME(EIO),       GUEST_NAME(ENXIO),
        GUEST_NAME(E2BIG),     GUEST_NAME(ENOEXEC),
        GUEST_NAME(EBADF),     GUEST_NAME(ECHILD),
        GUEST_NAME(EAGAIN),    GUEST_NAME(ENOMEM),
        GUEST_NAME(EACCES),    GUEST_NAME(EFAULT),
        GUEST_NAME(EBUSY),     GUEST_NAME(EEXIST),
        GUEST_NAME(EXDEV),     GUEST_NAME(ENODEV),
        GUEST_NAME(ENOTDIR),   GUEST_NAME(EISDIR),
        GUEST_NAME(EINVAL),    GUEST_NAME(ENFILE),
        GUEST_NAME(EMFILE),    GUEST_NAME(ENOTTY),
        GUEST_NAME(ETXTBSY),   GUEST_NAME(EFBIG),
        GUEST_NAME(ENOSPC),    GUEST_NAME(ESPIPE),
        GUEST_NAME(EROFS),     GUEST_NAME(EMLINK),
        GUEST_NAME(EPIPE),     GUEST_NAME(EDOM),
        GUEST_NAME(ERANGE),    GUEST_NAME(EDEADLK),
        GUEST_NAME(ENOSYS),    GUEST_NAME(ENAMETOOLONG),
        GUEST_NAME(ENOTEMPTY), GUEST_NAME(ELOOP),
        GUEST_NAME(EOVERFLOW), GUEST_NAME(EAFNOSUPPORT),
        GUEST_NAME(ETIMEDOUT), GUEST_NAME(EOPNOTSUPP),
#undef GUEST_NAME
    };

    if (error >= 0 && error < (int)(sizeof(names) / sizeof(names[0])) && names[error])
        return names[error];
    return "?";
}

GUEST_UNUSED static long guest_check_ok(const char *file, int line, const char *call, long result)
{
    if (result == -1)
        guest_fail(file, line, "%s gives errno %d (%s)", call, errno, guest_error_name(errno));
    return result;
}

GUEST_UNUSED static void guest_check_errno(const char *file, int line, const char *call,
                                           long result, int expected)
{
    int error = errno;

    if (result != -1)
        guest_fail(file, line, "%s returns %ld, not errno %d (%s)", call, result, expected,
                   guest_error_name(expected));
    if (error != expected)
        guest_fail(file, line, "%s gives errno %d (%s), not %d (%s)", call, error,
                   guest_error_name(error), expected, guest_error_name(expected));
}

GUEST_UNUSED static void guest_check_compare(const char *file, int line, int holds,
                                             const char *claim, long long left, long long right)
{
    if (!holds)
        guest_fail(file, line, "%s: left is %lld (0x%llx), right is %lld (0x%llx)", claim, left,
                   left, right, right);
}

GUEST_UNUSED static void guest_check_text(const char *file, int line, const char *claim,
                                          const char *left, const char *right)
{
    if (!left || !right ? left != right : strcmp(left, right) != 0)
        guest_fail(file, line, "%s: left is \"%.300s\", right is \"%.300s\"", claim,
                   left ? left : "(null)", right ? right : "(null)");
}

#define CHECK(condition)                                               \
    do {                                                               \
        if (!(condition))                                              \
            guest_fail(__FILE__, __LINE__, "%s is false", #condition); \
    } while (0)
/* The call's result, which is not -1. */
#define CHECK_OK(call) guest_check_ok(__FILE__, __LINE__, #call, (long)(call))
#define CHECK_ERRNO(call, error)                                           \
    do {                                                                   \
        errno = 0;                                                         \
        guest_check_errno(__FILE__, __LINE__, #call, (long)(call), error); \
    } while (0)
/* Numbers or pointers, each side evaluated once. */
#define CHECK_COMPARE(left, operator, right)                                         \
    do {                                                                             \
        long long guest_left = (long long)(left);                                    \
        long long guest_right = (long long)(right);                                  \
        guest_check_compare(__FILE__, __LINE__, guest_left operator guest_right,     \
                            #left " " #operator" " #right, guest_left, guest_right); \
    } while (0)
#define CHECK_EQ(left, right) CHECK_COMPARE(left, ==, right)
#define CHECK_NE(left, right) CHECK_COMPARE(left, !=, right)
#define CHECK_LT(left, right) CHECK_COMPARE(left, <, right)
#define CHECK_LE(left, right) CHECK_COMPARE(left, <=, right)
#define CHECK_GT(left, right) CHECK_COMPARE(left, >, right)
#define CHECK_GE(left, right) CHECK_COMPARE(left, >=, right)
#define CHECK_STR_EQ(left, right) \
    guest_check_text(__FILE__, __LINE__, #left " == " #right, left, right)
#define CHECK_MEM_EQ(left, right, bytes)                                                       \
    do {                                                                                       \
        if (memcmp(left, right, bytes) != 0)                                                   \
            guest_fail(__FILE__, __LINE__, "%s and %s differ in their first %zu bytes", #left, \
                       #right, (size_t)(bytes));                                               \
    } while (0)

GUEST_UNUSED static int guest_wait(const char *file, int line, pid_t child)
{
    int status;
    pid_t waited;

    do
        waited = waitpid(child, &status, 0);
    while (waited == -1 && errno == EINTR);
    if (waited != child)
        guest_fail(file, line, "waitpid(%d) returns %d, errno %d (%s)", child, waited, errno,
                   guest_error_name(errno));
    return status;
}

GUEST_UNUSED static void guest_check_exit(const char *file, int line, pid_t child, int expected)
{
    int status = guest_wait(file, line, child);

    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        guest_fail(file, line, "the child's wait status is 0x%x, not exit with %d", status,
                   expected);
}

GUEST_UNUSED static void guest_check_killed(const char *file, int line, pid_t child, int expected)
{
    int status = guest_wait(file, line, child);

    if (!WIFSIGNALED(status) || WTERMSIG(status) != expected)
        guest_fail(file, line, "the child's wait status is 0x%x, not death by signal %d", status,
                   expected);
}
/* Wait for a child, and check how it ended. */
#define CHECK_EXIT(child, status)   guest_check_exit(__FILE__, __LINE__, child, status)
#define CHECK_KILLED(child, signal) guest_check_killed(__FILE__, __LINE__, child, signal)

/* ---- What many tests need ---- */

/* Makes an empty directory the working directory; it goes away with the test. */
GUEST_UNUSED static void enter_empty_directory(void)
{
    CHECK_OK(mkdir(guest.directory, 0755));
    CHECK_OK(chdir(guest.directory));
}

GUEST_UNUSED static void sleep_ms(long ms)
{
    struct timespec left = {ms / 1000, ms % 1000 * 1000000};

    while (nanosleep(&left, &left) == -1 && errno == EINTR)
        ;
}

GUEST_UNUSED static uint64_t now_ms(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* The state letter of a process in /proc/PID/stat; 0: there is none. */
GUEST_UNUSED static char process_state(pid_t pid)
{
    char path[64], text[512], *end;
    ssize_t length;
    int fd;

    snprintf(path, sizeof(path), "/proc/%d/stat", pid);
    fd = open(path, O_RDONLY | O_CLOEXEC);
    if (fd < 0)
        return 0;
    length = read(fd, text, sizeof(text) - 1);
    close(fd);
    if (length <= 0)
        return 0;
    text[length] = 0;
    end = strrchr(text, ')');
    return end ? end[2] : 0;
}

GUEST_UNUSED static void wait_for_state(const char *file, int line, pid_t pid, char wanted)
{
    char state;

    while ((state = process_state(pid)) != wanted) {
        if (!state)
            guest_fail(file, line, "/proc does not know process %d", pid);
        if (state == 'Z')
            guest_fail(file, line, "process %d has ended, and is never %c", pid, wanted);
        sleep_ms(1);
    }
}
/* Waits until a process is in `state` ('S': it sleeps, 'T': it is stopped, 'Z'). */
#define WAIT_FOR_STATE(pid, state) wait_for_state(__FILE__, __LINE__, pid, state)

/* Where a process stands until another, which it forked or was forked by, has opened it. */
struct gate {
    int reader, writer;
};

GUEST_UNUSED static struct gate gate_new(void)
{
    int fds[2];

    CHECK_OK(pipe2(fds, O_CLOEXEC));
    return (struct gate){fds[0], fds[1]};
}

GUEST_UNUSED static void gate_open(struct gate gate)
{
    CHECK_EQ(write(gate.writer, "", 1), 1);
}

/* Once for each time that it is opened. */
GUEST_UNUSED static void gate_pass(struct gate gate)
{
    char byte;

    CHECK_EQ(read(gate.reader, &byte, 1), 1);
}

GUEST_UNUSED static void write_file(const char *path, const char *text)
{
    int fd = CHECK_OK(open(path, O_WRONLY | O_CREAT | O_TRUNC, 0644));

    CHECK_EQ(write(fd, text, strlen(text)), strlen(text));
    CHECK_OK(close(fd));
}

/* All of a small file, NUL-terminated, in the caller's buffer. */
GUEST_UNUSED static char *read_file(const char *path, char *buffer, size_t size)
{
    int fd = CHECK_OK(open(path, O_RDONLY));
    size_t length = 0;
    ssize_t got;

    while (length < size - 1 && (got = read(fd, buffer + length, size - 1 - length)) > 0)
        length += got;
    buffer[length] = 0;
    CHECK_OK(close(fd));
    return buffer;
}

static volatile sig_atomic_t signals_counted GUEST_UNUSED;
static volatile sig_atomic_t last_signal GUEST_UNUSED;
GUEST_UNUSED static void count_signal(int signal)
{
    signals_counted++;
    last_signal = signal;
}

/* sigaction() with `count_signal`-like handlers: no flags, empty mask. */
GUEST_UNUSED static void handle_signal(int signal, void (*handler)(int), int flags)
{
    struct sigaction action = {.sa_flags = flags};

    action.sa_handler = handler;
    sigemptyset(&action.sa_mask);
    CHECK_OK(sigaction(signal, &action, NULL));
}

/*
 * SIGALRM comes soon, and then again and again: on a busy host the first may come before the wait
 * that it is to interrupt has begun.
 */
GUEST_UNUSED static void ring_until_the_end(int flags)
{
    static const struct itimerval often = {{0, 20000}, {0, 20000}};

    handle_signal(SIGALRM, count_signal, flags);
    CHECK_OK(setitimer(ITIMER_REAL, &often, NULL));
}

/* Does not pass memory to a call that must not read it: one page that nobody may touch. */
GUEST_UNUSED static void *bad_address(void)
{
    static void *page;

    if (!page)
        page = (void *)CHECK_OK(mmap(NULL, PAGE, PROT_NONE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    return page;
}

/* ---- The program ---- */

static void guest_deadline(int signal)
{
    (void)signal;
    guest.deadline_passed = 1;
    kill(-guest.child, SIGKILL);
    kill(guest.child, SIGKILL);
}

static int guest_remove_entry(const char *path, const struct stat *status, int kind,
                              struct FTW *where)
{
    (void)status, (void)where;
    if (kind == FTW_DNR && chmod(path, 0700) == 0)
        kind = FTW_DP;
    return remove(path), 0;
}

static void guest_remove_directory(void)
{
    if (access(guest.directory, F_OK) == 0)
        nftw(guest.directory, guest_remove_entry, 16, FTW_DEPTH | FTW_PHYS);
}

/* Waits for the test's process and says what came of it. Returns 1: passed, 0: failed, -1. */
static int guest_verdict(pid_t child)
{
    int status = 0;

    while (waitpid(child, &status, 0) == -1 && errno == EINTR)
        ;
    alarm(0);
    kill(-child, SIGKILL);
    if (guest.shared->failed)
        return 0;
    if (WIFEXITED(status) && WEXITSTATUS(status) == 0) {
        dprintf(guest.report, "ok %s\n", guest.running);
        return 1;
    }
    if (WIFEXITED(status) && WEXITSTATUS(status) == GUEST_STATUS_SKIPPED)
        return -1;
    if (guest.deadline_passed)
        dprintf(guest.report, "FAIL %s: no end after %d seconds\n", guest.running,
                guest.deadline_seconds);
    else if (WIFSIGNALED(status))
        dprintf(guest.report, "FAIL %s: killed by signal %d\n", guest.running, WTERMSIG(status));
    else
        dprintf(guest.report, "FAIL %s: ended with status %d\n", guest.running,
                WEXITSTATUS(status));
    return 0;
}

static int guest_run(const struct guest_test *test)
{
    int verdict;
    pid_t child;

    guest.running = test->name;
    guest.shared->failed = 0;
    guest.deadline_passed = 0;
    snprintf(guest.directory, sizeof(guest.directory), "%.32s/guest-test.%d",
             getenv("TMPDIR") ? getenv("TMPDIR") : "/tmp", getpid());
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        signal(SIGALRM, SIG_DFL);
        test->run();
        _exit(0);
    }
    if (child == -1) {
        dprintf(guest.report, "FAIL %s: fork: errno %d\n", test->name, errno);
        return 0;
    }
    setpgid(child, child);
    guest.child = child;
    alarm(guest.deadline_seconds);
    verdict = guest_verdict(child);
    guest_remove_directory();
    return verdict;
}

struct guest_selection {
    char **names;
    int count;
    int left_out; /* the names are those not to run */
};

static int guest_is_selected(const struct guest_selection *selection, const char *name)
{
    for (int i = 0; i < selection->count; i++)
        if (!strcmp(selection->names[i], name))
            return !selection->left_out;
    return selection->count == 0 || selection->left_out;
}

static int guest_run_all(const struct guest_selection *selection)
{
    int passed = 0, failed = 0, skipped = 0;

    for (struct guest_test *test = guest.first; test; test = test->next) {
        int verdict;

        if (!guest_is_selected(selection, test->name))
            continue;
        verdict = guest_run(test);
        passed += verdict == 1;
        failed += verdict == 0;
        skipped += verdict == -1;
    }
    dprintf(guest.report, "%d passed, %d failed, %d skipped\n", passed, failed, skipped);
    return failed != 0;
}

/* For programs that tests execute: returns an exit status, or -1: run the tests. */
GUEST_UNUSED static int (*guest_main_hook)(int argc, char **argv);

int main(int argc, char **argv)
{
    struct guest_selection selection = {.names = argv + 1, .count = argc - 1};
    struct sigaction deadline = {.sa_handler = guest_deadline};
    int status = guest_main_hook ? guest_main_hook(argc, argv) : -1;

    if (status >= 0)
        return status;
    guest.program = argv[0];
    if (argc == 2 && !strcmp(argv[1], "--list")) {
        for (struct guest_test *test = guest.first; test; test = test->next)
            puts(test->name);
        return 0;
    }
    if (selection.count >= 2 && !strcmp(selection.names[0], "--deadline")) {
        guest.deadline_seconds = atoi(selection.names[1]);
        selection.names += 2;
        selection.count -= 2;
    }
    if (selection.count >= 1 && !strcmp(selection.names[0], "--not")) {
        selection.left_out = 1;
        selection.names++;
        selection.count--;
    }
    for (int fd = 3; fd < 64; fd++) /* tests count on the lowest free number */
        close(fd);
    guest.report = fcntl(STDOUT_FILENO, F_DUPFD_CLOEXEC, 200);
    if (guest.report == -1)
        guest.report = STDOUT_FILENO;
    guest.shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (guest.shared == MAP_FAILED) {
        puts("FAIL harness: no shared memory");
        return 1;
    }
    sigaction(SIGALRM, &deadline, NULL);
    return guest_run_all(&selection);
}
