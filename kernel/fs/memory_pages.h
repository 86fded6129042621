/* Pages of files that lie in memory alone. */
#pragma once

#include <pith/compiler.h>
#include <pith/types.h>

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
