/*
 * Stress: processes whose threads do at once all that makes CPUs depend on each other, and check
 * all the time that what they see is possible.
 *
 *     forker       forks; the child checks a copy of memory that stands still, writes to it, ends
 *     counters     count under a mutex: no increment may be lost
 *     writer,      the writer stores a number in a page, then in one that is shared; a reader that
 *     toucher,     sees it in the second must see it in the first, though fork made that one
 *     readers      read-only and the toucher's write to it may have been what copied it
 *     protector    takes rights from its own page and gives them back, with its number in it
 *     numbers      keep numbers in FPU registers and thread-local memory while signals interrupt
 *     wanderer     changes CPUs and priorities of all threads, and sends them signals
 *
 * usage: stress SECONDS [PROCESSES]. Prints `stress: right` and ends with 0; a check that fails
 * says what it saw. A process that does not end a minute after its time is reported as a hang.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <pthread.h>
#include <sched.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/resource.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define PAGE         4096
#define STILL_PAGES  32 /* what a child checks */
#define HANG_SECONDS 60
#define COUNTERS     2
#define READERS      2
#define NUMBERS      2

static atomic_bool over;
static atomic_int failures;
static atomic_ulong forks, counts, writes, protections, rounds, signals;

/* Each in pages of its own, which fork makes read-only together. */
static struct {
    _Alignas(PAGE) _Atomic unsigned long first;
    _Atomic unsigned long touched;
    _Alignas(PAGE) pthread_mutex_t mutex;
    unsigned long counter;
    _Alignas(PAGE) unsigned char still[STILL_PAGES][PAGE];
} memory = {.mutex = PTHREAD_MUTEX_INITIALIZER};

static _Atomic unsigned long *second; /* shared memory */
static unsigned long counted[COUNTERS];

#define THREADS (1 + COUNTERS + 2 + READERS + 1 + NUMBERS + 1)
static _Atomic pid_t tids[THREADS];
static atomic_int started;

static _Thread_local unsigned long own_number;

static void fail(const char *what, unsigned long seen, unsigned long wanted)
{
    if (atomic_fetch_add(&failures, 1) < 20)
        printf("stress: %s: saw %lu, not %lu\n", what, seen, wanted);
    fflush(stdout);
    atomic_store(&over, 1);
}

static void on_signal(int number)
{
    int kept = errno;

    atomic_fetch_add(&signals, 1);
    errno = kept;
}

static void join_in(void)
{
    tids[atomic_fetch_add(&started, 1)] = gettid();
}

/* After every so many rounds a thread rests a moment: CPUs become idle, and threads wake. */
static void rest_sometimes(unsigned *seed, unsigned rounds_between)
{
    if (rand_r(seed) % rounds_between == 0)
        usleep(rand_r(seed) % 1000);
}

/* ---- The parts ---- */

static unsigned char still_value(int page)
{
    return (unsigned char)(page * 37 + 11);
}

static int child_check(void)
{
    for (int page = 0; page < STILL_PAGES; page++) {
        if (memory.still[page][page] != still_value(page))
            return 1;
        memory.still[page][page] = 0; /* the parent must not see it */
    }
    memory.first = 0;
    return 0;
}

static void *forker(void *unused)
{
    join_in();
    while (!over) {
        int status;
        pid_t child = fork();

        if (child == 0)
            _exit(child_check());
        if (child < 0) {
            fail("fork", errno, 0);
            break;
        }
        while (waitpid(child, &status, 0) < 0)
            if (errno != EINTR)
                fail("waitpid", errno, EINTR);
        if (status)
            fail("the status of a child", status, 0);
        for (int page = 0; page < STILL_PAGES; page++)
            if (memory.still[page][page] != still_value(page))
                fail("a page that the child wrote", memory.still[page][page], still_value(page));
        atomic_fetch_add(&forks, 1);
    }
    return unused;
}

static void *counter(void *own)
{
    unsigned seed = gettid();

    join_in();
    while (!over) {
        pthread_mutex_lock(&memory.mutex);
        memory.counter++;
        pthread_mutex_unlock(&memory.mutex);
        ++*(unsigned long *)own;
        atomic_fetch_add(&counts, 1);
        rest_sometimes(&seed, 200);
    }
    return NULL;
}

static void *writer(void *unused)
{
    unsigned seed = gettid();

    join_in();
    for (unsigned long number = 1; !over; number++) {
        atomic_store(&memory.first, number);
        atomic_store(second, number);
        atomic_fetch_add(&writes, 1);
        rest_sometimes(&seed, 1000);
    }
    return unused;
}

static void *toucher(void *unused)
{
    unsigned seed = gettid();

    join_in();
    while (!over) {
        atomic_fetch_add(&memory.touched, 1);
        rest_sometimes(&seed, 1000);
    }
    return unused;
}

static void *reader(void *unused)
{
    unsigned seed = gettid();

    join_in();
    while (!over) {
        unsigned long told = atomic_load(second), first = atomic_load(&memory.first);

        if (first < told)
            fail("a page of before a write that was told of", first, told);
        rest_sometimes(&seed, 1000);
    }
    return unused;
}

static void *protector(void *unused)
{
    volatile unsigned long *page =
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

    join_in();
    for (unsigned long number = 0; !over; number++) {
        *page = number;
        if (mprotect((void *)page, PAGE, PROT_READ))
            fail("mprotect", errno, 0);
        if (*page != number)
            fail("a page whose rights changed", *page, number);
        if (mprotect((void *)page, PAGE, PROT_READ | PROT_WRITE))
            fail("mprotect", errno, 0);
        if (number % 16 == 0)
            madvise((void *)page, PAGE, MADV_DONTNEED);
        atomic_fetch_add(&protections, 1);
    }
    return unused;
}

static void *numbers(void *unused)
{
    unsigned seed = gettid();

    join_in();
    for (unsigned long number = 1; !over; number++) {
        double value = (double)number;
        unsigned long seen;

        own_number = number;
        /* In a register over so many instructions that signals and switches come in between. */
        for (int i = 0; i < 1000; i++)
            __asm__ volatile("" : "+x"(value));
        seen = (unsigned long)value;
        if (seen != number)
            fail("a number in an FPU register", seen, number);
        if (own_number != number)
            fail("thread-local memory", own_number, number);
        atomic_fetch_add(&rounds, 1);
        rest_sometimes(&seed, 50);
    }
    return unused;
}

static void *wanderer(void *unused)
{
    unsigned seed = getpid();
    long cpus = sysconf(_SC_NPROCESSORS_CONF);

    join_in();
    while (!over) {
        pid_t target = tids[rand_r(&seed) % THREADS];
        cpu_set_t set;

        CPU_ZERO(&set);
        CPU_SET(rand_r(&seed) % cpus, &set);
        if (rand_r(&seed) % 2)
            for (long cpu = 0; cpu < cpus; cpu++)
                CPU_SET(cpu, &set);
        if (!target)
            continue;
        if (sched_setaffinity(target, sizeof(set), &set))
            fail("sched_setaffinity", errno, 0);
        setpriority(PRIO_PROCESS, target, rand_r(&seed) % 10);
        syscall(SYS_tgkill, getpid(), target, SIGUSR1);
        rest_sometimes(&seed, 4);
    }
    return unused;
}

/* ---- One process ---- */

static void start(pthread_t *thread, void *(*run)(void *), void *argument)
{
    int error = pthread_create(thread, NULL, run, argument);

    if (error) {
        printf("stress: pthread_create: %s\n", strerror(error));
        exit(2);
    }
}

static int process_run(unsigned seconds)
{
    struct timespec rest = {.tv_sec = seconds};
    struct sigaction action = {.sa_handler = on_signal, .sa_flags = SA_RESTART};
    pthread_t threads[THREADS];
    unsigned long sum = 0;
    int count = 0;

    second = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    sigaction(SIGUSR1, &action, NULL);
    for (int page = 0; page < STILL_PAGES; page++)
        memory.still[page][page] = still_value(page);
    start(&threads[count++], forker, NULL);
    for (int i = 0; i < COUNTERS; i++)
        start(&threads[count++], counter, &counted[i]);
    start(&threads[count++], writer, NULL);
    start(&threads[count++], toucher, NULL);
    for (int i = 0; i < READERS; i++)
        start(&threads[count++], reader, NULL);
    start(&threads[count++], protector, NULL);
    for (int i = 0; i < NUMBERS; i++)
        start(&threads[count++], numbers, NULL);
    start(&threads[count++], wanderer, NULL);
    nanosleep(&rest, NULL);
    atomic_store(&over, 1);
    for (int i = 0; i < count; i++)
        pthread_join(threads[i], NULL);
    for (int i = 0; i < COUNTERS; i++)
        sum += counted[i];
    if (memory.counter != sum)
        fail("a counter under a mutex", memory.counter, sum);
    printf("stress: %lu forks, %lu counts, %lu writes, %lu protections, %lu rounds, %lu signals\n",
           forks, counts, writes, protections, rounds, signals);
    return failures != 0;
}

/* ---- All of them ---- */

int main(int argc, char **argv)
{
    unsigned seconds = argc > 1 ? atoi(argv[1]) : 10;
    int processes = argc > 2 ? atoi(argv[2]) : 2, wrong = 0, status;
    struct sigaction hang = {.sa_handler = on_signal};

    sigaction(SIGALRM, &hang, NULL);
    for (int i = 0; i < processes; i++)
        if (fork() == 0)
            exit(process_run(seconds));
    alarm(seconds + HANG_SECONDS);
    for (int i = 0; i < processes; i++) {
        if (wait(&status) < 0) {
            printf("stress: hang: %d processes have not ended\n", processes - i);
            return 3;
        }
        if (status) {
            printf("stress: a process ended with %#x\n", status);
            wrong = 1;
        }
    }
    printf("stress: %s\n", wrong ? "wrong" : "right");
    return wrong;
}
