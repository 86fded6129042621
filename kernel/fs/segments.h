/* What segments.c tells its files in /proc. */
#pragma once

#include <pith/segments.h>

#include <pith/fs.h>

/* Limits that root may change. [atomic] each */
struct segment_settings {
    s64 segments_max; /* shmmni: how many there are at most */
    u64 bytes_max;    /* shmmax: of one */
    u64 pages_max;    /* shmall: of all together */
};
#define SEGMENTS_MOST 32768 /* an index has 15 bits of the id */
extern struct segment_settings segment_settings;

/* The first segment at or behind *index, which moves to it: its id and what it is. False: none. */
struct segment_listing {
    struct shmid64_ds status;
    u64 resident_pages; /* that were written: others can be made again */
    s32 id;
};
bool segment_next(u64 *index, struct segment_listing *listing_out);

/* segment_files.c */
void segment_files_init(void);
