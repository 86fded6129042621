/*
 * Pipes: a ring of pages between those who write and those who read.
 *
 *     tail                      head
 *      |  slot  | slot | slot |  |      a slot: frame, offset, bytes
 *       oldest           newest
 *
 * A write fills the newest page as far as it has room and then takes new ones; a read takes from
 * the oldest. Up to PIPE_BUF bytes go in together or not at all: they fit in one page. Slots can
 * also hold pages of files and of user memory (splice, vmsplice), which are never written to.
 *
 * Data moves under pipe.lock, a mutex, since user memory is copied under it. Who must wait does so
 * without it (pipe_wait.c).
 *
 * A splice to a file takes the oldest slot out of the others' hands (`taken`) while it writes it
 * without the lock; one from a file is promised slots before it looks for pages (`promised`). So
 * neither holds pipe.lock while files are read or written, and no byte is lost or read twice.
 *
 * Invariant: head - tail slots are in use, the oldest at `tail`; each has a reference to its frame.
 *            Free slots are at least as many as are promised.
 * Locking:   pipe.lock, then a user's fault's locks; readers.lock and writers.lock below all;
 *            inode.private_lock for who has the pipe at all (`files`).
 * Context:   all sleep but the wakers. SIGPIPE is sent with nothing locked.
 */
#include <pith/pipe.h>

#include <pith/abi/ioctl.h>

#include "pipe.h"

static struct slab_cache *pipe_cache; /* [const] after fs_init */

int pipe_create(struct pipe **pipe_out)
{
    struct pipe *pipe = slab_alloc(pipe_cache, ALLOC_CLEARED);

    if (!pipe)
        return -ENOMEM;
    pipe->slots = kmalloc(PIPE_SLOTS_DEFAULT * sizeof(*pipe->slots), ALLOC_CLEARED);
    if (!pipe->slots) {
        slab_free(pipe_cache, pipe);
        return -ENOMEM;
    }
    pipe->slot_count = PIPE_SLOTS_DEFAULT;
    mutex_init(&pipe->lock, LOCK_PIPE);
    wait_queue_init(&pipe->readers);
    wait_queue_init(&pipe->writers);
    pipe->writable = true;
    *pipe_out = pipe;
    return 0;
}

void pipe_destroy(struct pipe *pipe)
{
    while (pipe_used_slots(pipe))
        frame_put(pipe_slot_at(pipe, pipe->tail++)->frame);
    for (unsigned i = 0; i < PIPE_SPARES; i++) {
        if (pipe->spares[i])
            frame_put(pipe->spares[i]);
    }
    kfree(pipe->slots);
    slab_free(pipe_cache, pipe);
}

struct pipe *pipe_of_file(const struct file *file)
{
    return file->operations == &pipe_operations ? file->private_data : NULL;
}

bool file_is_pipe(const struct file *file)
{
    return pipe_of_file(file);
}

/* ---- Pages ---- */

static struct frame *page_take(struct pipe *pipe)
{
    for (unsigned i = 0; i < PIPE_SPARES; i++) {
        struct frame *frame = pipe->spares[i];

        if (frame) {
            pipe->spares[i] = NULL;
            return frame;
        }
    }
    return frame_alloc(0, FRAME_KERNEL, 0);
}

/* Keeps a page that only we have for the next write, so that a steady stream allocates nothing. */
static void page_give_back(struct pipe *pipe, struct frame *frame)
{
    for (unsigned i = 0; i < PIPE_SPARES; i++) {
        if (!pipe->spares[i] && refcount_read(&frame->references) == 1) {
            pipe->spares[i] = frame;
            return;
        }
    }
    frame_put(frame);
}

void pipe_slot_release(struct pipe *pipe)
{
    struct pipe_slot *slot = pipe_slot_at(pipe, pipe->tail++);

    if (slot->flags & PIPE_SLOT_SHARED)
        frame_put(slot->frame);
    else
        page_give_back(pipe, slot->frame);
    slot->frame = NULL;
}

/* ---- Reading ---- */

/* Takes from the oldest slot. Returns the bytes, or -EFAULT. */
static ssize_t slot_read(struct pipe *pipe, struct io_buffer *io)
{
    struct pipe_slot *slot = pipe_slot_at(pipe, pipe->tail);
    size_t wanted = MIN((u64)slot->bytes, io->bytes_left);
    size_t copied = io_copy_to(io, (u8 *)frame_data(slot->frame) + slot->offset, wanted);

    slot->offset += copied;
    slot->bytes -= copied;
    /* What a read has no room for of a packet is lost; what could not be copied out stays. */
    if (slot->bytes == 0 || (copied == wanted && (slot->flags & PIPE_SLOT_PACKET)))
        pipe_slot_release(pipe);
    return copied < wanted && copied == 0 ? -EFAULT : (ssize_t)copied;
}

/* Takes what is there, up to a packet's end. Returns the bytes, or -EFAULT if there are none. */
static ssize_t slots_read(struct pipe *pipe, struct io_buffer *io)
{
    ssize_t done = 0;

    while (pipe_used_slots(pipe) && io->bytes_left) {
        bool packet = pipe_slot_at(pipe, pipe->tail)->flags & PIPE_SLOT_PACKET;
        ssize_t part = slot_read(pipe, io);

        if (part < 0)
            return done ? done : part;
        done += part;
        if (packet)
            break;
    }
    return done;
}

static ssize_t pipe_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct pipe *pipe = file->private_data;
    ssize_t done;

    if (io->bytes_left == 0)
        return 0;
    mutex_lock(&pipe->lock);
    done = pipe_await_data(pipe, (file->flags & O_NONBLOCK) | (io->flags & IO_BUFFER_NOWAIT));
    if (done >= 0)
        done = done ? 0 : slots_read(pipe, io);
    pipe_read_done(pipe);
    mutex_unlock(&pipe->lock);
    return done;
}

/* ---- Writing ---- */

/*
 * Adds to the newest page if all of a write's odd bytes fit there. Returns the bytes, or -EFAULT.
 */
static ssize_t slot_merge(struct pipe *pipe, struct io_buffer *io)
{
    u32 odd = io->bytes_left & (PAGE_SIZE - 1);
    struct pipe_slot *slot = pipe_slot_at(pipe, pipe->head - 1);
    size_t copied;

    if (!pipe_used_slots(pipe) || odd == 0 || slot->flags ||
        slot->offset + slot->bytes + odd > PAGE_SIZE)
        return 0;
    copied = io_copy_from(io, (u8 *)frame_data(slot->frame) + slot->offset + slot->bytes, odd);
    slot->bytes += copied;
    return copied < odd && copied == 0 ? -EFAULT : (ssize_t)copied;
}

/* Fills a new page. Returns the bytes, -ENOMEM or -EFAULT. */
static ssize_t slot_append(struct pipe *pipe, struct io_buffer *io, u32 slot_flags)
{
    struct frame *frame = page_take(pipe);
    size_t wanted = MIN(io->bytes_left, PAGE_SIZE), copied;

    if (!frame)
        return -ENOMEM;
    copied = io_copy_from(io, frame_data(frame), wanted);
    if (copied == 0) {
        page_give_back(pipe, frame);
        return -EFAULT;
    }
    *pipe_slot_at(pipe, pipe->head++) =
        (struct pipe_slot){.frame = frame, .bytes = copied, .flags = slot_flags};
    return copied;
}

/* Writes the next part, waiting for room. Returns the bytes or an error. */
static ssize_t write_part(struct pipe *pipe, struct file *file, struct io_buffer *io)
{
    u32 slot_flags = file->flags & O_DIRECT ? PIPE_SLOT_PACKET : 0;
    int error = pipe_await_room(pipe, (file->flags & O_NONBLOCK) | (io->flags & IO_BUFFER_NOWAIT));

    return error ? error : slot_append(pipe, io, slot_flags);
}

static ssize_t pipe_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct pipe *pipe = file->private_data;
    ssize_t done = 0, part;

    if (io->bytes_left == 0)
        return 0;
    mutex_lock(&pipe->lock);
    part = pipe->reader_count ? 0 : -EPIPE;
    if (!part && !(file->flags & O_DIRECT))
        part = slot_merge(pipe, io);
    while (part >= 0) {
        done += part;
        if (io->bytes_left == 0)
            break;
        part = write_part(pipe, file, io);
    }
    pipe_write_done(pipe);
    mutex_unlock(&pipe->lock);
    if (part == -EPIPE)
        fs_signal_current(SIGNAL_PIPE);
    return done ? done : part;
}

/* ---- The rest ---- */

static u32 pipe_poll(struct file *file, struct poll_table *table)
{
    struct pipe *pipe = file->private_data;
    u32 events = 0;

    WRITE_ONCE(pipe->watched, true);
    if (file->mode & FILE_READ)
        poll_wait(table, &pipe->readers);
    if (file->mode & FILE_WRITE)
        poll_wait(table, &pipe->writers);
    /* Without pipe->lock: what changes from now on wakes who was put on the queues above. */
    if (file->mode & FILE_READ) {
        if (READ_ONCE(pipe->head) != READ_ONCE(pipe->tail))
            events |= POLL_READABLE;
        if (!READ_ONCE(pipe->writer_count) && READ_ONCE(pipe->writer_opens) != (u32)file->offset)
            events |= POLL_HUP;
    }
    if (file->mode & FILE_WRITE) {
        if (READ_ONCE(pipe->head) - READ_ONCE(pipe->tail) < READ_ONCE(pipe->slot_count))
            events |= POLL_WRITABLE;
        if (!READ_ONCE(pipe->reader_count))
            events |= POLL_ERR;
    }
    return events;
}

static long pipe_ioctl(struct file *file, u32 command, u64 argument)
{
    struct pipe *pipe = file->private_data;
    int bytes = 0;

    if (command != FIONREAD)
        return -ENOTTY;
    mutex_lock(&pipe->lock);
    for (u32 i = pipe->tail; i != pipe->head; i++)
        bytes += pipe_slot_at(pipe, i)->bytes;
    mutex_unlock(&pipe->lock);
    return copy_out(user_ptr_at(argument), &bytes, sizeof(bytes));
}

long pipe_get_size(struct file *file)
{
    struct pipe *pipe = pipe_of_file(file);

    return pipe ? (long)(READ_ONCE(pipe->slot_count) * PAGE_SIZE) : -EBADF;
}

/* The ring is replaced whole, its slots in order from 0: splices on their way know no positions. */
long pipe_set_size(struct file *file, u64 bytes)
{
    struct pipe *pipe = pipe_of_file(file);
    struct pipe_slot *slots, *old;
    u32 count = 1, used;

    if (!pipe)
        return -EBADF;
    if (bytes > 1u << 31)
        return -EINVAL;
    while (count * PAGE_SIZE < bytes)
        count *= 2;
    if (count > PIPE_SLOTS_MAX &&
        !credentials_can(thread_current()->credentials, CAPABILITY_SYS_RESOURCE))
        return -EPERM;
    slots = kmalloc(count * sizeof(*slots), ALLOC_CLEARED);
    if (!slots)
        return -ENOMEM;
    mutex_lock(&pipe->lock);
    used = pipe_used_slots(pipe);
    old = pipe->slots;
    if (used + pipe->promised > count) {
        mutex_unlock(&pipe->lock);
        kfree(slots);
        return -EBUSY;
    }
    for (u32 i = 0; i < used; i++)
        slots[i] = *pipe_slot_at(pipe, pipe->tail + i);
    pipe->slots = slots;
    pipe->slot_count = count;
    pipe->tail = 0;
    pipe->head = used;
    pipe_changed_locked(pipe);
    mutex_unlock(&pipe->lock);
    kfree(old);
    return count * PAGE_SIZE;
}

void pipe_put(struct inode *inode, struct pipe *pipe)
{
    bool last;

    spin_lock(&inode->private_lock);
    last = --pipe->files == 0;
    if (last)
        inode->pipe = NULL;
    spin_unlock(&inode->private_lock);
    if (last)
        pipe_destroy(pipe);
}

/* An open file's end goes: the other side sees the end, or EPIPE. */
static void pipe_release(struct file *file)
{
    struct pipe *pipe = file->private_data;

    mutex_lock(&pipe->lock);
    if (file->mode & FILE_READ)
        pipe->reader_count--;
    if (file->mode & FILE_WRITE)
        pipe->writer_count--;
    pipe_changed_locked(pipe);
    if (!pipe->writer_count)
        wait_queue_wake(&pipe->readers, WAKE_ALL, POLL_READABLE | POLL_HUP);
    if (!pipe->reader_count)
        wait_queue_wake(&pipe->writers, WAKE_ALL, POLL_WRITABLE | POLL_ERR);
    mutex_unlock(&pipe->lock);
    pipe_put(file->inode, pipe);
}

const struct file_operations pipe_operations = {
    .flags = FILE_OPERATIONS_STREAM,
    .release = pipe_release,
    .read = pipe_read,
    .write = pipe_write,
    .poll = pipe_poll,
    .ioctl = pipe_ioctl,
};

/* The inode of a pipe(2): a FIFO of the anonymous file system. NULL: no memory. */
static struct inode *pipe_inode_create(struct pipe *pipe)
{
    struct inode *inode = inode_alloc(anonymous_file_system());

    if (!inode)
        return NULL;
    inode->mode = S_IFIFO | 0600;
    inode->file_operations = &fifo_operations; /* opened again through /proc/PID/fd */
    inode->uid = thread_current()->credentials->fsuid;
    inode->gid = thread_current()->credentials->fsgid;
    inode->pipe = pipe;
    return inode;
}

int pipe_open_pair(u32 flags, struct file *ends_out[2])
{
    struct pipe *pipe;
    struct inode *inode;
    int error = pipe_create(&pipe);

    if (error)
        return error;
    inode = pipe_inode_create(pipe);
    if (!inode) {
        pipe_destroy(pipe);
        return -ENOMEM;
    }
    pipe->files = 2;
    pipe->reader_count = pipe->reader_opens = 1;
    pipe->writer_count = pipe->writer_opens = 1;
    flags &= O_NONBLOCK | O_DIRECT;
    error = file_create_on_inode("pipe", inode, &pipe_operations, O_RDONLY | (flags & O_NONBLOCK),
                                 pipe, &ends_out[0]);
    if (error)
        goto destroy_pipe;
    error =
        file_create_on_inode("pipe", inode, &pipe_operations, O_WRONLY | flags, pipe, &ends_out[1]);
    if (error)
        goto put_reader;
    inode_put(inode);
    return 0;

put_reader:
    pipe->files = 1; /* the end that never came into being; pipe_release takes the other */
    pipe->writer_count = 0;
    file_put(ends_out[0]);
    inode_put(inode);
    return error;

destroy_pipe:
    inode->pipe = NULL;
    inode_put(inode);
    pipe_destroy(pipe);
    return error;
}

void pipe_init(void)
{
    pipe_cache = slab_cache_create("pipe", sizeof(struct pipe), 0);
    if (!pipe_cache)
        panic("no memory for the cache of pipes");
}
