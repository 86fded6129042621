/*
 * Reclaim: asking those who keep memory only because it was free; and when they have nothing,
 * ending somebody.
 *
 *     an allocation fails --> reclaimers (pages of files, names, kernel stacks), in their order
 *                                | nothing
 *                                v
 *                             the out-of-memory choice (proc/oom.c) --> try again, or fail
 *
 * Each reclaimer is asked for what is still wanted, and may itself allocate (to write a page back).
 * It must not come here again: its stack would grow without a bound, and it would wait for itself.
 * A thread that reclaims is therefore in a table, and its own allocations get half of the reserve
 * or fail. The table is searched by thread, not by CPU, for a reclaimer sleeps and goes on
 * elsewhere. If it is full, the thread does not reclaim: others do.
 *
 * Who reclaims ends nobody either: it may hold the very locks that somebody needs to end.
 *
 * Locking: the list only grows, at boot. `threads` by its lock; a slot is cleared without, by its
 *          owner.
 * Context: where one may sleep, with any sleeping locks held: no reclaimer waits for one (they
 *          try).
 */
#include <pith/mem.h>

#include "internal.h"

#define RECLAIMING_MAX 64 /* threads that reclaim at once */

static struct {
    struct spinlock lock; /* LOCK_LEAF */
    struct list list;     /* [const] after boot */
    const struct thread *threads[RECLAIMING_MAX] guarded_by(&lock);
} reclaimers = {
    .lock = SPINLOCK_INIT(LOCK_LEAF),
    .list = LIST_INIT(reclaimers.list),
};

static bool (*choice_hook)(void); /* [const] after boot */

void reclaimer_register(struct reclaimer *reclaimer)
{
    list_push_back(&reclaimers.list, &reclaimer->link);
}

/* Marks the thread as reclaiming. Returns its slot, or -EAGAIN: it does already, or too many do. */
static int reclaim_begin(void)
{
    const struct thread *self = thread_current();
    int slot = -EAGAIN;

    spin_lock(&reclaimers.lock);
    for (int i = 0; i < RECLAIMING_MAX; i++) {
        if (reclaimers.threads[i] == self) {
            slot = -EAGAIN;
            break;
        }
        if (!reclaimers.threads[i])
            slot = i;
    }
    if (slot >= 0)
        reclaimers.threads[slot] = self;
    spin_unlock(&reclaimers.lock);
    return slot;
}

/* Stops when enough was freed: those that registered first are asked most. */
u64 memory_reclaim(u64 wanted)
{
    struct reclaimer *reclaimer;
    u64 done = 0;
    int slot;

    if (!thread_current()) /* boot: nothing is cached yet */
        return 0;
    slot = reclaim_begin();
    if (slot < 0)
        return 0;
    list_for_each (reclaimer, &reclaimers.list, link) {
        if (done >= wanted)
            break;
        done += reclaimer->reclaim(wanted - done);
    }
    WRITE_ONCE(reclaimers.threads[slot], NULL);
    return done;
}

void memory_choice_register(bool (*end_somebody)(void))
{
    choice_hook = end_somebody;
}

/* Without the lock: only the thread itself writes its own slot. */
static bool is_reclaiming(void)
{
    for (int i = 0; i < RECLAIMING_MAX; i++)
        if (READ_ONCE(reclaimers.threads[i]) == thread_current())
            return true;
    return false;
}

bool memory_end_somebody(void)
{
    return choice_hook && thread_current() && !is_reclaiming() && choice_hook();
}

bool memory_make_room(u64 wanted)
{
    return memory_reclaim(wanted) || memory_end_somebody();
}
