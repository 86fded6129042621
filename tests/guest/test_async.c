/*
 * Signals that say that a descriptor is ready: O_ASYNC, and whom F_SETOWN and F_SETSIG tell.
 *
 * covers: fcntl ioctl
 */
#include "guest.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/ioctl.h>
#include <sys/resource.h>
#include <sys/socket.h>

static sigset_t waited;

/* Blocks the signals that the test waits for. */
static void block_signals(void)
{
    sigemptyset(&waited);
    sigaddset(&waited, SIGIO);
    sigaddset(&waited, SIGRTMIN);
    CHECK_OK(sigprocmask(SIG_BLOCK, &waited, NULL));
}

/* A pair of sockets whose first end tells `owner` of what comes. */
static void make_pair(int fds[2], pid_t owner)
{
    block_signals();
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    CHECK_OK(fcntl(fds[0], F_SETOWN, owner));
    CHECK_OK(fcntl(fds[0], F_SETFL, O_RDWR | O_ASYNC));
}

static int is_signal_pending(void)
{
    const struct timespec moment = {0, 30 * 1000000};

    return sigtimedwait(&waited, NULL, &moment) > 0;
}

TEST(fcntl_with_o_async_sends_sigio_when_bytes_come)
{
    siginfo_t info;
    int fds[2];

    make_pair(fds, getpid());
    CHECK(fcntl(fds[0], F_GETFL) & O_ASYNC);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(sigwaitinfo(&waited, &info), SIGIO);
    CHECK_EQ(info.si_code, SI_KERNEL);
    CHECK_OK(fcntl(fds[0], F_SETFL, O_RDWR));
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK(!is_signal_pending());
}

TEST(fcntl_f_setsig_queues_the_signal_with_descriptor_and_events)
{
    siginfo_t info;
    int fds[2];

    make_pair(fds, getpid());
    CHECK_EQ(fcntl(fds[0], F_GETSIG), 0);
    CHECK_OK(fcntl(fds[0], F_SETSIG, SIGRTMIN));
    CHECK_EQ(fcntl(fds[0], F_GETSIG), SIGRTMIN);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(sigwaitinfo(&waited, &info), SIGRTMIN);
    CHECK_EQ(info.si_code, POLL_IN);
    CHECK_EQ(info.si_fd, fds[0]);
    CHECK_EQ(info.si_band, POLLIN | POLLRDNORM);
    CHECK_ERRNO(fcntl(fds[0], F_SETSIG, 65), EINVAL);
}

TEST(fcntl_with_f_setsig_over_rlimit_sigpending_sends_sigio)
{
    struct rlimit none = {0, 0};
    int fds[2];

    make_pair(fds, getpid());
    CHECK_OK(fcntl(fds[0], F_SETSIG, SIGRTMIN));
    CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &none));
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(sigwaitinfo(&waited, NULL), SIGIO);
}

TEST(ioctl_fioasync_switches_signals_on_and_off)
{
    int fds[2], on = 1, off = 0;

    block_signals();
    CHECK_OK(pipe(fds));
    CHECK_OK(fcntl(fds[0], F_SETOWN, getpid()));
    CHECK_OK(ioctl(fds[0], FIOASYNC, &on));
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(sigwaitinfo(&waited, NULL), SIGIO);
    CHECK_OK(ioctl(fds[0], FIOASYNC, &off));
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK(!is_signal_pending());
}

/* Sets and takes back one flag of an open file, which nobody else changes. */
static void change_one_flag(int fd, unsigned long command, int flag)
{
    for (int round = 0; round < 3000; round++) {
        int on = round % 2;

        CHECK_OK(ioctl(fd, command, &on));
        CHECK_EQ(fcntl(fd, F_GETFL) & flag, on ? flag : 0);
    }
}

TEST(ioctl_fioasync_and_fionbio_at_once_lose_no_flag)
{
    int fds[2];
    pid_t child;

    block_signals();
    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        change_one_flag(fds[0], FIOASYNC, O_ASYNC);
        _exit(0);
    }
    change_one_flag(fds[0], FIONBIO, O_NONBLOCK);
    CHECK_EXIT(child, 0);
}

TEST(fcntl_with_o_async_is_not_for_regular_files)
{
    int on = 1, file;

    enter_empty_directory();
    file = CHECK_OK(open("file", O_RDWR | O_CREAT, 0644));
    CHECK_OK(fcntl(file, F_SETFL, O_ASYNC));
    CHECK_EQ(fcntl(file, F_GETFL) & O_ASYNC, 0);
    CHECK_ERRNO(ioctl(file, FIOASYNC, &on), ENOTTY);
}

TEST(fcntl_with_o_async_tells_of_a_terminal)
{
    int master = CHECK_OK(posix_openpt(O_RDWR | O_NOCTTY)), slave;

    block_signals();
    CHECK_OK(grantpt(master));
    CHECK_OK(unlockpt(master));
    slave = CHECK_OK(open(ptsname(master), O_RDWR | O_NOCTTY));
    CHECK_OK(fcntl(slave, F_SETOWN, getpid()));
    CHECK_OK(fcntl(slave, F_SETFL, O_RDWR | O_ASYNC));
    CHECK_EQ(write(master, "line\n", 5), 5);
    CHECK_EQ(sigwaitinfo(&waited, NULL), SIGIO);
}

TEST(fcntl_f_setown_names_a_process_or_a_group)
{
    struct f_owner_ex owner;
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(fcntl(fds[0], F_GETOWN), 0);
    CHECK_OK(fcntl(fds[0], F_SETOWN, getpid()));
    CHECK_EQ(fcntl(fds[0], F_GETOWN), getpid());
    owner = (struct f_owner_ex){.type = F_OWNER_PGRP, .pid = getpgrp()};
    CHECK_OK(fcntl(fds[0], F_SETOWN_EX, &owner));
    CHECK_OK(fcntl(fds[0], F_GETOWN_EX, &owner));
    CHECK_EQ(owner.type, F_OWNER_PGRP);
    CHECK_EQ(owner.pid, getpgrp());
    CHECK_ERRNO(fcntl(fds[0], F_SETOWN, 0x3fffff), ESRCH);
    owner = (struct f_owner_ex){.type = 9, .pid = 1};
    CHECK_ERRNO(fcntl(fds[0], F_SETOWN_EX, &owner), EINVAL);
    CHECK_ERRNO(fcntl(fds[0], F_SETOWN_EX, bad_address()), EFAULT);
}

TEST(fcntl_f_setown_of_a_group_tells_all_its_members)
{
    int fds[2];
    pid_t child;

    CHECK_OK(setpgid(0, 0) == 0 || getpgrp() == getpid() ? 0 : -1);
    make_pair(fds, -getpgrp());
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(sigwaitinfo(&waited, NULL), SIGIO);
        _exit(0);
    }
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(sigwaitinfo(&waited, NULL), SIGIO);
    CHECK_EXIT(child, 0);
}

TEST(fcntl_f_setown_tells_nobody_whom_its_caller_may_not_signal)
{
    int fds[2];
    pid_t child, victim = getpid();

    NEEDS_ROOT();
    block_signals();
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresuid(1000, 1000, 1000));
        CHECK_OK(fcntl(fds[0], F_SETOWN, victim));
        CHECK_OK(fcntl(fds[0], F_SETFL, O_RDWR | O_ASYNC));
        CHECK_EQ(write(fds[1], "x", 1), 1);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK(!is_signal_pending());
}

TEST(fcntl_with_o_async_tells_of_hundreds_of_files_that_one_write_made_ready)
{
    enum {
        FILES = 600
    };
    int fds[2];

    block_signals();
    enter_empty_directory();
    CHECK_OK(mkfifo("fifo", 0600));
    fds[0] = CHECK_OK(open("fifo", O_RDWR));
    for (int i = 0; i < FILES; i++) {
        fds[1] = CHECK_OK(open("fifo", O_RDONLY | O_NONBLOCK));
        CHECK_OK(fcntl(fds[1], F_SETOWN, getpid()));
        CHECK_OK(fcntl(fds[1], F_SETSIG, SIGRTMIN));
        CHECK_OK(fcntl(fds[1], F_SETFL, O_RDONLY | O_NONBLOCK | O_ASYNC));
    }
    CHECK_EQ(write(fds[0], "x", 1), 1);
    for (int i = 0; i < FILES; i++)
        CHECK_EQ(sigwaitinfo(&waited, NULL), SIGRTMIN);
}

TEST(fcntl_with_o_async_ends_with_its_file)
{
    int fds[2];

    for (int i = 0; i < 100; i++) {
        make_pair(fds, getpid());
        CHECK_EQ(write(fds[1], "x", 1), 1);
        CHECK_OK(close(fds[0]));
        CHECK_OK(close(fds[1]));
    }
    CHECK_EQ(sigwaitinfo(&waited, NULL), SIGIO);
}

TEST(fcntl_with_o_async_is_taken_for_a_ready_epoll_set)
{
    int set = CHECK_OK(epoll_create1(0)), fds[2];
    struct epoll_event event = {.events = EPOLLIN};

    CHECK_OK(pipe(fds));
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, fds[0], &event));
    CHECK_OK(fcntl(set, F_SETFL, O_RDWR | O_ASYNC));
    CHECK_OK(close(set));
}
