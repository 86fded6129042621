/*
 * Clocks, sleeping, interval timers, and how much time a process used.
 *
 * covers: clock_gettime clock_getres clock_nanosleep nanosleep gettimeofday time times getitimer
 * covers: setitimer alarm getrusage getcpu
 */
#include "guest.h"

#include <pthread.h>
#include <sys/auxv.h>
#include <sys/resource.h>
#include <sys/time.h>
#include <sys/times.h>

static int64_t clock_ns(clockid_t clock)
{
    struct timespec now;

    CHECK_OK(syscall(SYS_clock_gettime, clock, &now));
    CHECK_LT(now.tv_nsec, 1000000000);
    return now.tv_sec * 1000000000l + now.tv_nsec;
}

static void compute_ms(long ms)
{
    int64_t end = clock_ns(CLOCK_PROCESS_CPUTIME_ID) + ms * 1000000;

    while (clock_ns(CLOCK_PROCESS_CPUTIME_ID) < end)
        ;
}

TEST(clock_gettime_monotonic_never_goes_back)
{
    int64_t last = clock_ns(CLOCK_MONOTONIC);

    for (int i = 0; i < 1000; i++) {
        int64_t now = clock_ns(CLOCK_MONOTONIC);

        CHECK_GE(now, last);
        last = now;
    }
}

TEST(clock_gettime_of_library_and_call_agree)
{
    struct timespec fast;

    for (int i = 0; i < 100; i++) {
        int64_t before = clock_ns(CLOCK_MONOTONIC), between;

        CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &fast));
        between = fast.tv_sec * 1000000000l + fast.tv_nsec;
        CHECK_GE(between, before);
        CHECK_LE(between, clock_ns(CLOCK_MONOTONIC));
    }
}

TEST(clock_gettime_realtime_time_and_gettimeofday_agree)
{
    struct timeval day;
    int64_t now = clock_ns(CLOCK_REALTIME);

    CHECK_GT(now / 1000000000, 1700000000);
    CHECK_OK(gettimeofday(&day, NULL));
    CHECK_LE(labs(day.tv_sec - now / 1000000000), 1);
    CHECK_LE(labs(time(NULL) - now / 1000000000), 1);
    CHECK_LE(labs(syscall(SYS_time, NULL) - now / 1000000000), 1);
    CHECK_LE(labs(clock_ns(CLOCK_REALTIME_COARSE) - now) / 1000000000, 1);
    CHECK_LE(labs(clock_ns(CLOCK_BOOTTIME) - clock_ns(CLOCK_MONOTONIC)) / 1000000000, 100000000);
}

TEST(clock_gettime_cpu_clocks_run_only_while_computing)
{
    int64_t before, thread_before;

    before = clock_ns(CLOCK_PROCESS_CPUTIME_ID);
    thread_before = clock_ns(CLOCK_THREAD_CPUTIME_ID);
    sleep_ms(50);
    CHECK_LT(clock_ns(CLOCK_PROCESS_CPUTIME_ID) - before, 40000000);
    compute_ms(30);
    CHECK_GE(clock_ns(CLOCK_THREAD_CPUTIME_ID) - thread_before, 29000000);
}

TEST(clock_gettime_and_getres_errors_are_as_documented)
{
    struct timespec time;

    CHECK_ERRNO(syscall(SYS_clock_gettime, 99, &time), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_gettime, CLOCK_REALTIME, bad_address()), EFAULT);
    CHECK_OK(clock_getres(CLOCK_MONOTONIC, &time));
    CHECK_EQ(time.tv_sec, 0);
    CHECK_GT(time.tv_nsec, 0);
    CHECK_ERRNO(syscall(SYS_clock_getres, 99, &time), EINVAL);
    CHECK_OK(syscall(SYS_clock_getres, CLOCK_REALTIME, NULL));
}

TEST(nanosleep_sleeps_at_least_that_long)
{
    struct timespec time = {0, 20000000};
    int64_t before = clock_ns(CLOCK_MONOTONIC);

    CHECK_OK(nanosleep(&time, NULL));
    CHECK_GE(clock_ns(CLOCK_MONOTONIC) - before, 20000000);
}

TEST(nanosleep_errors_are_as_documented)
{
    struct timespec large = {0, 1000000000}, negative = {-1, 0};

    CHECK_ERRNO(syscall(SYS_nanosleep, &large, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_nanosleep, &negative, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_nanosleep, bad_address(), NULL), EFAULT);
}

TEST(nanosleep_interrupted_tells_what_is_left)
{
    struct timespec time = {50, 0}, left = {0};

    ring_until_the_end(0);
    CHECK_ERRNO(nanosleep(&time, &left), EINTR);
    CHECK_GE(left.tv_sec, 40);
    CHECK_LT(left.tv_sec, 50);
}

TEST(clock_nanosleep_until_an_absolute_time)
{
    struct timespec until;
    int64_t end;

    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &until));
    end = until.tv_sec * 1000000000l + until.tv_nsec + 30000000;
    until = (struct timespec){end / 1000000000, end % 1000000000};
    CHECK_EQ(clock_nanosleep(CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL), 0);
    CHECK_GE(clock_ns(CLOCK_MONOTONIC), end);
    until.tv_sec = 0;
    CHECK_EQ(clock_nanosleep(CLOCK_REALTIME, TIMER_ABSTIME, &until, NULL), 0);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, 99, 0, &until, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_clock_nanosleep, CLOCK_THREAD_CPUTIME_ID, 0, &until, NULL), EOPNOTSUPP);
}

TEST(alarm_fires_once_and_tells_what_was_left)
{
    handle_signal(SIGALRM, count_signal, 0);
    CHECK_EQ(alarm(100), 0);
    CHECK_GE(alarm(1), 99);
    CHECK_ERRNO(pause(), EINTR);
    CHECK_EQ(signals_counted, 1);
    CHECK_EQ(alarm(0), 0);
}

TEST(setitimer_real_repeats)
{
    struct itimerval timer = {{0, 10000}, {0, 10000}}, off = {{0, 0}, {0, 0}}, old;

    handle_signal(SIGALRM, count_signal, 0);
    CHECK_OK(setitimer(ITIMER_REAL, &timer, NULL));
    while (signals_counted < 5)
        pause();
    CHECK_OK(getitimer(ITIMER_REAL, &old));
    CHECK_EQ(old.it_interval.tv_usec, 10000);
    CHECK_OK(setitimer(ITIMER_REAL, &off, &old));
    CHECK_EQ(old.it_interval.tv_usec, 10000);
    signals_counted = 0;
    sleep_ms(30);
    CHECK_EQ(signals_counted, 0);
}

TEST(setitimer_virtual_and_prof_count_computing)
{
    struct itimerval timer = {{0, 0}, {0, 20000}};

    handle_signal(SIGVTALRM, count_signal, 0);
    CHECK_OK(setitimer(ITIMER_VIRTUAL, &timer, NULL));
    sleep_ms(60);
    CHECK_EQ(signals_counted, 0);
    for (volatile long i = 0; signals_counted == 0; i++)
        ;
    handle_signal(SIGPROF, count_signal, 0);
    CHECK_OK(setitimer(ITIMER_PROF, &timer, NULL));
    while (signals_counted == 1)
        clock_ns(CLOCK_MONOTONIC);
}

/* Each value has an interval of its own, by which it is known again. */
#define EXCHANGES 20000

static void *exchange(void *first)
{
    long told = 0;

    for (long i = 0; i < EXCHANGES; i++) {
        struct itimerval value = {{(long)first + i, 0}, {1000000, 0}}, before;

        CHECK_OK(setitimer(ITIMER_PROF, &value, &before));
        told += before.it_interval.tv_sec;
    }
    return (void *)told;
}

TEST(setitimer_by_two_threads_tells_each_value_to_one_of_them)
{
    const long set = 2l * EXCHANGES * EXCHANGES; /* 1 to N, and N to 2 N - 1 */
    struct itimerval last;
    pthread_t other;
    void *told;
    long sum;

    CHECK_EQ(pthread_create(&other, NULL, exchange, (void *)(long)EXCHANGES), 0);
    sum = (long)exchange((void *)1);
    CHECK_EQ(pthread_join(other, &told), 0);
    CHECK_OK(getitimer(ITIMER_PROF, &last));
    CHECK_EQ(sum + (long)told + last.it_interval.tv_sec, set);
}

TEST(setitimer_errors_are_as_documented)
{
    struct itimerval wrong = {{0, 0}, {0, 1000000}};

    CHECK_ERRNO(syscall(SYS_setitimer, 99, &wrong, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_setitimer, 99, bad_address(), NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, &wrong, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_setitimer, ITIMER_REAL, bad_address(), NULL), EFAULT);
    CHECK_ERRNO(syscall(SYS_getitimer, 99, &wrong), EINVAL);
}

TEST(times_and_getrusage_count_own_and_childrens_time)
{
    struct tms used;
    struct rusage usage;
    pid_t child;

    compute_ms(60);
    CHECK_GT(CHECK_OK(times(&used)), 0);
    CHECK_GE(used.tms_utime + used.tms_stime, 3);
    CHECK_EQ(used.tms_cutime + used.tms_cstime, 0);
    CHECK_OK(getrusage(RUSAGE_SELF, &usage));
    CHECK_GE(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec, 50000);
    CHECK_GE(usage.ru_maxrss, 0);
    child = CHECK_OK(fork());
    if (child == 0) {
        compute_ms(60);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_OK(times(&used));
    CHECK_GE(used.tms_cutime + used.tms_cstime, 3);
    CHECK_ERRNO(getrusage(99, &usage), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrusage, RUSAGE_SELF, bad_address()), EFAULT);
}

TEST(getrusage_counts_faults_and_switches)
{
    struct rusage before, after;
    char *memory = (char *)CHECK_OK(
        mmap(NULL, 64 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    CHECK_OK(getrusage(RUSAGE_SELF, &before));
    for (int i = 0; i < 64; i++)
        memory[i * PAGE] = 1;
    sleep_ms(5);
    CHECK_OK(getrusage(RUSAGE_SELF, &after));
    CHECK_GT(after.ru_minflt, before.ru_minflt);
    CHECK_GT(after.ru_nvcsw, before.ru_nvcsw);
}

TEST(getcpu_names_a_cpu_that_is_there)
{
    unsigned cpu = 9999, node = 9999;

    CHECK_OK(syscall(SYS_getcpu, &cpu, &node, NULL));
    CHECK_LT(cpu, sysconf(_SC_NPROCESSORS_CONF));
    CHECK_EQ(node, 0);
    CHECK_ERRNO(syscall(SYS_getcpu, bad_address(), NULL, NULL), EFAULT);
}

TEST(vdso_is_announced_and_is_an_elf_file)
{
    const char *vdso = (const char *)getauxval(AT_SYSINFO_EHDR);

    CHECK(vdso);
    CHECK_MEM_EQ(vdso, "\177ELF", 4);
}
