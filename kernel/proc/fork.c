/*
 * clone: fork, vfork and thread creation are one operation that shares or copies each part.
 *
 *     part            shared with      else
 *     address space   CLONE_VM         copy-on-write copy
 *     descriptors     CLONE_FILES      copy
 *     directories     CLONE_FS         copy
 *     signal actions  CLONE_SIGHAND    copy
 *     the process     CLONE_THREAD     a new control block: family, pending signals, limits
 *
 * The child is built where nobody sees it. Each step can fail and is undone by dropping what it
 * made:
 *
 *     control block   process_alloc, process_inherit, actions_clone      (not for a thread)
 *     thread          thread_build: stack, parts, registers, identity
 *     number          number_of_child; a pidfd is reserved, and its number told
 *     entry           process_enter, thread_enter: into the lists, in one step under the locks
 *     start           child_launch: nothing fails any more
 *
 * Entry asks once more whether the caller may have a child, for a signal to its group must reach
 * both or be seen before:
 *
 *     fork                                     kill(-group)
 *     lock(table)                              lock(table)
 *     is a signal pending? no: the child       each member gets the signal
 *     joins parent and group                   unlock
 *     unlock
 *
 * If kill comes first, the signal is pending, and the call is made again once it was handled; else
 * the child is a member and gets the signal too. In the same way no thread is added to a process
 * that SIGKILL or exec is emptying.
 *
 * The child's first moment is child_begin, on its own kernel stack, with a copy of the caller's
 * trap frame at the top and 0 as the call's result. With CLONE_VFORK the caller waits until
 * vfork_release, which exec and exit call when the child (which may be a thread) lets go of the
 * memory that the two share.
 *
 * Locking: process_table_lock, signals_lock inside it, for the entry alone.
 * Context: the calling thread, in a system call. Sleeps (memory; vfork's wait, which SIGKILL ends).
 */
#include "fork.h"

#define CLONE_KNOWN                                                                             \
    (CLONE_VM | CLONE_FS | CLONE_FILES | CLONE_SIGHAND | CLONE_VFORK | CLONE_PARENT |           \
     CLONE_THREAD | CLONE_SYSVSEM | CLONE_SETTLS | CLONE_PARENT_SETTID | CLONE_CHILD_CLEARTID | \
     CLONE_DETACHED | CLONE_UNTRACED | CLONE_CHILD_SETTID | CLONE_IO | CLONE_CLEAR_SIGHAND |    \
     CLONE_PTRACE | CLONE_PIDFD | CLONE_NAMESPACES | CLONE_INTO_CGROUP)

/* As a kernel built without namespaces answers. */
int namespaces_refuse(u64 flags)
{
    if (!(flags & CLONE_NAMESPACES))
        return 0;
    if (flags & CLONE_NEWUSER)
        return -EINVAL;
    return credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN) ? -EINVAL : -EPERM;
}

/* Contradictions first, then what is not there, then rights. */
static int flags_check(const struct clone_request *request)
{
    u64 flags = request->flags;

    if (flags & ~CLONE_KNOWN)
        return -EINVAL;
    if ((flags & CLONE_THREAD) && !(flags & CLONE_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && !(flags & CLONE_VM))
        return -EINVAL;
    if ((flags & CLONE_SIGHAND) && (flags & CLONE_CLEAR_SIGHAND))
        return -EINVAL;
    if ((flags & CLONE_PIDFD) && (flags & (CLONE_THREAD | CLONE_DETACHED)))
        return -EINVAL;
    /* One word cannot get both the descriptor and the number. */
    if ((flags & CLONE_PIDFD) && (flags & CLONE_PARENT_SETTID) &&
        request->pidfd.address == request->parent_tid.address)
        return -EINVAL;
    if ((flags & CLONE_PARENT) && process_current() == process_init)
        return -EINVAL;
    if (flags & CLONE_INTO_CGROUP) /* no descriptor is a cgroup's */
        return -EBADF;
    /* As arch_prctl: one that is not canonical would fault where the kernel loads it. */
    if ((flags & CLONE_SETTLS) && request->tls >= USER_END)
        return -EPERM;
    return namespaces_refuse(flags);
}

/* clone3's set_tid: a number that the caller chooses. */
static int number_of_child(const struct clone_request *request, struct number **number_out)
{
    int tid = request->set_tid;

    if (!tid)
        return number_alloc(0, number_out);
    if (tid < 1 || (u64)tid >= process_setting(SETTING_PID_MAX))
        return -EINVAL;
    if (!credentials_can(thread_current()->credentials, CAPABILITY_SYS_ADMIN) &&
        !credentials_can(thread_current()->credentials, CAPABILITY_CHECKPOINT_RESTORE))
        return -EPERM;
    return number_alloc(tid, number_out);
}

/* ---- The parts ---- */

static int space_clone(struct thread *parent, struct thread *child, u64 flags)
{
    if (!(flags & CLONE_VM))
        return address_space_copy(parent->space, &child->space);
    address_space_get(parent->space);
    child->space = parent->space;
    return 0;
}

static int files_clone(struct thread *parent, struct thread *child, u64 flags)
{
    if (!(flags & CLONE_FILES))
        return file_table_copy(parent->files, &child->files);
    file_table_get(parent->files);
    child->files = parent->files;
    return 0;
}

static int directories_clone(struct thread *parent, struct thread *child, u64 flags)
{
    if (!(flags & CLONE_FS))
        return directories_copy(parent->directories, &child->directories);
    directories_get(parent->directories);
    child->directories = parent->directories;
    return 0;
}

void thread_parts_release(struct thread *thread)
{
    if (thread->directories)
        directories_put(thread->directories);
    if (thread->files)
        file_table_put(thread->files);
    if (thread->space)
        address_space_put(thread->space);
    if (thread->credentials)
        credentials_put(thread->credentials);
    thread->directories = NULL;
    thread->files = NULL;
    thread->space = NULL;
    thread->credentials = NULL;
}

/*
 * In the order of their cost, so that a failure has copied the least: memory comes last but for the
 * FPU's state. On an error all that was taken is put.
 */
static int parts_clone(struct thread *parent, struct thread *child, u64 flags)
{
    int error;

    credentials_get(parent->credentials);
    child->credentials = parent->credentials;
    error = files_clone(parent, child, flags);
    if (!error)
        error = directories_clone(parent, child, flags);
    if (!error)
        error = space_clone(parent, child, flags);
    if (!error)
        error = user_context_copy(&child->user, &parent->user);
    if (error)
        thread_parts_release(child);
    return error;
}

/*
 * A real-time thread with SCHED_RESET_ON_FORK has ordinary children; others inherit class,
 * priority, nice value and CPUs (sched(7)).
 */
void scheduling_clone(const struct thread *parent, struct thread *child)
{
    bool reset = READ_ONCE(parent->resets_on_fork);

    if (reset && class_is_realtime(parent->class))
        thread_schedule_init(child, CLASS_NORMAL, 0, 0);
    else
        thread_schedule_init(child, parent->class, parent->priority,
                             reset ? MAX(parent->nice, 0) : parent->nice);
    child->io_priority = READ_ONCE(parent->io_priority);
    child->affinity = parent->affinity;
    child->limits_file_size = parent->limits_file_size;
    child->limits_open_files = parent->limits_open_files;
}

/* original_rax says that this is no call that a signal could make again. */
static void registers_clone(struct thread *child, const struct clone_request *request,
                            const struct trap_frame *frame)
{
    struct trap_frame *copy = trap_frame_at((char *)child->stack + KERNEL_STACK_BYTES);

    *copy = *frame;
    copy->rax = 0;
    copy->original_rax = -1;
    if (request->stack_pointer)
        copy->rsp = request->stack_pointer;
    if (request->flags & CLONE_SETTLS)
        child->user.fs_base = request->tls;
}

/*
 * The alternate stack is lost where two threads would use it at once: with CLONE_VM but not for a
 * vfork, whose parent sleeps (sigaltstack(2)). rseq is kept by a child that has the same memory
 * layout for itself.
 */
static void identity_clone(struct thread_identity *parent, struct thread_identity *child,
                           const struct clone_request *request)
{
    u64 flags = request->flags;

    memcpy(child->name, parent->name, THREAD_NAME_BYTES);
    child->blocked = parent->blocked;
    child->timer_slack_ns = child->timer_slack_usual_ns = parent->timer_slack_ns;
    if (!(flags & CLONE_VM) || (flags & CLONE_VFORK))
        child->alternate = parent->alternate;
    if (!(flags & CLONE_VM) && !user_ptr_is_null(parent->rseq.area)) {
        child->rseq = parent->rseq;
        rseq_enable(child->thread);
    }
    if (flags & CLONE_CHILD_CLEARTID)
        child->clear_child_tid = request->child_tid;
    if (flags & CLONE_CHILD_SETTID)
        child->set_child_tid = request->child_tid;
}

/* The child shares its parent's actions, or has a copy, of which it keeps what is ignored. */
static int actions_clone(struct process *parent, struct process *child, u64 flags)
{
    if (flags & CLONE_SIGHAND) {
        signal_actions_get(parent->actions);
        child->actions = parent->actions;
        return 0;
    }
    child->actions = signal_actions_copy(parent->actions);
    if (!child->actions)
        return -ENOMEM;
    if (flags & CLONE_CLEAR_SIGHAND)
        signal_actions_reset(child->actions);
    return 0;
}

void process_inherit(struct process *parent, struct process *child)
{
    spin_lock(&parent->signals_lock);
    memcpy(child->limits, parent->limits, sizeof(child->limits));
    child->oom_adjustment = parent->oom_adjustment;
    child->oom_adjustment_min = parent->oom_adjustment_min;
    process_user_inherit(parent, child);
    spin_unlock(&parent->signals_lock);
    child->login = parent->login;
    child->personality = parent->personality;
    child->machine_check_choice = parent->machine_check_choice;
    child->is_io_flusher = parent->is_io_flusher;
}

/* ---- Building ---- */

/* The first thing that a new user thread does. */
static void child_begin(void *argument)
{
    struct thread *thread = thread_current();
    struct thread_identity *identity = thread->identity;
    s32 tid = identity->tid;

    /* As on Linux a bad address here is the child's misfortune and nobody's error. */
    if (!user_ptr_is_null(identity->set_child_tid))
        (void)!copy_out(identity->set_child_tid, &tid, sizeof(tid));
    user_mode_enter(trap_frame_at((char *)thread->stack + KERNEL_STACK_BYTES));
}

/* A thread of `process` that lacks only its number. */
static int thread_build(struct process *process, const struct clone_request *request,
                        const struct trap_frame *frame, struct thread **child_out)
{
    struct thread *parent = thread_current(), *child;
    int error = process_thread_alloc(process, child_begin, NULL, &child);

    if (error)
        return error;
    error = parts_clone(parent, child, request->flags);
    if (error) {
        thread_put(child);
        return error;
    }
    scheduling_clone(parent, child);
    registers_clone(child, request, frame);
    identity_clone(parent->identity, child->identity, request);
    *child_out = child;
    return 0;
}

/* Whether the caller may not make children any more: it is doomed, or must see a signal first. */
static int parent_check_locked(struct process *process)
{
    if (process->group_exit || process->exec_thread || signal_is_pending())
        return -ERESTARTNOINTR;
    return 0;
}

/*
 * Whoever empties the process (exit_group, exec, SIGKILL) holds signals_lock while it tells the
 * threads: this one is in the list before, and told, or sees that it must not enter.
 */
static int thread_enter(struct process *process, struct thread *child, struct number *number)
{
    int error;

    spin_lock(&process_table_lock);
    spin_lock(&process->signals_lock);
    error = parent_check_locked(process);
    if (!error)
        identity_publish(child->identity, number);
    if (!error && process->stop_wanted) /* it stops with the others, on its way to user mode */
        process->stop_count++;
    if (!error)
        signal_work_update_locked(process, child->identity);
    spin_unlock(&process->signals_lock);
    spin_unlock(&process_table_lock);
    return error;
}

/*
 * CLONE_PARENT makes a sibling: the child is our parent's, and ends with the signal that we would.
 */
int process_enter_locked(struct process *parent, struct thread *child, struct number *number,
                         const struct clone_request *request)
{
    struct process *process = child->process;
    bool sibling = request->flags & CLONE_PARENT;
    int error;

    spin_lock(&parent->signals_lock);
    error = parent_check_locked(parent);
    spin_unlock(&parent->signals_lock);
    if (error)
        return error;
    process->parent = sibling ? parent->parent : parent;
    process->creator = sibling ? parent->creator : thread_current();
    process->exit_signal = sibling ? parent->exit_signal : request->exit_signal;
    process->has_subreaper = parent->has_subreaper || parent->is_subreaper;
    list_push_back(&process->parent->children, &process->sibling);
    group_join_locked(process, parent->group);
    process_publish(process, number);
    identity_publish(child->identity, number);
    return 0;
}

static int process_enter(struct process *parent, struct thread *child, struct number *number,
                         const struct clone_request *request)
{
    int error;

    spin_lock(&process_table_lock);
    error = process_enter_locked(parent, child, number, request);
    spin_unlock(&process_table_lock);
    return error;
}

/* RLIMIT_NPROC: threads of one user, as Linux counts. -EAGAIN. */
int clone_limits_check(const struct thread *parent)
{
    const struct credentials *credentials = parent->credentials;

    if (numbers_count() < limit_soft(RLIMIT_NPROC))
        return 0;
    if (credentials->uid == 0 || credentials_can(credentials, CAPABILITY_SYS_RESOURCE) ||
        credentials_can(credentials, CAPABILITY_SYS_ADMIN))
        return 0;
    return process_count_of_user(credentials->uid) < limit_soft(RLIMIT_NPROC) ? 0 : -EAGAIN;
}

/*
 * Killable: a parent that is to end does not wait for a child that never calls exec. The child goes
 * on, with the memory that it shares.
 */
static void vfork_wait(struct thread_identity *child)
{
    int error = 0;

    spin_lock(&child->vfork_queue.lock);
    while (child->vfork_waits && !error)
        error = wait_queue_wait(&child->vfork_queue, WAIT_KILLABLE, WAIT_FOR_VFORK);
    spin_unlock(&child->vfork_queue.lock);
}

/*
 * Looked at without the lock first: only a vfork's child, and only once, has anything to tell, and
 * it is its own flag.
 */
void vfork_release(struct thread_identity *child)
{
    if (!child->vfork_waits)
        return;
    spin_lock(&child->vfork_queue.lock);
    child->vfork_waits = false;
    wait_queue_wake_locked(&child->vfork_queue, WAKE_ALL, 0);
    spin_unlock(&child->vfork_queue.lock);
}

/* From here nothing fails: the parent hears the number, the child runs. */
static int child_launch(struct thread *child, const struct clone_request *request, int tid)
{
    bool child_first =
        !(request->flags & CLONE_THREAD) && process_setting(SETTING_CHILD_RUNS_FIRST);

    if (request->flags & CLONE_PARENT_SETTID)
        (void)!copy_out(request->parent_tid, &tid, sizeof(tid));
    if (request->flags & CLONE_VFORK) {
        child->identity->vfork_waits = true;
        thread_start(child);
        vfork_wait(child->identity);
    } else {
        thread_start(child);
        if (child_first)
            sched_yield();
    }
    thread_put(child);
    return tid;
}

/* A ladder of what is to be undone; thread_put frees the identity, which puts the process. */
static long clone_thread(const struct clone_request *request, const struct trap_frame *frame)
{
    struct process *process = process_current();
    struct number *number;
    struct thread *child;
    int error;

    error = thread_build(process, request, frame, &child);
    if (error)
        return error;
    error = number_of_child(request, &number);
    if (error)
        goto abandon;
    error = thread_enter(process, child, number);
    if (!error)
        return child_launch(child, request, number->value);
    number_free(number);
abandon:
    thread_parts_release(child);
    thread_put(child);
    return error;
}

/* The same with a control block, which the thread holds once it is built. */
static long clone_process(const struct clone_request *request, const struct trap_frame *frame)
{
    struct process *parent = process_current(), *process;
    struct pidfd_reserved pidfd;
    struct number *number;
    struct thread *child;
    int error;

    error = process_alloc(&process);
    if (error)
        return error;
    process_inherit(parent, process);
    process->dumpable = parent->dumpable;
    process->barriers = parent->barriers;
    error = actions_clone(parent, process, request->flags);
    if (!error)
        error = thread_build(process, request, frame, &child);
    process_put(process); /* the thread holds it now, or it goes */
    if (error)
        return error;
    error = number_of_child(request, &number);
    if (error)
        goto abandon;
    error = pidfd_reserve_for_clone(request, process, &pidfd);
    if (error)
        goto free_number;
    error = process_enter(parent, child, number, request);
    if (!error) {
        pidfd_install(&pidfd);
        return child_launch(child, request, number->value);
    }
    pidfd_release(&pidfd);
free_number:
    number_free(number);
abandon:
    thread_parts_release(child);
    thread_put(child);
    return error;
}

long process_clone(const struct clone_request *request, const struct trap_frame *frame)
{
    int error = flags_check(request);

    if (!error)
        error = clone_limits_check(thread_current());
    if (error)
        return error;
    return (request->flags & CLONE_THREAD) ? clone_thread(request, frame)
                                           : clone_process(request, frame);
}

/* ---- unshare ---- */

/*
 * unshare(2) of what nobody shares is nothing to do; of what is shared it is refused, so the counts
 * are asked and not changed.
 */
bool process_is_alone(u64 flags)
{
    struct thread *thread = thread_current();
    struct process *process = thread->process;

    if (process->thread_count != 1)
        return false;
    if ((flags & (CLONE_SIGHAND | CLONE_VM)) && signal_actions_are_shared(process->actions))
        return false;
    return !(flags & CLONE_VM) || refcount_read(&thread->space->references) == 1;
}

int thread_directories_unshare(void)
{
    struct thread *thread = thread_current();
    struct directories *copy, *before = thread->directories;
    int error;

    if (refcount_read(&before->references) == 1)
        return 0;
    error = directories_copy(before, &copy);
    if (error)
        return error;
    spin_lock(&process_table_lock);
    thread->directories = copy;
    spin_unlock(&process_table_lock);
    directories_put(before);
    return 0;
}
