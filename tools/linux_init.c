/*
 * Process 1 of the Linux machine that tools/linux-run starts: makes the file system that `pith run`
 * gives a program (the host's files below an overlay in memory; proc, sys, dev, run of the
 * machine's own), runs the program, and passes its streams and its status to the host.
 *
 * What to do stands in the initramfs: /modules in the order to load, /words (how to mount, then the
 * program and its arguments, each ended by a NUL) and /environment. The host holds the other ends
 * of four virtio ports, by number: input, output, error output, status. The program gets pipes, and
 * a pump of ours carries bytes between them and the ports, so that it meets what it meets under a
 * test runner.
 */
#define _GNU_SOURCE
#include <errno.h>
#include <fcntl.h>
#include <grp.h>
#include <net/if.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/mount.h>
#include <sys/reboot.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define WORDS_MAX        16384
#define PUMP_BYTES       65536
#define STATUS_NOT_FOUND 127
#define STATUS_NOT_RUN   126
#define PORT_WAIT_NS     1000000
#define PORT_TRIES       10000

enum port {
    PORT_INPUT = 1, /* number 0 is kept for a console */
    PORT_OUTPUT,
    PORT_ERROR,
    PORT_STATUS
};

/* The words before the program's, in this order. */
enum word {
    WORD_ROOT, /* "overlay", "plain" (the host's files themselves) or "none" */
    WORD_TYPE, /* virtiofs or 9p */
    WORD_OPTIONS,
    WORD_SUBDIRECTORY, /* of what is mounted: the host's root */
    WORD_DIRECTORY,
    WORD_USER,
    WORD_GROUP,
    WORD_INPUT, /* "null", or "port" */
    WORD_PROGRAM
};

static void fail(const char *what)
{
    fprintf(stderr, "linux_init: %s: %s\n", what, strerror(errno));
    sync();
    reboot(RB_AUTOBOOT);
}

static void check(int is_right, const char *what)
{
    if (!is_right)
        fail(what);
}

/* Reads a file of words ended by NULs; the list ends with NULL. */
static char **words_read(const char *path)
{
    static char *none[1];
    struct stat status;
    char **words = calloc(WORDS_MAX + 1, sizeof(*words)), *text;
    int fd = open(path, O_RDONLY), count = 0;

    if (fd < 0)
        return none;
    fstat(fd, &status);
    text = malloc(status.st_size + 1);
    check(read(fd, text, status.st_size) == status.st_size, path);
    close(fd);
    for (char *at = text; at < text + status.st_size && count < WORDS_MAX; at += strlen(at) + 1)
        words[count++] = at;
    return words;
}

static void modules_load(void)
{
    char **paths = words_read("/modules");

    for (; *paths; paths++) {
        int fd = open(*paths, O_RDONLY | O_CLOEXEC);

        check(fd >= 0 && syscall(SYS_finit_module, fd, "", 0) == 0, *paths);
        close(fd);
        unlink(*paths);
    }
}

static int port_open(enum port port, int flags)
{
    const struct timespec wait = {.tv_nsec = PORT_WAIT_NS};
    char path[64];
    int fd;

    snprintf(path, sizeof(path), "/dev/vport0p%d", port);
    for (int i = 0; i < PORT_TRIES; i++) { /* the device is found while modules load */
        fd = open(path, flags | O_CLOEXEC);
        if (fd >= 0)
            return fd;
        nanosleep(&wait, NULL);
    }
    fail(path);
    return -1;
}

static void mount_at(const char *what, const char *where, const char *type, unsigned long flags,
                     const char *options)
{
    mkdir(where, 0755);
    check(mount(what, where, type, flags, options) == 0, where);
}

/* The program's root, at /root. */
static void root_make(char **words)
{
    char text[256];

    mkdir("/root", 0755);
    if (strcmp(words[WORD_ROOT], "none") == 0) {
        mount_at("/", "/root", NULL, MS_BIND, NULL);
        return;
    }
    mount_at("pith", "/host", words[WORD_TYPE], MS_NOSUID | MS_NODEV, words[WORD_OPTIONS]);
    if (strcmp(words[WORD_ROOT], "plain") == 0) {
        snprintf(text, sizeof(text), "/host%s", words[WORD_SUBDIRECTORY]);
        mount_at(text, "/root", NULL, MS_BIND, NULL);
        return;
    }
    mount_at("memory", "/memory", "tmpfs", 0, "mode=755");
    mkdir("/memory/upper", 0755);
    mkdir("/memory/work", 0755);
    snprintf(text, sizeof(text),
             "xino=on,lowerdir=/host%s,upperdir=/memory/upper,workdir=/memory/work",
             words[WORD_SUBDIRECTORY]);
    mount_at("overlay", "/root", "overlay", 0, text);
}

/* The machine's own directories; then what is at /root is everybody's `/`. */
static void root_furnish(void)
{
    static const char *const links[][2] = {{"/proc/self/fd", "/root/dev/fd"},
                                           {"/proc/self/fd/0", "/root/dev/stdin"},
                                           {"/proc/self/fd/1", "/root/dev/stdout"},
                                           {"/proc/self/fd/2", "/root/dev/stderr"}};

    mount_at("proc", "/root/proc", "proc", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_at("sysfs", "/root/sys", "sysfs", MS_NOSUID | MS_NODEV | MS_NOEXEC, NULL);
    mount_at("tmpfs", "/root/run", "tmpfs", MS_NOSUID | MS_NODEV, "mode=755");
    mkdir("/root/dev", 0755);
    mount_at("/dev", "/root/dev", NULL, MS_MOVE, NULL);
    mount_at("devpts", "/root/dev/pts", "devpts", MS_NOSUID | MS_NOEXEC,
             "gid=5,mode=620,ptmxmode=666");
    mount_at("tmpfs", "/root/dev/shm", "tmpfs", MS_NOSUID | MS_NODEV, "mode=1777");
    for (size_t i = 0; i < sizeof(links) / sizeof(*links); i++)
        check(symlink(links[i][0], links[i][1]) == 0, links[i][1]);
    check(chdir("/root") == 0 && mount(".", "/", NULL, MS_MOVE, NULL) == 0, "move the root");
    check(chroot(".") == 0 && chdir("/") == 0, "chroot");
}

static void loopback_up(void)
{
    struct ifreq request = {.ifr_name = "lo", .ifr_flags = IFF_UP};
    int fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);

    ioctl(fd, SIOCSIFFLAGS, &request);
    close(fd);
}

static void program_execute(char **words, char **environment, const int streams[3])
{
    setsid();
    for (int i = 0; i < 3; i++)
        dup2(streams[i], i);
    if (strcmp(words[WORD_INPUT], "null") == 0)
        dup2(open("/dev/null", O_RDONLY | O_CLOEXEC), 0);
    check(chdir(words[WORD_DIRECTORY]) == 0, words[WORD_DIRECTORY]);
    if (strcmp(words[WORD_USER], "0") != 0)
        check(setgroups(0, NULL) == 0, "setgroups");
    check(setgid(atoi(words[WORD_GROUP])) == 0 && setuid(atoi(words[WORD_USER])) == 0, "setuid");
    environ = environment;
    execvp(words[WORD_PROGRAM], words + WORD_PROGRAM);
    fprintf(stderr, "linux-run: %s: %s\n", words[WORD_PROGRAM], strerror(errno));
    _exit(errno == ENOENT ? STATUS_NOT_FOUND : STATUS_NOT_RUN);
}

/* Carries bytes until `from` ends or `to` is gone. */
static pid_t pump_start(int from, int to)
{
    static char bytes[PUMP_BYTES];
    pid_t pump = fork();
    ssize_t got;

    if (pump != 0)
        return pump;
    signal(SIGPIPE, SIG_DFL);
    while ((got = read(from, bytes, sizeof(bytes))) > 0) {
        for (ssize_t done = 0, wrote; done < got; done += wrote) {
            wrote = write(to, bytes + done, got - done);
            if (wrote <= 0)
                _exit(1);
        }
    }
    _exit(0);
}

/* Waits for the program and, as process 1 must, for each orphan that ends before it. */
static int program_wait(pid_t program)
{
    pid_t ended;
    int status;

    do
        ended = waitpid(-1, &status, 0);
    while (ended != program);
    return status;
}

/* Runs the program, and waits for it and for all that it printed. Returns its status as a shell
 * would. What outlives it keeps its pipes open; so the pumps are left when nothing more comes. */
static int program_run(char **words, char **environment)
{
    int pipes[3][2], streams[3], status;
    pid_t program, pumps[3];

    for (int i = 0; i < 3; i++)
        check(pipe2(pipes[i], O_CLOEXEC) == 0, "pipe");
    streams[0] = pipes[0][0];
    streams[1] = pipes[1][1];
    streams[2] = pipes[2][1];
    program = fork();
    check(program >= 0, "fork");
    if (program == 0)
        program_execute(words, environment, streams);
    for (int i = 0; i < 3; i++)
        close(streams[i]);
    pumps[0] = pump_start(port_open(PORT_INPUT, O_RDONLY), pipes[0][1]);
    close(pipes[0][1]);
    pumps[1] = pump_start(pipes[1][0], port_open(PORT_OUTPUT, O_WRONLY));
    pumps[2] = pump_start(pipes[2][0], port_open(PORT_ERROR, O_WRONLY));
    status = program_wait(program);
    kill(pumps[0], SIGKILL);
    kill(-program, SIGKILL);
    waitpid(pumps[1], NULL, 0);
    waitpid(pumps[2], NULL, 0);
    return WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status);
}

int main(void)
{
    char **words, **environment;
    int status;

    umask(0);
    mount_at("dev", "/dev", "devtmpfs", MS_NOSUID, NULL);
    modules_load();
    words = words_read("/words");
    environment = words_read("/environment");
    root_make(words);
    root_furnish();
    loopback_up();
    umask(022);
    status = program_run(words, environment);
    dprintf(port_open(PORT_STATUS, O_WRONLY), "%d\n", status);
    reboot(RB_AUTOBOOT);
    return 0;
}
