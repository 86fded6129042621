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
 * Locking: bucket.lock (LOCK_FUTEX); two by address. A waiter's `bucket` changes under both.
 * Context: threads only. Waits sleep.
 */
#include "futex.h"

#define BUCKET_BITS 8

struct bucket {
    struct spinlock lock;
    struct list waiters; /* guarded_by(&lock) */
} aligned(64);

struct futex_waiter {
    struct list link;
    struct bucket *bucket; /* where it waits now; that bucket's lock */
    struct futex_key key;
    struct thread *thread;
    u32 bitset;
    bool woken;                         /* the bucket's lock */
    struct futex_any *any;              /* it waits for others as well; NULL: for this alone */
    const struct futex_key *requeue_to; /* WAIT_REQUEUE_PI: the lock that it may be moved to ... */
    struct pi_waiter pi;                /* ... and how it waits there */
    bool is_pi_waiter;                  /* the bucket's lock: it was moved */
};

/* A thread that waits for several words sleeps under this lock: no bucket's keeps all of them. */
struct futex_any {
    struct spinlock lock; /* LOCK_WAIT_QUEUE */
    bool woken;           /* guarded_by(&lock) */
};

static struct bucket buckets[1u << BUCKET_BITS];

void futex_init(void)
{
    for (size_t i = 0; i < ARRAY_SIZE(buckets); i++) {
        spin_init(&buckets[i].lock, LOCK_FUTEX);
        list_init(&buckets[i].waiters);
    }
}

/* ---- Keys ---- */

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

static struct bucket *bucket_of(const struct futex_key *key)
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

static struct bucket *waiter_bucket_lock(struct futex_waiter *waiter)
{
    for (;;) {
        struct bucket *bucket = READ_ONCE(waiter->bucket);

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
    struct bucket *bucket = waiter_bucket_lock(waiter);

    if (waiter->woken)
        result = 0;
    else if (!waiter->is_pi_waiter)
        list_remove(&waiter->link);
    spin_unlock(&bucket->lock);
    return result;
}

/* bucket->lock is held and let go. Nothing but a waker, a signal or the time ends the block. */
static int wait_queued(struct futex_waiter *waiter, struct bucket *bucket, u64 deadline_ns)
{
    int result;

    waiter->bucket = bucket;
    list_push_back(&bucket->waiters, &waiter->link);
    result =
        thread_block_and_release(WAIT_INTERRUPTIBLE, WAIT_FOR_FUTEX, &bucket->lock, deadline_ns);
    return waiter_finish(waiter, result);
}

static int wait_with_key(const struct futex_request *request, struct futex_waiter *waiter)
{
    struct bucket *bucket = bucket_of(&waiter->key);

    for (;;) {
        u32 value;
        int error;

        spin_lock(&bucket->lock);
        error = user_load_u32_nofault(request->at, &value);
        if (!error && value == request->value)
            return wait_queued(waiter, bucket, request->deadline_ns);
        spin_unlock(&bucket->lock);
        if (!error)
            return -EAGAIN;
        error = futex_word_touch(request->at, PAGER_READ);
        if (error)
            return -EFAULT;
    }
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
    error = wait_with_key(request, &waiter);
    futex_key_put(&waiter.key);
    return error;
}

/* ---- Waking ---- */

/* The bucket is locked. */
static void waiter_wake(struct futex_waiter *waiter)
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

static u32 wake_locked(struct bucket *bucket, const struct futex_key *key, u32 count, u32 bitset)
{
    struct futex_waiter *waiter, *following;
    u32 woken = 0;

    list_for_each_safe (waiter, following, &bucket->waiters, link) {
        if (woken == count)
            break;
        if (!futex_key_is(&waiter->key, key) || !(waiter->bitset & bitset) || waiter->requeue_to)
            continue;
        waiter_wake(waiter);
        woken++;
    }
    return woken;
}

long futex_wake(struct user_ptr at, u32 count, u32 bitset, bool is_private)
{
    struct futex_key key;
    struct bucket *bucket;
    u32 woken = 0;
    int error;

    if (!bitset)
        return -EINVAL;
    error = futex_key_get(at, is_private, &key);
    if (error)
        return error;
    bucket = bucket_of(&key);
    spin_lock(&bucket->lock);
    if (!list_is_empty(&bucket->waiters))
        woken = wake_locked(bucket, &key, MAX(count, 1u), bitset);
    spin_unlock(&bucket->lock);
    futex_key_put(&key);
    return woken;
}

void futex_wake_one(struct user_ptr at)
{
    (void)futex_wake(at, 1, FUTEX_BITSET_MATCH_ANY, false);
}

/* ---- Two words at once ---- */

struct two_keys {
    struct futex_key first, second;
    struct bucket *from, *to;
};

static int two_keys_get(const struct futex_request *request, struct two_keys *keys)
{
    int error = futex_key_get(request->at, request->is_private, &keys->first);

    if (error)
        return error;
    error = futex_key_get(request->second, request->is_private, &keys->second);
    if (error) {
        futex_key_put(&keys->first);
        return error;
    }
    keys->from = bucket_of(&keys->first);
    keys->to = bucket_of(&keys->second);
    return 0;
}

static void two_keys_put(struct two_keys *keys)
{
    futex_key_put(&keys->first);
    futex_key_put(&keys->second);
}

/* Both buckets are locked. Moves waiters of the first word to the second. */
static u32 requeue_locked(struct two_keys *keys, u32 count)
{
    struct futex_waiter *waiter, *following;
    u32 moved = 0;

    list_for_each_safe (waiter, following, &keys->from->waiters, link) {
        if (moved == count)
            break;
        if (!futex_key_is(&waiter->key, &keys->first) || waiter->requeue_to)
            continue;
        list_remove(&waiter->link);
        if (keys->second.frame)
            frame_get(keys->second.frame);
        futex_key_put(&waiter->key);
        waiter->key = keys->second;
        WRITE_ONCE(waiter->bucket, keys->to);
        list_push_back(&keys->to->waiters, &waiter->link);
        moved++;
    }
    return moved;
}

static int requeue_attempt(const struct futex_request *request, struct two_keys *keys,
                           long *result_out)
{
    u32 value = request->third, woken;
    int error = 0;

    spin_lock_pair(&keys->from->lock, &keys->to->lock);
    if (request->operation == FUTEX_CMP_REQUEUE)
        error = user_load_u32_nofault(request->at, &value);
    if (!error && value != request->third) {
        *result_out = -EAGAIN;
    } else if (!error) {
        woken = wake_locked(keys->from, &keys->first, request->count, FUTEX_BITSET_MATCH_ANY);
        *result_out = woken + requeue_locked(keys, request->value);
    }
    spin_unlock_pair(&keys->from->lock, &keys->to->lock);
    return error;
}

/* An encoded operation on the second word (futex(2), FUTEX_WAKE_OP). */
static u32 operation_result(u32 operation, u32 argument, u32 old)
{
    switch (operation & 7) {
    case 0:
        return argument;
    case 1:
        return old + argument;
    case 2:
        return old | argument;
    case 3:
        return old & ~argument;
    default:
        return old ^ argument;
    }
}

static bool operation_is_known(u32 encoded)
{
    return (encoded >> 28 & 7) <= 4 && (encoded >> 24 & 0xf) <= 5;
}

static bool operation_compares(u32 comparison, s32 old, s32 argument)
{
    switch (comparison) {
    case 0:
        return old == argument;
    case 1:
        return old != argument;
    case 2:
        return old < argument;
    case 3:
        return old <= argument;
    case 4:
        return old > argument;
    default:
        return old >= argument;
    }
}

static s32 sign_extend_12(u32 value)
{
    return (s32)(value << 20) >> 20;
}

static int word_operate(struct user_ptr at, u32 encoded, u32 *old_out)
{
    u32 operation = encoded >> 28, argument = sign_extend_12(encoded >> 12 & 0xfff), old, seen;
    int error;

    if (operation & 8)
        argument = 1u << (argument & 31);
    error = user_load_u32_nofault(at, &old);
    while (!error) {
        u32 value = operation_result(operation, argument, old);

        error = user_compare_exchange_u32_nofault(at, old, value, &seen);
        if (!error && seen == old)
            break;
        old = seen;
    }
    *old_out = old;
    return error;
}

static int wake_operation_attempt(const struct futex_request *request, struct two_keys *keys,
                                  long *result_out)
{
    u32 encoded = request->third, old;
    int error;

    spin_lock_pair(&keys->from->lock, &keys->to->lock);
    error = word_operate(request->second, encoded, &old);
    if (!error) {
        *result_out = wake_locked(keys->from, &keys->first, request->count, FUTEX_BITSET_MATCH_ANY);
        if (operation_compares(encoded >> 24 & 0xf, old, sign_extend_12(encoded & 0xfff)))
            *result_out +=
                wake_locked(keys->to, &keys->second, request->value, FUTEX_BITSET_MATCH_ANY);
    }
    spin_unlock_pair(&keys->from->lock, &keys->to->lock);
    return error;
}

/* Tries until no word is missing; each round makes the missing one present. */
long futex_two(const struct futex_request *request)
{
    bool operates = request->operation == FUTEX_WAKE_OP;
    struct two_keys keys;
    long result = 0;
    int error;

    if (operates && !operation_is_known(request->third))
        return -ENOSYS;
    error = two_keys_get(request, &keys);
    if (error)
        return error;
    for (;;) {
        error = operates ? wake_operation_attempt(request, &keys, &result)
                         : requeue_attempt(request, &keys, &result);
        if (!error)
            break;
        error = futex_word_touch(operates ? request->second : request->at,
                                 operates ? PAGER_WRITE : PAGER_READ);
        if (error) {
            result = -EFAULT;
            break;
        }
    }
    two_keys_put(&keys);
    return result;
}

/* ---- Several words: futex_waitv(2) ---- */

/* Queues one of them if its word is as expected. */
static int any_queue(struct futex_waiter *waiter, const struct futex_request *request)
{
    struct bucket *bucket = bucket_of(&waiter->key);

    for (;;) {
        u32 value;
        int error;

        spin_lock(&bucket->lock);
        error = user_load_u32_nofault(request->at, &value);
        if (!error && value == request->value) {
            waiter->bucket = bucket;
            list_push_back(&bucket->waiters, &waiter->link);
        }
        spin_unlock(&bucket->lock);
        if (!error)
            return value == request->value ? 0 : -EAGAIN;
        if (futex_word_touch(request->at, PAGER_READ))
            return -EFAULT;
    }
}

/* Takes the first `count` off again. The index of the last that was woken, or `result`. */
static int any_finish(struct futex_waiter *waiters, u32 count, int result)
{
    for (u32 i = 0; i < count; i++) {
        if (waiter_finish(&waiters[i], -EINTR) == 0)
            result = (int)i;
    }
    return result;
}

static int any_sleep(struct futex_any *any, u64 deadline_ns)
{
    int error = 0;

    spin_lock(&any->lock);
    while (!any->woken && !error)
        error = thread_block_until(WAIT_INTERRUPTIBLE, WAIT_FOR_FUTEX, &any->lock, deadline_ns);
    spin_unlock(&any->lock);
    return error;
}

static int any_wait(struct futex_waiter *waiters, const struct futex_request *requests, u32 count,
                    u64 deadline_ns)
{
    struct futex_any any = {};
    u32 queued = 0;
    int error = 0;

    spin_init(&any.lock, LOCK_WAIT_QUEUE);
    while (queued < count && !error) {
        waiters[queued].any = &any;
        error = any_queue(&waiters[queued], &requests[queued]);
        queued += !error;
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

/* ---- From a word to a lock with priority inheritance ---- */

/* What a wait that may be moved to a lock ended with. */
static int requeued_wait_end(struct futex_waiter *waiter, struct user_ptr lock_at, u64 deadline_ns,
                             int result)
{
    if (waiter->is_pi_waiter)
        return pi_wait_moved(&waiter->pi, lock_at, deadline_ns);
    if (result == 0) /* the lock was free, and was taken for us */
        return waiter->pi.granted ? 0 : -EAGAIN;
    return result;
}

int futex_wait_requeue_pi(const struct futex_request *request)
{
    struct futex_waiter waiter = {
        .thread = thread_current(),
        .bitset = FUTEX_BITSET_MATCH_ANY,
        .pi.thread = thread_current(),
    };
    struct futex_key lock_key;
    int error = futex_key_get(request->second, request->is_private, &lock_key);

    if (error)
        return error;
    list_init(&waiter.pi.link);
    waiter.requeue_to = &lock_key;
    error = futex_key_get(request->at, request->is_private, &waiter.key);
    if (!error && futex_key_is(&waiter.key, &lock_key))
        error = -EINVAL;
    else if (!error)
        error = requeued_wait_end(&waiter, request->second, request->deadline_ns,
                                  wait_with_key(request, &waiter));
    futex_key_put(&waiter.key);
    futex_key_put(&lock_key);
    return error;
}

static struct futex_waiter *first_to_move(struct two_keys *keys)
{
    struct futex_waiter *waiter;

    list_for_each (waiter, &keys->from->waiters, link)
        if (futex_key_is(&waiter->key, &keys->first))
            return waiter;
    return NULL;
}

/* The lock is given to the waiter, or it waits there from now on. The bucket is locked. */
static int move_waiter(struct futex_waiter *waiter, struct pi_attempt *attempt)
{
    int result;

    attempt->waiter = &waiter->pi;
    result = pi_attempt(attempt);
    if (result == PI_ACQUIRED) {
        waiter_wake(waiter);
    } else if (result == PI_QUEUED) {
        list_remove(&waiter->link);
        waiter->is_pi_waiter = true;
    }
    return result;
}

/* Moves the first waiter. 0: nobody waits; else a PI_* or an error. */
static int move_one(struct two_keys *keys, struct pi_attempt *attempt)
{
    struct futex_waiter *waiter;
    int result = 0;

    spin_lock(&keys->from->lock);
    waiter = first_to_move(keys);
    if (waiter && (!waiter->requeue_to || !futex_key_is(waiter->requeue_to, &keys->second)))
        result = -EINVAL;
    else if (waiter)
        result = move_waiter(waiter, attempt);
    spin_unlock(&keys->from->lock);
    return result;
}

/* -EAGAIN: the first word is not what the caller saw. */
static int first_word_check(const struct futex_request *request, struct two_keys *keys)
{
    u32 value;
    int error;

    do {
        spin_lock(&keys->from->lock);
        error = user_load_u32_nofault(request->at, &value);
        spin_unlock(&keys->from->lock);
        if (!error)
            return value == request->third ? 0 : -EAGAIN;
    } while (!futex_word_touch(request->at, PAGER_READ));
    return -EFAULT;
}

/* Until `count` are moved, or nobody waits. How many, or an error if it is none. */
static long move_all(struct two_keys *keys, struct pi_attempt *attempt, u32 count)
{
    long moved = 0;
    int result;

    while (moved < (long)count) {
        result = pi_attempt_prepare(attempt);
        if (!result)
            result = move_one(keys, attempt);
        if (result <= 0)
            return moved ? moved : result;
        moved += result != PI_AGAIN;
    }
    return moved;
}

long futex_requeue_pi(const struct futex_request *request)
{
    struct pi_attempt attempt;
    struct two_keys keys;
    long result = two_keys_get(request, &keys);

    if (result)
        return result;
    result = futex_key_is(&keys.first, &keys.second) ? -EINVAL : first_word_check(request, &keys);
    if (!result) {
        pi_attempt_init(&attempt, request->second, &keys.second);
        result = move_all(&keys, &attempt, request->value + 1);
        pi_attempt_fini(&attempt);
    }
    two_keys_put(&keys);
    return result;
}
