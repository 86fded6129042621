/*
 * Uses up one thing without end: memory, memory-family, file PATH, links PATH, texts PATH,
 * attributes PATH, processes, processes-bomb.
 * Prints what stopped it, if it lives to tell.
 */
#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/wait.h>
#include <sys/xattr.h>
#include <unistd.h>

#define CHUNK (1 << 20)

static int stopped_by(const char *call)
{
    printf("%s: %s\n", call, strerror(errno));
    return 1;
}

static int use_memory(void)
{
    for (;;) {
        char *chunk = mmap(NULL, CHUNK, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);

        if (chunk == MAP_FAILED)
            return stopped_by("mmap");
        memset(chunk, 1, CHUNK);
    }
}

/* Several at once, so that one asks for what another is being ended for. */
static int use_memory_as_family(void)
{
    for (int i = 0; i < 4; i++)
        if (fork() == 0)
            _exit(use_memory());
    while (wait(NULL) > 0)
        ;
    puts("all ended");
    return 0;
}

static int fill_file(const char *path)
{
    static char chunk[CHUNK];
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    if (fd < 0)
        return stopped_by("open");
    memset(chunk, 1, sizeof(chunk));
    while (write(fd, chunk, sizeof(chunk)) > 0)
        ;
    return stopped_by("write");
}

static int make_file(const char *path)
{
    int fd = open(path, O_CREAT | O_WRONLY | O_TRUNC, 0600);

    return fd < 0 ? -1 : close(fd);
}

/* Names of one file, beside it. */
static int link_without_end(const char *path)
{
    char name[300];

    if (make_file(path))
        return stopped_by("open");
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof(name), "%s.%0200u", path, i);
        if (link(path, name))
            return stopped_by("link");
    }
}

/* Symbolic links with long texts. A machine of 128 MiB has room for fewer than TEXTS_MOST. */
#define TEXTS_MOST 4096
static int symlink_without_end(const char *path)
{
    char name[300], target[4000];

    memset(target, 'x', sizeof(target) - 1);
    target[sizeof(target) - 1] = '\0';
    for (unsigned i = 0; i < TEXTS_MOST; i++) {
        snprintf(name, sizeof(name), "%s.%u", path, i);
        if (symlink(target, name))
            return stopped_by("symlink");
    }
    puts("nothing stopped it");
    return 0;
}

static int set_attributes_without_end(const char *path)
{
    static char value[60000];
    char name[32];

    if (make_file(path))
        return stopped_by("open");
    for (unsigned i = 0;; i++) {
        snprintf(name, sizeof(name), "user.%u", i);
        if (setxattr(path, name, value, sizeof(value), 0))
            return stopped_by("setxattr");
    }
}

/* Children that wait, until there can be no more. They end with us. */
static int fork_without_end(void)
{
    int ends[2];
    char byte;

    if (pipe(ends))
        return stopped_by("pipe");
    for (;;) {
        pid_t child = fork();

        if (child < 0)
            return stopped_by("fork");
        if (child == 0) {
            close(ends[1]);
            _exit((int)read(ends[0], &byte, 1));
        }
    }
}

/* Everybody forks, for ever; one look at the others' group ends it. */
static int fork_as_bomb(void)
{
    pid_t bomb = fork();

    if (bomb == 0) {
        setpgid(0, 0);
        for (;;)
            (void)!fork();
    }
    sleep(2);
    kill(-bomb, SIGKILL);
    while (waitpid(bomb, NULL, 0) < 0 && errno == EINTR)
        ;
    puts("ended");
    return 0;
}

int main(int count, char **arguments)
{
    const char *what = count > 1 ? arguments[1] : "";

    if (strcmp(what, "memory") == 0)
        return use_memory();
    if (strcmp(what, "memory-family") == 0)
        return use_memory_as_family();
    if (strcmp(what, "file") == 0)
        return fill_file(arguments[2]);
    if (strcmp(what, "links") == 0)
        return link_without_end(arguments[2]);
    if (strcmp(what, "texts") == 0)
        return symlink_without_end(arguments[2]);
    if (strcmp(what, "attributes") == 0)
        return set_attributes_without_end(arguments[2]);
    if (strcmp(what, "processes") == 0)
        return fork_without_end();
    if (strcmp(what, "processes-bomb") == 0)
        return fork_as_bomb();
    return 2;
}
