/*
 * Terminals' output: OPOST's changes, echo, and what the far side takes.
 *
 *     write(2) -- part by part --> OPOST --> ring --> tty_output_take (far side)
 *     echo of what is typed -------^
 *
 * A character is put out whole or not at all: where it becomes several bytes (a newline, a tab, a
 * control character's echo), room for all of them is checked first. Echo that finds no room is
 * lost, as on a real line that is too slow; writers wait for as much room as the longest character
 * takes, so a wait always leads to progress.
 *
 * The column is kept for tabs and for erasing them. Bytes of a UTF-8 sequence after the first do
 * not move it (IUTF8). It is what we believe: escape sequences move the cursor and are not
 * understood here, as in Linux's n_tty.
 *
 * A write is put out in parts, but no other write comes between them (echo may): `is_written` holds
 * the others back, as Linux's atomic_write_lock does. It is no mutex, since who waits for it,
 * behind one that VSTOP stopped, must still hear of signals; and poll does not promise POLL_OUT
 * meanwhile, since a write that may not wait would get EAGAIN.
 *
 * Locking: tty.queue.lock; user memory is copied without it, to a part on the stack.
 */
#include <pith/tty.h>

#include "tty_state.h"

#define TAB_COLUMNS 8
#define WRITE_PART  256u

static bool is_control(u8 character)
{
    return character < ' ' || character == 0x7f;
}

static bool is_continuation(const struct tty *tty, u8 character)
{
    return (tty->termios.c_iflag & IUTF8) && (character & 0xc0) == 0x80;
}

static void put_byte(struct tty *tty, u8 byte)
{
    tty->output[tty->output_head++ % TTY_OUTPUT_BYTES] = byte;
}

bool tty_put_raw_locked(struct tty *tty, u8 character)
{
    if (tty_output_room(tty) < 1)
        return false;
    put_byte(tty, character);
    return true;
}

static bool put_newline(struct tty *tty)
{
    bool with_return = tty->termios.c_oflag & ONLCR;

    if (tty_output_room(tty) < 2)
        return false;
    if (with_return)
        put_byte(tty, '\r');
    if (with_return || (tty->termios.c_oflag & ONLRET))
        tty->column = 0;
    put_byte(tty, '\n');
    return true;
}

/*
 * OCRNL makes it a newline; ONOCR drops it where the column is 0 already; ONLRET says that a
 * newline returns too.
 */
static bool put_return(struct tty *tty)
{
    u32 flags = tty->termios.c_oflag;

    if (tty_output_room(tty) < 1)
        return false;
    if ((flags & ONOCR) && tty->column == 0)
        return true;
    if (flags & OCRNL) {
        put_byte(tty, '\n');
        if (!(flags & ONLRET))
            return true;
    } else {
        put_byte(tty, '\r');
    }
    tty->column = 0;
    return true;
}

static bool put_tab(struct tty *tty)
{
    u32 width = TAB_COLUMNS - tty->column % TAB_COLUMNS;

    if (tty_output_room(tty) < TAB_COLUMNS)
        return false;
    tty->column += width;
    if ((tty->termios.c_oflag & TABDLY) != XTABS) {
        put_byte(tty, '\t');
        return true;
    }
    while (width--)
        put_byte(tty, ' ');
    return true;
}

bool tty_put_processed_locked(struct tty *tty, u8 character)
{
    if (!(tty->termios.c_oflag & OPOST))
        return tty_put_raw_locked(tty, character);
    switch (character) {
    case '\n':
        return put_newline(tty);
    case '\r':
        return put_return(tty);
    case '\t':
        return put_tab(tty);
    case '\b':
        if (tty->column)
            tty->column--;
        return tty_put_raw_locked(tty, character);
    }
    if ((tty->termios.c_oflag & OLCUC) && character >= 'a' && character <= 'z')
        character -= 'a' - 'A';
    if (!tty_put_raw_locked(tty, character))
        return false;
    if (!is_control(character) && !is_continuation(tty, character))
        tty->column++;
    return true;
}

static bool echoes_as_caret(const struct tty *tty, u8 character)
{
    return tty_has(tty, ECHOCTL) && is_control(character) && character != '\t' && character != '\n';
}

u32 tty_echo_width(const struct tty *tty, u8 character, u32 column)
{
    if (character == '\t')
        return TAB_COLUMNS - column % TAB_COLUMNS;
    if (is_control(character))
        return tty_has(tty, ECHOCTL) ? 2 : 0;
    return is_continuation(tty, character) ? 0 : 1;
}

void tty_echo_locked(struct tty *tty, u8 character)
{
    if (!echoes_as_caret(tty, character)) {
        tty_put_processed_locked(tty, character);
        return;
    }
    if (tty_output_room(tty) < 2)
        return;
    put_byte(tty, '^');
    put_byte(tty, character ^ 0x40);
    tty->column += 2;
}

/* Nothing while it is stopped. Who waits for room is woken. */
u32 tty_output_take(struct tty *tty, u8 *to, u32 size)
{
    u32 count = 0;

    spin_lock(&tty->queue.lock);
    if (!tty->stopped) {
        while (count < size && tty->output_tail != tty->output_head)
            to[count++] = tty->output[tty->output_tail++ % TTY_OUTPUT_BYTES];
    }
    if (count)
        wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_OUT | POLL_WRNORM);
    spin_unlock(&tty->queue.lock);
    return count;
}

void tty_packet_tell_locked(struct tty *tty, u8 set, u8 clear)
{
    tty->packet_status = (u8)((tty->packet_status & ~clear) | set);
    if (tty->packet_mode)
        wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_IN | POLL_PRI);
}

void tty_output_stop_locked(struct tty *tty)
{
    if (tty->stopped)
        return;
    tty->stopped = true;
    tty_packet_tell_locked(tty, TIOCPKT_STOP, TIOCPKT_START);
}

void tty_output_resume_locked(struct tty *tty)
{
    if (tty->stopped && !tty->held) {
        tty->stopped = false;
        tty_packet_tell_locked(tty, TIOCPKT_START, TIOCPKT_STOP);
    }
    wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_OUT | POLL_WRNORM);
}

static bool has_room(const struct tty *tty)
{
    return tty_output_room(tty) >= TAB_COLUMNS;
}

static bool is_nobodys(const struct tty *tty)
{
    return !tty->is_written;
}

/* Waits until a writer may go on. 0, -EAGAIN, -ERESTARTSYS, -EIO. */
static int writer_wait_locked(struct tty *tty, const struct file *file,
                              bool (*can_go_on)(const struct tty *tty)) must_hold(&tty->queue.lock)
{
    int error = 0;

    while (!error && !tty_file_is_over(file) && !can_go_on(tty)) {
        if (file->flags & O_NONBLOCK)
            error = -EAGAIN;
        else if (wait_queue_wait(&tty->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_TERMINAL))
            error = -ERESTARTSYS;
    }
    return tty_file_is_over(file) ? -EIO : error;
}

static int write_begin(struct file *file)
{
    struct tty *tty = file->private_data;
    int error;

    spin_lock(&tty->queue.lock);
    error = writer_wait_locked(tty, file, is_nobodys);
    if (!error)
        tty->is_written = true;
    spin_unlock(&tty->queue.lock);
    return error;
}

/* Wakes always: who was told EAGAIN meanwhile may wait in poll or epoll, and not in write_begin. */
static void write_end(struct tty *tty)
{
    spin_lock(&tty->queue.lock);
    tty->is_written = false;
    wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_OUT | POLL_WRNORM);
    spin_unlock(&tty->queue.lock);
}

static int room_wait(struct file *file)
{
    struct tty *tty = file->private_data;
    int error;

    spin_lock(&tty->queue.lock);
    error = writer_wait_locked(tty, file, has_room);
    spin_unlock(&tty->queue.lock);
    return error;
}

/* Puts as many as there is room for. */
static u32 output_put(struct tty *tty, const u8 *bytes, u32 count)
{
    u32 done = 0;

    spin_lock(&tty->queue.lock);
    while (done < count && tty_put_processed_locked(tty, bytes[done]))
        done++;
    tty->edit_column = tty->column;
    spin_unlock(&tty->queue.lock);
    if (done)
        tty->driver->output_ready(tty);
    return done;
}

static ssize_t output_write(struct file *file, struct io_buffer *io)
{
    u8 part[WRITE_PART];
    ssize_t written = 0;
    int error = 0;

    while (io->bytes_left && !error) {
        u32 wanted = MIN(io->bytes_left, (u64)sizeof(part));
        u32 count = io_copy_from(io, part, wanted);
        u32 done = 0;

        if (count < wanted)
            error = -EFAULT;
        while (done < count) {
            u32 put;

            error = room_wait(file);
            if (error)
                return written ? written : error;
            put = output_put(file->private_data, part + done, count - done);
            done += put;
            written += put;
        }
    }
    return written ? written : error;
}

/* Bytes that went; the error only if none did. */
ssize_t tty_output_write(struct file *file, struct io_buffer *io)
{
    ssize_t written = write_begin(file);

    if (written)
        return written;
    written = output_write(file, io);
    write_end(file->private_data);
    return written;
}
