/* The buddy allocator as pure logic; frame.c owns the one of the machine. */
#pragma once

#include <pith/mem.h>

#define BUDDY_ORDERS FRAME_ORDERS /* blocks of 4 KiB to 4 MiB */

/* Guarded as a whole by whoever owns it. */
struct buddy {
    struct frame *frames; /* [const] the frame of number 0 */
    struct list free[BUDDY_ORDERS];
    u64 blocks[BUDDY_ORDERS]; /* on each of the lists */
    u64 free_frames;
};

void buddy_init(struct buddy *buddy, struct frame *frames);
/* Gives the frames [first, first + count), whose neighbours up to the largest order exist. */
void buddy_add(struct buddy *buddy, u64 first, u64 count);
/* A block of 2^order frames, or NULL. Its frames are FRAME_RESERVED. */
struct frame *buddy_alloc(struct buddy *buddy, unsigned order) must_check;
void buddy_free(struct buddy *buddy, struct frame *frame, unsigned order);
/* A block of the largest order that was used since it was last reported; NULL: there is none. */
struct frame *buddy_report_take(struct buddy *buddy) must_check;
/* Frees it again, as one that was reported. */
void buddy_report_return(struct buddy *buddy, struct frame *frame);
/* At boot: nothing was used yet, so there is nothing to give back. */
void buddy_mark_reported(struct buddy *buddy);
