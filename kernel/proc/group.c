/*
 * Process groups and sessions: who is in the foreground together.
 *
 *     session -- leader, terminal
 *        '-- process_group -- members (processes)
 *
 * A group lives while it has members or a terminal refers to it; a session while it has groups.
 * A group without members is not found by its number any more; a terminal that still has it in the
 * foreground sees its id. setpgid(2) and setsid(2) move a process under process_table_lock, after
 * all that they may need was allocated: a new group comes with its first member, or is freed
 * unseen.
 *
 * The group that its members could no longer be continued in (none has a parent in another group of
 * the session) is orphaned: terminal stops do nothing to it, and if members are stopped when it
 * becomes so, they are told by SIGHUP and SIGCONT (POSIX, "Orphaned Process Group"). Only the end
 * of a process is looked at, a member's or its parent's, as on Linux; children are handed to
 * process 1 or a subreaper after that.
 *
 * Locking: process_table_lock guards membership, leaders and terminals.
 * Context: groups and sessions are allocated with nothing locked; their last reference is put so
 *          too.
 */
#include "internal.h"

/* ---- Life ---- */

/* Its number may stand in for one that the process does not bear yet (group_place). */
int group_create(struct number *number, struct session *session, struct process_group **group_out)
{
    struct process_group *group = kmalloc(sizeof(*group), ALLOC_CLEARED);

    if (!group)
        return -ENOMEM;
    refcount_set(&group->references, 1);
    list_init(&group->members);
    group->id = number->value;
    group->number = number;
    group->session = session;
    if (session)
        session_get(session);
    *group_out = group;
    return 0;
}

void session_get(struct session *session)
{
    refcount_inc(&session->references);
}

void session_put(struct session *session)
{
    if (session && refcount_dec_is_zero(&session->references))
        session_release(session);
}

/* A group whose last member left is found no more; what refers to it still sees its id. */
void group_put(struct process_group *group)
{
    if (!group || !refcount_dec_is_zero(&group->references))
        return;
    session_put(group->session);
    kfree(group);
}

void group_join_locked(struct process *process, struct process_group *group)
{
    refcount_inc(&group->references);
    group->number->group = group;
    process->group = group;
    list_push_back(&group->members, &process->group_link);
}

/*
 * A group without members is found no more; its memory waits for whoever still has it, a terminal's
 * foreground say.
 */
struct process_group *group_leave_locked(struct process *process)
{
    struct process_group *group = process->group;

    list_remove(&process->group_link);
    process->group = NULL;
    if (list_is_empty(&group->members) && group->number->group == group) {
        group->number->group = NULL;
        number_free_unused(group->number);
    }
    return group;
}

/* ---- setpgid, setsid ---- */

/* May `caller` move `process`? It itself, or a child that has not called exec yet. */
static int check_movable(struct process *caller, struct process *process)
    must_hold(&process_table_lock)
{
    struct session *session = process_session(process);

    if (process != caller && process->parent != caller)
        return -ESRCH;
    if (process != caller) {
        if (session != process_session(caller))
            return -EPERM;
        if (process->did_exec)
            return -EACCES;
    }
    return session->leader == process ? -EPERM : 0;
}

/* `fresh`: a new group with the process's own id, to be used if there is none yet; NULL: none. */
static int move_locked(struct process *caller, int pid, int id, struct process_group *fresh,
                       struct process_group **left_out) must_hold(&process_table_lock)
{
    struct process *process = process_find_locked(pid);
    struct process_group *group;
    int error;

    if (!process)
        return identity_find_locked(pid) ? -EINVAL : -ESRCH; /* a thread that leads no process */
    if (process->state != PROCESS_ALIVE)
        return -ESRCH;
    error = check_movable(caller, process);
    if (error)
        return error;
    group = group_find_locked(id);
    if (!group && id == pid) {
        group = fresh;
        group->number = process->number;
        group->session = process_session(process);
        session_get(group->session);
    }
    if (!group || group->session != process_session(process))
        return -EPERM;
    if (group == process->group)
        return 0;
    *left_out = group_leave_locked(process);
    group_join_locked(process, group);
    return 0;
}

/*
 * The group that may be needed is made first, as if for the process; it is freed unseen if there is
 * one by that number already.
 */
int process_set_group(int pid, int id)
{
    struct process *caller = process_current();
    struct number number = {.value = id ? id : pid ? pid : caller->pid};
    struct process_group *fresh, *left = NULL;
    int error;

    if (pid < 0 || id < 0)
        return -EINVAL;
    pid = pid ? pid : caller->pid;
    error = group_create(&number, NULL, &fresh);
    if (error)
        return error;
    spin_lock(&process_table_lock);
    error = move_locked(caller, pid, number.value, fresh, &left);
    spin_unlock(&process_table_lock);
    group_put(left);
    group_put(fresh);
    return error;
}

int group_place_prepare(struct group_place *place, u32 flags, int id)
{
    *place = (struct group_place){.number.value = id};
    if (flags & SPAWN_NEW_SESSION) {
        place->session = kmalloc(sizeof(*place->session), ALLOC_CLEARED);
        if (!place->session)
            return -ENOMEM;
        refcount_set(&place->session->references, 1);
        place->session->id = id;
    }
    if (!(flags & (SPAWN_NEW_GROUP | SPAWN_NEW_SESSION)))
        return 0;
    return group_create(&place->number, place->session, &place->group);
}

/* Once they are in their place the process's group holds them; else nobody ever saw them. */
void group_place_fini(struct group_place *place)
{
    struct process_group *group = place->group;
    struct session *session = place->session;

    if (group && group->number == &place->number)
        kfree(group);
    else
        group_put(group);
    if (session && !session->number)
        kfree(session);
    else
        session_put(session);
}

/*
 * The group, and the session, come into being with their only member: nobody ever finds them empty.
 */
struct process_group *group_place_locked(struct process *process, struct group_place *place)
{
    struct process_group *group = place->group, *left;
    struct session *session = place->session;

    if (!group)
        return NULL;
    group->number = process->number;
    if (session) {
        session->number = process->number;
        process->number->session = session;
        session->leader = process;
    } else {
        group->session = process_session(process);
        session_get(group->session);
    }
    left = group_leave_locked(process);
    group_join_locked(process, group);
    return left;
}

/* A leader of a group may not: the new session's id would be a group's in another session. */
long process_create_session(void)
{
    struct process *process = process_current();
    struct process_group *left = NULL;
    struct group_place place;
    int error = group_place_prepare(&place, SPAWN_NEW_SESSION, process->pid);

    if (!error) {
        spin_lock(&process_table_lock);
        if (process->number->group || process->number->session)
            error = -EPERM;
        else
            left = group_place_locked(process, &place);
        spin_unlock(&process_table_lock);
    }
    group_put(left);
    group_place_fini(&place);
    return error ? error : process->pid;
}

/* ---- Orphaned groups ---- */

/* Whether `process` could continue its group from outside, but for `leaving`. */
static bool member_links_group(const struct process *member, const struct process *leaving)
{
    const struct process *parent = member->parent;

    if (member == leaving || member->state != PROCESS_ALIVE || !parent || !parent->group)
        return false;
    return parent->group != member->group && parent->group->session == member->group->session;
}

/*
 * As it will be when `leaving` is gone; POSIX asks at the end of a process, before its children
 * have another parent.
 */
static bool group_is_orphaned_without(struct process_group *group, const struct process *leaving)
{
    struct process *member;

    list_for_each (member, &group->members, group_link)
        if (member_links_group(member, leaving))
            return false;
    return true;
}

bool group_is_orphaned_locked(struct process_group *group)
{
    return group_is_orphaned_without(group, NULL);
}

static bool group_has_stopped_member(struct process_group *group)
{
    struct process *member;

    list_for_each (member, &group->members, group_link)
        if (READ_ONCE(member->stop_wanted))
            return true;
    return false;
}

/* SIGHUP first, so that a program which handles it does so when SIGCONT lets it run. */
static void group_tell_orphaned(struct process_group *group)
{
    static const int signals[] = {SIGHUP, SIGCONT};
    struct process *member;

    for (size_t i = 0; i < ARRAY_SIZE(signals); i++) {
        struct signal_info info;

        signal_info_init(&info, signals[i], SI_KERNEL);
        list_for_each (member, &group->members, group_link)
            (void)signal_send_process(member, &info);
    }
}

/* `group` loses a link because of `leaving`'s end. */
static void orphan_check(struct process_group *group, struct process *leaving)
{
    if (group_is_orphaned_without(group, leaving) && group_has_stopped_member(group))
        group_tell_orphaned(group);
}

/* Called before the children get another parent. */
void group_orphan_check_locked(struct process *process)
{
    struct process *child;

    if (process->parent && process->parent->group != process->group &&
        process_session(process->parent) == process_session(process))
        orphan_check(process->group, process);
    list_for_each (child, &process->children, sibling)
        if (child->group != process->group && process_session(child) == process_session(process))
            orphan_check(child->group, child);
}

/* One that is not there any more can be continued by nobody. */
bool process_group_is_orphaned(s32 id)
{
    struct process_group *group;
    bool orphaned;

    spin_lock(&process_table_lock);
    group = group_find_locked(id);
    orphaned = !group || group_is_orphaned_locked(group);
    spin_unlock(&process_table_lock);
    return orphaned;
}

s32 process_group_current(void)
{
    return process_group_id(process_current());
}

int process_group_in_session(s32 id, s32 session)
{
    struct process_group *group;
    int error = 0;

    spin_lock(&process_table_lock);
    group = group_find_locked(id);
    if (!group)
        error = -ESRCH;
    else if (group->session->id != session)
        error = -EPERM;
    spin_unlock(&process_table_lock);
    return error;
}
