/*
 * Moving data between files and pipes by reference (splice(2), tee(2), vmsplice(2)), and from file
 * to file (sendfile(2), copy_file_range(2)).
 *
 *     file's page cache --frame--> pipe slot --frame--> slot of another pipe --copy--> file
 *     user's memory ----frame--'
 *
 * What travels is a slot: a frame with a reference, and which of its bytes are meant. A file in the
 * page cache gives the frames that the cache has; any other file is read into fresh ones. So bytes
 * are copied once at the most, where they go into a file. As on Linux a page in a pipe is the
 * file's (or the user's) own: who changes it changes what is read.
 *
 * Neither end's file is read or written under pipe.lock: a reader of files is promised slots
 * before, a writer of files takes the oldest slot out of others' hands (pipe.h). Between two pipes
 * both locks are held, and nothing sleeps.
 *
 *     splice file -> pipe                      splice pipe -> file
 *     lock; wait for room; promised += n       lock; wait for data; taken = true, copy of the slot
 *     unlock; read n slots' worth              unlock; write it
 *     lock; promised -= n; slots go in         lock; cut what was written off; taken = false
 *
 * Meanwhile others may use what is neither promised nor taken. If the last reader leaves in
 * between, the slots have nowhere to go and are dropped: EPIPE, as if it had left before.
 *
 * A call waits only for its first bytes; with some moved it returns what it has rather than wait.
 *
 * Locking: pipe.lock, of two pipes by address; file.offset_lock between files, by address too.
 */
#include <pith/file_calls.h>

#include "inode_internal.h"
#include "notify.h"
#include "page_cache_internal.h"
#include "pipe.h"

#define BATCH 16u /* slots that are filled at a time */

/* ---- Slots from files and memory ---- */

/* A page of the page cache. 1; 0 at the end; an error. */
static int slot_of_cache(struct file *from, u64 offset, u64 bytes, struct pipe_slot *slot_out)
{
    u64 size = READ_ONCE(from->inode->size);
    u32 within = offset & (PAGE_SIZE - 1);
    struct frame *frame;
    int error;

    if (offset >= size)
        return 0;
    error = page_cache_page_for_read(from, offset / PAGE_SIZE, bytes, &frame);
    if (error)
        return error;
    *slot_out = (struct pipe_slot){.frame = frame,
                                   .offset = within,
                                   .bytes = (u32)MIN(MIN(size - offset, bytes), PAGE_SIZE - within),
                                   .flags = PIPE_SLOT_SHARED};
    return 1;
}

/* Any other file: read into a fresh page, which is then the pipe's own. As slot_of_cache. */
static int slot_by_reading(struct file *from, u64 *offset, u64 bytes, struct pipe_slot *slot_out)
{
    struct frame *frame = frame_alloc(0, FRAME_KERNEL, 0);
    struct io_segment segment;
    struct io_buffer io;
    ssize_t got;

    if (!frame)
        return -ENOMEM;
    io_buffer_init_kernel(&io, &segment, frame_data(frame), MIN(bytes, PAGE_SIZE));
    got = from->operations->read(from, &io, offset);
    if (got <= 0) {
        frame_put(frame);
        return (int)got;
    }
    *slot_out = (struct pipe_slot){.frame = frame, .bytes = (u32)got};
    return 1;
}

/* The next bytes of a file, at most up to a page's end; moves the offset on. As slot_of_cache. */
static int slot_of_file(struct file *from, u64 *offset, u64 bytes, struct pipe_slot *slot_out)
{
    int result;

    if (!from->operations->read)
        return -EINVAL;
    if (from->operations->read != page_cache_file_read)
        return slot_by_reading(from, offset, bytes, slot_out);
    result = slot_of_cache(from, *offset, bytes, slot_out);
    if (result > 0)
        *offset += slot_out->bytes;
    return result;
}

/* The next bytes of the user's memory. As slot_of_cache. */
static int slot_of_memory(struct io_buffer *io, struct pipe_slot *slot_out)
{
    const struct io_segment *segment = &io->segments[io->current];
    u64 address;
    int error;

    if (!io->bytes_left)
        return 0;
    while (segment->bytes == io->done_in_segment) {
        segment = &io->segments[++io->current];
        io->done_in_segment = 0;
    }
    address = segment->address + io->done_in_segment;
    *slot_out = (struct pipe_slot){.offset = address & (PAGE_SIZE - 1), .flags = PIPE_SLOT_SHARED};
    slot_out->bytes = (u32)MIN(segment->bytes - io->done_in_segment, PAGE_SIZE - slot_out->offset);
    error = address_space_frame_get(thread_current()->space, address, PAGER_READ, &slot_out->frame);
    if (error)
        return error;
    io->done_in_segment += slot_out->bytes;
    io->bytes_left -= slot_out->bytes;
    return 1;
}

/* All of a slot's bytes, or as many as the file took. Bytes, or an error for the first. */
static ssize_t slot_write(const struct pipe_slot *slot, struct file *to, u64 *offset)
{
    struct io_segment segment;
    struct io_buffer io;
    ssize_t done = 0;

    while (done < (ssize_t)slot->bytes) {
        ssize_t written;

        io_buffer_init_kernel(&io, &segment, (char *)frame_data(slot->frame) + slot->offset + done,
                              slot->bytes - (u64)done);
        written = file_write(to, &io, offset);
        if (written <= 0)
            return done ? done : written;
        done += written;
    }
    return done;
}

/* ---- Into a pipe ---- */

/* Free slots for who will fill them: up to `most`, and at least one. */
static int slots_promise(struct pipe *pipe, u32 most, u32 nonblock, u32 *count_out)
{
    int error;

    mutex_lock(&pipe->lock);
    error = pipe_await_room(pipe, nonblock);
    if (!error) {
        *count_out = MIN(most, pipe->slot_count - pipe_used_slots(pipe) - pipe->promised);
        pipe->promised += *count_out;
    }
    pipe_changed_locked(pipe);
    mutex_unlock(&pipe->lock);
    return error;
}

/* Keeps the promise by the first `filled` of `count` slots. -EPIPE: the last reader left. */
static int slots_fulfil(struct pipe *pipe, const struct pipe_slot *slots, u32 filled, u32 count)
{
    bool has_reader;

    mutex_lock(&pipe->lock);
    pipe->promised -= count;
    has_reader = pipe->reader_count;
    for (u32 i = 0; i < filled; i++) {
        if (has_reader)
            *pipe_slot_at(pipe, pipe->head++) = slots[i];
        else
            frame_put(slots[i].frame);
    }
    pipe_write_done(pipe);
    mutex_unlock(&pipe->lock);
    return filled && !has_reader ? -EPIPE : 0;
}

/* Where slots come from: a file at an offset, or (file NULL) memory. */
struct slot_source {
    struct file *file;
    u64 *offset;
    u64 bytes; /* that are still wanted */
    struct io_buffer *io;
};

/*
 * Fills slots until all are, or there is no more. `result_out`: why there is no more; 0: the end.
 */
static u32 slots_fill(struct slot_source *source, struct pipe_slot *slots, u32 count,
                      int *result_out)
{
    u32 filled = 0;

    *result_out = 1;
    while (filled < count && source->bytes) {
        *result_out =
            source->file ? slot_of_file(source->file, source->offset, source->bytes, &slots[filled])
                         : slot_of_memory(source->io, &slots[filled]);
        if (*result_out <= 0)
            break;
        source->bytes -= slots[filled].bytes;
        /* A stream that gave less than it might gives no more without waiting. */
        if (source->file && !(slots[filled].flags & PIPE_SLOT_SHARED) &&
            slots[filled].bytes < PAGE_SIZE)
            *result_out = 0;
        filled++;
        if (!*result_out)
            break;
    }
    return filled;
}

/* Waits for room for the first; then takes what fits. Bytes, or an error. */
static ssize_t source_to_pipe(struct slot_source *source, struct pipe *pipe, u32 nonblock)
{
    u64 wanted = source->bytes;
    int error = 0, result = 1;

    while (source->bytes && result > 0) {
        struct pipe_slot slots[BATCH];
        u64 before = source->bytes;
        u32 count, filled;

        error = slots_promise(pipe, (u32)MIN(source->bytes / PAGE_SIZE + 2, (u64)BATCH),
                              nonblock || before < wanted, &count);
        if (error)
            break;
        filled = slots_fill(source, slots, count, &result);
        error = slots_fulfil(pipe, slots, filled, count);
        if (error)
            break;
        error = result < 0 ? result : 0;
    }
    if (error == -EPIPE && source->bytes == wanted)
        fs_signal_current(SIGNAL_PIPE);
    return source->bytes < wanted ? (ssize_t)(wanted - source->bytes) : error;
}

/*
 * A file's own offset after a splice. It is not locked for the length of one, which may wait for
 * the pipe for ever: two at a time see the same bytes, as on Linux.
 */
static void offset_set(struct file *file, u64 offset)
{
    if (file->operations->flags & FILE_OPERATIONS_STREAM)
        return;
    mutex_lock(&file->offset_lock);
    file->offset = offset;
    mutex_unlock(&file->offset_lock);
}

ssize_t file_splice_to_pipe(struct file *from, u64 *from_offset, struct file *to, u64 bytes,
                            u32 nonblock)
{
    u64 own_offset = READ_ONCE(from->offset);
    struct slot_source source = {
        .file = from, .offset = from_offset ? from_offset : &own_offset, .bytes = bytes};
    ssize_t done = source_to_pipe(&source, pipe_of_file(to), nonblock);

    if (!from_offset)
        offset_set(from, own_offset);
    if (done > 0) {
        file_accessed(from);
        notify_file(from, IN_ACCESS);
        notify_file(to, IN_MODIFY);
    }
    return done;
}

ssize_t memory_splice_to_pipe(struct io_buffer *io, struct file *to, u32 nonblock)
{
    struct slot_source source = {.io = io, .bytes = io->bytes_left};

    return source_to_pipe(&source, pipe_of_file(to), nonblock);
}

/* ---- Out of a pipe ---- */

/* Takes the oldest slot out of the others' hands. 0; 1: the end; an error. */
static int slot_take(struct pipe *pipe, u32 nonblock, struct pipe_slot *slot_out)
{
    int result;

    mutex_lock(&pipe->lock);
    result = pipe_await_data(pipe, nonblock);
    if (!result) {
        *slot_out = *pipe_slot_at(pipe, pipe->tail);
        pipe->taken = true;
    }
    pipe_changed_locked(pipe);
    mutex_unlock(&pipe->lock);
    return result;
}

/* Gives it back without its first `bytes`. */
static void slot_return(struct pipe *pipe, u64 bytes)
{
    struct pipe_slot *slot;

    mutex_lock(&pipe->lock);
    slot = pipe_slot_at(pipe, pipe->tail);
    slot->offset += (u32)bytes;
    slot->bytes -= (u32)bytes;
    pipe->taken = false;
    if (slot->bytes == 0)
        pipe_slot_release(pipe);
    pipe_read_done(pipe);
    if (pipe_is_at_end(pipe))
        wait_queue_wake(&pipe->readers, WAKE_ALL, POLL_READABLE | POLL_HUP);
    mutex_unlock(&pipe->lock);
}

static ssize_t pipe_to_file(struct pipe *pipe, struct file *to, u64 *offset, u64 bytes,
                            u32 nonblock)
{
    u64 done = 0;
    ssize_t written = 0;

    while (done < bytes) {
        struct pipe_slot slot;
        int result = slot_take(pipe, nonblock || done, &slot);

        if (result) {
            written = result < 0 ? result : 0;
            break;
        }
        slot.bytes = (u32)MIN((u64)slot.bytes, bytes - done);
        written = slot_write(&slot, to, offset);
        slot_return(pipe, written > 0 ? (u64)written : 0);
        if (written <= 0)
            break;
        done += (u64)written;
        if ((u64)written < slot.bytes)
            break;
    }
    return done ? (ssize_t)done : written;
}

ssize_t file_splice_from_pipe(struct file *from, struct file *to, u64 *to_offset, u64 bytes,
                              u32 nonblock)
{
    u64 own_offset = READ_ONCE(to->offset);
    ssize_t done =
        pipe_to_file(pipe_of_file(from), to, to_offset ? to_offset : &own_offset, bytes, nonblock);

    if (!to_offset)
        offset_set(to, own_offset);
    return done;
}

/* ---- Between pipes ---- */

/* Moves (or with `keep` doubles) what is there, as far as there is room. Both locks are held. */
static u64 slots_pass(struct pipe *from, struct pipe *to, u64 bytes, enum splice_kind kind)
{
    u64 done = 0;

    if (from->taken)
        return 0;
    for (u32 at = from->tail; done < bytes && at != from->head && pipe_has_room(to); at++) {
        struct pipe_slot *slot = pipe_slot_at(from, at);
        struct pipe_slot *copy = pipe_slot_at(to, to->head++);
        u32 part = (u32)MIN((u64)slot->bytes, bytes - done);

        *copy = *slot;
        copy->bytes = part;
        done += part;
        if (kind == SPLICE_MOVE && part == slot->bytes) { /* with its reference */
            slot->frame = NULL;
            from->tail++;
            continue;
        }
        frame_get(slot->frame);
        copy->flags |= PIPE_SLOT_SHARED;
        if (kind == SPLICE_MOVE) {
            slot->offset += part;
            slot->bytes -= part;
        }
    }
    return done;
}

/* Waits until both pipes let something pass. 0; 1: the end; an error. */
static int pipes_await(struct pipe *from, struct pipe *to, u32 nonblock)
{
    int result;

    mutex_lock(&from->lock);
    result = pipe_await_data(from, nonblock);
    mutex_unlock(&from->lock);
    if (result)
        return result;
    mutex_lock(&to->lock);
    result = pipe_await_room(to, nonblock);
    mutex_unlock(&to->lock);
    return result;
}

ssize_t pipe_splice_to_pipe(struct file *from_file, struct file *to_file, u64 bytes,
                            enum splice_kind kind, u32 nonblock)
{
    struct pipe *from = pipe_of_file(from_file), *to = pipe_of_file(to_file);
    u64 done = 0;
    int result;

    do {
        result = pipes_await(from, to, nonblock);
        if (result)
            break;
        mutex_lock(from < to ? &from->lock : &to->lock); /* by address */
        mutex_lock(from < to ? &to->lock : &from->lock);
        if (to->reader_count)
            done = slots_pass(from, to, bytes, kind);
        pipe_read_done(from);
        pipe_write_done(to);
        mutex_unlock(&from->lock);
        mutex_unlock(&to->lock);
    } while (!done); /* somebody was faster */
    if (result == -EPIPE)
        fs_signal_current(SIGNAL_PIPE);
    return result < 0 ? result : (ssize_t)done;
}

/* ---- From file to file ---- */

/* By way of one slot at a time, as through a pipe that nobody sees. */
static ssize_t copy_slots(struct file *from, u64 *from_offset, struct file *to, u64 *to_offset,
                          u64 bytes)
{
    u64 done = 0;
    ssize_t result = 0;

    while (done < bytes) {
        u64 before = *from_offset;
        struct pipe_slot slot;

        result = slot_of_file(from, from_offset, bytes - done, &slot);
        if (result <= 0)
            break;
        result = slot_write(&slot, to, to_offset);
        frame_put(slot.frame);
        if (result < (ssize_t)slot.bytes) /* what was not written is read again by the next call */
            *from_offset = before + (result > 0 ? (u64)result : 0);
        if (result <= 0)
            break;
        done += (u64)result;
        if (result < (ssize_t)slot.bytes)
            break;
        if (!(slot.flags & PIPE_SLOT_SHARED) && slot.bytes < PAGE_SIZE) /* a device's short read */
            break;
        if (sched_point_killable())
            break;
    }
    return done ? (ssize_t)done : result;
}

/* The offsets of two files, either of them NULL, by address: others copy the other way. */
static void offsets_lock(struct file *a, struct file *b) no_lock_check
{
    struct file *first = MIN(a, b), *second = MAX(a, b);

    if (first && first != second)
        mutex_lock(&first->offset_lock);
    if (second)
        mutex_lock(&second->offset_lock);
}

static void offsets_unlock(struct file *a, struct file *b) no_lock_check
{
    if (a)
        mutex_unlock(&a->offset_lock);
    if (b && b != a)
        mutex_unlock(&b->offset_lock);
}

ssize_t file_copy_between(struct file *from, u64 *from_offset, struct file *to, u64 *to_offset,
                          u64 bytes)
{
    struct file *own_from = from_offset ? NULL : from, *own_to = to_offset ? NULL : to;
    ssize_t result;

    offsets_lock(own_from, own_to);
    result = copy_slots(from, from_offset ? from_offset : &from->offset, to,
                        to_offset ? to_offset : &to->offset, MIN(bytes, IO_BYTES_MAX));
    offsets_unlock(own_from, own_to);
    if (result > 0) {
        file_accessed(from);
        notify_file(from, IN_ACCESS);
    }
    return result;
}
