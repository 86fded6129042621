/*
 * POSIX timers, process descriptors, and calls that only root makes.
 *
 * covers: timer_create timer_settime timer_gettime timer_getoverrun timer_delete pidfd_open
 * covers: pidfd_send_signal clock_settime settimeofday sethostname setdomainname reboot syslog
 * covers: capset sched_setattr sched_getattr mlock2 pkey_mprotect pkey_alloc pkey_free
 * covers: restart_syscall clock_nanosleep clock_gettime
 */
#include "guest.h"

#include <poll.h>
#include <sys/epoll.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/utsname.h>

/* The raw calls: kernel timer ids are small integers. */
static int new_timer(int notify, int signal)
{
    struct sigevent event = {.sigev_notify = notify, .sigev_signo = signal};
    int id = -1;

    event.sigev_value.sival_int = 77;
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    return id;
}

static void set_timer(int id, long first_ms, long interval_ms)
{
    struct itimerspec value = {{0, interval_ms * 1000000}, {0, first_ms * 1000000}};

    CHECK_OK(syscall(SYS_timer_settime, id, 0, &value, NULL));
}

TEST(timer_create_and_settime_send_the_signal_with_its_value)
{
    sigset_t set;
    siginfo_t info;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    set_timer(new_timer(SIGEV_SIGNAL, SIGUSR1), 20, 0);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
    CHECK_EQ(info.si_code, SI_TIMER);
    CHECK_EQ(info.si_value.sival_int, 77);
}

TEST(timer_settime_repeats_and_counts_overruns)
{
    struct itimerspec value;
    sigset_t set;
    int id;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    id = new_timer(SIGEV_SIGNAL, SIGUSR1);
    set_timer(id, 5, 5);
    sleep_ms(100);
    CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
    CHECK_GE(syscall(SYS_timer_getoverrun, id), 3);
    CHECK_OK(syscall(SYS_timer_gettime, id, &value));
    CHECK_EQ(value.it_interval.tv_nsec, 5000000);
    CHECK_LE(value.it_value.tv_nsec, 5000000);
    CHECK_OK(syscall(SYS_timer_delete, id));
}

TEST(timer_that_is_stopped_has_no_interval)
{
    struct itimerspec stop = {{0, 5}, {0, 0}}, left = {{9, 9}, {9, 9}};
    int id = new_timer(SIGEV_SIGNAL, SIGALRM);

    set_timer(id, 900, 10);
    CHECK_OK(syscall(SYS_timer_settime, id, 0, &stop, NULL));
    CHECK_OK(syscall(SYS_timer_gettime, id, &left));
    CHECK_EQ(left.it_value.tv_sec + left.it_value.tv_nsec, 0);
    CHECK_EQ(left.it_interval.tv_sec + left.it_interval.tv_nsec, 0);
}

TEST(timer_errors_are_as_documented)
{
    struct itimerspec value = {{0, 0}, {0, 1000000000}};
    int id;

    CHECK_ERRNO(syscall(SYS_timer_create, 99, NULL, &id), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC_RAW, NULL, &id), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_timer_settime, 999, 0, &value, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_gettime, 999, &value), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_delete, 999), EINVAL);
    CHECK_ERRNO(syscall(SYS_timer_getoverrun, 999), EINVAL);
    id = new_timer(SIGEV_NONE, 0);
    CHECK_ERRNO(syscall(SYS_timer_settime, id, 0, &value, NULL), EINVAL);
}

/* ---- Clocks of CPU time ---- */

static uint64_t clock_ms(clockid_t clock)
{
    struct timespec now;

    CHECK_OK(clock_gettime(clock, &now));
    return (uint64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

static void compute_until(clockid_t clock, uint64_t ms)
{
    while (clock_ms(clock) < ms)
        ;
}

static void block_usr1(sigset_t *set)
{
    sigemptyset(set);
    sigaddset(set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, set, NULL));
}

static int timer_on(clockid_t clock, int notify, long first_ms, long interval_ms)
{
    struct sigevent event = {.sigev_notify = notify, .sigev_signo = SIGUSR1};
    int id = -1;

    CHECK_OK(syscall(SYS_timer_create, clock, &event, &id));
    set_timer(id, first_ms, interval_ms);
    return id;
}

TEST(timer_on_cpu_time_comes_when_that_much_was_used)
{
    const struct timespec none = {0, 0};
    clockid_t clocks[2] = {CLOCK_PROCESS_CPUTIME_ID, CLOCK_THREAD_CPUTIME_ID};
    siginfo_t info;
    sigset_t set;

    block_usr1(&set);
    for (int i = 0; i < 2; i++) {
        uint64_t begin = clock_ms(clocks[i]);

        timer_on(clocks[i], SIGEV_SIGNAL, 60, 0);
        sleep_ms(120); /* sleeping does not count */
        CHECK_ERRNO(sigtimedwait(&set, NULL, &none), EAGAIN);
        while (sigtimedwait(&set, &info, &none) != SIGUSR1)
            ;
        CHECK_EQ(info.si_code, SI_TIMER);
        CHECK_GE(clock_ms(clocks[i]), begin + 60);
    }
}

TEST(timer_on_cpu_time_repeats_and_tells_what_is_left)
{
    struct itimerspec value;
    sigset_t set;
    int id;

    block_usr1(&set);
    id = timer_on(CLOCK_PROCESS_CPUTIME_ID, SIGEV_SIGNAL, 40, 20);
    CHECK_OK(syscall(SYS_timer_gettime, id, &value));
    CHECK_GT(value.it_value.tv_nsec, 0);
    CHECK_LE(value.it_value.tv_nsec, 40000000);
    compute_until(CLOCK_PROCESS_CPUTIME_ID, clock_ms(CLOCK_PROCESS_CPUTIME_ID) + 200);
    CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
    CHECK_GE(syscall(SYS_timer_getoverrun, id), 1);
    CHECK_OK(syscall(SYS_timer_delete, id));
}

TEST(timer_on_cpu_time_of_another_process_follows_it)
{
    pid_t child = CHECK_OK(fork());
    clockid_t clock;
    sigset_t set;

    if (child == 0) {
        for (;;)
            ;
    }
    CHECK_OK(clock_getcpuclockid(child, &clock));
    block_usr1(&set);
    timer_on(clock, SIGEV_SIGNAL, 30, 0);
    CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
    CHECK_GE(clock_ms(clock), 30);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

TEST(timer_without_signal_counts_down)
{
    struct itimerspec value;
    int id = timer_on(CLOCK_MONOTONIC, SIGEV_NONE, 20, 0);

    CHECK_OK(syscall(SYS_timer_gettime, id, &value));
    CHECK_GT(value.it_value.tv_nsec, 0);
    sleep_ms(40);
    CHECK_OK(syscall(SYS_timer_gettime, id, &value));
    CHECK_EQ(value.it_value.tv_sec, 0);
    CHECK_EQ(value.it_value.tv_nsec, 0);
}

TEST(timer_signal_carries_its_overruns)
{
    siginfo_t info;
    sigset_t set;
    int id;

    block_usr1(&set);
    id = timer_on(CLOCK_MONOTONIC, SIGEV_SIGNAL, 1, 1);
    sleep_ms(50);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
    CHECK_GE(info.si_overrun, 20);
    CHECK_EQ(syscall(SYS_timer_getoverrun, id), info.si_overrun);
}

TEST(timer_with_an_interval_of_a_nanosecond_stops_nobody)
{
    struct itimerspec value = {{0, 1}, {0, 1}};
    struct itimerval real = {{0, 1}, {0, 1}};
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    siginfo_t info;
    sigset_t set;
    int id;

    signal(SIGALRM, SIG_IGN);
    CHECK_OK(setitimer(ITIMER_REAL, &real, NULL));
    block_usr1(&set);
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &id));
    CHECK_OK(syscall(SYS_timer_settime, id, 0, &value, NULL));
    sleep_ms(10);
    for (int i = 0; i < 3; i++) {
        CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
        CHECK_GE(info.si_overrun, 0);
    }
    signal(SIGUSR1, SIG_IGN);
    sleep_ms(10);
}

TEST(timer_settime_until_an_absolute_date)
{
    struct sigevent event = {.sigev_notify = SIGEV_SIGNAL, .sigev_signo = SIGUSR1};
    struct itimerspec value = {};
    struct timespec now;
    sigset_t set;
    int id;

    block_usr1(&set);
    CHECK_OK(syscall(SYS_timer_create, CLOCK_REALTIME, &event, &id));
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &value.it_value));
    value.it_value.tv_sec++;
    CHECK_OK(syscall(SYS_timer_settime, id, TIMER_ABSTIME, &value, NULL));
    CHECK_EQ(sigwaitinfo(&set, NULL), SIGUSR1);
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &now));
    CHECK(now.tv_sec > value.it_value.tv_sec ||
          (now.tv_sec == value.it_value.tv_sec && now.tv_nsec >= value.it_value.tv_nsec));
}

TEST(timer_create_over_rlimit_sigpending_gives_eagain)
{
    struct rlimit limit = {0, 0};
    int id;

    CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &limit));
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, NULL, &id), EAGAIN);
}

TEST(timer_delete_leaves_its_pending_signal)
{
    siginfo_t info;
    sigset_t set;
    int id;

    block_usr1(&set);
    id = timer_on(CLOCK_MONOTONIC, SIGEV_SIGNAL, 1, 1);
    sleep_ms(10);
    CHECK_OK(syscall(SYS_timer_delete, id));
    signal(SIGUSR1, SIG_IGN); /* and its entry can be thrown away */
    signal(SIGUSR1, SIG_DFL);
    id = timer_on(CLOCK_MONOTONIC, SIGEV_SIGNAL, 1, 0);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR1);
    CHECK_EQ(info.si_timerid, id);
}

TEST(clock_nanosleep_on_cpu_time_ends_when_others_used_it)
{
    const struct timespec pause_time = {0, 30000000};
    struct timespec until, now;
    clockid_t clock;
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        for (;;)
            ;
    }
    CHECK_OK(clock_getcpuclockid(child, &clock));
    CHECK_OK(clock_gettime(clock, &until));
    CHECK_EQ(syscall(SYS_clock_nanosleep, clock, 0, &pause_time, NULL), 0);
    until.tv_nsec += 30000000;
    CHECK_EQ(syscall(SYS_clock_nanosleep, clock, TIMER_ABSTIME, &until, NULL), 0);
    CHECK_OK(clock_gettime(clock, &now));
    CHECK_GE(now.tv_sec * 1000000000L + now.tv_nsec, until.tv_sec * 1000000000L + until.tv_nsec);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

TEST(clock_nanosleep_on_cpu_time_is_interrupted_with_what_is_left)
{
    const struct timespec long_time = {5, 0};
    struct timespec left = {};

    ring_until_the_end(0);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &long_time, &left),
                EINTR);
    CHECK_EQ(left.tv_sec, 4);
}

TEST(clock_nanosleep_errors_of_clocks_are_as_documented)
{
    const struct timespec time = {0, 1}, wrong = {0, 1000000000};

    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &time, NULL), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC_COARSE, 0, &time, NULL), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, &wrong, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, 99, 0, &time, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, -8 | 7, 0, &time, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, -8 | 3, 0, &time, NULL), EOPNOTSUPP);
    CHECK_ERRNO(syscall(SYS_clock_gettime, -8 | 3, &time), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_PROCESS_CPUTIME_ID, 0, bad_address(), NULL),
                EFAULT);
}

TEST(timer_is_not_inherited_by_fork)
{
    struct itimerspec value;
    int id = new_timer(SIGEV_NONE, 0);
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        CHECK_ERRNO(syscall(SYS_timer_gettime, id, &value), EINVAL);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(pidfd_open_becomes_readable_when_the_process_ends)
{
    siginfo_t info;
    pid_t child = CHECK_OK(fork());
    struct pollfd entry = {.events = POLLIN};
    struct epoll_event event = {.events = EPOLLIN};
    int set;

    if (child == 0) {
        pause();
        _exit(0);
    }
    entry.fd = CHECK_OK(syscall(SYS_pidfd_open, child, 0));
    CHECK_EQ(fcntl(entry.fd, F_GETFD), FD_CLOEXEC);
    set = CHECK_OK(epoll_create1(0));
    CHECK_OK(epoll_ctl(set, EPOLL_CTL_ADD, entry.fd, &event));
    CHECK_EQ(poll(&entry, 1, 0), 0);
    CHECK_EQ(epoll_wait(set, &event, 1, 0), 0);
    CHECK_OK(syscall(SYS_pidfd_send_signal, entry.fd, SIGTERM, NULL, 0));
    CHECK_EQ(epoll_wait(set, &event, 1, -1), 1);
    CHECK_EQ(poll(&entry, 1, 10000), 1);
    CHECK_OK(waitid(3 /* P_PIDFD */, entry.fd, &info, WEXITED));
    CHECK_EQ(info.si_status, SIGTERM);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, entry.fd, 0, NULL, 0), ESRCH);
}

TEST(pidfd_errors_are_as_documented)
{
    CHECK_ERRNO(syscall(SYS_pidfd_open, 999999, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_pidfd_open, -1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_pidfd_open, getpid(), 0x100), EINVAL);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, 0, SIGTERM, NULL, 0), EBADF);
}

/* Runs as user 1000: what only root may. */
TEST(settings_of_the_machine_need_root)
{
    struct timespec now;
    struct timeval day;
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522, 0};
    uint32_t all[6] = {~0u, ~0u, 0, ~0u, ~0u, 0};

    NEEDS_ROOT();
    CHECK_OK(clock_gettime(CLOCK_REALTIME, &now));
    CHECK_OK(gettimeofday(&day, NULL));
    CHECK_OK(syscall(SYS_setuid, 1000));
    CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, &now), EPERM);
    CHECK_ERRNO(syscall(SYS_settimeofday, &day, NULL), EPERM);
    CHECK_ERRNO(syscall(SYS_settimeofday, NULL, NULL), EPERM);
    CHECK_ERRNO(syscall(SYS_sethostname, "x", 1), EPERM);
    CHECK_ERRNO(syscall(SYS_setdomainname, "x", 1), EPERM);
    CHECK_ERRNO(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x4321fedc, NULL), EPERM);
    CHECK_ERRNO(syscall(SYS_syslog, 5, NULL, 0), EPERM);
    CHECK_ERRNO(syscall(SYS_capset, &header, all), EPERM);
}

TEST(clock_settime_errors_are_as_documented)
{
    struct timespec wrong = {0, 1000000000};

    CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_MONOTONIC, &(struct timespec){1, 0}), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, &wrong), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_settime, CLOCK_REALTIME, bad_address()), EFAULT);
}

TEST(sethostname_errors_are_as_documented)
{
    NEEDS_ROOT();
    CHECK_ERRNO(syscall(SYS_sethostname, "x", -1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sethostname, "x", 65), EINVAL);
    CHECK_ERRNO(syscall(SYS_sethostname, bad_address(), 5), EFAULT);
    CHECK_ERRNO(syscall(SYS_setdomainname, "x", 65), EINVAL);
}

TEST(reboot_with_wrong_magic_gives_einval)
{
    NEEDS_ROOT();
    CHECK_ERRNO(syscall(SYS_reboot, 1, 2, 3, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_reboot, 0xfee1dead, 672274793, 0x12345, NULL), EINVAL);
}

TEST(syslog_reads_the_kernels_ring)
{
    char text[100];

    NEEDS_ROOT();
    CHECK_GT(CHECK_OK(syscall(SYS_syslog, 10 /* SIZE_BUFFER */, NULL, 0)), 1000);
    CHECK_GE(CHECK_OK(syscall(SYS_syslog, 3 /* READ_ALL */, text, sizeof(text))), 0);
    CHECK_ERRNO(syscall(SYS_syslog, 3, NULL, 100), EINVAL);
    CHECK_ERRNO(syscall(SYS_syslog, 99, NULL, 0), EINVAL);
}

TEST(capset_gives_up_capabilities_for_good)
{
    struct {
        uint32_t version;
        int pid;
    } header = {0x20080522, 0};
    uint32_t data[6] = {0}, seen[6];

    NEEDS_ROOT();
    enter_empty_directory();
    write_file("file", "");
    CHECK_OK(syscall(SYS_capset, &header, data));
    CHECK_OK(syscall(SYS_capget, &header, seen));
    CHECK_EQ(seen[0], 0);
    CHECK_EQ(seen[1], 0);
    CHECK_ERRNO(chown("file", 1000, -1), EPERM);
    data[1] = 1;
    CHECK_ERRNO(syscall(SYS_capset, &header, data), EPERM);
}

struct attributes {
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
};

TEST(sched_getattr_and_setattr_agree)
{
    struct attributes attributes = {0};

    CHECK_OK(syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0));
    CHECK_EQ(attributes.size, sizeof(attributes));
    CHECK_EQ(attributes.policy, 0);
    CHECK_EQ(attributes.nice, 0);
    attributes.nice = 7;
    CHECK_OK(syscall(SYS_sched_setattr, 0, &attributes, 0));
    CHECK_EQ(syscall(SYS_getpriority, 0, 0), 13);
    attributes.policy = 99;
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &attributes, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &attributes, 8, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 999999, &attributes, sizeof(attributes), 0), ESRCH);
}

TEST(mlock2_on_fault_checks_its_flags)
{
    char *memory = (char *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    CHECK_OK(syscall(SYS_mlock2, memory, PAGE, 1 /* MLOCK_ONFAULT */));
    CHECK_OK(syscall(SYS_mlock2, memory, PAGE, 0));
    CHECK_ERRNO(syscall(SYS_mlock2, memory, PAGE, 0x100), EINVAL);
}

TEST(pkey_mprotect_without_key_is_mprotect)
{
    char *memory =
        (char *)CHECK_OK(mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    CHECK_OK(syscall(SYS_pkey_mprotect, memory, PAGE, PROT_READ | PROT_WRITE, -1));
    memory[0] = 1;
    CHECK_ERRNO(syscall(SYS_pkey_mprotect, memory, PAGE, PROT_READ, 15), EINVAL);
    CHECK_ERRNO(syscall(SYS_pkey_alloc, 1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_pkey_free, 15), EINVAL);
}

TEST(restart_syscall_continues_a_sleep_after_stop_and_continue)
{
    uint64_t start = now_ms();
    int status;
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        struct timespec time = {0, 200000000};

        CHECK_OK(nanosleep(&time, NULL));
        CHECK_GE(now_ms() - start, 200);
        _exit(0);
    }
    WAIT_FOR_STATE(child, 'S');
    CHECK_OK(kill(child, SIGSTOP));
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK_OK(kill(child, SIGCONT));
    CHECK_EXIT(child, 0);
}

TEST(timer_create_copies_what_it_is_given_before_it_looks_for_the_clock)
{
    int id;

    CHECK_ERRNO(syscall(SYS_timer_create, 99, (void *)1, &id), EFAULT);
    CHECK_ERRNO(syscall(SYS_timer_create, 99, NULL, &id), EINVAL);
}
