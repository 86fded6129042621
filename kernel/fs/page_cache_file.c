/*
 * Regular files over the page cache: read, write, map.
 *
 * A read copies from pages that are up to date, without their locks: what is written at the same
 * time may show half. A page that was found stays while its reference is held, also when the file
 * is cut meanwhile; what is copied then was in the file a moment ago.
 *
 * A write holds inode->lock, and each page's lock while bytes go into it. The user's memory may be
 * a mapping of that very page, whose fault would wait for the lock that we hold:
 *
 *     write(fd, mapped, n)      page_lock(P) -> copy from `mapped` -> fault on P -> page_lock(P)
 *
 * So the copy never faults (copy_in_nofault); where it stops short the page is let go, the user's
 * page touched, and the copy tried again. Each try gets on by at least a byte, or ends in EFAULT: a
 * page that was to be written whole, and so was not read, is read when the first try stops short.
 *
 * The size grows page by page, after the bytes are there, so a reader never sees a page of the
 * file that nobody has written or cleared.
 *
 * A reader that goes on where it stopped before gets a window that doubles, up to READ_AHEAD_MAX. A
 * fault reads READ_AROUND pages, since programs run on into the next page more often than not.
 *
 * A shared mapping's page becomes dirty by the fault that makes it writable, not by the store; a
 * page that leaves the cache between being found and being marked is looked for again.
 *
 * Locking: file.offset_lock (by the caller), inode.lock for writes, page locks, address spaces. A
 *          fault, which comes with the address space locked, waits for a page's lock only while the
 *          page is not up to date, when nobody wants the address space under it (page_cache.c).
 */
#include <pith/file_calls.h>

#include "inode_internal.h"
#include "mount.h"
#include "page_cache_internal.h"
#include "pipe.h"

#define NS_PER_DAY       (24 * 3600 * NS_PER_SECOND)
#define READ_AHEAD_FIRST 16u
#define READ_AROUND      32u

/* ---- Reading ---- */

/* How far to read ahead for a read of `index`, if it has to read at all. */
static u32 read_ahead_pages(struct file *file, u64 index, u64 wanted_pages)
{
    u32 window = READ_AHEAD_FIRST;

    if (file->read_ahead_next == index && file->read_ahead_pages)
        window = MIN(file->read_ahead_pages * 2, READ_AHEAD_MAX);
    file->read_ahead_pages = window;
    return MIN(MAX((u64)window, wanted_pages), (u64)READ_AHEAD_MAX);
}

int page_cache_page_for_read(struct file *file, u64 index, u64 bytes, struct frame **frame_out)
{
    struct frame *frame = page_cache_find(&file->inode->pages, index);
    int error;

    if (frame) {
        *frame_out = frame;
        return 0;
    }
    error = page_cache_get_pages(file->inode, index,
                                 read_ahead_pages(file, index, bytes / PAGE_SIZE), frame_out);
    if (!error)
        file->read_ahead_next = index + file->read_ahead_pages + 1;
    return error;
}

/* Relative access times: new only if older than a change, or than a day (mount(8), relatime). */
void file_accessed(struct file *file)
{
    struct inode *inode = file->inode;
    u32 flags = READ_ONCE(file->path.mount->flags) | READ_ONCE(inode->file_system->flags);
    s64 now;

    if ((file->flags & O_NOATIME) || (flags & (MS_RDONLY | MS_NOATIME)))
        return;
    if ((flags & MS_NODIRATIME) && inode_is_directory(inode))
        return;
    now = inode_now_ns();
    if ((flags & MS_STRICTATIME) || inode->accessed_ns <= inode->modified_ns ||
        inode->accessed_ns <= inode->changed_ns || now - inode->accessed_ns > (s64)NS_PER_DAY)
        inode->accessed_ns = now;
}

ssize_t page_cache_file_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    ssize_t done = 0;
    int error = 0;

    while (io->bytes_left) {
        u64 position = *offset, size = READ_ONCE(file->inode->size);
        u32 within = position & (PAGE_SIZE - 1);
        size_t wanted, copied;
        struct frame *frame;

        if (position >= size)
            break;
        wanted = MIN(MIN(size - position, io->bytes_left), PAGE_SIZE - within);
        error = page_cache_page_for_read(file, position / PAGE_SIZE, io->bytes_left, &frame);
        if (error)
            break;
        copied = io_copy_to(io, (u8 *)frame_data(frame) + within, wanted);
        frame_put(frame);
        *offset += copied;
        done += copied;
        if (copied < wanted) {
            error = -EFAULT;
            break;
        }
        if (io->bytes_left && sched_point_killable())
            break;
    }
    file_accessed(file);
    return done ? done : error;
}

/* ---- Writing ---- */

/*
 * Makes a locked page fit to be written from `within` on, `bytes` of it: what the write does not
 * cover is read, or cleared where the file has nothing. Pages that are covered whole stay as they
 * are, not up to date.
 */
static int page_prepare(struct inode *inode, struct frame *frame, u32 within, u32 bytes)
{
    u64 start = frame->cache.index * PAGE_SIZE;

    if (page_is_uptodate(frame) || (within == 0 && bytes == PAGE_SIZE))
        return 0;
    if (start >= inode->size) {
        page_clear(frame_data(frame));
        page_mark_uptodate(frame);
        return 0;
    }
    return inode->pages.operations->read(inode, frame->cache.index, 1, &frame);
}

/* Copies into a locked page. Returns the bytes, which may be 0: the user's page must be touched. */
static ssize_t page_fill(struct inode *inode, struct frame *frame, struct io_buffer *io, u32 within,
                         u32 bytes)
{
    struct io_buffer before = *io;
    int error = page_prepare(inode, frame, within, bytes);
    size_t copied;

    if (!error)
        error = page_mark_dirty(&inode->pages, frame);
    if (error)
        return error;
    copied = io_copy_from_nofault(io, (u8 *)frame_data(frame) + within, bytes);
    if (!page_is_uptodate(frame)) {
        /*
         * Half of a page that was to be covered whole: the other half would be rubbish. With the
         * page brought up to date, the next try gets on by whatever it can copy; should there be
         * none, the page is as if it had been read.
         */
        if (copied < bytes) {
            *io = before;
            page_unmark_dirty(&inode->pages, frame);
            return page_prepare(inode, frame, 0, 0);
        }
        page_mark_uptodate(frame);
    }
    return copied;
}

/* Writes up to the end of a page. Returns the bytes or an error. inode->lock is held. */
static ssize_t write_page(struct inode *inode, struct io_buffer *io, u64 position)
{
    u32 within = position & (PAGE_SIZE - 1);
    u32 bytes = MIN(io->bytes_left, PAGE_SIZE - within);
    struct frame *frame;
    ssize_t copied;
    int error;

    for (;;) {
        error = page_cache_get_locked(inode, position / PAGE_SIZE, &frame);
        if (error)
            return error;
        copied = page_fill(inode, frame, io, within, bytes);
        if (copied > 0 && position + copied > inode->size)
            WRITE_ONCE(inode->size, position + copied);
        page_unlock(frame);
        frame_put(frame);
        if (copied)
            return copied;
        error = io_fault_in(io, PAGER_READ);
        if (error)
            return error;
    }
}

/* Where the write begins, and how much of it limits and seals allow: cuts the buffer. */
static int write_begin(struct file *file, struct io_buffer *io, u64 *position)
{
    struct inode *inode = file->inode;
    u64 limit = fs_file_size_limit(), most = inode->file_system->size_max;

    if ((file->flags & O_APPEND) || (io->flags & IO_BUFFER_APPEND))
        *position = inode->size;
    if (inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE))
        return -EPERM;
    if ((inode->seals & F_SEAL_GROW) && *position + io->bytes_left > inode->size) {
        u64 whole = inode->size & PAGE_MASK; /* Linux asks page by page */

        if (*position >= whole)
            return -EPERM;
        io->bytes_left = whole - *position;
    }
    if (*position >= limit) {
        fs_signal_current(SIGNAL_FILE_SIZE);
        return -EFBIG;
    }
    most = MIN(most, limit);
    if (*position >= most)
        return -EFBIG;
    io->bytes_left = MIN(io->bytes_left, most - *position);
    if (unlikely(inode_must_kill_set_ids(inode))) {
        const struct attribute_change change = {.valid = CHANGE_KILL_SUID};

        return inode_change_locked(inode, &change);
    }
    return 0;
}

/*
 * What was written before an error counts; the error comes with the next call, if it is still so.
 */
static ssize_t write_pages(struct inode *inode, struct io_buffer *io, u64 *position)
{
    ssize_t done = 0;

    while (io->bytes_left) {
        ssize_t part = write_page(inode, io, *position);

        if (part < 0)
            return done ? done : part;
        *position += (u64)part;
        done += part;
        if (io->bytes_left && sched_point_killable())
            break;
    }
    return done;
}

ssize_t page_cache_file_write(struct file *file, struct io_buffer *io, u64 *offset)
{
    struct inode *inode = file->inode;
    u64 position = *offset;
    ssize_t done;
    int error;

    if (!io->bytes_left)
        return 0;
    error = mutex_lock_killable(&inode->lock);
    if (error)
        return error;
    done = write_begin(file, io, &position);
    if (!done)
        done = write_pages(inode, io, &position);
    if (done > 0) {
        *offset = position;
        inode_touch(inode);
    }
    mutex_unlock(&inode->lock);
    return done;
}

int page_cache_file_sync(struct file *file, int data_only)
{
    return page_cache_sync(file->inode);
}

/* ---- Holes ---- */

/* The first page of [index, end) that holds data, or for SEEK_HOLE none; `end`: there is none. */
static u64 page_seek(struct page_cache *cache, u64 index, u64 end, int whence)
{
    while (index < end) {
        u64 found = index;
        struct frame *frame = page_next(cache, &found);
        bool is_data = frame && (READ_ONCE(frame->flags) & FRAME_FLAG_DIRTY);

        if (frame)
            frame_put(frame);
        if (!frame || found >= end)
            return whence == SEEK_HOLE ? index : end;
        if (whence == SEEK_HOLE && (found > index || !is_data))
            return index;
        if (whence == SEEK_DATA && is_data)
            return found;
        index = found + 1;
        sched_point();
    }
    return end;
}

s64 page_cache_file_seek(struct file *file, s64 offset, int whence, u64 shown_bytes)
{
    u64 size = READ_ONCE(file->inode->size), end = DIV_ROUND_UP(size, PAGE_SIZE);
    u64 index = (u64)offset / PAGE_SIZE, shown = MIN(DIV_ROUND_UP(shown_bytes, PAGE_SIZE), end);

    if ((whence != SEEK_DATA && whence != SEEK_HOLE) || offset < 0 || (u64)offset >= size)
        return file_seek_common(file, offset, whence, (s64)size);
    if (whence == SEEK_HOLE || index >= shown)
        index = page_seek(&file->inode->pages, MAX(index, shown), end, whence);
    if (whence == SEEK_DATA && index >= end)
        return -ENXIO;
    file->offset = MIN(MAX(index * PAGE_SIZE, (u64)offset), size);
    return (s64)file->offset;
}

/* ---- Mapping ---- */

static struct file *file_of(const struct region *region)
{
    return region->object;
}

/* The page at `index`, for a fault. -EFAULT: beyond the end. */
static int page_for_fault(struct inode *inode, u64 index, struct frame **frame_out)
{
    if (index >= DIV_ROUND_UP(READ_ONCE(inode->size), PAGE_SIZE))
        return -EFAULT;
    return page_cache_get_pages(inode, index, READ_AROUND, frame_out);
}

/* The same for a store, which makes it dirty. */
static int page_for_mapped_write(struct inode *inode, u64 index, struct frame **frame_out)
{
    struct frame *frame;
    int error;

    do {
        error = page_for_fault(inode, index, &frame);
        if (error)
            return error;
        error = page_mark_dirty(&inode->pages, frame);
        if (error)
            frame_put(frame);
    } while (error == -EAGAIN); /* a hole was punched: another page is there now */
    if (error)
        return error;
    inode_touch(inode);
    *frame_out = frame;
    return 0;
}

static int pager_fill(struct region *region, u64 index, unsigned access, struct frame **frame_out)
{
    struct inode *inode = file_of(region)->inode;

    if (access == PAGER_WRITE && (region->flags & REGION_SHARED))
        return page_for_mapped_write(inode, index, frame_out);
    return page_for_fault(inode, index, frame_out);
}

/*
 * In one hold of the cache's lock, without sleeping: what would have to be waited for is left out.
 */
static void pager_fill_around(struct region *region, u64 first, unsigned count,
                              struct frame **frames_out)
{
    struct inode *inode = file_of(region)->inode;
    u64 end = DIV_ROUND_UP(READ_ONCE(inode->size), PAGE_SIZE);

    spin_lock(&inode->pages.lock);
    for (unsigned i = 0; i < count; i++) {
        struct frame *frame = NULL;

        if (first + i < end)
            frame = radix_lookup(&inode->pages.pages, first + i);
        if (frame && page_is_uptodate(frame) && !(frame->flags & FRAME_FLAG_LOCKED))
            frame_get(frame);
        else
            frame = NULL;
        frames_out[i] = frame;
    }
    spin_unlock(&inode->pages.lock);
}

static void pager_region_opened(struct region *region)
{
    struct file *file = file_of(region);

    file_get(file);
    mapping_add(&file->inode->pages.mapping, region);
    if (file->operations->region_opened)
        file->operations->region_opened(file);
}

static void pager_region_closed(struct region *region)
{
    struct file *file = file_of(region);

    mapping_remove(region);
    if (file->operations->region_closed)
        file->operations->region_closed(file);
    file_put(file);
}

static int pager_sync(struct region *region, u64 first, u64 count)
{
    return page_cache_sync_range(file_of(region)->inode, first, first + count);
}

static int pager_punch(struct region *region, u64 first, u64 count)
{
    return file_allocate(file_of(region), FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE,
                         (s64)(first * PAGE_SIZE), (s64)(count * PAGE_SIZE));
}

const struct pager page_cache_pager = {
    .fill = pager_fill,
    .fill_around = pager_fill_around,
    .punch = pager_punch,
    .region_opened = pager_region_opened,
    .region_closed = pager_region_closed,
    .sync = pager_sync,
};

int page_cache_file_map(struct file *file, struct map_request *request)
{
    if (READ_ONCE(file->path.mount->flags) & MS_NOEXEC) {
        if (request->flags & REGION_EXECUTE)
            return -EPERM;
        request->flags &= ~(u32)REGION_MAY_EXECUTE;
    }
    if ((file->inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE)) &&
        (request->flags & REGION_SHARED)) {
        if (request->flags & REGION_WRITE)
            return -EPERM;
        request->flags &= ~(u32)REGION_MAY_WRITE;
    }
    request->pager = &page_cache_pager;
    request->object = file;
    return 0;
}
