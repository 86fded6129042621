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

/* ---- Open files ---- */

/* The host's file may be another by now. */
static int overlay_open(struct inode *inode, struct file *file)
{
    return overlay_inode_refresh(inode);
}

static int overlay_allocate(struct file *file, int mode, u64 offset, u64 bytes)
{
    overlay_inode_change(file->inode);
    return memory_file_allocate(file->inode, mode, offset, bytes,
                                &overlay_node_of(file->inode)->lower_bytes);
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
