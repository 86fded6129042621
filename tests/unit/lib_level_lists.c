/* Lists in levels: always the first of the topmost. links: kernel/lib/tree.c */
#include <pith/level_lists.h>

#include "unit.h"

#define ITEMS 300
#define STEPS 20000

struct item {
    struct list link;
    u32 level;
    u64 order; /* of its place in the level: the least is the first */
    bool is_in;
};

static struct level_lists levels;
static struct item items[ITEMS];

static u32 random_below(u64 *state, u32 limit)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (u32)(*state >> 33) % limit;
}

/* The item that must come out first, by looking at all; NULL: none is in. */
static struct item *expected_first(void)
{
    struct item *first = NULL;

    for (u32 i = 0; i < ITEMS; i++) {
        struct item *item = &items[i];

        if (!item->is_in)
            continue;
        if (!first || item->level < first->level ||
            (item->level == first->level && item->order < first->order))
            first = item;
    }
    return first;
}

static void check_top(void)
{
    struct item *first = expected_first();
    u32 top = level_lists_top(&levels);

    CHECK_EQ(top, first ? first->level : LEVEL_LISTS);
    if (first)
        CHECK(levels.lists[top].next == &first->link);
}

TEST(level_lists_give_the_first_of_the_topmost_level_under_random_use)
{
    u64 random = 1, back = 1ull << 32, front = back;

    level_lists_init(&levels);
    for (u32 step = 0; step < STEPS; step++) {
        struct item *item = &items[random_below(&random, ITEMS)];

        if (item->is_in) {
            level_lists_remove(&levels, item->level, &item->link);
            item->is_in = false;
        } else {
            item->level = random_below(&random, LEVEL_LISTS);
            item->is_in = true;
            if (random_below(&random, 2)) {
                item->order = ++back;
                level_lists_push_back(&levels, item->level, &item->link);
            } else {
                item->order = --front;
                level_lists_push_front(&levels, item->level, &item->link);
            }
        }
        check_top();
    }
}

TEST(level_lists_pop_takes_out_all_from_the_top_down)
{
    struct item *expected;

    while ((expected = expected_first())) {
        CHECK(level_lists_pop(&levels) == &expected->link);
        expected->is_in = false;
    }
    CHECK(!level_lists_pop(&levels));
}

TEST(level_lists_append_puts_a_whole_level_behind_another)
{
    level_lists_init(&levels);
    for (u32 i = 0; i < 4; i++)
        level_lists_push_back(&levels, i < 2 ? 100 : 3, &items[i].link);
    level_lists_append(&levels, 3, 100);
    level_lists_append(&levels, 3, 50); /* empty */
    CHECK_EQ(level_lists_top(&levels), 3);
    CHECK(level_lists_pop(&levels) == &items[2].link);
    CHECK(level_lists_pop(&levels) == &items[3].link);
    CHECK(level_lists_pop(&levels) == &items[0].link);
    CHECK(level_lists_pop(&levels) == &items[1].link);
    CHECK_EQ(level_lists_top(&levels), LEVEL_LISTS);
}
