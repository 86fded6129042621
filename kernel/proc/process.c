/*
 * The table of processes: numbers, and how others find processes and threads by them.
 *
 * pids, tids, group and session ids are one space of numbers. A number exists while anything bears
 * it, so the id of a group is not given to a new process while the group lives on without its
 * leader. Numbers are given out in a circle, so that one is not reused soon.
 *
 * Locking: process_table_lock guards the table, the family tree, the lists of threads and groups,
 *          and which address space, files, directories and credentials a thread has (its owner
 *          swaps the pointer under it, so that others may take a reference under it).
 * Context: nothing here sleeps.
 */
#include "internal.h"

struct spinlock process_table_lock = SPINLOCK_INIT(LOCK_PROCESS_TABLE);
struct process *process_init;

static struct slab_cache *process_cache, *identity_cache, *number_cache;
static struct radix numbers; /* guarded by process_table_lock: value -> struct number */
static int last_number;      /* guarded by process_table_lock */
static u64 created;          /* guarded by process_table_lock */
static u64 numbers_used;     /* guarded by process_table_lock: threads, and what outlives them */
static u64 threads;          /* guarded by process_table_lock: those in their processes' lists */

static struct radix_node *number_node_alloc(void)
{
    return kmalloc(sizeof(struct radix_node), ALLOC_CLEARED | ALLOC_NOWAIT);
}

static void number_node_free(struct radix_node *node)
{
    kfree(node);
}

static const struct radix_allocator number_allocator = {number_node_alloc, number_node_free};

void process_tables_init(void)
{
    process_settings_init();
    process_cache = slab_cache_create("process", sizeof(struct process), 64);
    identity_cache = slab_cache_create("thread_identity", sizeof(struct thread_identity), 64);
    number_cache = slab_cache_create("number", sizeof(struct number), 8);
    assert(process_cache && identity_cache && number_cache);
    radix_init(&numbers, &number_allocator);
}

/* ---- Numbers ---- */

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
    mutex_init(&process->exec_lock, LOCK_EXEC);
    wait_queue_init(&process->vfork_queue);
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

void process_thread_abandon(struct thread *thread)
{
    thread_put(thread);
}

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

void process_unpublish_locked(struct process *process)
{
    struct number *number = process->number;

    process->state = PROCESS_REAPED;
    list_remove(&process->sibling);
    number->process = NULL;
    process->number = NULL;
    number_free_unused(number);
}

/* ---- Finding ---- */

struct process *process_find_locked(int pid)
{
    struct number *number = number_find(pid);

    return number ? number->process : NULL;
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

struct process *process_find(int pid)
{
    struct process *process;

    spin_lock(&process_table_lock);
    process = process_find_locked(pid);
    if (process)
        process_get(process);
    spin_unlock(&process_table_lock);
    return process;
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

struct process *process_next_put(struct process *process)
{
    int pid = process->pid;

    process_put(process);
    return process_next(pid);
}

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

u64 processes_created(void)
{
    return READ_ONCE(created);
}

u64 threads_count(void)
{
    return READ_ONCE(threads);
}

struct address_space *process_space(struct process *process)
{
    struct address_space *space = NULL;
    struct thread_identity *identity;

    spin_lock(&process_table_lock);
    thread_for_each (identity, process) {
        space = identity->thread->space;
        if (space)
            break;
    }
    if (space)
        address_space_get(space);
    spin_unlock(&process_table_lock);
    return space;
}

struct credentials *process_credentials(struct process *process)
{
    struct credentials *credentials = NULL;
    struct thread_identity *identity;

    spin_lock(&process_table_lock);
    identity = list_first_entry(&process->threads, struct thread_identity, link);
    if (identity)
        credentials = identity->thread->credentials;
    else
        credentials = process->last_credentials;
    if (credentials)
        credentials_get(credentials);
    spin_unlock(&process_table_lock);
    return credentials;
}

struct file_table *process_files(struct process *process)
{
    struct file_table *files = NULL;
    struct thread_identity *identity;

    spin_lock(&process_table_lock);
    thread_for_each (identity, process) {
        files = identity->thread->files;
        if (files)
            break;
    }
    if (files)
        file_table_get(files);
    spin_unlock(&process_table_lock);
    return files;
}

struct directories *process_directories(struct process *process)
{
    struct directories *directories = NULL;
    struct thread_identity *identity;

    spin_lock(&process_table_lock);
    thread_for_each (identity, process) {
        directories = identity->thread->directories;
        if (directories)
            break;
    }
    if (directories)
        directories_get(directories);
    spin_unlock(&process_table_lock);
    return directories;
}

void process_name(struct process *process, char name_out[THREAD_NAME_BYTES])
{
    struct thread_identity *leader;

    spin_lock(&process_table_lock);
    leader = list_first_entry(&process->threads, struct thread_identity, link);
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

/* ---- Usage ---- */

void usage_add(struct cpu_usage *to, const struct cpu_usage *more)
{
    io_counts_add(&to->io, &more->io);
    to->user_ns += more->user_ns;
    to->system_ns += more->system_ns;
    to->minor_faults += more->minor_faults;
    to->major_faults += more->major_faults;
    to->voluntary_switches += more->voluntary_switches;
    to->involuntary_switches += more->involuntary_switches;
    to->peak_resident_pages = MAX(to->peak_resident_pages, more->peak_resident_pages);
}

void usage_add_thread(struct cpu_usage *to, struct thread *thread)
{
    u64 user_ns, system_ns;

    thread_times(thread, &user_ns, &system_ns);
    to->user_ns += user_ns;
    to->system_ns += system_ns;
    io_counts_add(&to->io, &thread->io);
    to->minor_faults += READ_ONCE(thread->minor_faults);
    to->major_faults += READ_ONCE(thread->major_faults);
    to->voluntary_switches += thread->voluntary_switches;
    to->involuntary_switches += thread->involuntary_switches;
}

void usage_add_space(struct cpu_usage *to, const struct address_space *space)
{
    to->peak_resident_pages =
        MAX(to->peak_resident_pages, address_space_peak_resident_pages(space));
}

void process_usage_locked(struct process *process, struct cpu_usage *usage_out)
{
    struct address_space *space = NULL;
    struct thread_identity *identity;

    *usage_out = process->ended_usage;
    thread_for_each (identity, process) {
        usage_add_thread(usage_out, identity->thread);
        if (!space)
            space = identity->thread->space;
    }
    if (space)
        usage_add_space(usage_out, space);
    else
        usage_add(usage_out, &process->space_usage);
}

void usage_keep_space(struct process *process)
{
    spin_lock(&process_table_lock);
    usage_add(&process->ended_usage, &process->space_usage);
    process->space_usage = (struct cpu_usage){};
    spin_unlock(&process_table_lock);
}

void thread_usage(struct thread *thread, struct cpu_usage *usage_out)
{
    *usage_out = (struct cpu_usage){};
    usage_add_thread(usage_out, thread);
    if (thread->space)
        usage_add_space(usage_out, thread->space);
}

void process_usage(struct process *process, struct cpu_usage *usage_out)
{
    spin_lock(&process_table_lock);
    process_usage_locked(process, usage_out);
    spin_unlock(&process_table_lock);
}
