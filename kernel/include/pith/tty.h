/*
 * Terminals: two rings of bytes with a line discipline between them.
 *
 *     far side (host, pty master)                     near side (programs)
 *         tty_input  --> line discipline --> input ring  --> read(2)
 *                             | echo
 *                             v
 *         tty_output_take <-- output ring <-- OPOST <-- write(2)
 *
 * One lock, that of the terminal's wait queue, guards all of it, and everybody who waits for a
 * terminal (readers, writers, both sides of a pty, poll) waits on that queue.
 */
#pragma once

#include <pith/abi/termios.h>
#include <pith/fs.h>
#include <pith/sched.h>

struct tty;

/* What a terminal asks of its far side. Called without the terminal's lock; does not sleep. */
struct tty_driver {
    /* There is output to take (tty_output_take). */
    void (*output_ready)(struct tty *tty);
    /* There is room for input again. May be NULL. */
    void (*input_room)(struct tty *tty);
    /* The last reference goes. May be NULL. */
    void (*release)(struct tty *tty);
};

/* A terminal with one reference, of no size yet, in the modes that Linux starts with. -ENOMEM. */
int tty_create(const struct tty_driver *driver, u64 device, struct tty **tty_out) must_check;
void tty_get(struct tty *tty);
void tty_put(struct tty *tty);

/* The far side gives bytes. Returns how many there was room for. Any context. */
u32 tty_input(struct tty *tty, const u8 *bytes, u32 count);
/* The far side takes up to `size` bytes of output. Any context. */
u32 tty_output_take(struct tty *tty, u8 *to, u32 size);
/* The far side is gone: readers see the end, writers EIO, the session SIGHUP and SIGCONT. */
void tty_hang_up(struct tty *tty);
/* vhangup(2), of the terminal that controls the calling process, if there is one. */
void tty_hang_up_own(void);
/* Sets the size; the foreground group gets SIGWINCH if it changed. */
void tty_set_window(struct tty *tty, const struct winsize *size);

/* The near side's operations on an open file whose private_data is a terminal. */
ssize_t tty_file_read(struct file *file, struct io_buffer *io, u64 *offset);
ssize_t tty_file_write(struct file *file, struct io_buffer *io, u64 *offset);
u32 tty_file_poll(struct file *file, struct poll_table *table);
long tty_file_ioctl(struct file *file, u32 command, u64 argument);
/* An open: takes a reference, and becomes the controlling terminal where Linux would do so. */
int tty_file_open(struct tty *tty, struct file *file) must_check;
void tty_file_release(struct file *file);

/* host_streams.c: a signal that the host sent for the program. */
void host_streams_signal(u32 signal);
/*
 * Tells the host that the run is over, with this status, and waits until it knows; 0 at once where
 * there is no host. -EINTR: the caller is being killed.
 */
int host_streams_exit(u32 status) must_check;

void tty_init(void);
