/*
 * What /proc tells of scheduling: sched, schedstat, wchan, stack, microstates, and the machine's
 * times. The sums are compared with each other; no clock on the wall is asked.
 *
 * covers: getrusage
 */
#include "guest.h"

#include <sched.h>
#include <sys/resource.h>

static char text[8192];

static char *file_of(pid_t pid, const char *name)
{
    char path[64];

    snprintf(path, sizeof(path), "/proc/%d/%s", pid, name);
    return read_file(path, text, sizeof(text));
}

/* The number after `name` and what stands between; -1: there is no such line. */
static long long number_after(const char *lines, const char *name)
{
    const char *found = strstr(lines, name);

    if (!found)
        return -1;
    found += strlen(name) + strspn(found + strlen(name), " \t:");
    return atoll(found);
}

static void compute_ms(long ms)
{
    struct timespec used;
    long long end;

    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    end = used.tv_sec * 1000000000ll + used.tv_nsec + ms * 1000000ll;
    do
        clock_gettime(CLOCK_THREAD_CPUTIME_ID, &used);
    while (used.tv_sec * 1000000000ll + used.tv_nsec < end);
}

TEST(proc_schedstat_counts_time_on_the_cpu_time_before_it_and_turns)
{
    long long ran[2], waited[2], turns[2];

    for (int i = 0; i < 2; i++) {
        CHECK_EQ(sscanf(file_of(getpid(), "schedstat"), "%lld %lld %lld\n", &ran[i], &waited[i],
                        &turns[i]),
                 3);
        if (i == 0)
            compute_ms(20);
        sleep_ms(1);
    }
    CHECK_GE(ran[1], ran[0] + 20000000);
    CHECK_GE(waited[1], waited[0]);
    CHECK_GT(turns[1], turns[0]);
}

TEST(proc_sched_tells_class_priority_and_switches)
{
    char *lines = file_of(getpid(), "sched"), begin[64];
    long long switches;
    struct rusage usage;

    snprintf(begin, sizeof(begin), "(%d, #threads: 1)\n", getpid());
    CHECK(strstr(lines, begin));
    CHECK_EQ(number_after(lines, "\npolicy "), 0);
    CHECK_EQ(number_after(lines, "\nprio "), 120);
    CHECK_EQ(number_after(lines, "\nse.load.weight "), 1048576);
    CHECK_GE(number_after(lines, "\nse.sum_exec_runtime "), 0);
    CHECK_GE(number_after(lines, "\nse.nr_migrations "), 0);
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 5));
    sleep_ms(1);
    lines = file_of(getpid(), "sched");
    CHECK_EQ(number_after(lines, "\nprio "), 125);
    CHECK_EQ(number_after(lines, "\nse.load.weight "), 335 * 1024);
    switches = number_after(lines, "\nnr_voluntary_switches ");
    CHECK_GE(switches, 1);
    CHECK_EQ(number_after(lines, "\nnr_switches "),
             switches + number_after(lines, "\nnr_involuntary_switches "));
    CHECK_OK(getrusage(RUSAGE_SELF, &usage));
    CHECK_GE(usage.ru_nvcsw, switches);
}

TEST(proc_stack_and_wchan_tell_where_a_thread_waits)
{
    pid_t child;
    int fds[2];

    NEEDS_ROOT();
    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        char byte;

        CHECK_EQ(read(fds[0], &byte, 1), 1);
        _exit(0);
    }
    WAIT_FOR_STATE(child, 'S');
    CHECK(strstr(file_of(child, "wchan"), "pipe"));
    if (strstr(file_of(child, "stack"), "[<0>]"))
        CHECK(strstr(text, "pipe"));
    CHECK_STR_EQ(file_of(getpid(), "wchan"), "0");
    CHECK_EQ(write(fds[1], "", 1), 1);
    CHECK_EXIT(child, 0);
}

/* ---- Microstates: Pith's own ---- */

static const char *const microstates[] = {"user ", "system ", "trap ", "fault ",   "lock ",
                                          "io ",   "child ",  "cpu ",  "stopped ", "sleep "};
#define MICROSTATES (sizeof(microstates) / sizeof(microstates[0]))

static void microstates_check_sum(const char *lines)
{
    long long sum = 0, ns;

    for (size_t i = 0; i < MICROSTATES; i++) {
        ns = number_after(lines, microstates[i]);
        CHECK_GE(ns, 0);
        sum += ns;
    }
    CHECK_EQ(sum, number_after(lines, "elapsed "));
}

static long long microstate_of(pid_t pid, const char *name)
{
    char *lines = file_of(pid, "microstates");

    microstates_check_sum(lines);
    return number_after(lines, name);
}

#define MS 1000000ll

TEST(microstates_of_a_thread_add_up_to_its_life)
{
    pid_t child;

    if (access("/proc/self/microstates", R_OK) == -1)
        SKIP("only Pith has them");
    compute_ms(50);
    CHECK_GE(microstate_of(getpid(), "user ") + microstate_of(getpid(), "system "), 20 * MS);
    sleep_ms(20);
    /* The time limit counts from the call, the state from a little later. */
    CHECK_GE(microstate_of(getpid(), "sleep "), 19 * MS);
    child = CHECK_OK(fork());
    if (child == 0) {
        sleep_ms(20);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_GT(microstate_of(getpid(), "child "), 0);
    CHECK_EQ(microstate_of(getpid(), "stopped "), 0);
    for (int i = 0; i < 1000; i++)
        microstates_check_sum(file_of(getpid(), "microstates"));
}

TEST(microstates_tell_what_another_thread_waits_for)
{
    int fds[2];
    pid_t child;
    char byte;

    if (access("/proc/self/microstates", R_OK) == -1)
        SKIP("only Pith has them");
    CHECK_OK(pipe(fds));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(read(fds[0], &byte, 1), 1);
        raise(SIGSTOP);
        _exit(0);
    }
    WAIT_FOR_STATE(child, 'S');
    sleep_ms(5);
    CHECK_GE(microstate_of(child, "io "), 5 * MS);
    CHECK_EQ(write(fds[1], "", 1), 1);
    WAIT_FOR_STATE(child, 'T');
    sleep_ms(5);
    CHECK_GE(microstate_of(child, "stopped "), 5 * MS);
    CHECK_OK(kill(child, SIGCONT));
    CHECK_EXIT(child, 0);
}

/* ---- What real-time threads leave ---- */

TEST(sched_rt_runtime_us_is_within_its_period)
{
    static const char *const runtime = "/proc/sys/kernel/sched_rt_runtime_us";
    int fd = open(runtime, O_WRONLY | O_CLOEXEC);

    if (fd == -1 || access("/proc/self/microstates", R_OK) == -1)
        SKIP("cannot be set here");
    CHECK_ERRNO(write(fd, "1000001\n", 8), EINVAL);
    CHECK_ERRNO(write(fd, "-2\n", 3), EINVAL);
    CHECK_EQ(write(fd, "-1\n", 3), 3);
    CHECK_STR_EQ(read_file(runtime, text, sizeof(text)), "-1\n");
    CHECK_EQ(write(fd, "950000\n", 7), 7);
    CHECK_STR_EQ(read_file("/proc/sys/kernel/sched_rt_period_us", text, sizeof(text)), "1000000\n");
    CHECK_STR_EQ(read_file("/proc/sys/kernel/sched_rr_timeslice_ms", text, sizeof(text)), "100\n");
}

static void setting_write(const char *name, const char *value)
{
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/proc/sys/kernel/%s", name);
    fd = CHECK_OK(open(path, O_WRONLY | O_CLOEXEC));
    CHECK_EQ(write(fd, value, strlen(value)), (ssize_t)strlen(value));
    close(fd);
}

TEST(sched_rt_runtime_us_of_0_leaves_others_everything)
{
    const struct sched_param urgent = {.sched_priority = 10};
    cpu_set_t cpu;
    pid_t hog;

    NEEDS_ROOT();
    if (access("/proc/self/microstates", R_OK) == -1)
        SKIP("cannot be set here");
    CPU_ZERO(&cpu);
    CPU_SET(0, &cpu);
    CHECK_OK(sched_setaffinity(0, sizeof(cpu), &cpu));
    setting_write("sched_rt_runtime_us", "0");
    setting_write("sched_rt_period_us", "20000");
    hog = CHECK_OK(fork());
    if (hog == 0) {
        sched_setscheduler(0, SCHED_FIFO, &urgent);
        for (;;)
            continue;
    }
    compute_ms(60); /* some periods */
    CHECK_OK(kill(hog, SIGKILL));
    CHECK_KILLED(hog, SIGKILL);
    setting_write("sched_rt_period_us", "1000000");
    setting_write("sched_rt_runtime_us", "950000");
}
