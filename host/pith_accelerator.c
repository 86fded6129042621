/*
 * Which accelerator: KVM only where it has proved itself.
 *
 * Some hosts have a /dev/kvm that opens, passes each single test and then crawls. So the proof is a
 * whole run: this command again, with --accel kvm, two CPUs and /pith/bin/probe (system calls, page
 * faults, a timer, the second CPU), which must end within a second. The verdict is kept in the
 * user's cache directory, for this boot of the host, this QEMU and this kernel image.
 */
#include "pith.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define KVM_DEVICE    "/dev/kvm"
#define VERDICT_BYTES 256
#define VERDICT_GOOD  "works"
#define VERDICT_BAD   "fails"

/* Why KVM cannot be opened, and what to do; NULL: it can. */
static const char *find_obstacle(void)
{
    int fd = open(KVM_DEVICE, O_RDWR | O_CLOEXEC);

    if (fd >= 0) {
        close(fd);
        return NULL;
    }
    if (errno == EACCES || errno == EPERM)
        return "you may not open /dev/kvm; join its group: sudo usermod -aG kvm $USER";
    if (errno == ENOENT)
        return "this host has no /dev/kvm; it needs a CPU with virtualisation switched on";
    return "/dev/kvm does not open; is the kvm module loaded?";
}

/* "BOOT QEMU'S-TIME KERNEL'S-TIME ": what a verdict holds for. */
static void describe_host(char description[VERDICT_BYTES], const char *qemu,
                          const struct library *library)
{
    char boot[64] = "";
    int fd = open("/proc/sys/kernel/random/boot_id", O_RDONLY | O_CLOEXEC);
    ssize_t size = fd < 0 ? 0 : read(fd, boot, sizeof(boot) - 1);
    struct stat qemu_status = {0}, kernel_status = {0};

    if (fd >= 0)
        close(fd);
    boot[size > 0 ? strcspn(boot, "\n") : 0] = '\0';
    stat(qemu, &qemu_status);
    fstat(library->kernel_fd, &kernel_status);
    snprintf(description, VERDICT_BYTES, "%s %lld %lld.%09ld ", boot,
             (long long)qemu_status.st_mtime, (long long)kernel_status.st_mtime,
             kernel_status.st_mtim.tv_nsec);
}

/* The file of the verdict, or NULL if there is no place for it. Makes its directory. */
static char *verdict_path(void)
{
    const char *cache = getenv("XDG_CACHE_HOME");
    const char *home = getenv("HOME");
    char *parent, *directory, *path;

    if ((!cache || *cache != '/') && (!home || *home != '/'))
        return NULL;
    parent = cache && *cache == '/' ? text("%s", cache) : text("%s/.cache", home);
    directory = text("%s/pith", parent);
    path = text("%s/kvm", directory);
    mkdir(parent, 0700);
    mkdir(directory, 0700);
    free(parent);
    free(directory);
    return path;
}

/* What is known: VERDICT_GOOD, VERDICT_BAD or NULL. */
static const char *recall_verdict(const char *path, const char *host)
{
    char line[VERDICT_BYTES] = "";
    int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
    ssize_t size = fd < 0 ? 0 : read(fd, line, sizeof(line) - 1);

    if (fd >= 0)
        close(fd);
    line[size > 0 ? size : 0] = '\0';
    if (strncmp(line, host, strlen(host)))
        return NULL;
    return !strcmp(line + strlen(host), VERDICT_GOOD) ? VERDICT_GOOD : VERDICT_BAD;
}

static void keep_verdict(const char *path, const char *host, const char *verdict)
{
    char *temporary = path ? text("%s.%d", path, (int)getpid()) : NULL;
    int fd = path ? open(temporary, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600) : -1;

    if (fd >= 0) {
        bool kept = dprintf(fd, "%s%s", host, verdict) > 0;

        close(fd);
        if (!kept || rename(temporary, path))
            unlink(temporary);
    }
    free(temporary);
}

/* The whole run. The limit is the child's own --timeout. */
static const char *probe(void)
{
    static const char *const arguments[] = {
        "pith",  "run", "--quiet",         "--accel", "kvm",   "--cpus", "2",
        "--mem", "64M", "--root",          "none",    "--cwd", "/",      "--timeout",
        "1",     "--",  "/pith/bin/probe", NULL};
    pid_t child = child_fork();
    int status, null;

    if (!child) {
        null = open("/dev/null", O_RDWR);
        dup2(null, STDIN_FILENO);
        dup2(null, STDOUT_FILENO);
        dup2(null, STDERR_FILENO);
        execv("/proc/self/exe", (char **)arguments);
        _exit(PITH_FAILED);
    }
    while (waitpid(child, &status, 0) < 0 && errno == EINTR)
        ;
    return WIFEXITED(status) && WEXITSTATUS(status) == 0 ? VERDICT_GOOD : VERDICT_BAD;
}

static const char *kvm_find_fault(const char *qemu, const struct library *library)
{
    const char *obstacle = find_obstacle(), *verdict;
    char host[VERDICT_BYTES];
    char *path;

    if (obstacle)
        return obstacle;
    describe_host(host, qemu, library);
    path = verdict_path();
    verdict = recall_verdict(path, host);
    if (!verdict) {
        verdict = probe();
        keep_verdict(path, host, verdict);
    }
    free(path);
    return strcmp(verdict, VERDICT_GOOD) ? "a trial run with KVM did not end within a second; "
                                           "another host may do better"
                                         : NULL;
}

enum accelerator accelerator_choose(const struct run_options *options, const char *qemu,
                                    const struct library *library)
{
    const char *fault;

    if (options->accelerator == ACCELERATOR_TCG)
        return ACCELERATOR_TCG;
    if (options->accelerator == ACCELERATOR_KVM) {
        fault = find_obstacle();
        if (fault)
            fail("--accel kvm: %s", fault);
        return ACCELERATOR_KVM;
    }
    fault = kvm_find_fault(qemu, library);
    if (!fault)
        return ACCELERATOR_KVM;
    if (!options->quiet)
        say("the machine is emulated, which is slower: %s", fault);
    return ACCELERATOR_TCG;
}
