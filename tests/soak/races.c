/*
 * Races between the threads of one process: each round is a process whose threads do to each other
 * what programs should not, until one of them executes, exits or is killed.
 *
 * Nothing is expected of the calls themselves: any errno will do. What is checked is that every
 * round ends: all its processes, also those it left behind (we are their subreaper), can be killed
 * and reaped; that no child is reaped twice; and, by who runs this (leaves_nothing.c, SAN=1), that
 * the kernel keeps nothing, complains of nothing, and lives.
 *
 * usage: races SECONDS [RACE...]: each race for its part of the time, in an order that goes on
 * with the next. --list prints all. A line `ok RACE: N rounds` for each, status 0.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/futex.h>
#include <poll.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/file.h>
#include <sys/inotify.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/timerfd.h>
#include <sys/uio.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE             4096ul
#define AREA_PAGES       16
#define STACK_BYTES      (16 * PAGE)
#define ROUND_LIMIT_S    60 /* what takes longer hangs, however slow the machine is */
#define EXECUTED         "--executed"
#define EXEC_CHAIN       "--chain"
#define COUNT(array)     ((int)(sizeof(array) / sizeof(*(array))))
#define MICROSECONDS(us) (&(struct timespec){0, (us)*1000})

static const char *own_path;
static __thread uint64_t random_state;

static uint32_t random_below(uint32_t end)
{
    if (!random_state)
        random_state = (uint64_t)syscall(SYS_gettid) * 0x9e3779b97f4a7c15ull + (uint64_t)time(NULL);
    random_state = random_state * 6364136223846793005ull + 1442695040888963407ull;
    return (uint32_t)(random_state >> 33) % end;
}

static void pause_a_little(void)
{
    nanosleep(MICROSECONDS(random_below(2000)), NULL);
}

static void thread_start(void *(*run)(void *), void *argument)
{
    pthread_attr_t attributes;
    pthread_t thread;

    pthread_attr_init(&attributes);
    pthread_attr_setdetachstate(&attributes, PTHREAD_CREATE_DETACHED);
    pthread_attr_setstacksize(&attributes, STACK_BYTES);
    pthread_create(&thread, &attributes, run, argument);
    pthread_attr_destroy(&attributes);
}

static void execute(const char *how, int number)
{
    char text[16], *arguments[] = {(char *)own_path, (char *)how, text, NULL};

    snprintf(text, sizeof(text), "%d", number);
    execv(own_path, arguments);
    _exit(9);
}

/* How a round's process may end: whoever of its threads comes here first decides. */
static void end_somehow(void)
{
    switch (random_below(5)) {
    case 0:
        execute(EXECUTED, 0);
        break;
    case 1:
        kill(getpid(), SIGKILL);
        break;
    case 2:
        raise(SIGTERM);
        break;
    case 3:
        *(volatile int *)8 = 0;
        break;
    default:
        syscall(SYS_exit_group, 0);
    }
}

/* ---- Memory that goes while others are in calls on it ---- */

static char *area;
static int area_pipe[2], area_file;

static void area_call(int what, char *at, uint32_t bytes)
{
    struct iovec own = {at, bytes}, other = {area, AREA_PAGES * PAGE};
    int word = 0;

    switch (what) {
    case 0:
        (void)!write(area_pipe[1], at, bytes);
        break;
    case 1:
        (void)!read(area_pipe[0], at, bytes);
        break;
    case 2:
        (void)!pwrite(area_file, at, bytes, random_below(2 * PAGE));
        break;
    case 3:
        (void)!pread(area_file, at, bytes, 0);
        break;
    case 4:
        syscall(SYS_futex, at, FUTEX_WAIT, 0, MICROSECONDS(100), NULL, 0);
        break;
    case 5:
        syscall(SYS_futex, at, FUTEX_WAKE, 9, NULL, NULL, 0);
        break;
    case 6:
        syscall(SYS_futex, at, FUTEX_LOCK_PI, 0, MICROSECONDS(100), NULL, 0);
        syscall(SYS_futex, at, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
        break;
    case 7:
        syscall(SYS_process_vm_readv, getpid(), &own, 1, &other, 1, 0);
        break;
    case 8:
        syscall(SYS_process_vm_writev, getpid(), &other, 1, &own, 1, 0);
        break;
    case 9:
        poll((struct pollfd *)at, bytes % 64, 0);
        break;
    case 10:
        vmsplice(area_pipe[1], &own, 1, SPLICE_F_NONBLOCK);
        break;
    case 11:
        syscall(SYS_futex, at, FUTEX_CMP_REQUEUE, 1, 1, area + random_below(PAGE) / 4 * 4, 0);
        break;
    case 12:
        mincore(area, AREA_PAGES * PAGE, (unsigned char *)at);
        break;
    default:
        syscall(SYS_sched_setaffinity, 0, bytes % 128, at);
        syscall(SYS_sched_setaffinity, 0, sizeof(word), &(unsigned long){~0ul});
    }
}

static void *area_use(void *unused)
{
    for (;;) {
        uint32_t offset = random_below(AREA_PAGES * PAGE) & ~3u;
        uint32_t room = AREA_PAGES * PAGE - offset;

        area_call((int)random_below(14), area + offset, random_below(room) + 1);
    }
    return unused;
}

static void area_change(void)
{
    char *at = area + random_below(AREA_PAGES) * PAGE;
    size_t bytes = (random_below((uint32_t)((area + AREA_PAGES * PAGE - at) / PAGE)) + 1) * PAGE;
    int flags = MAP_FIXED | MAP_ANONYMOUS | (random_below(2) ? MAP_SHARED : MAP_PRIVATE);

    switch (random_below(6)) {
    case 0:
        munmap(at, bytes);
        break;
    case 1:
        mprotect(at, bytes, random_below(2) ? PROT_READ : PROT_NONE);
        break;
    case 2:
        madvise(at, bytes, MADV_DONTNEED);
        break;
    case 3:
        mmap(at, bytes, PROT_READ | PROT_WRITE, MAP_FIXED | MAP_SHARED, area_file, 0);
        break;
    case 4:
        (void)!ftruncate(area_file, random_below(4) * PAGE);
        break;
    default:
        mmap(at, bytes, PROT_READ | PROT_WRITE, flags, -1, 0);
    }
}

static void memory_goes_while_calls_use_it(void)
{
    pid_t child;

    area =
        mmap(NULL, AREA_PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)!pipe2(area_pipe, O_NONBLOCK);
    area_file = memfd_create("area", 0);
    for (int i = 0; i < 4; i++)
        thread_start(area_use, NULL);
    for (int i = 0; i < 100; i++)
        area_change();
    child = fork(); /* its tables are shared with threads that go on */
    for (int i = 0; i < 30; i++)
        area_change();
    if (child == 0)
        _exit(0);
    end_somehow();
}

/* ---- exec and exit beside threads that make processes ---- */

static int child_ends(void *unused)
{
    return unused != NULL;
}

static void *processes_make(void *unused)
{
    static const int flags[] = {
        0,
        CLONE_FILES,
        CLONE_FS,
        CLONE_PARENT,
        CLONE_VM | CLONE_VFORK,
        CLONE_VM,
        CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND,
        CLONE_VM | CLONE_FILES | CLONE_FS | CLONE_SIGHAND | CLONE_THREAD,
        CLONE_VM | CLONE_VFORK | CLONE_PARENT | CLONE_FILES,
        CLONE_FILES | CLONE_VFORK,
    };
    char *stack =
        mmap(NULL, STACK_BYTES, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    for (;;) {
        int which = (int)random_below(COUNT(flags) + 1);

        if (which == COUNT(flags)) {
            pid_t child = fork();

            if (child == 0)
                _exit(0);
        } else {
            /* Two at once may stand on the stack; then one of them faults, which is as good. */
            clone(child_ends, stack + STACK_BYTES, flags[which] | SIGCHLD * !(which == 7), NULL);
        }
        while (waitpid(-1, NULL, WNOHANG | __WALL) > 0)
            ;
    }
    return unused;
}

static void *execute_soon(void *unused)
{
    pause_a_little();
    execute(EXECUTED, 0);
    return unused;
}

static void exec_while_siblings_make_processes(void)
{
    for (int i = 0; i < 3; i++)
        thread_start(processes_make, NULL);
    thread_start(execute_soon, NULL);
    pause_a_little();
    end_somehow();
}

static void exec_of_several_threads_at_once(void)
{
    for (int i = 0; i < 6; i++)
        thread_start(execute_soon, NULL);
    switch (random_below(4)) {
    case 0:
        syscall(SYS_exit, 0); /* the leader is a zombie then */
        break;
    case 1:
        waitpid(-1, NULL, 0);
        break;
    case 2:
        raise(SIGSTOP);
        break;
    default:
        break;
    }
    for (;;)
        pause();
}

/* ---- The end while others are in every call that blocks ---- */

static struct {
    int pipe[2], full[2], sockets[2], listener, event, timer, signals, watch, epoll, file, pty;
    int word;
    pid_t child;
} blocked;

static const struct sockaddr_un listener_name = {.sun_family = AF_UNIX, .sun_path = "\0races"};
#define LISTENER_NAME_BYTES 8

static int lock_file(void)
{
    return open("/tmp/races.lock", O_RDWR | O_CREAT, 0600);
}

static void in_write(void)
{
    (void)!write(blocked.full[1], area, PAGE);
}

static void in_splice(void)
{
    splice(blocked.pipe[0], NULL, blocked.full[1], NULL, PAGE, 0);
}

static void in_poll(void)
{
    poll(&(struct pollfd){.fd = blocked.pipe[0], .events = POLLIN}, 1, -1);
}

static void in_select(void)
{
    fd_set fds;

    FD_ZERO(&fds);
    FD_SET(blocked.pipe[0], &fds);
    select(blocked.pipe[0] + 1, &fds, NULL, NULL, NULL);
}

static void in_epoll_wait(void)
{
    struct epoll_event event;

    epoll_wait(blocked.epoll, &event, 1, -1);
}

static void in_futex(void)
{
    syscall(SYS_futex, &blocked.word, FUTEX_WAIT, 0, NULL, NULL, 0);
}

static void in_futex_lock_pi(void)
{
    syscall(SYS_futex, &blocked.word + 1, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
}

static void in_nanosleep(void)
{
    nanosleep(&(struct timespec){1000, 0}, NULL);
}

static void in_sigtimedwait(void)
{
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigtimedwait(&set, NULL, NULL);
}

static void in_sigsuspend(void)
{
    sigset_t none;

    sigemptyset(&none);
    sigsuspend(&none);
}

static void in_pause(void)
{
    pause();
}

static void in_waitpid(void)
{
    waitpid(blocked.child, NULL, 0);
}

static void in_vfork(void)
{
    if (vfork() == 0) {
        for (;;)
            pause();
    }
}

static void in_flock(void)
{
    flock(lock_file(), LOCK_EX);
}

static void in_range_lock(void)
{
    fcntl(lock_file(), F_OFD_SETLKW, &(struct flock){.l_type = F_WRLCK});
}

static void in_accept(void)
{
    accept(blocked.listener, NULL, NULL);
}

static void in_connect(void)
{
    connect(socket(AF_UNIX, SOCK_STREAM, 0), (const struct sockaddr *)&listener_name,
            LISTENER_NAME_BYTES);
}

static void in_open_of_fifo(void)
{
    close(open("/tmp/races.fifo", O_RDONLY));
}

static void (*const blocking_calls[])(void) = {
    in_write,         in_splice,       in_poll,       in_select,  in_epoll_wait, in_futex,
    in_futex_lock_pi, in_nanosleep,    in_pause,      in_waitpid, in_vfork,      in_flock,
    in_range_lock,    in_sigtimedwait, in_sigsuspend, in_accept,  in_connect,    in_open_of_fifo};

/* Files from which nothing ever comes. */
static const int *const silent_files[] = {&blocked.pipe[0], &blocked.sockets[0], &blocked.event,
                                          &blocked.timer,   &blocked.signals,    &blocked.watch,
                                          &blocked.pty};

static void *block_in_call(void *call)
{
    for (;;)
        (*(void (*const *)(void))call)();
    return NULL;
}

static void *sleep_on(void *unused)
{
    for (;;)
        in_nanosleep();
    return unused;
}

static void *block_in_read(void *file)
{
    char bytes[PAGE];

    for (;;)
        (void)!read(*(const int *)file, bytes, sizeof(bytes));
    return NULL;
}

static void blocked_prepare(void)
{
    struct epoll_event event = {.events = EPOLLIN};
    sigset_t set;

    sigemptyset(&set);
    sigaddset(&set, SIGUSR2);
    sigprocmask(SIG_BLOCK, &set, NULL);
    area = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    (void)!pipe(blocked.pipe);
    (void)!pipe2(blocked.full, O_NONBLOCK);
    while (write(blocked.full[1], area, PAGE) > 0)
        ;
    fcntl(blocked.full[1], F_SETFL, 0);
    socketpair(AF_UNIX, SOCK_STREAM, 0, blocked.sockets);
    blocked.listener = socket(AF_UNIX, SOCK_STREAM, 0);
    bind(blocked.listener, (const struct sockaddr *)&listener_name, LISTENER_NAME_BYTES);
    listen(blocked.listener, 0);
    blocked.event = eventfd(0, 0);
    blocked.timer = timerfd_create(CLOCK_MONOTONIC, 0);
    blocked.signals = signalfd(-1, &set, 0);
    blocked.watch = inotify_init();
    inotify_add_watch(blocked.watch, "/tmp", IN_DELETE_SELF);
    blocked.epoll = epoll_create1(0);
    epoll_ctl(blocked.epoll, EPOLL_CTL_ADD, blocked.pipe[0], &event);
    mkfifo("/tmp/races.fifo", 0600);
    blocked.pty = posix_openpt(O_RDWR | O_NOCTTY);
    blocked.child = fork();
    if (blocked.child == 0) {
        for (;;)
            pause();
    }
}

static void block_everywhere(void)
{
    blocked_prepare();
    for (int i = 0; i < COUNT(blocking_calls); i++)
        thread_start(block_in_call, (void *)&blocking_calls[i]);
    for (int i = 0; i < COUNT(silent_files); i++)
        thread_start(block_in_read, (void *)silent_files[i]);
}

static void end_while_others_block_in_each_call(void)
{
    block_everywhere();
    pause_a_little();
    end_somehow();
}

static void fork_and_end_while_others_block(void)
{
    block_everywhere();
    thread_start(processes_make, NULL);
    thread_start(execute_soon, NULL);
    pause_a_little();
    end_somehow();
}

/* ---- Descriptors that are closed under those who block on them ---- */

static void *descriptors_close(void *unused)
{
    for (;;) {
        int fd = 3 + (int)random_below(30);

        if (random_below(3))
            close(fd);
        else
            dup2(3 + (int)random_below(30), fd);
        if (random_below(8) == 0)
            (void)!write(blocked.pipe[1], "x", 1); /* which may be the full one by now */
        sched_yield();
    }
    return unused;
}

static void descriptors_close_under_those_who_block(void)
{
    block_everywhere();
    for (int i = 0; i < 3; i++)
        thread_start(descriptors_close, NULL);
    for (int i = 0; i < 4; i++)
        pause_a_little();
    end_somehow();
}

/* ---- Stops, and timers, beside exec and exit ---- */

/* What EXEC_CHAIN runs: threads, and another program until the number is 0. */
static void chain_run(int left)
{
    struct itimerval often = {{0, 500}, {0, 500}};

    signal(SIGALRM, SIG_IGN);
    signal(SIGVTALRM, SIG_IGN);
    signal(SIGPROF, SIG_IGN);
    setitimer(ITIMER_REAL, &often, NULL);
    setitimer(ITIMER_VIRTUAL, &often, NULL);
    setitimer(ITIMER_PROF, &often, NULL);
    if (left == 0)
        _exit(0);
    thread_start(sleep_on, NULL);
    if (random_below(2))
        execute(EXEC_CHAIN, left - 1);
    area = (char *)(intptr_t)(left - 1);
    thread_start(execute_soon, NULL); /* ends the chain from another thread */
    syscall(SYS_exit, 0);
}

static void stops_and_continues_beside_exec_and_exit(void)
{
    pid_t child = fork();
    int status;

    if (child == 0) {
        setpgid(0, 0);
        execute(EXEC_CHAIN, 6);
    }
    for (int i = 0; i < 60; i++) {
        kill(child, random_below(2) ? SIGSTOP : SIGCONT);
        if (random_below(4) == 0)
            kill(-child, random_below(2) ? SIGTSTP : SIGCONT);
        nanosleep(MICROSECONDS(random_below(300)), NULL);
        while (waitpid(child, &status, WNOHANG | WUNTRACED | WCONTINUED) > 0)
            if (WIFEXITED(status) || WIFSIGNALED(status))
                _exit(0);
    }
    do {
        kill(child, SIGCONT);
        nanosleep(MICROSECONDS(200), NULL);
    } while (waitpid(child, &status, WNOHANG) == 0);
}

static void *timers_make(void *unused)
{
    for (;;) {
        struct sigevent event = {.sigev_notify = random_below(2) ? SIGEV_SIGNAL : SIGEV_THREAD_ID,
                                 .sigev_signo = random_below(2) ? SIGALRM : SIGRTMIN + 3};
        struct itimerspec often = {{0, 50000}, {0, 1 + random_below(100000)}};
        int timer;

        ((int *)&event)[4] = (int)syscall(SYS_gettid); /* sigev_notify_thread_id */
        if (syscall(SYS_timer_create, random_below(4), &event, &timer) == 0) {
            syscall(SYS_timer_settime, timer, 0, &often, NULL);
            if (random_below(2))
                syscall(SYS_timer_delete, timer);
        }
        if (random_below(16) == 0)
            syscall(SYS_exit, 0);
    }
    return unused;
}

static void timers_fire_during_exec_and_exit(void)
{
    signal(SIGALRM, SIG_IGN);
    signal(SIGRTMIN + 3, SIG_IGN);
    for (int i = 0; i < 6; i++)
        thread_start(timers_make, NULL);
    pause_a_little();
    end_somehow();
}

/* ---- Ids ---- */

static void *ids_change(void *unused)
{
    gid_t groups[64];

    for (int i = 0; i < 64; i++)
        groups[i] = (gid_t)random_below(1000);
    for (;;) {
        uid_t uid = 60000 + random_below(4);

        syscall(SYS_setresuid, -1, uid, 0);
        syscall(SYS_setfsuid, uid);
        close(open("/proc/self/status", O_RDONLY));
        access("/tmp", W_OK);
        kill(getppid(), 0);
        syscall(SYS_setresuid, -1, 0, 0);
        syscall(SYS_setgroups, random_below(64), groups);
        prctl(PR_SET_DUMPABLE, random_below(2));
    }
    return unused;
}

static void ids_change_beside_those_who_use_them(void)
{
    for (int i = 0; i < 4; i++)
        thread_start(ids_change, NULL);
    thread_start(processes_make, NULL);
    for (int i = 0; i < 40; i++) {
        char path[64];

        snprintf(path, sizeof(path), "/proc/%d/environ", getppid());
        close(open(path, O_RDONLY));
        sched_yield();
    }
    end_somehow();
}

/* ---- Waiting ---- */

#define CHILDREN 20

static int reaped;

static void *children_reap(void *how)
{
    siginfo_t info;
    pid_t child;

    for (;;) {
        if ((intptr_t)how == 1)
            waitid(P_ALL, 0, &info, WEXITED | WNOWAIT);
        child = waitpid((intptr_t)how == 2 ? 0 : -1, NULL, (intptr_t)how == 3 ? WNOHANG : 0);
        if (child > 0)
            __atomic_fetch_add(&reaped, 1, __ATOMIC_SEQ_CST);
        if (child <= 0)
            nanosleep(MICROSECONDS(50), NULL);
    }
    return NULL;
}

static void children_are_reaped_once_by_several_threads(void)
{
    for (intptr_t how = 0; how < 5; how++)
        thread_start(children_reap, (void *)how);
    for (int i = 0; i < CHILDREN; i++) {
        pid_t child;

        while ((child = fork()) < 0)
            sched_yield();
        if (child == 0)
            _exit(0);
    }
    while (__atomic_load_n(&reaped, __ATOMIC_SEQ_CST) < CHILDREN)
        nanosleep(MICROSECONDS(100), NULL);
    nanosleep(MICROSECONDS(300), NULL);
    _exit(__atomic_load_n(&reaped, __ATOMIC_SEQ_CST) == CHILDREN ? 0 : 7);
}

static pid_t volatile pid_that_ends;

static void *pidfd_use(void *unused)
{
    for (;;) {
        int fd = (int)syscall(SYS_pidfd_open, pid_that_ends, 0);
        struct pollfd polled = {.fd = fd, .events = POLLIN};
        siginfo_t info;

        if (fd < 0)
            continue;
        syscall(SYS_pidfd_send_signal, fd, random_below(2) ? 0 : SIGCONT, NULL, 0);
        close((int)syscall(SYS_pidfd_getfd, fd, 0, 0));
        poll(&polled, 1, 1);
        waitid((idtype_t)3 /* P_PIDFD */, (id_t)fd, &info, WEXITED | WNOHANG);
        close(fd);
    }
    return unused;
}

static void process_descriptors_race_the_end(void)
{
    for (int i = 0; i < 3; i++)
        thread_start(pidfd_use, NULL);
    for (int i = 0; i < 15; i++) {
        pid_t child = fork();

        if (child == 0) {
            thread_start(sleep_on, NULL);
            _exit(0);
        }
        pid_that_ends = child;
        if (random_below(2))
            waitpid(child, NULL, 0);
    }
    end_somehow();
}

/* ---- What a thread leaves in memory when it ends ---- */

static void *end_with_lists(void *unused)
{
    struct {
        void *next;
        long offset;
        void *pending;
    } *head = (void *)(area + random_below(PAGE / 32) * 32);
    char *rseq = area + PAGE + random_below(PAGE / 32) * 32;

    head->next = random_below(3) ? (void *)head : (void *)(area + random_below(4 * PAGE));
    head->offset = (long)random_below(64) * 4 - 128;
    head->pending = random_below(2) ? NULL : area + random_below(4 * PAGE);
    syscall(SYS_set_robust_list, head, sizeof(*head));
    syscall(SYS_set_tid_address, area + random_below(5 * PAGE));
    syscall(SYS_rseq, rseq, 32, 0, 0x53053053);
    syscall(SYS_futex, area + random_below(PAGE) / 4 * 4, FUTEX_LOCK_PI, 0, MICROSECONDS(50), NULL,
            0);
    if (random_below(3) == 0)
        munmap(area + random_below(5) * PAGE, PAGE);
    sched_yield();
    syscall(SYS_exit, 0);
    return unused;
}

static void threads_end_with_lists_in_memory_that_goes(void)
{
    for (int i = 0; i < 30; i++) {
        area = mmap(NULL, 5 * PAGE, PROT_READ | PROT_WRITE,
                    MAP_ANONYMOUS | (random_below(2) ? MAP_SHARED : MAP_PRIVATE), -1, 0);
        for (int j = 0; j < 4; j++)
            thread_start(end_with_lists, NULL);
        if (random_below(4) == 0)
            madvise(area, 5 * PAGE, MADV_DONTNEED);
    }
    end_somehow();
}

/* ---- Killed half-way ---- */

static void clones_are_killed_half_way(void)
{
    pid_t child = fork();

    if (child == 0) {
        setpgid(0, 0);
        for (int i = 0; i < 3; i++)
            thread_start(processes_make, NULL);
        for (;;)
            pause();
    }
    setpgid(child, child);
    pause_a_little();
    kill(random_below(2) ? child : -child, SIGKILL);
    waitpid(child, NULL, 0);
}

/* ---- The rounds ---- */

static const struct race {
    const char *name;
    void (*run)(void);
} races[] = {
#define RACE(function)      \
    {                       \
#function, function \
    }
    RACE(memory_goes_while_calls_use_it),
    RACE(exec_while_siblings_make_processes),
    RACE(exec_of_several_threads_at_once),
    RACE(end_while_others_block_in_each_call),
    RACE(fork_and_end_while_others_block),
    RACE(descriptors_close_under_those_who_block),
    RACE(stops_and_continues_beside_exec_and_exit),
    RACE(timers_fire_during_exec_and_exit),
    RACE(ids_change_beside_those_who_use_them),
    RACE(children_are_reaped_once_by_several_threads),
    RACE(process_descriptors_race_the_end),
    RACE(threads_end_with_lists_in_memory_that_goes),
    RACE(clones_are_killed_half_way),
#undef RACE
};

static const char *race_name;

static void print_file(const char *path)
{
    char text[1024];
    int file = open(path, O_RDONLY);
    ssize_t bytes = file < 0 ? -1 : read(file, text, sizeof(text) - 1);

    close(file);
    if (bytes > 0) {
        text[bytes] = '\0';
        printf("    %s: %s\n", path, text);
    }
}

/* Where everybody is who should be gone. */
static void hang_tell(int signal)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;
    char path[300];

    printf("FAIL %s: a round does not end\n", race_name);
    while (directory && (entry = readdir(directory))) {
        if (atoi(entry->d_name) <= getpid())
            continue;
        snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
        print_file(path);
        snprintf(path, sizeof(path), "/proc/%s/stack", entry->d_name);
        print_file(path);
    }
    fflush(stdout);
    _exit(1);
}

/* Our children, and with the next call theirs: we are their subreaper. */
static void children_kill(void)
{
    DIR *directory = opendir("/proc");
    struct dirent *entry;

    while (directory && (entry = readdir(directory))) {
        char path[300], text[512] = "", *end;
        int file, parent;

        snprintf(path, sizeof(path), "/proc/%s/stat", entry->d_name);
        file = atoi(entry->d_name) ? open(path, O_RDONLY) : -1;
        if (file < 0)
            continue;
        end = read(file, text, sizeof(text) - 1) > 0 ? strrchr(text, ')') : NULL;
        close(file);
        if (end && sscanf(end + 1, " %*c %d", &parent) == 1 && parent == getpid())
            kill(atoi(entry->d_name), SIGKILL);
    }
    if (directory)
        closedir(directory);
}

/* Runs one round. Returns 0, or 1: it failed. */
static int round_run(const struct race *race)
{
    int status, failed = 0;
    pid_t child;

    alarm(ROUND_LIMIT_S);
    child = fork();
    if (child == 0) {
        setpgid(0, 0);
        race->run();
        _exit(0);
    }
    while (waitpid(child, &status, WUNTRACED) == child && WIFSTOPPED(status))
        kill(child, SIGCONT);
    if (WIFEXITED(status) && WEXITSTATUS(status) == 7)
        failed = 1;
    do /* those that it left are ours now */
        children_kill();
    while (waitpid(-1, NULL, __WALL) > 0 || errno != ECHILD);
    alarm(0);
    return failed;
}

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return (double)time.tv_sec + (double)time.tv_nsec / 1e9;
}

static int race_run(const struct race *race, double seconds)
{
    double end = now() + seconds;
    int rounds = 0, failed = 0;

    race_name = race->name;
    do {
        failed |= round_run(race);
        rounds++;
    } while (!failed && now() < end);
    printf("%s %s: %d rounds\n", failed ? "FAIL" : "ok", race->name, rounds);
    fflush(stdout);
    return failed;
}

static int is_wanted(const struct race *race, char **names, int count)
{
    for (int i = 0; i < count; i++)
        if (strcmp(names[i], race->name) == 0)
            return 1;
    return count == 0;
}

int main(int argc, char **argv)
{
    int failed = 0, wanted = 0;

    own_path = argv[0];
    if (argc == 3 && strcmp(argv[1], EXECUTED) == 0)
        return 0;
    if (argc == 3 && strcmp(argv[1], EXEC_CHAIN) == 0)
        chain_run(atoi(argv[2]));
    if (argc == 2 && strcmp(argv[1], "--list") == 0) {
        for (int i = 0; i < COUNT(races); i++)
            puts(races[i].name);
        return 0;
    }
    if (argc < 2)
        return 2;
    prctl(PR_SET_CHILD_SUBREAPER, 1);
    signal(SIGALRM, hang_tell);
    for (int i = 0; i < COUNT(races); i++)
        wanted += is_wanted(&races[i], argv + 2, argc - 2);
    for (int i = 0; i < COUNT(races); i++)
        if (is_wanted(&races[i], argv + 2, argc - 2))
            failed |= race_run(&races[i], atof(argv[1]) / wanted);
    return failed;
}
