/*
 * fallocate(2) of files that lie in memory: tmpfs's, and the overlay's.
 *
 * A dirty page is the file's own. Any other shows what is behind it: zeros, but up to `shown` bytes
 * of the file something else (the overlay's lower file; nothing in tmpfs).
 *
 *     0                shown                      size
 *     | written zeros    | whole pages go, parts of dirty pages are cleared |
 *
 * So to make a range read as zeros is to write zeros where something shows, and to give the rest
 * back, and with it its room; only the former can fail. To allocate is to make every page dirty.
 *
 * Locking: inode.lock, so that neither size nor `shown` changes meanwhile; pages locked one by one.
 * Context: sleeps; a large range ends early when the thread is killed.
 */
#include "memory_pages.h"

#include <pith/fs.h>

/* Makes a page the file's own, and clears the part [from, to) of it. */
static int page_own(struct inode *inode, u64 index, u64 from, u64 to)
{
    struct frame *frame;
    int error = page_cache_get_locked(inode, index, &frame);

    if (error)
        return error;
    if (!page_is_uptodate(frame))
        error = inode->pages.operations->read(inode, index, 1, &frame);
    if (!error)
        error = page_mark_dirty(&inode->pages, frame);
    if (!error)
        memset((u8 *)frame_data(frame) + from, 0, to - from);
    page_unlock(frame);
    frame_put(frame);
    return error ? error : sched_point_killable();
}

static int range_zero(struct inode *inode, u64 from, u64 to)
{
    int error = 0;

    while (from < to && !error) {
        u64 start = from & PAGE_MASK, next = MIN(to, start + PAGE_SIZE);

        error = page_own(inode, start / PAGE_SIZE, from - start, next - start);
        from = next;
    }
    return error;
}

static int range_own(struct inode *inode, u64 from, u64 to)
{
    int error = 0;

    for (u64 index = from / PAGE_SIZE; index < DIV_ROUND_UP(to, PAGE_SIZE) && !error; index++)
        error = page_own(inode, index, 0, 0);
    return error;
}

static int range_clear(struct inode *inode, u64 from, u64 to, u64 shown)
{
    u64 own = MIN(to, MAX(from, ALIGN_UP(shown, PAGE_SIZE)));

    page_cache_clear(inode, own, to);
    return range_zero(inode, from, own);
}

static int check_seals(const struct inode *inode, int mode, u64 end)
{
    if (mode & FALLOC_FL_PUNCH_HOLE)
        return inode->seals & (F_SEAL_WRITE | F_SEAL_FUTURE_WRITE) ? -EPERM : 0;
    return (inode->seals & F_SEAL_GROW) && end > inode->size ? -EPERM : 0;
}

int memory_file_allocate(struct inode *inode, int mode, u64 offset, u64 bytes, const u64 *shown)
{
    u64 end = offset + bytes;
    int error;

    mutex_lock(&inode->lock);
    error = check_seals(inode, mode, end);
    if (!error && (mode & (FALLOC_FL_PUNCH_HOLE | FALLOC_FL_ZERO_RANGE)))
        error = range_clear(inode, offset, MIN(end, MAX(inode->size, offset)),
                            shown ? READ_ONCE(*shown) : 0);
    if (!error && !(mode & FALLOC_FL_PUNCH_HOLE))
        error = range_own(inode, offset, end);
    if (!error && !(mode & FALLOC_FL_KEEP_SIZE) && end > inode->size)
        WRITE_ONCE(inode->size, end);
    if (!error)
        inode_touch(inode);
    mutex_unlock(&inode->lock);
    return error;
}
