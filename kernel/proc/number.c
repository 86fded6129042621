/*
 * Numbers: pids, tids and the ids of groups and sessions are one space.
 *
 *     numbers, a radix tree by value
 *        |- 40 -> group                              its leader was reaped, its members were not
 *        |- 41 -> identity, process, group, session  a shell that leads all of them
 *        '- 57 -> identity, process                  a child of it, in the group 40
 *
 * A number exists while anything bears it. So the id of a group is not given to a new process while
 * the group lives on without its leader, and who waits for a zombie by its pid waits for that one.
 *
 * number_alloc reserves a number that nobody bears, before anything can see its process or thread:
 * all that may fail comes first. Publishing fills in a bearer; each bearer that goes clears its
 * field and calls number_free_unused, and the last one gives the number back. Numbers are given out
 * in a circle, so one that was given back is not the next to be taken.
 *
 * Values stay below pid_max; threads-max limits how many are in use, whatever they stand for, and
 * so also how many kernel stacks there can be.
 *
 * Locking: process_table_lock guards the tree and every field of a number.
 * Context: only number_alloc sleeps, for memory, before it takes the lock; the tree's own nodes are
 *          taken without waiting.
 */
#include "internal.h"

static struct slab_cache *number_cache; /* [const] after boot */
static struct radix numbers;            /* guarded by process_table_lock: value -> struct number */
static int last_number;                 /* guarded by process_table_lock */
static u64 numbers_used; /* guarded by process_table_lock: also what no thread bears */

void numbers_init(void)
{
    number_cache = slab_cache_create("number", sizeof(struct number), 8);
    assert(number_cache);
    radix_init(&numbers, &radix_slab_allocator);
}

/* ---- Given out and taken back ---- */

u64 numbers_count(void)
{
    return READ_ONCE(numbers_used);
}

/* The next free value behind the last one. 0: all are in use. */
static int number_choose(void)
{
    int value = last_number, limit = (int)process_setting(SETTING_PID_MAX);

    for (int tries = 0; tries < limit; tries++) {
        value++;
        if (value >= limit)
            value = 300; /* as Linux does: the low ones belong to what the boot started */
        if (!radix_lookup(&numbers, value))
            return value;
    }
    return 0;
}

/* The object comes first, without the lock; what is left under it cannot sleep. */
int number_alloc(int wanted, struct number **number_out)
{
    struct number *number = slab_alloc(number_cache, ALLOC_CLEARED);
    int error;

    if (!number)
        return -ENOMEM;
    spin_lock(&process_table_lock);
    number->value = wanted ? wanted : number_choose();
    if (wanted && radix_lookup(&numbers, wanted))
        error = -EEXIST;
    else if (numbers_used >= process_setting(SETTING_THREADS_MAX))
        error = -EAGAIN;
    else
        error = number->value ? radix_insert(&numbers, number->value, number) : -EAGAIN;
    if (!error) {
        numbers_used++;
        if (!wanted)
            last_number = number->value;
    }
    spin_unlock(&process_table_lock);
    if (error)
        slab_free(number_cache, number);
    else
        *number_out = number;
    return error;
}

void number_free_unused(struct number *number)
{
    if (number->identity || number->process || number->group || number->session)
        return;
    radix_remove(&numbers, number->value);
    numbers_used--;
    slab_free(number_cache, number);
}

int number_last(void)
{
    return READ_ONCE(last_number);
}

void number_free(struct number *number)
{
    spin_lock(&process_table_lock);
    number_free_unused(number);
    spin_unlock(&process_table_lock);
}

static struct number *number_find(int value)
{
    return value > 0 ? radix_lookup(&numbers, value) : NULL;
}

/* ---- Finding ---- */

struct process *process_find_locked(int pid)
{
    struct number *number = number_find(pid);

    return number ? number->process : NULL;
}

/*
 * A zombie has its number, but no thread of it any more; so has a process whose first thread ended.
 */
struct process *process_find_by_tid_locked(int tid)
{
    struct number *number = number_find(tid);

    if (!number)
        return NULL;
    return number->process || !number->identity ? number->process : number->identity->process;
}

struct thread_identity *identity_find_locked(int tid)
{
    struct number *number = number_find(tid);

    return number ? number->identity : NULL;
}

struct process_group *group_find_locked(int id)
{
    struct number *number = number_find(id);

    return number ? number->group : NULL;
}

struct session *session_find_locked(int id)
{
    struct number *number = number_find(id);

    return number ? number->session : NULL;
}

static struct process *find_and_get(int number, struct process *(*find_locked)(int number))
{
    struct process *process;

    spin_lock(&process_table_lock);
    process = find_locked(number);
    if (process)
        process_get(process);
    spin_unlock(&process_table_lock);
    return process;
}

struct process *process_find(int pid)
{
    return find_and_get(pid, process_find_locked);
}

struct process *process_find_by_tid(int tid)
{
    return find_and_get(tid, process_find_by_tid_locked);
}

struct thread *thread_find(int tid)
{
    struct thread_identity *identity;
    struct thread *thread = NULL;

    spin_lock(&process_table_lock);
    identity = identity_find_locked(tid);
    if (identity) {
        thread = identity->thread;
        thread_get(thread);
    }
    spin_unlock(&process_table_lock);
    return thread;
}

/*
 * So a walk over all processes holds no lock between two of them, and sees each that lives through
 * all of it exactly once.
 */
struct process *process_next(int pid)
{
    struct process *found = NULL;
    struct number *number;
    u64 value = pid + 1;

    spin_lock(&process_table_lock);
    radix_for_each(number, &numbers, value)
    {
        found = number->process;
        if (found)
            break;
    }
    if (found)
        process_get(found);
    spin_unlock(&process_table_lock);
    return found;
}

/* By number again: the process that was shown may be reaped by now, and others may be new. */
struct process *process_next_put(struct process *process)
{
    int pid = process->pid;

    process_put(process);
    return process_next(pid);
}

/* Threads, not processes, as Linux counts for RLIMIT_NPROC; a zombie's number has none. */
u64 process_count_of_user(u32 uid)
{
    struct number *number;
    u64 count = 0, value = 1;

    spin_lock(&process_table_lock);
    radix_for_each(number, &numbers, value)
    {
        struct thread_identity *identity = number->identity;

        count += identity && identity->thread->credentials->uid == uid;
    }
    spin_unlock(&process_table_lock);
    return count;
}
