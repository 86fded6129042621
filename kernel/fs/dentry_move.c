/*
 * Names that move, or leave the cache while somebody uses them. Theory in dentry.c.
 *
 * A move swaps two dentries: the one that moves takes the name and the place of the other, which
 * gets those that were left. So no memory is needed and nothing can fail once the file system has
 * moved the name; a long name's text goes with its pointer. A walk without a lock may read a dentry
 * half swapped: the sequence was odd then, and it looks again.
 *
 * Locking: dentry_lock, held by namespace_change_begin; the directories' inode.lock by the callers.
 */
#include "dentry_internal.h"

void namespace_change_begin(void)
{
    spin_lock(&dentry_lock);
    /* Pairs with the acquire of a walk's first read: it sees the number odd or our changes not. */
    __atomic_store_n(&namespace_sequence, namespace_sequence + 1, __ATOMIC_SEQ_CST);
}

void namespace_change_end(void)
{
    __atomic_store_n(&namespace_sequence, namespace_sequence + 1, __ATOMIC_RELEASE);
    spin_unlock(&dentry_lock);
}

void dentry_forget(struct dentry *dentry)
{
    spin_lock(&dentry_lock);
    if (!dentry->mounts)
        dentry_unhash_locked(dentry);
    spin_unlock(&dentry_lock);
}

void dentry_delete(struct dentry *dentry)
{
    spin_lock(&dentry_lock);
    dentry_unhash_locked(dentry);
    spin_unlock(&dentry_lock);
}

/* Swaps what is in the dentries themselves, or the pointers to long names. */
static void dentry_swap_names_locked(struct dentry *a, struct dentry *b)
{
    char text[DENTRY_INLINE_NAME];
    const char *a_name = a->name, *b_name = b->name;
    u32 hash = a->hash;
    u16 bytes = a->name_bytes;

    memcpy(text, a->inline_name, sizeof(text));
    memcpy(a->inline_name, b->inline_name, sizeof(text));
    memcpy(b->inline_name, text, sizeof(text));
    a->name = b_name == b->inline_name ? a->inline_name : b_name;
    b->name = a_name == a->inline_name ? b->inline_name : a_name;
    a->name_bytes = b->name_bytes;
    b->name_bytes = bytes;
    a->hash = b->hash;
    b->hash = hash;
}

/*
 * Each takes the other's name and place; the references on the parents swap with them. `b` is in no
 * chain afterwards.
 */
static void dentry_swap_locked(struct dentry *a, struct dentry *b) must_hold(&dentry_lock)
{
    struct dentry *a_parent = a->parent;

    dentry_unhash_locked(a);
    dentry_unhash_locked(b);
    dentry_swap_names_locked(a, b);
    list_remove(&a->sibling);
    list_remove(&b->sibling);
    a->parent = b->parent;
    b->parent = a_parent;
    list_push_back(&a->parent->children, &a->sibling);
    list_push_back(&b->parent->children, &b->sibling);
    dentry_hash_locked(a);
}

void dentry_move(struct dentry *from, struct dentry *to)
{
    namespace_change_begin();
    dentry_swap_locked(from, to);
    namespace_change_end();
}

void dentry_exchange(struct dentry *a, struct dentry *b)
{
    namespace_change_begin();
    dentry_swap_locked(a, b);
    dentry_hash_locked(b);
    namespace_change_end();
}

bool dentry_is_below(const struct dentry *dentry, const struct dentry *ancestor)
{
    while (dentry != ancestor && !dentry_is_root(dentry))
        dentry = dentry->parent;
    return dentry == ancestor;
}
