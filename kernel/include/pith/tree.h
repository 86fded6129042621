/*
 * Balanced binary trees whose links lie in the objects themselves.
 *
 * The caller gives the order, and may let each node carry a summary of its subtree (the widest gap
 * between regions, say) that the tree keeps true through every rotation. A search is a loop over
 * `left` and `right` written where the key is known, so it costs no call a level.
 */
#pragma once

#include <pith/compiler.h>

struct tree_node {
    struct tree_node *parent; /* NULL: the root */
    struct tree_node *left;
    struct tree_node *right;
    u32 height; /* of the subtree; 0: the node is in no tree */
};

struct tree {
    struct tree_node *root;
    /* Recomputes the summary of `node` from itself and its children; NULL: there is none. */
    void (*summarize)(struct tree_node *node);
};

#define TREE_INIT  \
    {              \
        NULL, NULL \
    }

typedef bool tree_before_fn(const struct tree_node *a, const struct tree_node *b);

/* Inserts behind all that are not after it: equal nodes keep the order of their insertion. */
void tree_insert(struct tree *tree, struct tree_node *node, tree_before_fn *before);
/* Leaves `node` in no tree. */
void tree_remove(struct tree *tree, struct tree_node *node);
/* Puts `node` in the place of `old`, which has the same place in the order. */
void tree_replace(struct tree *tree, struct tree_node *old, struct tree_node *node);
/* Brings the summaries up to date after the caller changed what `node` says about itself. */
void tree_summarize(struct tree *tree, struct tree_node *node);

struct tree_node *tree_first(const struct tree *tree);
struct tree_node *tree_last(const struct tree *tree);
struct tree_node *tree_next(const struct tree_node *node);
struct tree_node *tree_previous(const struct tree_node *node);

static inline bool tree_is_empty(const struct tree *tree)
{
    return tree->root == NULL;
}

static inline bool tree_is_linked(const struct tree_node *node)
{
    return node->height != 0;
}

#define tree_entry(pointer, type, member) container_of(pointer, type, member)
#define tree_entry_or_null(pointer, type, member)                 \
    ({                                                            \
        struct tree_node *entry_node = (pointer);                 \
        entry_node ? tree_entry(entry_node, type, member) : NULL; \
    })

#define tree_for_each(entry, tree, member)                                                \
    for (entry = tree_entry_or_null(tree_first(tree), __typeof__(*entry), member); entry; \
         entry = tree_entry_or_null(tree_next(&entry->member), __typeof__(*entry), member))
