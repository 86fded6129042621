/*
 * Processes and the identities of their threads: made, published, asked, freed.
 *
 *     thread (sched/: stack, state, queue) --> thread_identity (tid, signals, name)
 *                                                |  a reference; in the list process.threads
 *                                                v
 *     number --- the table's reference -----> process --> parent, children, group
 *
 * An identity lives and dies with its thread. A control block lives longer: until its parent has
 * waited for it (the table's reference), until its last thread is freed (one each), and until who
 * looks at it from outside is done (a pidfd, an open file of /proc). Its memory goes after an RCU
 * grace period even then, since getppid reads a parent's pid under RCU alone.
 *
 * What a thread works with (memory, files, directories, credentials) it uses without a lock: only
 * it changes the pointers. It does so under process_table_lock, so that others can take a
 * reference:
 *
 *     the thread, in exec or exit              somebody else (process_space)
 *     lock; thread->space = another; unlock    lock; space = thread->space; get(space); unlock
 *     put(what was there before)               uses it; put(space)
 *
 * Whoever comes second finds the new pointer, or has made the old part stay.
 *
 * Invariants: thread_count is the length of `threads`; living_count, those of them that have not
 *             begun to end, is never larger. A process with a number is in its parent's `children`.
 * Locking:    process_table_lock guards numbers, the family, the lists of threads and groups, and
 *             the pointers to a thread's parts. `threads` changes under process.signals_lock too,
 *             where the process can be seen already: so either lock is enough to walk it.
 * Context:    only what makes objects sleeps; process_put takes no process lock, but may not be
 *             called under one.
 */
#include "internal.h"

struct spinlock process_table_lock = SPINLOCK_INIT(LOCK_PROCESS_TABLE);
struct process *process_init;

static struct slab_cache *process_cache, *identity_cache; /* [const] after boot */
static u64 created;                                       /* guarded by process_table_lock */
static u64 threads; /* guarded by process_table_lock: those in their processes' lists */

void process_tables_init(void)
{
    process_settings_init();
    process_cache = slab_cache_create("process", sizeof(struct process), 64);
    identity_cache = slab_cache_create("thread_identity", sizeof(struct thread_identity), 64);
    assert(process_cache && identity_cache);
    numbers_init();
}

/* ---- Objects ---- */

int process_alloc(struct process **process_out)
{
    struct process *process = slab_alloc(process_cache, ALLOC_CLEARED);

    if (!process)
        return -ENOMEM;
    refcount_set(&process->references, 1);
    list_init(&process->children);
    list_init(&process->sibling);
    list_init(&process->threads);
    list_init(&process->group_link);
    list_init(&process->child_waiters);
    list_init(&process->posix_timers);
    list_init(&process->cpu_alarms);
    spin_init(&process->signals_lock, LOCK_SIGNALS);
    pending_init(&process->pending);
    wait_queue_init(&process->end_queue);
    itimers_init(process);
    process->started_ns = clock_monotonic_ns();
    process->dumpable = true;
    process->machine_check_choice = PR_MCE_KILL_DEFAULT;
    process->login.uid = process->login.session = ~0u;
    *process_out = process;
    return 0;
}

static void process_free(struct rcu_head *head)
{
    slab_free(process_cache, container_of(head, struct process, rcu));
}

/* The memory goes later: getppid reads a parent's pid under RCU alone. */
void process_put(struct process *process)
{
    if (!refcount_dec_is_zero(&process->references))
        return;
    pending_flush(&process->pending, ~0ul);
    process_user_leave(process);
    signal_actions_put(process->actions);
    if (process->last_credentials)
        credentials_put(process->last_credentials);
    rcu_free(&process->rcu, process_free);
}

/* The last reference on a thread went; its signals and its hold on the process go with it. */
static void identity_free(struct thread *thread)
{
    struct thread_identity *identity = thread->identity;

    pending_flush(&identity->pending, ~0ul);
    process_put(identity->process);
    slab_free(identity_cache, identity);
}

/*
 * thread->on_free ties the identity's end to the thread's: whoever puts the last reference, perhaps
 * at the end of a switch, frees both.
 */
int process_thread_adopt(struct process *process, struct thread *thread)
{
    struct thread_identity *identity = slab_alloc(identity_cache, ALLOC_CLEARED);

    if (!identity)
        return -ENOMEM;
    identity->thread = thread;
    identity->process = process;
    process_get(process);
    list_init(&identity->link);
    pending_init(&identity->pending);
    list_init(&identity->pi_locks);
    wait_queue_init(&identity->vfork_queue);
    identity->alternate.flags = SS_DISABLE;
    identity->timer_slack_ns = identity->timer_slack_usual_ns = TIMER_SLACK_NS;
    thread->process = process;
    thread->identity = identity;
    thread->on_free = identity_free;
    return 0;
}

int process_thread_alloc(struct process *process, void (*entry)(void *), void *argument,
                         struct thread **thread_out)
{
    struct thread *thread;
    int error = thread_create(entry, argument, &thread);

    if (error)
        return error;
    error = process_thread_adopt(process, thread);
    if (error)
        thread_put(thread);
    else
        *thread_out = thread;
    return error;
}

/*
 * Under process_table_lock, and signals_lock too if the process can be seen already. living_count
 * is atomic since exit counts it down without either.
 */
void identity_publish(struct thread_identity *identity, struct number *number)
{
    struct process *process = identity->process;

    identity->tid = number->value;
    identity->number = number;
    number->identity = identity;
    list_push_back(&process->threads, &identity->link);
    process->thread_count++;
    __atomic_fetch_add(&process->living_count, 1, __ATOMIC_RELAXED);
    created++;
    threads++;
}

void identity_withdraw_locked(struct thread_identity *identity)
{
    list_remove(&identity->link);
    identity->process->thread_count--;
    threads--;
}

void process_publish(struct process *process, struct number *number)
{
    process->pid = number->value;
    process->number = number;
    number->process = process;
    process_get(process); /* the table's; whoever reaps it gives it up */
}

/*
 * The parent forgets it, and its number is free unless a group or session still bears it. The
 * table's reference passes to the caller.
 */
void process_unpublish_locked(struct process *process)
{
    struct number *number = process->number;

    process->state = PROCESS_REAPED;
    list_remove(&process->sibling);
    number->process = NULL;
    process->number = NULL;
    number_free_unused(number);
}

/*
 * Threads come and go between two calls, so the walk goes by number, not by place in the list; a
 * tid that exec changes meanwhile may be met twice or missed.
 */
struct thread *process_thread_next(struct process *process, int tid)
{
    struct thread_identity *identity, *best = NULL;

    spin_lock(&process_table_lock);
    thread_for_each (identity, process)
        if (identity->tid > tid && (!best || identity->tid < best->tid))
            best = identity;
    if (best)
        thread_get(best->thread);
    spin_unlock(&process_table_lock);
    return best ? best->thread : NULL;
}

/* ---- What others ask ---- */

int process_pid(const struct process *process)
{
    return process ? process->pid : 0;
}

int process_group_id(struct process *process)
{
    int id;

    spin_lock(&process_table_lock);
    id = process->group ? process->group->id : 0;
    spin_unlock(&process_table_lock);
    return id;
}

struct session *process_session(struct process *process)
{
    return process->group ? process->group->session : NULL;
}

int process_session_id(struct process *process)
{
    struct session *session;
    int id;

    spin_lock(&process_table_lock);
    session = process_session(process);
    id = session ? session->id : 0;
    spin_unlock(&process_table_lock);
    return id;
}

u64 processes_created(void)
{
    return READ_ONCE(created);
}

u64 threads_count(void)
{
    return READ_ONCE(threads);
}

/*
 * What stands at `offset` in a thread that still has it; NULL: all have given theirs up. A process
 * that ends has threads without memory, then without files, before it has none.
 */
static void *part_find(const struct process *process, size_t offset) must_hold(&process_table_lock)
{
    const struct thread_identity *identity;

    thread_for_each (identity, process) {
        void *part = *(void *const *)((const char *)identity->thread + offset);

        if (part)
            return part;
    }
    return NULL;
}

struct address_space *process_space_locked(const struct process *process)
{
    return part_find(process, __builtin_offsetof(struct thread, space));
}

struct address_space *process_space(struct process *process)
{
    struct address_space *space;

    spin_lock(&process_table_lock);
    space = process_space_locked(process);
    if (space)
        address_space_get(space);
    spin_unlock(&process_table_lock);
    return space;
}

struct file_table *process_files(struct process *process)
{
    struct file_table *files;

    spin_lock(&process_table_lock);
    files = part_find(process, __builtin_offsetof(struct thread, files));
    if (files)
        file_table_get(files);
    spin_unlock(&process_table_lock);
    return files;
}

struct directories *process_directories(struct process *process)
{
    struct directories *directories;

    spin_lock(&process_table_lock);
    directories = part_find(process, __builtin_offsetof(struct thread, directories));
    if (directories)
        directories_get(directories);
    spin_unlock(&process_table_lock);
    return directories;
}

struct thread_identity *process_leader_locked(const struct process *process)
{
    return list_first_entry(&process->threads, struct thread_identity, link);
}

/*
 * Those of the last thread stay with a zombie: its parent is told the uid, and others ask whose it
 * is.
 */
struct credentials *process_credentials_locked(const struct process *process)
{
    const struct thread_identity *leader = process_leader_locked(process);

    return leader ? leader->thread->credentials : process->last_credentials;
}

struct credentials *process_credentials(struct process *process)
{
    struct credentials *credentials;

    spin_lock(&process_table_lock);
    credentials = process_credentials_locked(process);
    if (credentials)
        credentials_get(credentials);
    spin_unlock(&process_table_lock);
    return credentials;
}

/* Threads may be renamed while it is copied, so the copy is ended by hand. */
void process_name(struct process *process, char name_out[THREAD_NAME_BYTES])
{
    struct thread_identity *leader;

    spin_lock(&process_table_lock);
    leader = process_leader_locked(process);
    memcpy(name_out, leader ? leader->name : process->last_name, THREAD_NAME_BYTES);
    spin_unlock(&process_table_lock);
    name_out[THREAD_NAME_BYTES - 1] = '\0';
}

/* A walk over the tree without recursion: down to the first child, else on to the next of kin. */
void process_mark_descendants_locked(struct process *process)
{
    struct process *at = process;

    for (;;) {
        if (!list_is_empty(&at->children)) {
            at = list_first_entry(&at->children, struct process, sibling);
        } else {
            while (at != process && at->sibling.next == &at->parent->children)
                at = at->parent;
            if (at == process)
                return;
            at = list_entry(at->sibling.next, struct process, sibling);
        }
        at->has_subreaper = true;
    }
}
