/*
 * Futexes: waiting for a word of user memory to change (futex(2)).
 *
 * The word is tested under the lock of its bucket, where a waker takes its waiters from; a waker
 * changes the word before it calls, so a waiter either sees the new value or is found:
 *
 *     waiter                               waker
 *     lock(bucket)                         word = new (user mode)
 *     word == expected? queue, block       lock(bucket); take waiters, wake; unlock
 *     (the bucket is let go when we are WAITING)
 *
 * A word is known by its key: in private memory the address space and the address, in memory that
 * is shared the frame it lies in, of which a waiter holds a reference so that it stays the frame.
 *
 * User memory cannot be faulted in under a bucket's lock: the word is read without, and if it is
 * not there it is touched with nothing locked, and all begins anew.
 *
 * One that waits for several words (futex_waitv) has an entry in the bucket of each, and sleeps
 * under a lock of its own. What works on two words is in futex_two.c.
 *
 * Locking: bucket.lock (LOCK_FUTEX); two by address. A waiter's `bucket` changes under both.
 * Context: threads only. Waits sleep.
 */
#include "futex.h"

#define BUCKET_BITS 8

/* A thread that waits for several words sleeps under this lock: no bucket's keeps all of them. */
struct futex_any {
    struct spinlock lock; /* LOCK_WAIT_QUEUE */
    bool woken;           /* guarded_by(&lock) */
};

static struct futex_bucket buckets[1u << BUCKET_BITS];

void futex_init(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
        spin_init(&buckets[i].lock, LOCK_FUTEX);
        list_init(&buckets[i].waiters);
    }
}

/* ---- Keys ---- */

/*
 * A call without FUTEX_PRIVATE_FLAG may be about private memory: its key is the address all the
 * same, for nobody else has that word.
 */
static bool region_is_shared(struct address_space *space, u64 address)
{
    struct region *region;
    bool shared;

    rwlock_read_lock(&space->lock);
    region = region_find(space, address);
    shared = region && (region->flags & REGION_SHARED);
    rwlock_read_unlock(&space->lock);
    return shared;
}

/* Faulted in for reading: a page of a shared region is the same frame when it is written. */
int futex_key_get(struct user_ptr at, bool is_private, struct futex_key *key)
{
    struct address_space *space = thread_current()->space;
    int error;

    if (at.address % sizeof(u32))
        return -EINVAL;
    if (!user_range_is_valid(at.address, sizeof(u32)))
        return -EFAULT;
    *key = (struct futex_key){(u64)space, at.address, NULL};
    if (is_private || !region_is_shared(space, at.address))
        return 0;
    error = address_space_frame_get(space, at.address, PAGER_READ, &key->frame);
    if (error)
        return error;
    key->object = (u64)key->frame;
    key->offset = at.address & ~PAGE_MASK;
    return 0;
}

void futex_key_put(struct futex_key *key)
{
    if (key->frame)
        frame_put(key->frame);
}

struct futex_bucket *futex_bucket_of(const struct futex_key *key)
{
    return &buckets[futex_key_hash(key, BUCKET_BITS)];
}

/* Makes the word present, so that the next _nofault access finds it. */
int futex_word_touch(struct user_ptr at, unsigned access)
{
    int error =
        address_space_populate(thread_current()->space, at.address & PAGE_MASK, PAGE_SIZE, access);

    return error ? -EFAULT : 0;
}

/* ---- Waiting ---- */

/* The bucket may change until its lock is held: whoever moves the entry holds both. */
static struct futex_bucket *waiter_bucket_lock(struct futex_waiter *waiter)
{
    for (;;) {
        struct futex_bucket *bucket = READ_ONCE(waiter->bucket);

        spin_lock(&bucket->lock);
        if (waiter->bucket == bucket)
            return bucket;
        spin_unlock(&bucket->lock);
    }
}

/*
 * The entry's bucket is locked at last in any case: a waker that held it has let go of the entry,
 * which lies on our stack.
 */
static int waiter_finish(struct futex_waiter *waiter, int result)
{
    struct futex_bucket *bucket = waiter_bucket_lock(waiter);

    if (waiter->woken)
        result = 0;
    else if (!waiter->is_pi_waiter)
        list_remove(&waiter->link);
    spin_unlock(&bucket->lock);
    return result;
}

/*
 * Queues an entry if its word is as expected, and leaves its bucket locked. -EAGAIN: the word is
 * not; -EFAULT; without the lock. A fault costs a round: everything is looked at anew, so a word
 * that changed meanwhile is seen.
 */
static int waiter_queue(struct futex_waiter *waiter, const struct futex_request *request)
    try_acquires(0, &waiter->bucket->lock) no_lock_check
{
    struct futex_bucket *bucket = futex_bucket_of(&waiter->key);

    for (;;) {
        u32 value;
        int error;

        spin_lock(&bucket->lock);
        error = user_load_u32_nofault(request->at, &value);
        if (!error && value == request->value) {
            waiter->bucket = bucket;
            list_push_back(&bucket->waiters, &waiter->link);
            return 0;
        }
        spin_unlock(&bucket->lock);
        if (!error)
            return -EAGAIN;
        if (futex_word_touch(request->at, PAGER_READ))
            return -EFAULT;
    }
}

/* Nothing but a waker, a signal or the time ends the block. */
int futex_wait_with_key(const struct futex_request *request, struct futex_waiter *waiter)
{
    int result = waiter_queue(waiter, request);

    if (result)
        return result;
    result = thread_block_and_release(WAIT_INTERRUPTIBLE, WAIT_FOR_FUTEX, &waiter->bucket->lock,
                                      request->deadline_ns);
    return waiter_finish(waiter, result);
}

int futex_wait(const struct futex_request *request)
{
    struct futex_waiter waiter = {.thread = thread_current(), .bitset = request->bitset};
    int error;

    if (!request->bitset)
        return -EINVAL;
    error = futex_key_get(request->at, request->is_private, &waiter.key);
    if (error)
        return error;
    error = futex_wait_with_key(request, &waiter);
    futex_key_put(&waiter.key);
    return error;
}

/* ---- Waking ---- */

/* The bucket is locked. */
void futex_waiter_wake(struct futex_waiter *waiter)
{
    struct thread *thread = waiter->thread;
    struct futex_any *any = waiter->any;

    list_remove(&waiter->link);
    WRITE_ONCE(waiter->woken, true);
    if (any) {
        spin_lock(&any->lock);
        any->woken = true;
        thread_wake(thread);
        spin_unlock(&any->lock);
        return;
    }
    thread_wake(thread);
}

/* Those that wait to be moved to a PI lock are passed over: they must not wake without it. */
u32 futex_wake_locked(struct futex_bucket *bucket, const struct futex_key *key, u32 count,
                      u32 bitset)
{
    struct futex_waiter *waiter, *following;
    u32 woken = 0;

    list_for_each_safe (waiter, following, &bucket->waiters, link) {
        if (woken == count)
            break;
        if (!futex_key_is(&waiter->key, key) || !(waiter->bitset & bitset) || waiter->requeue_to)
            continue;
        futex_waiter_wake(waiter);
        woken++;
    }
    return woken;
}

/* 0 wakes one, as does a negative count, as on Linux. */
long futex_wake(struct user_ptr at, s32 count, u32 bitset, bool is_private)
{
    struct futex_key key;
    struct futex_bucket *bucket;
    u32 woken = 0;
    int error;

    if (!bitset)
        return -EINVAL;
    error = futex_key_get(at, is_private, &key);
    if (error)
        return error;
    bucket = futex_bucket_of(&key);
    spin_lock(&bucket->lock);
    if (!list_is_empty(&bucket->waiters))
        woken = futex_wake_locked(bucket, &key, (u32)MAX(count, 1), bitset);
    spin_unlock(&bucket->lock);
    futex_key_put(&key);
    return woken;
}

void futex_wake_one(struct user_ptr at)
{
    (void)futex_wake(at, 1, FUTEX_BITSET_MATCH_ANY, false);
}

/* ---- Several words: futex_waitv(2) ---- */

/* Takes the first `count` off again. The index of the last that was woken, or `result`. */
static int any_finish(struct futex_waiter *waiters, u32 count, int result)
{
    for (u32 i = 0; i < count; i++) {
        if (waiter_finish(&waiters[i], -EINTR) == 0)
            result = (int)i;
    }
    return result;
}

/*
 * Woken through any of its entries, the thread sees `woken` under this lock, whoever held which
 * bucket.
 */
static int any_sleep(struct futex_any *any, u64 deadline_ns)
{
    int error = 0;

    spin_lock(&any->lock);
    while (!any->woken && !error)
        error = thread_block_until(WAIT_INTERRUPTIBLE, WAIT_FOR_FUTEX, &any->lock, deadline_ns);
    spin_unlock(&any->lock);
    return error;
}

/*
 * Queues one after the other; a word that has changed, or a fault, ends it there. What was woken
 * meanwhile counts more than that.
 */
static int any_wait(struct futex_waiter *waiters, const struct futex_request *requests, u32 count,
                    u64 deadline_ns)
{
    struct futex_any any = {};
    u32 queued = 0;
    int error = 0;

    spin_init(&any.lock, LOCK_WAIT_QUEUE);
    while (queued < count) {
        waiters[queued].any = &any;
        error = waiter_queue(&waiters[queued], &requests[queued]);
        if (error)
            break;
        spin_unlock(&waiters[queued].bucket->lock);
        queued++;
    }
    if (!error)
        error = any_sleep(&any, deadline_ns);
    return any_finish(waiters, queued, error);
}

int futex_wait_any(const struct futex_request *requests, u32 count, u64 deadline_ns)
{
    struct futex_waiter *waiters = kmalloc(count * sizeof(*waiters), ALLOC_CLEARED);
    u32 keys = 0;
    int result = 0;

    if (!waiters)
        return -ENOMEM;
    while (keys < count && !result) {
        struct futex_waiter *waiter = &waiters[keys];

        waiter->thread = thread_current();
        waiter->bitset = FUTEX_BITSET_MATCH_ANY;
        result = futex_key_get(requests[keys].at, requests[keys].is_private, &waiter->key);
        keys += !result;
    }
    if (!result)
        result = any_wait(waiters, requests, count, deadline_ns);
    while (keys)
        futex_key_put(&waiters[--keys].key);
    kfree(waiters);
    return result;
}
