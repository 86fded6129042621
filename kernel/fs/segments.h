/*
 * Between the files of shared segments: what they are (segments.c, where the theory stands), the
 * table that finds them (segment_table.c), and what /proc shows (segment_files.c).
 */
#pragma once

#include <pith/segments.h>

#include <pith/fs.h>

extern struct spinlock segments_lock; /* LOCK_SEGMENTS */

struct segment {
    struct shmid64_ds status; /* guarded_by(&segments_lock) but `bytes`, which is [const] */
    s32 id;                   /* [const] once it is in the table */
    struct file *file;        /* [const] a reference */
    u64 promised_pages;       /* [const] */
};

static inline u64 segment_pages(const struct segment *segment)
{
    return DIV_ROUND_UP(segment->status.bytes, PAGE_SIZE);
}

/* Limits that root may change. [atomic] each */
struct segment_settings {
    s64 segments_max; /* shmmni: how many there are at most */
    u64 bytes_max;    /* shmmax: of one */
    u64 pages_max;    /* shmall: of all together */
};
#define SEGMENTS_MOST 32768 /* an index has 15 bits of the id */
extern struct segment_settings segment_settings;

/* ---- The table ---- */

/* Gives it an id, which it returns. Its key, if it has one, is nobody else's. -ENOSPC, -ENOMEM. */
int segment_table_insert_locked(struct segment *segment) must_hold(&segments_lock) must_check;
/* Its key was given up before. */
void segment_table_remove_locked(struct segment *segment) must_hold(&segments_lock);
/* Whoever asks for the key from now on gets another segment. */
void segment_key_give_up_locked(struct segment *segment) must_hold(&segments_lock);
/* NULL: there is none; the sequence number of an index is not looked at. */
struct segment *segment_at_locked(s32 number, enum segment_naming naming) must_hold(&segments_lock);
struct segment *segment_of_key_locked(s32 key) must_hold(&segments_lock);

/* The first segment at or behind *index, which moves to it: its id and what it is. False: none. */
struct segment_listing {
    struct shmid64_ds status;
    u64 resident_pages; /* that were written: others can be made again */
    s32 id;
};
bool segment_next(u64 *index, struct segment_listing *listing_out);

/* segment_files.c */
void segment_files_init(void);
