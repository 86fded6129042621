/*
 * Scheduling policies: who may choose which, what a child inherits, what getattr tells.
 *
 * covers: sched_setscheduler sched_getscheduler sched_setparam sched_getparam sched_setattr
 * covers: sched_getattr sched_rr_get_interval getpriority setpriority
 */
#include "guest.h"

#include <linux/sched.h>
#include <sys/resource.h>

#define NOBODY 65534

struct attributes { /* struct sched_attr */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t utilization_least, utilization_most;
};

static long set_policy(int policy, int priority)
{
    struct {
        int priority;
    } parameter = {priority};

    return syscall(SYS_sched_setscheduler, 0, policy, &parameter);
}

static int policy_now(void)
{
    return (int)CHECK_OK(syscall(SYS_sched_getscheduler, 0));
}

static int priority_now(void)
{
    struct {
        int priority;
    } parameter = {-1};

    CHECK_OK(syscall(SYS_sched_getparam, 0, &parameter));
    return parameter.priority;
}

static long set_attributes(struct attributes attributes)
{
    attributes.size = sizeof(attributes);
    return syscall(SYS_sched_setattr, 0, &attributes, 0);
}

static struct attributes attributes_now(void)
{
    struct attributes attributes = {0};

    CHECK_OK(syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0));
    return attributes;
}

static void become_nobody(void)
{
    CHECK_OK(syscall(SYS_setresuid, NOBODY, NOBODY, NOBODY));
}

static void set_limit(int resource, unsigned long value)
{
    if (setrlimit(resource, &(struct rlimit){value, value}) == -1 && errno == EPERM)
        SKIP("this root may not raise limits");
}

TEST(sched_setscheduler_takes_each_policy_and_tells_it)
{
    static const struct {
        int policy, priority;
    } policies[] = {
        {SCHED_BATCH, 0}, {SCHED_IDLE, 0}, {SCHED_NORMAL, 0}, {SCHED_FIFO, 1}, {SCHED_RR, 99},
    };

    NEEDS_ROOT();
    for (int i = 0; i < 5; i++) {
        CHECK_OK(set_policy(policies[i].policy, policies[i].priority));
        CHECK_EQ(policy_now(), policies[i].policy);
        CHECK_EQ(priority_now(), policies[i].priority);
        CHECK_EQ(attributes_now().policy, policies[i].policy);
    }
}

TEST(sched_setscheduler_refuses_a_priority_that_the_policy_has_not)
{
    CHECK_ERRNO(set_policy(SCHED_FIFO, 0), EINVAL);
    CHECK_ERRNO(set_policy(SCHED_RR, 100), EINVAL);
    CHECK_ERRNO(set_policy(SCHED_BATCH, 1), EINVAL);
    CHECK_ERRNO(set_policy(SCHED_IDLE, 1), EINVAL);
    CHECK_ERRNO(set_policy(SCHED_DEADLINE, 0), EINVAL); /* its parameters go with sched_setattr */
    CHECK_ERRNO(set_attributes((struct attributes){.policy = SCHED_DEADLINE}), EINVAL);
}

TEST(sched_setscheduler_to_a_real_time_policy_needs_the_right_or_the_limit)
{
    NEEDS_ROOT();
    set_limit(RLIMIT_RTPRIO, 10);
    become_nobody();
    CHECK_ERRNO(set_policy(SCHED_FIFO, 11), EPERM);
    CHECK_OK(set_policy(SCHED_FIFO, 10));
    CHECK_ERRNO(set_policy(SCHED_RR, 20), EPERM);
    CHECK_OK(set_policy(SCHED_RR, 5));
    set_limit(RLIMIT_RTPRIO, 0);
    CHECK_OK(set_policy(SCHED_RR, 4)); /* less is always granted */
    CHECK_ERRNO(set_policy(SCHED_FIFO, 1), EPERM);
    CHECK_OK(set_policy(SCHED_NORMAL, 0));
    CHECK_ERRNO(set_policy(SCHED_RR, 1), EPERM);
}

TEST(sched_setscheduler_from_idle_back_needs_the_right_to_that_nice_value)
{
    NEEDS_ROOT();
    set_limit(RLIMIT_NICE, 0);
    become_nobody();
    CHECK_OK(set_policy(SCHED_IDLE, 0));
    CHECK_ERRNO(set_policy(SCHED_NORMAL, 0), EPERM);
    CHECK_ERRNO(set_policy(SCHED_BATCH, 0), EPERM);
    CHECK_OK(set_policy(SCHED_IDLE, 0));
}

TEST(sched_setscheduler_of_another_users_process_gives_eperm)
{
    struct {
        int priority;
    } parameter = {0};
    pid_t root = getpid(), child;

    NEEDS_ROOT();
    child = CHECK_OK(fork());
    if (child == 0) {
        become_nobody();
        CHECK_ERRNO(syscall(SYS_sched_setscheduler, root, SCHED_BATCH, &parameter), EPERM);
        CHECK_ERRNO(syscall(SYS_sched_setscheduler, 999999, SCHED_BATCH, &parameter), ESRCH);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(sched_reset_on_fork_makes_the_child_an_ordinary_one)
{
    pid_t child;

    NEEDS_ROOT();
    CHECK_OK(set_policy(SCHED_RR | SCHED_RESET_ON_FORK, 7));
    CHECK_EQ(policy_now(), SCHED_RR | SCHED_RESET_ON_FORK);
    CHECK_EQ(attributes_now().policy, SCHED_RR);
    CHECK_EQ(attributes_now().flags, SCHED_FLAG_RESET_ON_FORK);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(policy_now(), SCHED_NORMAL);
        CHECK_EQ(priority_now(), 0);
        CHECK_EQ(attributes_now().flags, 0);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(policy_now(), SCHED_RR | SCHED_RESET_ON_FORK);
}

TEST(sched_reset_on_fork_takes_away_a_negative_nice_value_only)
{
    static const int nices[][2] = {{-5, 0}, {5, 5}};

    NEEDS_ROOT();
    for (int i = 0; i < 2; i++) {
        pid_t child;

        CHECK_OK(set_attributes((struct attributes){
            .policy = SCHED_NORMAL, .flags = SCHED_FLAG_RESET_ON_FORK, .nice = nices[i][0]}));
        CHECK_EQ(attributes_now().nice, nices[i][0]);
        child = CHECK_OK(fork());
        if (child == 0) {
            CHECK_EQ(attributes_now().nice, nices[i][1]);
            _exit(0);
        }
        CHECK_EXIT(child, 0);
    }
}

TEST(sched_reset_on_fork_is_taken_off_by_root_only)
{
    NEEDS_ROOT();
    CHECK_OK(set_policy(SCHED_NORMAL | SCHED_RESET_ON_FORK, 0));
    CHECK_OK(set_policy(SCHED_NORMAL, 0));
    CHECK_EQ(policy_now(), SCHED_NORMAL);
    become_nobody();
    CHECK_OK(set_policy(SCHED_NORMAL | SCHED_RESET_ON_FORK, 0));
    CHECK_ERRNO(set_policy(SCHED_NORMAL, 0), EPERM);
    CHECK_EQ(policy_now(), SCHED_NORMAL | SCHED_RESET_ON_FORK);
}

TEST(sched_setparam_keeps_policy_and_reset_on_fork)
{
    struct {
        int priority;
    } parameter = {9};

    NEEDS_ROOT();
    CHECK_OK(set_policy(SCHED_FIFO | SCHED_RESET_ON_FORK, 3));
    CHECK_OK(syscall(SYS_sched_setparam, 0, &parameter));
    CHECK_EQ(policy_now(), SCHED_FIFO | SCHED_RESET_ON_FORK);
    CHECK_EQ(priority_now(), 9);
}

/* Who keeps the parameters keeps the policy, too; only what becomes of children changes. */
TEST(sched_setattr_keeps_the_policy_or_all_when_asked)
{
    NEEDS_ROOT();
    CHECK_OK(set_policy(SCHED_FIFO, 3));
    CHECK_OK(set_attributes((struct attributes){
        .policy = SCHED_NORMAL, .flags = SCHED_FLAG_KEEP_POLICY, .priority = 8}));
    CHECK_EQ(policy_now(), SCHED_FIFO);
    CHECK_EQ(priority_now(), 8);
    CHECK_OK(set_attributes(
        (struct attributes){.policy = SCHED_RR, .flags = SCHED_FLAG_KEEP_PARAMS, .priority = 99}));
    CHECK_EQ(policy_now(), SCHED_FIFO);
    CHECK_EQ(priority_now(), 8);
}

TEST(sched_setattr_refuses_flags_and_sizes_that_it_does_not_know)
{
    struct attributes attributes = {.size = sizeof(attributes) + 8, .flags = 0};
    char larger[sizeof(attributes) + 8] = {0};

    CHECK_ERRNO(set_attributes((struct attributes){.flags = 1ul << 40}), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &attributes, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setattr, -1, &attributes, 0), EINVAL);
    memcpy(larger, &attributes, sizeof(attributes));
    CHECK_OK(syscall(SYS_sched_setattr, 0, larger, 0)); /* what follows is 0 */
    larger[sizeof(attributes)] = 1;
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, larger, 0), E2BIG);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &attributes, 47, 0), EINVAL);
}

TEST(sched_setattr_to_nicer_needs_the_right_or_the_limit)
{
    NEEDS_ROOT();
    set_limit(RLIMIT_NICE, 25); /* down to nice -5 */
    become_nobody();
    CHECK_OK(set_attributes((struct attributes){.nice = -5}));
    CHECK_EQ(attributes_now().nice, -5);
    CHECK_ERRNO(set_attributes((struct attributes){.nice = -6}), EPERM);
    CHECK_OK(set_attributes((struct attributes){.nice = 19}));
    CHECK_OK(setpriority(PRIO_PROCESS, 0, -5));
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, -6), EACCES);
}

TEST(sched_rr_get_interval_is_zero_for_fifo_only)
{
    struct timespec interval;

    NEEDS_ROOT();
    CHECK_OK(set_policy(SCHED_FIFO, 1));
    CHECK_OK(syscall(SYS_sched_rr_get_interval, 0, &interval));
    CHECK_EQ(interval.tv_sec * 1000000000 + interval.tv_nsec, 0);
    CHECK_OK(set_policy(SCHED_RR, 1));
    CHECK_OK(syscall(SYS_sched_rr_get_interval, 0, &interval));
    CHECK_GT(interval.tv_nsec, 0);
}

TEST(rlimit_rttime_ends_a_real_time_thread_that_never_waits)
{
    const struct rlimit limit = {50 * 1000, 200 * 1000}; /* us */
    pid_t child;

    NEEDS_ROOT();
    child = CHECK_OK(fork());
    if (child == 0) {
        handle_signal(SIGXCPU, count_signal, 0);
        CHECK_OK(setrlimit(RLIMIT_RTTIME, &limit));
        CHECK_OK(set_policy(SCHED_FIFO, 1));
        while (!signals_counted)
            ;
        CHECK_EQ(last_signal, SIGXCPU);
        for (;;)
            ;
    }
    CHECK_KILLED(child, SIGKILL);
}

TEST(rlimit_rttime_does_not_concern_ordinary_threads)
{
    struct rlimit limit = {1000, 1000};
    struct rusage usage;

    CHECK_OK(setrlimit(RLIMIT_RTTIME, &limit));
    do
        CHECK_OK(getrusage(RUSAGE_SELF, &usage));
    while (usage.ru_utime.tv_usec + usage.ru_stime.tv_usec < 20000);
}

TEST(getpriority_of_a_group_and_of_a_user_is_that_of_the_most_favoured)
{
    struct gate ready = gate_new();
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        CHECK_OK(setpgid(0, 0));
        CHECK_OK(setpriority(PRIO_PROCESS, 0, 7));
        gate_open(ready);
        pause();
    }
    gate_pass(ready);
    CHECK_EQ(getpriority(PRIO_PGRP, child), 7);
    CHECK_OK(setpriority(PRIO_PGRP, child, 9));
    CHECK_EQ(getpriority(PRIO_PROCESS, child), 9);
    CHECK_LE(getpriority(PRIO_USER, 0), 7);
    errno = 0;
    CHECK_EQ(getpriority(PRIO_PGRP, 999999), -1);
    CHECK_EQ(errno, ESRCH);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

static struct timeval sum(const struct rusage *usage)
{
    struct timeval sum;

    timeradd(&usage->ru_utime, &usage->ru_stime, &sum);
    return sum;
}

TEST(getrusage_of_the_thread_is_a_part_of_the_processs)
{
    struct rusage thread, process;
    struct timeval of_thread, of_process;

    CHECK_OK(getrusage(RUSAGE_THREAD, &thread));
    CHECK_OK(getrusage(RUSAGE_SELF, &process));
    of_thread = sum(&thread);
    of_process = sum(&process);
    CHECK(!timercmp(&of_thread, &of_process, >));
    CHECK_LE(thread.ru_minflt, process.ru_minflt);
    CHECK_ERRNO(syscall(SYS_getrusage, 2, &thread), EINVAL);
}
