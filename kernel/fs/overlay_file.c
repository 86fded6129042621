/*
 * The overlay's regular files and links: their pages, which show the lower's until they are
 * written.
 *
 * A page that is read is filled from the lower file, right into the overlay's own frame; the lower
 * file's cache stays empty. One that is written becomes dirty and stays: that is the whole of
 * copying up, page by page, and since it is the same page before and after, descriptors and
 * mappings from before see what is written. `lower_bytes` says how much of the lower shows through:
 * truncation makes it less, and nothing more.
 *
 *     index * PAGE_SIZE:   0 ...... lower_bytes ......... size
 *     a page not dirty:    the lower's   |   zeros
 *
 * Holes that are punched below lower_bytes are pages of zeros, written like any others.
 *
 * A cut lowers lower_bytes before pages are dropped, so a page that is read in meanwhile shows
 * nothing of what was cut off; a file that grows again shows zeros there. The one page in which the
 * lower was cut is made by way of the lower's cache, since the server would write all of it.
 *
 * A lower file that is memory itself (an overlay over tmpfs), or that has pages of its own that are
 * not written back yet, is read by way of its cache too: what it has there is newer.
 *
 * Locking: as of the page cache: pages locked while they are filled, inode.lock for writing. The
 *          lower's page locks are taken with ours held, never the other way round.
 */
#include "memory_pages.h"
#include "names.h"
#include "overlay.h"

/* ---- Pages ---- */

/* Whether the lower's read operation gives what its file holds: its pages are not the file. */
static bool lower_reads_directly(const struct inode *lower)
{
    return lower->pages.operations->write && READ_ONCE(lower->pages.dirty_count) == 0;
}

/* Fills one page up to `bytes` through the lower's own cache. */
static int lower_page_copy(struct inode *lower, u64 index, struct frame *frame, u64 bytes)
{
    struct frame *from;
    int error = page_cache_get_page(lower, index, &from);

    if (error)
        return error;
    memcpy(frame_data(frame), frame_data(from), bytes);
    memset((u8 *)frame_data(frame) + bytes, 0, PAGE_SIZE - bytes);
    frame_put(from);
    page_mark_uptodate(frame);
    return 0;
}

static int lower_pages_copy(struct inode *lower, u64 first, u32 count, struct frame **frames)
{
    int error = 0;

    for (u32 i = 0; i < count && !error; i++)
        error = lower_page_copy(lower, first + i, frames[i], PAGE_SIZE);
    return error;
}

static int overlay_read_pages(struct inode *inode, u64 first, u32 count, struct frame **frames)
{
    struct inode *lower = overlay_lower_inode(inode);
    u64 shown = lower ? READ_ONCE(overlay_node_of(inode)->lower_bytes) : 0;
    bool is_cut = lower && shown != READ_ONCE(lower->size);
    u64 end = is_cut ? shown / PAGE_SIZE : DIV_ROUND_UP(shown, PAGE_SIZE);
    u32 whole = end > first ? (u32)MIN(end - first, (u64)count) : 0, done = whole;
    int error = 0;

    if (whole && lower_reads_directly(lower))
        error = lower->pages.operations->read(lower, first, whole, frames);
    else if (whole)
        error = lower_pages_copy(lower, first, whole, frames);
    /* The page in which the lower was cut: what it has behind that must not show for a moment. */
    if (!error && is_cut && done < count && first + done == end && shown % PAGE_SIZE) {
        error = lower_page_copy(lower, end, frames[done], shown % PAGE_SIZE);
        done++;
    }
    for (; !error && done < count; done++) {
        page_clear(frame_data(frames[done]));
        page_mark_uptodate(frames[done]);
    }
    return error;
}

static int overlay_page_dirtied(struct inode *inode, u64 index)
{
    struct overlay *overlay = overlay_of(inode);
    int error = memory_page_take(&overlay->pages, READ_ONCE(overlay->pages_max));

    if (!error)
        overlay_inode_change(inode);
    return error;
}

static void overlay_pages_dropped(struct inode *inode, u64 count)
{
    memory_pages_give(&overlay_of(inode)->pages, count);
}

const struct page_cache_operations overlay_page_operations = {
    .read = overlay_read_pages,
    .page_dirtied = overlay_page_dirtied,
    .pages_dropped = overlay_pages_dropped,
};

/* ---- fallocate ---- */

/* What a page that is to be written becomes. */
struct page_change {
    u32 clear_from, clear_to;
};

/* Makes one page dirty, with a part of it cleared. inode->lock is held. */
static int page_write(struct inode *inode, u64 index, const struct page_change *change)
{
    struct frame *frame;
    int error = page_cache_get_locked(inode, index, &frame);

    if (error)
        return error;
    if (!page_is_uptodate(frame))
        error = overlay_read_pages(inode, index, 1, &frame);
    if (!error)
        error = page_mark_dirty(&inode->pages, frame);
    if (!error)
        memset((u8 *)frame_data(frame) + change->clear_from, 0,
               change->clear_to - change->clear_from);
    page_unlock(frame);
    frame_put(frame);
    return error;
}

/* Writes zeros to [from, to), page by page. */
static int range_zero(struct inode *inode, u64 from, u64 to)
{
    int error = 0;

    while (from < to && !error) {
        u64 index = from / PAGE_SIZE, next = MIN(to, (index + 1) * PAGE_SIZE);
        struct page_change change = {from % PAGE_SIZE, next - index * PAGE_SIZE};

        error = page_write(inode, index, &change);
        from = next;
        if (!error)
            error = sched_point_killable();
    }
    return error;
}

/* Makes [from, to) read as zeros: where the lower shows, by pages of them, else by none. */
static int range_clear(struct inode *inode, u64 from, u64 to)
{
    u64 shown = READ_ONCE(overlay_node_of(inode)->lower_bytes);
    u64 first = DIV_ROUND_UP(MAX(from, shown), PAGE_SIZE), end = to / PAGE_SIZE;
    int error;

    if (first >= end)
        return range_zero(inode, from, to);
    error = range_zero(inode, from, first * PAGE_SIZE);
    page_cache_punch(inode, first, end - first);
    return error ? error : range_zero(inode, end * PAGE_SIZE, to);
}

/* Takes room for [from, to): every page becomes one that was written. */
static int range_fill(struct inode *inode, u64 from, u64 to)
{
    static const struct page_change none;
    int error = 0;

    for (u64 index = from / PAGE_SIZE; index < DIV_ROUND_UP(to, PAGE_SIZE) && !error; index++) {
        error = page_write(inode, index, &none);
        if (!error)
            error = sched_point_killable();
    }
    return error;
}

static int overlay_allocate(struct file *file, int mode, u64 offset, u64 bytes)
{
    struct inode *inode = file->inode;
    u64 end = offset + bytes;
    int error;

    mutex_lock(&inode->lock);
    overlay_inode_change(inode);
    error = 0;
    if (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE))
        error = range_clear(inode, offset, MIN(end, MAX(inode->size, offset)));
    if (!error && !(mode & FALLOC_FL_PUNCH_HOLE))
        error = range_fill(inode, offset, end);
    if (!error && !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->size)
        WRITE_ONCE(inode->size, end);
    if (!error)
        inode_touch(inode);
    mutex_unlock(&inode->lock);
    return error;
}

/* ---- Open files ---- */

/* The host's file may be another by now. */
static int overlay_open(struct inode *inode, struct file *file)
{
    return overlay_inode_refresh(inode);
}

/* What shows of the lower file counts as data, whatever holes it has. */
static s64 overlay_seek(struct file *file, s64 offset, int whence)
{
    return page_cache_file_seek(file, offset, whence,
                                READ_ONCE(overlay_node_of(file->inode)->lower_bytes));
}

const struct file_operations overlay_regular_operations = {
    .open = overlay_open,
    .read = page_cache_file_read,
    .write = page_cache_file_write,
    .seek = overlay_seek,
    .map = page_cache_file_map,
    .allocate = overlay_allocate,
    .sync = page_cache_file_sync,
};

/* ---- Links ---- */

/* Asks for the target once; from then on it is in memory, for walks without locks too. */
static ssize_t overlay_readlink(struct inode *inode, char *buffer, size_t size)
{
    struct inode *lower = overlay_lower_inode(inode);
    const char *expected = NULL, *text;
    ssize_t bytes;

    if (!lower)
        return -EINVAL;
    bytes = inode_readlink(lower, buffer, size);
    if (bytes <= 0 || (size_t)bytes != lower->size)
        return bytes;
    text = link_text_create(buffer, (size_t)bytes);
    if (!text)
        return bytes;
    /* Pairs with the dependent loads of walks: the text comes before the pointer. */
    if (!__atomic_compare_exchange_n(&inode->link_text, &expected, text, false, __ATOMIC_RELEASE,
                                     __ATOMIC_RELAXED))
        kfree((void *)text);
    return bytes;
}

const struct inode_operations overlay_file_operations = {
    .readlink = overlay_readlink,
    OVERLAY_INODE_OPERATIONS,
};
