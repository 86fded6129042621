/*
 * Random system calls by an unprivileged user: nothing may break but the processes that make them.
 *
 *     fuzz_calls [--seed N] [--calls N] [--workers N] [--verbose]
 *
 * The calls come in slices, each a process with two threads that race on one set of descriptors and
 * pages. A slice's calls follow from its seed, which is printed when it ends in a way that it must
 * not; `--seed THAT --calls 1` runs it again. Half of a slice's arguments have the kind that the
 * kernel's table names (a descriptor of some kind, a page's edge, a path, a huge length), the
 * others are any number. Slices that wait are interrupted by a timer, and killed when that does not
 * help: one that does not die is a hang, and the fuzzer ends with 1.
 *
 * At the end come the number of different calls that succeeded, and what the kernel's own files say
 * is in use, before and after, with its caches emptied: an object or frame more is a leak.
 */
#define _GNU_SOURCE
#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <sys/eventfd.h>
#include <sys/mman.h>
#include <sys/mount.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <sys/wait.h>
#include <unistd.h>

#include "arguments.h"
#include "use.h"

#define CALLS_A_SLICE  250
#define SLICE_SECONDS  2  /* then it is killed: it waits with the timer's signal blocked */
#define DEATH_SECONDS  60 /* after that it hangs */
#define TURN_SECONDS   10
#define TIMER_MS       20 /* interrupts what waits */
#define FUZZ_USER      65534
#define WORKERS_MAX    16
#define SYSCALLS_MAX   512
#define ARGUMENTS      6
#define PROGRESS_PARTS 10
#define STATUS_NO_ROOM 3 /* of a slice that got no thread */

static const struct call {
    int number;
    const char *name;
    enum argument arguments[ARGUMENTS];
} calls[] = {
#include "calls.h"
};
#define CALLS (sizeof(calls) / sizeof(*calls))

/* Shared with the slices. */
static struct {
    unsigned long made, succeeded[SYSCALLS_MAX];
} * counts;

/* ---- A slice ---- */

static void ignore(int signal)
{
    (void)signal;
}

static void descriptors_open(void)
{
    int pair[2], epoll = epoll_create1(0);
    struct epoll_event event = {.events = EPOLLIN};

    open("file", O_RDWR);
    open("file", O_RDONLY);
    open(".", O_RDONLY | O_DIRECTORY);
    open("file", O_PATH);
    open("/proc/self", O_RDONLY);
    open("/dev/zero", O_RDWR);
    open("/dev/ptmx", O_RDWR | O_NOCTTY);
    open("fifo", O_RDWR);
    open(".", O_TMPFILE | O_RDWR, 0600);
    if (pipe(pair) == 0)
        epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);
    pipe2(pair, O_NONBLOCK);
    if (socketpair(AF_UNIX, SOCK_STREAM, 0, pair) == 0)
        epoll_ctl(epoll, EPOLL_CTL_ADD, pair[0], &event);
    socketpair(AF_UNIX, SOCK_DGRAM, 0, pair);
    socket(AF_UNIX, SOCK_SEQPACKET, 0);
    eventfd(1, 0);
    memfd_create("fuzz", MFD_ALLOW_SEALING);
    syscall(SYS_timerfd_create, CLOCK_MONOTONIC, 0);
    syscall(SYS_inotify_init1, 0);
    syscall(SYS_pidfd_open, getpid(), 0);
    syscall(SYS_signalfd4, -1, &(uint64_t){0xff}, 8, 0);
}

static void files_make(void)
{
    int file = open("file", O_RDWR | O_CREAT | O_TRUNC, 0644);

    if (file >= 0 && ftruncate(file, 5 * PAGE + 100) == 0)
        close(file);
    mkdir("directory", 0755);
    symlink("file", "link");
    symlink("loop", "loop");
    mkfifo("fifo", 0644);
}

static void limits_set(void)
{
    static const struct {
        int resource;
        rlim_t limit;
    } limits[] = {
        {RLIMIT_AS, 512ul << 20},    {RLIMIT_FSIZE, 16ul << 20},       {RLIMIT_NPROC, 64},
        {RLIMIT_CPU, SLICE_SECONDS}, {RLIMIT_NOFILE, DESCRIPTORS_MAX}, {RLIMIT_CORE, 0},
    };

    for (unsigned i = 0; i < sizeof(limits) / sizeof(*limits); i++)
        setrlimit(limits[i].resource, &(struct rlimit){limits[i].limit, limits[i].limit});
}

static void call_make(void)
{
    const struct call *call = &calls[below(CALLS)];
    uint64_t a[ARGUMENTS];
    long result;

    for (int i = 0; i < ARGUMENTS; i++)
        a[i] = argument(call->arguments[i]);
    __atomic_fetch_add(&counts->made, 1, __ATOMIC_RELAXED);
    result = syscall(call->number, a[0], a[1], a[2], a[3], a[4], a[5]);
    if (result != -1)
        __atomic_fetch_add(&counts->succeeded[call->number], 1, __ATOMIC_RELAXED);
}

static void *calls_make(void *argument)
{
    random_state = *(uint64_t *)argument;
    for (int i = 0; i < CALLS_A_SLICE / 2; i++)
        call_make();
    return NULL;
}

static void slice_run(uint64_t seed)
{
    static const struct itimerval timer = {{0, TIMER_MS * 1000}, {0, TIMER_MS * 1000}};
    uint64_t seeds[2] = {seed, ~seed};
    pthread_t other;

    int null = open("/dev/null", O_RDWR);

    for (int fd = 0; fd < 3; fd++)
        dup2(null, fd);
    signal(SIGALRM, ignore);
    siginterrupt(SIGALRM, 1);
    setitimer(ITIMER_REAL, &timer, NULL);
    limits_set();
    if (setgroups(0, NULL) || setresgid(FUZZ_USER, FUZZ_USER, FUZZ_USER) ||
        setresuid(FUZZ_USER, FUZZ_USER, FUZZ_USER))
        _exit(2);
    files_make();
    descriptors_open();
    pages = mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    frozen = mmap(NULL, PAGE, PROT_READ, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    munmap(pages + (PAGES - 1) * PAGE, PAGE);
    if (pthread_create(&other, NULL, calls_make, &seeds[1]))
        _exit(STATUS_NO_ROOM);
    calls_make(&seeds[0]);
    pthread_join(other, NULL);
    _exit(0);
}

/* ---- The parent ---- */

static struct worker {
    pid_t pid;
    uint64_t seed;
    double started;
    double killed; /* when, or 0 */
} workers[WORKERS_MAX];

static double now(void)
{
    struct timespec time;

    clock_gettime(CLOCK_MONOTONIC, &time);
    return time.tv_sec + time.tv_nsec / 1e9;
}

static void worker_start(struct worker *worker, uint64_t seed)
{
    *worker = (struct worker){.seed = seed, .started = now()};
    worker->pid = fork();
    if (worker->pid == 0) {
        setsid();
        slice_run(seed);
    }
}

/*
 * All that slices left behind dies, and those that run with it. What they forked outlives them, and
 * fills the user's limit in the end, so that no slice could start its thread any more.
 */
static void user_kill(void)
{
    pid_t killer = fork();

    if (killer == 0) {
        if (setresuid(FUZZ_USER, FUZZ_USER, FUZZ_USER) == 0)
            kill(-1, SIGKILL);
        _exit(0);
    }
    waitpid(killer, NULL, 0);
}

/* Kills slices that are late. Returns whether one did not die of it. */
static int late_kill(int count)
{
    int hang = 0;

    for (int i = 0; i < count; i++) {
        struct worker *worker = &workers[i];

        if (worker->pid <= 0)
            continue;
        if (worker->killed) {
            hang |= now() - worker->killed > DEATH_SECONDS;
        } else if (now() - worker->started > SLICE_SECONDS) {
            kill(worker->pid, SIGKILL);
            worker->killed = now();
        }
    }
    return hang;
}

/* A fuzzer that did not get its turn for so long has found something, or the host is busy. */
static void turn_check(double *last)
{
    double passed = now() - *last;

    if (passed > TURN_SECONDS)
        printf("the fuzzer had no turn for %.0f s\n", passed);
    *last += passed;
}

static void proc_print(const char *folder, const char *name)
{
    char path[64], text[512];
    int file;
    ssize_t bytes;

    snprintf(path, sizeof(path), "%s/%s", folder, name);
    file = open(path, O_RDONLY);
    bytes = file < 0 ? -1 : read(file, text, sizeof(text) - 1);
    if (bytes > 0) {
        text[bytes] = '\0';
        printf("    %s: %s\n", path, text);
    }
    close(file);
}

/* Where the threads of a slice are that does not die. */
static void hang_print(const struct worker *worker)
{
    char path[32], folder[64];
    struct dirent *entry;
    DIR *tasks;

    printf("FAIL hang: seed %llu\n", (unsigned long long)worker->seed);
    snprintf(folder, sizeof(folder), "/proc/%d", worker->pid);
    proc_print(folder, "stat");
    snprintf(path, sizeof(path), "/proc/%d/task", worker->pid);
    tasks = opendir(path);
    while (tasks && (entry = readdir(tasks))) {
        if (entry->d_name[0] == '.')
            continue;
        snprintf(folder, sizeof(folder), "/proc/%d/task/%.10s", worker->pid, entry->d_name);
        proc_print(folder, "stat");
        proc_print(folder, "wchan");
        proc_print(folder, "syscall");
        proc_print(folder, "stack");
    }
    if (tasks)
        closedir(tasks);
}

/* Says after each tenth part how many calls were made; returns at how many to say so again. */
static unsigned long progress_print(unsigned long next_print, unsigned long wanted)
{
    if (counts->made < next_print)
        return next_print;
    printf("%lu of %lu calls\n", counts->made, wanted);
    return next_print + wanted / PROGRESS_PARTS + 1;
}

/* Runs slices until so many calls were made; returns 1 when one could not be ended. */
static int fuzz(uint64_t seed, unsigned long wanted, int count, int verbose)
{
    int running = 0, slices = 0;
    double last_turn = now();
    unsigned long next_print = wanted / PROGRESS_PARTS + 1;

    random_state = seed;
    do {
        int status;
        pid_t ended;

        for (int i = 0; i < count && counts->made < wanted; i++) {
            if (workers[i].pid > 0)
                continue;
            worker_start(&workers[i], slices++ ? next() : seed);
            running += workers[i].pid > 0;
            if (verbose)
                printf("slice %d: seed %llu\n", slices, (unsigned long long)workers[i].seed);
        }
        ended = waitpid(-1, &status, WNOHANG);
        for (int i = 0; i < count; i++) {
            if (ended > 0 && workers[i].pid == ended) {
                workers[i].pid = 0;
                running--;
            }
        }
        if (ended > 0 && WIFEXITED(status) && WEXITSTATUS(status) == STATUS_NO_ROOM)
            user_kill();
        if (ended <= 0)
            usleep(2000);
        turn_check(&last_turn);
        next_print = progress_print(next_print, wanted);
        if (late_kill(count)) {
            for (int i = 0; i < count; i++) {
                if (workers[i].pid > 0 && workers[i].killed)
                    hang_print(&workers[i]);
            }
            return 1;
        }
    } while (running || counts->made < wanted);
    return 0;
}

static uint64_t option(int argc, char **argv, const char *name, uint64_t otherwise)
{
    for (int i = 1; i + 1 < argc; i++) {
        if (!strcmp(argv[i], name))
            return strtoull(argv[i + 1], NULL, 0);
    }
    return otherwise;
}

static void report(void)
{
    unsigned different = 0;

    for (unsigned i = 0; i < CALLS; i++)
        different += counts->succeeded[calls[i].number] > 0;
    printf("calls: %lu made, %u different ones succeeded\n", counts->made, different);
}

int main(int argc, char **argv)
{
    uint64_t seed = option(argc, argv, "--seed", time(NULL));
    unsigned long wanted = option(argc, argv, "--calls", 100000);
    int count = option(argc, argv, "--workers", 8), hung, leaks;
    int verbose = argc > 1 && !strcmp(argv[argc - 1], "--verbose");
    char folder[] = "/tmp/fuzz.XXXXXX";
    static struct use before, after;

    setvbuf(stdout, NULL, _IOLBF, 0);
    counts = mmap(NULL, sizeof(*counts), PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    if (!mkdtemp(folder) || chmod(folder, 0777) || chdir(folder) || count > WORKERS_MAX)
        return 2;
    printf("seed %llu\n", (unsigned long long)seed);
    /* The first round leaves behind what is kept for ever: names in caches, a frame a CPU. */
    hung = fuzz(~seed, wanted / 10, count, verbose);
    user_kill();
    scratch_empty();
    use_read(&before);
    counts->made = 0;
    hung = hung || fuzz(seed, wanted, count, verbose);
    user_kill();
    scratch_empty();
    report();
    use_read(&after);
    leaks = hung ? 0 : use_compare(&before, &after);
    use_print_coverage();
    printf("%s\n", hung || leaks ? "fuzz: wrong" : "fuzz: right");
    return hung || leaks;
}
