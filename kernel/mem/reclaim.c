/*
 * Reclaim: asking those who keep memory only because it was free.
 *
 * Each cache (of pages, of names, of kernel stacks) registers one function. They are asked in the
 * order in which they registered, each for what is still wanted. A reclaimer may itself allocate
 * (to write a page back), and must not come here again: a thread that reclaims gets no further than
 * its allocation's failure, which is what the mark per CPU would not show after it slept; so the
 * mark is the thread.
 *
 * When they have nothing left, somebody must end: proc/ knows whom (memory_choice_register). A
 * thread that reclaims ends nobody; it has the reserve, and fails.
 *
 * Locking: the list only grows, at boot. `reclaimers.threads` by its lock.
 * Context: where one may sleep.
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
