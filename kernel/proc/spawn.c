/*
 * spawn: a process built from nothing, beside fork, which copies.
 *
 * The caller prepares all that the child will have while the child does not exist: exec's part
 * builds an address space with the program (exec.c), abi/ made a file table and directories. What
 * is then left is a control block and a thread whose first instruction is the program's. So nothing
 * is copied that would be thrown away, the cost does not know how large the caller is, and an error
 * finds nothing to undo that anybody saw.
 *
 *     exec_prepare -> control block -> thread -> number, pidfd -> entry -> start
 *                     (process_inherit)          (reserved)       (the same step as fork's)
 *
 * Parts change owners by moving their pointers: from the request and from struct exec into the
 * thread. Whoever fails releases what it still has, so each part has one owner at each moment.
 *
 * What the child inherits is what exec keeps (limits, personality, login, oom_score_adj); what exec
 * would have reset or closed it never had.
 *
 * Locking: process_table_lock for the entry. Context: the caller, in its call. Sleeps.
 */
#include "exec.h"

#include "fork.h"

static void spawn_begin(void *argument)
{
    struct thread *thread = thread_current();

    user_mode_enter(trap_frame_at((char *)thread->stack + KERNEL_STACK_BYTES));
}

static int process_make(const struct exec *exec, struct process **process_out)
{
    struct process *process;
    int error = process_alloc(&process);

    if (error)
        return error;
    process->actions = signal_actions_create();
    if (!process->actions) {
        process_put(process);
        return -ENOMEM;
    }
    process_inherit(process_current(), process);
    process_personality_reset(process, exec);
    process->did_exec = true;
    process->dumpable = exec->dumpable;
    *process_out = process;
    return 0;
}

/* Moves what was prepared into the thread, which releases it from now on. */
static void parts_move(struct thread *thread, struct exec *exec, struct spawn_request *request)
{
    thread->space = exec->space;
    thread->credentials = exec->credentials;
    thread->files = request->files;
    thread->directories = request->directories;
    exec->space = NULL;
    exec->credentials = NULL;
    request->files = NULL;
    request->directories = NULL;
}

/* Once the parts are moved, thread_parts_release gives them up and exec_free finds none. */
static int thread_make(struct process *process, struct exec *exec, struct spawn_request *request,
                       struct thread **thread_out)
{
    struct thread *thread;
    int error = process_thread_alloc(process, spawn_begin, NULL, &thread);

    if (error)
        return error;
    error = user_context_init(&thread->user);
    if (error) {
        thread_put(thread);
        return error;
    }
    parts_move(thread, exec, request);
    scheduling_clone(thread_current(), thread);
    thread->identity->blocked = request->signal_mask & ~SIGNALS_UNBLOCKABLE;
    exec_name_set(thread->identity, request->program.name);
    trap_frame_init_user(trap_frame_at((char *)thread->stack + KERNEL_STACK_BYTES), exec->entry,
                         exec->stack_pointer);
    *thread_out = thread;
    return 0;
}

/* The child's number, told, and a descriptor for the caller. */
static int number_make(const struct spawn_request *request, struct process *process,
                       struct number **number_out, struct pidfd_reserved *pidfd_out)
{
    struct number *number;
    int error = number_alloc(0, &number);

    if (error)
        return error;
    error = pidfd_reserve(process, pidfd_out);
    if (error)
        goto free_number;
    if (!user_ptr_is_null(request->pid) &&
        copy_out(request->pid, &number->value, sizeof(number->value))) {
        error = -EFAULT;
        goto release_pidfd;
    }
    *number_out = number;
    return 0;

release_pidfd:
    pidfd_release(pidfd_out);
free_number:
    number_free(number);
    return error;
}

/*
 * Into the parent's group and out of it again under one hold of the lock: nobody sees the child
 * where it was not asked to be.
 */
static int child_enter(struct thread *child, struct number *number,
                       const struct clone_request *request, struct group_place *place)
{
    struct process *parent = process_current();
    struct process_group *left = NULL;
    int error;

    spin_lock(&process_table_lock);
    error = process_enter_locked(parent, child, number, request);
    if (!error)
        left = group_place_locked(child->process, place);
    spin_unlock(&process_table_lock);
    group_put(left);
    return error;
}

/* The pidfd exists before the child can run, so the child's end cannot be missed. */
static int launch(struct thread *child, const struct spawn_request *request)
{
    static const struct clone_request plain = {.exit_signal = SIGCHLD};
    struct process *process = child->process;
    struct pidfd_reserved pidfd;
    struct group_place place;
    struct number *number;
    int error;

    error = number_make(request, process, &number, &pidfd);
    if (error)
        return error;
    error = group_place_prepare(&place, request->flags, number->value);
    if (!error)
        error = child_enter(child, number, &plain, &place);
    group_place_fini(&place);
    if (error) {
        pidfd_release(&pidfd);
        number_free(number);
        return error;
    }
    pidfd_install(&pidfd);
    thread_start(child);
    return pidfd.fd;
}

static int build(struct exec *exec, struct spawn_request *request)
{
    struct process *process;
    struct thread *child;
    int result = clone_limits_check(thread_current());

    if (!result)
        result = exec_prepare(exec, &request->program);
    if (!result)
        result = process_make(exec, &process);
    if (result)
        return result;
    result = thread_make(process, exec, request, &child);
    process_put(process); /* the thread holds it now, or it goes */
    if (result)
        return result;
    result = launch(child, request);
    if (result < 0)
        thread_parts_release(child);
    thread_put(child);
    return result;
}

int process_spawn(struct spawn_request *request)
{
    struct exec *exec = exec_alloc(&request->program);
    int result;

    if (!exec)
        return -ENOMEM;
    result = build(exec, request);
    exec_free(exec);
    return result;
}
