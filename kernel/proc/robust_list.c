/*
 * Robust futexes: what happens to the locks of a thread that ends (get_robust_list(2)).
 *
 *     robust_head -> entry -> entry -> ... -> robust_head     in the thread's own memory
 *                      '- offset -> futex word: tid | FUTEX_WAITERS
 *     pending: the lock that it was just taking or letting go, perhaps not in the list
 *
 * The thread keeps the list without asking the kernel. At its end each word that names it gets the
 * mark FUTEX_OWNER_DIED in the place of its tid, and one waiter is woken, who finds the mark and
 * may repair what the lock guards (pthread_mutex_consistent(3)). The word is exchanged atomically:
 * a lock that another thread takes at that moment is left alone.
 *
 * The list is the user's: it may be broken, circular or point anywhere, so its length is limited
 * and any fault ends it.
 *
 * Context: the ending thread, or one that calls exec, while it still has its memory. Sleeps.
 */
#include "internal.h"

#define ENTRIES_MAX 2048 /* as on Linux */
#define ENTRY_PI    1ul  /* bit 0 of a pointer: a lock with priority inheritance (futex_pi.c) */

struct robust_head {
    u64 next;   /* the first entry, or the head itself */
    s64 offset; /* from an entry to its futex word */
    u64 pending;
};

/* Marks one lock, if the thread still holds it. */
static int lock_abandon(struct user_ptr at, u32 tid, bool is_pending)
{
    u32 value, seen;
    int error;

    if (at.address % sizeof(u32))
        return -EINVAL;
    error = copy_in(&value, at, sizeof(value));
    while (!error) {
        /* It was being unlocked: nobody was woken yet, and the word is free. */
        if (is_pending && value == 0) {
            futex_wake_one(at);
            return 0;
        }
        if ((value & FUTEX_TID_MASK) != tid)
            return 0;
        error = user_compare_exchange_u32_nofault(
            at, value, (value & FUTEX_WAITERS) | FUTEX_OWNER_DIED, &seen);
        if (error) {
            error = address_space_populate(thread_current()->space, at.address & PAGE_MASK,
                                           PAGE_SIZE, PAGER_WRITE);
            continue;
        }
        if (seen == value)
            break;
        value = seen;
    }
    if (!error && (value & FUTEX_WAITERS))
        futex_wake_one(at);
    return error;
}

void thread_robust_list_release(struct thread_identity *identity)
{
    struct user_ptr list = identity->robust_list;
    struct robust_head head;
    u64 entry;

    identity->robust_list = user_ptr_at(0);
    if (user_ptr_is_null(list) || copy_in(&head, list, sizeof(head)))
        return;
    entry = head.next;
    for (int count = 0; count < ENTRIES_MAX; count++) {
        u64 at = entry & ~ENTRY_PI, next;

        if (at == list.address || copy_in(&next, user_ptr_at(at), sizeof(next)))
            break;
        /* The pending one is looked at below, once. */
        if (at != (head.pending & ~ENTRY_PI) &&
            lock_abandon(user_ptr_at(at + head.offset), identity->tid, false))
            break;
        entry = next;
    }
    if (head.pending)
        (void)lock_abandon(user_ptr_at((head.pending & ~ENTRY_PI) + head.offset), identity->tid,
                           true);
}
