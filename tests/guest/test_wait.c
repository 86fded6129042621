/*
 * exit, wait4 and waitid; process groups, sessions, and who inherits orphans.
 *
 * covers: exit exit_group wait4 waitid setpgid getpgid getpgrp setsid getsid kill prctl getppid
 */
#include "guest.h"

#include <sys/prctl.h>
#include <sys/resource.h>

static pid_t child_that_exits(int status)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0)
        _exit(status);
    return child;
}

static pid_t child_that_sleeps(void)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        for (;;)
            pause();
    }
    return child;
}

TEST(exit_status_is_its_low_eight_bits)
{
    CHECK_EXIT(child_that_exits(0), 0);
    CHECK_EXIT(child_that_exits(1), 1);
    CHECK_EXIT(child_that_exits(255), 255);
    CHECK_EXIT(child_that_exits(256 + 7), 7);
    CHECK_EXIT(child_that_exits(-1), 255);
}

TEST(exit_of_a_child_sends_sigchld_with_its_status)
{
    sigset_t set;
    siginfo_t info;
    pid_t child;

    sigemptyset(&set);
    sigaddset(&set, SIGCHLD);
    CHECK_OK(sigprocmask(SIG_BLOCK, &set, NULL));
    child = child_that_exits(9);
    CHECK_EQ(sigwaitinfo(&set, &info), SIGCHLD);
    CHECK_EQ(info.si_pid, child);
    CHECK_EQ(info.si_uid, getuid());
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_status, 9);
}

TEST(exit_leaves_a_zombie_until_it_is_waited_for)
{
    pid_t child = child_that_exits(0);

    WAIT_FOR_STATE(child, 'Z');
    CHECK_OK(kill(child, 0));
    CHECK_EXIT(child, 0);
    CHECK_ERRNO(kill(child, 0), ESRCH);
}

TEST(exit_with_sigchld_ignored_leaves_no_zombie)
{
    pid_t child;

    signal(SIGCHLD, SIG_IGN);
    child = child_that_exits(0);
    CHECK_ERRNO(waitpid(child, NULL, 0), ECHILD);
    while (kill(child, 0) == 0) /* its number goes a moment later */
        sched_yield();
    CHECK_EQ(errno, ESRCH);
}

TEST(exit_with_sa_nocldwait_leaves_no_zombie)
{
    pid_t child;

    handle_signal(SIGCHLD, count_signal, SA_NOCLDWAIT | SA_RESTART);
    child = child_that_exits(0);
    CHECK_ERRNO(waitpid(child, NULL, 0), ECHILD);
}

TEST(exit_closes_descriptors)
{
    char byte;
    int fds[2];
    pid_t child;

    CHECK_OK(pipe(fds));
    child = child_that_exits(0);
    close(fds[1]);
    CHECK_EQ(read(fds[0], &byte, 1), 0);
    CHECK_EXIT(child, 0);
}

TEST(wait_without_children_gives_echild)
{
    CHECK_ERRNO(wait(NULL), ECHILD);
    CHECK_ERRNO(waitpid(1, NULL, 0), ECHILD);
    CHECK_ERRNO(waitpid(getpid(), NULL, 0), ECHILD);
}

TEST(wait_for_any_child_returns_the_one_that_ended)
{
    pid_t sleeper = child_that_sleeps(), child = child_that_exits(4);
    int status;

    CHECK_EQ(wait(&status), child);
    CHECK_EQ(WEXITSTATUS(status), 4);
    CHECK_OK(kill(sleeper, SIGKILL));
    CHECK_KILLED(sleeper, SIGKILL);
}

TEST(wait4_with_wnohang_returns_zero_while_the_child_lives)
{
    pid_t child = child_that_sleeps();

    CHECK_EQ(waitpid(child, NULL, WNOHANG), 0);
    CHECK_EQ(waitpid(-1, NULL, WNOHANG), 0);
    CHECK_OK(kill(child, SIGTERM));
    CHECK_KILLED(child, SIGTERM);
}

TEST(wait4_for_a_group_takes_only_its_members)
{
    pid_t in_group = child_that_sleeps(), other = child_that_exits(1);
    int status;

    CHECK_OK(setpgid(in_group, in_group));
    CHECK_OK(kill(in_group, SIGKILL));
    CHECK_EQ(waitpid(-in_group, &status, 0), in_group);
    CHECK_ERRNO(waitpid(-in_group, &status, 0), ECHILD);
    CHECK_EQ(waitpid(0, &status, 0), other);
}

TEST(wait4_with_unknown_option_gives_einval)
{
    child_that_exits(0);
    CHECK_ERRNO(syscall(SYS_wait4, -1, NULL, 0x100, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_wait4, -1, NULL, WNOWAIT, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_wait4, (int)0x80000000, NULL, 0, NULL), ESRCH);
}

TEST(wait4_with_bad_address_gives_efault)
{
    child_that_exits(0);
    CHECK_ERRNO(syscall(SYS_wait4, -1, bad_address(), 0, NULL), EFAULT);
}

TEST(wait4_gives_the_childs_resource_usage)
{
    struct rusage usage, children;
    volatile long spin = 0;
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        struct timespec now;

        do {
            for (int i = 0; i < 100000; i++)
                spin += i;
            clock_gettime(CLOCK_PROCESS_CPUTIME_ID, &now);
        } while (now.tv_sec == 0 && now.tv_nsec < 100000000);
        _exit(0);
    }
    CHECK_EQ(wait4(child, NULL, 0, &usage), child);
    CHECK_GT(usage.ru_utime.tv_sec * 1000000 + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec,
             50000);
    CHECK_OK(getrusage(RUSAGE_CHILDREN, &children));
    CHECK_EQ(children.ru_utime.tv_usec, usage.ru_utime.tv_usec);
}

TEST(wait4_reports_stop_and_continue)
{
    pid_t child = child_that_sleeps();
    int status;

    CHECK_OK(kill(child, SIGSTOP));
    CHECK_EQ(waitpid(child, &status, WUNTRACED), child);
    CHECK(WIFSTOPPED(status));
    CHECK_EQ(WSTOPSIG(status), SIGSTOP);
    CHECK_EQ(process_state(child), 'T');
    CHECK_EQ(waitpid(child, &status, WUNTRACED | WNOHANG), 0);
    CHECK_OK(kill(child, SIGCONT));
    CHECK_EQ(waitpid(child, &status, WCONTINUED), child);
    CHECK(WIFCONTINUED(status));
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

TEST(wait4_is_interrupted_by_a_signal)
{
    pid_t child = child_that_sleeps();

    ring_until_the_end(0);
    CHECK_ERRNO(waitpid(child, NULL, 0), EINTR);
}

TEST(wait4_shows_death_by_signal)
{
    pid_t child = child_that_sleeps();
    int status;

    CHECK_OK(kill(child, SIGHUP));
    CHECK_EQ(waitpid(child, &status, 0), child);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGHUP);
    CHECK(!WCOREDUMP(status));
}

TEST(waitid_describes_exit_kill_and_stop)
{
    siginfo_t info;
    pid_t child = child_that_exits(17), sleeper;

    CHECK_OK(waitid(P_PID, child, &info, WEXITED));
    CHECK_EQ(info.si_signo, SIGCHLD);
    CHECK_EQ(info.si_pid, child);
    CHECK_EQ(info.si_code, CLD_EXITED);
    CHECK_EQ(info.si_status, 17);
    sleeper = child_that_sleeps();
    CHECK_OK(kill(sleeper, SIGSTOP));
    CHECK_OK(waitid(P_PID, sleeper, &info, WSTOPPED));
    CHECK_EQ(info.si_code, CLD_STOPPED);
    CHECK_EQ(info.si_status, SIGSTOP);
    CHECK_OK(kill(sleeper, SIGCONT));
    CHECK_OK(waitid(P_PID, sleeper, &info, WCONTINUED));
    CHECK_EQ(info.si_code, CLD_CONTINUED);
    CHECK_EQ(info.si_status, SIGCONT);
    CHECK_OK(kill(sleeper, SIGKILL));
    CHECK_OK(waitid(P_ALL, 0, &info, WEXITED));
    CHECK_EQ(info.si_code, CLD_KILLED);
    CHECK_EQ(info.si_status, SIGKILL);
}

TEST(waitid_with_wnowait_leaves_the_child_waitable)
{
    siginfo_t info;
    pid_t child = child_that_exits(3);

    CHECK_OK(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    CHECK_EQ(info.si_status, 3);
    CHECK_EXIT(child, 3);
}

TEST(waitid_for_stops_alone_finds_no_child_in_a_zombie)
{
    siginfo_t info;
    pid_t child = child_that_exits(3);

    CHECK_OK(waitid(P_PID, child, &info, WEXITED | WNOWAIT));
    CHECK_ERRNO(waitid(P_PID, child, &info, WSTOPPED), ECHILD);
    CHECK_ERRNO(waitid(P_PID, child, &info, WCONTINUED | WNOHANG), ECHILD);
    CHECK_EXIT(child, 3);
}

TEST(waitid_with_wnohang_leaves_si_pid_zero)
{
    siginfo_t info = {.si_pid = 99};
    pid_t child = child_that_sleeps();

    CHECK_OK(waitid(P_PID, child, &info, WEXITED | WNOHANG));
    CHECK_EQ(info.si_pid, 0);
}

TEST(waitid_with_wrong_arguments_gives_einval_and_echild)
{
    siginfo_t info;

    CHECK_ERRNO(waitid(P_ALL, 0, &info, WEXITED), ECHILD);
    CHECK_ERRNO(waitid(P_ALL, 0, &info, 0), EINVAL);
    CHECK_ERRNO(waitid(99, 0, &info, WEXITED), EINVAL);
    CHECK_ERRNO(waitid(P_PID, 0, &info, WEXITED), EINVAL);
    CHECK_ERRNO(waitid(P_ALL, 0, &info, WEXITED | 0x100), EINVAL);
}

TEST(waitid_for_group_zero_waits_for_the_callers_group)
{
    siginfo_t info;
    pid_t child = child_that_exits(0);

    CHECK_OK(waitid(P_PGID, 0, &info, WEXITED));
    CHECK_EQ(info.si_pid, child);
}

/* ---- Orphans ---- */

TEST(getppid_of_an_orphan_is_the_subreaper)
{
    pid_t middle, orphan;
    int fds[2], status;

    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
    CHECK_OK(pipe(fds));
    middle = CHECK_OK(fork());
    if (middle == 0) {
        orphan = CHECK_OK(fork());
        if (orphan == 0) {
            pid_t old_parent = getppid();

            CHECK_EQ(write(fds[1], "", 1), 1);
            while (getppid() == old_parent)
                sleep_ms(1);
            _exit(getppid() == getpgrp() ? 6 : 1);
        }
        CHECK_EQ(read(fds[0], &status, 1), 1);
        _exit(0);
    }
    CHECK_EXIT(middle, 0);
    orphan = CHECK_OK(wait(&status));
    CHECK_NE(orphan, middle);
    CHECK_EQ(WEXITSTATUS(status), 6);
}

TEST(prctl_child_subreaper_reads_back_and_is_not_inherited)
{
    int value = 9;
    pid_t child;

    CHECK_OK(prctl(PR_GET_CHILD_SUBREAPER, &value));
    CHECK_EQ(value, 0);
    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
    CHECK_OK(prctl(PR_GET_CHILD_SUBREAPER, &value));
    CHECK_EQ(value, 1);
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(prctl(PR_GET_CHILD_SUBREAPER, &value));
        _exit(value);
    }
    CHECK_EXIT(child, 0);
}

TEST(prctl_pdeathsig_comes_when_the_parent_dies)
{
    pid_t middle, orphan;
    int status;

    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
    middle = CHECK_OK(fork());
    if (middle == 0) {
        pid_t parent = getpid();

        orphan = CHECK_OK(fork());
        if (orphan == 0) {
            CHECK_OK(prctl(PR_SET_PDEATHSIG, SIGUSR1));
            kill(parent, SIGKILL);
            for (;;)
                pause();
        }
        for (;;)
            pause();
    }
    CHECK_KILLED(middle, SIGKILL);
    CHECK_GT(wait(&status), 0);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGUSR1);
}

/* ---- Groups and sessions ---- */

TEST(setpgid_makes_and_joins_groups)
{
    pid_t leader = child_that_sleeps(), member = child_that_sleeps();

    CHECK_OK(setpgid(leader, 0));
    CHECK_EQ(getpgid(leader), leader);
    CHECK_OK(setpgid(member, leader));
    CHECK_EQ(getpgid(member), leader);
    CHECK_OK(kill(-leader, SIGTERM));
    CHECK_KILLED(leader, SIGTERM);
    CHECK_KILLED(member, SIGTERM);
}

TEST(setpgid_errors_are_as_documented)
{
    pid_t child = child_that_sleeps(), in_session;
    struct gate ready = gate_new();

    CHECK_ERRNO(setpgid(child, -1), EINVAL);
    CHECK_ERRNO(setpgid(1, 0), ESRCH);
    CHECK_ERRNO(setpgid(999999, 0), ESRCH);
    CHECK_ERRNO(setpgid(child, 999999), EPERM);
    in_session = CHECK_OK(fork());
    if (in_session == 0) {
        CHECK_OK(setsid());
        gate_open(ready);
        CHECK_ERRNO(setpgid(0, 0), EPERM);
        for (;;)
            pause();
    }
    gate_pass(ready);
    CHECK_ERRNO(setpgid(in_session, in_session), EPERM);
    CHECK_OK(kill(in_session, SIGKILL));
}

TEST(setpgid_of_a_child_after_exec_gives_eacces)
{
    int fds[2];
    pid_t child;
    char byte;

    CHECK_OK(pipe2(fds, O_CLOEXEC));
    child = CHECK_OK(fork());
    if (child == 0) {
        execl("/bin/sleep", "sleep", "100", NULL);
        _exit(127);
    }
    close(fds[1]);
    CHECK_EQ(read(fds[0], &byte, 1), 0); /* closed by exec */
    CHECK_ERRNO(setpgid(child, child), EACCES);
    CHECK_OK(kill(child, SIGKILL));
}

TEST(setsid_makes_a_session_and_a_group)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        CHECK_EQ(setsid(), getpid());
        CHECK_EQ(getsid(0), getpid());
        CHECK_EQ(getpgrp(), getpid());
        CHECK_ERRNO(open("/dev/tty", O_RDWR), ENXIO);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(setsid_of_a_group_leader_gives_eperm)
{
    CHECK_EQ(getpgrp(), getpid());
    CHECK_ERRNO(setsid(), EPERM);
}

TEST(getsid_and_getpgid_of_nobody_give_esrch)
{
    CHECK_ERRNO(getsid(999999), ESRCH);
    CHECK_ERRNO(getpgid(999999), ESRCH);
}

TEST(kill_of_a_group_reaches_each_member_and_the_sender)
{
    pid_t first = child_that_sleeps(), second = child_that_sleeps();

    handle_signal(SIGUSR1, count_signal, 0);
    CHECK_OK(kill(0, SIGUSR1));
    CHECK_EQ(signals_counted, 1);
    signals_counted = 0;
    CHECK_KILLED(first, SIGUSR1);
    CHECK_KILLED(second, SIGUSR1);
}

TEST(kill_errors_are_as_documented)
{
    CHECK_ERRNO(kill(getpid(), 65), EINVAL);
    CHECK_ERRNO(kill(getpid(), -1), EINVAL);
    CHECK_ERRNO(kill(999999, 0), ESRCH);
    CHECK_ERRNO(kill(-999999, SIGTERM), ESRCH);
    CHECK_OK(kill(getpid(), 0));
}

TEST(kill_without_rights_gives_eperm)
{
    pid_t child;

    NEEDS_ROOT();
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(setresuid(12345, 12345, 12345));
        CHECK_ERRNO(kill(getppid(), 0), EPERM);
        CHECK_ERRNO(kill(getppid(), SIGTERM), EPERM);
        CHECK_ERRNO(kill(1, SIGTERM), EPERM);
        _exit(0);
    }
    CHECK_EXIT(child, 0);
}

TEST(orphaned_stopped_group_gets_hangup_and_continue)
{
    pid_t middle, stopped;
    int fds[2], status;
    char byte;

    CHECK_OK(prctl(PR_SET_CHILD_SUBREAPER, 1));
    CHECK_OK(pipe(fds));
    middle = CHECK_OK(fork());
    if (middle == 0) {
        CHECK_OK(setsid());
        stopped = CHECK_OK(fork());
        if (stopped == 0) {
            CHECK_OK(setpgid(0, 0));
            CHECK_EQ(write(fds[1], "", 1), 1);
            for (;;)
                pause();
        }
        CHECK_EQ(read(fds[0], &byte, 1), 1);
        CHECK_OK(kill(stopped, SIGSTOP));
        CHECK_EQ(waitpid(stopped, &status, WUNTRACED), stopped);
        _exit(0); /* its group has no parent left in its session */
    }
    CHECK_EXIT(middle, 0);
    CHECK_GT(wait(&status), 0);
    CHECK(WIFSIGNALED(status));
    CHECK_EQ(WTERMSIG(status), SIGHUP);
}
