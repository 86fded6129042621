/*
 * The order of spinlocks, checked at every acquire (SAN=1).
 *
 * Each CPU keeps the locks that it holds. One may be taken if its class stands below those of all
 * that are held (lock_class.h is the order); of one class, if its address is above (lock_pair), or
 * where the class is one of trees, parent before child. A lock that the CPU holds already, an
 * unlock of one that it does not, and a lock that was never given a class are found too.
 *
 * Context: inside spin_lock and spin_unlock, interrupts off; NMIs are let through.
 */
#include <pith/core.h>

#include "panic.h"

#define HELD_MAX 16

struct held_lock {
    const void *lock;
    enum lock_class class;
};

struct held_locks {
    u32 count;
    struct held_lock locks[HELD_MAX];
};

static DEFINE_PER_CPU(struct held_locks, held_locks); /* [cpu] */

/* Classes of which a child is taken below its parent, wherever the two lie. */
static bool class_is_of_a_tree(enum lock_class class)
{
    return class == LOCK_DENTRY || class == LOCK_EPOLL_WATCHERS;
}

static bool checks_are_off(void)
{
    return panic_is_under_way() || cpu_current()->in_nmi;
}

/* Panics if `lock` may not be taken while `held` is. */
static void check_against(const struct held_lock *held, const void *lock, enum lock_class class)
{
    if (held->lock == lock)
        panic("lock %s (%p) is taken by its holder", lock_class_name(class), lock);
    if (held->class < class)
        return;
    if (held->class > class)
        panic("lock %s (%p) is taken under %s (%p): the order is the other way round",
              lock_class_name(class), lock, lock_class_name(held->class), held->lock);
    if (held->lock > lock && !class_is_of_a_tree(class))
        panic("two locks %s are taken not in the order of their addresses: %p, then %p",
              lock_class_name(class), held->lock, lock);
}

void lock_check_acquire(const void *lock, enum lock_class class)
{
    struct held_locks *held = this_cpu(held_locks);

    if (checks_are_off())
        return;
    if (class >= LOCK_CLASS_COUNT || class == 0)
        panic("lock %p has no class", lock);
    for (u32 i = 0; i < held->count; i++)
        check_against(&held->locks[i], lock, class);
    if (held->count == HELD_MAX)
        panic("more than %d locks are held", HELD_MAX);
    held->locks[held->count++] = (struct held_lock){lock, class};
}

void lock_check_release(const void *lock, enum lock_class class)
{
    struct held_locks *held = this_cpu(held_locks);

    if (checks_are_off())
        return;
    for (u32 i = held->count; i-- > 0;) {
        if (held->locks[i].lock != lock)
            continue;
        held->locks[i] = held->locks[--held->count];
        return;
    }
    panic("lock %s (%p) is let go, but this CPU does not hold it", lock_class_name(class), lock);
}
