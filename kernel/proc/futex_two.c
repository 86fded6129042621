/*
 * Futexes, two words at once: waiters that are moved from one word to another, or wake with an
 * operation on the second (futex(2): FUTEX_REQUEUE, FUTEX_CMP_REQUEUE, FUTEX_WAKE_OP), and those
 * that are moved to a lock with priority inheritance (FUTEX_WAIT_REQUEUE_PI, FUTEX_CMP_REQUEUE_PI).
 *
 * A condition variable's waiters all want its mutex next: to wake them all would let them run only
 * to wait again. So the first is woken, and the others are moved, asleep, to the mutex's word.
 *
 * Both buckets are locked while waiters move, so whoever looks for a waiter finds it in one of
 * them. Words are read and changed without faulting, as in futex.c: what is missing is touched with
 * nothing locked, and the attempt begins anew. A move to a lock with priority inheritance takes one
 * waiter after the other, as futex_pi.c may have to sleep between two of them.
 *
 * Locking: two of bucket.lock (LOCK_FUTEX), by address; then futex_pi.c's.
 * Context: threads only. Touching a word sleeps.
 */
#include "futex.h"

struct two_keys {
    struct futex_key first, second;
    struct futex_bucket *from, *to;
};

/* Both keys hold their frames until the end, so neither word becomes another's. */
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
    keys->from = futex_bucket_of(&keys->first);
    keys->to = futex_bucket_of(&keys->second);
    return 0;
}

static void two_keys_put(struct two_keys *keys)
{
    futex_key_put(&keys->first);
    futex_key_put(&keys->second);
}

/* `bucket` is read by the waiter without a lock (waiter_bucket_lock); it may change under both. */
static void waiter_move(struct futex_waiter *waiter, struct two_keys *keys)
{
    list_remove(&waiter->link);
    if (keys->second.frame)
        frame_get(keys->second.frame);
    futex_key_put(&waiter->key);
    waiter->key = keys->second;
    WRITE_ONCE(waiter->bucket, keys->to);
    list_push_back(&keys->to->waiters, &waiter->link);
}

/*
 * Both buckets are locked. Moves waiters of the first word to the second. If that is the same word
 * they are where they belong: moved to the end of their own list, they would be met again for ever.
 */
static u32 requeue_locked(struct two_keys *keys, u32 count)
{
    bool stays = futex_key_is(&keys->first, &keys->second);
    struct futex_waiter *waiter, *following;
    u32 moved = 0;

    list_for_each_safe (waiter, following, &keys->from->waiters, link) {
        if (moved == count)
            break;
        if (!futex_key_is(&waiter->key, &keys->first) || waiter->requeue_to)
            continue;
        if (!stays)
            waiter_move(waiter, keys);
        moved++;
    }
    return moved;
}

/* What does not fault is done under both locks at once, or not at all. */
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
        woken = futex_wake_locked(keys->from, &keys->first, request->count, FUTEX_BITSET_MATCH_ANY);
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

/* Linux answers ENOSYS for what it does not know. */
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

/* A loop of compare-and-exchange: other threads may change the word from user mode meanwhile. */
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

/*
 * The word is changed before anybody is woken, under the locks: a waiter that comes now sees the
 * new value.
 */
static int wake_operation_attempt(const struct futex_request *request, struct two_keys *keys,
                                  long *result_out)
{
    u32 encoded = request->third, old;
    int error;

    spin_lock_pair(&keys->from->lock, &keys->to->lock);
    error = word_operate(request->second, encoded, &old);
    if (!error) {
        *result_out = futex_wake_locked(keys->from, &keys->first, MAX(request->count, 1u),
                                        FUTEX_BITSET_MATCH_ANY);
        if (operation_compares(encoded >> 24 & 0xf, old, sign_extend_12(encoded & 0xfff)))
            *result_out += futex_wake_locked(keys->to, &keys->second, MAX(request->value, 1u),
                                             FUTEX_BITSET_MATCH_ANY);
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

/*
 * The lock's key is looked up before it waits, since the mover compares it with the one that it was
 * told.
 */
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
                                  futex_wait_with_key(request, &waiter));
    futex_key_put(&waiter.key);
    futex_key_put(&lock_key);
    return error;
}

/*
 * Whatever it waits for: a waiter that was not meant to be moved to this lock is the caller's
 * error.
 */
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
        futex_waiter_wake(waiter);
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

/* One more than value: the one that is woken is the first that is given the lock. */
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
