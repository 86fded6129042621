/*
 * The cost of single operations of the kernel, as a program sees them: the same static binary runs
 * in Pith and in Linux (bench/compare), by instruction clock, where a nanosecond of the monotonic
 * clock is one instruction, and by wall time.
 *
 * Prints a line an operation: its name, and nanoseconds for each time that it was done. Runs as
 * process 1 too: then it makes what it needs and ends the machine.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <pthread.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE      4096ul
#define MIB       (1ul << 20)
#define FILE_NAME "/tmp/bench-file"

static uint64_t now_ns(void)
{
    struct timespec now;

    clock_gettime(CLOCK_MONOTONIC, &now);
    return now.tv_sec * 1000000000ull + now.tv_nsec;
}

static void check(int is_right, const char *what)
{
    if (is_right)
        return;
    printf("failed: %s: %s\n", what, strerror(errno));
    fflush(stdout);
    _exit(1);
}

/* ---- Calls ---- */

static void null_call(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        syscall(SYS_getppid);
}

static void open_close(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        close(open(FILE_NAME, O_RDONLY));
}

static void stat_file(unsigned times)
{
    struct stat status;

    for (unsigned i = 0; i < times; i++)
        stat(FILE_NAME, &status);
}

static void read_zero(unsigned times)
{
    int fd = open("/dev/zero", O_RDONLY);
    char byte;

    check(fd >= 0, "open /dev/zero");
    for (unsigned i = 0; i < times; i++)
        check(read(fd, &byte, 1) == 1, "read /dev/zero");
    close(fd);
}

static void read_page(unsigned times)
{
    int fd = open(FILE_NAME, O_RDONLY);
    static char page[PAGE];

    for (unsigned i = 0; i < times; i++)
        check(pread(fd, page, PAGE, 0) == PAGE, "pread");
    close(fd);
}

static void write_page(unsigned times)
{
    int fd = open(FILE_NAME, O_RDWR);
    static char page[PAGE];

    for (unsigned i = 0; i < times; i++)
        check(pwrite(fd, page, PAGE, 0) == PAGE, "pwrite");
    close(fd);
}

static void create_unlink(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        close(open("/tmp/bench-new", O_CREAT | O_WRONLY, 0600));
        unlink("/tmp/bench-new");
    }
}

static volatile int signals;

static void count_signal(int signal)
{
    signals++;
}

static void signal_self(unsigned times)
{
    struct sigaction action = {.sa_handler = count_signal};
    int self = getpid();

    sigaction(SIGUSR1, &action, NULL);
    for (unsigned i = 0; i < times; i++)
        kill(self, SIGUSR1);
}

/* ---- Processes ---- */

static void fork_wait(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        pid_t child = fork();

        check(child >= 0, "fork");
        if (child == 0)
            _exit(0);
        waitpid(child, NULL, 0);
    }
}

/* A function of its own: nothing that the caller keeps is touched by the child. */
static pid_t vfork_child(void)
{
    pid_t child = vfork();

    if (child == 0) {
        execl("/proc/self/exe", "operations", "exit", NULL);
        _exit(1);
    }
    return child;
}

static void vfork_exec(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        pid_t child = vfork_child();

        check(child >= 0, "vfork");
        waitpid(child, NULL, 0);
    }
}

static void *thread_nothing(void *argument)
{
    return argument;
}

static void thread_join(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        pthread_t thread;

        check(pthread_create(&thread, NULL, thread_nothing, NULL) == 0, "pthread_create");
        pthread_join(thread, NULL);
    }
}

/* ---- Talking ---- */

static void pipe_alone(unsigned times)
{
    int fds[2];
    char byte = 0;

    check(pipe(fds) == 0, "pipe");
    for (unsigned i = 0; i < times; i++) {
        check(write(fds[1], &byte, 1) == 1, "write");
        check(read(fds[0], &byte, 1) == 1, "read");
    }
    close(fds[0]);
    close(fds[1]);
}

static void pipe_ping_pong(unsigned times)
{
    int there[2], back[2];
    char byte = 0;
    pid_t child;

    check(pipe(there) == 0 && pipe(back) == 0, "pipe");
    child = fork();
    if (child == 0) {
        for (unsigned i = 0; i < times; i++) {
            check(read(there[0], &byte, 1) == 1, "read");
            check(write(back[1], &byte, 1) == 1, "write");
        }
        _exit(0);
    }
    for (unsigned i = 0; i < times; i++) {
        check(write(there[1], &byte, 1) == 1, "write");
        check(read(back[0], &byte, 1) == 1, "read");
    }
    waitpid(child, NULL, 0);
    for (unsigned i = 0; i < 2; i++) {
        close(there[i]);
        close(back[i]);
    }
}

static uint32_t turn;

static void turn_wait(uint32_t mine)
{
    uint32_t seen;

    while ((seen = __atomic_load_n(&turn, __ATOMIC_ACQUIRE)) != mine)
        syscall(SYS_futex, &turn, FUTEX_WAIT_PRIVATE, seen, NULL);
}

static void turn_give(uint32_t to)
{
    __atomic_store_n(&turn, to, __ATOMIC_RELEASE);
    syscall(SYS_futex, &turn, FUTEX_WAKE_PRIVATE, 1);
}

static void *futex_partner(void *argument)
{
    unsigned times = *(unsigned *)argument;

    for (unsigned i = 0; i < times; i++) {
        turn_wait(1);
        turn_give(0);
    }
    return NULL;
}

static void futex_ping_pong(unsigned times)
{
    pthread_t thread;

    turn = 0;
    check(pthread_create(&thread, NULL, futex_partner, &times) == 0, "pthread_create");
    for (unsigned i = 0; i < times; i++) {
        turn_give(1);
        turn_wait(0);
    }
    pthread_join(thread, NULL);
}

/* ---- Memory ---- */

static char *map_pages(size_t bytes)
{
    char *at = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    check(at != MAP_FAILED, "mmap");
    madvise(at, bytes, MADV_NOHUGEPAGE);
    return at;
}

static void touch(char *at, size_t bytes)
{
    for (size_t i = 0; i < bytes; i += PAGE)
        ((volatile char *)at)[i] = 1;
}

/* A time is a page. */
static void anonymous_fault(unsigned times)
{
    char *at = map_pages(times * PAGE);

    touch(at, times * PAGE);
    munmap(at, times * PAGE);
}

static void file_fault(unsigned times)
{
    int fd = open(FILE_NAME, O_RDONLY);
    volatile char *at = mmap(NULL, times * PAGE, PROT_READ, MAP_PRIVATE, fd, 0);

    check(at != MAP_FAILED, "mmap file");
    for (size_t i = 0; i < times * PAGE; i += PAGE)
        (void)at[i];
    munmap((void *)at, times * PAGE);
    close(fd);
}

static void map_unmap(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        munmap(mmap(NULL, 64 * 1024, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0), 64 * 1024);
}

/* ---- The table ---- */

struct operation {
    const char *name;
    void (*run)(unsigned times);
    unsigned times;
};

static const struct operation operations[] = {
    {"null call (getppid)", null_call, 20000},
    {"read 1 byte of /dev/zero", read_zero, 5000},
    {"read 4 KiB, cached", read_page, 2000},
    {"write 4 KiB, cached", write_page, 2000},
    {"open + close", open_close, 2000},
    {"stat", stat_file, 2000},
    {"create + unlink, tmpfs", create_unlink, 500},
    {"signal to self, handled", signal_self, 2000},
    {"fork + exit + wait, small", fork_wait, 100},
    {"vfork + exec + wait", vfork_exec, 50},
    {"thread create + join", thread_join, 200},
    {"pipe, one process", pipe_alone, 2000},
    {"pipe ping-pong, two processes", pipe_ping_pong, 1000},
    {"futex ping-pong, two threads", futex_ping_pong, 1000},
    {"anonymous fault, 4 KiB page", anonymous_fault, 4096},
    {"file fault, cached", file_fault, 1024},
    {"mmap + munmap 64 KiB, untouched", map_unmap, 1000},
};

static void report(const char *name, uint64_t ns, unsigned times)
{
    printf("%s: %llu\n", name, (unsigned long long)(ns / times));
    fflush(stdout);
}

static void measure(const struct operation *operation)
{
    uint64_t began;

    operation->run(operation->times / 10 + 1); /* caches fill, pages come */
    began = now_ns();
    operation->run(operation->times);
    report(operation->name, now_ns() - began, operation->times);
}

/* fork with much memory touched, and the first write after it: the price of sharing. */
static void measure_large_fork(size_t mib)
{
    char *memory = map_pages(mib * MIB), name[64];
    uint64_t began, total = 0, write_total = 0;
    const unsigned times = 5;

    touch(memory, mib * MIB);
    fork_wait(1);
    for (unsigned i = 0; i < times; i++) {
        began = now_ns();
        fork_wait(1);
        total += now_ns() - began;
        began = now_ns();
        memory[i * mib * MIB / times] = 2;
        write_total += now_ns() - began;
    }
    snprintf(name, sizeof(name), "fork + exit + wait, %zu MiB in 4 KiB pages", mib);
    report(name, total, times);
    snprintf(name, sizeof(name), "first write after it, %zu MiB", mib);
    report(name, write_total, times);
    munmap(memory, mib * MIB);
}

static void prepare(void)
{
    static char page[PAGE];
    int fd;

    if (getpid() == 1) {
        mkdir("/proc", 0755);
        mkdir("/dev", 0755);
        mkdir("/tmp", 0755);
        mount("proc", "/proc", "proc", 0, NULL);
        mount("dev", "/dev", "devtmpfs", 0, NULL);
        mount("tmp", "/tmp", "tmpfs", 0, NULL);
    }
    fd = open(FILE_NAME, O_CREAT | O_RDWR | O_TRUNC, 0600);
    check(fd >= 0, FILE_NAME);
    for (unsigned i = 0; i < 1024; i++)
        check(write(fd, page, PAGE) == PAGE, "write");
    close(fd);
}

int main(int argc, char **argv)
{
    if (argc > 1 && strcmp(argv[1], "exit") == 0)
        return 0;
    prepare();
    for (unsigned i = 0; i < sizeof(operations) / sizeof(operations[0]); i++)
        measure(&operations[i]);
    measure_large_fork(64);
    measure_large_fork(1024);
    unlink(FILE_NAME);
    printf("end\n");
    fflush(stdout);
    if (getpid() == 1)
        reboot(RB_AUTOBOOT);
    return 0;
}
