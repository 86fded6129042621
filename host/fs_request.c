/*
 * Taking a FUSE request apart (FUSE protocol 7.38) and putting its answer together.
 *
 *     readable buffers: [fuse_in_header][arguments][names or data]
 *     writable buffers: [fuse_out_header][answer]
 *
 * Where the guest cuts its buffers means nothing: both sides are treated as one run of bytes. What
 * decides anything is copied out first and checked in the copy; only file data is read and written
 * in place, because it decides nothing. Every length is bounded by what the buffers hold.
 */
#include "fs_request.h"

#include <errno.h>
#include <string.h>

#define ERRNO_MAX 511 /* of an answer; Linux's client takes anything beyond for nonsense */

/*
 * The part of a run of buffers from `offset` on, at most `size` bytes long. Returns their number.
 */
static unsigned buffers_slice(const struct iovec *from, unsigned count, size_t offset, size_t size,
                              struct iovec *to)
{
    unsigned made = 0;

    for (unsigned i = 0; i < count && size > 0; i++) {
        size_t piece;

        if (offset >= from[i].iov_len) {
            offset -= from[i].iov_len;
            continue;
        }
        piece = MIN(from[i].iov_len - offset, size);
        to[made].iov_base = (u8 *)from[i].iov_base + offset;
        to[made++].iov_len = piece;
        size -= piece;
        offset = 0;
    }
    return made;
}

enum copy_direction {
    COPY_FROM_GUEST,
    COPY_TO_GUEST,
};

/* Copies between a run of buffers and `bytes`; the caller has checked that the run is that long. */
static void buffers_copy(const struct iovec *buffers, unsigned count, size_t offset, void *bytes,
                         size_t size, enum copy_direction direction)
{
    u8 *next = bytes;

    for (unsigned i = 0; i < count && size > 0; i++) {
        u8 *guest = (u8 *)buffers[i].iov_base + offset;
        size_t piece;

        if (offset >= buffers[i].iov_len) {
            offset -= buffers[i].iov_len;
            continue;
        }
        piece = MIN(buffers[i].iov_len - offset, size);
        if (direction == COPY_TO_GUEST)
            memcpy(guest, next, piece);
        else
            memcpy(next, guest, piece);
        next += piece;
        size -= piece;
        offset = 0;
    }
}

/*
 * The bytes are the guest's to change at any moment: what is copied is then checked, never what
 * lies there.
 */
static void copy_from_guest(const struct fs_chain *chain, size_t offset, void *to, size_t size)
{
    buffers_copy(chain->buffers, chain->readable_count, offset, to, size, COPY_FROM_GUEST);
}

static void copy_to_guest(const struct fs_chain *chain, size_t offset, const void *from,
                          size_t size)
{
    buffers_copy(chain->buffers + chain->readable_count, chain->writable_count, offset,
                 (void *)from, size, COPY_TO_GUEST);
}

int fs_request_begin(struct fs_request *request, struct fs_chain *chain)
{
    memset(request, 0, sizeof(*request));
    request->chain = chain;
    if (chain->readable_bytes < sizeof(request->header))
        return -EINVAL;
    copy_from_guest(chain, 0, &request->header, sizeof(request->header));
    if (request->header.len < sizeof(request->header) ||
        request->header.len > chain->readable_bytes)
        return -EINVAL;
    request->data_offset = sizeof(request->header);
    request->data_size = request->header.len - sizeof(request->header);
    return 0;
}

int fs_request_copy_data(const struct fs_request *request, size_t offset, void *to, size_t size)
{
    if (offset > request->data_size || size > request->data_size - offset)
        return -EINVAL;
    copy_from_guest(request->chain, request->data_offset + offset, to, size);
    return 0;
}

int fs_request_take_arguments(struct fs_request *request, size_t size)
{
    int error = fs_request_copy_data(request, 0, &request->arguments, size);

    if (error)
        return error;
    request->data_offset += size;
    request->data_size -= size;
    return 0;
}

int fs_request_take_names(struct fs_request *request, char *text, unsigned count)
{
    const char *next = text, *end = text + request->data_size;
    int error;

    if (request->data_size > FS_TEXT_MAX)
        return -EINVAL;
    error = fs_request_copy_data(request, 0, text, request->data_size);
    if (error)
        return error;
    for (unsigned i = 0; i < count; i++) {
        const char *nul = memchr(next, '\0', (size_t)(end - next));

        if (!nul)
            return -EINVAL;
        request->names[i] = next;
        next = nul + 1;
    }
    request->value = next;
    request->value_size = (size_t)(end - next);
    return 0;
}

int fs_name_check(const char *name)
{
    size_t length = strlen(name);

    if (length > NAME_MAX)
        return -ENAMETOOLONG;
    if (length == 0 || strchr(name, '/') || strcmp(name, ".") == 0 || strcmp(name, "..") == 0)
        return -EINVAL;
    return 0;
}

size_t fs_request_room(const struct fs_request *request)
{
    size_t used = sizeof(struct fuse_out_header) + request->answer_bytes;

    return request->chain->writable_bytes > used ? request->chain->writable_bytes - used : 0;
}

int fs_request_answer(struct fs_request *request, const void *bytes, size_t size)
{
    if (size > fs_request_room(request))
        return -EINVAL;
    copy_to_guest(request->chain, sizeof(struct fuse_out_header) + request->answer_bytes, bytes,
                  size);
    request->answer_bytes += size;
    return 0;
}

unsigned fs_request_answer_buffers(const struct fs_request *request, size_t size,
                                   struct iovec *buffers_out)
{
    const struct fs_chain *chain = request->chain;

    return buffers_slice(chain->buffers + chain->readable_count, chain->writable_count,
                         sizeof(struct fuse_out_header) + request->answer_bytes, size, buffers_out);
}

unsigned fs_request_data_buffers(const struct fs_request *request, size_t size,
                                 struct iovec *buffers_out)
{
    return buffers_slice(request->chain->buffers, request->chain->readable_count,
                         request->data_offset, MIN(size, request->data_size), buffers_out);
}

/*
 * Writes the header in front of the answer, or of none after an error. Returns the bytes for the
 * used ring; 0: the guest left no room for a header, and gets its buffers back as they were.
 */
u32 fs_request_finish(struct fs_request *request, int error)
{
    struct fuse_out_header header = {
        .unique = request->header.unique,
        .error = error < -ERRNO_MAX || error > 0 ? -EIO : error,
    };

    if (error)
        request->answer_bytes = 0;
    header.len = (u32)(sizeof(header) + request->answer_bytes);
    if (request->chain->writable_bytes < sizeof(header))
        return 0;
    copy_to_guest(request->chain, 0, &header, sizeof(header));
    return header.len;
}
