/*
 * The page cache: a file's pages in memory, one struct page_cache an inode.
 *
 *     page_cache.pages: index -> frame (one reference) --.
 *     region.object -> file -> inode -> page_cache       +--> frame.cache.owner, .index
 *
 * A page is UPTODATE when its frame holds what the file holds, and DIRTY when the frame is newer
 * than what is behind it. LOCKED is the page lock: a sleeping lock, held while the page is read,
 * written back or taken out. A page is in the tree exactly while frame.cache.owner names the cache.
 * Memory is taken back by a hand that goes from cache to cache and page to page: a clean page that
 * nobody refers to and nobody used since the hand came by goes.
 *
 * A cache without `write` is the file itself (tmpfs, an overlay's copied pages): its dirty pages
 * stay until the file is cut or deleted; its clean ones can be made again with `read`.
 *
 * read(2), write(2), mmap(2), exec, splice(2) and the overlay's lower layer all look here, and see
 * the same frame; that is why none of them needs to be told of the others' writes.
 */
/* folder: fs */
#pragma once

#include <pith/mem.h>
#include <pith/radix.h>
#include <pith/vm.h>

struct inode;
struct file;
struct region;
struct map_request;
struct io_buffer;
struct pager;

/* What a file system gives. All but `page_dirtied` may sleep; no spinlock of the cache is held. */
struct page_cache_operations {
    /*
     * Reads `count` pages from `first` into `frames`, all locked and not up to date, and calls
     * page_mark_uptodate for each that it could read (what lies beyond the end is cleared). The
     * caller unlocks. An error counts only for pages that are not up to date then.
     */
    int (*read)(struct inode *inode, u64 first, u32 count, struct frame **frames);
    /* Writes a dirty, locked page back; `bytes` of it lie in the file. NULL: see above. */
    int (*write)(struct inode *inode, u64 index, struct frame *frame, u32 bytes);
    /* A clean page is to become dirty: takes room for it. -ENOSPC, -EDQUOT. NULL: no limit. */
    int (*page_dirtied)(struct inode *inode, u64 index);
    /* The room for so many is not needed any more. NULL: nobody counts. */
    void (*pages_dropped)(struct inode *inode, u64 count);
};

struct page_cache {
    struct spinlock lock; /* LOCK_PAGE_CACHE */
    struct radix pages;   /* guarded_by(&lock) */
    u64 count;            /* guarded_by(&lock) pages in the tree */
    u64 dirty_count;      /* guarded_by(&lock) marked DIRTY, or just being written back */
    struct inode *inode;  /* [const] */
    const struct page_cache_operations *operations; /* [const] after the inode was made */
    struct mapping mapping; /* the regions that show it: mapping_zap when it is cut */
    struct list clock_link; /* guarded by clock.lock; linked from the first page to the end */
};

/* Pages of all files that lie in memory alone: Shmem of /proc/meminfo. */
u64 memory_pages_count(void);

void page_cache_init(struct page_cache *cache, struct inode *inode);
/* The inode goes: no page is used any more. Sleeps. */
void page_cache_fini(struct page_cache *cache);

/* ---- Pages ---- */

/* A page that is up to date, with a reference; reads it if need be. -EIO, -ENOMEM. */
int page_cache_get_page(struct inode *inode, u64 index, struct frame **frame_out) must_check;
/* As above, and up to `read_ahead` pages after it if it has to read. */
int page_cache_get_pages(struct inode *inode, u64 index, u32 read_ahead, struct frame **frame_out)
    must_check;
/* The page, locked, with a reference; not up to date if it is new. For writers. -ENOMEM. */
int page_cache_get_locked(struct inode *inode, u64 index, struct frame **frame_out) must_check;
/* With a reference, or NULL: not there, or not up to date. Never sleeps. */
struct frame *page_cache_find(struct page_cache *cache, u64 index) must_check;

void page_lock(struct frame *frame);
bool page_try_lock(struct frame *frame);
void page_unlock(struct frame *frame);
static inline void page_mark_uptodate(struct frame *frame)
{
    /* Pairs with the acquire in page_is_uptodate: the content comes before the mark. */
    __atomic_fetch_or(&frame->flags, (u16)FRAME_FLAG_UPTODATE, __ATOMIC_RELEASE);
}
static inline bool page_is_uptodate(const struct frame *frame)
{
    return __atomic_load_n(&frame->flags, __ATOMIC_ACQUIRE) & FRAME_FLAG_UPTODATE;
}
/*
 * Makes a page dirty that is up to date or locked by the caller. What `page_dirtied` says; -EAGAIN:
 * it has left the cache, which cannot be while it is locked. Takes no page lock, so that a fault
 * may call it with its address space locked.
 */
int page_mark_dirty(struct page_cache *cache, struct frame *frame) must_check;

/* ---- The whole file ---- */

/*
 * Forgets all pages from `new_size` on and clears the rest of the last one, in mappings too. The
 * caller holds inode->lock and has set inode->size.
 */
void page_cache_truncate(struct inode *inode, u64 new_size);
/*
 * Forgets the pages of [first, first + count), dirty or not (a hole); mappings too, but private
 * copies stay: the file still reaches there.
 */
void page_cache_punch(struct inode *inode, u64 first, u64 count);
/*
 * Makes the bytes of [from, to) zeros where pages are in memory, in mappings too: whole pages are
 * punched, of others the part is cleared. A page that is not in memory is the file's own business.
 */
void page_cache_clear(struct inode *inode, u64 from, u64 to);
/* Forgets clean pages of a range (POSIX_FADV_DONTNEED; the host's file changed); mappings too. */
void page_cache_invalidate(struct inode *inode, u64 first, u64 count);
/*
 * Writes dirty pages back, of all the file or from `first` up to `end`. They are written when it
 * returns, whoever did it. The first error.
 */
int page_cache_sync(struct inode *inode) must_check;
int page_cache_sync_range(struct inode *inode, u64 first, u64 end) must_check;

/* A file was read: its access time, as its mount wants it. */
void file_accessed(struct file *file);

/* ---- Regular files over the page cache: entries of struct file_operations ---- */

ssize_t page_cache_file_read(struct file *file, struct io_buffer *io, u64 *offset);
ssize_t page_cache_file_write(struct file *file, struct io_buffer *io, u64 *offset);
/*
 * Of a cache without `write`: SEEK_DATA and SEEK_HOLE by the pages that were written, and what lies
 * below `shown_bytes`, which is all data.
 */
s64 page_cache_file_seek(struct file *file, s64 offset, int whence, u64 shown_bytes);
int page_cache_file_map(struct file *file, struct map_request *request);
int page_cache_file_sync(struct file *file, int data_only);
extern const struct pager page_cache_pager;
