/*
 * Lets each allocation on the way of a call fail once, in a kernel with SAN=1: the call says so
 * with an errno that its manual page knows, or goes on without; nothing is kept. The whole sweep is
 * done several times, and the memory that is free after the last must be what it was after the one
 * before.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/syscall.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define ALLOCATIONS_MAX 60
#define SWEEPS          5
#define SWEEPS_FIRST    2   /* until caches have filled */
#define LEAK_KIB        512 /* a leak of a page in each failure would be more than twice that */

static int control, failures;

static void arm(unsigned n)
{
    char text[16];
    int length = snprintf(text, sizeof(text), "%u", n);

    /* The write itself allocates: what was armed before and not used up may fail here. */
    for (unsigned tries = 0; pwrite(control, text, length, 0) != length; tries++) {
        if (errno != ENOMEM || tries == 2) {
            perror("fail_allocation");
            exit(2);
        }
    }
}

/* Each does its call and undoes it. Returns 0 or the errno. */
static int do_fork(unsigned n)
{
    pid_t child;
    int error;

    arm(n);
    child = fork();
    error = child < 0 ? errno : 0;
    if (child == 0)
        _exit(0);
    arm(0);
    if (child > 0)
        waitpid(child, NULL, 0);
    return error;
}

/* In a child, whose exec may fail: then it says how. Past the point of no return it is killed. */
static int do_exec(unsigned n)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        arm(n);
        execl("/proc/self/exe", "allocation_failure", "exit", NULL);
        _exit(errno);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : ENOMEM;
}

static volatile pid_t other_thread;

static void *be_other_thread(void *unused)
{
    other_thread = (pid_t)syscall(SYS_gettid);
    for (;;)
        pause();
    return unused;
}

/* A process that uses the caller's table of descriptors, for as long as the caller lives. */
static void share_descriptors(void)
{
    if (syscall(SYS_clone, CLONE_FILES | SIGCHLD, NULL, NULL, NULL, NULL))
        return;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    for (;;)
        pause();
}

/* The same with a second thread: an exec that says that it failed has not ended that one. */
static int do_exec_of_two(unsigned n)
{
    int status;
    pid_t child = fork();

    if (child == 0) {
        pthread_t thread;
        int error;

        share_descriptors();
        if (pthread_create(&thread, NULL, be_other_thread, NULL))
            _exit(ENOMEM); /* what another armed and did not use up */
        while (!other_thread)
            sched_yield();
        arm(n);
        execl("/proc/self/exe", "allocation_failure", "exit", NULL);
        error = errno;
        _exit(syscall(SYS_tgkill, getpid(), other_thread, 0) ? EIO : error);
    }
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : ENOMEM;
}

static int do_open(unsigned n)
{
    int fd, error;

    arm(n);
    fd = open("/tmp/allocation-failure", O_CREAT | O_RDWR, 0600);
    error = fd < 0 ? errno : 0;
    arm(0);
    if (fd >= 0)
        close(fd);
    unlink("/tmp/allocation-failure");
    return error;
}

static int do_pipe(unsigned n)
{
    int fds[2], error;

    arm(n);
    error = pipe(fds) ? errno : 0;
    arm(0);
    if (!error) {
        close(fds[0]);
        close(fds[1]);
    }
    return error;
}

static int do_mmap(unsigned n)
{
    void *at;
    int error;

    arm(n);
    at = mmap(NULL, 1 << 20, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    error = at == MAP_FAILED ? errno : 0;
    arm(0);
    if (!error)
        munmap(at, 1 << 20);
    return error;
}

static int do_socketpair(unsigned n)
{
    int fds[2], error;

    arm(n);
    error = socketpair(AF_UNIX, SOCK_STREAM, 0, fds) ? errno : 0;
    arm(0);
    if (!error) {
        close(fds[0]);
        close(fds[1]);
    }
    return error;
}

/* bind, listen, connect, accept: the first that fails. */
static int do_connect(unsigned n)
{
    struct sockaddr_un address = {AF_UNIX, "/tmp/allocation-failure"};
    int listener = socket(AF_UNIX, SOCK_STREAM, 0), client = socket(AF_UNIX, SOCK_STREAM, 0);
    int error = 0, accepted = -1;

    unlink(address.sun_path); /* of one that was ended before it came so far */
    arm(n);
    if (bind(listener, (struct sockaddr *)&address, sizeof(address)) || listen(listener, 1) ||
        connect(client, (struct sockaddr *)&address, sizeof(address)) ||
        (accepted = accept(listener, NULL, NULL)) < 0)
        error = errno;
    arm(0);
    close(listener);
    close(client);
    if (accepted >= 0)
        close(accepted);
    unlink(address.sun_path);
    return error;
}

/* A long message with a descriptor, sent and received. */
static int do_message(unsigned n)
{
    static char bytes[40000];
    char control[CMSG_SPACE(sizeof(int))] __attribute__((aligned(8)));
    struct iovec part = {bytes, sizeof(bytes)};
    struct msghdr header = {.msg_iov = &part,
                            .msg_iovlen = 1,
                            .msg_control = control,
                            .msg_controllen = sizeof(control)};
    struct cmsghdr *first = CMSG_FIRSTHDR(&header);
    int fds[2], error = 0;

    if (socketpair(AF_UNIX, SOCK_SEQPACKET, 0, fds))
        return errno;
    first->cmsg_level = SOL_SOCKET;
    first->cmsg_type = SCM_RIGHTS;
    first->cmsg_len = CMSG_LEN(sizeof(int));
    *(int *)CMSG_DATA(first) = fds[0];
    arm(n);
    if (sendmsg(fds[0], &header, 0) < 0 || recvmsg(fds[1], &header, MSG_PEEK) < 0)
        error = errno;
    arm(0);
    close(fds[0]);
    close(fds[1]);
    return error;
}

static const struct {
    const char *name;
    int (*run)(unsigned n);
} calls[] = {
    {"fork", do_fork},       {"exec", do_exec},       {"open", do_open},
    {"pipe", do_pipe},       {"mmap", do_mmap},       {"socketpair", do_socketpair},
    {"connect", do_connect}, {"message", do_message}, {"exec of two", do_exec_of_two},
};

/*
 * In a process of its own: a page of the program that finds no memory ends it, as it should. What
 * is armed ends with it.
 */
static int run_apart(int (*run)(unsigned n), unsigned n)
{
    int status;
    pid_t child = fork();

    if (child == 0)
        _exit(run(n));
    waitpid(child, &status, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : ENOMEM;
}

static int sweep(int counts)
{
    int wrong = 0;

    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        int failed = 0;

        for (unsigned n = 1; n <= ALLOCATIONS_MAX; n++) {
            int error = run_apart(calls[i].run, n);

            if (error && error != ENOMEM && error != EAGAIN && error != ENFILE &&
                error != ENOBUFS) {
                printf("%s: allocation %u gives %s\n", calls[i].name, n, strerror(error));
                wrong++;
            }
            failed += error != 0;
        }
        if (counts)
            printf("%s: %d allocations failed\n", calls[i].name, failed);
        if (!failed)
            wrong++;
        failures += failed;
    }
    return wrong;
}

static long free_kib(void)
{
    FILE *file = fopen("/proc/meminfo", "r");
    char line[128];
    long kib = -1;

    usleep(300000); /* what is freed when all CPUs have passed a quiet point is free by then */
    while (file && kib < 0 && fgets(line, sizeof(line), file))
        sscanf(line, "MemFree: %ld", &kib);
    if (file)
        fclose(file);
    return kib;
}

int main(int argc, char **argv)
{
    long before = 0, after;
    int wrong = 0;

    if (argc > 1)
        return 0;
    control = open("/proc/sys/vm/fail_allocation", O_WRONLY | O_CLOEXEC);
    if (control < 0) {
        perror("/proc/sys/vm/fail_allocation");
        return 2;
    }
    for (int i = 0; i < SWEEPS; i++) {
        if (i == SWEEPS_FIRST)
            before = free_kib();
        wrong += sweep(i == 0);
    }
    after = free_kib();
    if (before - after > LEAK_KIB) {
        printf("leak: %ld KiB less are free\n", before - after);
        wrong++;
    }
    printf("%s\n", wrong ? "wrong" : "right");
    return wrong != 0;
}
