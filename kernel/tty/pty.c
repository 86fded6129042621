/*
 * Pseudo-terminals: a terminal whose far side is a file, the master (pty(7)).
 *
 *     master: write(2) --> tty_input  --> discipline --> slave: read(2)
 *     master: read(2)  <-- output ring <-- discipline <-- slave: write(2)
 *
 * Opening /dev/ptmx makes a pair with the lowest free number; the slave is /dev/pts/N, which cannot
 * be opened until TIOCSPTLCK unlocks it. When the master is closed the terminal hangs up; when the
 * last slave is, the master reads what is left and then EIO, until a slave is opened again.
 *
 * A number goes through three states, so that nobody finds a terminal that is not whole, or gets
 * the number of one that still hangs up:
 *
 *     free --number_reserve--> used, no tty --number_set(tty)--> used, found by pty_get
 *      ^                                                              |
 *      `------------- used, no tty: not found, hangs up <--release----'
 *
 * All waits of both sides are on the terminal's one queue, so the driver has nothing to do but wake
 * it.
 *
 * Locking: pty.lock guards the table of numbers; a terminal in it is alive (its master put it there
 * and takes it out before it gives up its reference). tty.queue.lock for the terminal; never both.
 */
#include <pith/tty.h>

#include <pith/abi/signal.h>
#include <pith/proc.h>

#include "pty.h"
#include "tty_state.h"

#define PTYS_MAX    1024
#define PTS_MAJOR   136
#define PTMX_MAJOR  5
#define PTMX_MINOR  2
#define MASTER_PART 512u

static struct {
    struct spinlock lock;               /* LOCK_LEAF */
    struct tty *ttys[PTYS_MAX];         /* guarded_by(&lock) */
    bool used[PTYS_MAX];                /* guarded_by(&lock) a number is taken before its tty is */
    u32 uids[PTYS_MAX], gids[PTYS_MAX]; /* guarded_by(&lock) who opened the master */
} pty;

u32 pty_number(const struct tty *tty)
{
    return DEVICE_MINOR(tty->device);
}

struct tty *pty_get(u32 number)
{
    struct tty *tty = NULL;

    spin_lock(&pty.lock);
    if (number < PTYS_MAX && pty.ttys[number]) {
        tty = pty.ttys[number];
        tty_get(tty);
    }
    spin_unlock(&pty.lock);
    return tty;
}

bool pty_owner(u32 number, u32 *uid_out, u32 *gid_out)
{
    bool exists;

    spin_lock(&pty.lock);
    exists = number < PTYS_MAX && pty.ttys[number];
    if (exists) {
        *uid_out = pty.uids[number];
        *gid_out = pty.gids[number];
    }
    spin_unlock(&pty.lock);
    return exists;
}

int pty_next(u32 from)
{
    int found = -1;

    spin_lock(&pty.lock);
    for (u32 i = from; i < PTYS_MAX && found < 0; i++) {
        if (pty.ttys[i])
            found = i;
    }
    spin_unlock(&pty.lock);
    return found;
}

static void slave_output_ready(struct tty *tty)
{
    wait_queue_wake(&tty->queue, WAKE_ALL, POLL_IN | POLL_RDNORM);
}

static void slave_input_room(struct tty *tty)
{
    wait_queue_wake(&tty->queue, WAKE_ALL, POLL_OUT | POLL_WRNORM);
}

static const struct tty_driver pty_driver = {
    .output_ready = slave_output_ready,
    .input_room = slave_input_room,
};

/* ---- The master ---- */

static int number_reserve(void)
{
    int number = -ENOSPC;

    spin_lock(&pty.lock);
    for (u32 i = 0; i < PTYS_MAX && number < 0; i++) {
        if (!pty.used[i]) {
            pty.used[i] = true;
            pty.uids[i] = thread_current()->credentials->fsuid;
            pty.gids[i] = thread_current()->credentials->fsgid;
            number = i;
        }
    }
    spin_unlock(&pty.lock);
    return number;
}

static void number_set(u32 number, struct tty *tty, bool used)
{
    spin_lock(&pty.lock);
    pty.ttys[number] = tty;
    pty.used[number] = used;
    spin_unlock(&pty.lock);
}

/* -ENOSPC: all numbers are in use; -ENOMEM. */
static int master_open(struct inode *inode, struct file *file)
{
    int number = number_reserve();
    struct tty *tty;
    int error;

    if (number < 0)
        return number;
    error = tty_create(&pty_driver, DEVICE_NUMBER(PTS_MAJOR, number), &tty);
    if (error) {
        number_set(number, NULL, false);
        return error;
    }
    tty->locked = true;
    number_set(number, tty, true);
    file->private_data = tty;
    return 0;
}

static void master_release(struct file *file)
{
    struct tty *tty = file->private_data;

    number_set(pty_number(tty), NULL, true);
    tty_hang_up(tty);
    if (tty->session)
        session_clear_terminal(tty->session, tty);
    number_set(pty_number(tty), NULL, false);
    tty_put(tty);
}

/*
 * The next part for the master. In packet mode (TIOCPKT) it begins with a byte of status, and a
 * change of status is a part alone. -EIO: no slave is open, -EAGAIN, -ERESTARTSYS.
 */
static int master_read_part(struct tty *tty, u8 *part, u32 size, u32 open_flags)
{
    int count = 0, error = 0;

    spin_lock(&tty->queue.lock);
    for (;;) {
        if (tty->packet_mode && tty->packet_status) {
            part[count++] = tty->packet_status;
            tty->packet_status = 0;
            break;
        }
        if (tty->output_head != tty->output_tail && !tty->stopped) {
            if (tty->packet_mode)
                part[count++] = TIOCPKT_DATA;
            while ((u32)count < size && tty->output_tail != tty->output_head)
                part[count++] = tty->output[tty->output_tail++ % TTY_OUTPUT_BYTES];
            break;
        }
        if (tty->near_opens == 0 && tty->was_opened)
            error = -EIO;
        else if (open_flags & O_NONBLOCK)
            error = -EAGAIN;
        else if (wait_queue_wait(&tty->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_TERMINAL))
            error = -ERESTARTSYS;
        if (error)
            break;
    }
    if (count)
        wait_queue_wake_locked(&tty->queue, WAKE_ALL, POLL_OUT | POLL_WRNORM);
    spin_unlock(&tty->queue.lock);
    return count ? count : error;
}

static ssize_t master_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct tty *tty = file->private_data;
    ssize_t done = 0;
    u8 part[MASTER_PART];

    while (io->bytes_left) {
        u32 flags = file->flags | (done ? O_NONBLOCK : 0);
        int count = master_read_part(tty, part, MIN(io->bytes_left, (u64)sizeof(part)), flags);

        if (count <= 0)
            return done ? done : count;
        if (io_copy_to(io, part, count) < (size_t)count)
            return done ? done : -EFAULT;
        done += count;
        if (tty->packet_mode)
            break;
    }
    return done;
}

/* Waits until the slave's input has room. */
static int master_wait_room(struct tty *tty, u32 open_flags)
{
    int error = 0;

    spin_lock(&tty->queue.lock);
    while (tty->input_full && !error) {
        if (open_flags & O_NONBLOCK)
            error = -EAGAIN;
        else if (wait_queue_wait(&tty->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_TERMINAL))
            error = -ERESTARTSYS;
    }
    spin_unlock(&tty->queue.lock);
    return error;
}

/*
 * As typing: stops where the slave's input has no room, until somebody reads it or throws it away.
 */
static ssize_t master_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct tty *tty = file->private_data;
    u8 part[MASTER_PART];
    ssize_t written = 0;

    while (io->bytes_left) {
        u32 wanted = MIN(io->bytes_left, (u64)sizeof(part));
        u32 count = io_copy_from(io, part, wanted), done = 0;

        if (count < wanted)
            return written ? written : -EFAULT;
        while (done < count) {
            u32 taken = tty_input(tty, part + done, count - done);
            int error = 0;

            done += taken;
            written += taken;
            if (done < count)
                error = master_wait_room(tty, file->flags);
            if (error)
                return written ? written : error;
        }
    }
    return written;
}

static u32 master_poll(struct file *file, struct poll_table *table)
{
    struct tty *tty = file->private_data;
    u32 events = 0;

    poll_wait(table, &tty->queue);
    spin_lock(&tty->queue.lock);
    if (tty->output_head != tty->output_tail && !tty->stopped)
        events |= POLL_IN | POLL_RDNORM;
    if (tty->packet_mode && tty->packet_status)
        events |= POLL_PRI | POLL_IN | POLL_RDNORM;
    if (tty->near_opens == 0 && tty->was_opened)
        events |= POLL_HUP;
    if (!tty->input_full)
        events |= POLL_OUT | POLL_WRNORM;
    spin_unlock(&tty->queue.lock);
    return events;
}

/* TIOCSPTLCK, what unlockpt(3) calls. */
static long lock_set(struct tty *tty, u64 argument)
{
    int locked;
    int error = copy_in(&locked, user_ptr_at(argument), sizeof(locked));

    if (error)
        return error;
    spin_lock(&tty->queue.lock);
    tty->locked = locked != 0;
    spin_unlock(&tty->queue.lock);
    return 0;
}

static long packet_set(struct tty *tty, u64 argument)
{
    int on;
    int error = copy_in(&on, user_ptr_at(argument), sizeof(on));

    if (error)
        return error;
    spin_lock(&tty->queue.lock);
    tty->packet_mode = on != 0;
    tty->packet_status = 0;
    spin_unlock(&tty->queue.lock);
    return 0;
}

static long number_out(u64 argument, int number)
{
    return copy_out(user_ptr_at(argument), &number, sizeof(number));
}

/* The foreground group and session as the master sees them: it need not be its own terminal. */
static long master_foreground(struct tty *tty, u64 argument)
{
    return number_out(argument, READ_ONCE(tty->foreground));
}

/*
 * What the master answers itself; the rest is the slave's terminal's (its modes, its size), but for
 * what only a controlling terminal has.
 */
static long master_ioctl(struct file *file, u32 command, u64 argument)
{
    struct tty *tty = file->private_data;

    switch (command) {
    case TIOCGPTN:
        return number_out(argument, pty_number(tty));
    case TIOCSPTLCK:
        return lock_set(tty, argument);
    case TIOCGPTLCK:
        return number_out(argument, READ_ONCE(tty->locked));
    case TIOCPKT:
        return packet_set(tty, argument);
    case TIOCGPKT:
        return number_out(argument, READ_ONCE(tty->packet_mode));
    case TIOCGPGRP:
        return master_foreground(tty, argument);
    case TIOCGSID:
        return tty->session ? number_out(argument, READ_ONCE(tty->session)) : -ENOTTY;
    case TIOCGPTPEER:
        return pty_open_peer(file, argument);
    case TIOCINQ:
        return number_out(argument, tty->output_head - tty->output_tail);
    case TIOCSCTTY:
    case TIOCNOTTY:
    case TIOCSPGRP:
        return -ENOTTY;
    default:
        return tty_ioctl(tty, command, argument);
    }
}

static const struct file_operations master_operations = {
    .open = master_open,
    .release = master_release,
    .read = master_read,
    .write = master_write,
    .poll = master_poll,
    .ioctl = master_ioctl,
    .flags = FILE_OPERATIONS_STREAM,
};

/* ---- The slave ---- */

static int slave_open(struct inode *inode, struct file *file)
{
    struct tty *tty = pty_get(DEVICE_MINOR(inode->rdev));
    int error;

    if (!tty)
        return -EIO;
    error = tty_file_open(tty, file);
    if (!error)
        WRITE_ONCE(tty->was_opened, true);
    tty_put(tty);
    return error;
}

const struct file_operations pty_slave_operations = {
    .open = slave_open,
    .release = tty_file_release,
    .read = tty_file_read,
    .write = tty_file_write,
    .poll = tty_file_poll,
    .ioctl = tty_file_ioctl,
    .flags = FILE_OPERATIONS_STREAM,
};

void pty_init(void)
{
    spin_init(&pty.lock, LOCK_LEAF);
    if (character_device_register(PTMX_MAJOR, PTMX_MINOR, 1, "ptmx", &master_operations, 0666) ||
        character_device_register(PTS_MAJOR, 0, PTYS_MAX, NULL, &pty_slave_operations, 0620))
        log_error("pty: no device files");
    devpts_init();
}
