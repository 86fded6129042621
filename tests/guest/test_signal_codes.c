/*
 * What siginfo says of rarer causes; the flags of actions and of the alternate stack.
 *
 * covers: rt_sigaction sigaltstack timer_create futex clone3
 */
#include "guest.h"

#include <limits.h>
#include <linux/futex.h>
#include <linux/sched.h>
#include <setjmp.h>
#include <sys/resource.h>

#ifndef SS_AUTODISARM
#define SS_AUTODISARM (1u << 31)
#endif

static sigjmp_buf after;
static siginfo_t last_info;

static void keep_info(int signal, siginfo_t *info, void *context)
{
    last_info = *info;
    signals_counted++;
}

static void keep_info_and_jump(int signal, siginfo_t *info, void *context)
{
    last_info = *info;
    siglongjmp(after, 1);
}

static void take_info(int signal, void (*handler)(int, siginfo_t *, void *), int flags)
{
    struct sigaction action = {.sa_sigaction = handler, .sa_flags = SA_SIGINFO | flags};

    CHECK_OK(sigaction(signal, &action, NULL));
}

/* A result that is too large, or too small, with that exception unmasked. */
static void multiply(double left, double right, unsigned unmasked)
{
    unsigned control = 0x1f80 & ~unmasked;

    __asm__ volatile("ldmxcsr %1\n\t"
                     "mulsd %2, %0"
                     : "+x"(left)
                     : "m"(control), "x"(right));
}

TEST(sigfpe_of_overflow_and_underflow_says_so)
{
    take_info(SIGFPE, keep_info_and_jump, 0);
    if (sigsetjmp(after, 1) == 0) {
        multiply(1e300, 1e300, 1 << 10);
        SKIP("this CPU raises no floating point exceptions");
    }
    CHECK_EQ(last_info.si_code, FPE_FLTOVF);
    if (sigsetjmp(after, 1) == 0) {
        multiply(1e-300, 1e-300, 1 << 11);
        CHECK(0);
    }
    CHECK_EQ(last_info.si_code, FPE_FLTUND);
}

TEST(sigbus_of_an_unaligned_access_says_so_where_alignment_is_checked)
{
    static char bytes[16] __attribute__((__aligned__(8)));

    take_info(SIGBUS, keep_info_and_jump, 0);
    if (sigsetjmp(after, 1) == 0) {
        __asm__ volatile("pushfq\n\t"
                         "orq $0x40000, (%%rsp)\n\t"
                         "popfq\n\t"
                         "movl 1(%0), %%eax\n\t"
                         "pushfq\n\t"
                         "andq $~0x40000, (%%rsp)\n\t"
                         "popfq"
                         :
                         : "r"(bytes)
                         : "rax", "memory", "cc");
        SKIP("this CPU checks no alignment");
    }
    __asm__ volatile("pushfq\n\tandq $~0x40000, (%%rsp)\n\tpopfq" ::: "memory", "cc");
    CHECK_EQ(last_info.si_code, BUS_ADRALN);
}

TEST(sigpipe_and_sigxfsz_seem_to_come_from_the_writer_itself)
{
    struct rlimit none = {0, RLIM_INFINITY};
    int ends[2], file = CHECK_OK(memfd_create("file", 0));

    take_info(SIGPIPE, keep_info, 0);
    take_info(SIGXFSZ, keep_info, 0);
    CHECK_OK(pipe(ends));
    CHECK_OK(close(ends[0]));
    CHECK_ERRNO(write(ends[1], "x", 1), EPIPE);
    CHECK_EQ(last_info.si_code, SI_USER);
    CHECK_EQ(last_info.si_pid, getpid());
    CHECK_EQ(last_info.si_uid, getuid());
    CHECK_OK(setrlimit(RLIMIT_FSIZE, &none));
    CHECK_ERRNO(write(file, "x", 1), EFBIG);
    CHECK_EQ(last_info.si_signo, SIGXFSZ);
    CHECK_EQ(last_info.si_code, SI_USER);
    CHECK_EQ(last_info.si_pid, getpid());
}

TEST(sigsegv_of_a_local_segment_is_one_of_protection)
{
    take_info(SIGSEGV, keep_info_and_jump, 0);
    if (sigsetjmp(after, 1) == 0) {
        __asm__ volatile("movl %0, %%ss" : : "r"(0x1234));
        CHECK(0);
    }
    CHECK_EQ(last_info.si_code, SI_KERNEL); /* no table, and so no page fault on it */
}

TEST(signal_of_room_for_output_says_which_descriptor_and_what)
{
    char full[65536];
    int fds[2];

    CHECK_OK(pipe2(fds, O_NONBLOCK));
    take_info(SIGRTMAX, keep_info, 0);
    while (write(fds[1], full, sizeof(full)) > 0)
        ;
    CHECK_OK(fcntl(fds[1], F_SETOWN, getpid()));
    CHECK_OK(fcntl(fds[1], F_SETSIG, SIGRTMAX));
    CHECK_OK(fcntl(fds[1], F_SETFL, O_ASYNC | O_NONBLOCK));
    CHECK_EQ(read(fds[0], full, sizeof(full)), sizeof(full));
    CHECK_GE(signals_counted, 1);
    CHECK_EQ(last_info.si_code, POLL_OUT);
    CHECK_EQ(last_info.si_fd, fds[1]);
}

TEST(sa_nocldstop_tells_of_ends_only)
{
    pid_t child;

    take_info(SIGCHLD, keep_info, SA_NOCLDSTOP);
    child = CHECK_OK(fork());
    if (child == 0) {
        pause();
        _exit(0);
    }
    CHECK_OK(kill(child, SIGSTOP));
    CHECK_EQ(waitpid(child, NULL, WUNTRACED), child);
    CHECK_OK(kill(child, SIGCONT));
    CHECK_EQ(waitpid(child, NULL, WCONTINUED), child);
    CHECK_EQ(signals_counted, 0);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
    CHECK_EQ(signals_counted, 1);
    CHECK_EQ(last_info.si_code, CLD_KILLED);
}

TEST(sa_unsupported_is_how_a_program_finds_unknown_flags)
{
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } action = {SIG_IGN, SA_UNSUPPORTED | SA_RESTART | 0x80000, NULL, 0}, seen;

    CHECK_OK(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8));
    CHECK_OK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &seen, 8));
    CHECK_EQ(seen.flags, SA_RESTART);
}

static stack_t seen_in_handler;

static void look_at_stack(int signal)
{
    CHECK_OK(sigaltstack(NULL, &seen_in_handler));
}

TEST(ss_autodisarm_takes_the_stack_away_while_a_handler_runs_on_it)
{
    stack_t stack = {.ss_size = 65536, .ss_flags = SS_AUTODISARM}, seen;

    stack.ss_sp = malloc(stack.ss_size);
    CHECK_OK(sigaltstack(&stack, NULL));
    CHECK_OK(sigaltstack(NULL, &seen));
    CHECK_EQ((unsigned)seen.ss_flags, SS_AUTODISARM);
    handle_signal(SIGUSR1, look_at_stack, SA_ONSTACK);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(seen_in_handler.ss_flags, SS_DISABLE);
    CHECK_OK(sigaltstack(NULL, &seen));
    CHECK_EQ((unsigned)seen.ss_flags, SS_AUTODISARM);
    CHECK_EQ((long)seen.ss_sp, (long)stack.ss_sp);
}

struct event { /* struct sigevent with the thread's number */
    long value;
    int signal, notify, thread;
    int pad[11];
};

TEST(timer_tells_the_thread_that_it_was_made_for)
{
    struct itimerspec soon = {.it_value = {0, 1}};
    struct event event = {.signal = SIGUSR1, .notify = SIGEV_THREAD_ID, .thread = getpid()};
    int timer;

    take_info(SIGUSR1, keep_info, 0);
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
    CHECK_OK(syscall(SYS_timer_settime, timer, 0, &soon, NULL));
    while (!signals_counted)
        sched_yield();
    CHECK_EQ(last_info.si_code, SI_TIMER);
    event.thread = 1; /* another process's */
    CHECK_ERRNO(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer), EINVAL);
    event.notify = SIGEV_THREAD; /* libc makes the thread; to the kernel it is a signal */
    CHECK_OK(syscall(SYS_timer_create, CLOCK_MONOTONIC, &event, &timer));
}

TEST(clock_tai_and_alarm_clocks_are_told)
{
    struct timespec tai, real, boot, alarm;

    CHECK_OK(clock_gettime(CLOCK_REALTIME, &real));
    CHECK_OK(clock_gettime(CLOCK_TAI, &tai));
    CHECK_GE(tai.tv_sec, real.tv_sec);
    CHECK_OK(clock_gettime(CLOCK_BOOTTIME, &boot));
    if (clock_gettime(CLOCK_BOOTTIME_ALARM, &alarm) == -1 && errno == EINVAL)
        SKIP("there is no clock that could wake the machine");
    CHECK_GE(alarm.tv_sec, boot.tv_sec);
}

/* Adds 0 to *second and wakes its waiters if the old value compares so. */
static long wake_if(uint32_t *second, int compare, int with)
{
    static uint32_t first;

    return syscall(SYS_futex, &first, FUTEX_WAKE_OP, 0, 1, second,
                   FUTEX_OP(FUTEX_OP_ADD, 1, compare, with));
}

TEST(futex_wake_op_compares_in_each_way)
{
    static const int ways[] = {FUTEX_OP_CMP_EQ, FUTEX_OP_CMP_NE, FUTEX_OP_CMP_LT,
                               FUTEX_OP_CMP_LE, FUTEX_OP_CMP_GT, FUTEX_OP_CMP_GE};
    static const char holds[3][6] = {
        {0, 1, 1, 1, 0, 0}, /* 4 with 5 */
        {1, 0, 0, 1, 0, 1}, /* 5 with 5 */
        {0, 1, 0, 0, 1, 1}, /* 6 with 5 */
    };
    uint32_t *word = (uint32_t *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));

    for (int value = 4; value <= 6; value++)
        for (int way = 0; way < 6; way++) {
            pid_t child;

            *word = value;
            child = CHECK_OK(fork());
            if (child == 0) {
                syscall(SYS_futex, word, FUTEX_WAIT, value, NULL, NULL, 0);
                _exit(0);
            }
            WAIT_FOR_STATE(child, 'S');
            CHECK_EQ(wake_if(word, ways[way], 5), holds[value - 4][way]);
            CHECK_EQ(*word, value + 1);
            CHECK_OK(kill(child, SIGKILL));
            CHECK_EQ(waitpid(child, NULL, 0), child);
        }
}

TEST(futex_wake_op_wakes_one_where_it_may_wake_none)
{
    uint32_t *words = (uint32_t *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t child = CHECK_OK(fork());

    if (child == 0)
        _exit(syscall(SYS_futex, &words[0], FUTEX_WAIT, 0, NULL, NULL, 0) != 0);
    WAIT_FOR_STATE(child, 'S');
    CHECK_EQ(syscall(SYS_futex, &words[0], FUTEX_WAKE_OP, 0, 0, &words[1],
                     FUTEX_OP(FUTEX_OP_ADD, 1, FUTEX_OP_CMP_EQ, 0)),
             1);
    CHECK_EXIT(child, 0);
}

TEST(futex_requeue_moves_waiters_without_comparing)
{
    uint32_t *words = (uint32_t *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t child = CHECK_OK(fork());

    if (child == 0)
        _exit(syscall(SYS_futex, &words[0], FUTEX_WAIT, 0, NULL, NULL, 0) != 0);
    WAIT_FOR_STATE(child, 'S');
    words[0] = 77;
    CHECK_EQ(syscall(SYS_futex, &words[0], FUTEX_REQUEUE, 0, 1, &words[1], 0), 1);
    CHECK_EQ(syscall(SYS_futex, &words[0], FUTEX_WAKE, 1), 0);
    CHECK_EQ(syscall(SYS_futex, &words[1], FUTEX_WAKE, 1), 1);
    CHECK_EXIT(child, 0);
}

TEST(futex_requeue_of_a_word_to_itself_leaves_and_counts_its_waiters)
{
    uint32_t *word = (uint32_t *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t children[2];

    for (int i = 0; i < 2; i++) {
        children[i] = CHECK_OK(fork());
        if (children[i] == 0)
            _exit(syscall(SYS_futex, word, FUTEX_WAIT, 0, NULL, NULL, 0) != 0);
        WAIT_FOR_STATE(children[i], 'S');
    }
    CHECK_EQ(syscall(SYS_futex, word, FUTEX_REQUEUE, 0, INT_MAX, word, 0), 2);
    CHECK_EQ(syscall(SYS_futex, word, FUTEX_WAKE, INT_MAX), 2);
    CHECK_EXIT(children[0], 0);
    CHECK_EXIT(children[1], 0);
}

TEST(clone3_into_a_control_group_that_is_none_gives_ebadf)
{
    struct {
        uint64_t flags, pidfd, child_tid, parent_tid, exit_signal, stack, stack_size, tls, set_tid,
            set_tid_size, cgroup;
    } arguments = {.flags = CLONE_INTO_CGROUP, .exit_signal = SIGCHLD, .cgroup = 999};

    CHECK_ERRNO(syscall(SYS_clone3, &arguments, sizeof(arguments)), EBADF);
    CHECK_ERRNO(syscall(SYS_clone3, &arguments, 64), EINVAL); /* too short for the field */
}

static int end_at_once(void *unused)
{
    _exit(0);
}

/* Only where somebody is left in that memory who could wait. */
TEST(clone_child_cleartid_clears_and_wakes_when_memory_is_shared)
{
    static uint32_t words[2];
    char *stack = (char *)CHECK_OK(
        mmap(NULL, 16 * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));
    uint32_t seen;
    pid_t child;

    words[0] = 1;
    child = CHECK_OK(clone(end_at_once, stack + 16 * PAGE,
                           CLONE_VM | CLONE_CHILD_CLEARTID | SIGCHLD, NULL, NULL, NULL, &words[0]));
    while ((seen = __atomic_load_n(&words[0], __ATOMIC_SEQ_CST)))
        syscall(SYS_futex, &words[0], FUTEX_WAIT, seen, NULL, NULL, 0);
    CHECK_EXIT(child, 0);
}
