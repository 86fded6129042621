/*
 * Balanced binary trees whose links lie in the objects (an AVL tree with parent links).
 *
 * The two subtrees of a node differ in height by at most one, so a tree of n nodes is at most
 * 1.44 log2(n) high. An insertion or removal changes one leaf or one node with a single child; all
 * that it can unbalance lies on the path from there to the root, so one walk up repairs everything:
 *
 *          node                 right
 *         /    \      left     /     \
 *        a    right   ---->  node     c        rotate_left; rotate_right is its mirror
 *            /     \        /    \
 *           b       c      a      b
 *
 * Without summaries the walk ends where a height did not change. With summaries it goes on to the
 * root, for each ancestor's summary speaks of the changed part.
 *
 * Invariants: a node's height is one more than that of its higher child; its summary is what
 *             summarize makes of it and its children; a node in no tree has the height 0.
 * Locking:    the caller's. Context: any; nothing sleeps or allocates.
 */
#include <pith/tree.h>

static u32 height_of(const struct tree_node *node)
{
    return node ? node->height : 0;
}

static void node_update(struct tree *tree, struct tree_node *node)
{
    node->height = 1 + MAX(height_of(node->left), height_of(node->right));
    if (tree->summarize)
        tree->summarize(node);
}

/* The place that points to `node`: a link of its parent, or the root. */
static struct tree_node **link_to(struct tree *tree, const struct tree_node *node)
{
    if (!node->parent)
        return &tree->root;
    return node->parent->left == node ? &node->parent->left : &node->parent->right;
}

/* Puts `node`, which may be NULL, where `old` hangs; the children of both stay what they are. */
static void node_hang(struct tree *tree, const struct tree_node *old, struct tree_node *node)
{
    *link_to(tree, old) = node;
    if (node)
        node->parent = old->parent;
}

static void set_left(struct tree_node *parent, struct tree_node *child)
{
    parent->left = child;
    if (child)
        child->parent = parent;
}

static void set_right(struct tree_node *parent, struct tree_node *child)
{
    parent->right = child;
    if (child)
        child->parent = parent;
}

/* Both return the node that is now at the top. */
static struct tree_node *rotate_left(struct tree *tree, struct tree_node *node)
{
    struct tree_node *right = node->right;

    node_hang(tree, node, right);
    set_right(node, right->left);
    set_left(right, node);
    node_update(tree, node);
    node_update(tree, right);
    return right;
}

static struct tree_node *rotate_right(struct tree *tree, struct tree_node *node)
{
    struct tree_node *left = node->left;

    node_hang(tree, node, left);
    set_left(node, left->right);
    set_right(left, node);
    node_update(tree, node);
    node_update(tree, left);
    return left;
}

/* Restores the invariants of `node`, whose subtrees differ by two at most. Returns the top. */
static struct tree_node *node_balance(struct tree *tree, struct tree_node *node)
{
    u32 left = height_of(node->left), right = height_of(node->right);

    if (left > right + 1) {
        if (height_of(node->left->left) < height_of(node->left->right))
            rotate_left(tree, node->left);
        return rotate_right(tree, node);
    }
    if (right > left + 1) {
        if (height_of(node->right->right) < height_of(node->right->left))
            rotate_right(tree, node->right);
        return rotate_left(tree, node);
    }
    node_update(tree, node);
    return node;
}

/* Restores the invariants of `node` and of all above it; below `node` they hold. */
static void tree_balance_from(struct tree *tree, struct tree_node *node)
{
    while (node) {
        u32 height_before = node->height;

        node = node_balance(tree, node);
        if (node->height == height_before && !tree->summarize)
            return;
        node = node->parent;
    }
}

void tree_insert(struct tree *tree, struct tree_node *node, tree_before_fn *before)
{
    struct tree_node **link = &tree->root, *parent = NULL;

    while (*link) {
        parent = *link;
        link = before(node, parent) ? &parent->left : &parent->right;
    }
    *node = (struct tree_node){.parent = parent};
    *link = node;
    tree_balance_from(tree, node);
}

/* All of `old` but the summary becomes `node`'s; `old` is in no tree any more. */
static void node_take_place(struct tree *tree, struct tree_node *old, struct tree_node *node)
{
    node_hang(tree, old, node);
    set_left(node, old->left);
    set_right(node, old->right);
    node->height = old->height;
    *old = (struct tree_node){0};
}

void tree_remove(struct tree *tree, struct tree_node *node)
{
    struct tree_node *lowest; /* whose subtree lost a node */

    if (node->left && node->right) {
        struct tree_node *next = tree_next(node); /* has no left child */

        lowest = next->parent == node ? next : next->parent;
        node_hang(tree, next, next->right);
        node_take_place(tree, node, next);
    } else {
        lowest = node->parent;
        node_hang(tree, node, node->left ? node->left : node->right);
        *node = (struct tree_node){0};
    }
    tree_balance_from(tree, lowest);
}

void tree_replace(struct tree *tree, struct tree_node *old, struct tree_node *node)
{
    node_take_place(tree, old, node);
    tree_summarize(tree, node);
}

void tree_summarize(struct tree *tree, struct tree_node *node)
{
    if (!tree->summarize)
        return;
    for (; node; node = node->parent)
        tree->summarize(node);
}

struct tree_node *tree_first(const struct tree *tree)
{
    struct tree_node *node = tree->root;

    while (node && node->left)
        node = node->left;
    return node;
}

struct tree_node *tree_last(const struct tree *tree)
{
    struct tree_node *node = tree->root;

    while (node && node->right)
        node = node->right;
    return node;
}

struct tree_node *tree_next(const struct tree_node *node)
{
    if (node->right) {
        node = node->right;
        while (node->left)
            node = node->left;
        return (struct tree_node *)node;
    }
    while (node->parent && node->parent->right == node)
        node = node->parent;
    return node->parent;
}

struct tree_node *tree_previous(const struct tree_node *node)
{
    if (node->left) {
        node = node->left;
        while (node->right)
            node = node->right;
        return (struct tree_node *)node;
    }
    while (node->parent && node->parent->left == node)
        node = node->parent;
    return node->parent;
}
