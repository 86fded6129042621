/*
 * /dev/host/control, stdin, stdout, stderr and report: the caller's streams as files.
 *
 * A read of stdin asks the host for just what the program's read wants, and only when nothing is
 * left from before: what the program does not read stays with the caller. A write goes on as far as
 * the host gave credit, so a slow reader over there stops the writer here.
 *
 * Under `deterministic` nobody sleeps for the host: a reader waits for the whole answer, a writer
 * for all the credit that its next frame takes, with the clock stopped (host_link_await). So
 * neither when it came nor in how many pieces can be seen.
 *
 * Locking: a channel's read_mutex and write_mutex keep readers and writers apart and are held while
 *          user memory is copied; its queue's lock guards the state.
 */
#include <pith/tty.h>

#include <pith/core.h>
#include <pith/fs.h>
#include <pith/host_link.h>
#include <pith/proc.h>

#include "host_port.h"

#define HOST_MAJOR 240 /* of the numbers for local use, in Linux's devices.txt */
#define COPY_BYTES 4096u

static struct host_channel_state *channel_of(const struct file *file)
{
    return host_channel_numbered(file->inode->rdev & 0xff);
}

/* How a program starts and ends, and what is reported of it, is init's business, not root's. */
static bool channel_is_for_init(const struct host_channel_state *channel)
{
    u32 kind = channel->number % HOST_CHANNELS;

    return kind == HOST_CHANNEL_CONTROL || kind == HOST_CHANNEL_REPORT;
}

/*
 * -ENXIO: there is no host, or nobody uses the session and the caller is not init; -EPERM: init's
 * channel; -EBUSY: the session's number is still being closed; -ENOMEM.
 */
static int stream_open(struct inode *inode, struct file *file)
{
    struct host_channel_state *channel = channel_of(file);
    int error;

    if (!host_link_exists())
        return -ENXIO;
    if (channel_is_for_init(channel) && process_current() != process_init)
        return -EPERM;
    error = host_session_open(channel);
    if (error || !(file->mode & FILE_READ))
        return error;
    error = host_channel_open(channel);
    if (error)
        host_session_release(channel);
    return error;
}

static void stream_release(struct file *file)
{
    host_session_release(channel_of(file));
}

/* One whose requests are answered by one frame each, and that can be asked by POLL. */
static bool channel_is_input(const struct host_channel_state *channel)
{
    return channel->number % HOST_CHANNELS == HOST_CHANNEL_STDIN;
}

/* Bytes go to the host only: there is nothing to ask for. */
static bool channel_is_output(const struct host_channel_state *channel)
{
    u32 kind = channel->number % HOST_CHANNELS;

    return kind == HOST_CHANNEL_STDOUT || kind == HOST_CHANNEL_STDERR;
}

/* `deterministic`: what a thread waits for on a channel. */
struct host_answer {
    struct host_channel_state *channel;
    u32 bytes; /* in the ring, or of credit */
};

/* All that was asked for is there, or nothing more comes before it is asked for. */
static bool input_is_whole(void *object)
{
    const struct host_answer *answer = object;
    const struct host_channel_state *channel = answer->channel;

    return READ_ONCE(channel->ended) || READ_ONCE(channel->credit_out) == 0 ||
           READ_ONCE(channel->ring_count) >= answer->bytes;
}

static bool credit_is_there(void *object)
{
    const struct host_answer *answer = object;

    return READ_ONCE(answer->channel->gone) ||
           READ_ONCE(answer->channel->credit_in) >= answer->bytes;
}

/*
 * Waits until there is something to read, asking the host for `wanted` bytes if nothing is under
 * way. 0: there is, or the end came. -EAGAIN, -EINTR.
 */
static int stream_wait_input(struct host_channel_state *channel, u32 wanted, u32 flags)
{
    struct host_answer answer = {channel, wanted};
    int error = 0;

    if (deterministic)
        host_link_await(input_is_whole, &answer);
    spin_lock(&channel->queue.lock);
    while (channel->ring_count == 0 && !channel->ended && !error) {
        bool may_ask = !(flags & O_NONBLOCK) || channel->ready;
        bool send = false;

        if (channel->credit_out == 0 && may_ask) {
            host_channel_ask_locked(channel, MIN(wanted, HOST_RING_BYTES));
            send = true;
        } else if (channel->credit_out == 0 && !channel->poll_sent) {
            channel->poll_sent = channel->owed_poll = true;
            send = true;
        }
        if (send) {
            spin_unlock(&channel->queue.lock);
            host_port_send_owed();
            if (deterministic && may_ask)
                host_link_await(input_is_whole, &answer);
            spin_lock(&channel->queue.lock);
            flags = may_ask ? flags & ~O_NONBLOCK : flags;
            continue;
        }
        if (flags & O_NONBLOCK)
            error = -EAGAIN;
        else
            error = wait_queue_wait(&channel->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_PIPE);
    }
    spin_unlock(&channel->queue.lock);
    if (error != -EINTR)
        return error;
    if (channel_is_input(channel))
        host_channel_withdraw(channel);
    return -ERESTARTSYS;
}

/* Commands come unasked, as far as there is room for them. */
static void control_give_back(struct host_channel_state *channel, u32 bytes)
{
    spin_lock(&channel->queue.lock);
    host_channel_ask_locked(channel, bytes);
    spin_unlock(&channel->queue.lock);
    host_port_send_owed();
}

/*
 * As read(2) of a pipe: what is there, 0 at the end. -EAGAIN: nothing is there and the file does
 * not wait; the host was asked whether there will be (POLL). -ERESTARTSYS: what was asked for is
 * withdrawn.
 */
static ssize_t stream_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct host_channel_state *channel = channel_of(file);
    ssize_t done = 0;
    u8 *copy;
    int error;

    if (channel_is_output(channel))
        return -EINVAL;
    if (io->bytes_left == 0)
        return 0;
    copy = kmalloc(COPY_BYTES, 0);
    if (!copy)
        return -ENOMEM;
    error = mutex_lock_killable(&channel->read_mutex);
    if (error)
        goto free_copy;
    error = stream_wait_input(channel, MIN(io->bytes_left, (u64)HOST_RING_BYTES), file->flags);
    while (!error && io->bytes_left) {
        u32 count = host_channel_take(channel, copy, MIN(io->bytes_left, (u64)COPY_BYTES));
        size_t copied;

        if (count == 0)
            break;
        copied = io_copy_to(io, copy, count);
        done += copied;
        if (copied < count)
            error = -EFAULT;
    }
    if (done && channel->number == HOST_CHANNEL_CONTROL)
        control_give_back(channel, (u32)done);
    mutex_unlock(&channel->read_mutex);
free_copy:
    kfree(copy);
    return done ? done : error;
}

/* Waits for credit and takes up to `wanted` of it. -EPIPE, -EAGAIN, -ERESTARTSYS. */
static ssize_t stream_take_credit(struct host_channel_state *channel, u64 wanted, u32 flags)
{
    struct host_answer answer = {channel, (u32)wanted};
    ssize_t result = 0;

    if (deterministic)
        host_link_await(credit_is_there, &answer);
    spin_lock(&channel->queue.lock);
    while (channel->credit_in == 0 && !channel->gone && !result) {
        if (flags & O_NONBLOCK)
            result = -EAGAIN;
        else if (wait_queue_wait(&channel->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_PIPE))
            result = -ERESTARTSYS;
    }
    if (channel->gone) {
        result = -EPIPE;
    } else if (channel->credit_in) {
        result = MIN(channel->credit_in, wanted);
        channel->credit_in -= result;
    }
    spin_unlock(&channel->queue.lock);
    return result;
}

static void stream_return_credit(struct host_channel_state *channel, u64 bytes)
{
    spin_lock(&channel->queue.lock);
    channel->credit_in += bytes;
    spin_unlock(&channel->queue.lock);
}

/* Sends the next frame of a write. Returns the bytes that went, or an error. */
static ssize_t stream_write_frame(struct host_channel_state *channel, struct io_buffer *io,
                                  u32 flags)
{
    u64 most = HOST_FRAME_MAX - sizeof(struct host_frame);
    ssize_t credit = stream_take_credit(channel, MIN(io->bytes_left, most), flags);
    struct host_link_buffer *buffer;
    size_t room, copied;
    int error;

    if (credit < 0)
        return credit;
    error = host_port_buffer_wait(sizeof(struct host_frame) + credit, flags, &buffer);
    if (error) {
        stream_return_credit(channel, credit);
        return error == -EINTR ? -ERESTARTSYS : error;
    }
    room = MIN((size_t)credit, buffer->size - sizeof(struct host_frame));
    copied = io_copy_from(io, buffer->data + sizeof(struct host_frame), room);
    stream_return_credit(channel, credit - copied);
    if (copied == 0) {
        host_link_buffer_free(buffer);
        return -EFAULT;
    }
    buffer->bytes = sizeof(struct host_frame) + copied;
    host_port_submit(buffer, HOST_FRAME_DATA, channel->number);
    return copied;
}

/*
 * As write(2) to a pipe: all of it, unless a signal comes. -EPIPE with SIGPIPE: nobody reads any
 * more.
 */
static ssize_t stream_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct host_channel_state *channel = channel_of(file);
    ssize_t done = 0, part = 0;
    int error;

    if (channel_is_input(channel))
        return -EINVAL;
    error = mutex_lock_killable(&channel->write_mutex);
    if (error)
        return error;
    while (io->bytes_left) {
        part = stream_write_frame(channel, io, file->flags);
        if (part < 0)
            break;
        done += part;
    }
    mutex_unlock(&channel->write_mutex);
    if (part == -EPIPE && done == 0)
        signal_send_current(SIGPIPE);
    return done ? done : part;
}

/* Asking whether input is there does not take it: POLL, to which the host answers READY. */
static u32 stream_poll(struct file *file, struct poll_table *table)
{
    struct host_channel_state *channel = channel_of(file);
    u32 events = 0;
    bool ask = false;

    poll_wait(table, &channel->queue);
    spin_lock(&channel->queue.lock);
    if (channel->ring_count || channel->ended || channel->ready) {
        events |= POLL_IN | POLL_RDNORM;
    } else if (channel_is_input(channel) && channel->credit_out == 0 && !channel->poll_sent) {
        channel->poll_sent = channel->owed_poll = true;
        ask = true;
    }
    if (channel->gone)
        events |= POLL_ERR;
    else if (channel->credit_in)
        events |= POLL_OUT | POLL_WRNORM;
    spin_unlock(&channel->queue.lock);
    if (ask)
        host_port_send_owed();
    if (!(file->mode & FILE_READ))
        events &= ~(POLL_IN | POLL_RDNORM);
    return events;
}

static int moment_send(u32 moment)
{
    struct host_stamp stamp = {.moment = moment, .tsc_since_reset = tsc_read(), .tsc_hz = tsc_hz};

    return host_port_send(HOST_FRAME_STAMP, HOST_CHANNEL_CONTROL, &stamp, sizeof(stamp));
}

/*
 * Status of the run. All that was written before was submitted before, so EXIT is the last frame.
 */
int host_streams_exit(u32 status)
{
    struct host_exit exit = {.status = status, .flags = SAN ? HOST_EXIT_REPORTS : 0};
    int error;

    trace_hash_report();
    if (!host_link_exists())
        return 0;
    error = host_port_send(HOST_FRAME_EXIT, HOST_CHANNEL_CONTROL, &exit, sizeof(exit));
    return error ? error : host_port_wait_exit_ack();
}

static int session_exit(u32 session, u32 status)
{
    struct host_exit exit = {.status = status};

    if (session == 0 || session >= HOST_SESSIONS)
        return -EINVAL;
    return host_port_send(HOST_FRAME_EXIT, host_channel_of(session, HOST_CHANNEL_CONTROL), &exit,
                          sizeof(exit));
}

static long sentence_send(struct user_ptr at)
{
    struct host_sentence sentence;

    if (copy_in(&sentence, at, sizeof(sentence)))
        return -EFAULT;
    sentence.text[sizeof(sentence.text) - 1] = '\0';
    return host_port_send(HOST_FRAME_DATA, HOST_CHANNEL_LOG, sentence.text,
                          (u32)strlen(sentence.text));
}

static s32 signal_target; /* [atomic] the process group that the host's signals go to; 0: none */

/*
 * init's commands: EXIT with the run's status, STAMP a moment for --boot-time, SESSION_EXIT a
 * session's status, SAY a sentence for the command's own standard error, TARGET the process group
 * that gets the host's signals. -EFAULT, -EINVAL, -ENOTTY, -EINTR.
 */
static long control_ioctl(struct file *file, u32 command, u64 argument)
{
    u32 number;
    int error = copy_in(&number, user_ptr_at(argument), sizeof(number));

    switch (command) {
    case HOST_IOCTL_EXIT:
        return error ? error : host_streams_exit(number);
    case HOST_IOCTL_STAMP:
        return error ? error : moment_send(number);
    case HOST_IOCTL_SESSION_EXIT:
        return error ? error : session_exit(number >> 16, number & 0xffff);
    case HOST_IOCTL_SAY:
        return sentence_send(user_ptr_at(argument));
    case HOST_IOCTL_TARGET:
        if (!error)
            WRITE_ONCE(signal_target, (s32)number);
        return error;
    default:
        return -ENOTTY;
    }
}

void host_streams_signal(u32 signal)
{
    s32 group = READ_ONCE(signal_target);

    if (group > 0 && signal >= 1 && signal <= SIGNALS)
        signal_send_group(group, signal);
}

static const struct file_operations control_operations = {
    .open = stream_open,
    .release = stream_release,
    .read = stream_read,
    .poll = stream_poll,
    .ioctl = control_ioctl,
    .flags = FILE_OPERATIONS_STREAM,
};

static const struct file_operations stream_operations = {
    .open = stream_open,
    .release = stream_release,
    .read = stream_read,
    .write = stream_write,
    .poll = stream_poll,
    .flags = FILE_OPERATIONS_STREAM,
};

/* init, running as root, opens them for the program, which may have any user. */
static const struct {
    enum host_channel channel;
    const char *name;
    const struct file_operations *operations;
} streams[] = {
    {HOST_CHANNEL_CONTROL, "host/control", &control_operations},
    {HOST_CHANNEL_STDIN, "host/stdin", &stream_operations},
    {HOST_CHANNEL_STDOUT, "host/stdout", &stream_operations},
    {HOST_CHANNEL_STDERR, "host/stderr", &stream_operations},
    {HOST_CHANNEL_REPORT, "host/report", &stream_operations},
};

void host_streams_init(void)
{
    for (unsigned i = 0; i < ARRAY_SIZE(streams); i++) {
        int error = character_device_register(HOST_MAJOR, streams[i].channel, 1, streams[i].name,
                                              streams[i].operations, 0600);

        if (error)
            log_error("host port: no device %s: error %d", streams[i].name, -error);
    }
    /* Those of other sessions have no names: init makes them when it needs them. */
    if (character_device_register(HOST_MAJOR, HOST_CHANNELS, (HOST_SESSIONS - 1) * HOST_CHANNELS,
                                  NULL, &stream_operations, 0600))
        log_error("host port: no devices for more sessions");
}
