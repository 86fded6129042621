/*
 * Futexes with priority inheritance (futex(2), "Priority-inheritance futexes").
 *
 * The word of such a lock is 0 or its owner's tid, with FUTEX_WAITERS when the kernel must be asked
 * to unlock. While there are waiters a struct pi_lock stands for it here:
 *
 *     word  --key-->  pi_lock --owner--> thread  (runs with the highest priority that waits)
 *                        '--waiters--> pi_waiter, pi_waiter, ...   by priority
 *
 * Unlocking hands over: the word gets the first waiter's tid, that waiter becomes the owner and
 * wakes. So nobody can slip in between, and the owner is known at any time. A waiter that waits for
 * an owner that waits itself lends its priority along the chain; a chain that comes back to its
 * beginning is a deadlock.
 *
 * An owner that ends gives its locks to their first waiters, who write their tids with
 * FUTEX_OWNER_DIED: the word may lie at another address, or nowhere, in the memory of the one who
 * ended.
 *
 * All is under one lock: such locks are rarely contended, and chains cross them. User words are
 * read and exchanged under it without faulting; what is missing is touched outside and the attempt
 * begins anew.
 *
 * Invariant: a pi_lock exists while threads wait for it, or were granted it and have not left.
 * Locking:   pi_mutex (LOCK_FUTEX_PI), inside a futex bucket's; thread.lock inside it.
 * Context:   threads only. Waits sleep.
 */
#include "futex.h"

#define CHAIN_MAX  1024
#define LOCKS_BITS 6

struct pi_lock {
    struct list link;
    struct futex_key key;   /* with a reference */
    struct thread *owner;   /* a reference */
    struct list owner_link; /* in its identity's pi_locks */
    struct list waiters;
    u32 users; /* those in waiters, and who has not left */
};

static struct spinlock pi_mutex = SPINLOCK_INIT(LOCK_FUTEX_PI);
static struct list locks[1u << LOCKS_BITS]; /* guarded by pi_mutex */

void futex_pi_init(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(locks); i++)
        list_init(&locks[i]);
}

/* ---- Locks that are waited for ---- */

static struct list *locks_of(const struct futex_key *key)
{
    return &locks[futex_key_hash(key, LOCKS_BITS)];
}

/* By a hash of the key: there are as many pi_locks as words with waiters, few. */
static struct pi_lock *lock_find(const struct futex_key *key)
{
    struct pi_lock *lock;

    list_for_each (lock, locks_of(key), link)
        if (futex_key_is(&lock->key, key))
            return lock;
    return NULL;
}

static struct pi_waiter *first_waiter(struct pi_lock *lock)
{
    return list_first_entry(&lock->waiters, struct pi_waiter, link);
}

/* From here its priority depends on who waits: the list in its identity is how it is found. */
static void owner_set(struct pi_lock *lock, struct thread *owner)
{
    thread_get(owner);
    lock->owner = owner;
    list_push_back(&owner->identity->pi_locks, &lock->owner_link);
}

/* Returns the reference, to be put without locks. */
static struct thread *owner_clear(struct pi_lock *lock)
{
    struct thread *owner = lock->owner;

    list_remove(&lock->owner_link);
    lock->owner = NULL;
    return owner;
}

/* attempt->fresh was allocated outside the locks, for this. */
static struct pi_lock *lock_enter(struct pi_attempt *attempt)
{
    struct pi_lock *lock = attempt->fresh;

    attempt->fresh = NULL;
    lock->key = *attempt->key;
    if (lock->key.frame)
        frame_get(lock->key.frame);
    list_init(&lock->waiters);
    list_init(&lock->owner_link);
    lock->users = 0;
    owner_set(lock, attempt->owner);
    list_push_back(locks_of(&lock->key), &lock->link);
    return lock;
}

/* ---- Lent priorities ---- */

/* What it is lent counts like its own: that is how it goes on along the chain. */
static u32 priority_of(const struct thread *thread)
{
    return MAX(READ_ONCE(thread->priority), READ_ONCE(thread->lent_priority));
}

/* Behind those of its own priority: first come, first served among equals. */
static void waiter_insert(struct pi_lock *lock, struct pi_waiter *waiter)
{
    struct pi_waiter *other;

    list_for_each (other, &lock->waiters, link) {
        if (priority_of(waiter->thread) > priority_of(other->thread)) {
            list_insert_before(&other->link, &waiter->link);
            return;
        }
    }
    list_push_back(&lock->waiters, &waiter->link);
}

/* Only the first of each lock counts: waiters are sorted. */
static u32 highest_waiting_for(const struct thread *owner)
{
    struct pi_lock *lock;
    u32 highest = 0;

    list_for_each (lock, &owner->identity->pi_locks, owner_link)
        if (!list_is_empty(&lock->waiters))
            highest = MAX(highest, priority_of(first_waiter(lock)->thread));
    return highest;
}

/* The waiters of what `owner` holds changed: so does what it is lent, and so on along the chain. */
static void priority_follow(struct thread *owner)
{
    for (int depth = 0; owner && depth < CHAIN_MAX; depth++) {
        u32 lent = highest_waiting_for(owner);
        struct pi_waiter *waiter = owner->identity->pi_waiter;

        if (lent == owner->lent_priority)
            return;
        thread_lend_priority(owner, lent);
        if (!waiter || waiter->granted)
            return;
        list_remove(&waiter->link);
        waiter_insert(waiter->lock, waiter);
        owner = waiter->lock->owner;
    }
}

/*
 * Along the chain of who waits for whom. A chain longer than CHAIN_MAX is taken for a circle that
 * we are not in.
 */
static bool would_deadlock(const struct pi_lock *lock, const struct thread *thread)
{
    for (int depth = 0; lock && depth < CHAIN_MAX; depth++) {
        const struct pi_waiter *waiter;

        if (lock->owner == thread)
            return true;
        waiter = lock->owner->identity->pi_waiter;
        lock = waiter && !waiter->granted ? waiter->lock : NULL;
    }
    return false;
}

/* ---- Locking ---- */

void pi_attempt_init(struct pi_attempt *attempt, struct user_ptr at, const struct futex_key *key)
{
    *attempt = (struct pi_attempt){.at = at, .key = key};
}

void pi_attempt_fini(struct pi_attempt *attempt)
{
    if (attempt->owner)
        thread_put(attempt->owner);
    kfree(attempt->fresh);
}

/*
 * What the last attempt lacked: a word in memory, the thread that the word names, memory for a
 * lock.
 */
int pi_attempt_prepare(struct pi_attempt *attempt)
{
    if (attempt->word_is_missing && futex_word_touch(attempt->at, PAGER_WRITE))
        return -EFAULT;
    attempt->word_is_missing = false;
    if (attempt->owner)
        thread_put(attempt->owner);
    attempt->owner = attempt->owner_tid ? thread_find((int)attempt->owner_tid) : NULL;
    if (!attempt->fresh)
        attempt->fresh = kmalloc(sizeof(*attempt->fresh), ALLOC_CLEARED);
    return attempt->fresh ? 0 : -ENOMEM;
}

/* PI_AGAIN: the word is another by now, or not there. */
static int word_exchange(struct pi_attempt *attempt, u32 expected, u32 value)
{
    u32 seen;

    if (expected == value)
        return 0;
    if (user_compare_exchange_u32_nofault(attempt->at, expected, value, &seen)) {
        attempt->word_is_missing = true;
        return PI_AGAIN;
    }
    return seen == expected ? 0 : PI_AGAIN;
}

/* Nobody waits for the lock yet: whom the word names must be there to unlock it. */
static int owner_check(struct pi_attempt *attempt, u32 tid)
{
    if (attempt->owner_tid != tid) {
        attempt->owner_tid = tid;
        return PI_AGAIN;
    }
    if (!attempt->owner || attempt->owner->identity->pi_released)
        return -ESRCH;
    return attempt->owner->process->is_kernel ? -EPERM : 0;
}

static int waiter_queue(struct pi_attempt *attempt, struct pi_lock *lock)
{
    struct pi_waiter *waiter = attempt->waiter;

    if (lock ? would_deadlock(lock, waiter->thread) : attempt->owner == waiter->thread)
        return -EDEADLK;
    if (!lock) {
        struct pi_waiter *theirs = attempt->owner->identity->pi_waiter;

        if (theirs && !theirs->granted && would_deadlock(theirs->lock, waiter->thread))
            return -EDEADLK;
        lock = lock_enter(attempt);
    }
    waiter->lock = lock;
    waiter->granted = false;
    waiter->thread->identity->pi_waiter = waiter;
    lock->users++;
    waiter_insert(lock, waiter);
    priority_follow(lock->owner);
    return PI_QUEUED;
}

/* The word says who owns the lock where nobody waits; the pi_lock does where somebody does. */
static int attempt_locked(struct pi_attempt *attempt)
{
    u32 word, tid, own = (u32)attempt->waiter->thread->identity->tid;
    struct pi_lock *lock = lock_find(attempt->key);
    int result;

    if (user_load_u32_nofault(attempt->at, &word)) {
        attempt->word_is_missing = true;
        return PI_AGAIN;
    }
    tid = word & FUTEX_TID_MASK;
    if (tid == own)
        return -EDEADLK;
    if (!lock && !tid) {
        result = word_exchange(attempt, word, own | (word & FUTEX_OWNER_DIED));
        attempt->waiter->granted = !result;
        return result ? result : PI_ACQUIRED;
    }
    result = lock ? 0 : owner_check(attempt, tid);
    if (!result && attempt->only_try)
        return -EAGAIN;
    if (!result)
        result = word_exchange(attempt, word, word | FUTEX_WAITERS);
    return result ? result : waiter_queue(attempt, lock);
}

int pi_attempt(struct pi_attempt *attempt)
{
    int result;

    spin_lock(&pi_mutex);
    result = attempt_locked(attempt);
    spin_unlock(&pi_mutex);
    return result;
}

/* ---- Waiting ---- */

/* Leaves the lock, granted or not. The last one takes it away. */
static void waiter_leave(struct pi_waiter *waiter)
{
    struct pi_lock *lock = waiter->lock;
    struct thread *owner = NULL;

    spin_lock(&pi_mutex);
    if (!waiter->granted) {
        list_remove(&waiter->link);
        priority_follow(lock->owner);
    }
    waiter->thread->identity->pi_waiter = NULL;
    if (--lock->users == 0) {
        list_remove(&lock->link);
        owner = owner_clear(lock);
    }
    spin_unlock(&pi_mutex);
    if (!owner)
        return;
    futex_key_put(&lock->key);
    thread_put(owner);
    kfree(lock);
}

/* Its last owner died: the word is ours to write. It says that somebody may wait, which is safe. */
static int word_inherit(struct user_ptr at)
{
    u32 word, seen, own = (u32)identity_current()->tid;

    for (;;) {
        if (!user_load_u32_nofault(at, &word) &&
            !user_compare_exchange_u32_nofault(at, word, own | FUTEX_WAITERS | FUTEX_OWNER_DIED,
                                               &seen)) {
            if (seen == word)
                return 0;
        } else if (futex_word_touch(at, PAGER_WRITE)) {
            return -EFAULT;
        }
    }
}

/* The waiter is queued. 0: the lock is the caller's. */
static int waiter_sleep(struct pi_waiter *waiter, struct user_ptr at, u64 deadline_ns)
{
    int error = 0;

    spin_lock(&pi_mutex);
    while (!waiter->granted && !error)
        error = thread_block_until(WAIT_INTERRUPTIBLE, WAIT_FOR_FUTEX, &pi_mutex, deadline_ns);
    if (waiter->granted)
        error = 0;
    spin_unlock(&pi_mutex);
    if (!error && waiter->owner_died)
        error = word_inherit(at);
    waiter_leave(waiter);
    return error;
}

/*
 * A signal is EAGAIN here: the wait for the first word is over, so the call cannot be made again as
 * it was.
 */
int pi_wait_moved(struct pi_waiter *waiter, struct user_ptr at, u64 deadline_ns)
{
    int error = waiter_sleep(waiter, at, deadline_ns);

    return error == -EINTR ? -EAGAIN : error;
}

/* Each round either ends or has more of what the next one needs; a killed thread gives up. */
static int lock_with_key(const struct futex_request *request, const struct futex_key *key)
{
    struct pi_waiter waiter = {.thread = thread_current()};
    struct pi_attempt attempt;
    int result;

    list_init(&waiter.link);
    pi_attempt_init(&attempt, request->at, key);
    attempt.waiter = &waiter;
    attempt.only_try = request->operation == FUTEX_TRYLOCK_PI;
    do {
        result = pi_attempt_prepare(&attempt);
        if (!result)
            result = pi_attempt(&attempt);
    } while (result == PI_AGAIN && !fatal_signal_is_pending());
    pi_attempt_fini(&attempt);
    if (result == PI_QUEUED)
        return waiter_sleep(&waiter, request->at, request->deadline_ns);
    return result == PI_AGAIN ? -EINTR : MIN(result, 0);
}

int futex_lock_pi(const struct futex_request *request)
{
    struct futex_key key;
    int error = futex_key_get(request->at, request->is_private, &key);

    if (error)
        return error;
    error = lock_with_key(request, &key);
    futex_key_put(&key);
    return error;
}

/* ---- Unlocking ---- */

/* The first waiter owns the lock and runs. Returns the old owner's reference. */
static struct thread *hand_over(struct pi_lock *lock, struct pi_waiter *next)
{
    struct thread *before = owner_clear(lock);

    list_remove(&next->link);
    next->granted = true;
    owner_set(lock, next->thread);
    priority_follow(before);
    priority_follow(next->thread);
    thread_wake(next->thread);
    return before;
}

/*
 * Without waiters the word is all there is; with some, it names the next owner before that one
 * runs.
 */
static int unlock_locked(struct pi_attempt *attempt, struct thread **before_out)
{
    struct thread *own = thread_current();
    struct pi_lock *lock = lock_find(attempt->key);
    struct pi_waiter *next = lock ? first_waiter(lock) : NULL;
    u32 word;
    int result;

    if (user_load_u32_nofault(attempt->at, &word)) {
        attempt->word_is_missing = true;
        return PI_AGAIN;
    }
    if ((word & FUTEX_TID_MASK) != (u32)own->identity->tid)
        return -EPERM;
    if (!next)
        return word_exchange(attempt, word, 0);
    if (lock->owner != own)
        return -EINVAL;
    result = word_exchange(attempt, word, (u32)next->thread->identity->tid | FUTEX_WAITERS);
    if (!result)
        *before_out = hand_over(lock, next);
    return result;
}

/* The word may have to be touched first; then all is looked at anew. */
int futex_unlock_pi(struct user_ptr at, bool is_private)
{
    struct thread *before = NULL;
    struct pi_attempt attempt;
    struct futex_key key;
    int result = futex_key_get(at, is_private, &key);

    if (result)
        return result;
    pi_attempt_init(&attempt, at, &key);
    do {
        if (attempt.word_is_missing && futex_word_touch(at, PAGER_WRITE)) {
            result = -EFAULT;
            break;
        }
        attempt.word_is_missing = false;
        spin_lock(&pi_mutex);
        result = unlock_locked(&attempt, &before);
        spin_unlock(&pi_mutex);
    } while (result == PI_AGAIN);
    if (before)
        thread_put(before);
    futex_key_put(&key);
    return result;
}

/*
 * pi_released is set under the lock, so no waiter queues behind a thread that hands nothing over
 * any more.
 */
void pi_locks_release(struct thread *thread)
{
    struct thread_identity *identity = thread->identity;
    struct pi_lock *lock;

    do {
        struct thread *before = NULL;

        spin_lock(&pi_mutex);
        identity->pi_released = true;
        lock = list_first(&identity->pi_locks)
                   ? list_entry(list_first(&identity->pi_locks), struct pi_lock, owner_link)
                   : NULL;
        if (lock) {
            first_waiter(lock)->owner_died = true;
            before = hand_over(lock, first_waiter(lock));
        }
        spin_unlock(&pi_mutex);
        if (before)
            thread_put(before);
    } while (lock);
}
