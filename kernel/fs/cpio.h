/*
 * The cpio archive format "newc", as pure logic: where the next entry is and what it says. Built
 * and tested on the host too.
 */
#pragma once

#include <pith/types.h>

struct cpio_entry {
    const char *name; /* ended by NUL, in the archive */
    const u8 *data;   /* `bytes` of it */
    u64 bytes;
    u32 mode, uid, gid, links, inode_number;
    u64 modified_seconds;
    u32 device_major, device_minor;
};

/*
 * The entry at *offset of the archive, which is moved behind it. 1: there it is; 0: the end; -1:
 * broken.
 */
int cpio_next(const u8 *archive, u64 bytes, u64 *offset, struct cpio_entry *entry_out);
