/*
 * init: what happens in which order, and how it ends.
 *
 * Whatever init cannot do, it says in a sentence where the program's standard error goes (or, if
 * that cannot be written, past it where the command's own goes), and the run ends with
 * STATUS_FAILED. Signals for the program do not pass through here: the kernel sends
 * them to the process group that the program's child named (HOST_IOCTL_TARGET).
 */
#include "init.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/ioctl.h>
#include <sys/reboot.h>
#include <sys/uio.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#define NS_PER_SECOND 1000000000ull

static int control_fd = -1;
static int complaint_fd = -1; /* where sentences go; -1: to the command alone (SAY) */

/* What is too long is cut, but not its newline. */
static void complain_to_command(const char *const parts[], size_t count)
{
    struct host_sentence sentence = {.text = ""};
    size_t used = 0;

    for (size_t i = 0; i < count; i++) {
        size_t bytes = strlen(parts[i]), room = sizeof(sentence.text) - 2 - used;

        if (bytes > room)
            bytes = room;
        memcpy(sentence.text + used, parts[i], bytes);
        used += bytes;
    }
    if (sentence.text[used - 1] != '\n')
        sentence.text[used] = '\n';
    ioctl(control_fd, HOST_IOCTL_SAY, &sentence);
}

void complain(const char *what, const char *object, int error)
{
    const char *parts[] = {"pith: ",
                           what,
                           object ? ": " : "",
                           object ? object : "",
                           error ? ": " : "",
                           error ? strerror(error) : "",
                           "\n"};
    struct iovec pieces[sizeof(parts) / sizeof(*parts)];

    for (size_t i = 0; i < sizeof(parts) / sizeof(*parts); i++)
        pieces[i] = (struct iovec){(void *)parts[i], strlen(parts[i])};
    if (writev(complaint_fd, pieces, sizeof(parts) / sizeof(*parts)) < 0)
        complain_to_command(parts, sizeof(parts) / sizeof(*parts));
}

void complain_to(int fd)
{
    if (complaint_fd >= 0)
        close(complaint_fd);
    complaint_fd = fd;
}

/* Tells the host; the machine goes down with that. */
static _Noreturn void end_run(uint32_t status)
{
    ioctl(control_fd, HOST_IOCTL_EXIT, &status);
    reboot(RB_POWER_OFF);
    for (;;)
        pause();
}

void fail(const char *what, const char *object, int error)
{
    complain(what, object, error);
    if (getpid() == 1)
        end_run(STATUS_FAILED);
    _exit(STATUS_FAILED);
}

int open_above_streams(const char *path, int flags)
{
    int fd = open(path, flags | O_CLOEXEC | O_NOCTTY), high;

    if (fd < 0 || fd >= STREAMS)
        return fd;
    high = fcntl(fd, F_DUPFD_CLOEXEC, STREAMS);
    close(fd);
    return high;
}

static void stamp(uint32_t moment)
{
    ioctl(control_fd, HOST_IOCTL_STAMP, &moment);
}

static void open_control(void)
{
    mount_devices();
    complaint_fd = open_above_streams("/dev/host/stderr", O_WRONLY);
    control_fd = open_above_streams("/dev/host/control", O_RDWR);
    if (control_fd < 0)
        fail("cannot open", "/dev/host/control", errno);
}

/* From here on sentences go where the program's standard error goes. */
static void direct_complaints(const struct description *description)
{
    if (description->streams[STDERR_FILENO] == HOST_STREAM_CHANNEL)
        return;
    complain_to(description->streams[STDERR_FILENO] == HOST_STREAM_TERMINAL
                    ? open_above_streams("/dev/console", O_WRONLY)
                    : -1);
}

/* The date, the name and the random numbers. */
static void set_machine(const struct description *description)
{
    struct timespec date = {description->date_ns / NS_PER_SECOND,
                            description->date_ns % NS_PER_SECOND};
    int random_fd;

    if (description->date_ns && clock_settime(CLOCK_REALTIME, &date))
        fail("cannot set the date", NULL, errno);
    if (description->hostname && sethostname(description->hostname, strlen(description->hostname)))
        fail("cannot set the host's name", NULL, errno);
    random_fd = open("/dev/urandom", O_WRONLY | O_CLOEXEC);
    if (random_fd < 0 || write(random_fd, description->seed, description->seed_size) < 0)
        fail("cannot seed the random numbers", NULL, errno);
    close(random_fd);
}

/* The guest's terminal becomes what the caller's is. */
static void set_terminal(const struct description *description)
{
    struct winsize size = {.ws_row = description->rows, .ws_col = description->columns};
    int fd;

    if (!description->has_terminal)
        return;
    fd = open("/dev/console", O_RDWR | O_CLOEXEC | O_NOCTTY);
    if (fd < 0 || ioctl(fd, TCSETS, description->terminal) || ioctl(fd, TIOCSWINSZ, &size))
        fail("cannot set the terminal", NULL, errno);
    close(fd);
}

uint32_t status_as_in_a_shell(int wait_status)
{
    return WIFSIGNALED(wait_status) ? 128 + WTERMSIG(wait_status) : WEXITSTATUS(wait_status);
}

static void wake_up(int number)
{
}

/*
 * Reaps orphans and starts what the host asks for until the program ends. SIGCHLD comes only while
 * we wait, so none is missed between looking and waiting.
 */
static uint32_t wait_for_program(pid_t program)
{
    struct pollfd control = {.fd = control_fd, .events = POLLIN};
    sigset_t child_signal, none;
    int status;
    pid_t child;

    sigemptyset(&none);
    sigemptyset(&child_signal);
    sigaddset(&child_signal, SIGCHLD);
    sigprocmask(SIG_BLOCK, &child_signal, NULL);
    signal(SIGCHLD, wake_up);
    for (;;) {
        while ((child = waitpid(-1, &status, WNOHANG)) > 0) {
            if (child == program)
                return status_as_in_a_shell(status);
            session_reaped(control_fd, child, status);
        }
        if (ppoll(&control, 1, NULL, &none) > 0)
            session_command(control_fd);
    }
}

/* What the program left running must not change what is reported. */
static void end_all_others(void)
{
    kill(-1, SIGKILL);
    while (waitpid(-1, NULL, 0) > 0 || errno == EINTR)
        ;
}

int main(void)
{
    struct description description;
    int lower_fd;
    uint32_t status;
    pid_t program;

    open_control();
    stamp(HOST_MOMENT_INIT);
    description_read(control_fd, &description);
    direct_complaints(&description);
    set_machine(&description);
    lower_fd = mount_root(&description);
    set_terminal(&description);
    if (description.report)
        report_prepare();
    program = fork();
    if (program < 0)
        fail("cannot start a process", NULL, errno);
    if (program == 0)
        program_become(&description, control_fd);
    status = wait_for_program(program);
    stamp(HOST_MOMENT_EXIT);
    if (description.report) {
        end_all_others();
        report_send(&description, lower_fd);
    }
    end_run(status);
}
