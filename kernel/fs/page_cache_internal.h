/* Between the files of the page cache. */
#pragma once

#include <pith/fs.h>

#define READ_AHEAD_MAX 64u /* pages: 256 KiB, besides the one that was asked for */

/*
 * Takes a page out of the tree: one that the caller has locked, or that nobody else refers to. The
 * tree's reference is the caller's now.
 */
void page_remove_locked(struct page_cache *cache, struct frame *frame) must_hold(&cache->lock);

/*
 * Takes back page_mark_dirty of a page that the caller has locked and that is not up to date, so
 * that nobody else can have written to it, and gives its room back.
 */
void page_unmark_dirty(struct page_cache *cache, struct frame *frame);

/* The first page at or above *index, with a reference; NULL: none. */
struct frame *page_next(struct page_cache *cache, u64 *index) must_check;

/* page_reclaim.c: the caches that have pages. A page was put in; the inode goes. */
void page_clock_add(struct page_cache *cache);
void page_clock_remove(struct page_cache *cache);
void page_clock_init(void);

void page_caches_init(void);
/* page_cache_file.c: a page for a read that wants `bytes` from it on, with a reference. */
int page_cache_page_for_read(struct file *file, u64 index, u64 bytes, struct frame **frame_out)
    must_check;
