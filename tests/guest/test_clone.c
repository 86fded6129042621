/*
 * clone's rarer flags, unshare, and processes as descriptors.
 *
 * covers: clone clone3 unshare setns pidfd_open pidfd_getfd pidfd_send_signal waitid wait4 prctl
 */
#include "guest.h"

#include <linux/sched.h>
#include <poll.h>
#include <pthread.h>
#include <sys/prctl.h>

#define P_PIDFD_    3
#define STACK_BYTES 65536
#define NOBODY      65531
#ifndef CLONE_CLEAR_SIGHAND
#define CLONE_CLEAR_SIGHAND 0x100000000ull
#endif
#define INTO_CGROUP 0x200000000ull

static pid_t clone_with(int (*function)(void *), unsigned long flags, void *argument)
{
    char *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    CHECK_NE(stack, MAP_FAILED);
    return CHECK_OK(clone(function, stack + STACK_BYTES, flags, argument));
}

static long clone3(struct clone_args *args, size_t bytes)
{
    return syscall(SYS_clone3, args, bytes);
}

/* ---- Shared actions ---- */

static int handles_usr1(void *unused)
{
    handle_signal(SIGUSR1, count_signal, 0);
    return 0;
}

TEST(clone_with_clone_sighand_shares_actions_between_processes)
{
    struct sigaction action;

    CHECK_EXIT(clone_with(handles_usr1, CLONE_VM | CLONE_SIGHAND | SIGCHLD, NULL), 0);
    CHECK_OK(sigaction(SIGUSR1, NULL, &action));
    CHECK_EQ((long)action.sa_handler, (long)count_signal);
    CHECK_OK(raise(SIGUSR1));
    CHECK_EQ(signals_counted, 1);
}

static int executes_true(void *unused)
{
    execl("/bin/true", "true", (char *)NULL);
    return 99;
}

TEST(clone_child_that_shares_actions_leaves_them_at_exec)
{
    struct sigaction action;

    handle_signal(SIGUSR1, count_signal, 0);
    CHECK_EXIT(clone_with(executes_true, CLONE_VM | CLONE_VFORK | CLONE_SIGHAND | SIGCHLD, NULL),
               0);
    CHECK_OK(sigaction(SIGUSR1, NULL, &action));
    CHECK_EQ((long)action.sa_handler, (long)count_signal);
}

TEST(clone3_with_clear_sighand_keeps_what_is_ignored)
{
    struct clone_args args = {.flags = CLONE_CLEAR_SIGHAND, .exit_signal = SIGCHLD};
    struct sigaction action;
    pid_t child;

    handle_signal(SIGUSR1, count_signal, 0);
    signal(SIGUSR2, SIG_IGN);
    child = CHECK_OK(clone3(&args, sizeof(args)));
    if (child == 0) {
        sigaction(SIGUSR1, NULL, &action);
        if (action.sa_handler != SIG_DFL)
            _exit(1);
        sigaction(SIGUSR2, NULL, &action);
        _exit(action.sa_handler == SIG_IGN ? 0 : 2);
    }
    CHECK_EXIT(child, 0);
}

/* ---- Numbers ---- */

static pid_t free_number(void)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0)
        _exit(0);
    CHECK_EXIT(child, 0);
    return child;
}

TEST(clone3_with_set_tid_chooses_the_number)
{
    pid_t tid = free_number(), tids[2] = {tid, tid}, child;
    struct clone_args args = {
        .exit_signal = SIGCHLD, .set_tid = (uintptr_t)tids, .set_tid_size = 1};

    NEEDS_ROOT();
    child = clone3(&args, sizeof(args));
    if (child == 0)
        _exit(getpid() == tid ? 0 : 1);
    CHECK_EQ(child, tid);
    WAIT_FOR_STATE(child, 'Z');
    CHECK_ERRNO(clone3(&args, sizeof(args)), EEXIST);
    CHECK_EXIT(child, 0);
    tids[0] = 0;
    CHECK_ERRNO(clone3(&args, sizeof(args)), EINVAL);
    tids[0] = 1 << 30;
    CHECK_ERRNO(clone3(&args, sizeof(args)), EINVAL);
    args.set_tid_size = 33;
    CHECK_ERRNO(clone3(&args, sizeof(args)), EINVAL);
    args.set_tid_size = 0;
    CHECK_ERRNO(clone3(&args, sizeof(args)), EINVAL);
    args.set_tid_size = 1;
    tids[0] = tid;
    CHECK_OK(setuid(NOBODY));
    CHECK_ERRNO(clone3(&args, sizeof(args)), EPERM);
}

TEST(clone_for_namespaces_without_rights_gives_eperm)
{
    NEEDS_ROOT();
    CHECK_OK(setuid(NOBODY));
    CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWUTS | SIGCHLD, 0, 0, 0, 0), EPERM);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_NEWPID | SIGCHLD, 0, 0, 0, 0), EPERM);
    CHECK_ERRNO(unshare(CLONE_NEWNS), EPERM);
    CHECK_ERRNO(unshare(CLONE_NEWIPC), EPERM);
}

TEST(clone3_into_a_cgroup_that_is_none_gives_ebadf)
{
    struct clone_args args = {.flags = INTO_CGROUP, .exit_signal = SIGCHLD};

    args.cgroup = CHECK_OK(open("/dev/null", O_RDONLY));
    CHECK_ERRNO(clone3(&args, sizeof(args)), EBADF);
    CHECK_ERRNO(clone3(&args, 80), EINVAL);
}

TEST(clone_with_flags_that_change_nothing_forks)
{
    unsigned long flags[] = {CLONE_IO, CLONE_UNTRACED, CLONE_SYSVSEM, CLONE_PTRACE, CLONE_DETACHED};

    for (int i = 0; i < 5; i++) {
        pid_t child = CHECK_OK(syscall(SYS_clone, flags[i] | SIGCHLD, 0, 0, 0, 0));

        if (child == 0)
            _exit(i);
        CHECK_EXIT(child, i);
    }
}

/* The kernel loads it into a register that takes canonical addresses only. */
TEST(clone_with_a_thread_pointer_beyond_user_memory_gives_eperm)
{
    const unsigned long pointers[] = {1ul << 63, 1ul << 47, 0x7ffffffff000ul, ~0ul};

    for (size_t i = 0; i < sizeof(pointers) / sizeof(pointers[0]); i++) {
        struct clone_args request = {
            .flags = CLONE_SETTLS, .exit_signal = SIGCHLD, .tls = pointers[i]};

        CHECK_ERRNO(syscall(SYS_clone, CLONE_SETTLS | SIGCHLD, 0, 0, 0, pointers[i]), EPERM);
        CHECK_ERRNO(clone3(&request, sizeof(request)), EPERM);
    }
}

TEST(clone_with_a_pidfd_and_what_excludes_it_gives_einval)
{
    int pidfd = -1;
    pid_t child = CHECK_OK(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0));
    siginfo_t info;

    if (child == 0)
        _exit(12);
    CHECK_OK(waitid((idtype_t)P_PIDFD_, pidfd, &info, WEXITED));
    CHECK_EQ(info.si_status, 12);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_PIDFD | CLONE_DETACHED | SIGCHLD, 0, &pidfd, 0, 0),
                EINVAL);
    CHECK_ERRNO(syscall(SYS_clone, CLONE_PIDFD | CLONE_PARENT_SETTID | SIGCHLD, 0, &pidfd, 0, 0),
                EINVAL);
}

/* A sender of signals, which make clone begin anew after it has nearly made a child. */
static pid_t disturber_start(void)
{
    pid_t target = getpid(), child = CHECK_OK(fork());

    if (child == 0)
        while (kill(target, SIGUSR1) == 0)
            sched_yield();
    return child;
}

TEST(clone_that_is_interrupted_leaves_no_pidfd_behind)
{
    pid_t disturber;
    int first, next;

    handle_signal(SIGUSR1, count_signal, SA_RESTART);
    first = CHECK_OK(dup(0));
    disturber = disturber_start();
    for (int i = 0; i < 200; i++) {
        int pidfd = -1;
        pid_t child = CHECK_OK(syscall(SYS_clone, CLONE_PIDFD | SIGCHLD, 0, &pidfd, 0, 0));

        if (child == 0)
            _exit(0);
        while (waitpid(child, NULL, 0) == -1 && errno == EINTR)
            continue;
        CHECK_OK(close(pidfd));
    }
    CHECK_OK(kill(disturber, SIGKILL));
    next = CHECK_OK(dup(0));
    CHECK_EQ(next, first + 1);
}

static int thread_word, is_over;

static int ends_at_once(void *unused)
{
    return 0;
}

/* In its parent's memory: starts a thread, sees it end, and goes on for a while. */
static int outlives_its_thread(void *unused)
{
    char *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    thread_word = 1;
    if (clone(ends_at_once, stack + STACK_BYTES,
              CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD |
                  CLONE_CHILD_CLEARTID,
              NULL, NULL, NULL, &thread_word) == -1)
        return 1;
    while (__atomic_load_n(&thread_word, __ATOMIC_SEQ_CST))
        sched_yield();
    for (int i = 0; i < 200; i++)
        sched_yield();
    __atomic_store_n(&is_over, 1, __ATOMIC_SEQ_CST);
    return 0;
}

TEST(vfork_parent_does_not_go_on_when_another_thread_of_the_child_ends)
{
    pid_t child = clone_with(outlives_its_thread, CLONE_VM | CLONE_VFORK | SIGCHLD, NULL);

    CHECK_EQ(is_over, 1);
    CHECK_EXIT(child, 0);
}

static int is_over_later(void *unused)
{
    for (int i = 0; i < 200; i++)
        sched_yield();
    __atomic_store_n(&is_over, 1, __ATOMIC_SEQ_CST);
    syscall(SYS_exit, 0);
    return 0;
}

TEST(clone_with_vfork_waits_for_a_thread_as_well)
{
    is_over = 0;
    clone_with(is_over_later,
               CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_THREAD | CLONE_VFORK,
               NULL);
    CHECK_EQ(is_over, 1);
}

TEST(clone_takes_an_exit_signal_that_is_none_and_clone3_does_not)
{
    struct clone_args request = {.exit_signal = 65};
    pid_t child = CHECK_OK(syscall(SYS_clone, 65, 0, 0, 0, 0));
    int status;

    if (child == 0)
        _exit(4);
    CHECK_EQ(waitpid(child, &status, __WCLONE), child);
    CHECK_EQ(WEXITSTATUS(status), 4);
    CHECK_ERRNO(clone3(&request, sizeof(request)), EINVAL);
}

TEST(clone3_with_one_word_for_pidfd_and_parent_tid_gives_einval)
{
    int word = -1;
    struct clone_args request = {
        .flags = CLONE_PIDFD | CLONE_PARENT_SETTID,
        .pidfd = (long)&word,
        .parent_tid = (long)&word,
        .exit_signal = SIGCHLD,
    };

    CHECK_ERRNO(clone3(&request, sizeof(request)), EINVAL);
}

/* ---- unshare ---- */

static int unshares(void *argument)
{
    int fd = *(int *)argument;

    if (unshare(CLONE_FILES) || unshare(CLONE_FS))
        return 1;
    close(fd);
    umask(0111);
    return chdir("/") ? 2 : 0;
}

TEST(unshare_makes_descriptors_and_directory_ones_own)
{
    int fd = CHECK_OK(open("/dev/null", O_RDONLY));
    char where[64];

    CHECK_OK(chdir("/tmp"));
    umask(022);
    CHECK_EXIT(clone_with(unshares, CLONE_VM | CLONE_FILES | CLONE_FS | SIGCHLD, &fd), 0);
    CHECK_OK(fcntl(fd, F_GETFD));
    CHECK(getcwd(where, sizeof(where)));
    CHECK_STR_EQ(where, "/tmp");
    CHECK_EQ(umask(022), 022);
}

static void *unshares_threads(void *unused)
{
    CHECK_ERRNO(unshare(CLONE_THREAD), EINVAL);
    CHECK_ERRNO(unshare(CLONE_VM), EINVAL);
    return unused;
}

TEST(unshare_and_setns_errors_are_as_documented)
{
    pthread_t thread;

    CHECK_OK(unshare(CLONE_THREAD | CLONE_SIGHAND | CLONE_VM));
    CHECK_OK(unshare(CLONE_SYSVSEM));
    CHECK_ERRNO(unshare(CLONE_PARENT), EINVAL);
    CHECK_ERRNO(unshare(1), EINVAL);
    CHECK_EQ(pthread_create(&thread, NULL, unshares_threads, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_ERRNO(syscall(SYS_setns, -1, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_setns, CHECK_OK(open("/dev/null", O_RDONLY)), 0), EINVAL);
}

/* ---- pidfds ---- */

static pid_t child_that_waits(void)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        for (;;)
            pause();
    }
    return child;
}

TEST(pidfd_getfd_takes_over_another_processes_descriptor)
{
    char byte = 0;
    int fds[2], pidfd, fd;
    pid_t child;

    CHECK_OK(pipe(fds));
    child = child_that_waits();
    close(fds[0]);
    pidfd = CHECK_OK(syscall(SYS_pidfd_open, child, 0));
    fd = CHECK_OK(syscall(SYS_pidfd_getfd, pidfd, fds[0], 0));
    CHECK_EQ(fcntl(fd, F_GETFD), FD_CLOEXEC);
    CHECK_EQ(write(fds[1], "x", 1), 1);
    CHECK_EQ(read(fd, &byte, 1), 1);
    CHECK_EQ(byte, 'x');
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, pidfd, 900, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, fd, 0, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, pidfd, 0, 1), EINVAL);
    CHECK_OK(kill(child, SIGKILL));
    WAIT_FOR_STATE(child, 'Z');
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, pidfd, fds[1], 0), ESRCH);
    CHECK_KILLED(child, SIGKILL);
}

TEST(pidfd_send_signal_takes_an_open_directory_of_proc_too)
{
    char path[64];
    pid_t child = child_that_waits();
    int directory, status;

    snprintf(path, sizeof(path), "/proc/%d", child);
    directory = CHECK_OK(open(path, O_DIRECTORY));
    status = CHECK_OK(openat(directory, "status", O_RDONLY));
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, status, SIGKILL, NULL, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, CHECK_OK(open("/proc", O_DIRECTORY)), 0, NULL, 0),
                EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, CHECK_OK(open(path, O_PATH)), 0, NULL, 0), EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, CHECK_OK(openat(directory, "task", O_DIRECTORY)), 0,
                        NULL, 0),
                EBADF);
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, directory, 0, 0), EBADF);
    CHECK_OK(syscall(SYS_pidfd_send_signal, directory, SIGKILL, NULL, 0));
    CHECK_KILLED(child, SIGKILL);
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, directory, 0, NULL, 0), ESRCH);
}

TEST(pidfd_getfd_of_another_users_process_gives_eperm)
{
    pid_t child;
    int pidfd;

    NEEDS_ROOT();
    child = child_that_waits();
    pidfd = CHECK_OK(syscall(SYS_pidfd_open, child, 0));
    CHECK_OK(setresuid(NOBODY, NOBODY, 0));
    CHECK_ERRNO(syscall(SYS_pidfd_getfd, pidfd, 0, 0), EPERM);
    CHECK_OK(setresuid(0, 0, 0));
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

TEST(pidfd_that_does_not_block_makes_waitid_give_eagain)
{
    pid_t child = child_that_waits();
    int pidfd = CHECK_OK(syscall(SYS_pidfd_open, child, O_NONBLOCK));
    siginfo_t info = {.si_pid = 5};

    CHECK_ERRNO(waitid((idtype_t)P_PIDFD_, pidfd, &info, WEXITED), EAGAIN);
    CHECK_OK(waitid((idtype_t)P_PIDFD_, pidfd, &info, WEXITED | WNOHANG));
    CHECK_EQ(info.si_pid, 0);
    CHECK_OK(kill(child, SIGKILL));
    WAIT_FOR_STATE(child, 'Z');
    CHECK_OK(waitid((idtype_t)P_PIDFD_, pidfd, &info, WEXITED));
    CHECK_EQ(info.si_status, SIGKILL);
    CHECK_ERRNO(waitid((idtype_t)P_PIDFD_, pidfd, &info, WEXITED), ECHILD);
    CHECK_ERRNO(waitid((idtype_t)P_PIDFD_, 900, &info, WEXITED), EBADF);
}

static void *open_own_pidfd(void *unused)
{
    CHECK_EQ(syscall(SYS_pidfd_open, (pid_t)syscall(SYS_gettid), 0), -1);
    CHECK(errno == EINVAL || errno == ENOENT); /* since Linux 6.15 the latter */
    return unused;
}

TEST(pidfd_open_of_a_thread_that_leads_nothing_fails)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, open_own_pidfd, NULL), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

TEST(pidfd_send_signal_with_siginfo_carries_it)
{
    siginfo_t info = {}, got;
    sigset_t set;
    int pidfd = CHECK_OK(syscall(SYS_pidfd_open, getpid(), 0));

    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    info.si_signo = SIGUSR1;
    info.si_code = SI_QUEUE;
    info.si_value.sival_int = 4711;
    CHECK_OK(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, &info, 0));
    CHECK_EQ(sigwaitinfo(&set, &got), SIGUSR1);
    CHECK_EQ(got.si_value.sival_int, 4711);
    info.si_signo = SIGUSR2;
    CHECK_ERRNO(syscall(SYS_pidfd_send_signal, pidfd, SIGUSR1, &info, 0), EINVAL);
}

/* ---- Whose child ---- */

static pid_t thread_child;

static void *make_child_and_wait(void *done)
{
    thread_child = child_that_waits();
    CHECK_EQ(waitpid(-1, NULL, __WNOTHREAD | WNOHANG), 0);
    while (!__atomic_load_n((int *)done, __ATOMIC_ACQUIRE))
        sched_yield();
    return NULL;
}

TEST(wait4_with_wnothread_sees_only_the_threads_own_children)
{
    pthread_t thread;
    int done = 0;

    CHECK_EQ(pthread_create(&thread, NULL, make_child_and_wait, &done), 0);
    while (!__atomic_load_n(&thread_child, __ATOMIC_ACQUIRE))
        sched_yield();
    CHECK_ERRNO(waitpid(thread_child, NULL, __WNOTHREAD | WNOHANG), ECHILD);
    CHECK_EQ(waitpid(thread_child, NULL, WNOHANG), 0);
    __atomic_store_n(&done, 1, __ATOMIC_RELEASE);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_OK(kill(thread_child, SIGKILL));
    while (waitpid(thread_child, NULL, __WNOTHREAD) == -1 && errno == ECHILD)
        sched_yield(); /* the thread is joined, and ends a moment later */
}

static void *make_child_that_wants_a_signal(void *argument)
{
    int *fds = argument;
    char byte;
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
        CHECK_EQ(write(fds[1], "r", 1), 1);
        for (;;)
            pause();
    }
    thread_child = child;
    CHECK_EQ(read(fds[0], &byte, 1), 1);
    return NULL;
}

TEST(prctl_pdeathsig_comes_when_the_thread_ends_that_made_the_child)
{
    pthread_t thread;
    int fds[2];

    CHECK_OK(pipe(fds));
    CHECK_EQ(pthread_create(&thread, NULL, make_child_that_wants_a_signal, fds), 0);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_KILLED(thread_child, SIGUSR1);
}
