/*
 * File locks: flock(2), and record locks of processes and of open files (fcntl(2)).
 *
 * An inode's locks lie in two lists: whole-file locks of flock, and record locks, whose owner is a
 * file table (POSIX: all threads of a process) or an open file (F_OFD_SETLK). Two locks are in
 * conflict if their owners differ, their ranges overlap and one of them is for writing. An owner's
 * record locks never overlap: a new one replaces what it covers, cuts what it meets, and joins what
 * it touches of its own kind.
 *
 *      have  RRRRRRRRRRRR           set W on the middle needs two new entries:
 *      then  RRRR WWWW RRRR         the W, and the second R
 *
 * So two entries are allocated before the lock is taken, and a change cannot fail half done.
 *
 * Locks end with their owner: those of flock and of open files with the file's last reference,
 * those of a process when it closes any descriptor of the inode. What a thread gets after such a
 * close, it gives back itself (descriptor_was_closed).
 *
 * Who waits for a process's lock (F_SETLKW) leaves an edge, "this owner waits for that one". A wait
 * that would close a circle of edges is EDEADLK. Whoever changes an inode's locks takes the edges
 * away of those who wait there: they wake, look, and make them anew, so no edge outlives its cause.
 *
 * Locking: the lock of the inode's queue guards both lists; who must wait waits there, and every
 *          change wakes all, since each looks for his own conflict. Inside it edges.lock. The
 *          structure itself is made once for an inode (private_lock), lives as long, and is on the
 *          list of all for /proc/locks, whose lock comes before the queue's.
 */
#include "locks_internal.h"

#include "inode_internal.h"

#define EDGES_MAX 10 /* of a circle that is looked for, as in Linux */

/* A thread in F_SETLKW. guarded by edges.lock */
struct edge {
    struct list link;
    const struct file_locks *at;
    const void *waiter, *holder; /* owners; holder NULL: it is about to look again */
};

static struct {
    struct spinlock lock; /* LOCK_LEAF */
    struct list list;
} edges = {SPINLOCK_INIT(LOCK_LEAF), LIST_INIT(edges.list)};

struct all_file_locks all_file_locks = {SPINLOCK_INIT(LOCK_FILE_LOCKS),
                                        LIST_INIT(all_file_locks.list)};

/* ---- Deadlocks ---- */

static const void *holder_of(const void *waiter)
{
    struct edge *edge;

    list_for_each (edge, &edges.list, link)
        if (edge->waiter == waiter && edge->holder)
            return edge->holder;
    return NULL;
}

/* Notes that edge->waiter waits for `holder`; -EDEADLK: who waits, by way of others, for it. */
static int edge_set(struct edge *edge, const void *holder)
{
    const void *owner = holder;
    int error = 0;

    spin_lock(&edges.lock);
    for (unsigned i = 0; i < EDGES_MAX && owner && !error; i++) {
        owner = holder_of(owner);
        if (owner == edge->waiter)
            error = -EDEADLK;
    }
    edge->holder = holder;
    if (!error && !list_is_linked(&edge->link))
        list_push_back(&edges.list, &edge->link);
    spin_unlock(&edges.lock);
    return error;
}

static void edge_remove(struct edge *edge)
{
    spin_lock(&edges.lock);
    list_remove(&edge->link);
    spin_unlock(&edges.lock);
}

/* The locks changed: who waits looks again. queue.lock is held. */
static void locks_changed(struct file_locks *locks) must_hold(&locks->queue.lock)
{
    struct edge *edge;

    spin_lock(&edges.lock);
    list_for_each (edge, &edges.list, link)
        if (edge->at == locks)
            edge->holder = NULL;
    spin_unlock(&edges.lock);
    wait_queue_wake_locked(&locks->queue, WAKE_ALL, 0);
}

/* ---- An inode's locks ---- */

/* Makes them if there are none. NULL: no memory. */
static struct file_locks *locks_of(struct inode *inode)
{
    /* Pairs with the release below. */
    struct file_locks *locks = __atomic_load_n(&inode->locks, __ATOMIC_ACQUIRE), *made;

    if (locks)
        return locks;
    made = kmalloc(sizeof(*made), 0);
    if (!made)
        return NULL;
    made->inode = inode;
    wait_queue_init(&made->queue);
    list_init(&made->link);
    list_init(&made->flocks);
    list_init(&made->records);
    spin_lock(&inode->private_lock);
    locks = inode->locks;
    if (!locks) {
        __atomic_store_n(&inode->locks, made, __ATOMIC_RELEASE);
        locks = made;
        made = NULL;
    }
    spin_unlock(&inode->private_lock);
    if (!made) {
        spin_lock(&all_file_locks.lock);
        list_push_back(&all_file_locks.list, &locks->link);
        spin_unlock(&all_file_locks.lock);
    }
    kfree(made);
    return locks;
}

static void list_free(struct list *list)
{
    struct list *link;

    while ((link = list_pop_front(list)))
        kfree(list_entry(link, struct file_lock, link));
}

void file_locks_free(struct inode *inode)
{
    struct file_locks *locks = inode->locks;

    if (!locks)
        return;
    spin_lock(&all_file_locks.lock);
    list_remove(&locks->link);
    spin_unlock(&all_file_locks.lock);
    list_free(&locks->flocks);
    list_free(&locks->records);
    kfree(locks);
}

/* Moves an owner's locks from `list` to `gone`. */
static void owner_take_locked(struct list *list, const void *owner, struct list *gone)
{
    struct file_lock *lock, *following;

    list_for_each_safe (lock, following, list, link) {
        if (lock->owner != owner)
            continue;
        list_remove(&lock->link);
        list_push_back(gone, &lock->link);
    }
}

static void owner_release(struct file_locks *locks, struct list *list, const void *owner)
{
    struct list gone = LIST_INIT(gone);

    spin_lock(&locks->queue.lock);
    owner_take_locked(list, owner, &gone);
    if (!list_is_empty(&gone))
        locks_changed(locks);
    spin_unlock(&locks->queue.lock);
    list_free(&gone);
}

void file_locks_release_file(struct file *file)
{
    struct file_locks *locks = file->inode->locks;

    if (!locks)
        return;
    owner_release(locks, &locks->flocks, file);
    owner_release(locks, &locks->records, file);
}

void file_locks_release_process(struct file *file, const struct file_table *owner)
{
    struct file_locks *locks = __atomic_load_n(&file->inode->locks, __ATOMIC_ACQUIRE);

    if (locks)
        owner_release(locks, &locks->records, owner);
}

/* A lock of another owner that is in the way. queue.lock is held. */
static struct file_lock *conflict_find(struct list *list, const struct file_lock *wanted)
{
    struct file_lock *lock;

    list_for_each (lock, list, link) {
        if (lock->owner != wanted->owner && lock->start <= wanted->end &&
            wanted->start <= lock->end && (lock->type == F_WRLCK || wanted->type == F_WRLCK))
            return lock;
    }
    return NULL;
}

/* Waits until nothing is in conflict. -EAGAIN with `nowait`; -EINTR; -EDEADLK (processes' only). */
static int conflict_wait(struct file_locks *locks, struct list *list,
                         const struct file_lock *wanted, u32 nowait) must_hold(&locks->queue.lock)
{
    struct edge edge = {.at = locks, .waiter = wanted->owner};
    struct file_lock *conflict;
    int error = 0;

    list_init(&edge.link);
    while (!error && (conflict = conflict_find(list, wanted))) {
        if (nowait)
            return -EAGAIN;
        if (list == &locks->records && wanted->pid != PID_OF_FILES)
            error = edge_set(&edge, conflict->owner);
        if (!error)
            error = wait_queue_wait(&locks->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_LOCK);
    }
    edge_remove(&edge);
    return error;
}

/* ---- flock(2) ---- */

static int flock_set(struct file_locks *locks, struct file_lock *new, u32 nowait)
{
    struct list gone = LIST_INIT(gone);
    int error;

    spin_lock(&locks->queue.lock);
    /* A change of kind gives the old lock up first, and may lose it (flock(2)). */
    owner_take_locked(&locks->flocks, new->owner, &gone);
    if (!list_is_empty(&gone))
        locks_changed(locks);
    error = conflict_wait(locks, &locks->flocks, new, nowait);
    if (!error)
        list_push_back(&locks->flocks, &new->link);
    spin_unlock(&locks->queue.lock);
    list_free(&gone);
    return error;
}

int file_flock(struct file *file, int operation)
{
    struct file_locks *locks = locks_of(file->inode);
    int kind = operation & ~LOCK_NB;
    struct file_lock *new;
    int error;

    if (!locks)
        return -ENOLCK;
    if (kind == LOCK_UN) {
        owner_release(locks, &locks->flocks, file);
        return 0;
    }
    new = kmalloc(sizeof(*new), 0);
    if (!new)
        return -ENOLCK;
    *new = (struct file_lock){.end = U64_MAX,
                              .owner = file,
                              .file = file,
                              .pid = fs_process_id(),
                              .type = kind == LOCK_EX ? F_WRLCK : F_RDLCK};
    __atomic_fetch_or(&file->mode, FILE_WAS_LOCKED, __ATOMIC_RELAXED);
    error = flock_set(locks, new, operation & LOCK_NB);
    if (error)
        kfree(new);
    return error == -EAGAIN ? -EWOULDBLOCK : error;
}

/* ---- Record locks ---- */

/* Cuts what `new` covers out of the owner's locks; `spare` becomes the rest behind a hole. */
static bool record_cut(struct file_lock *old, const struct file_lock *new, struct file_lock **spare,
                       struct list *gone)
{
    if (old->start < new->start && old->end > new->end) {
        struct file_lock *rest = *spare;

        *spare = NULL;
        *rest = *old;
        rest->start = new->end + 1;
        old->end = new->start - 1;
        list_push_front(&old->link, &rest->link);
        return true;
    }
    if (old->start < new->start) {
        old->end = new->start - 1;
    } else if (old->end > new->end) {
        old->start = new->end + 1;
    } else {
        list_remove(&old->link);
        list_push_back(gone, &old->link);
    }
    return false;
}

/*
 * Puts `new` among the owner's locks (F_UNLCK: only cuts), before those that begin behind it: so
 * the first that is found in the way is the lowest (F_GETLK). Uses `*spare` or leaves it.
 */
static void record_apply_locked(struct list *records, struct file_lock *new,
                                struct file_lock **spare, struct list *gone)
{
    struct file_lock *old, *following;
    struct list *place = records;

    list_for_each_safe (old, following, records, link) {
        bool touches = old->start <= (new->end == U64_MAX ? U64_MAX : new->end + 1) &&
                       new->start <= (old->end == U64_MAX ? U64_MAX : old->end + 1);

        if (old->owner != new->owner || !touches)
            continue;
        if (old->type == new->type) {
            new->start = MIN(new->start, old->start);
            new->end = MAX(new->end, old->end);
            list_remove(&old->link);
            list_push_back(gone, &old->link);
        } else if (old->start <= new->end &&new->start <= old->end &&
                   record_cut(old, new, spare, gone)) {
            break;
        }
    }
    if (new->type == F_UNLCK)
        return;
    list_for_each (old, records, link) {
        if (old->owner == new->owner && old->start > new->start) {
            place = &old->link;
            break;
        }
    }
    list_push_back(place, &new->link);
}

/* Takes or gives up a range, waiting for it unless `nowait`. Nothing fails behind the wait. */
static int record_set(struct file_locks *locks, const struct file_lock *wanted, u32 nowait)
{
    struct list gone = LIST_INIT(gone);
    struct file_lock *new = kmalloc(sizeof(*new), 0);
    struct file_lock *spare = kmalloc(sizeof(*spare), 0);
    int error = new &&spare ? 0 : -ENOLCK;

    if (error)
        goto free_both;
    *new = *wanted;
    spin_lock(&locks->queue.lock);
    if (wanted->type != F_UNLCK)
        error = conflict_wait(locks, &locks->records, wanted, nowait);
    if (!error) {
        record_apply_locked(&locks->records, new, &spare, &gone);
        locks_changed(locks);
        if (wanted->type != F_UNLCK)
            new = NULL;
    }
    spin_unlock(&locks->queue.lock);
    list_free(&gone);
free_both:
    kfree(new);
    kfree(spare);
    return error;
}

static int record_range(struct file *file, const struct flock *from, struct file_lock *to)
{
    s64 base = 0, start, end;

    if (from->whence == SEEK_CUR)
        base = (s64)file->offset;
    else if (from->whence == SEEK_END)
        base = (s64)READ_ONCE(file->inode->size);
    else if (from->whence != SEEK_SET)
        return -EINVAL;
    if (__builtin_add_overflow(base, from->start, &start))
        return -EOVERFLOW;
    if (start < 0)
        return -EINVAL;
    end = INT64_MAX;
    if (from->length > 0) {
        if (__builtin_add_overflow(start, from->length - 1, &end))
            return -EOVERFLOW;
    } else if (from->length < 0) {
        end = start - 1;
        start += from->length;
    }
    if (start < 0)
        return -EINVAL;
    to->start = (u64)start;
    to->end = end == INT64_MAX ? U64_MAX : (u64)end;
    return 0;
}

/* F_GETLK: what is in the way, or F_UNLCK. */
static void record_get(struct file_locks *locks, const struct file_lock *wanted, struct flock *out)
{
    struct file_lock *lock;

    spin_lock(&locks->queue.lock);
    lock = conflict_find(&locks->records, wanted);
    out->type = F_UNLCK;
    if (lock) {
        out->type = lock->type;
        out->whence = SEEK_SET;
        out->start = (s64)lock->start;
        out->length = lock->end == U64_MAX ? 0 : (s64)(lock->end - lock->start + 1);
        out->pid = lock->pid;
    }
    spin_unlock(&locks->queue.lock);
}

/*
 * Whether the calling process may have got the lock after it closed the descriptor: then the close
 * did not find it, and nothing else would end it.
 *
 *     waits for the lock             close(fd)
 *                                    takes the file out of its slot; ends the locks that there are
 *     has the lock; looks at the slot: another file, or none
 */
static bool descriptor_was_closed(int fd, const struct file *file)
{
    struct fd_use use = fd_enter(fd);

    fd_leave(use);
    return use.file != file;
}

int file_lock_command(struct file *file, int fd, int command, struct flock *flock)
{
    bool is_file_owned = command >= F_OFD_GETLK;
    struct file_locks *locks = locks_of(file->inode);
    struct file_lock wanted = {
        .owner = is_file_owned ? (const void *)file : thread_current()->files,
        .file = file,
        .pid = is_file_owned ? PID_OF_FILES : fs_process_id(),
        .type = flock->type,
    };
    int error = record_range(file, flock, &wanted);

    if (error)
        return error;
    if ((flock->type != F_RDLCK && flock->type != F_WRLCK && flock->type != F_UNLCK) ||
        (is_file_owned && flock->pid))
        return -EINVAL;
    if (!locks)
        return -ENOLCK;
    if (command == F_GETLK || command == F_OFD_GETLK) {
        if (flock->type == F_UNLCK)
            return -EINVAL;
        record_get(locks, &wanted, flock);
        return 0;
    }
    if ((flock->type == F_RDLCK && !(file->mode & FILE_READ)) ||
        (flock->type == F_WRLCK && !(file->mode & FILE_WRITE)))
        return -EBADF;
    __atomic_fetch_or(&file->mode, FILE_WAS_LOCKED, __ATOMIC_RELAXED);
    error = record_set(locks, &wanted, command == F_SETLK || command == F_OFD_SETLK);
    if (!error && !is_file_owned && wanted.type != F_UNLCK && descriptor_was_closed(fd, file)) {
        owner_release(locks, &locks->records, wanted.owner); /* as the close would: cannot fail */
        error = -EBADF;
    }
    return error;
}
