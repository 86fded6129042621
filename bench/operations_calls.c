/* Single calls: what takes no other process. */
#include "operations.h"

#include <poll.h>
#include <setjmp.h>
#include <signal.h>
#include <sys/epoll.h>
#include <sys/select.h>
#include <sys/stat.h>
#include <sys/syscall.h>

#define POLLED 100

static int fd;
static char page[PAGE];

static void null_call(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        syscall(SYS_getppid);
}

static void open_zero(unsigned times)
{
    fd = open("/dev/zero", O_RDONLY);
    check(fd >= 0, "open /dev/zero");
}

static void open_null(unsigned times)
{
    fd = open("/dev/null", O_WRONLY);
    check(fd >= 0, "open /dev/null");
}

static void open_file(unsigned times)
{
    fd = open(FILE_NAME, O_RDWR);
    check(fd >= 0, FILE_NAME);
}

static void close_fd(unsigned times)
{
    close(fd);
}

static void read_byte(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        check(read(fd, page, 1) == 1, "read");
}

static void write_byte(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        check(write(fd, page, 1) == 1, "write");
}

static void read_page(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        check(pread(fd, page, PAGE, 0) == PAGE, "pread");
}

static void write_page(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        check(pwrite(fd, page, PAGE, 0) == PAGE, "pwrite");
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

static void fstat_file(unsigned times)
{
    struct stat status;

    for (unsigned i = 0; i < times; i++)
        fstat(fd, &status);
}

static void create_unlink(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        close(open("/tmp/bench-new", O_CREAT | O_WRONLY, 0600));
        unlink("/tmp/bench-new");
    }
}

static void rename_file(unsigned times)
{
    for (unsigned i = 0; i < times; i++)
        rename(i % 2 ? "/tmp/bench-b" : "/tmp/bench-a", i % 2 ? "/tmp/bench-a" : "/tmp/bench-b");
}

static void rename_prepare(unsigned times)
{
    close(open("/tmp/bench-a", O_CREAT | O_WRONLY, 0600));
}

static void rename_finish(unsigned times)
{
    unlink("/tmp/bench-a");
    unlink("/tmp/bench-b");
}

/* ---- Signals ---- */

static volatile int signals;

static void count_signal(int signal)
{
    signals++;
}

static void set_action(unsigned times)
{
    struct sigaction action = {.sa_handler = count_signal};

    for (unsigned i = 0; i < times; i++)
        sigaction(SIGUSR1, &action, NULL);
}

static void once_action(unsigned times)
{
    set_action(1);
}

static void signal_self(unsigned times)
{
    int self = getpid();

    for (unsigned i = 0; i < times; i++)
        kill(self, SIGUSR1);
}

static sigjmp_buf before_fault;
static volatile char *volatile nowhere = (char *)8;

static void leave_fault(int signal)
{
    siglongjmp(before_fault, 1);
}

static void fault_prepare(unsigned times)
{
    struct sigaction action = {.sa_handler = leave_fault, .sa_flags = SA_NODEFER};

    sigaction(SIGSEGV, &action, NULL);
}

static void fault_finish(unsigned times)
{
    signal(SIGSEGV, SIG_DFL);
}

/* The mask is not restored by the jump (SA_NODEFER), so that no other call is in the figure. */
static void fault_caught(unsigned times)
{
    volatile unsigned i = 0;

    sigsetjmp(before_fault, 0);
    if (i < times) {
        i++;
        *nowhere = 1;
    }
}

/* ---- Waiting for many ---- */

static int polled[POLLED][2], epoll;

static void polled_open(unsigned times)
{
    struct epoll_event event = {.events = EPOLLIN};

    epoll = epoll_create1(0);
    for (int i = 0; i < POLLED; i++) {
        check(pipe(polled[i]) == 0, "pipe");
        epoll_ctl(epoll, EPOLL_CTL_ADD, polled[i][0], &event);
    }
    check(write(polled[POLLED - 1][1], "x", 1) == 1, "write");
}

static void polled_close(unsigned times)
{
    close(epoll);
    for (int i = 0; i < POLLED; i++) {
        close(polled[i][0]);
        close(polled[i][1]);
    }
}

static void poll_many(unsigned times)
{
    struct pollfd set[POLLED];

    for (int i = 0; i < POLLED; i++)
        set[i] = (struct pollfd){.fd = polled[i][0], .events = POLLIN};
    for (unsigned i = 0; i < times; i++)
        check(poll(set, POLLED, -1) == 1, "poll");
}

static void select_many(unsigned times)
{
    for (unsigned i = 0; i < times; i++) {
        fd_set set;

        FD_ZERO(&set);
        for (int j = 0; j < POLLED; j++)
            FD_SET(polled[j][0], &set);
        check(select(FD_SETSIZE, &set, NULL, NULL, NULL) == 1, "select");
    }
}

static void epoll_many(unsigned times)
{
    struct epoll_event events[POLLED];

    for (unsigned i = 0; i < times; i++)
        check(epoll_wait(epoll, events, POLLED, -1) == 1, "epoll_wait");
}

const struct operation call_operations[] = {
    {"getppid", NULL, null_call, NULL, 20000},
    {"read 1 byte of /dev/zero", open_zero, read_byte, close_fd, 5000},
    {"write 1 byte to /dev/null", open_null, write_byte, close_fd, 5000},
    {"read 4 KiB of a cached file", open_file, read_page, close_fd, 2000},
    {"write 4 KiB of a cached file", open_file, write_page, close_fd, 2000},
    {"open + close", NULL, open_close, NULL, 2000},
    {"stat", NULL, stat_file, NULL, 2000},
    {"fstat", open_file, fstat_file, close_fd, 5000},
    {"create + unlink, tmpfs", NULL, create_unlink, NULL, 500},
    {"rename, tmpfs", rename_prepare, rename_file, rename_finish, 500},
    {"sigaction", NULL, set_action, NULL, 5000},
    {"signal to self, handled, return", once_action, signal_self, NULL, 2000},
    {"SIGSEGV caught", fault_prepare, fault_caught, fault_finish, 1000},
    {"poll of 100 pipes", polled_open, poll_many, polled_close, 500},
    {"select of 100 pipes", polled_open, select_many, polled_close, 500},
    {"epoll_wait of 100 pipes", polled_open, epoll_many, polled_close, 2000},
    {NULL},
};
