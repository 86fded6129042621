/*
 * Resource limits on memory, processes and CPU time, and the out-of-memory choice's files.
 *
 * covers: setrlimit getrlimit prlimit64 mlock mlock2 mlockall mremap
 */
#include "guest.h"

#include <linux/capability.h>
#include <pthread.h>
#include <sys/prctl.h>
#include <sys/resource.h>

#define MIB    (1 << 20)
#define NOBODY 65534

static void limit_to(int resource, rlim_t soft)
{
    struct rlimit limit;

    CHECK_OK(getrlimit(resource, &limit));
    limit.rlim_cur = soft;
    CHECK_OK(setrlimit(resource, &limit));
}

/* Rights that pass limits by go away. */
static void become_nobody(void)
{
    if (geteuid() == 0)
        CHECK_OK(setresuid(NOBODY, NOBODY, NOBODY));
}

/* A number of /proc/self/status, in KiB or as it is. */
static long status_value(const char *name)
{
    char line[256];
    long value = -1;
    FILE *file = fopen("/proc/self/status", "r");

    CHECK(file);
    while (fgets(line, sizeof(line), file))
        if (strncmp(line, name, strlen(name)) == 0 && line[strlen(name)] == ':')
            value = strtol(line + strlen(name) + 1, NULL, 10);
    fclose(file);
    return value;
}

static void *map(size_t bytes, int protection, int flags)
{
    return mmap(NULL, bytes, protection, MAP_PRIVATE | MAP_ANONYMOUS | flags, -1, 0);
}

/* ---- RLIMIT_SIGPENDING ---- */

#define LONELY 61234 /* a user of nothing else */

/* How many of `count` signals found room. */
static int queue_to_self(int count)
{
    int queued = 0;

    while (queued < count && sigqueue(getpid(), SIGRTMIN, (union sigval){.sival_int = queued}) == 0)
        queued++;
    CHECK(queued == count || errno == EAGAIN);
    return queued;
}

TEST(sigqueue_counts_what_is_pending_for_all_processes_of_a_user)
{
    struct sigaction action = {.sa_handler = count_signal};
    sigset_t set;
    pid_t child;

    NEEDS_ROOT();
    CHECK_OK(sigaction(SIGRTMIN, &action, NULL));
    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_EQ(queue_to_self(2), 2); /* root's, and stay root's */
    CHECK_OK(setuid(LONELY));
    limit_to(RLIMIT_SIGPENDING, 5);
    CHECK_EQ(queue_to_self(3), 3);
    CHECK_EQ(status_value("SigQ"), 3);
    child = CHECK_OK(fork());
    if (child == 0)
        _exit(queue_to_self(9)); /* two are left */
    CHECK_EXIT(child, 2);
    CHECK_EQ(queue_to_self(9), 2); /* which the child took to its end */
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
    CHECK_EQ(signals_counted, 7);
    CHECK_EQ(status_value("SigQ"), 0);
}

/* ---- RLIMIT_AS, RLIMIT_DATA, RLIMIT_STACK ---- */

TEST(mremap_over_rlimit_as_gives_enomem_and_changes_nothing)
{
    char *memory = (char *)CHECK_OK(map(MIB, PROT_READ | PROT_WRITE, 0));

    memory[0] = 7;
    limit_to(RLIMIT_AS, (rlim_t)status_value("VmSize") * 1024 + MIB);
    CHECK_ERRNO(mremap(memory, MIB, 4 * MIB, MREMAP_MAYMOVE), ENOMEM);
    CHECK_EQ(memory[0], 7);
    CHECK_OK(munmap(memory, MIB));
}

TEST(stack_over_rlimit_as_is_sigsegv)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        volatile char *top = __builtin_frame_address(0);

        limit_to(RLIMIT_AS, (rlim_t)status_value("VmSize") * 1024 + 64 * 1024);
        for (long at = 0; at < 4 * MIB; at += PAGE)
            top[-at] = 1;
        _exit(0);
    }
    CHECK_KILLED(child, SIGSEGV);
}

TEST(mprotect_that_makes_data_beyond_rlimit_data_gives_enomem)
{
    char *memory = (char *)CHECK_OK(map(4 * MIB, PROT_READ, 0));

    limit_to(RLIMIT_DATA, (rlim_t)status_value("VmData") * 1024 + MIB);
    CHECK_ERRNO(mprotect(memory, 4 * MIB, PROT_READ | PROT_WRITE), ENOMEM);
    CHECK_OK(mprotect(memory, MIB / 2, PROT_READ | PROT_WRITE));
    memory[0] = 1;
}

TEST(mmap_over_rlimit_data_gives_enomem_for_private_writable_memory_alone)
{
    limit_to(RLIMIT_DATA, (rlim_t)status_value("VmData") * 1024);
    CHECK_ERRNO(map(MIB, PROT_READ | PROT_WRITE, 0), ENOMEM);
    CHECK_OK(map(MIB, PROT_READ, 0));
    CHECK_OK(mmap(NULL, MIB, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
}

/* ---- RLIMIT_MEMLOCK ---- */

TEST(mlock_over_rlimit_memlock_gives_enomem)
{
    char *memory = (char *)CHECK_OK(map(16 * PAGE, PROT_READ | PROT_WRITE, 0));

    limit_to(RLIMIT_MEMLOCK, 8 * PAGE);
    become_nobody();
    CHECK_ERRNO(mlock(memory, 9 * PAGE), ENOMEM);
    CHECK_OK(mlock(memory, 8 * PAGE));
    CHECK_OK(mlock(memory, 8 * PAGE)); /* what is locked already is not counted again */
    CHECK_EQ(status_value("VmLck"), 8 * PAGE / 1024);
    CHECK_ERRNO(syscall(SYS_mlock2, memory + 8 * PAGE, PAGE, MLOCK_ONFAULT), ENOMEM);
    CHECK_OK(munlock(memory, PAGE));
    CHECK_OK(syscall(SYS_mlock2, memory + 8 * PAGE, PAGE, MLOCK_ONFAULT));
}

TEST(mlock_with_a_limit_of_zero_gives_eperm)
{
    char *memory = (char *)CHECK_OK(map(PAGE, PROT_READ | PROT_WRITE, 0));

    limit_to(RLIMIT_MEMLOCK, 0);
    become_nobody();
    CHECK_ERRNO(mlock(memory, PAGE), EPERM);
    CHECK_ERRNO(mlockall(MCL_CURRENT), EPERM);
    CHECK_ERRNO(
        syscall(SYS_mmap, NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS | MAP_LOCKED, -1, 0),
        EPERM);
}

TEST(mmap_locked_over_rlimit_memlock_gives_eagain)
{
    limit_to(RLIMIT_MEMLOCK, 4 * PAGE);
    become_nobody();
    CHECK_ERRNO(map(5 * PAGE, PROT_READ | PROT_WRITE, MAP_LOCKED), EAGAIN);
    CHECK_OK(map(4 * PAGE, PROT_READ | PROT_WRITE, MAP_LOCKED));
}

TEST(mremap_of_locked_memory_over_rlimit_memlock_gives_eagain)
{
    char *memory = (char *)CHECK_OK(map(4 * PAGE, PROT_READ | PROT_WRITE, 0));

    limit_to(RLIMIT_MEMLOCK, 4 * PAGE);
    become_nobody();
    CHECK_OK(mlock(memory, 4 * PAGE));
    CHECK_ERRNO(mremap(memory, 4 * PAGE, 5 * PAGE, MREMAP_MAYMOVE), EAGAIN);
}

TEST(mlockall_over_rlimit_memlock_gives_enomem)
{
    CHECK_OK(map(MIB, PROT_READ | PROT_WRITE, 0));
    limit_to(RLIMIT_MEMLOCK, 4 * PAGE);
    become_nobody();
    CHECK_ERRNO(mlockall(MCL_CURRENT), ENOMEM);
}

TEST(mlockall_future_refuses_what_the_limit_does_not_hold)
{
    limit_to(RLIMIT_MEMLOCK, 4 * PAGE);
    become_nobody();
    CHECK_OK(mlockall(MCL_FUTURE));
    CHECK_ERRNO(map(64 * PAGE, PROT_READ | PROT_WRITE, 0), EAGAIN);
    CHECK_EQ(syscall(SYS_brk, syscall(SYS_brk, 0) + 64 * PAGE), syscall(SYS_brk, 0));
    CHECK_OK(munlockall());
    CHECK_OK(map(64 * PAGE, PROT_READ | PROT_WRITE, 0));
}

/* ---- RLIMIT_NPROC, RLIMIT_NOFILE ---- */

static void *thread_ends(void *argument)
{
    return argument;
}

TEST(clone_of_a_thread_over_rlimit_nproc_gives_eagain)
{
    pthread_t thread;

    NEEDS_ROOT();
    CHECK_OK(setresuid(54321, 54321, 54321)); /* a user who has nothing else */
    CHECK_EQ(pthread_create(&thread, NULL, thread_ends, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    limit_to(RLIMIT_NPROC, 1);
    CHECK_EQ(pthread_create(&thread, NULL, thread_ends, NULL), EAGAIN);
    CHECK_ERRNO(fork(), EAGAIN);
}

/* ---- RLIMIT_CPU ---- */

static void *told_address;
static pid_t told_sender;

static void note_info(int signal, siginfo_t *info, void *context)
{
    if (signal == SIGSEGV) {
        told_address = info->si_addr;
        _exit(info->si_code == SEGV_MAPERR && told_address == (void *)0x1230 ? 0 : 1);
    }
    told_sender = info->si_pid;
}

TEST(signals_of_the_kernel_and_kill_say_all_over_rlimit_sigpending)
{
    struct sigaction action = {.sa_sigaction = note_info, .sa_flags = SA_SIGINFO};
    struct rlimit none = {0, 0};

    CHECK_OK(sigaction(SIGSEGV, &action, NULL));
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    CHECK_OK(setrlimit(RLIMIT_SIGPENDING, &none));
    CHECK_OK(kill(getpid(), SIGUSR1));
    CHECK_EQ(told_sender, getpid());
    *(volatile int *)0x1230 = 1;
    CHECK(!"the access is a fault");
}

TEST(rlimit_cpu_sends_sigxcpu_and_then_sigkill)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        struct rlimit limit = {1, 2};

        handle_signal(SIGXCPU, count_signal, 0);
        CHECK_OK(setrlimit(RLIMIT_CPU, &limit));
        while (!signals_counted)
            ;
        for (;;)
            ;
    }
    CHECK_KILLED(child, SIGKILL);
}

/* ---- The out-of-memory choice ---- */

static int store(const char *path, const char *text)
{
    int fd = open(path, O_WRONLY), written;

    CHECK_OK(fd);
    written = (int)write(fd, text, strlen(text));
    close(fd);
    return written;
}

static long read_number(const char *path)
{
    char text[64] = {0};
    int fd = (int)CHECK_OK(open(path, O_RDONLY));

    CHECK_OK(read(fd, text, sizeof(text) - 1));
    close(fd);
    return strtol(text, NULL, 10);
}

TEST(oom_score_adj_moves_the_score_and_is_inherited)
{
    long before = read_number("/proc/self/oom_score");
    pid_t child;

    CHECK_OK(store("/proc/self/oom_score_adj", "300\n"));
    CHECK_EQ(read_number("/proc/self/oom_score_adj"), 300);
    CHECK_GE(read_number("/proc/self/oom_score"), before + 100);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_EQ(read_number("/proc/self/oom_score_adj"), 300);
        CHECK_OK(store("/proc/self/oom_score_adj", "1000"));
        _exit(0);
    }
    CHECK_EXIT(child, 0);
    CHECK_EQ(read_number("/proc/self/oom_score_adj"), 300);
}

TEST(oom_score_adj_takes_only_numbers_in_its_range)
{
    CHECK_ERRNO(store("/proc/self/oom_score_adj", "1001"), EINVAL);
    CHECK_ERRNO(store("/proc/self/oom_score_adj", "-1001"), EINVAL);
    CHECK_ERRNO(store("/proc/self/oom_score_adj", "x"), EINVAL);
    CHECK_ERRNO(store("/proc/self/oom_adj", "16"), EINVAL);
    CHECK_ERRNO(store("/proc/self/oom_adj", "-18"), EINVAL);
}

TEST(oom_score_adj_is_not_lowered_without_the_right)
{
    int fd;

    NEEDS_ROOT();
    if (prctl(PR_CAPBSET_READ, CAP_SYS_RESOURCE) != 1)
        SKIP("needs CAP_SYS_RESOURCE");
    CHECK_OK(store("/proc/self/oom_score_adj", "500")); /* what root set is as low as it goes */
    fd = (int)CHECK_OK(open("/proc/self/oom_score_adj", O_WRONLY));
    become_nobody();
    CHECK_ERRNO(write(fd, "499", 3), EACCES);
    CHECK_OK(write(fd, "600", 3));
    CHECK_OK(write(fd, "500", 3));
    close(fd);
}

TEST(oom_adj_shows_the_same_on_the_old_scale)
{
    CHECK_OK(store("/proc/self/oom_score_adj", "1000"));
    CHECK_EQ(read_number("/proc/self/oom_adj"), 15);
    CHECK_OK(store("/proc/self/oom_adj", "15"));
    CHECK_EQ(read_number("/proc/self/oom_score_adj"), 1000);
}
