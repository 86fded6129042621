/*
 * Doubly linked lists whose links lie in the objects themselves.
 *
 * A list is a circle through a head; an element that is on no list is linked to itself, so that
 * "is it on a list?" is one comparison and removing it again is harmless (list_remove always leaves
 * the element like that).
 *
 *     head <-> a <-> b <-> c <-> head
 */
#pragma once

#include <pith/compiler.h>

struct list {
    struct list *next;
    struct list *previous;
};

#define LIST_INIT(name)  \
    {                    \
        &(name), &(name) \
    }

static inline void list_init(struct list *list)
{
    list->next = list;
    list->previous = list;
}

static inline bool list_is_empty(const struct list *list)
{
    return list->next == list;
}

/* Whether an initialised element is on a list. */
static inline bool list_is_linked(const struct list *element)
{
    return element->next != element;
}

static inline void list_insert_between(struct list *element, struct list *before,
                                       struct list *after)
{
    element->previous = before;
    element->next = after;
    before->next = element;
    after->previous = element;
}

static inline void list_push_front(struct list *list, struct list *element)
{
    list_insert_between(element, list, list->next);
}

static inline void list_push_back(struct list *list, struct list *element)
{
    list_insert_between(element, list->previous, list);
}

static inline void list_insert_before(struct list *position, struct list *element)
{
    list_insert_between(element, position->previous, position);
}

static inline void list_remove(struct list *element)
{
    element->previous->next = element->next;
    element->next->previous = element->previous;
    list_init(element);
}

/* The first element, which stays; NULL if there is none. */
static inline struct list *list_first(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->next;
}

static inline struct list *list_last(const struct list *list)
{
    return list_is_empty(list) ? NULL : list->previous;
}

static inline struct list *list_pop_front(struct list *list)
{
    struct list *element = list_first(list);

    if (element)
        list_remove(element);
    return element;
}

/* Moves all elements of `from` to the end of `to`. */
static inline void list_append_all(struct list *to, struct list *from)
{
    if (list_is_empty(from))
        return;
    from->next->previous = to->previous;
    to->previous->next = from->next;
    from->previous->next = to;
    to->previous = from->previous;
    list_init(from);
}

#define list_entry(pointer, type, member) container_of(pointer, type, member)

/* The first element's object, or NULL. */
#define list_first_entry(head, type, member)                      \
    ({                                                            \
        struct list *first_link = list_first(head);               \
        first_link ? list_entry(first_link, type, member) : NULL; \
    })

#define list_for_each(entry, list, member)                                                       \
    for (entry = list_entry((list)->next, __typeof__(*entry), member); &entry->member != (list); \
         entry = list_entry(entry->member.next, __typeof__(*entry), member))

#define list_for_each_reverse(entry, list, member)                         \
    for (entry = list_entry((list)->previous, __typeof__(*entry), member); \
         &entry->member != (list);                                         \
         entry = list_entry(entry->member.previous, __typeof__(*entry), member))

/* The body may remove `entry`. */
#define list_for_each_safe(entry, following, list, member)                      \
    for (entry = list_entry((list)->next, __typeof__(*entry), member),          \
        following = list_entry(entry->member.next, __typeof__(*entry), member); \
         &entry->member != (list); entry = following,                           \
        following = list_entry(following->member.next, __typeof__(*entry), member))
