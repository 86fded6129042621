/*
 * What is counted of time and faults: nothing goes backwards, and each thread has its own.
 *
 * User and system time are samples of an exact sum, so a program sees them change in steps; it must
 * never see one shrink, whatever it does between two looks. No clock on the wall is asked.
 *
 * covers: getrusage wait4
 */
#include "guest.h"

#include <pthread.h>
#include <sys/resource.h>

#define PAGES 256

static long long us_of(struct timeval time)
{
    return time.tv_sec * 1000000ll + time.tv_usec;
}

/* ---- Times ---- */

/* Looks at who's times, which are not before the last ones. */
static struct rusage look_again(int who, const struct rusage *last)
{
    struct rusage now;

    CHECK_OK(getrusage(who, &now));
    CHECK_GE(us_of(now.ru_utime), us_of(last->ru_utime));
    CHECK_GE(us_of(now.ru_stime), us_of(last->ru_stime));
    return now;
}

static void compute_in_user_mode(void)
{
    for (volatile int i = 0; i < 20000; i++)
        ;
}

static void compute_in_the_kernel(void)
{
    static char buffer[64 * 1024];
    int fd = CHECK_OK(open("/dev/zero", O_RDONLY | O_CLOEXEC));

    for (int i = 0; i < 4; i++)
        CHECK_EQ(read(fd, buffer, sizeof(buffer)), sizeof(buffer));
    CHECK_OK(close(fd));
}

TEST(user_and_system_time_never_go_backwards_when_a_thread_changes_what_it_does)
{
    struct rusage process = {}, thread = {};

    for (int phase = 0; phase < 8; phase++) {
        long long begin_us = us_of(process.ru_utime) + us_of(process.ru_stime), now_us;

        do {
            if (phase % 2)
                compute_in_the_kernel();
            else
                compute_in_user_mode();
            thread = look_again(RUSAGE_THREAD, &thread);
            process = look_again(RUSAGE_SELF, &process);
            now_us = us_of(process.ru_utime) + us_of(process.ru_stime);
        } while (now_us < begin_us + 25000);
    }
}

static void *compute_and_end(void *argument)
{
    for (int i = 0; i < 100; i++)
        compute_in_user_mode();
    return NULL;
}

TEST(times_of_a_process_do_not_go_backwards_when_its_threads_end)
{
    struct rusage process = {};

    for (int i = 0; i < 10; i++) {
        pthread_t thread;

        CHECK_EQ(pthread_create(&thread, NULL, compute_and_end, NULL), 0);
        for (int look = 0; look < 100; look++)
            process = look_again(RUSAGE_SELF, &process);
        CHECK_EQ(pthread_join(thread, NULL), 0);
        process = look_again(RUSAGE_SELF, &process);
    }
}

TEST(times_of_cpus_do_not_go_backwards)
{
    long long last[3] = {0}, now[3];
    static char text[8192];
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        CHECK_OK(nice(5));
        for (;;) {
            compute_in_user_mode();
            compute_in_the_kernel();
        }
    }
    for (int look = 0; look < 50; look++) {
        CHECK_EQ(sscanf(read_file("/proc/stat", text, sizeof(text)), "cpu %lld %lld %lld", &now[0],
                        &now[1], &now[2]),
                 3);
        for (int column = 0; column < 3; column++) {
            CHECK_GE(now[column], last[column]);
            last[column] = now[column];
        }
        sleep_ms(2);
    }
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

/* ---- Faults ---- */

static long faults_of(int who)
{
    struct rusage usage;

    CHECK_OK(getrusage(who, &usage));
    return usage.ru_minflt;
}

/* Faults of writing to new pages, one by one. */
static void touch_pages(void)
{
    char *memory = (char *)CHECK_OK(
        mmap(NULL, PAGES * PAGE, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0));

    (void)madvise(memory, PAGES * PAGE, MADV_NOHUGEPAGE);
    for (int i = 0; i < PAGES; i++)
        memory[i * PAGE] = 1;
    CHECK_OK(munmap(memory, PAGES * PAGE));
}

/* Field 10 of a stat file; the first two are a number and a name in parentheses. */
static long faults_in(const char *path)
{
    char text[1024], *after;
    long faults;

    after = strrchr(read_file(path, text, sizeof(text)), ')');
    CHECK(after);
    CHECK_EQ(sscanf(after + 1, " %*c %*d %*d %*d %*d %*d %*u %ld", &faults), 1);
    return faults;
}

static long thread_faults; /* what touch_and_wait's thread had */
static int touched[2], end[2];

static void *touch_and_wait(void *argument)
{
    char path[64], byte;

    touch_pages();
    thread_faults = faults_of(RUSAGE_THREAD);
    snprintf(path, sizeof(path), "/proc/self/task/%ld/stat", syscall(SYS_gettid));
    CHECK_GE(faults_in(path), thread_faults);
    CHECK_EQ(write(touched[1], "", 1), 1);
    CHECK_EQ(read(end[0], &byte, 1), 1);
    return NULL;
}

TEST(minor_faults_are_the_threads_that_had_them_and_stay_the_processs)
{
    char path[64], byte;
    long own, all;
    pthread_t thread;

    CHECK_OK(pipe(touched));
    CHECK_OK(pipe(end));
    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", getpid());
    own = faults_of(RUSAGE_THREAD);
    CHECK_EQ(pthread_create(&thread, NULL, touch_and_wait, NULL), 0);
    CHECK_EQ(read(touched[0], &byte, 1), 1);
    CHECK_GT(thread_faults, PAGES / 8);
    CHECK_LT(faults_of(RUSAGE_THREAD) - own, thread_faults);
    CHECK_LT(faults_in(path) - own, thread_faults);
    all = faults_of(RUSAGE_SELF);
    CHECK_GE(all, own + thread_faults);
    CHECK_GE(faults_in("/proc/self/stat"), all);
    CHECK_EQ(write(end[1], "", 1), 1);
    CHECK_EQ(pthread_join(thread, NULL), 0);
    CHECK_GE(faults_of(RUSAGE_SELF), all);
}

TEST(faults_of_a_vforked_child_are_its_own)
{
    long own = faults_of(RUSAGE_SELF);
    struct rusage usage;
    int status;
    pid_t child = CHECK_OK(vfork());

    if (child == 0) {
        touch_pages();
        execl("/none", "none", NULL);
        _exit(3);
    }
    CHECK_EQ(wait4(child, &status, 0, &usage), child);
    CHECK_EQ(status, 3 << 8);
    CHECK_GT(usage.ru_minflt, PAGES / 8);
    CHECK_LT(faults_of(RUSAGE_SELF) - own, usage.ru_minflt);
}

TEST(exec_keeps_the_faults_of_the_program_before)
{
    struct rusage usage;
    int fds[2], status;
    long before;
    pid_t child;

    CHECK_OK(pipe2(fds, O_CLOEXEC));
    child = CHECK_OK(fork());
    if (child == 0) {
        for (int i = 0; i < 8; i++)
            touch_pages();
        before = faults_of(RUSAGE_SELF);
        CHECK_EQ(write(fds[1], &before, sizeof(before)), sizeof(before));
        close(STDOUT_FILENO);
        execl("/proc/self/exe", "test_accounting", "none_of_the_tests", NULL);
        _exit(3);
    }
    CHECK_OK(close(fds[1]));
    CHECK_EQ(read(fds[0], &before, sizeof(before)), sizeof(before));
    CHECK_EQ(wait4(child, &status, 0, &usage), child);
    CHECK(WIFEXITED(status));
    CHECK_NE(WEXITSTATUS(status), 3);
    CHECK_GT(before, PAGES);
    CHECK_GT(usage.ru_minflt, before);
}
