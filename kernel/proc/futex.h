/* What the files about futexes share: keys of words, and locks with priority inheritance. */
#pragma once

#include "internal.h"

struct futex_key {
    u64 object, offset;
    struct frame *frame; /* a reference, or NULL: private */
};

/* ---- futex.c ---- */

/* Of the caller's word at an address. -EINVAL, -EFAULT. */
int futex_key_get(struct user_ptr at, bool is_private, struct futex_key *key) must_check;
void futex_key_put(struct futex_key *key);
static inline bool futex_key_is(const struct futex_key *a, const struct futex_key *b)
{
    return a->offset == b->offset && a->object == b->object;
}
static inline u64 futex_key_hash(const struct futex_key *key, u32 bits)
{
    return ((key->object ^ key->offset) * 0x9e3779b97f4a7c15ul) >> (64 - bits); /* Fibonacci's */
}
/* Makes the word present, so that the next _nofault access finds it. */
int futex_word_touch(struct user_ptr at, unsigned access) must_check;

/* ---- futex_pi.c ---- */

struct pi_lock;

/* A thread that wants a lock; on its own stack. All but `thread`: pi_mutex of futex_pi.c. */
struct pi_waiter {
    struct list link; /* in pi_lock.waiters */
    struct thread *thread;
    struct pi_lock *lock; /* where it waits, or which it has not left yet; NULL */
    bool granted;
    bool owner_died;
};

/* What an attempt to lock came to, if it is no error. */
enum pi_result {
    PI_ACQUIRED = 1,
    PI_QUEUED,
    PI_AGAIN, /* prepare, and try anew */
};

struct pi_attempt {
    struct user_ptr at;
    const struct futex_key *key;
    struct pi_waiter *waiter;
    bool only_try;
    bool word_is_missing;  /* it must be touched first */
    u32 owner_tid;         /* whom the word named ... */
    struct thread *owner;  /* ... a reference, or NULL: nobody has that number */
    struct pi_lock *fresh; /* for the first who waits */
};

void pi_attempt_init(struct pi_attempt *attempt, struct user_ptr at, const struct futex_key *key);
void pi_attempt_fini(struct pi_attempt *attempt);
/* What may sleep. -ENOMEM, -EFAULT. */
int pi_attempt_prepare(struct pi_attempt *attempt) must_check;
/* A PI_* or an error: -EDEADLK, -ESRCH, -EPERM, -EAGAIN (only_try). Under spinlocks. */
int pi_attempt(struct pi_attempt *attempt) must_check;
/* The calling thread was moved to a lock: waits for it. 0, -ETIMEDOUT, -EAGAIN: a signal came. */
int pi_wait_moved(struct pi_waiter *waiter, struct user_ptr at, u64 deadline_ns) must_check;

/* ---- futex.c, for futex_two.c ---- */

struct futex_bucket {
    struct spinlock lock;
    struct list waiters; /* guarded_by(&lock) */
} aligned(64);

struct futex_waiter {
    struct list link;
    struct futex_bucket *bucket; /* where it waits now; that bucket's lock */
    struct futex_key key;
    struct thread *thread;
    u32 bitset;
    bool woken;                         /* the bucket's lock */
    struct futex_any *any;              /* it waits for others as well; NULL: for this alone */
    const struct futex_key *requeue_to; /* WAIT_REQUEUE_PI: the lock that it may be moved to ... */
    struct pi_waiter pi;                /* ... and how it waits there */
    bool is_pi_waiter;                  /* the bucket's lock: it was moved */
};

struct futex_bucket *futex_bucket_of(const struct futex_key *key);
/*
 * Waits for the request's word with a waiter whose key and thread are set. 0 when woken; -EAGAIN:
 * the word is not as expected; -EFAULT, -EINTR, -ETIMEDOUT.
 */
int futex_wait_with_key(const struct futex_request *request, struct futex_waiter *waiter)
    must_check;
/* Takes it off its bucket, which is locked. */
void futex_waiter_wake(struct futex_waiter *waiter);
/*
 * Wakes up to `count` waiters of the key that want one of the bits. How many it woke. The bucket is
 * locked: alone or with another one, in an order that the lock check cannot follow.
 */
u32 futex_wake_locked(struct futex_bucket *bucket, const struct futex_key *key, u32 count,
                      u32 bitset);
