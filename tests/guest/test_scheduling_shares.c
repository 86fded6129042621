/*
 * Scheduling: what the calls refuse, what share of the CPU threads get, in which order real-time
 * threads run, and on which CPUs. (test_scheduling.c: what the calls grant.)
 *
 * Shares are compared as CPU times, never against a clock on the wall.
 *
 * covers: sched_setscheduler sched_getscheduler sched_setparam sched_getparam sched_setattr
 * covers: sched_getattr sched_get_priority_max sched_get_priority_min sched_rr_get_interval
 * covers: sched_setaffinity sched_getaffinity sched_yield getpriority setpriority
 */
#include "guest.h"

#include <sys/resource.h>

#define RESET_ON_FORK 0x40000000

/* Musl's own do not ask the kernel: they say ENOSYS. */
#define sched_setscheduler(pid, policy, parameters) \
    syscall(SYS_sched_setscheduler, pid, policy, parameters)
#define sched_getscheduler(pid)         syscall(SYS_sched_getscheduler, pid)
#define sched_setparam(pid, parameters) syscall(SYS_sched_setparam, pid, parameters)
#define sched_getparam(pid, parameters) syscall(SYS_sched_getparam, pid, parameters)

struct attributes { /* struct sched_attr as of Linux 5.3 */
    uint32_t size, policy;
    uint64_t flags;
    int32_t nice;
    uint32_t priority;
    uint64_t runtime, deadline, period;
    uint32_t utilization_least, utilization_most;
};
#define FIRST_BYTES 48

enum {
    FLAG_RESET_ON_FORK = 1,
    FLAG_KEEP_POLICY = 8,
    FLAG_KEEP_PARAMETERS = 16,
    FLAG_UTILIZATION_LEAST = 32,
    POLICY_DEADLINE = 6,
};

static int set_policy(pid_t pid, int policy, int priority)
{
    struct sched_param parameters = {.sched_priority = priority};

    return sched_setscheduler(pid, policy, &parameters);
}

static long set_attributes(struct attributes *attributes)
{
    return syscall(SYS_sched_setattr, 0, attributes, 0);
}

static struct attributes own_attributes(void)
{
    struct attributes attributes;

    CHECK_OK(syscall(SYS_sched_getattr, 0, &attributes, sizeof(attributes), 0));
    return attributes;
}

static void become_nobody(void)
{
    CHECK_OK(syscall(SYS_setresuid, 65533, 65533, 65533));
}

static void set_limit(int resource, rlim_t value)
{
    struct rlimit limit = {value, value};

    if (setrlimit(resource, &limit) == -1)
        SKIP("limits cannot be raised here");
}

/* ---- Classes and priorities ---- */

TEST(sched_priority_range_is_1_to_99_of_real_time_and_0_of_others)
{
    static const int ordinary[] = {SCHED_OTHER, SCHED_BATCH, SCHED_IDLE, POLICY_DEADLINE};

    for (int policy = SCHED_FIFO; policy <= SCHED_RR; policy++) {
        CHECK_EQ(sched_get_priority_max(policy), 99);
        CHECK_EQ(sched_get_priority_min(policy), 1);
    }
    for (size_t i = 0; i < 4; i++) {
        CHECK_EQ(sched_get_priority_max(ordinary[i]), 0);
        CHECK_EQ(sched_get_priority_min(ordinary[i]), 0);
    }
    CHECK_ERRNO(sched_get_priority_max(4), EINVAL);
    CHECK_ERRNO(sched_get_priority_min(99), EINVAL);
    CHECK_ERRNO(sched_get_priority_min(-1), EINVAL);
}

TEST(sched_setscheduler_checks_class_priority_pointer_and_thread)
{
    struct sched_param parameters = {.sched_priority = 0};

    CHECK_ERRNO(set_policy(0, 4, 0), EINVAL);
    CHECK_ERRNO(set_policy(0, -1, 0), EINVAL);
    CHECK_ERRNO(set_policy(0, SCHED_FIFO, 0), EINVAL);
    CHECK_ERRNO(set_policy(0, SCHED_RR, 100), EINVAL);
    CHECK_ERRNO(set_policy(0, SCHED_BATCH, 1), EINVAL);
    CHECK_ERRNO(set_policy(0, POLICY_DEADLINE, 0), EINVAL);
    CHECK_ERRNO(set_policy(-1, SCHED_OTHER, 0), EINVAL);
    CHECK_ERRNO(set_policy(0x3ffffffe, SCHED_OTHER, 0), ESRCH);
    CHECK_ERRNO(sched_setscheduler(0, SCHED_OTHER, NULL), EINVAL);
    CHECK_ERRNO(sched_setscheduler(0, SCHED_OTHER, bad_address()), EFAULT);
    CHECK_ERRNO(sched_setparam(0, NULL), EINVAL);
    CHECK_ERRNO(sched_setparam(0, bad_address()), EFAULT);
    CHECK_ERRNO(sched_setparam(-1, &parameters), EINVAL);
    CHECK_ERRNO(sched_getparam(0, NULL), EINVAL);
    CHECK_ERRNO(sched_getparam(0, bad_address()), EFAULT);
    CHECK_ERRNO(sched_getparam(-1, &parameters), EINVAL);
    CHECK_ERRNO(sched_getscheduler(-1), EINVAL);
    CHECK_ERRNO(sched_getscheduler(0x3ffffffe), ESRCH);
}

TEST(sched_rr_get_interval_is_the_slice_of_rr_and_0_of_fifo)
{
    struct timespec interval;

    NEEDS_ROOT();
    CHECK_OK(set_policy(0, SCHED_RR, 1));
    CHECK_OK(sched_rr_get_interval(0, &interval));
    CHECK_EQ(interval.tv_sec, 0);
    CHECK_EQ(interval.tv_nsec, 100000000);
    CHECK_OK(set_policy(0, SCHED_FIFO, 1));
    CHECK_OK(sched_rr_get_interval(0, &interval));
    CHECK_EQ(interval.tv_sec, 0);
    CHECK_EQ(interval.tv_nsec, 0);
    CHECK_ERRNO(sched_rr_get_interval(-1, &interval), EINVAL);
    CHECK_ERRNO(sched_rr_get_interval(0x3ffffffe, &interval), ESRCH);
    CHECK_ERRNO(sched_rr_get_interval(0, bad_address()), EFAULT);
}

/* ---- sched_setattr, sched_getattr ---- */

TEST(sched_setattr_sets_what_sched_getattr_tells)
{
    struct attributes wanted = {.size = sizeof(wanted), .policy = SCHED_BATCH, .nice = 4}, seen;

    NEEDS_ROOT();
    CHECK_OK(set_attributes(&wanted));
    seen = own_attributes();
    CHECK_EQ(seen.size, sizeof(seen));
    CHECK_EQ(seen.policy, SCHED_BATCH);
    CHECK_EQ(seen.nice, 4);
    CHECK_EQ(seen.priority, 0);
    CHECK_EQ(seen.flags, 0);
    wanted.nice = -100; /* is taken for the nicest there is */
    wanted.flags = FLAG_RESET_ON_FORK;
    CHECK_OK(set_attributes(&wanted));
    seen = own_attributes();
    CHECK_EQ(seen.nice, -20);
    CHECK_EQ(seen.flags, FLAG_RESET_ON_FORK);
    wanted = (struct attributes){.size = 0, .policy = SCHED_RR, .priority = 9, .nice = 5};
    CHECK_OK(set_attributes(&wanted));
    seen = own_attributes();
    CHECK_EQ(seen.policy, SCHED_RR);
    CHECK_EQ(seen.priority, 9);
    CHECK_EQ(seen.nice, 0);
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), -20);
}

TEST(sched_setattr_keeps_class_or_parameters_when_told)
{
    struct attributes wanted = {.size = sizeof(wanted), .policy = SCHED_BATCH, .nice = 4}, seen;

    CHECK_OK(set_attributes(&wanted));
    wanted.policy = SCHED_FIFO;
    wanted.nice = 6;
    wanted.flags = FLAG_KEEP_POLICY;
    CHECK_OK(set_attributes(&wanted));
    seen = own_attributes();
    CHECK_EQ(seen.policy, SCHED_BATCH);
    CHECK_EQ(seen.nice, 6);
    wanted.policy = SCHED_OTHER;
    wanted.nice = 9;
    wanted.flags = FLAG_KEEP_PARAMETERS;
    CHECK_OK(set_attributes(&wanted));
    seen = own_attributes();
    CHECK_EQ(seen.policy, SCHED_BATCH); /* with its parameters a thread keeps its class */
    CHECK_EQ(seen.nice, 6);
    wanted.flags = FLAG_KEEP_PARAMETERS | FLAG_KEEP_POLICY | FLAG_RESET_ON_FORK;
    CHECK_OK(set_attributes(&wanted));
    CHECK_EQ(own_attributes().nice, 6);
}

TEST(sched_setattr_checks_size_flags_and_what_it_does_not_know)
{
    struct {
        struct attributes known;
        uint64_t unknown;
    } larger = {.known.size = sizeof(larger)};
    struct attributes wanted = {.size = FIRST_BYTES - 1};

    CHECK_ERRNO(set_attributes(&wanted), E2BIG);
    CHECK_GE(wanted.size, FIRST_BYTES); /* what the kernel knows */
    wanted.size = PAGE + 1;
    CHECK_ERRNO(set_attributes(&wanted), E2BIG);
    larger.unknown = 1;
    larger.known.size = sizeof(larger);
    CHECK_ERRNO(set_attributes(&larger.known), E2BIG);
    larger.unknown = 0;
    larger.known.size = sizeof(larger);
    CHECK_OK(set_attributes(&larger.known));
    wanted = (struct attributes){.size = FIRST_BYTES};
    CHECK_OK(set_attributes(&wanted));
    wanted.flags = 1 << 20;
    CHECK_ERRNO(set_attributes(&wanted), EINVAL);
    wanted.flags = FLAG_UTILIZATION_LEAST; /* needs the second version */
    CHECK_ERRNO(set_attributes(&wanted), EINVAL);
    wanted = (struct attributes){.size = FIRST_BYTES, .policy = 0x80000000};
    CHECK_ERRNO(set_attributes(&wanted), EINVAL);
    wanted = (struct attributes){.size = FIRST_BYTES};
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, &wanted, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setattr, -1, &wanted, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0x3ffffffe, &wanted, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setattr, 0, bad_address(), 0), EFAULT);
}

TEST(sched_getattr_writes_as_much_as_the_caller_knows)
{
    struct attributes seen;

    memset(&seen, 0xff, sizeof(seen));
    CHECK_OK(syscall(SYS_sched_getattr, 0, &seen, FIRST_BYTES, 0));
    CHECK_EQ(seen.size, FIRST_BYTES);
    CHECK_EQ(seen.utilization_least, UINT32_MAX);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &seen, FIRST_BYTES - 1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &seen, PAGE + 1, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, &seen, FIRST_BYTES, 1), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getattr, -1, &seen, FIRST_BYTES, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0x3ffffffe, &seen, FIRST_BYTES, 0), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, NULL, FIRST_BYTES, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getattr, 0, bad_address(), FIRST_BYTES, 0), EFAULT);
}

TEST(sched_deadline_needs_sense_privilege_and_admission)
{
    struct attributes wanted = {.size = sizeof(wanted),
                                .policy = POLICY_DEADLINE,
                                .runtime = 10000000,
                                .deadline = 30000000,
                                .period = 20000000};
    cpu_set_t all, one;

    NEEDS_ROOT();
    CHECK_ERRNO(set_attributes(&wanted), EINVAL); /* deadline > period */
    wanted.period = 30000000;
    wanted.runtime = 100;
    CHECK_ERRNO(set_attributes(&wanted), EINVAL);
    wanted.runtime = 40000000;
    CHECK_ERRNO(set_attributes(&wanted), EINVAL);
    /* More of the CPU than is ever granted. */
    CHECK_OK(sched_getaffinity(0, sizeof(all), &all));
    wanted.runtime = 30000000;
    CPU_ZERO(&one);
    CPU_SET(sched_getcpu(), &one);
    if (CPU_COUNT(&all) == 1)
        CHECK_ERRNO(set_attributes(&wanted), EBUSY);
    become_nobody();
    CHECK_ERRNO(set_attributes(&wanted), EPERM);
}

/* ---- Nice values ---- */

TEST(setpriority_without_privilege_follows_rlimit_nice)
{
    NEEDS_ROOT();
    set_limit(RLIMIT_NICE, 18); /* down to 2 */
    become_nobody();
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 8));
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 2));
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, 1), EACCES);
    CHECK_EQ(getpriority(PRIO_PROCESS, 0), 2);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 1, 19), EPERM);
}

/* A child that waits until it is killed. */
static pid_t idle_child(uid_t uid, pid_t group)
{
    struct gate ready = gate_new();
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        CHECK_OK(setpgid(0, group));
        if (uid)
            CHECK_OK(syscall(SYS_setresuid, uid, uid, uid));
        gate_open(ready);
        for (;;)
            pause();
    }
    gate_pass(ready);
    return child;
}

TEST(setpriority_of_a_group_and_of_a_user_means_all_of_theirs)
{
    pid_t a, b, c;

    NEEDS_ROOT();
    a = idle_child(65531, 0);
    b = idle_child(65532, a);
    c = idle_child(65531, 0);
    CHECK_OK(setpriority(PRIO_PGRP, a, 5));
    CHECK_EQ(getpriority(PRIO_PROCESS, a), 5);
    CHECK_EQ(getpriority(PRIO_PROCESS, b), 5);
    CHECK_EQ(getpriority(PRIO_PROCESS, c), 0);
    CHECK_EQ(getpriority(PRIO_PGRP, a), 5);
    CHECK_OK(setpriority(PRIO_USER, 65531, 9));
    CHECK_EQ(getpriority(PRIO_PROCESS, a), 9);
    CHECK_EQ(getpriority(PRIO_PROCESS, b), 5);
    CHECK_EQ(getpriority(PRIO_PROCESS, c), 9);
    CHECK_OK(setpriority(PRIO_PROCESS, c, 7));
    CHECK_EQ(getpriority(PRIO_USER, 65531), 7); /* the nicest of all */
    CHECK_ERRNO(setpriority(PRIO_USER, 65529, 1), ESRCH);
    CHECK_ERRNO(setpriority(3, 0, 1), EINVAL);
    kill(a, SIGKILL);
    kill(b, SIGKILL);
    kill(c, SIGKILL);
}

/* ---- Shares ---- */

#define HOGS 8

struct hog {
    int policy, priority, nice;
};

static double cpu_seconds(pid_t pid)
{
    struct timespec used;
    clockid_t clock;

    CHECK_EQ(clock_getcpuclockid(pid, &clock), 0);
    CHECK_OK(clock_gettime(clock, &used));
    return (double)used.tv_sec + (double)used.tv_nsec / 1e9;
}

/* How often longer than wanted hogs compute until their shares must be right. */
#define PATIENCE 6

/*
 * Lets the hogs compute on `cpus` until they used `seconds` of CPU time in all and their shares are
 * right, or much more; then tells what each had. A busy host takes a CPU away from one of them for
 * a good part of a second at times, which counts as his time: he has to make up for it first. The
 * caller waits beside them as the most urgent thread there is.
 */
static void run_hogs(const struct hog *hogs, int count, int cpus, double seconds,
                     int (*is_right)(const double *used), double *used_out)
{
    double sum = 0;
    pid_t hog[HOGS];
    cpu_set_t set;

    CPU_ZERO(&set);
    for (int cpu = 0; cpu < cpus; cpu++)
        CPU_SET(cpu, &set);
    CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
    CHECK_OK(set_policy(0, SCHED_FIFO | RESET_ON_FORK, 90));
    for (int i = 0; i < count; i++) {
        hog[i] = CHECK_OK(fork());
        if (hog[i] == 0) {
            CHECK_OK(setpriority(PRIO_PROCESS, 0, hogs[i].nice));
            CHECK_OK(set_policy(0, hogs[i].policy, hogs[i].priority));
            for (volatile long n = 0;; n++)
                ;
        }
    }
    while (sum < seconds || (sum < PATIENCE * seconds && !is_right(used_out))) {
        sleep_ms(20);
        sum = 0;
        for (int i = 0; i < count; i++)
            sum += used_out[i] = cpu_seconds(hog[i]);
    }
    for (int i = 0; i < count; i++)
        kill(hog[i], SIGKILL);
    for (int i = 0; i < count; i++)
        CHECK_EQ(waitpid(hog[i], NULL, 0), hog[i]);
}

static int is_about(double one, double other, double times)
{
    return one >= other * times / 2 && one <= other * times * 2;
}

static int follows_nice_value(const double *used)
{
    return is_about(used[0], used[2], 1) && is_about(used[0], used[1], 1024.0 / 335);
}

TEST(sched_other_shares_the_cpu_by_nice_value)
{
    static const struct hog hogs[] = {{.nice = 0}, {.nice = 5}, {.nice = 0}};
    double used[3];

    NEEDS_ROOT();
    run_hogs(hogs, 3, 1, 1.2, follows_nice_value, used);
    if (!follows_nice_value(used))
        guest_fail(__FILE__, __LINE__, "%f, %f, %f", used[0], used[1], used[2]);
}

static int is_equal(const double *used)
{
    return is_about(used[0], used[1], 1);
}

TEST(sched_batch_has_the_share_of_sched_other)
{
    static const struct hog hogs[] = {{.policy = SCHED_BATCH}, {.policy = SCHED_OTHER}};
    double used[2];

    NEEDS_ROOT();
    run_hogs(hogs, 2, 1, 1, is_equal, used);
    if (!is_equal(used))
        guest_fail(__FILE__, __LINE__, "%f, %f", used[0], used[1]);
}

static int is_next_to_nothing(const double *used)
{
    return used[0] < used[1] / 2 && used[1] < used[2];
}

TEST(sched_idle_gets_next_to_nothing_beside_others)
{
    static const struct hog hogs[] = {{.policy = SCHED_IDLE}, {.nice = 10}, {.nice = 0}};
    double used[3];

    NEEDS_ROOT();
    run_hogs(hogs, 3, 1, 1.2, is_next_to_nothing, used);
    if (!is_next_to_nothing(used))
        guest_fail(__FILE__, __LINE__, "%f, %f, %f", used[0], used[1], used[2]);
}

/* Without turns one of three has as much as the other two together. */
static int takes_turns(const double *used)
{
    double least = used[0], most = used[0];

    for (int i = 1; i < 3; i++) {
        least = used[i] < least ? used[i] : least;
        most = used[i] > most ? used[i] : most;
    }
    return most <= 1.5 * least;
}

TEST(sched_other_takes_turns_when_there_is_one_thread_more_than_cpus)
{
    static const struct hog hogs[3];
    double used[3];

    NEEDS_ROOT();
    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        SKIP("needs two CPUs");
    run_hogs(hogs, 3, 2, 2.4, takes_turns, used);
    if (!takes_turns(used))
        guest_fail(__FILE__, __LINE__, "%f, %f, %f", used[0], used[1], used[2]);
}

/* ---- Real time: who runs next ---- */

/* Each writes its letter when it has the CPU; one CPU, so the order is that of the queue. */
static char *order;
static int *order_length;

static void order_prepare(void)
{
    cpu_set_t set;

    order = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    CHECK_NE(order, MAP_FAILED);
    order_length = (int *)(order + 512);
    CPU_ZERO(&set);
    CPU_SET(0, &set);
    CHECK_OK(sched_setaffinity(0, sizeof(set), &set));
    CHECK_OK(set_policy(0, SCHED_FIFO, 50));
}

static void order_note(char letter)
{
    order[(*order_length)++] = letter;
}

/* A child at `priority`, which is below the caller's, that notes its letter `times` and yields. */
static pid_t fifo_child(char letter, int priority, int times)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        CHECK_OK(set_policy(0, SCHED_FIFO, priority));
        for (int i = 0; i < times; i++) {
            order_note(letter);
            sched_yield();
        }
        _exit(0);
    }
    return child;
}

/* Waits until the child has set its priority, and stands in the queue because of it. */
static void let_children_queue(int priority, pid_t *children, int count)
{
    struct sched_param parameters;

    for (int i = 0; i < count; i++) {
        do { /* it has our own priority until then: it runs when we yield */
            sched_yield();
            CHECK_OK(sched_getparam(children[i], &parameters));
        } while (parameters.sched_priority != priority);
    }
}

static void wait_for_all(pid_t *children, int count)
{
    for (int i = 0; i < count; i++)
        CHECK_EXIT(children[i], 0);
}

TEST(sched_fifo_yields_to_equals_in_the_order_of_their_queue)
{
    pid_t children[3];

    NEEDS_ROOT();
    order_prepare();
    for (int i = 0; i < 3; i++)
        children[i] = fifo_child((char)('a' + i), 40, 2);
    let_children_queue(40, children, 3);
    CHECK_EQ(*order_length, 0);
    wait_for_all(children, 3);
    CHECK_STR_EQ(order, "cbacba"); /* who is lowered to a priority goes to its head */
}

TEST(sched_fifo_runs_the_higher_priority_first)
{
    pid_t children[2];

    NEEDS_ROOT();
    order_prepare();
    children[0] = fifo_child('a', 30, 2);
    let_children_queue(30, children, 1);
    children[1] = fifo_child('b', 40, 2);
    let_children_queue(40, children + 1, 1);
    wait_for_all(children, 2);
    CHECK_STR_EQ(order, "bbaa");
}

static void set_priority(pid_t pid, int priority)
{
    struct sched_param parameters = {.sched_priority = priority};

    CHECK_OK(sched_setparam(pid, &parameters));
}

TEST(sched_fifo_goes_to_the_tail_when_raised_and_to_the_head_when_lowered)
{
    pid_t children[3];

    NEEDS_ROOT();
    order_prepare();
    for (int i = 0; i < 3; i++)
        children[i] = fifo_child((char)('a' + i), 30, 1);
    let_children_queue(30, children, 3);
    /* They have been lowered to 30 one after the other: c b a. */
    set_priority(children[2], 20);
    set_priority(children[2], 30); /* raised: b a c */
    set_priority(children[1], 30); /* as it was */
    set_priority(children[0], 35);
    set_priority(children[0], 30); /* lowered: a b c */
    wait_for_all(children, 3);
    CHECK_STR_EQ(order, "abc");
}

static int leaves_a_little(const double *used)
{
    return used[1] > 0 && used[1] < used[0] / 4;
}

TEST(sched_fifo_hog_leaves_others_a_little)
{
    static const struct hog hogs[] = {{.policy = SCHED_FIFO, .priority = 10}, {.nice = 0}};
    char text[32];
    double used[2];

    NEEDS_ROOT();
    if (access("/proc/sys/kernel/sched_rt_runtime_us", R_OK) == -1)
        SKIP("cannot be seen here");
    if (atol(read_file("/proc/sys/kernel/sched_rt_runtime_us", text, sizeof(text))) != 950000)
        SKIP("is limited otherwise here");
    run_hogs(hogs, 2, 1, 2.2, leaves_a_little, used);
    CHECK(leaves_a_little(used));
}

/* ---- Affinity ---- */

TEST(sched_setaffinity_has_moved_a_running_thread_when_it_returns)
{
    char path[64], text[512], *field;
    pid_t child;

    if (sysconf(_SC_NPROCESSORS_ONLN) < 2)
        SKIP("needs two CPUs");
    child = CHECK_OK(fork());
    if (child == 0)
        for (volatile long n = 0;; n++)
            ;
    snprintf(path, sizeof(path), "/proc/%d/stat", child);
    for (int i = 0; i < 20; i++) {
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(i % 2, &set);
        CHECK_OK(sched_setaffinity(child, sizeof(set), &set));
        field = strrchr(read_file(path, text, sizeof(text)), ')');
        for (int space = 0; space < 37; space++)
            field = strchr(field + 1, ' ');
        CHECK_EQ(atoi(field), i % 2);
    }
    kill(child, SIGKILL);
}

TEST(sched_setaffinity_checks_mask_size_and_rights)
{
    unsigned long mask[128] = {0};
    cpu_set_t set;

    CHECK_ERRNO(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setaffinity, 0, sizeof(mask), bad_address()), EFAULT);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 3, mask), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 12, mask), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0x3ffffffe, sizeof(mask), mask), ESRCH);
    mask[0] = ~0ul; /* CPUs that are not there are no error, beside one that is */
    CHECK_OK(syscall(SYS_sched_setaffinity, 0, sizeof(mask), mask));
    CHECK_OK(sched_getaffinity(0, sizeof(set), &set));
    CHECK_LE(CPU_COUNT(&set), sysconf(_SC_NPROCESSORS_CONF));
    CHECK_ERRNO(syscall(SYS_sched_setaffinity, 0x3ffffffe, sizeof(mask), mask), ESRCH);
    NEEDS_ROOT();
    become_nobody();
    CHECK_ERRNO(syscall(SYS_sched_setaffinity, 1, sizeof(mask), mask), EPERM);
}
