/*
 * Open files in flight (SCM_RIGHTS), and the collection of those that nobody can receive any more.
 *
 * A file in flight is kept by the packet that carries it. If it is a socket, its queue may hold
 * packets with files again, itself among them; then closing all descriptors leaves a circle of
 * references that no count finds:
 *
 *     a.received -> packet(b)      b.received -> packet(a)      no descriptor for a or b
 *
 * So each unix socket counts how often it is in flight. One whose file has no other references is a
 * candidate: it can be reached only through a queue. collect() takes from each candidate's count
 * what the queues of candidates explain; what is left over lies in the queue of a socket that
 * somebody has open (or in a sender's or receiver's hands), so it can be reached, and with it all
 * that its own queue holds. The rest is garbage: its packets with files are taken off and freed,
 * which breaks every circle.
 *
 * Why nothing changes underneath. All is done under flight_lock, and:
 *   - files are launched before they are put on a queue and land after they were taken off, both
 *     under flight_lock. A file in between is in flight, and in no queue: reachable.
 *   - a candidate can get a new descriptor only by landing (or by a peek, which copies under the
 *     lock), so nobody reads its queue while we look: packets are only added, and the files in
 *     them are reachable by the rule above, or were looked at in both rounds alike.
 *   - a reference that is counted nowhere (a lookup that is about to be given up) only makes a
 *     candidate fewer, which the next collection finds.
 *
 * Discarding: the files of a packet that nobody received may be sockets whose queues hold packets
 * with files, to any depth. So they go on a list, and the one thread that drains it puts them one
 * after the other; what comes meanwhile is added to the list. The stack stays flat.
 *
 * Locking: flight_lock (a mutex), then a socket's readable.lock; discards.lock is a leaf.
 */
#include "passed_files.h"

#include <pith/abi/errno.h>
#include <pith/abi/process.h>
#include <pith/mem.h>
#include <pith/proc.h>

#include "unix.h"

/* From so many files in flight on, a launch collects too, and again at each doubling (as Linux's
 * UNIX_INFLIGHT_TRIGGER_GC). */
#define COLLECT_FROM 16000u

/* How many files a user has in flight. */
struct flight_user {
    struct list link;
    u32 uid;
    u32 count;
};

static struct mutex flight_lock;                 /* LOCK_SOCKET_FLIGHT; guards all below */
static struct list sockets = LIST_INIT(sockets); /* that are in flight, by flight_link */
static struct list users = LIST_INIT(users);     /* of flight_user with a count */
static u64 files_in_flight, collect_at = COLLECT_FROM;

static struct {
    struct spinlock lock;
    struct list list;    /* guarded_by(&lock) of struct passed_files */
    bool is_draining;    /* guarded_by(&lock) */
    bool collect_wanted; /* guarded_by(&lock) */
} discards = {.lock = SPINLOCK_INIT(LOCK_LEAF), .list = LIST_INIT(discards.list)};

/* ---- Sets of files ---- */

struct passed_files *passed_files_alloc(u32 capacity)
{
    struct passed_files *passed =
        kmalloc(sizeof(*passed) + capacity * sizeof(passed->files[0]), ALLOC_CLEARED);

    if (passed)
        passed->capacity = capacity;
    return passed;
}

void passed_files_free(struct passed_files *passed)
{
    if (!passed)
        return;
    for (u32 i = 0; i < passed->count; i++)
        file_put(passed->files[i]);
    kfree(passed);
}

struct passed_files *passed_files_copy(const struct passed_files *passed)
{
    struct passed_files *copy = passed_files_alloc(passed->count);

    if (!copy)
        return NULL;
    /* Under the lock: a candidate must not be opened while it is looked at. */
    mutex_lock(&flight_lock);
    for (u32 i = 0; i < passed->count; i++) {
        file_get(passed->files[i]);
        copy->files[copy->count++] = passed->files[i];
    }
    mutex_unlock(&flight_lock);
    return copy;
}

/* ---- Taking off and landing ---- */

static struct unix_socket *unix_of_file(const struct file *file)
{
    struct socket *socket = socket_of_file(file);

    return socket && socket->family == AF_UNIX ? unix_of(socket) : NULL;
}

static struct flight_user *user_find_locked(u32 uid) must_hold(&flight_lock)
{
    struct flight_user *user;

    list_for_each (user, &users, link)
        if (user->uid == uid)
            return user;
    return NULL;
}

/* The calling user's, made if there is none. -ETOOMANYREFS, -ENOMEM. */
static int user_begin_locked(u32 uid, struct flight_user **user_out) must_hold(&flight_lock)
{
    const struct thread *thread = thread_current();
    struct flight_user *user = user_find_locked(uid);

    if (!user) {
        user = kmalloc(sizeof(*user), ALLOC_CLEARED);
        if (!user)
            return -ENOMEM;
        user->uid = uid;
        list_push_back(&users, &user->link);
    }
    if (user->count > READ_ONCE(thread->limits_open_files) &&
        !credentials_can(thread->credentials, CAPABILITY_SYS_RESOURCE) &&
        !credentials_can(thread->credentials, CAPABILITY_SYS_ADMIN))
        return -ETOOMANYREFS;
    *user_out = user;
    return 0;
}

static void file_launch_locked(struct file *file) must_hold(&flight_lock)
{
    struct unix_socket *local = unix_of_file(file);

    if (!local)
        return;
    local->flight_file = file;
    if (local->in_flight++ == 0)
        list_push_back(&sockets, &local->flight_link);
}

static void file_land_locked(struct file *file) must_hold(&flight_lock)
{
    struct unix_socket *local = unix_of_file(file);

    if (local && --local->in_flight == 0)
        list_remove(&local->flight_link);
}

int passed_files_launch(struct passed_files *passed)
{
    struct flight_user *user;
    bool collect = false;
    int error;

    passed->sender_uid = thread_current()->credentials->uid;
    mutex_lock(&flight_lock);
    error = user_begin_locked(passed->sender_uid, &user);
    if (!error) {
        user->count += passed->count;
        files_in_flight += passed->count;
        for (u32 i = 0; i < passed->count; i++)
            file_launch_locked(passed->files[i]);
        collect = files_in_flight > collect_at;
    }
    mutex_unlock(&flight_lock);
    if (collect)
        unix_flight_collect();
    return error;
}

void passed_files_land(struct passed_files *passed)
{
    struct flight_user *user;

    mutex_lock(&flight_lock);
    user = user_find_locked(passed->sender_uid);
    user->count -= passed->count;
    if (!user->count) {
        list_remove(&user->link);
        kfree(user);
    }
    files_in_flight -= passed->count;
    for (u32 i = 0; i < passed->count; i++)
        file_land_locked(passed->files[i]);
    mutex_unlock(&flight_lock);
}

/* ---- What a queue holds ---- */

typedef void file_visitor(struct unix_socket *found, void *argument);

static void queue_visit(struct unix_socket *local, file_visitor *visit, void *argument)
{
    struct packet *packet;

    spin_lock(&local->socket.readable.lock);
    list_for_each (packet, &local->socket.received, link) {
        for (u32 i = 0; packet->files && i < packet->files->count; i++) {
            struct unix_socket *found = unix_of_file(packet->files->files[i]);

            if (found)
                visit(found, argument);
        }
    }
    spin_unlock(&local->socket.readable.lock);
}

/*
 * The connection after `before` (NULL: the first) that nobody accepted yet, with a reference; gives
 * that of `before` up. A candidate's list only grows, at its end: nobody can accept from it.
 */
static struct unix_socket *pending_next(struct unix_socket *listener, struct unix_socket *before)
{
    struct unix_socket *next = NULL;
    struct list *link;

    spin_lock(&listener->socket.readable.lock);
    link = before ? before->pending_link.next : listener->pending.next;
    if (link != &listener->pending) {
        next = list_entry(link, struct unix_socket, pending_link);
        unix_get(next);
    }
    spin_unlock(&listener->socket.readable.lock);
    if (before)
        unix_put(before);
    return next;
}

/* All sockets in packets that are received, or wait in connections that nobody accepted yet. */
static void socket_visit(struct unix_socket *local, file_visitor *visit, void *argument)
{
    struct unix_socket *pending = NULL;

    sched_point(); /* there may be many sockets */
    queue_visit(local, visit, argument);
    while ((pending = pending_next(local, pending)))
        queue_visit(pending, visit, argument);
}

/* ---- Collecting ---- */

static void visit_explain(struct unix_socket *found, void *argument)
{
    if (found->is_candidate)
        found->unexplained--;
}

static void reach(struct unix_socket *found, void *work)
{
    if (!found->is_candidate || found->is_reachable)
        return;
    found->is_reachable = true;
    list_push_back(work, &found->work_link);
}

static void mark_reachable_locked(void) must_hold(&flight_lock)
{
    struct list work = LIST_INIT(work);
    struct unix_socket *local;

    list_for_each (local, &sockets, flight_link) {
        local->is_candidate = refcount_read(&local->flight_file->references) == local->in_flight;
        local->is_reachable = false;
        local->unexplained = local->in_flight;
    }
    list_for_each (local, &sockets, flight_link)
        if (local->is_candidate)
            socket_visit(local, visit_explain, NULL);
    list_for_each (local, &sockets, flight_link)
        if (local->unexplained)
            reach(local, &work);
    while (!list_is_empty(&work)) {
        local = list_entry(list_pop_front(&work), struct unix_socket, work_link);
        socket_visit(local, reach, &work);
    }
}

static void queue_take_files(struct unix_socket *local, struct list *taken)
{
    struct packet *packet, *following;

    spin_lock(&local->socket.readable.lock);
    list_for_each_safe (packet, following, &local->socket.received, link) {
        if (!packet->files)
            continue;
        list_remove(&packet->link);
        local->socket.received_count--;
        list_push_back(taken, &packet->link);
    }
    spin_unlock(&local->socket.readable.lock);
}

static void collect(void)
{
    struct list taken = LIST_INIT(taken);
    struct unix_socket *local, *pending = NULL;

    mutex_lock(&flight_lock);
    mark_reachable_locked();
    list_for_each (local, &sockets, flight_link) {
        if (!local->is_candidate || local->is_reachable)
            continue;
        queue_take_files(local, &taken);
        while ((pending = pending_next(local, pending)))
            queue_take_files(pending, &taken);
    }
    collect_at = MAX(2 * files_in_flight, (u64)COLLECT_FROM);
    mutex_unlock(&flight_lock);
    while (!list_is_empty(&taken))
        packet_free(list_entry(list_pop_front(&taken), struct packet, link));
}

/* ---- Discarding ---- */

static struct passed_files *discard_pop_locked(void) must_hold(&discards.lock)
{
    if (list_is_empty(&discards.list))
        return NULL;
    return list_entry(list_pop_front(&discards.list), struct passed_files, link);
}

/* Does all that there is to do, unless somebody is at it. */
static void drain(void)
{
    spin_lock(&discards.lock);
    if (discards.is_draining) {
        spin_unlock(&discards.lock);
        return;
    }
    discards.is_draining = true;
    for (;;) {
        struct passed_files *passed = discard_pop_locked();
        bool wanted = discards.collect_wanted;

        if (!passed && !wanted)
            break;
        if (!passed)
            discards.collect_wanted = false;
        spin_unlock(&discards.lock);
        if (passed) {
            passed_files_land(passed);
            passed_files_free(passed);
        } else {
            collect();
        }
        sched_point();
        spin_lock(&discards.lock);
    }
    discards.is_draining = false;
    spin_unlock(&discards.lock);
}

void passed_files_discard(struct passed_files *passed)
{
    spin_lock(&discards.lock);
    list_push_back(&discards.list, &passed->link);
    spin_unlock(&discards.lock);
    drain();
}

void unix_flight_collect(void)
{
    if (likely(list_is_empty(&sockets))) /* a hint: who launches now has it open */
        return;
    spin_lock(&discards.lock);
    discards.collect_wanted = true;
    spin_unlock(&discards.lock);
    drain();
}

void unix_flight_init(void)
{
    mutex_init(&flight_lock, LOCK_SOCKET_FLIGHT);
}
