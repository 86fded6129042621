/*
 * Copying to and from I/O buffers.
 *
 * All copies are one loop over pieces that lie in one segment; what differs is the routine that
 * moves a piece and says how much of it could not be moved. User memory that cannot be accessed
 * ends a copy where it begins: what was moved before counts, and the buffer stands there.
 *
 * Invariant: done_in_segment <= the current segment's bytes, and bytes_left is no more than what
 *            the segments still have (less, where a limit cut the request).
 */
#include <pith/io_buffer.h>

#include <pith/string.h>
#include <pith/vm.h>

/* Moves `bytes` between the buffer's `address` and `kernel`; returns the bytes not moved. */
typedef size_t piece_function(u64 address, void *kernel, size_t bytes);

static size_t piece_to_user(u64 address, void *kernel, size_t bytes)
{
    return copy_out_partial(user_ptr_at(address), kernel, bytes);
}

static size_t piece_from_user(u64 address, void *kernel, size_t bytes)
{
    return copy_in_partial(kernel, user_ptr_at(address), bytes);
}

static size_t piece_from_user_nofault(u64 address, void *kernel, size_t bytes)
{
    return copy_in_nofault(kernel, user_ptr_at(address), bytes);
}

static size_t piece_to_kernel(u64 address, void *kernel, size_t bytes)
{
    memcpy((void *)address, kernel, bytes);
    return 0;
}

static size_t piece_from_kernel(u64 address, void *kernel, size_t bytes)
{
    memcpy(kernel, (const void *)address, bytes);
    return 0;
}

static void io_advance(struct io_buffer *io, size_t bytes)
{
    io->done_in_segment += bytes;
    io->bytes_left -= bytes;
}

/*
 * Goes to the next segment that is not used up; the piece that is left in it, at most `bytes`.
 * There is one, since bytes_left is not 0.
 */
static size_t io_piece(struct io_buffer *io, size_t bytes)
{
    while (io->segments[io->current].bytes == io->done_in_segment) {
        io->current++;
        io->done_in_segment = 0;
    }
    return MIN(bytes, io->segments[io->current].bytes - io->done_in_segment);
}

/* Piece by piece: the segment ends, or memory that is not there. */
static noinline size_t io_move_pieces(struct io_buffer *io, void *kernel, size_t bytes,
                                      piece_function *move_piece)
{
    size_t done = 0;

    bytes = MIN(bytes, io->bytes_left);
    while (done < bytes) {
        size_t piece = io_piece(io, bytes - done);
        u64 address = io->segments[io->current].address + io->done_in_segment;
        size_t moved = piece - move_piece(address, (char *)kernel + done, piece);

        io_advance(io, moved);
        done += moved;
        if (moved < piece)
            break;
    }
    return done;
}

/* What mostly happens first: all of it lies in the current segment. */
static inline size_t io_move(struct io_buffer *io, void *kernel, size_t bytes,
                             piece_function *move_piece)
{
    const struct io_segment *segment = &io->segments[io->current];
    size_t moved;

    if (unlikely(bytes > io->bytes_left || bytes > segment->bytes - io->done_in_segment))
        return io_move_pieces(io, kernel, bytes, move_piece);
    moved = bytes - move_piece(segment->address + io->done_in_segment, kernel, bytes);
    io_advance(io, moved);
    return moved;
}

size_t io_copy_to(struct io_buffer *io, const void *from, size_t bytes)
{
    if (unlikely(io->flags & IO_BUFFER_KERNEL))
        return io_move(io, (void *)from, bytes, piece_to_kernel);
    return io_move(io, (void *)from, bytes, piece_to_user);
}

size_t io_copy_from(struct io_buffer *io, void *to, size_t bytes)
{
    if (unlikely(io->flags & IO_BUFFER_KERNEL))
        return io_move(io, to, bytes, piece_from_kernel);
    return io_move(io, to, bytes, piece_from_user);
}

size_t io_copy_from_nofault(struct io_buffer *io, void *to, size_t bytes)
{
    if (io->flags & IO_BUFFER_KERNEL)
        return io_move(io, to, bytes, piece_from_kernel);
    return io_move(io, to, bytes, piece_from_user_nofault);
}

static size_t piece_clear_user(u64 address, void *unused, size_t bytes)
{
    return clear_user(user_ptr_at(address), bytes) ? bytes : 0;
}

static size_t piece_clear_kernel(u64 address, void *unused, size_t bytes)
{
    memset((void *)address, 0, bytes);
    return 0;
}

size_t io_clear(struct io_buffer *io, size_t bytes)
{
    if (unlikely(io->flags & IO_BUFFER_KERNEL))
        return io_move(io, NULL, bytes, piece_clear_kernel);
    return io_move(io, NULL, bytes, piece_clear_user);
}

int io_fault_in(struct io_buffer *io, unsigned access)
{
    struct frame *frame;
    int error;

    if ((io->flags & IO_BUFFER_KERNEL) || !io->bytes_left)
        return 0;
    (void)io_piece(io, 1);
    error = address_space_frame_get(thread_current()->space,
                                    io->segments[io->current].address + io->done_in_segment, access,
                                    &frame);
    if (error)
        return error;
    frame_put(frame);
    return 0;
}
