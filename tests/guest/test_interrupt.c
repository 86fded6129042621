/*
 * What becomes of a call that a signal handler interrupts: signal(7), "Interruption of system calls
 * and library functions by signal handlers". One table, run with and without SA_RESTART.
 *
 * covers: read readv write writev wait4 waitid futex flock fcntl open recvfrom ioctl
 * covers: poll ppoll select pselect6 epoll_wait epoll_pwait nanosleep clock_nanosleep pause
 * covers: rt_sigsuspend rt_sigtimedwait rt_sigaction
 */
#include "guest.h"

#include <linux/futex.h>
#include <poll.h>
#include <sys/epoll.h>
#include <sys/file.h>
#include <sys/select.h>
#include <sys/socket.h>
#include <sys/uio.h>

/* Between the child that calls and the test that interrupts and releases it. */
static struct shared {
    uint32_t word;
    int handled; /* [atomic] */
} * shared;
static int fds[2], file;
static struct flock whole = {.l_type = F_WRLCK};

static void count_in_shared(int signal)
{
    __atomic_fetch_add(&shared->handled, 1, __ATOMIC_SEQ_CST);
}

/* ---- Calls that are made again ---- */

static void make_pipe(void)
{
    CHECK_OK(pipe(fds));
}

static void make_full_pipe(void)
{
    static char bytes[65536];

    make_pipe();
    CHECK_EQ(write(fds[1], bytes, sizeof(bytes)), sizeof(bytes));
}

static void make_sockets(void)
{
    CHECK_OK(socketpair(AF_UNIX, SOCK_STREAM, 0, fds));
}

static void make_file(void)
{
    enter_empty_directory();
    file = CHECK_OK(open("file", O_RDWR | O_CREAT, 0600));
    CHECK_OK(flock(file, LOCK_EX));
    CHECK_OK(fcntl(file, F_SETLK, &whole));
}

static void make_fifo(void)
{
    enter_empty_directory();
    CHECK_OK(mkfifo("fifo", 0600));
}

static void make_nothing(void)
{
}

static void give_byte(void)
{
    CHECK_EQ(write(fds[1], "x", 1), 1);
}

static void drain(void)
{
    static char bytes[65536];

    CHECK_GT(read(fds[0], bytes, sizeof(bytes)), 0);
}

static void wake_word(void)
{
    CHECK_EQ(syscall(SYS_futex, &shared->word, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
}

static void unlock_file(void)
{
    CHECK_OK(flock(file, LOCK_UN));
    whole.l_type = F_UNLCK;
    CHECK_OK(fcntl(file, F_SETLK, &whole));
}

static void open_fifo(void)
{
    CHECK_OK(open("fifo", O_WRONLY));
}

static long call_read(void)
{
    char byte;

    return read(fds[0], &byte, 1);
}

static long call_readv(void)
{
    char byte;

    return readv(fds[0], &(struct iovec){&byte, 1}, 1);
}

static long call_recv(void)
{
    char byte;

    return recv(fds[0], &byte, 1, 0);
}

static long call_write(void)
{
    return write(fds[1], "x", 1);
}

static long call_writev(void)
{
    return writev(fds[1], &(struct iovec){"x", 1}, 1);
}

static pid_t reader(void)
{
    pid_t child = CHECK_OK(fork());
    char byte;

    if (child == 0)
        _exit(read(fds[0], &byte, 1) == 1 ? 0 : 1);
    return child;
}

static long call_wait4(void)
{
    return waitpid(reader(), NULL, 0);
}

static long call_waitid(void)
{
    siginfo_t info;

    return waitid(P_PID, reader(), &info, WEXITED);
}

static long call_futex(void)
{
    return syscall(SYS_futex, &shared->word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static long call_flock(void)
{
    return flock(CHECK_OK(open("file", O_RDWR)), LOCK_EX);
}

static long call_setlkw(void)
{
    struct flock lock = {.l_type = F_WRLCK};

    return fcntl(file, F_SETLKW, &lock);
}

static long call_open(void)
{
    return open("fifo", O_RDONLY);
}

/* ---- Calls that are not ---- */

static long call_poll(void)
{
    return poll(&(struct pollfd){fds[0], POLLIN, 0}, 1, -1);
}

static long call_ppoll(void)
{
    return ppoll(&(struct pollfd){fds[0], POLLIN, 0}, 1, NULL, NULL);
}

static long call_select(void)
{
    fd_set set;

    FD_ZERO(&set);
    FD_SET(fds[0], &set);
    return select(fds[0] + 1, &set, NULL, NULL, NULL);
}

static long call_epoll_wait(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    int epoll = CHECK_OK(epoll_create1(0));

    CHECK_OK(epoll_ctl(epoll, EPOLL_CTL_ADD, fds[0], &event));
    return epoll_wait(epoll, &event, 1, -1);
}

static long call_nanosleep(void)
{
    return nanosleep(&(struct timespec){20, 0}, NULL);
}

static long call_clock_nanosleep(void)
{
    struct timespec until;

    CHECK_OK(clock_gettime(CLOCK_MONOTONIC, &until));
    until.tv_sec += 20;
    return syscall(SYS_clock_nanosleep, CLOCK_MONOTONIC, TIMER_ABSTIME, &until, NULL);
}

static long call_pause(void)
{
    return pause();
}

static long call_sigsuspend(void)
{
    sigset_t none;

    sigemptyset(&none);
    return sigsuspend(&none);
}

static long call_sigtimedwait(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    /* The library's function goes on by itself. */
    return syscall(SYS_rt_sigtimedwait, &set, NULL, &(struct timespec){20, 0}, 8);
}

static const struct call {
    const char *name;
    void (*prepare)(void);
    long (*make)(void);
    void (*release)(void); /* lets it succeed; NULL: it is never made again */
} calls[] = {
    {"read", make_pipe, call_read, give_byte},
    {"readv", make_pipe, call_readv, give_byte},
    {"recv", make_sockets, call_recv, give_byte},
    {"write", make_full_pipe, call_write, drain},
    {"writev", make_full_pipe, call_writev, drain},
    {"wait4", make_pipe, call_wait4, give_byte},
    {"waitid", make_pipe, call_waitid, give_byte},
    {"futex", make_nothing, call_futex, wake_word},
    {"flock", make_file, call_flock, unlock_file},
    {"fcntl", make_file, call_setlkw, unlock_file},
    {"open", make_fifo, call_open, open_fifo},
    {"poll", make_pipe, call_poll, NULL},
    {"ppoll", make_pipe, call_ppoll, NULL},
    {"select", make_pipe, call_select, NULL},
    {"epoll_wait", make_pipe, call_epoll_wait, NULL},
    {"nanosleep", make_nothing, call_nanosleep, NULL},
    {"clock_nanosleep", make_nothing, call_clock_nanosleep, NULL},
    {"pause", make_nothing, call_pause, NULL},
    {"sigsuspend", make_nothing, call_sigsuspend, NULL},
    {"sigtimedwait", make_nothing, call_sigtimedwait, NULL},
};

static pid_t child_that_calls(const struct call *call, int flags)
{
    pid_t child;

    shared->handled = 0;
    child = CHECK_OK(fork());
    if (child == 0) {
        handle_signal(SIGUSR1, count_in_shared, flags);
        _exit(call->make() == -1 ? errno : 0);
    }
    return child;
}

/* It sleeps in the call, not before: a signal that comes too early would be missed. */
static void interrupt(pid_t child)
{
    WAIT_FOR_STATE(child, 'S');
    sleep_ms(5);
    CHECK_OK(kill(child, SIGUSR1));
    while (!__atomic_load_n(&shared->handled, __ATOMIC_SEQ_CST))
        sched_yield();
}

static void check_call(const struct call *call, int flags)
{
    int status, expected = call->release && (flags & SA_RESTART) ? 0 : EINTR;
    pid_t child;

    call->prepare();
    child = child_that_calls(call, flags);
    interrupt(child);
    if (!expected) {
        WAIT_FOR_STATE(child, 'S');
        call->release();
    }
    CHECK_EQ(waitpid(child, &status, 0), child);
    if (!WIFEXITED(status) || WEXITSTATUS(status) != expected)
        guest_fail(__FILE__, __LINE__, "%s ends with status 0x%x, not with errno %d", call->name,
                   status, expected);
}

/* Each call in a process of its own, as its preparations want it. */
static void check_all(int flags)
{
    shared = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    for (unsigned i = 0; i < sizeof(calls) / sizeof(calls[0]); i++) {
        pid_t child = CHECK_OK(fork());

        if (child == 0) {
            snprintf(guest.directory, sizeof(guest.directory), "/tmp/interrupt.%d", getpid());
            check_call(&calls[i], flags);
            guest_remove_directory();
            _exit(0);
        }
        CHECK_EXIT(child, 0);
    }
}

TEST(sigaction_with_sa_restart_makes_interrupted_calls_again_as_signal_7_says)
{
    check_all(SA_RESTART);
}

TEST(sigaction_without_sa_restart_ends_every_interrupted_call_with_eintr)
{
    check_all(0);
}

static void *const alternate_stack_base = (void *)0x10000000;

static void leave_alternate_stack(int signal)
{
    stack_t now;

    CHECK_OK(sigaltstack(NULL, &now));
    CHECK_EQ(now.ss_flags & SS_DISABLE, SS_DISABLE); /* disarmed while the handler runs */
    CHECK((char *)&now > (char *)alternate_stack_base &&
          (char *)&now < (char *)alternate_stack_base + 16 * PAGE);
    signals_counted++;
}

TEST(sigaltstack_with_ss_autodisarm_is_off_in_the_handler_and_back_after_it)
{
    stack_t stack = {alternate_stack_base, (int)(1u << 31), 16 * PAGE}, after;

    CHECK_EQ((long)mmap(alternate_stack_base, 16 * PAGE, PROT_READ | PROT_WRITE,
                        MAP_PRIVATE | MAP_ANONYMOUS | MAP_FIXED, -1, 0),
             (long)alternate_stack_base);
    CHECK_OK(sigaltstack(&stack, NULL));
    handle_signal(SIGUSR1, leave_alternate_stack, SA_ONSTACK);
    for (int i = 0; i < 2; i++) {
        CHECK_OK(raise(SIGUSR1));
        CHECK_EQ(signals_counted, i + 1);
        CHECK_OK(sigaltstack(NULL, &after));
        CHECK_EQ((long)after.ss_sp, (long)alternate_stack_base);
        CHECK_EQ((unsigned)after.ss_flags, 1u << 31);
    }
}

TEST(sigaction_keeps_the_flags_that_it_knows_and_drops_the_rest)
{
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } action = {count_signal, 0xffffffff, NULL, 0}, before;

    CHECK_OK(syscall(SYS_rt_sigaction, SIGUSR1, &action, NULL, 8));
    CHECK_OK(syscall(SYS_rt_sigaction, SIGUSR1, NULL, &before, 8));
    CHECK_EQ(before.flags & ~0x400ul, 0xdc000807); /* 0x400: SA_UNSUPPORTED, to probe by */
}

TEST(rt_sigqueueinfo_over_rlimit_sigpending_gives_eagain)
{
    struct rlimit_of_pending {
        unsigned long soft, hard;
    } limit = {3, 3};
    siginfo_t info = {};
    sigset_t set;
    int sent = 0;

    sigemptyset(&set);
    sigaddset(&set, SIGRTMIN);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(syscall(SYS_prlimit64, 0, 11 /* RLIMIT_SIGPENDING */, &limit, NULL));
    info.si_code = SI_QUEUE;
    while (sent < 100 && syscall(SYS_rt_sigqueueinfo, getpid(), SIGRTMIN, &info) == 0)
        sent++;
    CHECK_EQ(errno, EAGAIN);
    CHECK_LE(sent, 3);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), getpid(), SIGRTMIN), EAGAIN);
    CHECK_OK(kill(getpid(), SIGRTMIN)); /* a signal without a value is noted all the same */
    for (int i = 0; i < sent; i++)
        CHECK_EQ(sigwaitinfo(&set, NULL), SIGRTMIN);
}

TEST(signals_all_64_can_be_handled_but_two)
{
    struct {
        void (*handler)(int);
        unsigned long flags;
        void (*restorer)(void);
        unsigned long mask;
    } ignore = {SIG_IGN, 0, NULL, 0};

    for (int signal = 1; signal <= 64; signal++) {
        long result = syscall(SYS_rt_sigaction, signal, &ignore, NULL, 8);

        CHECK_EQ(result, signal == SIGKILL || signal == SIGSTOP ? -1 : 0);
        if (result == 0)
            CHECK_OK(syscall(SYS_tgkill, getpid(), (pid_t)syscall(SYS_gettid), signal));
    }
    CHECK_ERRNO(syscall(SYS_rt_sigaction, 65, &ignore, NULL, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), getpid(), 65), EINVAL);
}
