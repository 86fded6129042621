/*
 * The kernel's terminal: /dev/console, whose far side is the caller's terminal, by way of the
 * TERMINAL channel of the host's link. /dev/tty is the caller's own controlling terminal.
 *
 * Output is taken from the terminal's ring into frames, as far as the host gave credit and the link
 * has buffers; when either comes back, it goes on (console_room). Input is only asked for once a
 * program uses the terminal: until then what is typed stays with the caller's next command. It
 * waits in the channel's ring for the line discipline to take it, and only what that took may be
 * sent again; so nothing that is typed is lost, however fast.
 */
#include <pith/tty.h>

#include <pith/host_link.h>
#include <pith/proc.h>

#include "host_port.h"
#include "tty_state.h"

#define COOKED_MODES  (ICANON | ECHO | ISIG)
#define TTY_MAJOR_AUX 5
#define MINOR_OWN     0 /* /dev/tty */
#define MINOR_CONSOLE 1
#define FRAME_BYTES   4000u
#define PORT_BYTES    256 /* on the stack */

static struct {
    struct tty *tty;  /* [const] after boot; NULL: no memory */
    bool input_asked; /* guarded_by the channel's queue lock */
    u32 sending;      /* [atomic] somebody moves output to the link */
    u32 taking;       /* [atomic] somebody moves input to the terminal */
} console;

/* Takes up to `wanted` of the host's credit. */
static u32 credit_take(u32 wanted)
{
    struct host_channel_state *channel = host_channel(HOST_CHANNEL_TERMINAL);
    u32 credit;

    spin_lock(&channel->queue.lock);
    credit = MIN(channel->credit_in, (u64)wanted);
    channel->credit_in -= credit;
    spin_unlock(&channel->queue.lock);
    return credit;
}

static void credit_return(u32 bytes)
{
    struct host_channel_state *channel = host_channel(HOST_CHANNEL_TERMINAL);

    spin_lock(&channel->queue.lock);
    channel->credit_in += bytes;
    spin_unlock(&channel->queue.lock);
}

/* Moves one frame's worth of output. Returns false when nothing more can go now. */
static bool output_send_frame(struct tty *tty)
{
    struct host_link_buffer *buffer;
    u32 credit = credit_take(FRAME_BYTES), count;

    if (credit == 0)
        return false;
    buffer = host_link_buffer_alloc(sizeof(struct host_frame) + credit);
    if (!buffer) {
        credit_return(credit);
        return false;
    }
    count = tty_output_take(tty, buffer->data + sizeof(struct host_frame), credit);
    credit_return(credit - count);
    if (count == 0) {
        host_link_buffer_free(buffer);
        return false;
    }
    buffer->bytes = sizeof(struct host_frame) + count;
    host_port_submit(buffer, HOST_FRAME_DATA, HOST_CHANNEL_TERMINAL);
    return true;
}

/* On a machine without a host's link: to the port that the log goes to, if there is one. */
static bool output_write_port(struct tty *tty)
{
    char bytes[PORT_BYTES];
    u32 count = tty_output_take(tty, (u8 *)bytes, sizeof(bytes));

    early_console_write(bytes, count);
    return count > 0;
}

/*
 * One mover at a time keeps the bytes in order. Who comes while another moves only leaves a mark
 * (2), and the mover looks again before it lets go:
 *
 *     mover                              another
 *     state: 0 -> 2, then 1
 *     moves all that is there
 *                                        makes more; state: 1 -> 2, it was not 0: leaves
 *     state: 1 -> 0 fails: from 1 again
 */
static void move_alone(u32 *state, void (*move)(void))
{
    if (__atomic_exchange_n(state, 2, __ATOMIC_ACQ_REL) != 0)
        return;
    do {
        __atomic_store_n(state, 1, __ATOMIC_RELEASE);
        move();
    } while (!__atomic_compare_exchange_n(state, &(u32){1}, 0, false, __ATOMIC_ACQ_REL,
                                          __ATOMIC_ACQUIRE));
}

static void output_move(void)
{
    while (host_link_exists() ? output_send_frame(console.tty) : output_write_port(console.tty))
        ;
}

static void console_output_ready(struct tty *tty)
{
    move_alone(&console.sending, output_move);
}

static void console_room(void)
{
    if (console.tty)
        console_output_ready(console.tty);
}

static u32 input_take(const u8 *bytes, u32 count)
{
    return tty_input(console.tty, bytes, count);
}

static void input_move(void)
{
    host_channel_feed(host_channel(HOST_CHANNEL_TERMINAL), input_take);
}

static void console_input(void)
{
    if (console.tty)
        move_alone(&console.taking, input_move);
}

static void console_input_room(struct tty *tty)
{
    move_alone(&console.taking, input_move);
}

static void console_window(u16 rows, u16 columns)
{
    struct winsize size = {.ws_row = rows, .ws_col = columns};

    if (console.tty)
        tty_set_window(console.tty, &size);
}

static const struct host_port_client port_client = {
    .terminal_input = console_input,
    .terminal_room = console_room,
    .window = console_window,
    .signal = host_streams_signal,
};

static const struct tty_driver console_driver = {
    .output_ready = console_output_ready,
    .input_room = console_input_room,
};

/*
 * The first use of the terminal: from here on the host may send what is typed. Not of a pty, to
 * which /dev/tty may lead as well.
 */
static void input_ask(const struct file *file)
{
    struct host_channel_state *channel = host_channel(HOST_CHANNEL_TERMINAL);
    bool ask;

    if (file->private_data != console.tty || READ_ONCE(console.input_asked) ||
        !host_link_exists() || host_channel_open(channel))
        return;
    spin_lock(&channel->queue.lock);
    ask = !console.input_asked;
    console.input_asked = true;
    if (ask)
        host_channel_ask_locked(channel, TTY_INPUT_BYTES / 4);
    spin_unlock(&channel->queue.lock);
    host_port_send_owed();
}

/* /dev/console is ours, /dev/tty whatever terminal controls the caller's session. */
static int console_open(struct inode *inode, struct file *file)
{
    struct tty *tty = console.tty;
    int error = -ENXIO;

    if (DEVICE_MINOR(inode->rdev) == MINOR_OWN)
        tty = session_terminal_get();
    else if (tty)
        tty_get(tty);
    if (!tty)
        return error;
    error = tty_file_open(tty, file);
    tty_put(tty);
    return error;
}

static ssize_t console_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    input_ask(file);
    return tty_file_read(file, io, offset);
}

static u32 console_poll(struct file *file, struct poll_table *table)
{
    input_ask(file);
    return tty_file_poll(file, table);
}

static long console_ioctl(struct file *file, u32 command, u64 argument)
{
    long result = tty_file_ioctl(file, command, argument);

    /* In its first modes the caller's terminal does what ours would; in others it must let us. */
    if ((command == TCSETS || command == TCSETSW || command == TCSETSF) && console.tty &&
        (READ_ONCE(console.tty->termios.c_lflag) & COOKED_MODES) != COOKED_MODES)
        input_ask(file);
    return result;
}

static const struct file_operations console_operations = {
    .open = console_open,
    .release = tty_file_release,
    .read = console_read,
    .write = tty_file_write,
    .poll = console_poll,
    .ioctl = console_ioctl,
    .flags = FILE_OPERATIONS_STREAM,
};

void console_init(void)
{
    u64 device = DEVICE_NUMBER(TTY_MAJOR_AUX, MINOR_CONSOLE);

    if (tty_create(&console_driver, device, &console.tty))
        log_error("console: no memory for the terminal");
    host_port_register(&port_client);
    if (character_device_register(TTY_MAJOR_AUX, MINOR_CONSOLE, 1, "console", &console_operations,
                                  0600) ||
        character_device_register(TTY_MAJOR_AUX, MINOR_OWN, 1, "tty", &console_operations, 0666))
        log_error("console: no device files");
}
