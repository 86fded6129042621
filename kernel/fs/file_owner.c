/*
 * Who is told by a signal that a file is ready: F_SETOWN, F_SETSIG and O_ASYNC of fcntl(2).
 *
 *     F_SETFL O_ASYNC: owner --waiter--> the file's wait queue(s)
 *                        |
 *     file becomes ready: queue's waker -> notes what became so, schedules deferred work
 *     deferred work:      sends the owner a signal for what was noted
 *
 * A waker holds a queue's lock, and a signal needs locks that stand above it; hence the detour. So
 * several changes in a row may become one signal, which SIGIO would be anyway while it is pending.
 *
 * What became so is noted before it is looked whether work is on its way, and the work says that it
 * is not any more before it takes the notes; so a note is taken by the work that is under way, or
 * makes new work:
 *
 *     waker: events |= IN                  work: is_on_its_way = 0
 *            is_on_its_way 0 -> 1?               events -> 0, and sends what was there
 *            yes: schedules the work
 *
 * A file gets its struct with the first of these calls. The file has one reference and work that is
 * on its way another; when the file ends, its waiters leave first, so that no waker comes later.
 *
 * Locking: watching_lock (a mutex, global) for the waiters and O_ASYNC, which says that they are
 *          there (or would be, had the file a queue); held while the file is asked;
 *          file_owner.lock for who is told. Context: the waker and the deferred work never sleep.
 */
#include <pith/file_calls.h>

#include "file_owner.h"
#include "inode_internal.h"

#define QUEUES_MOST 2 /* a pipe for both directions */

struct owner_entry {
    struct waiter waiter;
    struct wait_queue *queue;
    struct file_owner *owner;
};

struct file_owner {
    struct refcount references;
    struct spinlock lock; /* LOCK_LEAF */
    struct signal_target target guarded_by(&lock);
    struct owner_entry entries[QUEUES_MOST]; /* guarded_by(&watching_lock) */
    u32 entry_count;                         /* guarded_by(&watching_lock) */
    u32 events;                              /* [atomic] POLL_* since the last signal */
    u32 is_on_its_way;                       /* [atomic] the work, with its reference */
    struct deferred work;
};

static struct mutex watching_lock; /* LOCK_FILE_OWNER */

/* ---- Telling ---- */

static void owner_put(struct file_owner *owner)
{
    if (refcount_dec_is_zero(&owner->references))
        kfree(owner);
}

static void owner_tell(struct deferred *work)
{
    static const u32 kinds[] = {POLL_READABLE | POLL_PRI | POLL_MESSAGE, POLL_WRITABLE,
                                POLL_ERR | POLL_HUP};
    struct file_owner *owner = container_of(work, struct file_owner, work);
    struct signal_target target;
    u32 events;

    /* Before the events are taken: a waker that finds it set knows that they are still to be. */
    __atomic_store_n(&owner->is_on_its_way, 0, __ATOMIC_SEQ_CST);
    events = __atomic_exchange_n(&owner->events, 0, __ATOMIC_SEQ_CST);
    spin_lock(&owner->lock);
    target = owner->target;
    spin_unlock(&owner->lock);
    for (u32 i = 0; i < ARRAY_SIZE(kinds); i++) {
        u32 band = events & kinds[i];

        /* That a stream is over is said with what can be read of it. */
        if (band && (i < 2 || band == events))
            fs_signal_target(&target, band);
    }
    owner_put(owner);
}

static void owner_note(struct file_owner *owner, u32 events)
{
    __atomic_fetch_or(&owner->events, events, __ATOMIC_SEQ_CST);
    if (!__atomic_exchange_n(&owner->is_on_its_way, 1, __ATOMIC_SEQ_CST)) {
        refcount_inc(&owner->references);
        deferred_schedule(&owner->work);
    }
}

static int entry_wake(struct waiter *waiter, u32 events)
{
    owner_note(container_of(waiter, struct owner_entry, waiter)->owner,
               events ? events : POLL_READABLE);
    return 0; /* nobody was woken who would take what came */
}

void file_owner_tell(struct file *file, u32 events)
{
    owner_note(__atomic_load_n(&file->owner, __ATOMIC_ACQUIRE), events);
}

/* ---- Watching ---- */

struct watching_table {
    struct poll_table table;
    struct file_owner *owner;
};

static void table_add(struct poll_table *table, struct wait_queue *queue)
{
    struct file_owner *owner = container_of(table, struct watching_table, table)->owner;
    struct owner_entry *entry;

    if (owner->entry_count == QUEUES_MOST)
        return;
    entry = &owner->entries[owner->entry_count++];
    *entry = (struct owner_entry){.waiter = {.wake = entry_wake}, .queue = queue, .owner = owner};
    wait_queue_add(queue, &entry->waiter);
}

static void owner_unwatch_locked(struct file_owner *owner) must_hold(&watching_lock)
{
    for (u32 i = 0; i < owner->entry_count; i++)
        wait_queue_remove(owner->entries[i].queue, &owner->entries[i].waiter);
    owner->entry_count = 0;
}

/* The file's, made if there is none. NULL: no memory. */
static struct file_owner *owner_of(struct file *file)
{
    struct file_owner *owner = __atomic_load_n(&file->owner, __ATOMIC_ACQUIRE), *present = NULL;

    if (owner)
        return owner;
    owner = kmalloc(sizeof(*owner), ALLOC_CLEARED);
    if (!owner)
        return NULL;
    refcount_set(&owner->references, 1);
    spin_init(&owner->lock, LOCK_LEAF);
    owner->target.type = F_OWNER_PID;
    owner->work = (struct deferred)DEFERRED_INIT(owner_tell);
    /* Pairs with the load above: who finds it finds it made. */
    if (__atomic_compare_exchange_n(&file->owner, &present, owner, false, __ATOMIC_ACQ_REL,
                                    __ATOMIC_ACQUIRE))
        return owner;
    kfree(owner);
    return present;
}

int file_async_enable(struct file *file, int fd)
{
    struct watching_table watching = {.table = {.add = table_add}};
    struct file_owner *owner;

    owner = owner_of(file);
    if (!owner)
        return -ENOMEM;
    watching.owner = owner;
    spin_lock(&owner->lock);
    owner->target.fd = fd;
    spin_unlock(&owner->lock);
    mutex_lock(&watching_lock);
    if (!owner->entry_count)
        (void)file_poll(file, &watching.table);
    file_change_flags(file, O_ASYNC, O_ASYNC);
    mutex_unlock(&watching_lock);
    return 0;
}

void file_async_disable(struct file *file)
{
    struct file_owner *owner = __atomic_load_n(&file->owner, __ATOMIC_ACQUIRE);

    if (!(READ_ONCE(file->flags) & O_ASYNC))
        return;
    mutex_lock(&watching_lock);
    file_change_flags(file, O_ASYNC, 0);
    if (owner) /* or open(2) had the flag, which makes no owner */
        owner_unwatch_locked(owner);
    mutex_unlock(&watching_lock);
}

void file_owner_released(struct file *file)
{
    file_async_disable(file);
    owner_put(file->owner);
}

/* ---- Who ---- */

static void target_set(struct signal_target *target, u32 type, s32 id,
                       const struct credentials *credentials)
{
    target->type = type;
    target->id = id;
    target->uid = credentials->uid;
    target->euid = credentials->euid;
}

int file_set_owner(struct file *file, u32 type, s32 id)
{
    const struct credentials *credentials = thread_current()->credentials;
    struct file_owner *owner;

    if (id && !fs_signal_target_exists(type, id))
        return -ESRCH;
    owner = owner_of(file);
    if (!owner)
        return -ENOMEM;
    spin_lock(&owner->lock);
    target_set(&owner->target, type, id, credentials);
    spin_unlock(&owner->lock);
    return 0;
}

int file_owner_become(struct file *file, int fd)
{
    const struct credentials *credentials = thread_current()->credentials;
    struct file_owner *owner = owner_of(file);

    if (!owner)
        return -ENOMEM;
    spin_lock(&owner->lock);
    owner->target.fd = fd;
    if (!owner->target.id)
        target_set(&owner->target, F_OWNER_PID, fs_process_id(), credentials);
    spin_unlock(&owner->lock);
    return 0;
}

int file_set_owner_signal(struct file *file, s32 signal)
{
    struct file_owner *owner = owner_of(file);

    if (!owner)
        return -ENOMEM;
    spin_lock(&owner->lock);
    owner->target.signal = signal;
    spin_unlock(&owner->lock);
    return 0;
}

void file_get_owner(const struct file *file, struct signal_target *target_out)
{
    struct file_owner *owner = __atomic_load_n(&file->owner, __ATOMIC_ACQUIRE);

    *target_out = (struct signal_target){.type = F_OWNER_PID};
    if (!owner)
        return;
    spin_lock(&owner->lock);
    *target_out = owner->target;
    spin_unlock(&owner->lock);
}

void file_owners_init(void)
{
    mutex_init(&watching_lock, LOCK_FILE_OWNER);
}
