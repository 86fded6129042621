/*
 * The end of threads and processes.
 *
 * A thread gives up what it uses while it can still sleep, then leaves its process under the locks,
 * and dies in the scheduler, where its successor on the CPU frees it:
 *
 *     living_count - 1    the thread that reaches 0 stops the timers
 *     signals_close       none is put here any more; the process's own are offered to others
 *     space_release       robust and PI locks, clear_child_tid: the last touch of user memory
 *     vfork_release       the parent of a vfork, which shares the memory, goes on
 *     files_release       may close the last descriptor of anything
 *     thread_leave        out of the list; the last one makes the process a ZOMBIE
 *     thread_exit         DEAD
 *
 * Which thread is the last is decided twice, as two things need it. Timers must go while somebody
 * can still wait for their functions, so the last to begin does that. Who turns the process into a
 * zombie must come after everybody has left, so the last to leave does.
 *
 * ZOMBIE, the signal to the parent and the wake-up are one step under process_table_lock: a parent
 * that waits sees all of it or nothing. Children change hands in the same step, to the nearest
 * living subreaper, else to process 1, whoever might be waiting for them. A zombie whose parent
 * does not care (SIGCHLD ignored, SA_NOCLDWAIT) is reaped at once; several may be, so they are
 * collected in a list and put when the lock is free.
 *
 * Invariants: a zombie has no threads and no children. Process 1 never ends.
 * Locking:    process_table_lock, signals_lock inside it. All of them for the calling thread alone.
 * Context:    the ending thread, with nothing locked. Sleeps until thread_leave.
 */
#include "internal.h"

/* ---- What the thread used ---- */

void thread_space_set(struct thread *thread, struct address_space *space)
{
    struct process *process = thread->process;
    struct address_space *before = thread->space;

    spin_lock(&process_table_lock);
    thread->space = space;
    if (before) {
        process->space_usage = (struct cpu_usage){};
        usage_add_space(&process->space_usage, before);
    }
    spin_unlock(&process_table_lock);
}

/* The word by which pthread_join waits; only worth writing while others could see it. */
static void clear_child_tid(struct thread_identity *identity)
{
    struct user_ptr at = identity->clear_child_tid;
    s32 zero = 0;

    if (user_ptr_is_null(at))
        return;
    identity->clear_child_tid = user_ptr_at(0);
    if (refcount_read(&identity->thread->space->references) > 1 &&
        copy_out(at, &zero, sizeof(zero)) == 0)
        futex_wake_one(at);
}

/* What others may wait for in its memory. Also before exec replaces that. */
void thread_memory_release(struct thread *thread)
{
    thread_robust_list_release(thread->identity);
    pi_locks_release(thread);
    clear_child_tid(thread->identity);
}

/*
 * The order matters: user memory is touched last here, so it comes before the pointer to it goes;
 * and others must not find the space once its last user may be gone.
 */
static void space_release(struct thread *thread)
{
    struct address_space *space = thread->space;

    thread_memory_release(thread);
    thread_space_set(thread, NULL);
    address_space_put(space);
}

/*
 * Readers find the pointers NULL under the lock, or have a reference: closing, which may sleep, is
 * done outside.
 */
static void files_release(struct thread *thread)
{
    struct file_table *files = thread->files;
    struct directories *directories = thread->directories;

    spin_lock(&process_table_lock);
    thread->files = NULL;
    thread->directories = NULL;
    spin_unlock(&process_table_lock);
    file_table_put(files);
    directories_put(directories);
}

/* ---- Leaving the process ---- */

/* No more signals for this thread; those for the process go to the others. */
static void signals_close(struct process *process, struct thread_identity *identity)
{
    bool stop_complete;

    spin_lock(&process->signals_lock);
    stop_complete = process_stop_leave_locked(process, identity);
    identity->exiting = true;
    __atomic_fetch_and(&identity->thread->pending_work, ~(WORK_SIGNAL | WORK_KILLED),
                       __ATOMIC_RELAXED);
    if (process->pending.set)
        signals_offer_others(process, identity, process->pending.set);
    spin_unlock(&process->signals_lock);
    if (!stop_complete)
        return;
    spin_lock(&process_table_lock);
    parent_notify_locked(process, CLD_STOPPED, process->stop_signal);
    spin_unlock(&process_table_lock);
}

/* has_subreaper is inherited, so that most processes need no walk to the root of the tree. */
static struct process *reaper_for(struct process *process)
{
    struct process *ancestor;

    if (process->has_subreaper)
        for (ancestor = process->parent; ancestor; ancestor = ancestor->parent)
            if (ancestor->is_subreaper && ancestor->state == PROCESS_ALIVE)
                return ancestor;
    return process_init;
}

/* PR_SET_PDEATHSIG: the thread that made it ended. */
static void death_tell(struct process *child)
{
    struct signal_info info;

    if (!child->parent_death_signal || child->state != PROCESS_ALIVE)
        return;
    signal_info_init_sender(&info, child->parent_death_signal, SI_USER);
    (void)signal_send_process(child, &info);
}

/* The new parent hears of the end by SIGCHLD, whatever the old one had asked for (clone(2)). */
static void child_hand_over(struct process *child, struct process *reaper)
{
    list_remove(&child->sibling);
    list_push_back(&reaper->children, &child->sibling);
    child->parent = reaper;
    child->creator = process_leader_locked(reaper)->thread;
    child->exit_signal = SIGCHLD;
    death_tell(child);
}

/* A thread's children become another's of its process, if there is one. */
static void thread_hand_children_over(struct process *process, const struct thread *thread)
{
    const struct thread_identity *other = process_leader_locked(process);
    struct process *child;

    if (!other)
        return;
    list_for_each (child, &process->children, sibling) {
        if (child->creator != thread)
            continue;
        child->creator = other->thread;
        death_tell(child);
    }
}

/* Whether the parent wants no status; then nobody will ever wait. */
static bool parent_does_not_care(struct process *process)
{
    struct process *parent = process->parent;
    struct signal_action action;

    if (!parent || process->exit_signal != SIGCHLD)
        return false;
    spin_lock(&parent->signals_lock);
    action = signal_action_of(parent, SIGCHLD);
    spin_unlock(&parent->signals_lock);
    return action.handler == SIG_IGN || (action.flags & SA_NOCLDWAIT);
}

int status_code(int status)
{
    return (status & 0x7f) ? CLD_KILLED : CLD_EXITED;
}

int status_detail(int status)
{
    return (status & 0x7f) ? status & 0x7f : status >> 8 & 0xff;
}

/* Tells the parent of a zombie that is its child (now). True: it is to be reaped at once. */
static bool zombie_announce(struct process *process) must_hold(&process_table_lock)
{
    bool unwanted = parent_does_not_care(process);
    int status = process->exit_status;

    parent_notify_locked(process, status_code(status), status_detail(status));
    return unwanted;
}

/*
 * Still linked by `sibling`, now in the list of those that the caller puts when it holds no lock.
 */
static void zombie_reap_unwanted(struct process *process, struct list *reaped)
    must_hold(&process_table_lock)
{
    process_unpublish_locked(process);
    list_push_back(reaped, &process->sibling);
}

static void children_hand_over(struct process *process, struct list *reaped)
    must_hold(&process_table_lock)
{
    struct process *reaper = reaper_for(process), *child, *following;

    list_for_each_safe (child, following, &process->children, sibling) {
        child_hand_over(child, reaper);
        if (child->state == PROCESS_ZOMBIE && zombie_announce(child))
            zombie_reap_unwanted(child, reaped);
    }
}

/*
 * Children go before the parent is told, so a parent that reaps us at once finds none that it would
 * have to look after.
 */
static void process_become_zombie(struct process *process, struct thread_identity *last,
                                  struct list *reaped) must_hold(&process_table_lock)
{
    process->state = PROCESS_ZOMBIE;
    credentials_get(last->thread->credentials);
    process->last_credentials = last->thread->credentials;
    memcpy(process->last_name, last->name, THREAD_NAME_BYTES);
    if (!process->group_exit)
        process->exit_status = process->leader_status;
    group_orphan_check_locked(process);
    children_hand_over(process, reaped);
    if (zombie_announce(process))
        zombie_reap_unwanted(process, reaped);
    wait_queue_wake(&process->end_queue, WAKE_ALL, POLL_IN);
}

/*
 * Takes the thread out of its process. True: it was the last one. What is pending goes with it, so
 * that whoever waits for the process finds the user's limit free again.
 */
static bool thread_leave_locked(struct process *process, struct thread_identity *identity,
                                int status) must_hold(&process_table_lock)
{
    struct number *number = identity->number;

    spin_lock(&process->signals_lock);
    identity_withdraw_locked(identity);
    pending_flush(&identity->pending, ~0ul);
    if (process->thread_count == 0)
        pending_flush(&process->pending, ~0ul);
    usage_add_thread(&process->ended_usage, identity->thread);
    if (process->exec_thread && process->thread_count == 1)
        thread_wake(process->exec_thread);
    if (identity->tid == process->pid)
        process->leader_status = status;
    spin_unlock(&process->signals_lock);
    number->identity = NULL;
    number_free_unused(number);
    return process->thread_count == 0;
}

/* Zombies that nobody waits for: the table's references and their groups'. */
void processes_put_reaped(struct list *reaped)
{
    struct process *process, *following;

    list_for_each_safe (process, following, reaped, sibling) {
        struct process_group *group;

        spin_lock(&process_table_lock);
        list_remove(&process->sibling);
        group = group_leave_locked(process);
        spin_unlock(&process_table_lock);
        group_put(group);
        process_put(process);
    }
}

static void thread_leave(struct process *process, struct thread_identity *identity, int status)
{
    struct list reaped = LIST_INIT(reaped);
    struct tty *tty = NULL;
    bool last;

    spin_lock(&process_table_lock);
    last = thread_leave_locked(process, identity, status);
    thread_hand_children_over(process, identity->thread);
    if (last) {
        tty = session_leader_ended_locked(process);
        process_become_zombie(process, identity, &reaped);
    }
    spin_unlock(&process_table_lock);
    session_terminal_hang_up(tty, process->pid);
    processes_put_reaped(&reaped);
}

noreturn void process_exit_thread(int status)
{
    struct thread *thread = thread_current();
    struct thread_identity *identity = thread->identity;
    struct process *process = thread->process;
    struct credentials *credentials;
    bool last = __atomic_sub_fetch(&process->living_count, 1, __ATOMIC_ACQ_REL) == 0;

    if (process == process_init && last)
        panic("process 1 ended with status %#x",
              process->group_exit ? process->exit_status : status);
    signals_close(process, identity);
    if (last)
        itimers_clear(process);
    space_release(thread);
    vfork_release(identity);
    files_release(thread);
    thread_leave(process, identity, status);
    credentials = thread->credentials;
    thread->credentials = NULL;
    credentials_put(credentials);
    thread_exit();
}

/*
 * The first caller decides the status. Others that come here, or are told to end, leave with that
 * one.
 */
noreturn void process_exit_group(int status)
{
    struct process *process = process_current();

    spin_lock(&process->signals_lock);
    if (!process->group_exit) {
        process->group_exit = true;
        process->exit_status = status;
        process->stop_wanted = false;
        process_kill_threads_locked(process, thread_current());
    }
    status = process->exit_status;
    spin_unlock(&process->signals_lock);
    process_exit_thread(status);
}
