/*
 * Limits, scheduling, names, and what a process asks of the system as a whole.
 *
 * covers: getrlimit setrlimit prlimit64 uname sysinfo prctl sched_yield sched_getaffinity
 * covers: sched_setaffinity sched_getscheduler sched_setscheduler sched_getparam sched_setparam
 * covers: sched_get_priority_max sched_get_priority_min sched_rr_get_interval getpriority
 * covers: setpriority socket socketpair getpid personality ioprio_get ioprio_set adjtimex
 * covers: clock_adjtime
 */
#include "guest.h"

#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/sysinfo.h>
#include <sys/timex.h>
#include <sys/utsname.h>

TEST(getrlimit_and_setrlimit_carry_both_values)
{
    struct rlimit limit = {100, 200}, seen;

    CHECK_OK(setrlimit(RLIMIT_CORE, &(struct rlimit){0, 0}));
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_OK(getrlimit(RLIMIT_NOFILE, &seen));
    CHECK_EQ(seen.rlim_cur, 100);
    CHECK_EQ(seen.rlim_max, 200);
    limit.rlim_cur = 300;
    CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &limit), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrlimit, 99, &seen), EINVAL);
    CHECK_ERRNO(syscall(SYS_getrlimit, RLIMIT_NOFILE, bad_address()), EFAULT);
}

TEST(setrlimit_of_the_hard_limit_upward_needs_root)
{
    struct rlimit limit = {100, 200}, more = {100, 400};

    NEEDS_ROOT();
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
    CHECK_OK(syscall(SYS_setuid, 1000));
    CHECK_ERRNO(setrlimit(RLIMIT_NOFILE, &more), EPERM);
    CHECK_OK(setrlimit(RLIMIT_NOFILE, &limit));
}

TEST(prlimit_sets_another_process)
{
    struct rlimit limit = {50, 60}, old;
    struct gate changed = gate_new();
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        gate_pass(changed);
        CHECK_OK(getrlimit(RLIMIT_NOFILE, &old));
        _exit(old.rlim_cur);
    }
    CHECK_OK(syscall(SYS_prlimit64, child, RLIMIT_NOFILE, &limit, &old));
    CHECK_GT(old.rlim_cur, 50);
    gate_open(changed);
    CHECK_EXIT(child, 50);
    CHECK_ERRNO(syscall(SYS_prlimit64, 999999, RLIMIT_NOFILE, NULL, &old), ESRCH);
}

TEST(rlimit_cpu_sends_sigxcpu_and_then_kills)
{
    struct rlimit limit = {1, 2};
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        CHECK_OK(setrlimit(RLIMIT_CPU, &limit));
        for (volatile long i = 0;; i++)
            ;
    }
    CHECK_KILLED(child, SIGXCPU);
}

TEST(uname_says_linux)
{
    struct utsname name;

    CHECK_OK(uname(&name));
    CHECK_STR_EQ(name.sysname, "Linux");
    CHECK_STR_EQ(name.machine, "x86_64");
    CHECK_GE(atoi(name.release), 6);
    CHECK(name.nodename[0]);
    CHECK(name.version[0]);
    CHECK_ERRNO(syscall(SYS_uname, bad_address()), EFAULT);
}

TEST(sysinfo_describes_memory_and_time)
{
    struct sysinfo info;

    CHECK_OK(sysinfo(&info));
    CHECK_GT(info.totalram, 0);
    CHECK_GE(info.totalram, info.freeram);
    CHECK_GT(info.procs, 0);
    CHECK_GE(info.mem_unit, 1);
    CHECK_GE(info.uptime, 0);
    CHECK_ERRNO(syscall(SYS_sysinfo, bad_address()), EFAULT);
}

TEST(prctl_name_is_cut_and_read_back)
{
    char name[16] = "", text[32];

    CHECK_OK(prctl(PR_SET_NAME, "a name that is too long"));
    CHECK_OK(prctl(PR_GET_NAME, name));
    CHECK_STR_EQ(name, "a name that is ");
    CHECK_STR_EQ(read_file("/proc/self/comm", text, sizeof(text)), "a name that is \n");
    CHECK_ERRNO(prctl(PR_SET_NAME, bad_address()), EFAULT);
    CHECK_ERRNO(prctl(99999), EINVAL);
}

TEST(prctl_pdeathsig_checks_and_reads_back)
{
    int value = 9;

    CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
    CHECK_OK(prctl(PR_GET_PDEATHSIG, &value));
    CHECK_EQ(value, SIGUSR1);
    CHECK_ERRNO(prctl(PR_SET_PDEATHSIG, 99), EINVAL);
}

/* ---- Scheduling ---- */

TEST(sched_yield_returns_zero)
{
    CHECK_OK(sched_yield());
}

TEST(sched_getaffinity_and_setaffinity_agree)
{
    unsigned long mask[16] = {0}, one[16] = {0};
    long bytes = CHECK_OK(syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask));
    int cpu = __builtin_ctzl(mask[0]);

    CHECK_EQ(bytes % 8, 0);
    CHECK_NE(mask[0], 0);
    one[0] = 1ul << cpu;
    CHECK_OK(syscall(SYS_sched_setaffinity, 0, sizeof(one), one));
    CHECK_OK(syscall(SYS_sched_getaffinity, 0, sizeof(mask), mask));
    CHECK_EQ(mask[0], one[0]);
    CHECK_EQ(sched_getcpu(), cpu);
    one[0] = 0;
    CHECK_ERRNO(syscall(SYS_sched_setaffinity, 0, sizeof(one), one), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, 4, mask), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 999999, sizeof(mask), mask), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_getaffinity, 0, sizeof(mask), bad_address()), EFAULT);
}

TEST(sched_setaffinity_moves_the_thread_to_each_cpu)
{
    unsigned long mask = 0, one;

    CHECK_OK(syscall(SYS_sched_getaffinity, 0, sizeof(mask), &mask));
    for (int cpu = 0; cpu < 64; cpu++) {
        if (!(mask >> cpu & 1))
            continue;
        one = 1ul << cpu;
        CHECK_OK(syscall(SYS_sched_setaffinity, 0, sizeof(one), &one));
        CHECK_EQ(sched_getcpu(), cpu);
    }
}

TEST(sched_policies_and_their_priorities)
{
    struct {
        int priority;
    } parameter = {0};

    CHECK_EQ(syscall(SYS_sched_getscheduler, 0), 0 /* SCHED_OTHER */);
    CHECK_OK(syscall(SYS_sched_getparam, 0, &parameter));
    CHECK_EQ(parameter.priority, 0);
    CHECK_EQ(syscall(SYS_sched_get_priority_max, 1 /* SCHED_FIFO */), 99);
    CHECK_EQ(syscall(SYS_sched_get_priority_min, 1), 1);
    CHECK_EQ(syscall(SYS_sched_get_priority_max, 0), 0);
    CHECK_ERRNO(syscall(SYS_sched_get_priority_max, 99), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_getscheduler, 999999), ESRCH);
    CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0, 1, &parameter), EINVAL);
    CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0, 99, &parameter), EINVAL);
    parameter.priority = 5;
    CHECK_ERRNO(syscall(SYS_sched_setscheduler, 0, 0, &parameter), EINVAL);
}

TEST(getpriority_and_setpriority_nice)
{
    CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 20);
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 5));
    CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 15);
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 100));
    CHECK_EQ(syscall(SYS_getpriority, PRIO_PROCESS, 0), 1);
    CHECK_ERRNO(syscall(SYS_getpriority, 99, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_getpriority, PRIO_PROCESS, 999999), ESRCH);
    CHECK_ERRNO(setpriority(99, 0, 0), EINVAL);
}

TEST(setpriority_to_nicer_needs_root)
{
    NEEDS_ROOT();
    CHECK_OK(syscall(SYS_setuid, 1000));
    CHECK_OK(setpriority(PRIO_PROCESS, 0, 5));
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 0, 0), EACCES);
    CHECK_ERRNO(setpriority(PRIO_PROCESS, 1, 5), EPERM);
}

TEST(socket_of_an_unknown_family_gives_eafnosupport)
{
    CHECK_ERRNO(socket(45, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(socket(-1, SOCK_STREAM, 0), EAFNOSUPPORT);
    CHECK_ERRNO(syscall(SYS_socket, 45, 0x100 | SOCK_STREAM, 0), EINVAL);
    CHECK_ERRNO(socketpair(45, SOCK_STREAM, 0, (int[2]){0}), EAFNOSUPPORT);
}

TEST(unknown_system_call_gives_enosys)
{
    CHECK_ERRNO(syscall(400), ENOSYS);
    CHECK_ERRNO(syscall(100000), ENOSYS);
    CHECK_ERRNO(syscall(-1), ENOSYS);
}

TEST(system_call_keeps_all_registers_but_three)
{
    unsigned long seen[9];

    __asm__ volatile("pushq %%rbp; movq %0, %%rbp; movq $1, %%rbx; movq $2, %%rdx; movq $3, %%rsi;"
                     "movq $4, %%rdi; movq $5, %%r8; movq $6, %%r9; movq $7, %%r10; movq $8, %%r12;"
                     "movq $9, %%r13; movl $39, %%eax; syscall;"
                     "movq %%rbx, 0(%%rbp); movq %%rdx, 8(%%rbp); movq %%rsi, 16(%%rbp);"
                     "movq %%rdi, 24(%%rbp); movq %%r8, 32(%%rbp); movq %%r9, 40(%%rbp);"
                     "movq %%r10, 48(%%rbp); movq %%r12, 56(%%rbp); movq %%r13, 64(%%rbp);"
                     "popq %%rbp"
                     :
                     : "r"(seen)
                     : "rax", "rbx", "rcx", "rdx", "rsi", "rdi", "r8", "r9", "r10", "r11", "r12",
                       "r13", "memory");
    for (unsigned i = 0; i < 9; i++)
        CHECK_EQ(seen[i], i + 1);
}

TEST(personality_reads_back)
{
    CHECK_EQ(syscall(SYS_personality, 0xffffffff), 0);
    CHECK_EQ(syscall(SYS_personality, 0x0008), 0);
    CHECK_EQ(syscall(SYS_personality, 0xffffffff), 0x0008);
}

TEST(uname_tells_a_32_bit_personality_of_a_32_bit_machine)
{
    struct utsname name;

    CHECK_EQ(syscall(SYS_personality, 0x0008), 0);
    CHECK_OK(uname(&name));
    CHECK_STR_EQ(name.machine, "i686");
    CHECK_EQ(syscall(SYS_personality, 0), 0x0008);
    CHECK_OK(uname(&name));
    CHECK_STR_EQ(name.machine, "x86_64");
}

#define IO_PRIORITY(class, level) ((class) << 13 | (level))

TEST(ioprio_set_is_told_and_inherited)
{
    pid_t child;

    CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), 0);
    CHECK_OK(syscall(SYS_ioprio_set, 1, 0, IO_PRIORITY(2, 6)));
    CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), IO_PRIORITY(2, 6));
    child = fork();
    if (child == 0) {
        CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), IO_PRIORITY(2, 6));
        CHECK_OK(syscall(SYS_ioprio_set, 1, getppid(), IO_PRIORITY(3, 0)));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(syscall(SYS_ioprio_get, 1, getpid()), IO_PRIORITY(3, 0));
}

TEST(ioprio_get_of_a_group_tells_the_most_urgent)
{
    pid_t child;

    CHECK_OK(setpgid(0, 0));
    CHECK_OK(syscall(SYS_ioprio_set, 1, 0, IO_PRIORITY(2, 6)));
    CHECK_EQ(syscall(SYS_ioprio_get, 2, 0), IO_PRIORITY(2, 6));
    child = fork();
    if (child == 0) {
        CHECK_OK(syscall(SYS_ioprio_set, 1, 0, IO_PRIORITY(2, 1)));
        CHECK_EQ(syscall(SYS_ioprio_get, 2, 0), IO_PRIORITY(2, 1));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

/* With a saved id of root's, by which everything could be taken back. */
TEST(ioprio_set_by_a_stranger_goes_by_the_real_id_of_whom_it_is_about)
{
    struct gate ready = gate_new();
    pid_t child;

    NEEDS_ROOT();
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(syscall(SYS_setresuid, 65531, 65532, 65532));
        gate_open(ready);
        for (;;)
            pause();
    }
    gate_pass(ready);
    CHECK_OK(syscall(SYS_setresuid, 65532, 65532, 0)); /* its effective one */
    CHECK_ERRNO(syscall(SYS_ioprio_set, 1, child, IO_PRIORITY(2, 5)), EPERM);
    CHECK_OK(syscall(SYS_setresuid, 0, 0, 0));
    CHECK_OK(syscall(SYS_setresuid, 65531, 65533, 0)); /* the real one is the caller's real one */
    CHECK_OK(syscall(SYS_ioprio_set, 1, child, IO_PRIORITY(2, 5)));
    CHECK_OK(syscall(SYS_setresuid, -1, 0, -1));
    CHECK_OK(syscall(SYS_setresuid, 65533, 65531, 0)); /* ... its effective one */
    CHECK_OK(syscall(SYS_ioprio_set, 1, child, IO_PRIORITY(2, 4)));
    CHECK_OK(syscall(SYS_setresuid, -1, 0, -1));
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

TEST(ioprio_rejects_what_is_none)
{
    CHECK_ERRNO(syscall(SYS_ioprio_set, 1, 0, IO_PRIORITY(0, 1)), EINVAL);
    CHECK_ERRNO(syscall(SYS_ioprio_set, 1, 0, IO_PRIORITY(4, 0)), EINVAL);
    CHECK_ERRNO(syscall(SYS_ioprio_set, 0, 0, IO_PRIORITY(2, 0)), EINVAL);
    CHECK_OK(syscall(SYS_ioprio_set, 1, 0, 0x10000 | IO_PRIORITY(2, 5))); /* 16 bits count */
    CHECK_EQ(syscall(SYS_ioprio_get, 1, 0), IO_PRIORITY(2, 5));
    CHECK_ERRNO(syscall(SYS_ioprio_set, 1, 999999, IO_PRIORITY(2, 0)), ESRCH);
    CHECK_ERRNO(syscall(SYS_ioprio_get, 4, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_ioprio_get, 1, 999999), ESRCH);
}

TEST(ioprio_set_of_the_realtime_class_needs_root)
{
    NEEDS_ROOT();
    CHECK_OK(syscall(SYS_ioprio_set, 1, 0, IO_PRIORITY(1, 4)));
    CHECK_OK(setuid(1000));
    CHECK_ERRNO(syscall(SYS_ioprio_set, 1, 0, IO_PRIORITY(1, 4)), EPERM);
    CHECK_ERRNO(syscall(SYS_ioprio_set, 1, 1, IO_PRIORITY(2, 4)), EPERM);
}

TEST(adjtimex_tells_the_clocks_state)
{
    struct timex timex = {.modes = 0};
    time_t now = time(NULL);

    CHECK(adjtimex(&timex) >= 0);
    CHECK(timex.time.tv_sec >= now && timex.time.tv_sec <= now + 60);
    CHECK_EQ(timex.tick, 10000);
    CHECK_EQ(timex.tolerance, 500 << 16);
    CHECK(clock_adjtime(CLOCK_REALTIME, &timex) >= 0);
    CHECK_ERRNO(clock_adjtime(CLOCK_MONOTONIC, &timex), EOPNOTSUPP);
    CHECK_ERRNO(clock_adjtime(99, &timex), EINVAL);
    CHECK_ERRNO(syscall(SYS_adjtimex, bad_address()), EFAULT);
}

/* What adjtime(3) does, and how many microseconds were left to move. */
static long date_adjust(int mode, long microseconds)
{
    struct timex timex = {.modes = mode, .offset = microseconds};

    if (adjtimex(&timex) < 0 && errno == EPERM)
        SKIP("nobody may adjust the clock here");
    return timex.offset;
}

TEST(adjtime_moves_the_date_slowly_and_tells_what_is_left)
{
    CHECK_EQ(date_adjust(ADJ_OFFSET_SINGLESHOT, 600), 0);
    CHECK_LE(date_adjust(ADJ_OFFSET_SS_READ, 0), 600);
    while (date_adjust(ADJ_OFFSET_SS_READ, 0) > 300)
        ;
    CHECK_LE(date_adjust(ADJ_OFFSET_SINGLESHOT, -600), 300);
    CHECK_LE(date_adjust(ADJ_OFFSET_SINGLESHOT, 0), 0);
    CHECK_EQ(date_adjust(ADJ_OFFSET_SS_READ, 0), 0);
}

TEST(adjtimex_adjusts_for_root_only)
{
    struct timex timex = {.modes = ADJ_FREQUENCY};

    NEEDS_ROOT();
    CHECK_OK(setuid(1000));
    CHECK_ERRNO(adjtimex(&timex), EPERM);
}
