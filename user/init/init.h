/*
 * init, the guest's first process: prepares the machine as the description of the run says, starts
 * the program, reaps what is orphaned, and tells the host how the program ended.
 */
#pragma once

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>
#include <sys/types.h>

#include <pith/host_protocol.h>

#define STREAMS        3
#define STATUS_FAILED  125 /* init could not do its part */
#define TERMIOS_BYTES  36
#define SHARES_DIR     "/host" /* where the host's directories are mounted, in the first root */
#define GUEST_PROGRAMS "/pith"

/* The description of the run. Strings point into the bytes that were read. */
struct description {
    const char *program;
    char **arguments; /* ends with NULL */
    size_t argument_count;
    char **environment; /* ends with NULL */
    size_t variable_count;
    const char *directory; /* NULL: none was given */
    uint32_t uid, gid;
    uint32_t *groups;
    size_t group_count;
    uint32_t umask;
    int32_t nice;
    uint64_t ignored_signals;
    struct run_limit *limits;
    size_t limit_count;
    uint64_t date_ns;
    const uint8_t *seed;
    size_t seed_size;
    const char *hostname; /* NULL: none was given */
    uint32_t streams[STREAMS];
    bool has_terminal;
    uint8_t terminal[TERMIOS_BYTES];
    uint16_t rows, columns;
    struct run_share *shares;
    size_t share_count; /* 0: no files of the host */
    uint64_t overlay_bytes;
    uint32_t report;           /* HOST_REPORT_*: what to tell at the end */
    uint32_t session;          /* 0: the run itself */
    uint32_t signal;           /* for the session's program; 0: none */
    const char *terminal_path; /* of the program's terminal */
    uint8_t *bytes;            /* what the strings point into */
};

struct run_limit {
    uint32_t resource, reserved;
    uint64_t soft, hard;
};

struct run_share {
    struct host_share share;
    const char *path;
};

/* Says a sentence on the program's standard error and ends the run with STATUS_FAILED. */
_Noreturn void fail(const char *what, const char *object, int error);
/* Says it only. `error` 0: none. */
void complain(const char *what, const char *object, int error);

/*
 * Opens a file at a descriptor above the streams', which are the program's, closed with exec. -1
 * and errno.
 */
int open_above_streams(const char *path, int flags);

/* ---- description.c ---- */

/* Reads it from the control device. */
void description_read(int control_fd, struct description *description);
void description_free(struct description *description);
/*
 * Takes it apart, in place: `bytes` are its entries, without the header, and change. 0 or -EINVAL;
 * -ENOMEM.
 */
int description_parse(uint8_t *bytes, size_t size, uint32_t count, struct description *description);

/* ---- mounts.c ---- */

void mount_devices(void);
/*
 * Builds the program's root and goes there. Returns a descriptor of the directory below the
 * overlay, if the report needs it; else -1.
 */
int mount_root(const struct description *description);

/* ---- changes.c: what the program changed in its root ---- */

struct change {
    const char *path;
    uint32_t kind;     /* enum host_report_kind */
    uint32_t flags;    /* HOST_REPORT_CHANGED_* */
    const char *other; /* NULL: nothing stands beside the kind */
};

/* All changes, by path; nobody changes anything meanwhile. Fails with a sentence. */
void changes_find(int lower_fd, struct change **changes_out, size_t *count_out);

/* ---- report.c ---- */

/* Before the program starts: opens what report_send needs. */
void report_prepare(void);
/* Tells the host what the description asks for. No other process lives. */
void report_send(const struct description *description, int lower_fd);

/* ---- program.c ---- */

/*
 * In the child: becomes the program, or says why not and ends. `control_fd`: tells the host that it
 * starts, and makes it the one that gets the host's signals; -1: not so.
 */
_Noreturn void program_become(const struct description *description, int control_fd);

/* ---- sessions.c: programs that the host starts later ---- */

/* A channel of a session other than 0. -1 and errno. */
int session_open_channel(uint32_t session, uint32_t channel, int flags);
/* There is a command on the control device. */
void session_command(int control_fd);
/* A child ended that is not the run's program. */
void session_reaped(int control_fd, pid_t child, int status);

/* ---- main.c ---- */

uint32_t status_as_in_a_shell(int wait_status);
/* Sentences go there from now on; -1: nowhere. Takes the descriptor over. */
void complain_to(int fd);
