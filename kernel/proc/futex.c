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
#include "internal.h"

#define BUCKET_BITS 8

struct futex_key {
    u64 object, offset;
    struct frame *frame; /* a reference, or NULL: private */
};

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
    bool woken; /* the bucket's lock */
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

static int key_of(struct user_ptr at, bool is_private, struct futex_key *key)
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

static void key_put(struct futex_key *key)
{
    if (key->frame)
        frame_put(key->frame);
}

static bool key_is(const struct futex_key *a, const struct futex_key *b)
{
    return a->offset == b->offset && a->object == b->object;
}

static struct bucket *bucket_of(const struct futex_key *key)
{
    u64 hash = (key->object ^ key->offset) * 0x9e3779b97f4a7c15ul; /* Fibonacci hashing */

    return &buckets[hash >> (64 - BUCKET_BITS)];
}

/* Makes the word present, so that the next _nofault access finds it. */
static int word_touch(struct user_ptr at, unsigned access)
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
    else
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
        error = word_touch(request->at, PAGER_READ);
        if (error)
            return -EFAULT;
    }
}

int futex_wait(const struct futex_request *request)
{
    struct futex_waiter waiter;
    int error;

    if (!request->bitset)
        return -EINVAL;
    error = key_of(request->at, request->is_private, &waiter.key);
    if (error)
        return error;
    waiter.thread = thread_current();
    waiter.bitset = request->bitset;
    waiter.woken = false;
    error = wait_with_key(request, &waiter);
    key_put(&waiter.key);
    return error;
}

/* ---- Waking ---- */

/* The bucket is locked. */
static void waiter_wake(struct futex_waiter *waiter)
{
    struct thread *thread = waiter->thread;

    list_remove(&waiter->link);
    WRITE_ONCE(waiter->woken, true);
    thread_wake(thread);
}

static u32 wake_locked(struct bucket *bucket, const struct futex_key *key, u32 count, u32 bitset)
{
    struct futex_waiter *waiter, *following;
    u32 woken = 0;

    list_for_each_safe (waiter, following, &bucket->waiters, link) {
        if (woken == count)
            break;
        if (!key_is(&waiter->key, key) || !(waiter->bitset & bitset))
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
    error = key_of(at, is_private, &key);
    if (error)
        return error;
    bucket = bucket_of(&key);
    spin_lock(&bucket->lock);
    if (!list_is_empty(&bucket->waiters))
        woken = wake_locked(bucket, &key, MAX(count, 1u), bitset);
    spin_unlock(&bucket->lock);
    key_put(&key);
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
    int error = key_of(request->at, request->is_private, &keys->first);

    if (error)
        return error;
    error = key_of(request->second, request->is_private, &keys->second);
    if (error) {
        key_put(&keys->first);
        return error;
    }
    keys->from = bucket_of(&keys->first);
    keys->to = bucket_of(&keys->second);
    return 0;
}

static void two_keys_put(struct two_keys *keys)
{
    key_put(&keys->first);
    key_put(&keys->second);
}

/* Both buckets are locked. Moves waiters of the first word to the second. */
static u32 requeue_locked(struct two_keys *keys, u32 count)
{
    struct futex_waiter *waiter, *following;
    u32 moved = 0;

    list_for_each_safe (waiter, following, &keys->from->waiters, link) {
        if (moved == count)
            break;
        if (!key_is(&waiter->key, &keys->first))
            continue;
        list_remove(&waiter->link);
        if (keys->second.frame)
            frame_get(keys->second.frame);
        key_put(&waiter->key);
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
    int error = two_keys_get(request, &keys);

    if (error)
        return error;
    for (;;) {
        error = operates ? wake_operation_attempt(request, &keys, &result)
                         : requeue_attempt(request, &keys, &result);
        if (!error)
            break;
        error = word_touch(operates ? request->second : request->at,
                           operates ? PAGER_WRITE : PAGER_READ);
        if (error) {
            result = -EFAULT;
            break;
        }
    }
    two_keys_put(&keys);
    return result;
}
