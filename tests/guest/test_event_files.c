/*
 * Events as files: timerfd and signalfd (eventfd is in test_poll.c).
 *
 * covers: timerfd_create timerfd_settime timerfd_gettime signalfd signalfd4
 */
#include "guest.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/signalfd.h>
#include <sys/timerfd.h>
#include <sys/utsname.h>

/* ---- timerfd ---- */

static int new_timer(long first_ms, long interval_ms, int flags)
{
    struct itimerspec value = {{interval_ms / 1000, interval_ms % 1000 * 1000000},
                               {first_ms / 1000, first_ms % 1000 * 1000000}};
    int fd = CHECK_OK(timerfd_create(CLOCK_MONOTONIC, flags));

    CHECK_OK(timerfd_settime(fd, 0, &value, NULL));
    return fd;
}

static uint64_t read_count(int fd)
{
    uint64_t count = 0;

    CHECK_EQ(read(fd, &count, sizeof(count)), 8);
    return count;
}

TEST(timerfd_read_waits_for_the_expiration_and_counts_it)
{
    uint64_t start = now_ms();
    int fd = new_timer(40, 0, 0);

    CHECK_EQ(read_count(fd), 1);
    CHECK_GE(now_ms() - start, 39);
}

TEST(timerfd_counts_all_intervals_since_the_last_read)
{
    int fd = new_timer(5, 5, 0);

    sleep_ms(60);
    CHECK_GE(read_count(fd), 10);
    CHECK_GE(read_count(fd), 1); /* 1, but for a busy host */
}

TEST(timerfd_with_an_interval_of_a_nanosecond_does_not_stop_the_machine)
{
    struct itimerspec value = {{0, 1}, {0, 1}};
    int fd = CHECK_OK(timerfd_create(CLOCK_MONOTONIC, 0));

    CHECK_OK(timerfd_settime(fd, 0, &value, NULL));
    sleep_ms(10);
    CHECK_GE(read_count(fd), 1000);
}

TEST(timerfd_counts_from_a_date_long_ago)
{
    struct itimerspec value = {{1, 0}, {100, 0}};
    int fd = CHECK_OK(timerfd_create(CLOCK_REALTIME, 0));
    long seconds;

    CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &value, NULL));
    seconds = time(NULL);
    CHECK_GE(read_count(fd), seconds - 100);
}

TEST(timerfd_that_is_not_due_is_not_readable)
{
    int fd = new_timer(60000, 0, TFD_NONBLOCK | TFD_CLOEXEC);
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    uint64_t count;

    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK_ERRNO(read(fd, &count, sizeof(count)), EAGAIN);
    CHECK_ERRNO(read(fd, &count, 7), EINVAL);
    CHECK_ERRNO(write(fd, &count, sizeof(count)), EINVAL);
    CHECK_EQ(lseek(fd, 5, SEEK_SET), 0);
    CHECK_ERRNO(pread(fd, &count, sizeof(count), 0), ESPIPE);
}

TEST(timerfd_wakes_poll_and_epoll)
{
    int fd = new_timer(20, 0, 0), set = CHECK_OK(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN, .data.fd = 5};
    struct pollfd entry = {.fd = fd, .events = POLLIN};

    CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, fd, &event));
    CHECK_EQ(epoll_wait(set, &event, 1, -1), 1);
    CHECK_EQ(poll(&entry, 1, -1), 1);
    CHECK_EQ(read_count(fd), 1);
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK_EQ(epoll_wait(set, &event, 1, 0), 0);
}

TEST(timerfd_settime_gives_what_was_left_and_disarms_with_zero)
{
    struct itimerspec off = {{0, 0}, {0, 0}}, left;
    int fd = new_timer(50000, 3000, TFD_NONBLOCK);
    uint64_t count;

    CHECK_OK(timerfd_gettime(fd, &left));
    CHECK_EQ(left.it_interval.tv_sec, 3);
    CHECK_GE(left.it_value.tv_sec, 45);
    CHECK_OK(timerfd_settime(fd, 0, &off, &left));
    CHECK_GE(left.it_value.tv_sec, 45);
    CHECK_OK(timerfd_gettime(fd, &left));
    CHECK_EQ(left.it_value.tv_sec + left.it_value.tv_nsec, 0);
    CHECK_ERRNO(read(fd, &count, sizeof(count)), EAGAIN);
}

TEST(timerfd_settime_takes_absolute_moments_of_each_clock)
{
    static const int clocks[] = {CLOCK_MONOTONIC, CLOCK_REALTIME, CLOCK_BOOTTIME};

    for (unsigned i = 0; i < sizeof(clocks) / sizeof(clocks[0]); i++) {
        struct itimerspec value = {0};
        uint64_t start = now_ms();
        int fd = CHECK_OK(timerfd_create(clocks[i], 0));

        CHECK_OK(clock_gettime(clocks[i], &value.it_value));
        value.it_value.tv_nsec += 30 * 1000000;
        if (value.it_value.tv_nsec >= 1000000000) {
            value.it_value.tv_nsec -= 1000000000;
            value.it_value.tv_sec++;
        }
        CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &value, NULL));
        CHECK_EQ(read_count(fd), 1);
        CHECK_GE(now_ms() - start, 29);
        value.it_value = (struct timespec){0, 1}; /* has passed */
        CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &value, NULL));
        CHECK_EQ(read_count(fd), 1);
    }
}

TEST(timerfd_with_cancel_on_set_fails_once_the_date_is_set)
{
    struct itimerspec value = {0};
    struct timespec date;
    struct pollfd entry = {.events = POLLIN};
    uint64_t count;

    NEEDS_ROOT();
    entry.fd = CHECK_OK(timerfd_create(CLOCK_REALTIME, TFD_NONBLOCK));
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &date));
    value.it_value.tv_sec = date.tv_sec + 10000;
    CHECK_OK(timerfd_settime(entry.fd, TFD_TIMER_ABSTIME | TFD_TIMER_CANCEL_ON_SET, &value, NULL));
    CHECK_EQ(poll(&entry, 1, 0), 0);
    if (clock_settime(CLOCK_REALTIME, &date) < 0)
        SKIP("the date cannot be set here");
    CHECK_EQ(poll(&entry, 1, 0), 1);
    CHECK_ERRNO(read(entry.fd, &count, sizeof(count)), ECANCELED);
    CHECK_ERRNO(read(entry.fd, &count, sizeof(count)), EAGAIN);
}

TEST(timerfd_follows_the_date_when_it_is_set)
{
    struct itimerspec value = {0};
    struct timespec date;
    struct utsname machine;
    int fd;

    NEEDS_ROOT();
    CHECK_OK(uname(&machine));
    if (!strstr(machine.release, "pith"))
        SKIP("a guest's date may jump, a host's not");
    fd = CHECK_OK(timerfd_create(CLOCK_REALTIME, 0));
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &date));
    value.it_value.tv_sec = date.tv_sec + 500;
    CHECK_OK(timerfd_settime(fd, TFD_TIMER_ABSTIME, &value, NULL));
    date.tv_sec += 1000;
    CHECK_OK(clock_settime(CLOCK_REALTIME, &date));
    CHECK_EQ(read_count(fd), 1);
    date.tv_sec -= 1000;
    CHECK_OK(clock_settime(CLOCK_REALTIME, &date));
}

TEST(timerfd_calls_refuse_what_is_wrong)
{
    struct itimerspec value = {0}, wrong = {{0, 0}, {0, 1000000000}};
    int fd = CHECK_OK(timerfd_create(CLOCK_MONOTONIC, 0)), fds[2];

    CHECK_OK(pipe(fds));
    CHECK_ERRNO(timerfd_create(CLOCK_MONOTONIC, 1), EINVAL);
    CHECK_ERRNO(timerfd_create(CLOCK_PROCESS_CPUTIME_ID, 0), EINVAL);
    CHECK_ERRNO(timerfd_create(77, 0), EINVAL);
    CHECK_ERRNO(timerfd_settime(fd, 0, &wrong, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(fd, 4, &value, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(fds[0], 0, &value, NULL), EINVAL);
    CHECK_ERRNO(timerfd_settime(99, 0, &value, NULL), EBADF);
    CHECK_ERRNO(syscall(SYS_timerfd_settime, fd, 0, (void *)8, NULL), EFAULT);
    CHECK_ERRNO(timerfd_gettime(fds[0], &value), EINVAL);
    CHECK_ERRNO(timerfd_gettime(99, &value), EBADF);
    CHECK_ERRNO(syscall(SYS_timerfd_gettime, fd, (void *)8), EFAULT);
    if (geteuid() == 0) {
        CHECK_OK(setresuid(12345, 12345, 12345));
        CHECK_ERRNO(timerfd_create(CLOCK_REALTIME_ALARM, 0), EPERM);
    }
}

/* ---- signalfd ---- */

static sigset_t blocked(int first, int second)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, first);
    sigaddset(&set, second);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    return set;
}

TEST(signalfd_read_takes_pending_signals_with_their_sender)
{
    sigset_t set = blocked(SIGUSR1, SIGUSR2), pending;
    int fd = CHECK_OK(signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK));
    struct signalfd_siginfo records[4];

    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_ERRNO(read(fd, records, sizeof(records)), EAGAIN);
    CHECK_OK(kill(getpid(), SIGUSR2));
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(read(fd, records, sizeof(records)), 2 * (long)sizeof(records[0]));
    CHECK_EQ(records[0].ssi_signo, SIGUSR1);
    CHECK_EQ(records[1].ssi_signo, SIGUSR2);
    CHECK_EQ(records[0].ssi_pid, (unsigned)getpid());
    CHECK_EQ(records[0].ssi_uid, getuid());
    CHECK_EQ(records[0].ssi_code, SI_USER);
    CHECK_OK(sigpending(&pending));
    CHECK_EQ(sigismember(&pending, SIGUSR1), 0);
}

TEST(signalfd_read_waits_for_a_signal)
{
    sigset_t set = blocked(SIGUSR1, SIGCHLD);
    int fd = CHECK_OK(signalfd(-1, &set, 0));
    struct signalfd_siginfo record;
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        sleep_ms(30);
        _exit(7);
    }
    CHECK_EQ(read(fd, &record, sizeof(record)), sizeof(record));
    CHECK_EQ(record.ssi_signo, SIGCHLD);
    CHECK_EQ(record.ssi_code, CLD_EXITED);
    CHECK_EQ(record.ssi_status, 7);
    CHECK_EQ(record.ssi_pid, (unsigned)child);
}

TEST(signalfd_gives_the_value_of_a_queued_signal)
{
    sigset_t set = blocked(SIGRTMIN, SIGRTMIN + 1);
    int fd = CHECK_OK(signalfd(-1, &set, 0));
    struct signalfd_siginfo record;

    CHECK_OK(sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = 55}));
    CHECK_EQ(read(fd, &record, sizeof(record)), sizeof(record));
    CHECK_EQ(record.ssi_code, SI_QUEUE);
    CHECK_EQ(record.ssi_int, 55);
}

TEST(signalfd_wakes_poll_and_epoll)
{
    sigset_t set = blocked(SIGUSR1, SIGALRM);
    int fd = CHECK_OK(signalfd(-1, &set, SFD_NONBLOCK)), epoll = CHECK_OK(epoll_create1(0));
    struct epoll_event event = {.events = EPOLLIN};
    struct pollfd entry = {.fd = fd, .events = POLLIN};
    struct signalfd_siginfo record;

    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fd, &event));
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);
    ualarm(20000, 0);
    CHECK_EQ(epoll_wait(epoll, &event, 1, -1), 1);
    CHECK_EQ(poll(&entry, 1, -1), 1);
    CHECK_EQ(read(fd, &record, sizeof(record)), sizeof(record));
    CHECK_EQ(record.ssi_signo, SIGALRM);
    CHECK_EQ(epoll_wait(epoll, &event, 1, 0), 0);
}

TEST(signalfd_of_a_parent_shows_the_child_its_own_signals)
{
    sigset_t set = blocked(SIGUSR1, SIGUSR2);
    int fd = CHECK_OK(signalfd(-1, &set, SFD_NONBLOCK));
    struct signalfd_siginfo record;
    pid_t child;

    CHECK_OK(kill(getpid(), SIGUSR1));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_ERRNO(read(fd, &record, sizeof(record)), EAGAIN);
        CHECK_OK(kill(getpid(), SIGUSR2));
        CHECK_EQ(read(fd, &record, sizeof(record)), sizeof(record));
        CHECK_EQ(record.ssi_signo, SIGUSR2);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(read(fd, &record, sizeof(record)), sizeof(record));
    CHECK_EQ(record.ssi_signo, SIGUSR1);
}

TEST(signalfd_gets_another_set)
{
    sigset_t set = blocked(SIGUSR1, SIGUSR2), one;
    int fd;
    struct signalfd_siginfo record;

    sigemptyset(&one);
    fd = CHECK_OK(signalfd(-1, &one, SFD_NONBLOCK));
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_ERRNO(read(fd, &record, sizeof(record)), EAGAIN);
    CHECK_EQ(signalfd(fd, &set, 0), fd);
    CHECK_EQ(read(fd, &record, sizeof(record)), sizeof(record));
}

TEST(signalfd_calls_refuse_what_is_wrong)
{
    sigset_t set = blocked(SIGUSR1, SIGUSR2);
    struct signalfd_siginfo record;
    int fd, fds[2];

    CHECK_OK(pipe(fds));
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 7, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, (void *)8, 8, 0), EFAULT);
    CHECK_ERRNO(syscall(SYS_signalfd4, -1, &set, 8, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_signalfd4, 99, &set, 8, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_signalfd4, fds[0], &set, 8, 0), EINVAL);
    fd = CHECK_OK(syscall(SYS_signalfd, -1, &set, 8));
    CHECK_ERRNO(read(fd, &record, sizeof(record) - 1), EINVAL);
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_ERRNO(syscall(SYS_read, fd, (void *)8, sizeof(record)), EFAULT);
}
