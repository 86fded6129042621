/*
 * The machine: QEMU's command line, its start and its end.
 *
 * QEMU gets everything as inherited descriptors (the kernel and the initramfs by /proc/self/fd,
 * sockets as one end of a pair), so nothing of a run has a name on the disk. It runs in a session
 * of its own, where keys typed at our terminal do not reach it, and is killed when we die.
 */
#include "pith.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#define QEMU_NAME       "qemu-system-x86_64"
#define COMPLAINT_BYTES 4096
#define DEBUG_PORT_BASE "0xe9"
/* As many as the kernel asks for: QEMU's own default for PCI is too few for its longest request. */
#define FILES_QUEUE_SIZE 1024

static bool is_program(const char *path)
{
    struct stat status;

    return stat(path, &status) == 0 && S_ISREG(status.st_mode) && access(path, X_OK) == 0;
}

/*
 * PITH_QEMU, else the first in PATH. It is found here, not by execvp, so that its path can be said
 * and its verdict on KVM be kept under it.
 */
const char *qemu_search(void)
{
    const char *named = getenv("PITH_QEMU");
    const char *folder = getenv("PATH");

    if (named && *named)
        return is_program(named) ? named : NULL;
    while (folder && *folder) {
        int size = strcspn(folder, ":");
        char *path = text("%.*s/%s", size, folder, QEMU_NAME);

        if (is_program(path))
            return path;
        free(path);
        folder += size + (folder[size] == ':');
    }
    return NULL;
}

const char *qemu_find(void)
{
    const char *path = qemu_search(), *named = getenv("PITH_QEMU");

    if (!path && named && *named)
        fail("PITH_QEMU names %s, which is not a program; unset it or name QEMU", named);
    if (!path)
        fail("QEMU is missing: there is no %s in PATH; install it (apt install qemu-system-x86)",
             QEMU_NAME);
    return path;
}

static void add(struct strings *arguments, const char *option, const char *value)
{
    strings_add(arguments, option);
    strings_add(arguments, value);
}

/* The devices, which differ in the bus that they are on. */
static void add_devices(struct strings *arguments, const struct run_options *options,
                        const struct machine_fds *fds)
{
    const char *bus = options->machine == MACHINE_MICROVM ? "device" : "pci";

    add(arguments, "-chardev", text("socket,id=link,fd=%d", fds->link));
    add(arguments, "-device", text("virtio-serial-%s,max_ports=2", bus));
    add(arguments, "-device", "virtserialport,nr=1,chardev=link");
    if (fds->files >= 0) {
        add(arguments, "-chardev", text("socket,id=files,fd=%d", fds->files));
        add(arguments, "-device",
            text("vhost-user-fs-%s,chardev=files,tag=%s,queue-size=%d", bus, HOST_SHARE_TAG,
                 FILES_QUEUE_SIZE));
    }
    /* Takes free memory back; when it does is not the guest's to say, so not if all is to repeat.
     */
    if (!options->deterministic)
        add(arguments, "-device", text("virtio-balloon-%s,free-page-reporting=on", bus));
    add(arguments, "-chardev", text("socket,id=debug,fd=%d", fds->debug));
    add(arguments, "-device", "isa-debugcon,iobase=" DEBUG_PORT_BASE ",chardev=debug");
}

/* The kernel's words; `seed` is for CPUs without a random number generator. */
static char *kernel_words(const struct run_options *options)
{
    uint64_t seed = 0;

    if (options->deterministic)
        return text("deterministic%s%s%s", options->debug ? " log=debugcon" : "",
                    *options->append ? " " : "", options->append);
    if (getrandom(&seed, sizeof(seed), 0) != sizeof(seed))
        seed = 0;
    return text("seed=%016llx%s%s%s", (unsigned long long)seed,
                options->debug ? " log=debugcon" : "", *options->append ? " " : "",
                options->append);
}

static const char *cpu_model(const struct run_options *options, enum accelerator accelerator)
{
    if (options->deterministic)
        return text("%s,-rdrand,-rdseed", options->cpu ? options->cpu : "max");
    if (options->cpu)
        return options->cpu;
    return accelerator == ACCELERATOR_KVM ? "host" : "max";
}

/*
 * Guest memory is a memfd that the file server maps as well, or QEMU's own without one. microvm has
 * no devices of a PC but the debug port; -nodefaults keeps q35 from having more. --qemu-arg comes
 * last, so that it can overrule.
 */
void qemu_build_arguments(struct strings *arguments, const char *qemu,
                          const struct run_options *options, enum accelerator accelerator,
                          const struct machine_fds *fds)
{
    static const char *const machines[] = {
        [MACHINE_MICROVM] = "microvm,acpi=on,pit=off,pic=off,rtc=off,isa-serial=off,"
                            "x-option-roms=off,memory-backend=memory",
        [MACHINE_Q35] = "q35,memory-backend=memory",
    };
    unsigned long long bytes = options->memory_bytes;

    strings_add(arguments, qemu);
    add(arguments, "-name", "pith");
    add(arguments, "-machine", machines[options->machine]);
    add(arguments, "-accel", accelerator == ACCELERATOR_KVM ? "kvm" : "tcg");
    add(arguments, "-cpu", cpu_model(options, accelerator));
    add(arguments, "-smp", text("%u", options->cpus));
    add(arguments, "-m", text("size=%llub", bytes));
    /* Shared with the file server, if there is one: else the host may use large pages for it. */
    add(arguments, "-object",
        text(fds->files >= 0 ? "memory-backend-memfd,id=memory,size=%llub,share=on"
                             : "memory-backend-ram,id=memory,size=%llub",
             bytes));
    strings_add(arguments, "-nodefaults");
    strings_add(arguments, "-no-user-config");
    strings_add(arguments, "-no-reboot");
    add(arguments, "-display", "none");
    add(arguments, "-global", "virtio-mmio.force-legacy=false");
    add(arguments, "-kernel", text("/proc/self/fd/%d", fds->kernel));
    add(arguments, "-initrd", text("/proc/self/fd/%d", fds->initramfs));
    add(arguments, "-append", kernel_words(options));
    add_devices(arguments, options, fds);
    if (options->deterministic) {
        add(arguments, "-icount", "shift=0,sleep=off");
        add(arguments, "-rtc", "clock=vm");
    }
    if (options->gdb_port) {
        add(arguments, "-gdb", text("tcp:127.0.0.1:%u", options->gdb_port));
        strings_add(arguments, "-S");
    }
    for (size_t i = 0; i < options->qemu.count; i++)
        strings_add(arguments, options->qemu.list[i]);
}

/*
 * Its standard error is an end of a pair of sockets, which is emptied while it runs: it never fills
 * and holds QEMU up, and the last words of one that stands still are heard.
 */
pid_t qemu_start(const struct strings *arguments, const struct machine_fds *fds)
{
    const int keep[] = {fds->kernel, fds->initramfs, fds->link, fds->debug, fds->files};
    pid_t child = child_fork();
    int null;

    if (child)
        return child;
    setsid();
    null = open("/dev/null", O_RDWR);
    dup2(null, STDIN_FILENO);
    dup2(null, STDOUT_FILENO);
    dup2(fds->complaint, STDERR_FILENO);
    child_keep_only(keep, fds->files >= 0 ? 5 : 4);
    execv(arguments->list[0], (char **)arguments->list);
    dprintf(STDERR_FILENO, "%s cannot be started: %s", arguments->list[0], strerror(errno));
    _exit(PITH_FAILED);
}

/* Keeps the newest: what ends a run is said last. */
bool qemu_take_complaint(int fd, struct buffer *complaint)
{
    char bytes[COMPLAINT_BYTES];
    ssize_t size;

    while ((size = recv(fd, bytes, sizeof(bytes), MSG_DONTWAIT)) > 0) {
        buffer_append(complaint, bytes, size);
        if (complaint->size > COMPLAINT_BYTES)
            buffer_consume(complaint, complaint->size - COMPLAINT_BYTES);
    }
    return size < 0;
}

const char *qemu_kvm_last_words(const struct buffer *complaint)
{
    static const char *const signs[] = {"KVM internal error", "KVM: entry failed",
                                        "KVM: unknown exit", "kvm run failed"};
    const char *line = (const char *)complaint->data, *end;

    for (const char *last = line + complaint->size; line < last; line = end + 1) {
        end = memchr(line, '\n', last - line);
        if (!end)
            return NULL;
        for (size_t i = 0; i < sizeof(signs) / sizeof(signs[0]); i++) {
            if (memmem(line, end - line, signs[i], strlen(signs[i])))
                return line;
        }
    }
    return NULL;
}

/* What QEMU wrote on its standard error, in one line without "qemu-system-x86_64: ". */
static const char *complaint_in_a_line(struct buffer *complaint)
{
    size_t prefix = strlen(QEMU_NAME ": ");
    char *text;

    buffer_append(complaint, "", 1);
    text = (char *)complaint->data;
    for (char *end = text + strlen(text); end > text && end[-1] == '\n';)
        *--end = '\0';
    for (char *newline = text; (newline = strchr(newline, '\n'));)
        *newline = ';';
    return strncmp(text, QEMU_NAME ": ", prefix) ? text : text + prefix;
}

void qemu_say_why(struct buffer *complaint_bytes, int wait_status)
{
    const char *complaint = complaint_in_a_line(complaint_bytes);

    if (WIFSIGNALED(wait_status))
        say("QEMU was ended by signal %d (%s) before the program ended%s%s", WTERMSIG(wait_status),
            strsignal(WTERMSIG(wait_status)), *complaint ? ": " : "", complaint);
    else if (*complaint)
        say("QEMU could not run the machine: %s", complaint);
    else
        say("the machine reset itself before the program ended (QEMU's status is %d); --debug "
            "shows how far it came",
            WEXITSTATUS(wait_status));
}
