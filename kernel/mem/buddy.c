/*
 * The buddy allocator: blocks of 2^order frames, each aligned to its size.
 *
 * A block of order k at frame number n has one buddy, at n ^ 2^k; two free buddies merge into the
 * block of order k + 1 that holds both. So freeing costs at most one step an order, and free memory
 * is never in smaller pieces than it must be.
 *
 *     number   0       1       2       3
 *     order 0 [  free ][ used  ][ free  ][ free  ]  <- 2 and 3 are buddies: they become
 *     order 1                   [     free      ]      this; 0 and 1 stay apart
 *
 * Only the first frame of a free block says FRAME_FREE, with the block's order; all others in it
 * say FRAME_RESERVED. So "is my buddy free as a whole?" is a look at one frame, and to give the
 * allocator gigabytes at boot touches one frame for every 4 MiB.
 *
 * Blocks of the largest order that were reported to the host (balloon) stand at the end of their
 * list, and are given last: all before the first of them were used since.
 *
 * Invariants: no two free buddies of one order, but for the largest; a frame is FRAME_FREE exactly
 *             if a free list holds it; free_frames is the sum over the lists.
 * Locking:    the caller's (frame.c: frames.lock). Context: any.
 */
#include "buddy.h"

void buddy_init(struct buddy *buddy, struct frame *frames)
{
    buddy->frames = frames;
    buddy->free_frames = 0;
    for (unsigned order = 0; order < BUDDY_ORDERS; order++) {
        list_init(&buddy->free[order]);
        buddy->blocks[order] = 0;
    }
}

static void block_push(struct buddy *buddy, struct frame *frame, unsigned order)
{
    frame->kind = FRAME_FREE;
    frame->order = order;
    frame->flags = 0;
    list_push_front(&buddy->free[order], &frame->link);
    buddy->blocks[order]++;
}

static void block_remove(struct buddy *buddy, struct frame *frame)
{
    list_remove(&frame->link);
    buddy->blocks[frame->order]--;
    frame->kind = FRAME_RESERVED;
}

/* In the largest aligned blocks that fit, so boot memory needs few merges. */
void buddy_add(struct buddy *buddy, u64 first, u64 count)
{
    u64 end = first + count;

    while (first < end) {
        unsigned order = first ? MIN(__builtin_ctzl(first), BUDDY_ORDERS - 1) : BUDDY_ORDERS - 1;

        while (first + (1ul << order) > end)
            order--;
        buddy_free(buddy, &buddy->frames[first], order);
        first += 1ul << order;
    }
}

struct frame *buddy_alloc(struct buddy *buddy, unsigned order)
{
    struct frame *frame;
    unsigned found = order;

    while (found < BUDDY_ORDERS && list_is_empty(&buddy->free[found]))
        found++;
    if (found >= BUDDY_ORDERS)
        return NULL;
    frame = list_entry(buddy->free[found].next, struct frame, link);
    block_remove(buddy, frame);
    /* The lower half goes on; each upper half is a free block of its own. */
    while (found > order) {
        found--;
        block_push(buddy, frame + (1ul << found), found);
    }
    frame->order = order;
    buddy->free_frames -= 1ul << order;
    return frame;
}

void buddy_free(struct buddy *buddy, struct frame *frame, unsigned order)
{
    u64 number = frame - buddy->frames;

    buddy->free_frames += 1ul << order;
    while (order + 1 < BUDDY_ORDERS) {
        struct frame *other = &buddy->frames[number ^ (1ul << order)];

        if (other->kind != FRAME_FREE || other->order != order)
            break;
        block_remove(buddy, other);
        number &= ~(1ul << order);
        order++;
    }
    buddy->frames[number].kind = FRAME_RESERVED;
    block_push(buddy, &buddy->frames[number], order);
}

struct frame *buddy_report_take(struct buddy *buddy)
{
    struct frame *frame = list_first_entry(&buddy->free[BUDDY_ORDERS - 1], struct frame, link);

    if (!frame || (frame->flags & FRAME_FLAG_REPORTED))
        return NULL;
    block_remove(buddy, frame);
    buddy->free_frames -= 1ul << (BUDDY_ORDERS - 1);
    return frame;
}

void buddy_report_return(struct buddy *buddy, struct frame *frame)
{
    frame->kind = FRAME_FREE;
    frame->order = BUDDY_ORDERS - 1;
    frame->flags = FRAME_FLAG_REPORTED;
    list_push_back(&buddy->free[BUDDY_ORDERS - 1], &frame->link);
    buddy->blocks[BUDDY_ORDERS - 1]++;
    buddy->free_frames += 1ul << (BUDDY_ORDERS - 1);
}

void buddy_mark_reported(struct buddy *buddy)
{
    struct frame *frame;

    list_for_each (frame, &buddy->free[BUDDY_ORDERS - 1], link)
        frame->flags = FRAME_FLAG_REPORTED;
}
