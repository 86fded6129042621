/*
 * Terminals' ioctls: modes, window size, flushing, and counts (ioctl_tty(2)). Those of job control
 * are in jobs.c.
 *
 * Who changes something from the background is stopped by SIGTTOU first (tty_check_foreground), but
 * not for what only asks. Changes that "drain" wait until the far side has taken all output, which
 * a slow reader of a pty may never do; a signal ends the wait, and the modes stay.
 *
 * Errors: -EFAULT, -EIO (an orphaned background group), -ERESTARTSYS (the call is made again when
 * the group is in the foreground), -EINVAL; -ENOTTY: the command is none of a terminal's.
 */
#include <pith/tty.h>

#include <pith/abi/signal.h>
#include <pith/proc.h>

#include "tty_state.h"

#define FLAGS_BYTES offsetof(struct termios2, c_ispeed)

/* Without a limit, as tcdrain(3) has none. */
static int drain(struct tty *tty)
{
    int error = 0;

    spin_lock(&tty->queue.lock);
    while (tty->output_head != tty->output_tail && !tty->hung_up && !error)
        error = wait_queue_wait(&tty->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_TERMINAL);
    spin_unlock(&tty->queue.lock);
    return error ? -ERESTARTSYS : 0;
}

/* What tcflush(3) throws away. */
#define FLUSH_INPUT  BIT(0)
#define FLUSH_OUTPUT BIT(1)

static void flush(struct tty *tty, u32 what)
{
    spin_lock(&tty->queue.lock);
    if (what & FLUSH_INPUT) {
        tty_input_flush_locked(tty);
        tty->input_full = false;
        tty->packet_status |= TIOCPKT_FLUSHREAD;
    }
    if (what & FLUSH_OUTPUT) {
        tty->output_tail = tty->output_head;
        tty->packet_status |= TIOCPKT_FLUSHWRITE;
    }
    wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_OUT | POLL_WRNORM | POLL_IN);
    spin_unlock(&tty->queue.lock);
    if ((what & FLUSH_INPUT) && tty->driver->input_room)
        tty->driver->input_room(tty);
}

/*
 * struct termios2 begins with a struct termios; the speeds behind it are those of a line that has
 * none.
 */
static long modes_get(struct tty *tty, u64 argument, size_t bytes)
{
    struct termios2 modes = {.c_ispeed = 38400, .c_ospeed = 38400};

    spin_lock(&tty->queue.lock);
    memcpy(&modes, &tty->termios, sizeof(tty->termios));
    spin_unlock(&tty->queue.lock);
    return copy_out(user_ptr_at(argument), &modes, bytes);
}

/* TCGETA, for programs of System V's. */
static long modes_get_short(struct tty *tty, u64 argument)
{
    struct termio modes;

    memset(&modes, 0, sizeof(modes)); /* the padding too */
    spin_lock(&tty->queue.lock);
    modes.c_iflag = (u16)tty->termios.c_iflag;
    modes.c_oflag = (u16)tty->termios.c_oflag;
    modes.c_cflag = (u16)tty->termios.c_cflag;
    modes.c_lflag = (u16)tty->termios.c_lflag;
    modes.c_line = tty->termios.c_line;
    memcpy(modes.c_cc, tty->termios.c_cc, sizeof(modes.c_cc));
    spin_unlock(&tty->queue.lock);
    return copy_out(user_ptr_at(argument), &modes, sizeof(modes));
}

static u32 low_half_set(u32 flags, u16 low)
{
    return (flags & 0xffff0000u) | low;
}

/* The modes that a short form asks for: what it has no room for stays. */
static int modes_in_short(struct tty *tty, u64 argument, struct termios *modes)
{
    struct termio low;
    int error = copy_in(&low, user_ptr_at(argument), sizeof(low));

    if (error)
        return error;
    spin_lock(&tty->queue.lock);
    *modes = tty->termios;
    spin_unlock(&tty->queue.lock);
    modes->c_iflag = low_half_set(modes->c_iflag, low.c_iflag);
    modes->c_oflag = low_half_set(modes->c_oflag, low.c_oflag);
    modes->c_cflag = low_half_set(modes->c_cflag, low.c_cflag);
    modes->c_lflag = low_half_set(modes->c_lflag, low.c_lflag);
    modes->c_line = low.c_line;
    memcpy(modes->c_cc, low.c_cc, sizeof(low.c_cc));
    return 0;
}

static u32 locked_bits_keep(u32 wanted, u32 old, u32 locked)
{
    return (wanted & ~locked) | (old & locked);
}

/* TIOCSLCKTRMIOS: undoes in `modes` the changes of what is locked. tty->queue.lock is held. */
static void modes_keep_locked(const struct tty *tty, struct termios *modes)
{
    const struct termios *old = &tty->termios, *locked = &tty->termios_locked;

    modes->c_iflag = locked_bits_keep(modes->c_iflag, old->c_iflag, locked->c_iflag);
    modes->c_oflag = locked_bits_keep(modes->c_oflag, old->c_oflag, locked->c_oflag);
    modes->c_cflag = locked_bits_keep(modes->c_cflag, old->c_cflag, locked->c_cflag);
    modes->c_lflag = locked_bits_keep(modes->c_lflag, old->c_lflag, locked->c_lflag);
    if (locked->c_line)
        modes->c_line = old->c_line;
    for (int i = 0; i < TERMIOS_CHARACTERS; i++) {
        if (locked->c_cc[i])
            modes->c_cc[i] = old->c_cc[i];
    }
}

static long modes_lock(struct tty *tty, u64 argument)
{
    struct termios locked;
    int error;

    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN))
        return -EPERM;
    error = copy_in(&locked, user_ptr_at(argument), sizeof(locked));
    if (error)
        return error;
    spin_lock(&tty->queue.lock);
    tty->termios_locked = locked;
    spin_unlock(&tty->queue.lock);
    return 0;
}

static long modes_locked_get(struct tty *tty, u64 argument)
{
    struct termios locked;

    spin_lock(&tty->queue.lock);
    locked = tty->termios_locked;
    spin_unlock(&tty->queue.lock);
    return copy_out(user_ptr_at(argument), &locked, sizeof(locked));
}

/* Whether who is behind the master may do the stopping itself (TIOCPKT_DOSTOP). */
static bool has_usual_flow(const struct termios *modes)
{
    return (modes->c_iflag & IXON) && modes->c_cc[VSTOP] == 'S' - '@' &&
           modes->c_cc[VSTART] == 'Q' - '@';
}

/* How a change of modes waits and flushes. */
enum modes_when {
    MODES_NOW,
    MODES_DRAIN,
    MODES_FLUSH
};

static long modes_set(struct tty *tty, u64 argument, size_t bytes, enum modes_when when)
{
    struct termios2 modes2;
    struct termios modes, old;
    int error;

    if (bytes == sizeof(struct termio)) {
        error = modes_in_short(tty, argument, &modes);
    } else {
        error = copy_in(&modes2, user_ptr_at(argument), bytes);
        memcpy(&modes, &modes2, sizeof(modes));
    }
    if (!error)
        error = tty_check_foreground(tty, SIGTTOU);
    if (!error && when != MODES_NOW)
        error = drain(tty);
    if (error)
        return error;
    if (when == MODES_FLUSH)
        flush(tty, FLUSH_INPUT);
    spin_lock(&tty->queue.lock);
    old = tty->termios;
    modes_keep_locked(tty, &modes);
    tty->termios = modes;
    if (has_usual_flow(&old) != has_usual_flow(&modes))
        tty_packet_tell_locked(tty, has_usual_flow(&modes) ? TIOCPKT_DOSTOP : TIOCPKT_NOSTOP,
                               TIOCPKT_DOSTOP | TIOCPKT_NOSTOP);
    if (!(tty->termios.c_iflag & IXON))
        tty_output_resume_locked(tty);
    tty_input_modes_changed_locked(tty, &old);
    wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_IN);
    spin_unlock(&tty->queue.lock);
    tty->driver->output_ready(tty);
    return 0;
}

static long window_get(struct tty *tty, u64 argument)
{
    struct winsize window;

    spin_lock(&tty->queue.lock);
    window = tty->window;
    spin_unlock(&tty->queue.lock);
    return copy_out(user_ptr_at(argument), &window, sizeof(window));
}

static long window_set(struct tty *tty, u64 argument)
{
    struct winsize window;
    int error = copy_in(&window, user_ptr_at(argument), sizeof(window));

    if (!error)
        tty_set_window(tty, &window);
    return error;
}

static long count_input(struct tty *tty, u64 argument)
{
    int count;

    spin_lock(&tty->queue.lock);
    count = (tty_has(tty, ICANON) ? tty->input_lines_end : tty->input_head) - tty->input_tail;
    spin_unlock(&tty->queue.lock);
    return copy_out(user_ptr_at(argument), &count, sizeof(count));
}

static long count_output(struct tty *tty, u64 argument)
{
    int count;

    spin_lock(&tty->queue.lock);
    count = tty->output_head - tty->output_tail;
    spin_unlock(&tty->queue.lock);
    return copy_out(user_ptr_at(argument), &count, sizeof(count));
}

static long flush_queues(struct tty *tty, u64 which)
{
    int error = tty_check_foreground(tty, SIGTTOU);

    if (error)
        return error;
    switch (which) {
    case TCIFLUSH:
        flush(tty, FLUSH_INPUT);
        return 0;
    case TCOFLUSH:
        flush(tty, FLUSH_OUTPUT);
        return 0;
    case TCIOFLUSH:
        flush(tty, FLUSH_INPUT | FLUSH_OUTPUT);
        return 0;
    default:
        return -EINVAL;
    }
}

/* A character of flow control for the far side. */
static void flow_ask(struct tty *tty, unsigned which) must_hold(&tty->queue.lock)
{
    u8 character = tty->termios.c_cc[which];

    if (character)
        (void)tty_put_raw_locked(tty, character);
}

/* TCOON undoes TCOOFF, and with it a VSTOP that came meanwhile; without a TCOOFF, nothing. */
static int flow_locked(struct tty *tty, u64 what) must_hold(&tty->queue.lock)
{
    switch (what) {
    case TCOOFF:
        tty->held = true;
        tty_output_stop_locked(tty);
        return 0;
    case TCOON:
        if (tty->held) {
            tty->held = false;
            tty_output_resume_locked(tty);
        }
        return 0;
    case TCIOFF:
        flow_ask(tty, VSTOP);
        return 0;
    case TCION:
        flow_ask(tty, VSTART);
        return 0;
    default:
        return -EINVAL;
    }
}

/* tcflow(3): stops our output, or asks the far side to stop its. */
static long flow(struct tty *tty, u64 what)
{
    int error = tty_check_foreground(tty, SIGTTOU);

    if (error)
        return error;
    spin_lock(&tty->queue.lock);
    error = flow_locked(tty, what);
    spin_unlock(&tty->queue.lock);
    tty->driver->output_ready(tty);
    return error;
}

/* TIOCSTI: as if it had been typed. One's own controlling terminal, or root. */
static long simulate_input(struct tty *tty, u64 argument)
{
    u8 character;
    int error = copy_in(&character, user_ptr_at(argument), sizeof(character));

    if (error)
        return error;
    if (session_terminal_current() != tty &&
        !credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN))
        return -EPERM;
    tty_input(tty, &character, 1);
    return 0;
}

static long send_break(struct tty *tty)
{
    int error = tty_check_foreground(tty, SIGTTOU);

    return error ? error : drain(tty);
}

long tty_ioctl(struct tty *tty, u32 command, u64 argument)
{
    int discipline = 0;

    switch (command) {
    case TCGETS:
        return modes_get(tty, argument, sizeof(struct termios));
    case TCGETS2:
        return modes_get(tty, argument, sizeof(struct termios2));
    case TCSETS:
        return modes_set(tty, argument, sizeof(struct termios), MODES_NOW);
    case TCSETSW:
        return modes_set(tty, argument, sizeof(struct termios), MODES_DRAIN);
    case TCSETSF:
        return modes_set(tty, argument, sizeof(struct termios), MODES_FLUSH);
    case TCSETS2:
        return modes_set(tty, argument, sizeof(struct termios2), MODES_NOW);
    case TCSETSW2:
        return modes_set(tty, argument, sizeof(struct termios2), MODES_DRAIN);
    case TCSETSF2:
        return modes_set(tty, argument, sizeof(struct termios2), MODES_FLUSH);
    case TCGETA:
        return modes_get_short(tty, argument);
    case TCSETA:
        return modes_set(tty, argument, sizeof(struct termio), MODES_NOW);
    case TCSETAW:
        return modes_set(tty, argument, sizeof(struct termio), MODES_DRAIN);
    case TCSETAF:
        return modes_set(tty, argument, sizeof(struct termio), MODES_FLUSH);
    case TIOCGLCKTRMIOS:
        return modes_locked_get(tty, argument);
    case TIOCSLCKTRMIOS:
        return modes_lock(tty, argument);
    case TIOCGWINSZ:
        return window_get(tty, argument);
    case TIOCSWINSZ:
        return window_set(tty, argument);
    case TIOCINQ:
        return count_input(tty, argument);
    case TIOCOUTQ:
        return count_output(tty, argument);
    case TCFLSH:
        return flush_queues(tty, argument);
    case TCXONC:
        return flow(tty, argument);
    case TCSBRK:
    case TCSBRKP:
        return send_break(tty);
    case TIOCSTI:
        return simulate_input(tty, argument);
    case TIOCGETD:
        return copy_out(user_ptr_at(argument), &discipline, sizeof(discipline));
    default:
        return tty_jobs_ioctl(tty, command, argument);
    }
}

/* isatty(3) says no of a terminal that was hung up. */
long tty_file_ioctl(struct file *file, u32 command, u64 argument)
{
    if (tty_file_is_over(file))
        return command == TIOCSPGRP ? -ENOTTY : -EIO;
    return tty_ioctl(file->private_data, command, argument);
}
