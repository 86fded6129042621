/*
 * `pith doctor`: what this machine lacks for Pith, and what to do about it.
 *
 * One table of checks. Each says in a few words what it found; what is needed and missing makes the
 * status PITH_FAILED, what only makes things slower or less confined does not.
 */
#include "pith.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/landlock.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/vfs.h>
#include <unistd.h>

#define QEMU_VERSION_LEAST 700 /* 7.0: what microvm and vhost-user-fs need here */
#define MEMORY_KB_LEAST    (256ul << 10)

enum verdict {
    FINE,
    WEAK,    /* it works without, less well */
    MISSING, /* it does not work without */
};

/* What a check has to say: `found` always, `fix` unless all is fine. */
struct finding {
    char found[256];
    const char *fix;
};

static enum verdict check_qemu(struct finding *finding)
{
    const char *path = qemu_search();

    snprintf(finding->found, sizeof(finding->found), "%s", path ? path : "not in PATH");
    finding->fix =
        getenv("PITH_QEMU") ? "unset PITH_QEMU or let it name QEMU" : "apt install qemu-system-x86";
    return path ? FINE : MISSING;
}

/* The first line of a command's output; false: it failed. */
static bool first_line(const char *command, char *line, size_t size)
{
    FILE *file = popen(command, "re");
    bool is_there = file && fgets(line, (int)size, file);

    if (is_there)
        line[strcspn(line, "\n")] = '\0';
    return file && pclose(file) == 0 && is_there;
}

static enum verdict check_qemu_version(struct finding *finding)
{
    const char *path = qemu_search();
    unsigned major = 0, minor = 0;
    char line[200] = "";
    char *command;

    finding->fix = "install QEMU 7.0 or later";
    if (!path) {
        snprintf(finding->found, sizeof(finding->found), "not known without QEMU");
        return MISSING;
    }
    command = text("'%s' --version 2>/dev/null", path);
    if (!first_line(command, line, sizeof(line)) ||
        sscanf(line, "QEMU emulator version %u.%u", &major, &minor) != 2)
        snprintf(finding->found, sizeof(finding->found), "it does not say its version");
    else
        snprintf(finding->found, sizeof(finding->found), "%u.%u", major, minor);
    free(command);
    return major * 100 + minor >= QEMU_VERSION_LEAST ? FINE : MISSING;
}

static enum verdict check_devices(struct finding *finding)
{
    const char *path = qemu_search();
    char line[200];
    bool has_files;
    char *command;

    command = text("'%s' -machine microvm -device help 2>/dev/null | grep -m1 vhost-user-fs-device",
                   path ? path : "false");
    has_files = first_line(command, line, sizeof(line));
    free(command);
    snprintf(finding->found, sizeof(finding->found), "%s",
             has_files ? "microvm with vhost-user-fs" : "QEMU lacks microvm or vhost-user-fs");
    finding->fix = "install a QEMU with both, such as Debian's qemu-system-x86";
    return has_files ? FINE : MISSING;
}

static enum verdict check_kvm(struct finding *finding)
{
    int fd = open("/dev/kvm", O_RDWR | O_CLOEXEC), error = errno;

    if (fd >= 0)
        close(fd);
    snprintf(finding->found, sizeof(finding->found), "%s",
             fd >= 0 ? "/dev/kvm may be used; --accel auto tries whether it works"
                     : strerror(error));
    finding->fix = error == EACCES ? "join its group: adduser $USER kvm, and log in again"
                                   : "programs run some ten times slower; use a machine with "
                                     "/dev/kvm (in a virtual one: nested virtualisation)";
    return fd >= 0 ? FINE : WEAK;
}

static enum verdict check_kernel(struct finding *finding)
{
    struct library library;
    const char *problem = library_search(&library);

    snprintf(finding->found, sizeof(finding->found), "%s", problem ? problem : library.kernel);
    finding->fix = "run make, or make install";
    return problem ? MISSING : FINE;
}

static enum verdict check_memfd(struct finding *finding)
{
    int fd = memfd_create("pith-doctor", MFD_CLOEXEC);
    bool works = fd >= 0 && ftruncate(fd, 1) == 0;

    snprintf(finding->found, sizeof(finding->found), "%s", works ? "works" : strerror(errno));
    finding->fix = "the machine's memory is a memfd: use Linux 3.17 or later, or allow it here";
    if (fd >= 0)
        close(fd);
    return works ? FINE : MISSING;
}

static enum verdict check_proc(struct finding *finding)
{
    bool works = access("/proc/self/fd", X_OK) == 0;

    snprintf(finding->found, sizeof(finding->found), "%s", works ? "mounted" : strerror(errno));
    finding->fix = "mount it: QEMU finds the kernel under /proc/self/fd";
    return works ? FINE : MISSING;
}

static enum verdict check_memory(struct finding *finding)
{
    unsigned long available = 0;
    char line[200];
    FILE *file = fopen("/proc/meminfo", "re");

    while (file && fgets(line, sizeof(line), file)) {
        if (sscanf(line, "MemAvailable: %lu", &available) == 1)
            break;
    }
    if (file)
        fclose(file);
    snprintf(finding->found, sizeof(finding->found), "%lu MiB are free", available >> 10);
    finding->fix = "end some programs, or give machines less: --mem 128M";
    return available >= MEMORY_KB_LEAST ? FINE : WEAK;
}

static enum verdict check_landlock(struct finding *finding)
{
    long version = syscall(SYS_landlock_create_ruleset, NULL, 0, LANDLOCK_CREATE_RULESET_VERSION);

    if (version > 0)
        snprintf(finding->found, sizeof(finding->found), "version %ld", version);
    else
        snprintf(finding->found, sizeof(finding->found), "%s", strerror(errno));
    finding->fix = "the file server is confined less; use Linux 5.13 or later with lsm=landlock";
    return version > 0 ? FINE : WEAK;
}

static enum verdict check_seccomp(struct finding *finding)
{
    bool works = prctl(PR_GET_SECCOMP) >= 0;

    snprintf(finding->found, sizeof(finding->found), "%s", works ? "there" : strerror(errno));
    finding->fix = "the file server is confined less; use a Linux with CONFIG_SECCOMP";
    return works ? FINE : WEAK;
}

/* `pith ps` and `pith attach` find machines by it. */
static enum verdict check_sockets(struct finding *finding)
{
    unsigned long id;
    int fd = machines_announce(&id);
    bool works = fd >= 0 && access("/proc/net/unix", R_OK) == 0;

    snprintf(finding->found, sizeof(finding->found), "%s",
             works ? "machines can be found" : strerror(errno));
    finding->fix = "pith ps and attach find no machine: allow unix sockets with abstract names";
    if (fd >= 0)
        close(fd);
    return works ? FINE : WEAK;
}

static const struct {
    const char *name;
    enum verdict (*check)(struct finding *finding);
} checks[] = {
    {"QEMU", check_qemu},
    {"QEMU's version", check_qemu_version},
    {"QEMU's devices", check_devices},
    {"KVM", check_kvm},
    {"Pith's kernel", check_kernel},
    {"memfd", check_memfd},
    {"/proc", check_proc},
    {"memory", check_memory},
    {"Landlock", check_landlock},
    {"seccomp", check_seccomp},
    {"sockets", check_sockets},
};

int doctor(void)
{
    static const char *const words[] = {[FINE] = "ok", [WEAK] = "weak", [MISSING] = "MISSING"};
    enum verdict worst = FINE;

    for (size_t i = 0; i < sizeof(checks) / sizeof(checks[0]); i++) {
        struct finding finding = {.fix = ""};
        enum verdict verdict = checks[i].check(&finding);

        printf("%-8s %-15s %s\n", words[verdict], checks[i].name, finding.found);
        if (verdict != FINE)
            printf("%-8s %-15s -> %s\n", "", "", finding.fix);
        if (verdict > worst)
            worst = verdict;
    }
    printf(worst == MISSING ? "pith cannot run here yet\n" : "pith can run here\n");
    return worst == MISSING ? PITH_FAILED : 0;
}
