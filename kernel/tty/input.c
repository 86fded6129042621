/*
 * Terminals' input: the line discipline (termios(3)), from the far side's bytes to what read(2)
 * gives.
 *
 *     byte -> ISTRIP, IUCLC -> literal? -> IXON -> ISIG -> CR/NL -> ICANON: editing -> ring
 *
 * The ring keeps what may still be read in both modes; marks beside it say where a canonical line
 * ends and which of those bytes is an end of file rather than text:
 *
 *          input_tail           input_lines_end            input_head
 *               v                      v                       v
 *     bytes     l s \n c a t \n        e d i t e d
 *     line_ends     1          1
 *               `-- read(2) may have --' `- only VERASE and its kin -'
 *
 * So a change of modes moves marks, not bytes. One place stays free for what ends a line, hence the
 * line that can always be ended: input that does not fit is refused (tty_input returns fewer bytes,
 * and the far side is told when there is room), but in a line that is too long all that does not
 * end it is dropped, with a bell.
 *
 * Signals that characters cause are collected while the lock is held and sent after it, since
 * sending takes locks that stand above it.
 *
 * Invariant: input_tail <= input_lines_end <= input_head, as counters that run on; no more than
 * TTY_INPUT_BYTES apart.
 * Locking: tty.queue.lock; the functions named _locked hold it, the static ones too.
 * Context: tty_input in deferred work (the host's bytes), a reader of the console that makes room
 * for more of them, a writer of the master, TIOCSTI; it does not sleep. Reads do.
 */
#include <pith/tty.h>

#include <pith/abi/signal.h>

#include "tty_state.h"

#define DISABLED  0 /* _POSIX_VDISABLE: a control character that is off */
#define BELL      '\a'
#define READ_PART 512u

static u8 control(const struct tty *tty, enum termios_character which)
{
    return tty->termios.c_cc[which];
}

static bool is_control(const struct tty *tty, u8 character, enum termios_character which)
{
    return character == control(tty, which) && character != DISABLED;
}

static void mark(u64 *bits, u32 position, u32 value)
{
    u32 at = position % TTY_INPUT_BYTES;

    if (value)
        bits[at / 64] |= BIT(at % 64);
    else
        bits[at / 64] &= ~BIT(at % 64);
}

static bool is_marked(const u64 *bits, u32 position)
{
    u32 at = position % TTY_INPUT_BYTES;

    return bits[at / 64] & BIT(at % 64);
}

static u32 input_room(const struct tty *tty)
{
    return TTY_INPUT_BYTES - (tty->input_head - tty->input_tail);
}

static void input_push(struct tty *tty, u8 character)
{
    tty->input[tty->input_head % TTY_INPUT_BYTES] = character;
    mark(tty->line_ends, tty->input_head, 0);
    mark(tty->file_ends, tty->input_head, 0);
    tty->input_head++;
}

static void line_end(struct tty *tty)
{
    mark(tty->line_ends, tty->input_head - 1, 1);
    tty->input_lines_end = tty->input_head;
}

bool tty_can_read_locked(const struct tty *tty)
{
    if (tty_has(tty, ICANON))
        return tty->input_lines_end != tty->input_tail;
    return tty->input_head != tty->input_tail;
}

void tty_input_flush_locked(struct tty *tty)
{
    tty->input_tail = tty->input_lines_end = tty->input_head;
}

void tty_input_modes_changed_locked(struct tty *tty, const struct termios *old)
{
    if (!((old->c_lflag ^ tty->termios.c_lflag) & ICANON))
        return;
    memset(tty->line_ends, 0, sizeof(tty->line_ends));
    memset(tty->file_ends, 0, sizeof(tty->file_ends));
    tty->input_lines_end = tty->input_tail;
    /* What came in raw mode counts as a line that was ended (n_tty does the same). */
    if (tty_has(tty, ICANON) && tty->input_head != tty->input_tail)
        line_end(tty);
}

/* ---- Editing ---- */

/* The column on the screen at which the character at `position` of the edited line begins. */
static u32 column_of(const struct tty *tty, u32 position)
{
    u32 column = tty->edit_column;

    for (u32 i = tty->input_lines_end; i != position; i++)
        column += tty_echo_width(tty, tty->input[i % TTY_INPUT_BYTES], column);
    return column;
}

static bool is_continuation(const struct tty *tty, u8 byte)
{
    return (tty->termios.c_iflag & IUTF8) && (byte & 0xc0) == 0x80;
}

/*
 * Removes the last character of the edited line, all bytes of a UTF-8 sequence, and from the screen
 * if ECHO and ECHOE say so. The line is not empty.
 */
static void erase_one(struct tty *tty)
{
    u32 position = tty->input_head;
    u32 width;
    u8 byte;

    do {
        byte = tty->input[--position % TTY_INPUT_BYTES];
    } while (is_continuation(tty, byte) && position != tty->input_lines_end);
    width = tty_echo_width(tty, byte, column_of(tty, position));
    tty->input_head = position;
    if (!tty_has(tty, ECHO))
        return;
    if (!tty_has(tty, ECHOE)) {
        tty_echo_locked(tty, control(tty, VERASE));
        return;
    }
    while (width-- && tty_output_room(tty) >= 3) {
        tty_put_raw_locked(tty, '\b');
        tty_put_raw_locked(tty, ' ');
        tty_put_raw_locked(tty, '\b');
        if (tty->column)
            tty->column--;
    }
}

static bool line_is_empty(const struct tty *tty)
{
    return tty->input_head == tty->input_lines_end;
}

static bool is_word_byte(u8 byte)
{
    return (byte >= '0' && byte <= '9') || (byte >= 'a' && byte <= 'z') ||
           (byte >= 'A' && byte <= 'Z') || byte == '_' || byte >= 0x80;
}

/* VWERASE: what is no word, then the word before it. */
static void erase_word(struct tty *tty)
{
    bool in_word = false;

    while (!line_is_empty(tty)) {
        u8 byte = tty->input[(tty->input_head - 1) % TTY_INPUT_BYTES];

        if (is_word_byte(byte))
            in_word = true;
        else if (in_word)
            return;
        erase_one(tty);
    }
}

static void erase_line(struct tty *tty)
{
    if (tty_has(tty, ECHO) && !(tty_has(tty, ECHOE) && tty_has(tty, ECHOKE))) {
        tty->input_head = tty->input_lines_end;
        tty_echo_locked(tty, control(tty, VKILL));
        if (tty_has(tty, ECHOK))
            tty_put_processed_locked(tty, '\n');
        return;
    }
    while (!line_is_empty(tty))
        erase_one(tty);
}

static void reprint_line(struct tty *tty)
{
    tty_echo_locked(tty, control(tty, VREPRINT));
    tty_put_processed_locked(tty, '\n');
    tty->edit_column = tty->column;
    for (u32 i = tty->input_lines_end; i != tty->input_head; i++)
        tty_echo_locked(tty, tty->input[i % TTY_INPUT_BYTES]);
}

/* Puts a character into the edited line. One place stays free for what ends the line. */
static void edit_insert(struct tty *tty, u8 character)
{
    if (input_room(tty) <= 1) {
        if (tty->termios.c_iflag & IMAXBEL)
            tty_put_raw_locked(tty, BELL);
        return;
    }
    if (line_is_empty(tty))
        tty->edit_column = tty->column;
    input_push(tty, character);
    if (tty_has(tty, ECHO))
        tty_echo_locked(tty, character);
}

/* Characters that edit or end the line. Returns whether it was one. */
static bool canonical_control(struct tty *tty, u8 character)
{
    bool extended = tty_has(tty, IEXTEN);

    if (is_control(tty, character, VERASE)) {
        if (!line_is_empty(tty))
            erase_one(tty);
    } else if (is_control(tty, character, VKILL)) {
        erase_line(tty);
    } else if (extended && is_control(tty, character, VWERASE)) {
        erase_word(tty);
    } else if (extended && is_control(tty, character, VREPRINT) && tty_has(tty, ECHO)) {
        reprint_line(tty);
    } else if (is_control(tty, character, VEOF)) {
        input_push(tty, '\0');
        mark(tty->file_ends, tty->input_head - 1, 1);
        line_end(tty);
    } else if (character == '\n' || is_control(tty, character, VEOL) ||
               (extended && is_control(tty, character, VEOL2))) {
        if (tty_has(tty, ECHO) || (character == '\n' && tty_has(tty, ECHONL)))
            tty_echo_locked(tty, character);
        input_push(tty, character);
        line_end(tty);
    } else {
        return false;
    }
    return true;
}

static void canonical_input(struct tty *tty, u8 character)
{
    if (tty_has(tty, IEXTEN) && is_control(tty, character, VLNEXT)) {
        tty->literal_next = true;
        if (tty_has(tty, ECHO) && tty_has(tty, ECHOCTL) && tty_output_room(tty) >= 3) {
            tty_put_raw_locked(tty, '^');
            tty_put_raw_locked(tty, '\b');
        }
    } else if (!canonical_control(tty, character)) {
        edit_insert(tty, character);
    }
}

/* ---- A byte from the far side ---- */

/* The signal that a character stands for, or 0. */
static u32 signal_of(const struct tty *tty, u8 character)
{
    if (!tty_has(tty, ISIG))
        return 0;
    if (is_control(tty, character, VINTR))
        return SIGINT;
    if (is_control(tty, character, VQUIT))
        return SIGQUIT;
    if (is_control(tty, character, VSUSP))
        return SIGTSTP;
    return 0;
}

static void signal_input(struct tty *tty, u8 character) must_hold(&tty->queue.lock)
{
    if (!tty_has(tty, NOFLSH)) {
        tty_input_flush_locked(tty);
        tty->output_tail = tty->output_head;
        tty->packet_status |= TIOCPKT_FLUSHREAD | TIOCPKT_FLUSHWRITE;
    }
    tty_output_resume_locked(tty);
    if (tty_has(tty, ECHO))
        tty_echo_locked(tty, character);
}

/* IXON's characters. Returns whether it was one. */
static bool flow_input(struct tty *tty, u8 character) must_hold(&tty->queue.lock)
{
    if (!(tty->termios.c_iflag & IXON))
        return false;
    if (is_control(tty, character, VSTART)) {
        tty_output_resume_locked(tty);
        return true;
    }
    if (is_control(tty, character, VSTOP)) {
        tty_output_stop_locked(tty);
        return true;
    }
    if (tty->stopped && (tty->termios.c_iflag & IXANY))
        tty_output_resume_locked(tty);
    return false;
}

/* CR and NL as the input flags say. Returns the character, or -1: it is ignored. */
static int translate(const struct tty *tty, u8 character)
{
    u32 flags = tty->termios.c_iflag;

    if (character == '\r') {
        if (flags & IGNCR)
            return -1;
        if (flags & ICRNL)
            return '\n';
    } else if (character == '\n' && (flags & INLCR)) {
        return '\r';
    }
    return character;
}

/* Returns the signal that is to be sent to the foreground group, as a bit; 0: none. */
static u32 character_input(struct tty *tty, u8 character) must_hold(&tty->queue.lock)
{
    u32 signal;
    int translated;

    if (tty->termios.c_iflag & ISTRIP)
        character &= 0x7f;
    if ((tty->termios.c_iflag & IUCLC) && tty_has(tty, IEXTEN) && character >= 'A' &&
        character <= 'Z')
        character += 'a' - 'A';
    if (tty->literal_next) {
        tty->literal_next = false;
        edit_insert(tty, character);
        return 0;
    }
    if (flow_input(tty, character))
        return 0;
    signal = signal_of(tty, character);
    if (signal) {
        signal_input(tty, character);
        return BIT(signal);
    }
    translated = translate(tty, character);
    if (translated < 0)
        return 0;
    if (tty_has(tty, ICANON)) {
        canonical_input(tty, translated);
    } else {
        input_push(tty, translated);
        if (tty_has(tty, ECHO))
            tty_echo_locked(tty, translated);
    }
    return 0;
}

/*
 * In a canonical line that is too long, more can come (and is dropped) as long as it has no end;
 * with a whole line in the ring it waits, for a reader will make room.
 */
static bool can_take(const struct tty *tty)
{
    if (input_room(tty) > 1)
        return true;
    return tty_has(tty, ICANON) && input_room(tty) == 1 && tty->input_lines_end == tty->input_tail;
}

u32 tty_input(struct tty *tty, const u8 *bytes, u32 count)
{
    u32 signals = 0, done = 0;

    spin_lock(&tty->queue.lock);
    while (done < count && can_take(tty))
        signals |= character_input(tty, bytes[done++]);
    tty->input_full = done < count;
    if (tty_can_read_locked(tty) || signals)
        wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_IN | POLL_RDNORM);
    spin_unlock(&tty->queue.lock);
    if (signals)
        tty_signal_foreground(tty, signals);
    tty->driver->output_ready(tty);
    return done;
}

/* ---- Reading ---- */

/*
 * Takes what one read may have: in canonical mode no more than a line. *at_end_out: this read is
 * over though there may be more.
 */
static u32 input_take_locked(struct tty *tty, u8 *to, u32 size, bool *at_end_out)
{
    bool canonical = tty_has(tty, ICANON);
    u32 end = canonical ? tty->input_lines_end : tty->input_head;
    u32 count = 0;

    *at_end_out = false;
    while (count < size && tty->input_tail != end && !*at_end_out) {
        u32 position = tty->input_tail++;

        *at_end_out = canonical && is_marked(tty->line_ends, position);
        if (!canonical || !is_marked(tty->file_ends, position))
            to[count++] = tty->input[position % TTY_INPUT_BYTES];
    }
    /* An end of file right behind what filled the buffer belongs to this read (POSIX 11.1.6). */
    if (canonical && count == size && tty->input_tail != end && !*at_end_out &&
        is_marked(tty->file_ends, tty->input_tail)) {
        tty->input_tail++;
        *at_end_out = true;
    }
    if (tty->input_lines_end - tty->input_tail > TTY_INPUT_BYTES)
        tty->input_lines_end = tty->input_tail;
    return count;
}

/*
 * When a raw read with VTIME must end: from its beginning where VMIN is 0, else from its last byte
 * (termios(3), "noncanonical mode"); before the first byte it waits for ever.
 */
static u64 raw_deadline(const struct tty *tty, u64 began_ns, u64 last_ns)
{
    u64 tenths = control(tty, VTIME);

    if (tty_has(tty, ICANON) || tenths == 0)
        return U64_MAX;
    if (control(tty, VMIN) == 0)
        return began_ns + tenths * (NS_PER_SECOND / 10);
    return last_ns ? last_ns + tenths * (NS_PER_SECOND / 10) : U64_MAX;
}

/* Waits for input. 0: look; 1: the time is over or the line is dead: the read ends. */
static int input_wait_locked(const struct file *file, u32 open_flags, u64 deadline)
{
    struct tty *tty = file->private_data;
    int error;

    if (tty_file_is_over(file))
        return 1;
    if (!tty_has(tty, ICANON) && control(tty, VMIN) == 0 && control(tty, VTIME) == 0)
        return 1;
    if (open_flags & O_NONBLOCK)
        return -EAGAIN;
    error = wait_queue_wait_until(&tty->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_TERMINAL, deadline);
    if (error == -ETIMEDOUT)
        return 1;
    return error ? -ERESTARTSYS : 0;
}

static void tell_room(struct tty *tty)
{
    bool was_full;

    spin_lock(&tty->queue.lock);
    was_full = tty->input_full && can_take(tty);
    if (was_full)
        tty->input_full = false;
    wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_OUT | POLL_WRNORM);
    spin_unlock(&tty->queue.lock);
    if (was_full && tty->driver->input_room)
        tty->driver->input_room(tty);
}

/* How many bytes a raw read waits for. */
static u64 raw_minimum(const struct tty *tty, u64 wanted)
{
    return MIN((u64)MAX(control(tty, VMIN), (u8)1), wanted);
}

/* Gets the next part of a read into `part`. Returns its bytes; 0 with *over_out: the read ends. */
static int read_part(const struct file *file, u8 *part, u64 wanted, u32 open_flags, u64 deadline,
                     bool *over_out)
{
    struct tty *tty = file->private_data;
    int result = 0;
    u32 count = 0;

    spin_lock(&tty->queue.lock);
    while ((tty_file_is_stale(file) || !tty_can_read_locked(tty)) && !result)
        result = input_wait_locked(file, open_flags, deadline);
    *over_out = result != 0;
    if (!tty_file_is_stale(file) && tty_can_read_locked(tty))
        count = input_take_locked(tty, part, MIN(wanted, (u64)READ_PART), over_out);
    spin_unlock(&tty->queue.lock);
    return count ? (int)count : MIN(result, 0);
}

ssize_t tty_file_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct tty *tty = file->private_data;
    u64 began = clock_monotonic_ns(), last = 0;
    u8 part[READ_PART];
    ssize_t done = 0;
    int error = tty_check_foreground(tty, SIGTTIN);
    u64 minimum = raw_minimum(tty, io->bytes_left);
    bool over = false;

    if (error)
        return error;
    while (io->bytes_left && !over) {
        u32 flags = file->flags;
        int count;

        /* Beyond what it must wait for, a read takes only what is there. */
        if (done && (tty_has(tty, ICANON) || (u64)done >= minimum))
            flags |= O_NONBLOCK;
        count = read_part(file, part, io->bytes_left, flags, raw_deadline(tty, began, last), &over);
        if (count < 0) {
            error = count;
            break;
        }
        if (count == 0)
            break;
        if (io_copy_to(io, part, count) < (size_t)count) {
            error = -EFAULT;
            break;
        }
        done += count;
        last = clock_monotonic_ns();
    }
    tell_room(tty);
    return done ? done : error;
}
