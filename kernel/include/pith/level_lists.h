/*
 * Lists in levels: the first element of the topmost level that has any, without a search.
 *
 * Level 0 is the top. A bit for each level says whether its list has elements, so the topmost is
 * one or two bit scans away, however many levels and elements there are.
 */
#pragma once

#include <pith/list.h>

#define LEVEL_LISTS 128 /* levels; two words of bits */

struct level_lists {
    u64 used[LEVEL_LISTS / 64]; /* bit n: level n has elements */
    struct list lists[LEVEL_LISTS];
};

static inline void level_lists_init(struct level_lists *levels)
{
    for (u32 word = 0; word < ARRAY_SIZE(levels->used); word++)
        levels->used[word] = 0;
    for (u32 level = 0; level < LEVEL_LISTS; level++)
        list_init(&levels->lists[level]);
}

static inline void level_lists_push_back(struct level_lists *levels, u32 level,
                                         struct list *element)
{
    list_push_back(&levels->lists[level], element);
    levels->used[level / 64] |= BIT(level % 64);
}

static inline void level_lists_push_front(struct level_lists *levels, u32 level,
                                          struct list *element)
{
    list_push_front(&levels->lists[level], element);
    levels->used[level / 64] |= BIT(level % 64);
}

/* `level` is where the element was pushed. */
static inline void level_lists_remove(struct level_lists *levels, u32 level, struct list *element)
{
    list_remove(element);
    if (list_is_empty(&levels->lists[level]))
        levels->used[level / 64] &= ~BIT(level % 64);
}

/* Moves all of level `from` behind those of level `to`. */
static inline void level_lists_append(struct level_lists *levels, u32 to, u32 from)
{
    if (list_is_empty(&levels->lists[from]))
        return;
    list_append_all(&levels->lists[to], &levels->lists[from]);
    levels->used[from / 64] &= ~BIT(from % 64);
    levels->used[to / 64] |= BIT(to % 64);
}

/* The topmost level that has elements; LEVEL_LISTS: none has. */
static inline u32 level_lists_top(const struct level_lists *levels)
{
    for (u32 word = 0; word < ARRAY_SIZE(levels->used); word++)
        if (levels->used[word])
            return word * 64 + (u32)__builtin_ctzl(levels->used[word]);
    return LEVEL_LISTS;
}

/* Takes out the first element of the topmost level; NULL: there is none. */
static inline struct list *level_lists_pop(struct level_lists *levels)
{
    u32 top = level_lists_top(levels);
    struct list *element;

    if (top == LEVEL_LISTS)
        return NULL;
    element = levels->lists[top].next;
    level_lists_remove(levels, top, element);
    return element;
}
