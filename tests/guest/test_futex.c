/*
 * Futexes beyond waiting and waking: priority inheritance, several words, operations on a word.
 *
 * covers: futex futex_waitv set_robust_list sched_setscheduler
 */
#include "guest.h"

#include <linux/futex.h>
#include <pthread.h>

#ifndef FUTEX_LOCK_PI2
#define FUTEX_LOCK_PI2 13
#endif
#ifndef SYS_futex_waitv
#define SYS_futex_waitv 449
#endif
#define THREADS 4

struct word_wait {
    uint64_t value, address;
    uint32_t flags, reserved;
};
#define WORD_32 (2u | FUTEX_PRIVATE_FLAG)

static uint32_t lock_word, wait_word;
static int stage; /* [atomic] how far the threads are */

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *limit,
                  uint32_t *second, uint32_t third)
{
    return syscall(SYS_futex, word, operation, value, limit, second, third);
}

static long lock_pi(uint32_t *word)
{
    return futex(word, FUTEX_LOCK_PI, 0, NULL, NULL, 0);
}

static long unlock_pi(uint32_t *word)
{
    return futex(word, FUTEX_UNLOCK_PI, 0, NULL, NULL, 0);
}

static pid_t own_id(void)
{
    return syscall(SYS_gettid);
}

static void advance(int to)
{
    __atomic_store_n(&stage, to, __ATOMIC_SEQ_CST);
}

static void await(int wanted)
{
    while (__atomic_load_n(&stage, __ATOMIC_SEQ_CST) < wanted)
        sched_yield();
}

static pthread_t start(void *(*function)(void *), void *argument)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, function, argument), 0);
    return thread;
}

static void join(pthread_t thread)
{
    CHECK_EQ(pthread_join(thread, NULL), 0);
}

static void wait_until_marked(uint32_t *word)
{
    while (!(__atomic_load_n(word, __ATOMIC_SEQ_CST) & FUTEX_WAITERS))
        sched_yield();
}

static struct timespec after_ms(clockid_t clock, long ms)
{
    struct timespec time;

    CHECK_OK(clock_gettime(clock, &time));
    time.tv_nsec += ms * 1000000;
    time.tv_sec += time.tv_nsec / 1000000000;
    time.tv_nsec %= 1000000000;
    return time;
}

/* ---- Priority inheritance ---- */

TEST(futex_pi_lock_is_taken_and_given_back)
{
    CHECK_OK(lock_pi(&lock_word));
    CHECK_EQ(lock_word, own_id());
    CHECK_ERRNO(lock_pi(&lock_word), EDEADLK);
    CHECK_ERRNO(futex(&lock_word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EDEADLK);
    CHECK_OK(unlock_pi(&lock_word));
    CHECK_EQ(lock_word, 0);
    CHECK_ERRNO(unlock_pi(&lock_word), EPERM);
    CHECK_OK(futex(&lock_word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0));
    CHECK_OK(unlock_pi(&lock_word));
}

static void *lock_and_tell(void *unused)
{
    CHECK_ERRNO(futex(&lock_word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), EAGAIN);
    CHECK_ERRNO(unlock_pi(&lock_word), EPERM);
    advance(1);
    CHECK_OK(lock_pi(&lock_word));
    CHECK_EQ(lock_word & FUTEX_TID_MASK, own_id());
    advance(2);
    CHECK_OK(unlock_pi(&lock_word));
    return unused;
}

TEST(futex_pi_unlock_hands_the_lock_to_who_waits)
{
    pthread_t thread;

    CHECK_OK(lock_pi(&lock_word));
    thread = start(lock_and_tell, NULL);
    await(1);
    wait_until_marked(&lock_word);
    CHECK_EQ(__atomic_load_n(&stage, __ATOMIC_SEQ_CST), 1);
    CHECK_OK(unlock_pi(&lock_word));
    await(2);
    join(thread);
    CHECK_EQ(lock_word & FUTEX_TID_MASK, 0);
}

static unsigned counted;

static void *count_under_lock(void *unused)
{
    for (int i = 0; i < 500; i++) {
        CHECK_OK(lock_pi(&lock_word));
        counted++;
        CHECK_OK(unlock_pi(&lock_word));
    }
    return unused;
}

TEST(futex_pi_lock_excludes_all_others)
{
    pthread_t threads[THREADS];

    for (int i = 0; i < THREADS; i++)
        threads[i] = start(count_under_lock, NULL);
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK_EQ(counted, THREADS * 500);
    CHECK_EQ(lock_word & FUTEX_TID_MASK, 0);
}

static void *lock_with_limit(void *unused)
{
    struct timespec limit = after_ms(CLOCK_REALTIME, 20);

    CHECK_ERRNO(futex(&lock_word, FUTEX_LOCK_PI, 0, &limit, NULL, 0), ETIMEDOUT);
    limit = after_ms(CLOCK_MONOTONIC, 20);
    CHECK_ERRNO(futex(&lock_word, FUTEX_LOCK_PI2, 0, &limit, NULL, 0), ETIMEDOUT);
    limit.tv_nsec = 1000000000;
    CHECK_ERRNO(futex(&lock_word, FUTEX_LOCK_PI, 0, &limit, NULL, 0), EINVAL);
    return unused;
}

TEST(futex_pi_lock_gives_up_at_its_limit)
{
    CHECK_OK(lock_pi(&lock_word));
    join(start(lock_with_limit, NULL));
    CHECK_OK(unlock_pi(&lock_word));
}

TEST(futex_pi_lock_of_nobody_gives_esrch)
{
    lock_word = 0x3ffffff0;
    CHECK_ERRNO(lock_pi(&lock_word), ESRCH);
    CHECK_ERRNO(futex(&lock_word, FUTEX_TRYLOCK_PI, 0, NULL, NULL, 0), ESRCH);
    CHECK_ERRNO(lock_pi(bad_address()), EFAULT);
    CHECK_ERRNO(lock_pi((uint32_t *)((char *)&lock_word + 1)), EINVAL);
}

static uint32_t other_word;

static void *lock_the_other_way(void *unused)
{
    CHECK_OK(lock_pi(&other_word));
    advance(1);
    CHECK_OK(lock_pi(&lock_word));
    CHECK_OK(unlock_pi(&lock_word));
    CHECK_OK(unlock_pi(&other_word));
    return unused;
}

TEST(futex_pi_locks_in_a_circle_give_edeadlk)
{
    pthread_t thread;

    CHECK_OK(lock_pi(&lock_word));
    thread = start(lock_the_other_way, NULL);
    await(1);
    wait_until_marked(&lock_word);
    sleep_ms(10);
    CHECK_ERRNO(lock_pi(&other_word), EDEADLK);
    CHECK_OK(unlock_pi(&lock_word));
    join(thread);
}

static void *lock_and_end(void *unused)
{
    CHECK_OK(lock_pi(&lock_word));
    advance(1);
    wait_until_marked(&lock_word);
    sleep_ms(10);
    return unused;
}

TEST(futex_pi_owner_that_ends_gives_its_lock_away_with_owner_died)
{
    pthread_t thread = start(lock_and_end, NULL);

    await(1);
    CHECK_OK(lock_pi(&lock_word));
    CHECK_EQ(lock_word & FUTEX_TID_MASK, own_id());
    CHECK(lock_word & FUTEX_OWNER_DIED);
    join(thread);
    CHECK_OK(unlock_pi(&lock_word));
}

TEST(futex_pi_lock_is_shared_between_processes)
{
    uint32_t *word = mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0);
    pid_t child;

    CHECK_OK(lock_pi(word));
    child = CHECK_OK(fork());
    if (child == 0) {
        CHECK_OK(lock_pi(word));
        CHECK_EQ(*word & FUTEX_TID_MASK, getpid());
        _exit(0); /* with the lock */
    }
    wait_until_marked(word);
    CHECK_OK(unlock_pi(word));
    CHECK_EXIT(child, 0);
}

/* The word /proc/self/task/TID/stat shows: below 0 for a real-time priority. */
static long shown_priority(pid_t tid)
{
    char path[64], text[512], *field;

    snprintf(path, sizeof(path), "/proc/self/task/%d/stat", tid);
    field = strrchr(read_file(path, text, sizeof(text)), ')') + 2;
    for (int i = 3; i < 18; i++)
        field = strchr(field, ' ') + 1;
    return atol(field);
}

static void *lock_with_priority(void *unused)
{
    struct sched_param parameter = {.sched_priority = 30};

    CHECK_OK(syscall(SYS_sched_setscheduler, 0, SCHED_FIFO, &parameter));
    CHECK_OK(lock_pi(&lock_word));
    CHECK_OK(unlock_pi(&lock_word));
    return unused;
}

TEST(futex_pi_owner_runs_with_the_priority_of_who_waits)
{
    pthread_t thread;

    NEEDS_ROOT();
    CHECK_OK(lock_pi(&lock_word));
    CHECK_EQ(shown_priority(own_id()), 20);
    thread = start(lock_with_priority, NULL);
    wait_until_marked(&lock_word);
    while (shown_priority(own_id()) != -31)
        sched_yield();
    CHECK_EQ(syscall(SYS_sched_getscheduler, 0), SCHED_OTHER);
    CHECK_OK(unlock_pi(&lock_word));
    CHECK_EQ(shown_priority(own_id()), 20);
    join(thread);
}

/* ---- From a word to a lock ---- */

static void *wait_to_be_moved(void *unused)
{
    __atomic_fetch_add(&stage, 1, __ATOMIC_SEQ_CST);
    CHECK_OK(futex(&wait_word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &lock_word, 0));
    CHECK_EQ(lock_word & FUTEX_TID_MASK, own_id());
    counted++;
    CHECK_OK(unlock_pi(&lock_word));
    return unused;
}

TEST(futex_cmp_requeue_pi_moves_waiters_to_the_lock)
{
    pthread_t threads[THREADS];
    int moved = 0;

    for (int i = 0; i < THREADS; i++)
        threads[i] = start(wait_to_be_moved, NULL);
    await(THREADS);
    CHECK_OK(lock_pi(&lock_word));
    while (moved < THREADS)
        moved += CHECK_OK(futex(&wait_word, FUTEX_CMP_REQUEUE_PI, 1, (void *)100l, &lock_word, 0));
    CHECK_EQ(counted, 0);
    CHECK_OK(unlock_pi(&lock_word));
    for (int i = 0; i < THREADS; i++)
        join(threads[i]);
    CHECK_EQ(counted, THREADS);
}

TEST(futex_cmp_requeue_pi_gives_a_free_lock_to_the_first)
{
    pthread_t thread = start(wait_to_be_moved, NULL);

    while (CHECK_OK(futex(&wait_word, FUTEX_CMP_REQUEUE_PI, 1, NULL, &lock_word, 0)) == 0)
        sched_yield();
    join(thread);
    CHECK_EQ(counted, 1);
}

TEST(futex_requeue_pi_errors_are_as_documented)
{
    struct timespec limit = after_ms(CLOCK_MONOTONIC, 10);

    CHECK_ERRNO(futex(&wait_word, FUTEX_CMP_REQUEUE_PI, 1, NULL, &lock_word, 1), EAGAIN);
    CHECK_ERRNO(futex(&wait_word, FUTEX_CMP_REQUEUE_PI, 2, NULL, &lock_word, 0), EINVAL);
    CHECK_ERRNO(futex(&wait_word, FUTEX_CMP_REQUEUE_PI, 1, NULL, &wait_word, 0), EINVAL);
    CHECK_ERRNO(futex(&wait_word, FUTEX_WAIT_REQUEUE_PI, 0, NULL, &wait_word, 0), EINVAL);
    CHECK_ERRNO(futex(&wait_word, FUTEX_WAIT_REQUEUE_PI, 1, NULL, &lock_word, 0), EAGAIN);
    CHECK_ERRNO(futex(&wait_word, FUTEX_WAIT_REQUEUE_PI, 0, &limit, &lock_word, 0), ETIMEDOUT);
}

static void *wait_to_be_moved_with_limit(void *unused)
{
    struct timespec limit = after_ms(CLOCK_MONOTONIC, 300);

    CHECK_ERRNO(futex(&wait_word, FUTEX_WAIT_REQUEUE_PI, 0, &limit, &lock_word, 0), ETIMEDOUT);
    return unused;
}

TEST(futex_wait_requeue_pi_gives_up_after_it_was_moved)
{
    pthread_t thread;

    CHECK_OK(lock_pi(&lock_word));
    thread = start(wait_to_be_moved_with_limit, NULL);
    while (CHECK_OK(futex(&wait_word, FUTEX_CMP_REQUEUE_PI, 1, NULL, &lock_word, 0)) == 0)
        sched_yield();
    join(thread);
    CHECK_OK(unlock_pi(&lock_word));
}

/* ---- Several words ---- */

static uint32_t words[3];

static long wait_any(struct word_wait *waits, unsigned count, const struct timespec *limit)
{
    return syscall(SYS_futex_waitv, waits, count, 0, limit, CLOCK_MONOTONIC);
}

static void describe(struct word_wait waits[3])
{
    for (int i = 0; i < 3; i++)
        waits[i] = (struct word_wait){0, (uintptr_t)&words[i], WORD_32, 0};
}

static void *wake_the_second(void *unused)
{
    while (futex(&words[1], FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 1, NULL, NULL, 0) == 0)
        sched_yield();
    return unused;
}

TEST(futex_waitv_returns_the_index_of_the_word_that_was_woken)
{
    struct word_wait waits[3];
    pthread_t thread;

    describe(waits);
    thread = start(wake_the_second, NULL);
    CHECK_EQ(wait_any(waits, 3, NULL), 1);
    join(thread);
    CHECK_EQ(futex(&words[0], FUTEX_WAKE | FUTEX_PRIVATE_FLAG, 9, NULL, NULL, 0), 0);
}

TEST(futex_waitv_errors_are_as_documented)
{
    struct timespec limit = after_ms(CLOCK_MONOTONIC, 10);
    struct word_wait waits[3];

    describe(waits);
    CHECK_ERRNO(wait_any(waits, 3, &limit), ETIMEDOUT);
    words[2] = 5;
    CHECK_ERRNO(wait_any(waits, 3, NULL), EAGAIN);
    CHECK_ERRNO(wait_any(waits, 0, NULL), EINVAL);
    CHECK_ERRNO(wait_any(waits, 129, NULL), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex_waitv, waits, 1, 1, NULL, 0), EINVAL);
    CHECK_ERRNO(syscall(SYS_futex_waitv, waits, 1, 0, &limit, CLOCK_BOOTTIME), EINVAL);
    CHECK_ERRNO(wait_any(bad_address(), 1, NULL), EFAULT);
    waits[0].reserved = 1;
    CHECK_ERRNO(wait_any(waits, 1, NULL), EINVAL);
    waits[0] = (struct word_wait){0, (uintptr_t)&words[0], 0x40, 0};
    CHECK_ERRNO(wait_any(waits, 1, NULL), EINVAL);
}

TEST(futex_waitv_is_interrupted_by_a_handler)
{
    struct word_wait waits[3];

    describe(waits);
    ring_until_the_end(0);
    CHECK_ERRNO(wait_any(waits, 3, NULL), EINTR);
}

TEST(futex_wait_until_a_moment_is_not_made_again_after_a_handler)
{
    static uint32_t word;
    const struct timespec never = {0x7fffffff, 0};

    ring_until_the_end(SA_RESTART);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, &never, NULL, ~0u), EINTR);
}

/* ---- Operations on the second word ---- */

TEST(futex_wake_op_does_each_operation)
{
    static const struct {
        int operation;
        uint32_t before, argument, after;
    } cases[] = {
        {FUTEX_OP_SET, 7, 5, 5},  {FUTEX_OP_ADD, 7, 5, 12}, {FUTEX_OP_OR, 6, 9, 15},
        {FUTEX_OP_ANDN, 7, 5, 2}, {FUTEX_OP_XOR, 7, 5, 2},
    };

    for (int i = 0; i < 5; i++) {
        words[1] = cases[i].before;
        CHECK_EQ(futex(&words[0], FUTEX_WAKE_OP, 1, (void *)1l, &words[1],
                       FUTEX_OP(cases[i].operation, cases[i].argument, FUTEX_OP_CMP_EQ, 0)),
                 0);
        CHECK_EQ(words[1], cases[i].after);
    }
    words[1] = 1;
    CHECK_OK(futex(&words[0], FUTEX_WAKE_OP, 1, (void *)1l, &words[1],
                   FUTEX_OP((FUTEX_OP_OR | FUTEX_OP_OPARG_SHIFT), 4, FUTEX_OP_CMP_EQ, 0)));
    CHECK_EQ(words[1], 17);
    CHECK_ERRNO(futex(&words[0], FUTEX_WAKE_OP, 1, (void *)1l, &words[1], 5u << 28), ENOSYS);
    CHECK_ERRNO(futex(&words[0], FUTEX_WAKE_OP, 1, (void *)1l, bad_address(), 0), EFAULT);
}
