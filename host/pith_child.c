/*
 * Child processes that never outlive us.
 *
 * The kernel sends each of them SIGKILL when we die (PR_SET_PDEATHSIG), however we die. They start
 * with the signal mask and actions that our caller gave us. Of the actions we change only
 * SIGPIPE's, once, so all others can still be read.
 */
#include "pith.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/close_range.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/signalfd.h>
#include <sys/syscall.h>
#include <unistd.h>

static sigset_t caller_mask;
static struct sigaction caller_pipe_action;

void child_remember_signals(void)
{
    sigprocmask(SIG_SETMASK, NULL, &caller_mask);
    sigaction(SIGPIPE, NULL, &caller_pipe_action);
    signal(SIGPIPE, SIG_IGN);
}

bool child_caller_ignores(int number)
{
    struct sigaction action;

    if (number == SIGPIPE)
        return caller_pipe_action.sa_handler == SIG_IGN;
    return sigaction(number, NULL, &action) == 0 && action.sa_handler == SIG_IGN;
}

pid_t child_fork(void)
{
    pid_t parent = getpid();
    pid_t child = fork();

    if (child < 0)
        fail("a process could not be started: %s", strerror(errno));
    if (child > 0)
        return child;
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    if (getppid() != parent)
        _exit(PITH_FAILED); /* it died before we asked */
    sigaction(SIGPIPE, &caller_pipe_action, NULL);
    sigprocmask(SIG_SETMASK, &caller_mask, NULL);
    return 0;
}

int signals_open(void)
{
    static const int taken[] = {SIGHUP,  SIGINT,  SIGQUIT, SIGTERM,  SIGUSR1,
                                SIGUSR2, SIGTSTP, SIGCONT, SIGWINCH, SIGCHLD};
    sigset_t set;
    int fd;

    sigemptyset(&set);
    for (size_t i = 0; i < sizeof(taken) / sizeof(taken[0]); i++) {
        if (!child_caller_ignores(taken[i]) || taken[i] == SIGCHLD)
            sigaddset(&set, taken[i]);
    }
    signal(SIGCHLD, SIG_DFL); /* ignored, it would hide how children end */
    sigprocmask(SIG_BLOCK, &set, NULL);
    fd = signalfd(-1, &set, SFD_CLOEXEC | SFD_NONBLOCK);
    if (fd < 0)
        fail("signals cannot be read: %s", strerror(errno));
    return fd;
}

static int compare_ints(const void *left, const void *right)
{
    return *(const int *)left - *(const int *)right;
}

void child_keep_only(const int *keep, size_t count)
{
    unsigned from = STDERR_FILENO + 1;
    int sorted[16];

    memcpy(sorted, keep, count * sizeof(*keep));
    qsort(sorted, count, sizeof(*sorted), compare_ints);
    for (size_t i = 0; i < count; i++) {
        if (sorted[i] < (int)from)
            continue;
        if (sorted[i] > (int)from)
            syscall(SYS_close_range, from, sorted[i] - 1, 0);
        fcntl(sorted[i], F_SETFD, 0);
        from = sorted[i] + 1;
    }
    syscall(SYS_close_range, from, ~0u, 0);
}
