/* Pages of files that lie in memory alone: their limits (memory_pages.c), and fallocate. */
#pragma once

#include <pith/compiler.h>
#include <pith/types.h>

struct inode;

/* Counts one more in `used`. -ENOSPC: it has `max` already (0: no limit). */
int limit_take(u64 *used, u64 max) must_check;
/*
 * Counts one page more in `used`, a file system's own count, and in that of all of them. -ENOSPC:
 * it has `max` (0: no limit), or all together have all that they may have.
 */
int memory_page_take(u64 *used, u64 max) must_check;
void memory_pages_give(u64 *used, u64 count);
/* Counts bytes of names or extended attributes. -ENOSPC: all together have what they may have. */
int memory_kept_take(size_t bytes) must_check;
void memory_kept_give(size_t bytes);

/*
 * memory_allocate.c: an entry of struct file_operations, with flags that it knows. `shown`: up to
 * where what is behind the file shows in pages that are not dirty, read under inode->lock; NULL:
 * nothing does. -ENOSPC, -EPERM (seals), -EINTR, what `read` says.
 */
int memory_file_allocate(struct inode *inode, int mode, u64 offset, u64 bytes, const u64 *shown)
    must_check;
