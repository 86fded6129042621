/*
 * Users: what is counted for all processes of one real uid together.
 *
 *     process --user--> user of uid 1000 <--user-- process
 *                         | pending: entries of signal queues, whoever's they are by now
 *                         '<--charged-- queued_signal
 *
 * RLIMIT_SIGPENDING is a limit of a user and not of a process (getrlimit(2)): else whoever forks
 * has as many signals pending as it likes. The limit is the process's own, the count its user's.
 *
 * A process counts among its user's from its creation to its last reference; setuid(2) and its kin
 * move it. A user of no process and without an entry is of no use: it goes when the next one is
 * made, so that neither a signal nor the end of a process takes a lock for it.
 *
 * Invariants: a user stays while a process has it or an entry is charged to it. Root's stays
 *             always.
 * Locking:    process_table_lock guards the list; process.signals_lock, inside it, a process's
 *             pointer. Both counts are atomic; `processes` leaves 0 under process_table_lock alone.
 * Context:    process_user_set sleeps (memory).
 */
#include "internal.h"

struct user {
    struct list link;
    u32 uid;       /* [const] */
    u32 processes; /* [atomic] that have it */
    u32 pending;   /* [atomic] entries of signal queues that are charged to it */
};

static struct user root = {.processes = 1}; /* its own, so that it never goes */
static struct list users;                   /* guarded by process_table_lock */

void process_user_init(struct process *process)
{
    if (!root.link.next) {
        list_init(&users);
        list_push_back(&users, &root.link);
    }
    process->user = &root;
    __atomic_fetch_add(&root.processes, 1, __ATOMIC_RELAXED);
}

void process_user_inherit(const struct process *parent, struct process *child)
{
    child->user = parent->user;
    __atomic_fetch_add(&child->user->processes, 1, __ATOMIC_RELAXED);
}

void process_user_leave(struct process *process)
{
    if (process->user)
        __atomic_fetch_sub(&process->user->processes, 1, __ATOMIC_RELEASE);
}

/* Acquire pairs with the releases of who counts down: that was the last they did with it. */
static bool user_is_idle(const struct user *user)
{
    return !__atomic_load_n(&user->processes, __ATOMIC_ACQUIRE) &&
           !__atomic_load_n(&user->pending, __ATOMIC_ACQUIRE);
}

/* The user of that uid, or NULL. Those that are idle go on the way. */
static struct user *user_find_locked(u32 uid) must_hold(&process_table_lock)
{
    struct user *user, *following, *found = NULL;

    list_for_each_safe (user, following, &users, link) {
        if (user->uid == uid) {
            found = user;
        } else if (user_is_idle(user)) {
            list_remove(&user->link);
            kfree(user);
        }
    }
    return found;
}

int process_user_set(struct process *process, u32 uid)
{
    struct user *fresh = kmalloc(sizeof(*fresh), ALLOC_CLEARED), *user, *before;

    if (!fresh)
        return -ENOMEM;
    fresh->uid = uid;
    spin_lock(&process_table_lock);
    user = user_find_locked(uid);
    if (!user) {
        user = fresh;
        fresh = NULL;
        list_push_back(&users, &user->link);
    }
    __atomic_fetch_add(&user->processes, 1, __ATOMIC_RELAXED);
    spin_lock(&process->signals_lock);
    before = process->user;
    process->user = user;
    spin_unlock(&process->signals_lock);
    __atomic_fetch_sub(&before->processes, 1, __ATOMIC_RELEASE);
    spin_unlock(&process_table_lock);
    kfree(fresh);
    return 0;
}

/* ---- Pending signals ---- */

struct user *user_charge(struct process *process)
{
    __atomic_fetch_add(&process->user->pending, 1, __ATOMIC_RELAXED);
    return process->user;
}

void user_discharge(struct user *user)
{
    __atomic_fetch_sub(&user->pending, 1, __ATOMIC_RELEASE);
}

u32 user_pending(const struct process *process)
{
    return __atomic_load_n(&process->user->pending, __ATOMIC_RELAXED);
}
