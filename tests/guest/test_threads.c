/*
 * Threads as the C library makes them: clone's thread flags, futexes, thread-local storage,
 * robust lists, and what is the process's and what the thread's.
 *
 * covers: clone gettid futex set_tid_address set_robust_list get_robust_list arch_prctl tgkill
 * covers: exit exit_group sched_yield membarrier rseq
 */
#include "guest.h"

#include <limits.h>
#include <linux/futex.h>
#include <pthread.h>
#include <semaphore.h>
#include <sys/resource.h>
#include <sys/uio.h>

static pid_t thread_id(void)
{
    return syscall(SYS_gettid);
}

static long futex(uint32_t *word, int operation, uint32_t value, const struct timespec *timeout,
                  uint32_t *word2, uint32_t value3)
{
    return syscall(SYS_futex, word, operation, value, timeout, word2, value3);
}

static pthread_t start(void *(*function)(void *), void *argument)
{
    pthread_t thread;

    CHECK_EQ(pthread_create(&thread, NULL, function, argument), 0);
    return thread;
}

static void *join(pthread_t thread)
{
    void *result;

    CHECK_EQ(pthread_join(thread, &result), 0);
    return result;
}

static void *return_argument(void *argument)
{
    return argument;
}

TEST(thread_returns_its_value_to_join)
{
    CHECK_EQ(join(start(return_argument, (void *)1234)), 1234);
}

static void *return_ids(void *argument)
{
    pid_t *ids = argument;

    ids[0] = getpid();
    ids[1] = thread_id();
    ids[2] = getppid();
    return NULL;
}

TEST(thread_has_the_process_id_and_a_thread_id_of_its_own)
{
    pid_t ids[3];

    CHECK_EQ(thread_id(), getpid());
    join(start(return_ids, ids));
    CHECK_EQ(ids[0], getpid());
    CHECK_NE(ids[1], getpid());
    CHECK_EQ(ids[2], getppid());
}

static __thread int local = 5;
static void *change_local(void *argument)
{
    CHECK_EQ(local, 5);
    local = 6;
    return NULL;
}

TEST(thread_has_its_own_local_storage)
{
    local = 7;
    join(start(change_local, NULL));
    CHECK_EQ(local, 7);
}

static pthread_mutex_t mutex = PTHREAD_MUTEX_INITIALIZER;
static long counter;
static void *count_under_mutex(void *argument)
{
    for (int i = 0; i < 20000; i++) {
        pthread_mutex_lock(&mutex);
        counter++;
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

TEST(thread_mutex_keeps_a_counter_exact)
{
    pthread_t threads[4];

    for (int i = 0; i < 4; i++)
        threads[i] = start(count_under_mutex, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
    CHECK_EQ(counter, 80000);
}

static pthread_cond_t condition = PTHREAD_COND_INITIALIZER;
static int turn;
static void *take_turns(void *argument)
{
    int me = (int)(long)argument;

    for (int round = 0; round < 200; round++) {
        pthread_mutex_lock(&mutex);
        while (turn != me)
            pthread_cond_wait(&condition, &mutex);
        turn = !me;
        pthread_cond_signal(&condition);
        pthread_mutex_unlock(&mutex);
    }
    return NULL;
}

TEST(thread_condition_variable_passes_turns)
{
    pthread_t one = start(take_turns, (void *)0), two = start(take_turns, (void *)1);

    join(one);
    join(two);
}

static pthread_barrier_t barrier;
static int arrived;
static void *meet(void *argument)
{
    for (int round = 1; round <= 20; round++) {
        __atomic_fetch_add(&arrived, 1, __ATOMIC_SEQ_CST);
        pthread_barrier_wait(&barrier);
        CHECK_EQ(__atomic_load_n(&arrived, __ATOMIC_SEQ_CST), 4 * round);
        pthread_barrier_wait(&barrier);
    }
    return NULL;
}

TEST(thread_barrier_holds_until_all_came)
{
    pthread_t threads[4];

    pthread_barrier_init(&barrier, NULL, 4);
    for (int i = 0; i < 4; i++)
        threads[i] = start(meet, NULL);
    for (int i = 0; i < 4; i++)
        join(threads[i]);
}

TEST(thread_many_come_and_go)
{
    for (int round = 0; round < 20; round++) {
        pthread_t threads[20];

        for (long i = 0; i < 20; i++)
            threads[i] = start(return_argument, (void *)i);
        for (long i = 0; i < 20; i++)
            CHECK_EQ(join(threads[i]), i);
    }
}

static void *wait_forever(void *argument)
{
    for (;;)
        pause();
    return NULL;
}

TEST(exit_group_ends_all_threads)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        for (int i = 0; i < 5; i++)
            start(wait_forever, NULL);
        _exit(3);
    }
    CHECK_EXIT(child, 3);
}

static void *exit_process(void *argument)
{
    sleep_ms(20);
    _exit(4);
}

TEST(exit_group_by_another_thread_ends_the_main_one)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        start(exit_process, NULL);
        wait_forever(NULL);
    }
    CHECK_EXIT(child, 4);
}

static void *end_later(void *argument)
{
    sleep_ms(50);
    _exit(9);
}

TEST(exit_of_the_main_thread_leaves_the_others_running)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        start(end_later, NULL);
        syscall(SYS_exit, 1);
    }
    CHECK_EXIT(child, 9);
}

TEST(sigkill_ends_all_threads)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        for (int i = 0; i < 5; i++)
            start(wait_forever, NULL);
        wait_forever(NULL);
    }
    sleep_ms(50);
    CHECK_OK(kill(child, SIGKILL));
    CHECK_KILLED(child, SIGKILL);
}

static void *fork_in_thread(void *argument)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0)
        _exit(thread_id() == getpid() ? 11 : 1);
    CHECK_EXIT(child, 11);
    return NULL;
}

TEST(fork_in_a_thread_makes_a_process_of_one_thread)
{
    join(start(fork_in_thread, NULL));
}

static void *exec_in_thread(void *argument)
{
    static char pid_text[16];
    char *const argv[] = {"sh", "-c", "test $$ = $1", "sh", pid_text, NULL};

    snprintf(pid_text, sizeof(pid_text), "%d", getpid());
    execv("/bin/sh", argv);
    _exit(99);
}

TEST(execve_in_a_thread_ends_the_others_and_takes_the_leaders_id)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        for (int i = 0; i < 3; i++)
            start(wait_forever, NULL);
        start(exec_in_thread, NULL);
        wait_forever(NULL);
    }
    CHECK_EXIT(child, 0);
}

static volatile pid_t handled_by;
static void note_thread(int signal)
{
    handled_by = thread_id();
}

static volatile pid_t waiting_thread;
static void *wait_for_signal(void *argument)
{
    waiting_thread = thread_id();
    while (!handled_by)
        sleep_ms(1);
    return NULL;
}

TEST(tgkill_reaches_the_very_thread)
{
    pthread_t thread;

    handle_signal(SIGUSR1, note_thread, 0);
    thread = start(wait_for_signal, NULL);
    while (!waiting_thread)
        sleep_ms(1);
    CHECK_OK(syscall(SYS_tgkill, getpid(), waiting_thread, SIGUSR1));
    join(thread);
    CHECK_EQ(handled_by, waiting_thread);
}

static void *publish_id_and_wait(void *unused)
{
    __atomic_store_n(&waiting_thread, thread_id(), __ATOMIC_SEQ_CST);
    for (;;)
        pause();
    return unused;
}

/* setpgid alone asks that it be the one that leads the process. */
TEST(kill_and_its_kin_take_any_threads_number_for_its_process)
{
    char from = 'a', to = 'b';
    struct iovec local = {&to, 1}, remote = {&from, 1};
    struct rlimit limit;

    handle_signal(SIGUSR1, note_thread, 0);
    start(publish_id_and_wait, NULL);
    while (!__atomic_load_n(&waiting_thread, __ATOMIC_SEQ_CST))
        sleep_ms(1);
    CHECK_EQ(getpgid(waiting_thread), getpgrp());
    CHECK_EQ(getsid(waiting_thread), getsid(0));
    CHECK_ERRNO(setpgid(waiting_thread, 0), EINVAL);
    CHECK_OK(prlimit(waiting_thread, RLIMIT_NOFILE, NULL, &limit));
    CHECK_EQ(process_vm_readv(waiting_thread, &local, 1, &remote, 1, 0), 1);
    CHECK_EQ(to, 'a');
    CHECK_OK(kill(waiting_thread, 0));
    CHECK_OK(kill(waiting_thread, SIGUSR1));
    while (!handled_by)
        sleep_ms(1);
}

TEST(kill_of_a_process_takes_a_thread_that_does_not_block_the_signal)
{
    sigset_t set;
    pthread_t thread;

    handle_signal(SIGUSR1, note_thread, 0);
    thread = start(wait_for_signal, NULL);
    while (!waiting_thread)
        sleep_ms(1);
    sigemptyset(&set);
    sigaddset(&set, SIGUSR1);
    CHECK_EQ(pthread_sigmask(SIG_BLOCK, &set, NULL), 0);
    CHECK_OK(kill(getpid(), SIGUSR1));
    join(thread);
    CHECK_EQ(handled_by, waiting_thread);
}

static void *overflow_in_thread(void *argument)
{
    *(volatile int *)8 = 1;
    return NULL;
}

TEST(fault_in_one_thread_ends_the_process)
{
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        start(overflow_in_thread, NULL);
        wait_forever(NULL);
    }
    CHECK_KILLED(child, SIGSEGV);
}

static void *open_and_chdir(void *argument)
{
    CHECK_OK(chdir("/"));
    return (void *)CHECK_OK(open("/dev/null", O_RDONLY));
}

TEST(threads_share_descriptors_and_directory)
{
    char path[100];

    CHECK_OK(chdir("/tmp"));
    CHECK_OK(fcntl((int)(long)join(start(open_and_chdir, NULL)), F_GETFD));
    CHECK_STR_EQ(getcwd(path, sizeof(path)), "/");
}

/* ---- Futexes ---- */

TEST(futex_wait_with_another_value_gives_eagain)
{
    uint32_t word = 1;

    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), EAGAIN);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_PRIVATE, 0, NULL, NULL, 0), EAGAIN);
}

TEST(futex_wait_times_out)
{
    struct timespec timeout = {0, 30000000}, wrong = {0, 1000000000};
    uint32_t word = 0;
    uint64_t begin = now_ms();

    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &timeout, NULL, 0), ETIMEDOUT);
    CHECK_GE(now_ms() - begin, 29);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, &wrong, NULL, 0), EINVAL);
}

TEST(futex_wait_bitset_takes_an_absolute_time)
{
    struct timespec until;
    uint32_t word = 0;
    uint64_t begin = now_ms();

    clock_gettime(CLOCK_MONOTONIC, &until);
    until.tv_nsec += 30000000;
    if (until.tv_nsec >= 1000000000) {
        until.tv_nsec -= 1000000000;
        until.tv_sec++;
    }
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, &until, NULL, FUTEX_BITSET_MATCH_ANY),
                ETIMEDOUT);
    CHECK_GE(now_ms() - begin, 29);
    until.tv_sec = 1;
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET | FUTEX_CLOCK_REALTIME, 0, &until, NULL, 1),
                ETIMEDOUT);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT_BITSET, 0, NULL, NULL, 0), EINVAL);
}

TEST(futex_wait_is_interrupted_by_a_signal)
{
    uint32_t word = 0;

    ring_until_the_end(0);
    CHECK_ERRNO(futex(&word, FUTEX_WAIT, 0, NULL, NULL, 0), EINTR);
}

struct futex_waiter {
    uint32_t *word;
    uint32_t bits;
    long result;
};

static int waiters_started;
static void *wait_on_futex(void *argument)
{
    struct futex_waiter *waiter = argument;

    __atomic_fetch_add(&waiters_started, 1, __ATOMIC_SEQ_CST);
    waiter->result = futex(waiter->word, FUTEX_WAIT_BITSET, 0, NULL, NULL, waiter->bits);
    return NULL;
}

/* Starts `count` threads that wait on the word, and returns when all of them probably sleep. */
static void start_waiters(struct futex_waiter *waiters, pthread_t *threads, int count)
{
    for (int i = 0; i < count; i++)
        threads[i] = start(wait_on_futex, &waiters[i]);
    while (__atomic_load_n(&waiters_started, __ATOMIC_SEQ_CST) < count)
        sleep_ms(1);
    sleep_ms(50);
}

TEST(futex_wake_wakes_as_many_as_asked)
{
    uint32_t word = 0;
    struct futex_waiter waiters[3] = {{&word, ~0u, 9}, {&word, ~0u, 9}, {&word, ~0u, 9}};
    pthread_t threads[3];

    CHECK_EQ(futex(&word, FUTEX_WAKE, 5, NULL, NULL, 0), 0);
    start_waiters(waiters, threads, 3);
    CHECK_EQ(futex(&word, FUTEX_WAKE, -1, NULL, NULL, 0), 1); /* one, as for 0 */
    CHECK_EQ(futex(&word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 2);
    for (int i = 0; i < 3; i++) {
        join(threads[i]);
        CHECK_EQ(waiters[i].result, 0);
    }
}

TEST(futex_wake_bitset_wakes_those_with_a_common_bit)
{
    uint32_t word = 0;
    struct futex_waiter waiters[2] = {{&word, 1, 9}, {&word, 2, 9}};
    pthread_t threads[2];

    start_waiters(waiters, threads, 2);
    CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 4), 0);
    CHECK_EQ(futex(&word, FUTEX_WAKE_BITSET, INT_MAX, NULL, NULL, 2), 1);
    join(threads[1]);
    CHECK_EQ(futex(&word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 1);
    join(threads[0]);
}

TEST(futex_cmp_requeue_moves_waiters)
{
    uint32_t word = 0, other = 0;
    struct futex_waiter waiters[3] = {{&word, ~0u, 9}, {&word, ~0u, 9}, {&word, ~0u, 9}};
    pthread_t threads[3];

    start_waiters(waiters, threads, 3);
    CHECK_ERRNO(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)2, &other, 77), EAGAIN);
    CHECK_EQ(futex(&word, FUTEX_CMP_REQUEUE, 1, (void *)INT_MAX, &other, 0), 3);
    CHECK_EQ(futex(&word, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 0);
    CHECK_EQ(futex(&other, FUTEX_WAKE, INT_MAX, NULL, NULL, 0), 2);
    for (int i = 0; i < 3; i++)
        join(threads[i]);
}

TEST(futex_wake_op_changes_the_second_word_and_wakes_both)
{
    uint32_t word = 0, other = 0;
    struct futex_waiter waiters[2] = {{&word, ~0u, 9}, {&other, ~0u, 9}};
    pthread_t threads[2];

    start_waiters(waiters, threads, 2);
    CHECK_EQ(futex(&word, FUTEX_WAKE_OP, 1, (void *)1, &other,
                   FUTEX_OP(FUTEX_OP_SET, 5, FUTEX_OP_CMP_EQ, 0)),
             2);
    CHECK_EQ(other, 5);
    join(threads[0]);
    join(threads[1]);
}

TEST(futex_in_shared_memory_works_between_processes)
{
    uint32_t *word = (uint32_t *)CHECK_OK(
        mmap(NULL, PAGE, PROT_READ | PROT_WRITE, MAP_SHARED | MAP_ANONYMOUS, -1, 0));
    pid_t child = CHECK_OK(fork());

    if (child == 0) {
        while (__atomic_load_n(word, __ATOMIC_SEQ_CST) == 0)
            futex(word, FUTEX_WAIT, 0, NULL, NULL, 0);
        _exit(*word);
    }
    WAIT_FOR_STATE(child, 'S');
    __atomic_store_n(word, 5, __ATOMIC_SEQ_CST);
    CHECK_EQ(futex(word, FUTEX_WAKE, 1, NULL, NULL, 0), 1);
    CHECK_EXIT(child, 5);
}

TEST(futex_errors_are_as_documented)
{
    uint32_t words[2] = {0};

    CHECK_ERRNO(futex((uint32_t *)((char *)words + 1), FUTEX_WAIT, 0, NULL, NULL, 0), EINVAL);
    CHECK_ERRNO(futex(bad_address(), FUTEX_WAIT, 0, NULL, NULL, 0), EFAULT);
    CHECK_ERRNO(futex(words, 99, 0, NULL, NULL, 0), ENOSYS);
    CHECK_ERRNO(futex(words, FUTEX_WAIT, 0, bad_address(), NULL, 0), EFAULT);
}

static uint32_t cleared_word = 1;
static void *set_cleared_address(void *argument)
{
    cleared_word = thread_id();
    syscall(SYS_set_tid_address, &cleared_word);
    syscall(SYS_exit, 0); /* not pthread_exit: the library must not look at its own word */
    return NULL;
}

TEST(set_tid_address_word_is_cleared_and_woken_at_exit)
{
    uint32_t value;

    start(set_cleared_address, NULL);
    while ((value = __atomic_load_n(&cleared_word, __ATOMIC_SEQ_CST)) != 0)
        futex(&cleared_word, FUTEX_WAIT, value, NULL, NULL, 0);
}

static pthread_mutex_t robust;
static void *die_with_mutex(void *argument)
{
    pthread_mutex_lock(&robust);
    return NULL;
}

TEST(robust_mutex_of_a_dead_thread_gives_eownerdead)
{
    pthread_mutexattr_t attributes;

    pthread_mutexattr_init(&attributes);
    pthread_mutexattr_setrobust(&attributes, PTHREAD_MUTEX_ROBUST);
    pthread_mutex_init(&robust, &attributes);
    join(start(die_with_mutex, NULL));
    CHECK_EQ(pthread_mutex_lock(&robust), EOWNERDEAD);
    CHECK_EQ(pthread_mutex_consistent(&robust), 0);
    CHECK_EQ(pthread_mutex_unlock(&robust), 0);
}

TEST(set_robust_list_checks_its_size)
{
    void *head;
    size_t size;

    CHECK_ERRNO(syscall(SYS_set_robust_list, NULL, 1), EINVAL);
    CHECK_OK(syscall(SYS_get_robust_list, 0, &head, &size));
    CHECK_EQ(size, 24);
    CHECK_ERRNO(syscall(SYS_get_robust_list, 999999, &head, &size), ESRCH);
}

TEST(arch_prctl_reads_and_sets_the_fs_base)
{
    unsigned long base, word = 77, seen;

    CHECK_OK(syscall(SYS_arch_prctl, 0x1003 /* ARCH_GET_FS */, &base));
    CHECK_NE(base, 0);
    CHECK_OK(syscall(SYS_arch_prctl, 0x1001 /* ARCH_SET_GS */, &word));
    __asm__ volatile("movq %%gs:0, %0" : "=r"(seen));
    CHECK_EQ(seen, 77);
    CHECK_OK(syscall(SYS_arch_prctl, 0x1004 /* ARCH_GET_GS */, &seen));
    CHECK_EQ(seen, (unsigned long)&word);
    CHECK_ERRNO(syscall(SYS_arch_prctl, 0x1001, 0x8000000000000000ul), EPERM);
    CHECK_ERRNO(syscall(SYS_arch_prctl, 99, 0), EINVAL);
}

static sem_t semaphore;
static void *post(void *argument)
{
    for (int i = 0; i < 100; i++)
        sem_post(&semaphore);
    return NULL;
}

TEST(thread_semaphore_counts)
{
    pthread_t thread;

    sem_init(&semaphore, 0, 0);
    thread = start(post, NULL);
    for (int i = 0; i < 100; i++)
        CHECK_OK(sem_wait(&semaphore));
    join(thread);
    CHECK_ERRNO(sem_trywait(&semaphore), EAGAIN);
}

static void *compute_sum(void *argument)
{
    volatile double sum = (long)argument;

    for (int i = 0; i < 300000; i++)
        sum += 0.5;
    return (void *)(long)sum;
}

TEST(threads_keep_floating_point_registers_apart)
{
    pthread_t threads[4];

    for (long i = 0; i < 4; i++)
        threads[i] = start(compute_sum, (void *)i);
    for (long i = 0; i < 4; i++)
        CHECK_EQ(join(threads[i]), 150000 + i);
}

static void *cancel_me(void *argument)
{
    for (;;)
        pause();
    return NULL;
}

TEST(thread_is_cancelled_in_a_system_call)
{
    pthread_t thread = start(cancel_me, NULL);

    sleep_ms(20);
    CHECK_EQ(pthread_cancel(thread), 0);
    CHECK_EQ(join(thread), PTHREAD_CANCELED);
}
