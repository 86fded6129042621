/* The buddy allocator: splitting, merging, and a long random run against a map of who has what. */
#include "../../kernel/mem/buddy.h"

#include "unit.h"

#define FRAMES 4096

static struct frame frames[FRAMES];
static struct buddy buddy;

static void buddy_with_frames(u64 first, u64 count)
{
    __builtin_memset(frames, 0, sizeof(frames));
    buddy_init(&buddy, frames);
    buddy_add(&buddy, first, count);
}

static u64 count_free(unsigned order)
{
    struct frame *frame;
    u64 count = 0;

    list_for_each (frame, &buddy.free[order], link)
        count++;
    return count;
}

TEST(buddy_free_merges_with_its_free_neighbour)
{
    struct frame *left, *right;

    buddy_with_frames(0, 2);
    left = buddy_alloc(&buddy, 0);
    right = buddy_alloc(&buddy, 0);
    CHECK(left == &frames[0] && right == &frames[1]);
    buddy_free(&buddy, left, 0);
    CHECK_EQ(count_free(0), 1);
    buddy_free(&buddy, right, 0);
    CHECK_EQ(count_free(0), 0);
    CHECK_EQ(count_free(1), 1);
}

TEST(buddy_gives_whole_blocks_of_the_largest_order_for_aligned_memory)
{
    buddy_with_frames(1024, 3072);
    CHECK_EQ(count_free(10), 3);
    CHECK_EQ(buddy.free_frames, 3072);
}

TEST(buddy_takes_ragged_memory_apart_into_aligned_blocks)
{
    buddy_with_frames(3, 1030);
    CHECK_EQ(buddy.free_frames, 1030);
    CHECK_EQ(count_free(0), 2); /* 3 and 1032 */
    CHECK_EQ(count_free(3), 2); /* 8 and 1024 */
    CHECK_EQ(count_free(2), 1); /* 4 */
}

TEST(buddy_without_a_block_large_enough_gives_none)
{
    buddy_with_frames(0, 7);
    CHECK(!buddy_alloc(&buddy, 3));
    CHECK(buddy_alloc(&buddy, 2) == &frames[0]);
    CHECK(!buddy_alloc(&buddy, 2));
}

static u8 owner[FRAMES];

static bool block_claim(struct frame *frame, unsigned order)
{
    u64 first = frame - frames;

    if (first & ((1ul << order) - 1))
        return false;
    for (u64 i = first; i < first + (1ul << order); i++) {
        if (owner[i])
            return false;
        owner[i] = 1;
    }
    return true;
}

TEST(buddy_never_gives_a_frame_twice_and_merges_all_at_the_end)
{
    static struct {
        struct frame *frame;
        unsigned order;
    } held[600];
    u64 state = 99, count = 0;

    buddy_with_frames(0, FRAMES);
    for (u32 step = 0; step < 200000; step++) {
        state = state * 6364136223846793005ull + 1442695040888963407ull;
        if ((state >> 40 & 1) && count < 600) {
            unsigned order = (state >> 50) % 5;
            struct frame *frame = buddy_alloc(&buddy, order);

            if (!frame)
                continue;
            CHECK(block_claim(frame, order));
            held[count].frame = frame;
            held[count++].order = order;
        } else if (count) {
            u64 i = (state >> 33) % count;

            for (u64 j = 0; j < 1ul << held[i].order; j++)
                owner[held[i].frame - frames + j] = 0;
            buddy_free(&buddy, held[i].frame, held[i].order);
            held[i] = held[--count];
        }
    }
    while (count--)
        buddy_free(&buddy, held[count].frame, held[count].order);
    CHECK_EQ(buddy.free_frames, FRAMES);
    CHECK_EQ(count_free(10), FRAMES / 1024);
}

TEST(buddy_report_takes_each_block_once_that_was_used)
{
    struct frame *used, *block;

    buddy_with_frames(0, 2048);
    buddy_mark_reported(&buddy);
    CHECK_EQ(buddy_report_take(&buddy), NULL);
    used = buddy_alloc(&buddy, 0);
    buddy_free(&buddy, used, 0);
    block = buddy_report_take(&buddy);
    CHECK_EQ(block, used - (used - frames) % 1024);
    CHECK_EQ(buddy.free_frames, 1024);
    CHECK_EQ(buddy_report_take(&buddy), NULL);
    buddy_report_return(&buddy, block);
    CHECK_EQ(buddy_report_take(&buddy), NULL);
    CHECK_EQ(buddy.free_frames, 2048);
}
