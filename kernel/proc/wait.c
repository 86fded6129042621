/*
 * Waiting for children: wait4(2) and waitid(2).
 *
 * What can be waited for is a child that ended (it is reaped: its control block goes, and its usage
 * is added to its parent's), one that stopped, or one that was continued; the latter two are told
 * once. The look at the children and the sleep are under one lock, so no change falls in between:
 *
 *     parent                                       the child's last thread
 *     lock(process_table_lock); enter child_waiters
 *     no child has anything to tell
 *     block, which lets the lock go  - - - - - ->  lock; ZOMBIE; SIGCHLD; wakes them; unlock
 *     lock; the child is found and reaped
 *
 * Threads of one parent that wait are all woken, for each may want another child. The first that
 * gets the lock takes a child out of the family; the others look again, and may find none
 * (-ECHILD).
 *
 * -EINTR comes only after a look that found nothing: a child that ended before the signal is told.
 *
 * Locking: process_table_lock; a child's signals_lock inside it for its stops.
 * Context: the waiting thread. Sleeps.
 */
#include "internal.h"

/*
 * waitid(2) and wait4(2): a child that ends with another signal than SIGCHLD is a "clone" child,
 * which only __WCLONE or __WALL waits for.
 */
static bool child_matches(const struct process *child, const struct wait_request *request)
{
    bool is_clone = child->exit_signal != SIGCHLD;

    if (request->which == P_PID && child->pid != request->id)
        return false;
    if (request->which == P_PIDFD && child != request->process)
        return false;
    if ((request->options & __WNOTHREAD) && child->creator != thread_current())
        return false;
    if (child->state == PROCESS_ZOMBIE && !(request->options & WEXITED))
        return false; /* it will never stop or go on again */
    if (request->which == P_PGID && (!child->group || child->group->id != request->id))
        return false;
    return (request->options & __WALL) || is_clone == !!(request->options & __WCLONE);
}

static void result_init(struct process *child, int code, int status, struct wait_result *result_out)
    must_hold(&process_table_lock)
{
    result_out->pid = child->pid;
    result_out->uid = process_credentials_locked(child)->uid;
    result_out->status = status;
    result_out->code = code;
    process_usage_locked(child, &result_out->usage);
    usage_add(&result_out->usage, &child->children_usage);
}

/* The caller puts the table's reference and the group without locks. */
static void reap_locked(struct process *parent, struct process *child,
                        const struct wait_result *result, struct process **reaped_out)
    must_hold(&process_table_lock)
{
    usage_add(&parent->children_usage, &result->usage);
    process_unpublish_locked(child);
    *reaped_out = child;
}

static bool try_stopped(struct process *child, const struct wait_request *request,
                        struct wait_result *result_out) must_hold(&process_table_lock)
{
    bool keep = request->options & WNOWAIT, found = false;

    spin_lock(&child->signals_lock);
    if ((request->options & WSTOPPED) && child->stop_reportable) {
        child->stop_reportable = keep;
        result_init(child, CLD_STOPPED, child->stop_signal << 8 | 0x7f, result_out);
        found = true;
    } else if ((request->options & WCONTINUED) && child->continue_reportable) {
        child->continue_reportable = keep;
        result_init(child, CLD_CONTINUED, 0xffff, result_out);
        found = true;
    }
    spin_unlock(&child->signals_lock);
    return found;
}

/* A zombie has nothing else to tell. WNOWAIT leaves it for another call. */
static bool try_child(struct process *parent, struct process *child,
                      const struct wait_request *request, struct wait_result *result_out,
                      struct process **reaped_out) must_hold(&process_table_lock)
{
    int status = child->exit_status;

    if (child->state != PROCESS_ZOMBIE)
        return try_stopped(child, request, result_out);
    result_init(child, status_code(status), status, result_out);
    if (!(request->options & WNOWAIT))
        reap_locked(parent, child, result_out, reaped_out);
    return true;
}

/* 1: *result_out is filled in; 0: nothing yet; -ECHILD: there is no such child. */
static int try_children(struct process *parent, const struct wait_request *request,
                        struct wait_result *result_out, struct process **reaped_out)
    must_hold(&process_table_lock)
{
    struct process *child;
    int result = -ECHILD;

    list_for_each (child, &parent->children, sibling) {
        if (!child_matches(child, request))
            continue;
        result = 0;
        if (try_child(parent, child, request, result_out, reaped_out))
            return 1;
    }
    return result;
}

/*
 * WNOHANG and a signal both end the loop only after a look, so neither hides a child that is ready.
 */
int process_wait(const struct wait_request *request, struct wait_result *result_out)
{
    struct process *parent = process_current(), *reaped = NULL;
    struct waiter waiter = {.thread = thread_current()};
    struct list reaped_list = LIST_INIT(reaped_list);
    int result, error = 0;

    result_out->pid = 0;
    spin_lock(&process_table_lock);
    list_push_back(&parent->child_waiters, &waiter.link);
    for (;;) {
        result = try_children(parent, request, result_out, &reaped);
        if (result || (request->options & WNOHANG) || error)
            break;
        error = thread_block(WAIT_INTERRUPTIBLE, WAIT_FOR_CHILD, &process_table_lock);
    }
    list_remove(&waiter.link);
    if (reaped)
        list_push_back(&reaped_list, &reaped->sibling);
    spin_unlock(&process_table_lock);
    processes_put_reaped(&reaped_list);
    if (result)
        return MIN(result, 0);
    return error;
}
