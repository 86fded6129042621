/* The balanced tree of lib/: order, balance, summaries, against a plain array. */
#include <pith/tree.h>

#include "unit.h"

#define ITEMS 600
#define STEPS 20000

struct item {
    struct tree_node node;
    u32 key;
    u32 serial;
    u32 widest; /* the largest key below and including this node */
};

static struct item items[ITEMS];

static u32 random_below(u64 *state, u32 limit)
{
    *state = *state * 6364136223846793005ull + 1442695040888963407ull;
    return (u32)(*state >> 33) % limit;
}

static bool item_before(const struct tree_node *a, const struct tree_node *b)
{
    return tree_entry(a, struct item, node)->key < tree_entry(b, struct item, node)->key;
}

static u32 widest_of(const struct tree_node *node)
{
    return node ? tree_entry(node, struct item, node)->widest : 0;
}

static void item_summarize(struct tree_node *node)
{
    struct item *item = tree_entry(node, struct item, node);

    item->widest = MAX(item->key, MAX(widest_of(node->left), widest_of(node->right)));
}

static u32 height_of(const struct tree_node *node)
{
    return node ? node->height : 0;
}

static bool node_is_right(const struct tree *tree, const struct tree_node *node)
{
    const struct item *item = tree_entry(node, struct item, node);
    u32 left = height_of(node->left), right = height_of(node->right);

    if (node->height != 1 + MAX(left, right) || MAX(left, right) - MIN(left, right) > 1)
        return false;
    if (node->parent ? node->parent->left != node && node->parent->right != node
                     : tree->root != node)
        return false;
    return !tree->summarize ||
           item->widest == MAX(item->key, MAX(widest_of(node->left), widest_of(node->right)));
}

/* How many nodes the tree has; -1: an invariant is broken. */
static int tree_check(const struct tree *tree)
{
    struct item *item, *previous = NULL;
    int count = 0;

    tree_for_each (item, tree, node) {
        if (!node_is_right(tree, &item->node))
            return -1;
        if (previous && (previous->key > item->key ||
                         (previous->key == item->key && previous->serial > item->serial)))
            return -1;
        if (tree_previous(&item->node) != (previous ? &previous->node : NULL))
            return -1;
        previous = item;
        count++;
    }
    if (tree_last(tree) != (previous ? &previous->node : NULL))
        return -1;
    return count;
}

static void random_work(struct tree *tree, u64 seed, u32 keys)
{
    u32 serial = 0;
    int expected = 0;

    for (int i = 0; i < ITEMS; i++)
        items[i] = (struct item){0};
    for (int step = 0; step < STEPS; step++) {
        struct item *item = &items[random_below(&seed, ITEMS)];

        if (tree_is_linked(&item->node)) {
            tree_remove(tree, &item->node);
            CHECK(!tree_is_linked(&item->node));
            expected--;
        } else {
            item->key = random_below(&seed, keys);
            item->serial = serial++;
            tree_insert(tree, &item->node, item_before);
            CHECK(tree_is_linked(&item->node));
            expected++;
        }
        if (step % 16 == 0 || expected < 8)
            CHECK_EQ(tree_check(tree), expected);
    }
}

TEST(tree_stays_ordered_and_balanced_under_random_insertions_and_removals)
{
    struct tree tree = TREE_INIT;

    random_work(&tree, 1, 100000);
}

TEST(tree_keeps_equal_nodes_in_the_order_of_their_insertion)
{
    struct tree tree = TREE_INIT;

    random_work(&tree, 2, 7);
}

TEST(tree_keeps_summaries_true_through_rotations_and_removals)
{
    struct tree tree = {.summarize = item_summarize};

    random_work(&tree, 3, 1000);
}

TEST(tree_of_ascending_keys_is_no_higher_than_an_avl_tree_may_be)
{
    struct tree tree = TREE_INIT;

    for (u32 i = 0; i < ITEMS; i++) {
        items[i].key = i;
        tree_insert(&tree, &items[i].node, item_before);
    }
    CHECK_EQ(tree_check(&tree), ITEMS);
    CHECK(tree.root->height <= 13); /* 1.44 log2(602) */
}

TEST(tree_replace_puts_the_new_node_in_the_place_of_the_old)
{
    struct tree tree = {.summarize = item_summarize};
    struct item other = {.key = 51, .serial = 5};

    for (u32 i = 0; i < 10; i++) {
        items[i] = (struct item){.key = i * 10, .serial = i};
        tree_insert(&tree, &items[i].node, item_before);
    }
    tree_replace(&tree, &items[5].node, &other.node);
    CHECK(!tree_is_linked(&items[5].node));
    CHECK(tree_next(&items[4].node) == &other.node);
    CHECK_EQ(tree_check(&tree), 10);
}

TEST(tree_summarize_carries_a_change_up_to_the_root)
{
    struct tree tree = {.summarize = item_summarize};

    for (u32 i = 0; i < 10; i++) {
        items[i] = (struct item){.key = i * 10, .serial = i};
        tree_insert(&tree, &items[i].node, item_before);
    }
    items[9].key = 1000;
    tree_summarize(&tree, &items[9].node);
    CHECK_EQ(widest_of(tree.root), 1000);
}

TEST(empty_tree_has_no_first_and_no_last)
{
    struct tree tree = TREE_INIT;
    struct item item = {0};

    CHECK(tree_is_empty(&tree));
    CHECK(!tree_first(&tree));
    CHECK(!tree_last(&tree));
    tree_insert(&tree, &item.node, item_before);
    CHECK(tree_first(&tree) == &item.node && tree_last(&tree) == &item.node);
    tree_remove(&tree, &item.node);
    CHECK(tree_is_empty(&tree));
}
