/*
 * One run: starts the machine, moves frames until the program's exit status comes, and leaves
 * nothing behind.
 *
 *     STARTING --HELLO--> BOOTING --stamp PROGRAM--> RUNNING --EXIT, PANIC, a failure--> ENDING
 *
 * In ENDING the machine is killed (after EXIT all that the guest wrote has arrived) and what still
 * waits for a slow reader is written; then the run is over. One poll(2) loop does it all. Signals
 * come through a descriptor; once the program runs they are passed on to it, before and after it
 * they end the run as they would end any program.
 */
#include "pith.h"

#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/signalfd.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#define NS_PER_MS        1000000ull
#define BOOT_LIMIT_NS    (60000 * NS_PER_MS) /* until HELLO; an emulated machine takes 0.1 s */
#define REPORT_LIMIT_NS  (30000 * NS_PER_MS) /* for what the kernel logs after EXIT */
#define DRAIN_LIMIT_NS   (300 * NS_PER_MS)   /* for what should follow at once */
#define DEBUG_READ_BYTES 4096
#define DEBUG_PANIC_MARK 0x04 /* ends a panic's text on the debug port */

enum phase {
    STARTING,
    BOOTING,
    RUNNING,
    ENDING
};

struct run {
    const struct run_options *options;
    struct rlimit limits[CALLER_LIMITS];
    struct stream streams[STREAMS];
    struct terminal *terminal; /* NULL: none */
    struct link link;
    struct channels *channels;
    struct buffer log, debug_log; /* a line that is not whole yet */
    struct buffer complaint;      /* what QEMU wrote on its standard error */
    struct report *report;        /* NULL: none is wanted */
    bool is_told;                 /* the program has ended, and its report comes */
    struct sessions *sessions;
    struct boot_time times;
    uint64_t deadline_ns;       /* of --timeout; 0: none */
    uint64_t phase_deadline_ns; /* for what should come next; 0: none */
    enum phase phase;
    int status;                 /* in ENDING */
    struct machine_parts parts; /* files 0: no server, or it ended */
    int signal_fd;
    bool link_is_up, machine_ended;
    int machine_status;
};

/* ---- End ---- */

static void kill_machine(struct run *run)
{
    if (!run->machine_ended)
        kill(run->parts.machine, SIGKILL);
}

/* Ends the machine and its server, and us: at once, whatever is under way. */
static _Noreturn void end_now(struct run *run, int status)
{
    kill_machine(run);
    if (!run->machine_ended)
        waitpid(run->parts.machine, NULL, 0);
    if (run->parts.files) {
        kill(run->parts.files, SIGKILL);
        waitpid(run->parts.files, NULL, 0);
    }
    if (run->report && !report_close(run->report) && status == 0)
        status = PITH_FAILED;
    exit(status);
}

/* The run is over but for what waits to be written. The first reason counts. */
static void end_run(struct run *run, int status)
{
    if (run->phase == ENDING)
        return;
    run->phase = ENDING;
    run->status = status;
    run->phase_deadline_ns = 0;
    kill_machine(run);
    if (run->terminal)
        terminal_restore(run->terminal);
}

/* The same after a failure, which is told at once: a slow reader gets only a moment more. */
static void break_run(struct run *run, int status)
{
    end_run(run, status);
    run->phase_deadline_ns = clock_now_ns() + DRAIN_LIMIT_NS;
}

/* A panic counts even while the kernel makes its last reports. */
static void panic_run(struct run *run)
{
    break_run(run, PITH_PANICKED);
    run->status = PITH_PANICKED;
    kill_machine(run);
}

static void take_exit(struct run *run, const struct host_exit *exit)
{
    if (!(exit->flags & HOST_EXIT_REPORTS)) {
        end_run(run, exit->status & 0xff);
        return;
    }
    run->phase = ENDING;
    run->status = exit->status & 0xff;
    run->phase_deadline_ns = clock_now_ns() + REPORT_LIMIT_NS;
    if (run->terminal)
        terminal_restore(run->terminal);
    link_send(&run->link, HOST_FRAME_EXIT_ACK, HOST_CHANNEL_CONTROL, NULL, 0);
}

static void machine_went(struct run *run, int wait_status)
{
    run->machine_ended = true;
    run->machine_status = wait_status;
}

/* The machine may be ending too: only if it does not within a moment, something is wrong. */
static void files_went(struct run *run)
{
    run->parts.files = 0;
    if (run->phase != ENDING)
        run->phase_deadline_ns = clock_now_ns() + DRAIN_LIMIT_NS;
}

static void reap_children(struct run *run)
{
    int status;
    pid_t child;

    while ((child = waitpid(-1, &status, WNOHANG)) > 0) {
        if (child == run->parts.machine)
            machine_went(run, status);
        if (child == run->parts.files)
            files_went(run);
    }
}

/* ---- The kernel's log ---- */

/* Prints the lines that are whole: on a raw terminal each needs its own way to the left. */
static void print_log(struct run *run, struct buffer *log, const uint8_t *bytes, size_t size)
{
    bool is_raw = run->terminal && terminal_is_raw(run->terminal);
    uint8_t *newline;

    buffer_append(log, bytes, size);
    while (log->size && (newline = memchr(log->data, '\n', log->size))) {
        size_t line = newline - log->data;

        dprintf(STDERR_FILENO, "%.*s%s", (int)line, (char *)log->data, is_raw ? "\r\n" : "\n");
        buffer_consume(log, line + 1);
    }
}

/*
 * What the kernel writes to QEMU's debug port: its log with --debug, and an early panic. False:
 * there is nothing now.
 */
static bool read_debug_port(struct run *run)
{
    uint8_t bytes[DEBUG_READ_BYTES];
    ssize_t count = recv(run->parts.debug_fd, bytes, sizeof(bytes), MSG_DONTWAIT);
    uint8_t *mark = count > 0 ? memchr(bytes, DEBUG_PANIC_MARK, count) : NULL;

    if (count == 0) {
        close(run->parts.debug_fd);
        run->parts.debug_fd = -1;
    }
    if (count <= 0)
        return false;
    print_log(run, &run->debug_log, bytes, mark ? mark - bytes : count);
    if (mark)
        panic_run(run);
    return true;
}

/* ---- Frames ---- */

static int take_hello(struct run *run, const uint8_t *payload)
{
    struct buffer description = {0};
    uint32_t version;

    memcpy(&version, payload, sizeof(version));
    if (run->phase != STARTING)
        return -EPROTO;
    if (version != HOST_PROTOCOL_VERSION) {
        break_run(run, PITH_FAILED);
        say("the kernel speaks version %u of the protocol, this command version %u; run make, or "
            "install pith again",
            version, HOST_PROTOCOL_VERSION);
        return 0;
    }
    run->phase = BOOTING;
    run->phase_deadline_ns = 0;
    description_build(&description, run->options, run->limits, run->streams, run->terminal);
    channels_send_control(run->channels, description.data, description.size);
    buffer_free(&description);
    return 0;
}

static void take_stamp(struct run *run, const uint8_t *payload)
{
    struct host_stamp stamp;

    memcpy(&stamp, payload, sizeof(stamp));
    boot_time_note(&run->times, &stamp);
    if (stamp.moment == HOST_MOMENT_PROGRAM && run->phase == BOOTING)
        run->phase = RUNNING;
    /* Nobody is left for signals and keys: from now on they are for us. */
    if (stamp.moment == HOST_MOMENT_EXIT && run->report) {
        run->is_told = true;
        if (run->terminal)
            terminal_restore(run->terminal);
    }
}

static int take_report(struct run *run, const uint8_t *payload, uint32_t size)
{
    if (!run->report || !report_take(run->report, payload, size))
        return -EPROTO;
    link_send(&run->link, HOST_FRAME_CREDIT, HOST_CHANNEL_REPORT, &size, sizeof(size));
    return 0;
}

static int handle_frame(void *context, const struct host_frame *frame, const uint8_t *payload)
{
    struct run *run = context;
    struct host_exit exit;

    if (frame->channel == HOST_CHANNEL_LOG && frame->type == HOST_FRAME_DATA) {
        uint32_t used = frame->size;

        print_log(run, &run->log, payload, frame->size);
        link_send(&run->link, HOST_FRAME_CREDIT, HOST_CHANNEL_LOG, &used, sizeof(used));
        return 0;
    }
    if (frame->channel >= HOST_CHANNELS)
        return sessions_handle(run->sessions, frame, payload);
    if (frame->channel == HOST_CHANNEL_REPORT && frame->type == HOST_FRAME_DATA)
        return take_report(run, payload, frame->size);
    if (frame->type == HOST_FRAME_PANIC)
        panic_run(run);
    if (run->phase == ENDING)
        return 0;
    switch (frame->type) {
    case HOST_FRAME_HELLO:
        return take_hello(run, payload);
    case HOST_FRAME_STAMP:
        take_stamp(run, payload);
        return 0;
    case HOST_FRAME_EXIT:
        memcpy(&exit, payload, sizeof(exit));
        take_exit(run, &exit);
        return 0;
    default:
        return channels_handle(run->channels, frame, payload);
    }
}

static void receive_frames(struct run *run)
{
    int result = link_receive(&run->link, handle_frame, run);

    if (result == 0)
        run->link_is_up = false;
    if (result >= 0)
        return;
    run->link_is_up = false;
    break_run(run, PITH_FAILED);
    say("the guest broke the protocol with this command (%s); its kernel is damaged",
        strerror(-result));
}

/* ---- Signals ---- */

static void send_window(struct run *run)
{
    uint16_t window[2];

    if (!run->terminal || run->phase < BOOTING)
        return;
    terminal_get_window(run->terminal, &window[0], &window[1]);
    link_send(&run->link, HOST_FRAME_WINDOW, HOST_CHANNEL_TERMINAL, window, sizeof(window));
}

/* SIGTSTP: the machine stops with us, and the terminal is the shell's meanwhile. */
static void stop_and_continue(struct run *run)
{
    if (run->terminal)
        terminal_restore(run->terminal);
    kill(run->parts.machine, SIGSTOP);
    raise(SIGSTOP);
    kill(run->parts.machine, SIGCONT);
}

static void take_signal(struct run *run, uint32_t number)
{
    switch (number) {
    case SIGCHLD:
        reap_children(run);
        break;
    case SIGTSTP:
        stop_and_continue(run);
        break;
    case SIGCONT:
        if (run->terminal && run->phase != ENDING)
            terminal_continue(run->terminal);
        send_window(run);
        break;
    case SIGWINCH:
        send_window(run);
        break;
    default:
        if (run->phase == RUNNING && !run->is_told) {
            link_send(&run->link, HOST_FRAME_SIGNAL, HOST_CHANNEL_CONTROL, &number, sizeof(number));
            break;
        }
        end_now(run, PITH_SIGNAL_OFFSET + number);
    }
}

static void read_signals(struct run *run)
{
    struct signalfd_siginfo info;

    while (read(run->signal_fd, &info, sizeof(info)) == sizeof(info))
        take_signal(run, info.ssi_signo);
}

/* ---- The loop ---- */

/* Milliseconds until the next deadline, for poll(2). */
static int next_timeout(const struct run *run)
{
    uint64_t now = clock_now_ns(), deadline = run->deadline_ns;

    if (run->phase_deadline_ns && (!deadline || run->phase_deadline_ns < deadline))
        deadline = run->phase_deadline_ns;
    if (!deadline)
        return -1;
    if (deadline <= now)
        return 0;
    deadline = (deadline - now + NS_PER_MS - 1) / NS_PER_MS;
    return deadline < INT_MAX ? (int)deadline : INT_MAX;
}

static void check_deadlines(struct run *run)
{
    uint64_t now = clock_now_ns();

    if (run->deadline_ns && now >= run->deadline_ns) {
        end_run(run, PITH_TIMED_OUT);
        if (!run->options->quiet)
            say("the time limit of %g s is over", run->options->timeout_ms / 1000.0);
        end_now(run, PITH_TIMED_OUT);
    }
    if (!run->phase_deadline_ns || now < run->phase_deadline_ns)
        return;
    run->phase_deadline_ns = 0;
    if (run->phase == ENDING && run->machine_ended)
        end_now(run, run->status);
    if (run->phase == ENDING) {
        kill_machine(run);
        return;
    }
    break_run(run, PITH_FAILED);
    if (run->options->root && !run->parts.files)
        say("the file server ended before the program; --debug shows why");
    else
        say("the kernel did not start; --debug shows how far it came");
}

/* What QEMU wrote on its standard error, which ends the run if it is that it stands still. */
static void take_complaint(struct run *run)
{
    const char *line;

    if (run->parts.complaint_fd < 0)
        return;
    if (!qemu_take_complaint(run->parts.complaint_fd, &run->complaint)) {
        close(run->parts.complaint_fd);
        run->parts.complaint_fd = -1;
    }
    line = run->phase == ENDING ? NULL : qemu_kvm_last_words(&run->complaint);
    if (!line)
        return;
    break_run(run, PITH_FAILED);
    say("KVM cannot go on with this machine (%.*s); --accel tcg runs it without KVM",
        (int)strcspn(line, "\n"), line);
}

/* The machine is gone and said all that it had to say. */
static void check_machine(struct run *run)
{
    if (!run->machine_ended || run->link_is_up || run->phase == ENDING)
        return;
    take_complaint(run);
    if (run->phase == ENDING)
        return;
    break_run(run, PITH_FAILED);
    qemu_say_why(&run->complaint, run->machine_status);
}

static bool is_over(const struct run *run)
{
    return run->phase == ENDING && run->machine_ended && !run->link_is_up &&
           channels_are_drained(run->channels);
}

/* Waits for something to happen and handles all that did. */
static void step(struct run *run)
{
    struct pollfd polled[4 + SESSIONS_POLL_MOST + CHANNELS_POLL_MOST] = {
        {.fd = run->signal_fd, .events = POLLIN},
        {.fd = run->link_is_up ? run->link.fd : -1,
         .events = POLLIN | (run->link.out.size ? POLLOUT : 0)},
        {.fd = run->parts.debug_fd, .events = POLLIN},
        {.fd = run->parts.complaint_fd, .events = POLLIN},
    };
    struct pollfd *others = polled + 4, *attached;
    size_t count = 4;

    count += channels_poll(run->channels, others);
    attached = polled + count;
    if (run->phase == RUNNING)
        count += sessions_poll(run->sessions, attached);

    if (poll(polled, count, next_timeout(run)) < 0)
        return; /* EINTR: a signal that is not ours to read; the next round polls again */
    if (polled[0].revents)
        read_signals(run);
    if (polled[2].revents)
        read_debug_port(run);
    if (polled[1].revents & (POLLIN | POLLHUP | POLLERR))
        receive_frames(run);
    if (polled[3].revents)
        take_complaint(run);
    channels_progress(run->channels);
    if (attached < polled + count)
        sessions_progress(run->sessions, attached);
    if (run->link_is_up)
        link_flush(&run->link);
    check_deadlines(run);
    check_machine(run);
}

int run_machine(struct run_options *options)
{
    static struct run the_run;
    struct run *run = &the_run;
    uint32_t version = HOST_PROTOCOL_VERSION;
    int terminal_fd;

    run->options = options;
    run->times.command_ns = clock_now_ns();
    if (options->timeout_ms)
        run->deadline_ns = run->times.command_ns + options->timeout_ms * NS_PER_MS;
    caller_take_limits(run->limits);
    streams_open(run->streams, &terminal_fd);
    if (options->deterministic)
        streams_make_repeatable(run->streams, &terminal_fd);
    run->terminal = terminal_open(terminal_fd);
    run->signal_fd = signals_open();
    run->report = options->dry_run ? NULL : report_open(options);
    if (!machine_start(options, &run->parts))
        return 0;
    run->times.qemu_ns = run->parts.started_ns;
    link_open(&run->link, run->parts.link_fd, LINK_TO_GUEST);
    run->link_is_up = true;
    if (options->gdb_port && !options->quiet)
        say("the machine waits for a debugger: gdb -ex 'target remote :%u' build/pith.elf",
            options->gdb_port);
    run->phase_deadline_ns = options->gdb_port ? 0 : clock_now_ns() + BOOT_LIMIT_NS;
    run->channels = channels_create(&run->link, run->streams, run->terminal);
    run->sessions = sessions_create(&run->link, run->channels);
    link_send(&run->link, HOST_FRAME_HELLO, HOST_CHANNEL_CONTROL, &version, sizeof(version));
    link_flush(&run->link);
    while (!is_over(run))
        step(run);
    while (read_debug_port(run))
        ;
    run->times.exit_ns = clock_now_ns();
    if (options->boot_time)
        boot_time_print(&run->times);
    /* The program may have ended before it could learn that its output is lost. */
    if (run->status == 0 && channels_have_lost(run->channels))
        run->status = PITH_FAILED;
    end_now(run, run->status);
}
