/* A terminal's state, shared by the files of the line discipline. */
#pragma once

#include <pith/tty.h>

#define TTY_INPUT_BYTES  4096u /* as Linux's N_TTY_BUF_SIZE; a canonical line has one less */
#define TTY_OUTPUT_BYTES 8192u

/* A ring whose size is a power of two; the counters run on. guarded by tty.queue.lock */
struct tty {
    struct refcount references;
    struct wait_queue queue;         /* its lock guards all below that is not [const] */
    const struct tty_driver *driver; /* [const] */
    void *driver_data;               /* [const] the far side's */
    u64 device;                      /* [const] */

    struct termios termios;
    struct termios termios_locked; /* what is set here TCSETS and its like leave as it is */
    struct winsize window;

    /*
     *     input_tail        input_lines_end        input_head
     *        |   whole lines      |   line being edited  |
     * In raw mode all up to input_head can be read. `line_ends` marks each byte that ends a line;
     * `file_ends` those of them that are an end of file: not part of the text.
     */
    u8 *input;
    u32 input_head, input_lines_end, input_tail;
    u64 line_ends[TTY_INPUT_BYTES / 64];
    u64 file_ends[TTY_INPUT_BYTES / 64];
    bool literal_next; /* VLNEXT was typed */
    bool input_full;   /* the far side was told that there is no room */

    u8 *output;
    u32 output_head, output_tail;
    u32 column;      /* of the cursor */
    u32 edit_column; /* where the line being edited begins on the screen */
    bool stopped;    /* VSTOP or TCOOFF */
    bool held;       /* by TCOOFF, so that only TCOON ends it */
    bool is_written; /* a write of the near side is under way */

    bool hung_up;    /* for good: the far side is gone */
    u64 hangups;     /* of the near side alone, by vhangup(2): what was opened before is over */
    bool locked;     /* a pty's slave before unlockpt */
    u32 near_opens;  /* files open on the near side */
    bool was_opened; /* a pty's slave: it was open once, so 0 opens mean that it was closed */
    s32 session;     /* the session's id; 0: nobody's controlling terminal */
    s32 foreground;  /* process group */

    bool packet_mode; /* the master's TIOCPKT */
    u8 packet_status; /* TIOCPKT_* that the master has not seen */
};

/*
 * An open file of the near side notes at how many hang-ups it was opened, as its offset, for which
 * a terminal has no other use.
 */
static inline bool tty_file_is_stale(const struct file *file)
{
    const struct tty *tty = file->private_data;

    return file->offset < READ_ONCE(tty->hangups);
}

/* By vhangup(2), or with the far side: reads end, writes and questions are EIO. */
static inline bool tty_file_is_over(const struct file *file)
{
    const struct tty *tty = file->private_data;

    return READ_ONCE(tty->hung_up) || tty_file_is_stale(file);
}

static inline u32 tty_output_room(const struct tty *tty)
{
    return TTY_OUTPUT_BYTES - (tty->output_head - tty->output_tail);
}

static inline bool tty_has(const struct tty *tty, u32 local_flag)
{
    return tty->termios.c_lflag & local_flag;
}

/* output.c; tty->queue.lock is held. */
/* Puts a character out with OPOST's changes. False: no room, nothing was put. */
bool tty_put_processed_locked(struct tty *tty, u8 character);
bool tty_put_raw_locked(struct tty *tty, u8 character);
/* Columns that a character takes on the screen at a column, when it is echoed. */
u32 tty_echo_width(const struct tty *tty, u8 character, u32 column);
void tty_echo_locked(struct tty *tty, u8 character);
void tty_output_stop_locked(struct tty *tty) must_hold(&tty->queue.lock);
/* Output goes on unless it is held, or was thrown away: wakes who waits for room. */
void tty_output_resume_locked(struct tty *tty) must_hold(&tty->queue.lock);
/* What a master in packet mode is told: `set` instead of `clear` (TIOCPKT_*). */
void tty_packet_tell_locked(struct tty *tty, u8 set, u8 clear) must_hold(&tty->queue.lock);
ssize_t tty_output_write(struct file *file, struct io_buffer *io);

/* input.c; tty->queue.lock is held. */
bool tty_can_read_locked(const struct tty *tty);
void tty_input_flush_locked(struct tty *tty);
/* The modes changed from `old`: what is in the ring is seen with the new ones. */
void tty_input_modes_changed_locked(struct tty *tty, const struct termios *old);

/* ioctl.c: what either side may ask of the line. */
long tty_ioctl(struct tty *tty, u32 command, u64 argument);

/* jobs.c */
/*
 * Whether the calling thread may go on though its process may be in the background: 0;
 * -ERESTARTSYS: its group was sent `signal`; -EIO: it cannot be stopped (orphaned, or for SIGTTIN
 * ignored or blocked).
 */
int tty_check_foreground(struct tty *tty, int signal) must_check;
long tty_jobs_ioctl(struct tty *tty, u32 command, u64 argument);
/*
 * tty->session was set to `session`, the calling process's: tells the session. No lock is held; a
 * thief that comes between the two has the terminal in the end, and the session has none.
 */
void tty_tell_session(struct tty *tty, s32 session);
/* The session's leader ended or gave the terminal up, which may be another session's by now. */
void tty_disassociate(struct tty *tty, s32 session);
void tty_signal_foreground(struct tty *tty, u32 signals);

/* console.c */
void console_init(void);
