/* The radix tree of lib/: against a plain array, with and without memory. */
#include <pith/radix.h>

#include <stdlib.h>

#include <pith/abi/errno.h>

#include "unit.h"

#define KEYS  300
#define STEPS 40000

static u64 nodes_in_use, allocations_left = ~0ul;

static struct radix_node *node_alloc(void)
{
    if (allocations_left == 0)
        return NULL;
    allocations_left--;
    nodes_in_use++;
    return calloc(1, sizeof(struct radix_node));
}

static void node_free(struct radix_node *node)
{
    nodes_in_use--;
    free(node);
}

static const struct radix_allocator allocator = {node_alloc, node_free};
static u64 keys[KEYS];
static bool present[KEYS];

static u64 random_next(u64 *state)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return *state >> 31;
}

/* Ascending, dense at first, then ever wider apart, to the very last index. */
static void keys_init(void)
{
    u64 key = 0;

    for (u32 i = 0; i < KEYS; i++) {
        keys[i] = key;
        key += i < 150 ? 1 : 1ul << (i - 150) / 3;
    }
    keys[KEYS - 1] = ~0ul;
}

static int walk_is_right(const struct radix *radix)
{
    u64 index = 0;
    void *item;
    u32 expected = 0;

    radix_for_each(item, radix, index)
    {
        while (expected < KEYS && !present[expected])
            expected++;
        if (expected == KEYS || item != &keys[expected] || index != keys[expected])
            return 0;
        expected++;
    }
    while (expected < KEYS && !present[expected])
        expected++;
    return expected == KEYS;
}

static void random_step(struct radix *radix, u64 *state)
{
    u32 i = random_next(state) % KEYS;

    if (random_next(state) % 16 == 0)
        allocations_left = random_next(state) % 4;
    if (present[i] && random_next(state) % 2) {
        CHECK(radix_remove(radix, keys[i]) == &keys[i]);
        present[i] = false;
    } else {
        int error = radix_insert(radix, keys[i], &keys[i]);

        CHECK(error == (present[i] ? -EEXIST : 0) || error == -ENOMEM);
        present[i] |= error == 0;
    }
    allocations_left = ~0ul;
    CHECK(radix_lookup(radix, keys[i]) == (present[i] ? &keys[i] : NULL));
}

TEST(radix_tree_agrees_with_an_array_when_memory_runs_out_now_and_then)
{
    struct radix radix = RADIX_INIT(allocator);
    u64 state = 7;

    keys_init();
    for (u32 step = 0; step < STEPS; step++) {
        random_step(&radix, &state);
        if (step % 64 == 0)
            CHECK(walk_is_right(&radix));
    }
    for (u32 i = 0; i < KEYS; i++) {
        radix_remove(&radix, keys[i]);
        present[i] = false;
    }
    CHECK(radix_is_empty(&radix));
    CHECK_EQ(nodes_in_use, 0);
}

TEST(radix_tree_of_one_item_at_zero_needs_no_node)
{
    struct radix radix = RADIX_INIT(allocator);
    u64 index = 0;
    int item;

    CHECK_EQ(radix_insert(&radix, 0, &item), 0);
    CHECK_EQ(nodes_in_use, 0);
    CHECK(radix_next(&radix, &index) == &item);
    index = 1;
    CHECK(!radix_next(&radix, &index));
    CHECK(radix_remove(&radix, 0) == &item);
}

TEST(radix_replace_returns_what_was_there)
{
    struct radix radix = RADIX_INIT(allocator);
    int old, new;

    CHECK_EQ(radix_insert(&radix, 1000, &old), 0);
    CHECK(radix_replace(&radix, 1000, &new) == &old);
    CHECK(radix_remove(&radix, 1000) == &new);
    CHECK_EQ(nodes_in_use, 0);
}

TEST(radix_insert_without_memory_leaves_the_tree_as_it_was)
{
    struct radix radix = RADIX_INIT(allocator);
    int item;

    allocations_left = 2;
    CHECK_EQ(radix_insert(&radix, 1ul << 40, &item), -ENOMEM);
    allocations_left = ~0ul;
    CHECK(radix_is_empty(&radix));
    CHECK_EQ(nodes_in_use, 0);
    CHECK(!radix_lookup(&radix, 1ul << 40));
}
