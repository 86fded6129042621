/*
 * What fork does to a program that has threads, buffers, secrets and much memory; and what spawn
 * does instead.
 *
 * From "A fork() in the road" (HotOS '19), section 4, charge by charge; docs/fork-or-spawn.md says
 * what is to be seen. Each line tells what came of one charge: "fork: ..." and "spawn: ...".
 *
 *     fork_charges
 *
 * On Linux, which has no spawn, those lines say so.
 */
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "../user/lib/spawn.h"

#define SECRET_BYTES 4096

extern char **environ;

/* ---- The child that exec or spawn starts: says what it has ---- */

static int descriptors_open(void)
{
    int count = 0;

    for (int fd = 3; fd < 256; fd++)
        count += fcntl(fd, F_GETFD) != -1;
    return count;
}

static int run_child(const char *what)
{
    if (!strcmp(what, "--descriptors"))
        return descriptors_open();
    return 0;
}

/* The wait status of ourselves started anew with one argument; -1: there is no spawn. */
static int spawned(const char *what)
{
    char *arguments[] = {(char *)"fork_charges", (char *)what, NULL};
    struct spawn spawn = SPAWN_OF("/proc/self/exe", arguments, environ);
    int pidfd;

    spawn_inherit(&spawn, STDOUT_FILENO, STDOUT_FILENO);
    pidfd = spawn_start(&spawn);
    return pidfd == -1 ? -1 : spawn_wait(pidfd);
}

static int waited(pid_t child)
{
    int status = -1;

    waitpid(child, &status, 0);
    return status;
}

/* ---- The charges ---- */

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static volatile int is_locked;

static void *hold_mutex(void *unused)
{
    pthread_mutex_lock(&mutex);
    is_locked = 1;
    sleep(1);
    pthread_mutex_unlock(&mutex);
    return unused;
}

/* Only the forking thread is copied; what the others held stays held, by nobody. */
static void threads(void)
{
    pthread_t thread;
    pid_t child;
    int status;

    if (pthread_create(&thread, NULL, hold_mutex, NULL))
        return;
    while (!is_locked)
        sched_yield();
    child = fork();
    if (child == 0) {
        struct timespec limit;

        clock_gettime(CLOCK_REALTIME, &limit);
        limit.tv_sec += 2; /* its holder, were it there, would be done by then */
        _exit(pthread_mutex_timedlock(&mutex, &limit) == ETIMEDOUT);
    }
    status = waited(child);
    pthread_join(thread, NULL);
    printf("threads         fork: the lock of another thread is %s\n",
           WEXITSTATUS(status) ? "held for ever" : "free");
    printf("threads         spawn: %s\n",
           spawned("--nothing") == 0 ? "no memory, so no lock" : strerror(errno));
}

/* What lies in a buffer is written by both. */
static void buffers(void)
{
    static const char line[] = "once\n";
    FILE *file = tmpfile();
    pid_t child;
    int fd;

    if (!file)
        return;
    fd = dup(fileno(file));
    fputs(line, file);
    child = fork();
    if (child == 0)
        exit(fclose(file));
    waited(child);
    fclose(file);
    printf("buffered output fork: a line that was printed once is in the file %ld times\n",
           (long)lseek(fd, 0, SEEK_END) / (long)strlen(line));
    close(fd);
    printf("buffered output spawn: %s\n",
           spawned("--nothing") == 0 ? "no memory, so no buffer" : strerror(errno));
}

/* Every descriptor goes along that nobody thought of; so does every secret in memory. */
static void security(void)
{
    static char secret[SECRET_BYTES] = "password";
    int fd = open("/", O_RDONLY), status;
    pid_t child = fork();

    if (child == 0)
        _exit(!strcmp(secret, "password"));
    printf("security        fork: the secret in memory is %s\n",
           WEXITSTATUS(waited(child)) ? "the child's, too" : "gone");
    child = fork();
    if (child == 0) {
        execl("/proc/self/exe", "fork_charges", "--descriptors", NULL);
        _exit(255);
    }
    printf("security        fork: %d descriptors leaked into the program\n",
           WEXITSTATUS(waited(child)));
    status = spawned("--descriptors");
    if (status == -1)
        printf("security        spawn: %s\n", strerror(errno));
    else
        printf("security        spawn: %d descriptors, and no secret\n", WEXITSTATUS(status));
    close(fd);
}

/* A parent that has most of the memory: its copy is a promise that cannot be kept. */
static void overcommit(void)
{
    unsigned long bytes = (unsigned long)sysconf(_SC_AVPHYS_PAGES) / 3 * 2 * 4096;
    char *memory = mmap(NULL, bytes, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
    pid_t child;

    if (memory == MAP_FAILED)
        return;
    memset(memory, 1, bytes);
    child = fork();
    if (child == 0)
        _exit(0);
    printf("overcommit      fork: two thirds of memory were copied %s\n",
           child == -1 ? strerror(errno) : "as a promise");
    if (child != -1)
        waited(child);
    printf("overcommit      spawn: %s\n",
           spawned("--nothing") == 0 ? "nothing was promised" : strerror(errno));
    munmap(memory, bytes);
}

int main(int argc, char **argv)
{
    if (argc > 1)
        return run_child(argv[1]);
    setvbuf(stdout, NULL, _IOLBF, BUFSIZ);
    threads();
    buffers();
    security();
    overcommit();
    return 0;
}
