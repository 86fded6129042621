/*
 * Signals: handlers, masks, what siginfo says, waiting for them, and their default actions.
 *
 * covers: rt_sigaction rt_sigprocmask rt_sigpending rt_sigsuspend rt_sigtimedwait
 * covers: rt_sigqueueinfo rt_tgsigqueueinfo pause tgkill tkill alarm
 */
#include "guest.h"

#include <pthread.h>

static siginfo_t last_info;
static void note_info(int signal, siginfo_t *info, void *context)
{
    last_info = *info;
    last_signal = signal;
    signals_counted++;
}

static void handle_info(int signal, int flags)
{
    struct sigaction action = {.sa_flags = SA_SIGINFO | flags};

    action.sa_sigaction = note_info;
    sigemptyset(&action.sa_mask);
    CHECK_OK(sigaction(signal, &action, NULL));
}

static sigset_t set_of(int signal)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, signal);
    return set;
}

static void block(int signal)
{
    sigset_t set = set_of(signal);

    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
}

static void unblock(int signal)
{
    sigset_t set = set_of(signal);

    CHECK_OK(sigprocmask(SIG_UNBLOCK, &set, NULL));
}

static int is_pending(int signal)
{
    sigset_t set;

    CHECK_OK(sigpending(&set));
    return sigismember(&set, signal);
}

TEST(sigaction_runs_the_handler_and_returns_where_it_was)
{
    handle_signal(SIGUSR1, count_signal, 0);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(signals_counted, 1);
    CHECK_EQ(last_signal, SIGUSR1);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(signals_counted, 2);
}

TEST(sigaction_gives_back_the_action_before)
{
    struct sigaction action = {.sa_flags = SA_RESTART | SA_NODEFER}, old;

    action.sa_handler = count_signal;
    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGHUP);
    CHECK_OK(sigaction(SIGUSR1, &action, &old));
    CHECK_EQ(old.sa_handler, SIG_DFL);
    CHECK_OK(sigaction(SIGUSR1, NULL, &old));
    CHECK_EQ(old.sa_handler, count_signal);
    CHECK_EQ(old.sa_flags & (SA_RESTART | SA_NODEFER | SA_RESETHAND), SA_RESTART | SA_NODEFER);
    CHECK_EQ(sigismember(&old.sa_mask, SIGHUP), 1);
    CHECK_EQ(sigismember(&old.sa_mask, SIGINT), 0);
}

TEST(sigaction_of_kill_stop_or_no_signal_gives_einval)
{
    struct {
        void *handler;
        unsigned long flags;
        void *restorer;
        unsigned long mask;
    } action = {0};

    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGKILL, &action, NULL, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGSTOP, &action, NULL, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, 0, NULL, NULL, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, 65, NULL, NULL, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, NULL, 4), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, bad_address(), NULL, 8), EFAULT);
    CHECK_ERRNO(syscall(SYS_rt_sigaction, SIGUSR1, NULL, bad_address(), 8), EFAULT);
    CHECK_OK(syscall(SYS_rt_sigaction, SIGKILL, NULL, &action, 8));
}

static int depth, deepest;
static void nest(int signal)
{
    depth++;
    if (depth > deepest)
        deepest = depth;
    if (signals_counted++ < 3)
        syscall(SYS_tgkill, getpid(), getpid(), SIGUSR1);
    depth--;
}

TEST(sigaction_blocks_the_signal_in_its_handler)
{
    handle_signal(SIGUSR1, nest, 0);
    raise(SIGUSR1);
    CHECK_EQ(signals_counted, 4);
    CHECK_EQ(deepest, 1);
}

TEST(sigaction_with_sa_nodefer_nests)
{
    handle_signal(SIGUSR1, nest, SA_NODEFER);
    raise(SIGUSR1);
    CHECK_EQ(deepest, 4);
}

static sigset_t mask_in_handler;
static void note_mask(int signal)
{
    sigprocmask(SIG_BLOCK, NULL, &mask_in_handler);
}

TEST(sigaction_mask_holds_during_the_handler_only)
{
    struct sigaction action = {.sa_handler = note_mask};
    sigset_t after;

    sigemptyset(&action.sa_mask);
    sigaddset(&action.sa_mask, SIGHUP);
    CHECK_OK(sigaction(SIGUSR1, &action, NULL));
    raise(SIGUSR1);
    CHECK_EQ(sigismember(&mask_in_handler, SIGHUP), 1);
    CHECK_EQ(sigismember(&mask_in_handler, SIGUSR1), 1);
    CHECK_EQ(sigismember(&mask_in_handler, SIGINT), 0);
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &after));
    CHECK_EQ(sigismember(&after, SIGHUP), 0);
    CHECK_EQ(sigismember(&after, SIGUSR1), 0);
}

TEST(sigaction_with_sa_resethand_handles_once)
{
    struct sigaction action;

    handle_signal(SIGUSR1, count_signal, SA_RESETHAND);
    raise(SIGUSR1);
    CHECK_EQ(signals_counted, 1);
    CHECK_OK(sigaction(SIGUSR1, NULL, &action));
    CHECK_EQ(action.sa_handler, SIG_DFL);
}

TEST(sigaction_to_ignore_discards_what_is_pending)
{
    block(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(is_pending(SIGUSR1), 1);
    signal(SIGUSR1, SIG_IGN);
    CHECK_EQ(is_pending(SIGUSR1), 0);
}

TEST(sigprocmask_blocks_unblocks_and_sets)
{
    sigset_t set = set_of(SIGUSR1), old, other = set_of(SIGUSR2);

    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    CHECK_OK(sigprocmask(SIG_SETMASK, &other, &old));
    CHECK_EQ(sigismember(&old, SIGUSR1), 1);
    CHECK_OK(sigprocmask(SIG_UNBLOCK, &other, &old));
    CHECK_EQ(sigismember(&old, SIGUSR1), 0);
    CHECK_EQ(sigismember(&old, SIGUSR2), 1);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, 99, &set, NULL, 8), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, &set, NULL, 16), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigprocmask, SIG_BLOCK, bad_address(), NULL, 8), EFAULT);
}

TEST(sigprocmask_cannot_block_kill_and_stop)
{
    sigset_t set;

    sigfillset(&set);
    CHECK_OK(sigprocmask(SIG_SETMASK, &set, NULL));
    CHECK_OK(sigprocmask(SIG_SETMASK, NULL, &set));
    CHECK_EQ(sigismember(&set, SIGKILL), 0);
    CHECK_EQ(sigismember(&set, SIGSTOP), 0);
    CHECK_EQ(sigismember(&set, SIGTERM), 1);
}

TEST(sigpending_signal_is_delivered_before_unblocking_returns)
{
    handle_signal(SIGUSR1, count_signal, 0);
    block(SIGUSR1);
    raise(SIGUSR1);
    raise(SIGUSR1);
    CHECK_EQ(is_pending(SIGUSR1), 1);
    CHECK_EQ(signals_counted, 0);
    unblock(SIGUSR1);
    CHECK_EQ(signals_counted, 1); /* standard signals do not queue */
    CHECK_EQ(is_pending(SIGUSR1), 0);
}

TEST(sigpending_real_time_signals_queue_in_order_with_values)
{
    union sigval value;
    sigset_t set = set_of(SIGRTMIN);
    siginfo_t info;

    block(SIGRTMIN);
    for (int i = 1; i <= 3; i++) {
        value.sival_int = i;
        CHECK_OK(sigqueue(getpid(), SIGRTMIN, value));
    }
    for (int i = 1; i <= 3; i++) {
        CHECK_EQ(sigwaitinfo(&set, &info), SIGRTMIN);
        CHECK_EQ(info.si_value.sival_int, i);
        CHECK_EQ(info.si_code, SI_QUEUE);
        CHECK_EQ(info.si_pid, getpid());
    }
    CHECK_EQ(is_pending(SIGRTMIN), 0);
}

TEST(sigpending_lower_real_time_signals_come_first)
{
    sigset_t set;

    sigemptyset(&set);
    for (int i = 0; i < 3; i++) {
        block(SIGRTMIN + i);
        sigaddset(&set, SIGRTMIN + i);
    }
    raise(SIGRTMIN + 2);
    raise(SIGRTMIN);
    raise(SIGRTMIN + 1);
    for (int i = 0; i < 3; i++)
        CHECK_EQ(sigwaitinfo(&set, NULL), SIGRTMIN + i);
}

TEST(kill_siginfo_names_the_sender)
{
    pid_t child;

    handle_info(SIGUSR1, 0);
    child = CHECK_OK(fork());
    if (child == 0)
        _exit(kill(getppid(), SIGUSR1) != 0);
    while (signals_counted == 0)
        sleep_ms(1);
    CHECK_EQ(last_info.si_signo, SIGUSR1);
    CHECK_EQ(last_info.si_code, SI_USER);
    CHECK_EQ(last_info.si_pid, child);
    CHECK_EQ(last_info.si_uid, getuid());
    CHECK_EXIT(child, 0);
}

TEST(tgkill_siginfo_has_si_tkill)
{
    handle_info(SIGUSR1, 0);
    CHECK_OK(syscall(SYS_tgkill, getpid(), syscall(SYS_gettid), SIGUSR1));
    CHECK_EQ(last_info.si_code, SI_TKILL);
    CHECK_EQ(last_info.si_pid, getpid());
    CHECK_OK(syscall(SYS_tkill, syscall(SYS_gettid), SIGUSR1));
    CHECK_EQ(signals_counted, 2);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), 999999, SIGUSR1), ESRCH);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), -1, SIGUSR1), EINVAL);
    CHECK_ERRNO(syscall(SYS_tgkill, getpid(), getpid(), 65), EINVAL);
    CHECK_ERRNO(syscall(SYS_tkill, -1, SIGUSR1), EINVAL);
}

TEST(signal_that_is_none_matters_only_for_a_process_that_is_there)
{
    siginfo_t info = {.si_code = SI_QUEUE};

    CHECK_ERRNO(kill(999999, 65), ESRCH);
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK_ERRNO(kill(getpid(), -1), EINVAL);
    CHECK_ERRNO(kill(0, 65), EINVAL);
    CHECK_ERRNO(syscall(SYS_tkill, 999999, 65), ESRCH);
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, 999999, 65, &info), ESRCH);
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), 65, &info), EINVAL);
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, getpid(), 65, NULL), EFAULT);
}

/* Only with signal 0: whatever else runs on this machine is not ours to end. */
TEST(kill_of_all_is_no_error_if_none_of_them_may_be_signalled)
{
    if (geteuid() == 0)
        CHECK_OK(setresuid(54321, 54321, 54321));
    CHECK_OK(kill(-1, 0));
    CHECK_ERRNO(kill(1, 0), EPERM);
}

static void *queue_as_if_by_kill(void *process)
{
    siginfo_t info = {.si_code = SI_USER};

    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, *(pid_t *)process, 0, &info), EPERM);
    CHECK_ERRNO(syscall(SYS_rt_tgsigqueueinfo, *(pid_t *)process, *(pid_t *)process, 0, &info),
                EPERM);
    CHECK_OK(syscall(SYS_rt_tgsigqueueinfo, *(pid_t *)process, gettid(), 0, &info));
    return NULL;
}

TEST(rt_sigqueueinfo_as_if_by_kill_is_for_the_thread_of_that_number_alone)
{
    pid_t process = getpid();
    siginfo_t info = {.si_code = SI_USER};
    pthread_t thread;

    CHECK_OK(syscall(SYS_rt_sigqueueinfo, process, 0, &info));
    CHECK_EQ(pthread_create(&thread, NULL, queue_as_if_by_kill, &process), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(sigqueue_to_another_process_carries_the_value)
{
    union sigval value = {.sival_int = 1234};
    sigset_t set = set_of(SIGUSR2);
    siginfo_t info;
    pid_t child;

    block(SIGUSR2);
    child = CHECK_OK(fork());
    if (child == 0)
        _exit(sigqueue(getppid(), SIGUSR2, value) != 0);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGUSR2);
    CHECK_EQ(info.si_value.sival_int, 1234);
    CHECK_EQ(info.si_pid, child);
    CHECK_EXIT(child, 0);
}

TEST(rt_sigqueueinfo_as_if_from_the_kernel_to_others_gives_eperm)
{
    siginfo_t info = {.si_signo = SIGUSR1, .si_code = SI_USER};
    pid_t child = CHECK_OK(fork());

    if (child == 0)
        _exit(syscall(SYS_rt_sigqueueinfo, getppid(), SIGUSR1, &info) == -1 && errno == EPERM ? 0
                                                                                              : 1);
    CHECK_EXIT(child, 0);
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, 999999, SIGUSR1, &info), EPERM);
    info.si_code = SI_QUEUE;
    CHECK_ERRNO(syscall(SYS_rt_sigqueueinfo, 999999, SIGUSR1, &info), ESRCH);
}

TEST(rt_sigtimedwait_times_out_with_eagain)
{
    sigset_t set = set_of(SIGUSR1);
    struct timespec timeout = {0, 20000000}, wrong = {0, 1000000000};
    uint64_t start = now_ms();

    block(SIGUSR1);
    CHECK_ERRNO(sigtimedwait(&set, NULL, &timeout), EAGAIN);
    CHECK_GE(now_ms() - start, 19);
    CHECK_ERRNO(sigtimedwait(&set, NULL, &wrong), EINVAL);
}

TEST(rt_sigtimedwait_is_interrupted_by_another_handler)
{
    sigset_t set = set_of(SIGUSR1);

    block(SIGUSR1);
    ring_until_the_end(0);
    CHECK_ERRNO(syscall(SYS_rt_sigtimedwait, &set, NULL, NULL, 8), EINTR);
}

TEST(rt_sigsuspend_swaps_the_mask_and_returns_eintr)
{
    sigset_t empty, now;

    sigemptyset(&empty);
    handle_signal(SIGUSR1, count_signal, 0);
    block(SIGUSR1);
    raise(SIGUSR1);
    CHECK_ERRNO(sigsuspend(&empty), EINTR);
    CHECK_EQ(signals_counted, 1);
    CHECK_OK(sigprocmask(SIG_BLOCK, NULL, &now));
    CHECK_EQ(sigismember(&now, SIGUSR1), 1);
}

TEST(pause_returns_eintr_after_a_handler)
{
    ring_until_the_end(SA_RESTART);
    CHECK_ERRNO(pause(), EINTR);
    CHECK_GE(signals_counted, 1);
}

/* ---- Default actions ---- */

static const int deadly[] = {SIGHUP,  SIGINT,  SIGKILL,   SIGPIPE, SIGALRM, SIGTERM,   SIGUSR1,
                             SIGUSR2, SIGPROF, SIGVTALRM, SIGIO,   SIGPWR,  SIGSTKFLT, SIGQUIT,
                             SIGILL,  SIGTRAP, SIGABRT,   SIGBUS,  SIGFPE,  SIGSEGV,   SIGXCPU,
                             SIGXFSZ, SIGSYS,  34,        64};

TEST(default_action_kills_with_most_signals)
{
    for (size_t i = 0; i < sizeof(deadly) / sizeof(deadly[0]); i++) {
        pid_t child = CHECK_OK(fork());

        if (child == 0) {
            syscall(SYS_kill, getpid(), deadly[i]);
            _exit(0);
        }
        CHECK_KILLED(child, deadly[i]);
    }
}

TEST(default_action_of_chld_urg_winch_and_cont_does_nothing)
{
    CHECK_OK(raise(SIGCHLD));
    CHECK_OK(raise(SIGURG));
    CHECK_OK(raise(SIGWINCH));
    CHECK_OK(raise(SIGCONT));
}

TEST(default_action_of_stop_signals_stops_until_cont)
{
    static const int stops[] = {SIGSTOP, SIGTSTP, SIGTTIN, SIGTTOU};
    pid_t leader = CHECK_OK(fork());
    int status;

    if (leader) { /* so that the stopping group is not orphaned */
        CHECK_EXIT(leader, 0);
        return;
    }
    for (int i = 0; i < 4; i++) {
        pid_t child = CHECK_OK(fork());

        if (child == 0) {
            raise(stops[i]);
            _exit(7);
        }
        CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
        CHECK(WIFSTOPPED(status));
        CHECK_EQ(WSTOPSIG(status), stops[i]);
        CHECK_OK(kill(child, SIGCONT));
        CHECK_EXIT(child, 7);
    }
    _exit(0);
}

TEST(sigcont_right_after_a_stop_signal_never_leaves_the_process_stopped)
{
    volatile unsigned *turns = (unsigned *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t child = CHECK_OK(fork());

    if (child == 0)
        for (;; ++*turns)
            getppid();
    for (int i = 0; i < 40; i++) {
        unsigned before;

        CHECK_OK(kill(child, SIGTSTP));
        for (int spins = 0; spins < 10 * i; spins++)
            __asm__ volatile("pause");
        CHECK_OK(kill(child, SIGCONT));
        before = *turns;
        while (*turns - before < 2) /* for ever, if it is stopped */
            sched_yield();
    }
    CHECK_OK(kill(child, SIGKILL));
    CHECK_EQ(waitpid(child, NULL, 0), child);
}

TEST(sigcont_discards_pending_stops_and_the_reverse)
{
    block(SIGTSTP);
    block(SIGCONT);
    raise(SIGTSTP);
    CHECK_EQ(is_pending(SIGTSTP), 1);
    raise(SIGCONT);
    CHECK_EQ(is_pending(SIGTSTP), 0);
    CHECK_EQ(is_pending(SIGCONT), 1);
    raise(SIGTSTP);
    CHECK_EQ(is_pending(SIGCONT), 0);
}

TEST(sigkill_ends_a_stopped_process)
{
    pid_t child = CHECK_OK(fork());
    int status;

    if (child == 0) {
        raise(SIGSTOP);
        _exit(0);
    }
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

TEST(sigkill_ends_a_process_that_computes)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        for (volatile long i = 0;; i++)
            ;
    }
    sleep_ms(20);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

TEST(signal_handler_runs_in_a_process_that_computes)
{
    handle_signal(SIGALRM, count_signal, 0);
    ualarm(20000, 0);
    while (signals_counted == 0)
        ;
}

TEST(signal_with_handler_interrupts_nanosleep)
{
    struct timespec long_time = {100, 0}, left = {0};

    ring_until_the_end(SA_RESTART);
    CHECK_ERRNO(nanosleep(&long_time, &left), EINTR);
    CHECK_GE(left.tv_sec, 80);
}

TEST(signal_that_is_ignored_interrupts_nothing)
{
    struct timespec time = {0, 100000000};
    pid_t child;

    signal(SIGUSR1, SIG_IGN);
    child = CHECK_OK(fork());
    if (child == 0) {
        sleep_ms(20);
        _exit(kill(getppid(), SIGUSR1) != 0);
    }
    CHECK_OK(nanosleep(&time, NULL));
    CHECK_EXIT(child, 0);
}

TEST(signal_stop_and_continue_do_not_end_nanosleep)
{
    char state = 0;

    /* Longer each time, until the stop falls into the sleep. */
    for (long ms = 100; state != 'T'; ms *= 2) {
        pid_t child = CHECK_OK(fork());

        if (child == 0) {
            struct timespec time = {ms / 1000, ms % 1000 * 1000000};

            CHECK_OK(nanosleep(&time, NULL));
            _exit(0);
        }
        do
            state = process_state(child);
        while (state != 'S' && state != 'Z');
        CHECK_OK(kill(child, SIGSTOP));
        do
            state = process_state(child);
        while (state != 'T' && state != 'Z');
        CHECK_OK(kill(child, SIGCONT));
        CHECK_EXIT(child, 0);
    }
}
