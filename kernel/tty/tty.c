/*
 * A terminal's life, and what open files do with it (tty.h has the picture).
 *
 * A terminal lives as long as somebody refers to it: its open files, its far side, and the session
 * that it controls. A hang-up ends its use, not its life: from then on reads see the end of file
 * and writes EIO, and what was typed before can still be read.
 *
 * Signals and the driver's functions take locks that stand above the terminal's, so under the lock
 * it is only noted what is to be sent or told, and done when the lock was let go:
 *
 *     lock; change state; wake; note signals; unlock -> send signals -> driver->output_ready
 *
 * Nothing is lost by the gap: whoever the driver tells looks at the rings itself, under the lock.
 *
 * Locking: tty.queue.lock (LOCK_WAIT_QUEUE) guards all that is not [const].
 * Context: the far side's functions anywhere but under that lock; open files' may sleep.
 */
#include <pith/tty.h>

#include <pith/abi/signal.h>
#include <pith/proc.h>

#include "host_port.h"
#include "pty.h"
#include "tty_state.h"

/* What Linux starts with (tty_std_termios). */
static const struct termios termios_default = {
    .c_iflag = ICRNL | IXON,
    .c_oflag = OPOST | ONLCR,
    .c_cflag = B38400 | CS8 | CREAD | HUPCL,
    .c_lflag = ISIG | ICANON | ECHO | ECHOE | ECHOK | ECHOCTL | ECHOKE | IEXTEN,
    .c_cc =
        {
            [VINTR] = 'C' - '@',
            [VQUIT] = '\\' - '@',
            [VERASE] = 0x7f,
            [VKILL] = 'U' - '@',
            [VEOF] = 'D' - '@',
            [VTIME] = 0,
            [VMIN] = 1,
            [VSTART] = 'Q' - '@',
            [VSTOP] = 'S' - '@',
            [VSUSP] = 'Z' - '@',
            [VREPRINT] = 'R' - '@',
            [VDISCARD] = 'O' - '@',
            [VWERASE] = 'W' - '@',
            [VLNEXT] = 'V' - '@',
        },
};

int tty_create(const struct tty_driver *driver, u64 device, struct tty **tty_out)
{
    struct tty *tty = kmalloc(sizeof(*tty), ALLOC_CLEARED);

    if (!tty)
        return -ENOMEM;
    tty->input = kmalloc(TTY_INPUT_BYTES, 0);
    tty->output = kmalloc(TTY_OUTPUT_BYTES, 0);
    if (!tty->input || !tty->output) {
        kfree(tty->input);
        kfree(tty->output);
        kfree(tty);
        return -ENOMEM;
    }
    refcount_set(&tty->references, 1);
    wait_queue_init(&tty->queue);
    tty->driver = driver;
    tty->device = device;
    tty->termios = termios_default;
    *tty_out = tty;
    return 0;
}

void tty_get(struct tty *tty)
{
    refcount_inc(&tty->references);
}

void tty_put(struct tty *tty)
{
    if (!refcount_dec_is_zero(&tty->references))
        return;
    if (tty->driver->release)
        tty->driver->release(tty);
    kfree(tty->input);
    kfree(tty->output);
    kfree(tty);
}

void tty_set_window(struct tty *tty, const struct winsize *size)
{
    bool changed;

    spin_lock(&tty->queue.lock);
    changed = memcmp(&tty->window, size, sizeof(*size)) != 0;
    tty->window = *size;
    spin_unlock(&tty->queue.lock);
    if (changed)
        tty_signal_foreground(tty, BIT(SIGWINCH));
}

void tty_hang_up(struct tty *tty)
{
    s32 session;

    spin_lock(&tty->queue.lock);
    session = tty->hung_up ? 0 : tty->session;
    tty->hung_up = true;
    tty->held = false;
    tty->output_tail = tty->output_head;
    tty_output_resume_locked(tty);
    wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_HUP | POLL_IN);
    spin_unlock(&tty->queue.lock);
    if (session)
        signal_send_session_leader(session, SIGHUP);
    if (session)
        tty_signal_foreground(tty, BIT(SIGHUP) | BIT(SIGCONT));
}

/*
 * All that is open is over, but the line lives on: a getty opens it anew for the next user, and
 * nobody who had it open before can read what that one types.
 */
void tty_hang_up_own(void)
{
    struct tty *tty = session_terminal_get();
    s32 session;

    if (!tty)
        return;
    spin_lock(&tty->queue.lock);
    session = tty->session;
    tty->session = tty->foreground = 0;
    WRITE_ONCE(tty->hangups, tty->hangups + 1);
    tty->near_opens = 0;
    tty->termios = termios_default;
    tty->held = false;
    tty->output_tail = tty->output_head;
    tty_input_flush_locked(tty);
    tty_output_resume_locked(tty);
    tty->packet_status = 0;
    wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_HUP | POLL_IN | POLL_ERR);
    spin_unlock(&tty->queue.lock);
    tty->driver->output_ready(tty);
    session_clear_terminal(session, tty);
    signal_send_session_leader(session, SIGHUP);
    signal_send_session_leader(session, SIGCONT);
    tty_put(tty);
}

/* ---- Open files ---- */

/*
 * A session leader without a terminal that opens one for reading gets it, unless O_NOCTTY (POSIX
 * 11.1.3; Linux's rule of FMODE_READ). Looked at and taken under one lock.
 */
static void become_controlling(struct tty *tty, struct file *file)
{
    s32 session = session_without_terminal(), group = process_group_current();

    if (session == 0 || (file->flags & O_NOCTTY) || !(file->mode & FILE_READ))
        return;
    spin_lock(&tty->queue.lock);
    if (tty->session == 0) {
        tty->session = session;
        tty->foreground = group;
    } else {
        session = 0;
    }
    spin_unlock(&tty->queue.lock);
    if (session)
        tty_tell_session(tty, session);
}

/* -EIO: a pty's slave that is locked (unlockpt(3)), or the terminal was hung up. */
int tty_file_open(struct tty *tty, struct file *file)
{
    int error = 0;

    spin_lock(&tty->queue.lock);
    if (tty->locked || tty->hung_up)
        error = -EIO;
    else
        tty->near_opens++;
    file->offset = tty->hangups;
    spin_unlock(&tty->queue.lock);
    if (error)
        return error;
    tty_get(tty);
    file->private_data = tty;
    become_controlling(tty, file);
    return 0;
}

void tty_file_release(struct file *file)
{
    struct tty *tty = file->private_data;

    spin_lock(&tty->queue.lock);
    if (!tty_file_is_stale(file))
        tty->near_opens--;
    wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_HUP | POLL_IN);
    spin_unlock(&tty->queue.lock);
    tty->driver->output_ready(tty);
    tty_put(tty);
}

/* -EIO, -EAGAIN, -ERESTARTSYS: TOSTOP and the background sent SIGTTOU, or a signal came. */
ssize_t tty_file_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct tty *tty = file->private_data;
    int error;

    if (tty_has(tty, TOSTOP)) {
        error = tty_check_foreground(tty, SIGTTOU);
        if (error)
            return error;
    }
    return tty_output_write(file, io);
}

u32 tty_file_poll(struct file *file, struct poll_table *table)
{
    struct tty *tty = file->private_data;
    u32 events = 0;

    poll_wait(table, &tty->queue);
    spin_lock(&tty->queue.lock);
    if (tty_can_read_locked(tty))
        events |= POLL_IN | POLL_RDNORM;
    if (tty_file_is_stale(file))
        events = POLL_HUP | POLL_ERR | POLL_READABLE | POLL_WRITABLE;
    else if (tty->hung_up)
        events |= POLL_HUP | POLL_IN | POLL_RDNORM | POLL_OUT;
    else if (tty_output_room(tty) >= TTY_OUTPUT_BYTES / 16 && !tty->stopped && !tty->is_written)
        events |= POLL_OUT | POLL_WRNORM;
    spin_unlock(&tty->queue.lock);
    return events;
}

/* For /proc/PID/stat: what is read without the lock is a number that was true a moment ago. */
static void tty_describe(struct tty *tty, u64 *device_out, s32 *foreground_out)
{
    *device_out = tty->device;
    *foreground_out = READ_ONCE(tty->foreground);
}

static const struct session_terminal_operations session_operations = {
    .get = tty_get,
    .describe = tty_describe,
    .put = tty_put,
    .leader_exited = tty_disassociate,
};

void tty_init(void)
{
    session_terminal_register(&session_operations);
    console_init();
    pty_init();
    host_port_init();
    host_streams_init();
}
