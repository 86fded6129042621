/*
 * What the parts of the `pith` command share: exit statuses, sentences to the user, byte buffers
 * and the options of a run. Each other part has its own section below, named for its file.
 *
 * `pith` is one thread. Its children (QEMU, the file server, the terminal's guard) die with it.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/resource.h>
#include <sys/types.h>

#include <pith/host_protocol.h>

/* pith's own exit statuses; all others are the program's. */
enum pith_status {
    PITH_USAGE = 2,           /* what can never be valid */
    PITH_TIMED_OUT = 124,     /* --timeout */
    PITH_FAILED = 125,        /* valid, but not possible here, or went wrong */
    PITH_PANICKED = 255,      /* the kernel found itself broken */
    PITH_SIGNAL_OFFSET = 128, /* a signal ended it */
};

/*
 * ---- pith_say.c: sentences on standard error, and memory that is there or ends the command ----
 */

#define printf_format(format_index, first_argument) \
    __attribute__((format(printf, format_index, first_argument)))

/* "pith: SENTENCE\n" on standard error. */
void say(const char *format, ...) printf_format(1, 2);
/* The same, then the end with PITH_FAILED. */
_Noreturn void fail(const char *format, ...) printf_format(1, 2);

/* A queue of bytes: appended at the end, consumed from the front. All zero is an empty one. */
struct buffer {
    uint8_t *data;  /* the first byte not yet consumed */
    size_t size;    /* bytes from `data` on */
    uint8_t *start; /* of the allocation */
    size_t room;    /* of the allocation */
};

void buffer_append(struct buffer *buffer, const void *bytes, size_t size);
void buffer_append_zeros(struct buffer *buffer, size_t size);
void buffer_consume(struct buffer *buffer, size_t size);
void buffer_free(struct buffer *buffer);

/* Strings in their order; the last pointer is followed by NULL. The strings are not owned. */
struct strings {
    const char **list;
    size_t count;
};

void strings_add(struct strings *strings, const char *string);
/* A new string, formatted; never NULL. */
char *text(const char *format, ...) printf_format(1, 2);

/* ---- pith_options.c, pith_option_table.c: the command line ---- */

enum pith_command {
    COMMAND_RUN,
    COMMAND_SHELL,
    COMMAND_PS,
    COMMAND_ATTACH,
    COMMAND_DOCTOR,
    COMMAND_HELP,
    COMMAND_VERSION,
};

enum accelerator {
    ACCELERATOR_AUTO,
    ACCELERATOR_KVM,
    ACCELERATOR_TCG
};
enum machine {
    MACHINE_MICROVM,
    MACHINE_Q35
};

#define MEMORY_BYTES_DEFAULT ((uint64_t)1 << 30)
#define MEMORY_BYTES_LEAST   ((uint64_t)16 << 20) /* what the kernel and a small program need */
#define CPUS_MOST            64

/* A host directory besides the root, at the same path in the guest. */
struct share_option {
    const char *path; /* without symbolic links */
    bool writable;
};

struct run_options {
    enum pith_command command;
    unsigned cpus;
    uint64_t memory_bytes;
    uint64_t timeout_ms;        /* 0: none */
    struct strings environment; /* NAME=VALUE, after the caller's own */
    const char *directory;      /* NULL: the caller's */
    const char *root;           /* NULL: no files of the host */
    struct share_option *shares;
    size_t share_count;
    struct strings hidden;
    struct strings initramfs_files; /* HOST:GUEST */
    uid_t uid;
    gid_t gid;
    gid_t *groups;
    size_t group_count;
    enum accelerator accelerator;
    enum machine machine;
    const char *cpu;     /* NULL: what suits the accelerator */
    const char *append;  /* words for the kernel; "" */
    struct strings qemu; /* more arguments for QEMU */
    unsigned gdb_port;   /* 0: none */
    const char *keep;    /* NULL: do not */
    bool dry_run, quiet, boot_time, debug, deterministic, diff, missing;
    char **program;         /* its name and arguments, then NULL */
    const char *machine_id; /* of attach; NULL: the only one */
};

/*
 * Reads the command line. Returns 0, or the status to exit with after it said what is wrong. The
 * strings point into `argv`.
 */
int options_parse(int argc, char **argv, struct run_options *options);
void options_print_help(void);

/* ---- pith_caller.c: who calls ---- */

#define CALLER_LIMITS 16 /* RLIM_NLIMITS */

/* Its ids become the program's. */
void caller_take(struct run_options *options);
/* --user. 0, or PITH_USAGE. */
int caller_set_user(struct run_options *options, const char *user);
/* Its resource limits, for the program; ours and our children's are lifted as far as they may. */
void caller_take_limits(struct rlimit limits[CALLER_LIMITS]);

/*
 * ---- pith_library.c: the kernel and the guest's programs, next to the command or installed ----
 */

struct library {
    char *kernel;   /* pith.elf */
    char *init;     /* the guest's first program */
    char *programs; /* directory of what the guest has in /pith/bin */
    int kernel_fd;
};

/* Finds and checks them, or fails with a sentence. */
void library_find(struct library *library);
/* NULL, or a new sentence that says what is wrong. */
const char *library_search(struct library *library);

/* ---- pith_initramfs.c ---- */

/* An archive in memory with init, /pith/bin and the files asked for. */
int initramfs_create(const struct library *library, const struct strings *files);

/* ---- pith_streams.c: the caller's standard input, output and error ---- */

/* How bytes get in and out without ever waiting, and without a flag on the caller's descriptor. */
enum stream_way {
    STREAM_DIRECT,      /* never waits: a file, a device */
    STREAM_SOCKET,      /* MSG_DONTWAIT */
    STREAM_NONBLOCKING, /* an open description of our own, with O_NONBLOCK */
    STREAM_CAREFUL,     /* poll first, then little at a time */
};

struct stream {
    enum host_stream kind;
    enum stream_way way;
    int fd;
};

#define STREAMS 3

/* Notes which of 0, 1, 2 are open and puts /dev/null where one is not. First of all in main. */
void streams_note_closed(void);
/* What each is; `terminal_fd_out`: the one that is the caller's terminal, -1: none. */
void streams_open(struct stream streams[STREAMS], int *terminal_fd_out);
/*
 * For a run that repeats: no terminal, and standard input is a file or empty; else a sentence and
 * the end.
 */
void streams_make_repeatable(struct stream streams[STREAMS], int *terminal_fd);
/* A way to use `fd` in `mode` (O_RDONLY, O_WRONLY, O_RDWR). */
void stream_open(struct stream *stream, int fd, int mode);
/* As read(2) and write(2), but never waiting: -EAGAIN. Negative errno. */
ssize_t stream_read(const struct stream *stream, void *to, size_t size);
ssize_t stream_write(const struct stream *stream, const void *from, size_t size);

/* ---- pith_terminal.c: the caller's terminal ---- */

#define TERMIOS_BYTES 36 /* the kernel's struct termios, not the C library's */

struct terminal;

/* NULL if `fd` is -1. */
struct terminal *terminal_open(int fd);
const struct stream *terminal_stream(const struct terminal *terminal);
void terminal_get_settings(const struct terminal *terminal, uint8_t settings[TERMIOS_BYTES]);
void terminal_get_window(const struct terminal *terminal, uint16_t *rows, uint16_t *columns);
/* Bytes from now on pass as they are; the guest's line discipline does the rest. */
void terminal_make_raw(struct terminal *terminal);
bool terminal_is_raw(const struct terminal *terminal);
/* As it was. Also happens at exit, and when the process is killed. */
void terminal_restore(struct terminal *terminal);
/* We were stopped and go on: somebody may have set it in between. */
void terminal_continue(struct terminal *terminal);

/* ---- pith_link.c: frames to and from the guest ---- */

/* What a link leads to, which may send only its own types of frames. */
enum link_peer {
    LINK_TO_GUEST,
    LINK_TO_CLIENT, /* `pith attach` */
};

struct link {
    enum link_peer peer;
    int fd;
    struct buffer out;
    struct buffer in;
};

/* A frame came. Negative errno: the guest broke the protocol. */
typedef int link_handler(void *context, const struct host_frame *frame, const uint8_t *payload);

void link_open(struct link *link, int fd, enum link_peer peer);
/* Queues a frame; link_flush sends. `size` may be beyond HOST_FRAME_MAX for DATA: it is cut. */
void link_send(struct link *link, enum host_frame_type type, uint8_t channel, const void *payload,
               size_t size);
/* Sends what it can without waiting. */
void link_flush(struct link *link);
/*
 * Reads what is there and calls `handler` for each whole frame. 1: there may be more later; 0: the
 * other side is gone; negative errno: a frame that is none, or what the handler returned.
 */
int link_receive(struct link *link, link_handler *handler, void *context);

/* ---- pith_channels.c: data, credits and ends between streams and frames ---- */

struct channels;

struct channels *channels_create(struct link *link, const struct stream streams[STREAMS],
                                 struct terminal *terminal);
/* A frame of a data channel. -EPROTO. */
int channels_handle(struct channels *channels, const struct host_frame *frame,
                    const uint8_t *payload);
/* Data for the guest on CONTROL. */
void channels_send_control(struct channels *channels, const void *bytes, size_t size);

struct pollfd;
#define CHANNELS_POLL_MOST 8
/* What to poll for, and what to do after. */
size_t channels_poll(struct channels *channels, struct pollfd *polled);
void channels_progress(struct channels *channels);
/* Whether all that the guest wrote has left. */
bool channels_are_drained(const struct channels *channels);
/* Whether something of it could not be written (a full disk); a sentence said why. */
bool channels_have_lost(const struct channels *channels);

/* ---- pith_description.c: the description of the run ---- */

void description_build(struct buffer *description, const struct run_options *options,
                       const struct rlimit limits[CALLER_LIMITS],
                       const struct stream streams[STREAMS], const struct terminal *terminal);

/*
 * A command about a session: the signal, if it is not 0, or else the window's size. For init, on
 * CONTROL.
 */
void description_build_command(struct buffer *description, uint32_t session, uint32_t signal,
                               const uint16_t window[2]);

/* ---- pith_machines.c: the machines that run, by their sockets ---- */

/* A socket under a name that tells others of this user that we run; *id_out is our number. */
int machines_announce(unsigned long *id_out);
/* Whether who is connected is of this user; pid_out may be NULL. */
bool machines_is_ours(int fd, pid_t *pid_out);
/* `pith ps`. */
int machines_list(void);
/* Connects to one; `id` NULL: the only one. Fails with a sentence. */
int machines_connect(const char *id);

/* ---- pith_sessions.c: who is attached to our machine ---- */

struct sessions;
struct pollfd;

#define SESSIONS_POLL_MOST (HOST_SESSIONS + 1)

/*
 * `guest` and `channels` lead to the machine. Without a name to be found by there are no sessions.
 */
struct sessions *sessions_create(struct link *guest, struct channels *channels);
size_t sessions_poll(struct sessions *sessions, struct pollfd *polled);
void sessions_progress(struct sessions *sessions, const struct pollfd *polled);
/* A frame of a session's channel came from the guest. -EPROTO. */
int sessions_handle(struct sessions *sessions, const struct host_frame *frame,
                    const uint8_t *payload);

/* ---- pith_attach.c ---- */

/* Returns the status to exit with. */
int attach(struct run_options *options);

/* ---- pith_doctor.c ---- */

/* Says what is missing on this machine and how to get it. 0: nothing; PITH_FAILED. */
int doctor(void);

/* ---- pith_qemu.c: the machine ---- */

struct machine_fds {
    int kernel, initramfs;
    int link;      /* our frames */
    int files;     /* the file server's socket; -1: none */
    int debug;     /* the kernel's debug port */
    int complaint; /* QEMU's standard error */
};

/* The path of QEMU, or a sentence and the end. */
const char *qemu_find(void);
/* The same; NULL: there is none. */
const char *qemu_search(void);
void qemu_build_arguments(struct strings *arguments, const char *qemu,
                          const struct run_options *options, enum accelerator accelerator,
                          const struct machine_fds *fds);
/* Starts it in a session of its own; it dies with us. */
pid_t qemu_start(const struct strings *arguments, const struct machine_fds *fds);
/* Says what QEMU said, in one sentence, as the reason why it ended. */
void qemu_say_why(struct buffer *complaint, int wait_status);
/* Takes what QEMU has written on its standard error by now. False: it will write no more. */
bool qemu_take_complaint(int fd, struct buffer *complaint);
/* The line that says that KVM gave up, after which QEMU stands still for ever; NULL: it did not. */
const char *qemu_kvm_last_words(const struct buffer *complaint);

/* ---- pith_child.c: processes that end with us ---- */

/* Like fork; the child is killed when we die and has the signals as the caller left them. */
pid_t child_fork(void);
/* Before anything else: notes what children get back, and ignores SIGPIPE. */
void child_remember_signals(void);
/* Whether our caller had the signal ignored. */
bool child_caller_ignores(int number);
/* A descriptor for the signals that end or stop a run, which come only there from now on. */
int signals_open(void);
/* Closes all descriptors of this process from 3 on, but those. */
void child_keep_only(const int *keep, size_t count);

/* ---- pith_files.c: the file server as a child ---- */

pid_t files_start(const struct run_options *options, int socket_fd);

/* ---- pith_accelerator.c ---- */

/* `auto` becomes one that works here; says so if it is not KVM. Fails if what is asked does not. */
enum accelerator accelerator_choose(const struct run_options *options, const char *qemu,
                                    const struct library *library);

/* ---- pith_start.c ---- */

/* A machine that runs, and our ends of what leads to it. */
struct machine_parts {
    pid_t machine, files; /* QEMU; the file server, 0: none */
    int link_fd, debug_fd;
    int complaint_fd;    /* what QEMU writes on its standard error; -1: it ended */
    uint64_t started_ns; /* when QEMU was started */
};

/* False: --dry-run, nothing was started. Fails with a sentence. */
bool machine_start(const struct run_options *options, struct machine_parts *parts);

/* ---- pith_boot_time.c: --boot-time ---- */

struct boot_time {
    uint64_t command_ns, qemu_ns, exit_ns;    /* CLOCK_MONOTONIC: our start, QEMU's, the end */
    uint64_t machine_ns;                      /* no later than this the machine's clock was at 0 */
    uint64_t moment_ns[HOST_MOMENT_EXIT + 1]; /* on the machine's clock; 0: did not come */
};

uint64_t clock_now_ns(void);
void boot_time_note(struct boot_time *times, const struct host_stamp *stamp);
void boot_time_print(const struct boot_time *times);

/* ---- pith_report.c: what init tells when the program has ended ---- */

struct report;

/* NULL: the options ask for nothing. Fails with a sentence if --keep's directory cannot be used. */
struct report *report_open(const struct run_options *options);
/* HOST_REPORT_*, for the description of the run. */
uint32_t report_wanted(const struct run_options *options);
/* Bytes of REPORT came. False: they are not what was agreed. */
bool report_take(struct report *report, const uint8_t *bytes, size_t size);
/* All came: prints the lists, finishes the directory. False: not all could be kept, as was said. */
bool report_close(struct report *report);

/* ---- pith_keep.c: files of the guest's in a directory of ours ---- */

struct keep;

/*
 * An empty or new directory, or a sentence and the end. `bytes_most`, `files_most`: what it takes.
 */
struct keep *keep_open(const char *path, uint64_t bytes_most, uint64_t files_most);
/*
 * Makes a file. `path` is the guest's; `other` a symbolic link's target, or for KEPT_LINK the path
 * of the same file. What cannot be made is said. The strings end with a NUL.
 */
void keep_file(struct keep *keep, const struct host_report *report, const char *path,
               const char *other, const uint8_t *xattrs);
/* A piece of the regular file that was made last; `size` 0: its end. */
void keep_piece(struct keep *keep, uint64_t offset, const uint8_t *bytes, size_t size);
/* False: something was left out. */
bool keep_close(struct keep *keep);

/* ---- pith_run.c ---- */

/* Runs the machine. Returns the status to exit with. */
int run_machine(struct run_options *options);
