/*
 * Waiting for several files: what poll(2) and select(2) have in common.
 *
 * The first round only asks each file what is ready: mostly something is, and then nothing is left
 * to take back. If nothing is, the second leaves a waiter on each queue that a file names while it
 * asks again; all waiters share one flag, so that whichever comes first ends the wait. Later rounds
 * only ask.
 *
 *     ask all -> ask all, waiters on queues -> something? done
 *                      ^                            | no
 *     ask all <--------+-- a queue's waker: <-------' wait until woken or deadline
 *                           woken = true
 *
 * Since a queue's waiter is there before its file is asked, a file that becomes ready in between
 * has set `woken` by the time we look. `woken` is cleared before the files are asked again, so what
 * comes after that is not lost either.
 *
 * The first waiters lie in the poller, more in chunks that hold still: queues point into them.
 *
 * Invariant: every waiter is off its queue before the poller's memory goes (poller_fini); the files
 *            are held open (fd_use) until then, and so are their queues.
 * Locking: poller.queue.lock guards `woken`; it is taken inside other queues' locks by the wakers,
 *          hence its class.
 */
#include <pith/poll.h>

#include <pith/fs.h>

#define ENTRIES_INLINE 16

struct poller;

/* Our waiter on one queue. */
struct poll_entry {
    struct waiter waiter;
    struct wait_queue *queue;
    struct poller *poller;
};

/* Entries beyond the first ones. [owner] as all of the poller that does not say otherwise */
struct poll_chunk {
    struct poll_chunk *next;
    u32 used, size;
    struct poll_entry entries[];
};

struct poller {
    struct poll_table table;
    struct wait_queue queue; /* LOCK_WAIT_QUEUE_NESTED */
    bool woken;              /* guarded_by(&queue.lock) */
    int error;               /* -ENOMEM: an entry could not be added */
    u32 used;                /* of `entries` */
    struct poll_entry entries[ENTRIES_INLINE];
    struct poll_chunk *chunks; /* for more */
};

#define CHUNK_ENTRIES 64

static int poller_wake(struct waiter *waiter, u32 events)
{
    struct poller *poller = container_of(waiter, struct poll_entry, waiter)->poller;

    spin_lock(&poller->queue.lock);
    poller->woken = true;
    wait_queue_wake_locked(&poller->queue, WAKE_ALL, events);
    spin_unlock(&poller->queue.lock);
    return 1;
}

static struct poll_entry *entry_alloc(struct poller *poller)
{
    struct poll_chunk *chunk = poller->chunks;

    if (poller->used < ENTRIES_INLINE)
        return &poller->entries[poller->used++];
    if (!chunk || chunk->used == chunk->size) {
        chunk = kmalloc(sizeof(*chunk) + CHUNK_ENTRIES * sizeof(struct poll_entry), 0);
        if (!chunk)
            return NULL;
        chunk->next = poller->chunks;
        chunk->used = 0;
        chunk->size = CHUNK_ENTRIES;
        poller->chunks = chunk;
    }
    return &chunk->entries[chunk->used++];
}

static void poller_add(struct poll_table *table, struct wait_queue *queue)
{
    struct poller *poller = container_of(table, struct poller, table);
    struct poll_entry *entry = entry_alloc(poller);

    if (!entry) {
        poller->error = -ENOMEM;
        return;
    }
    entry->poller = poller;
    entry->queue = queue;
    entry->waiter = (struct waiter){.thread = thread_current(), .wake = poller_wake};
    wait_queue_add(queue, &entry->waiter);
}

static void poller_fini(struct poller *poller)
{
    struct poll_chunk *chunk = poller->chunks;

    for (u32 i = 0; i < poller->used; i++)
        wait_queue_remove(poller->entries[i].queue, &poller->entries[i].waiter);
    while (chunk) {
        struct poll_chunk *next = chunk->next;

        for (u32 i = 0; i < chunk->used; i++)
            wait_queue_remove(chunk->entries[i].queue, &chunk->entries[i].waiter);
        kfree(chunk);
        chunk = next;
    }
}

u32 file_poll(struct file *file, struct poll_table *table)
{
    if (!file->operations->poll)
        return POLL_READABLE | POLL_WRITABLE;
    return file->operations->poll(file, table);
}

/* Asks one descriptor. Its file stays open for the caller. */
static inline u32 poll_one(const struct pollfd *fd, struct file *file, struct poll_table *table)
{
    u32 wanted = (u16)fd->events | POLL_ERR | POLL_HUP;

    if (fd->fd < 0)
        return 0;
    return likely(file) ? file_poll(file, table) & wanted : POLL_NVAL;
}

/* Asks all; no more waiters are put on once something is ready. Returns how many are. */
static int poll_all(struct pollfd *fds, const struct fd_use *uses, u32 count,
                    struct poll_table *table)
{
    int ready = 0;

    for (u32 i = 0; i < count; i++) {
        u32 events = poll_one(&fds[i], uses[i].file, ready ? NULL : table);

        fds[i].revents = (s16)events;
        ready += events ? 1 : 0;
    }
    return ready;
}

/* Waits until woken. 0, -EINTR, -ETIMEDOUT. */
static int poller_wait(struct poller *poller, u64 deadline_ns)
{
    int error = 0;

    spin_lock(&poller->queue.lock);
    while (!poller->woken && !error)
        error =
            wait_queue_wait_until(&poller->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_POLL, deadline_ns);
    poller->woken = false;
    spin_unlock(&poller->queue.lock);
    return error;
}

/* Nothing was ready: asks again with waiters on the queues, and whenever one of them was woken. */
static int poll_waiting(struct poller *poller, struct pollfd *fds, const struct fd_use *uses,
                        u32 count, u64 deadline_ns)
{
    struct poll_table *table = &poller->table;
    int ready, error = 0;

    for (;;) {
        ready = poll_all(fds, uses, count, table);
        table = NULL;
        if (ready || error == -ETIMEDOUT)
            return ready;
        if (error || poller->error)
            return error ? error : poller->error;
        error = poller_wait(poller, deadline_ns);
    }
}

static int poll_with(struct pollfd *fds, const struct fd_use *uses, u32 count, u64 deadline_ns)
{
    int result = poll_all(fds, uses, count, NULL);
    struct poller *poller;

    if (result || deadline_ns == 0)
        return result;
    poller = kmalloc(sizeof(*poller), 0);
    if (!poller)
        return -ENOMEM;
    *poller = (struct poller){.table = {.add = poller_add}};
    wait_queue_init_class(&poller->queue, LOCK_WAIT_QUEUE_NESTED);
    result = poll_waiting(poller, fds, uses, count, deadline_ns);
    poller_fini(poller);
    kfree(poller);
    return result;
}

int poll_files(struct pollfd *fds, u32 count, u64 deadline_ns)
{
    struct fd_use *uses = kmalloc(MAX(count, 1u) * sizeof(*uses), 0);
    int result;

    if (!uses)
        return -ENOMEM;
    for (u32 i = 0; i < count; i++)
        uses[i] = fds[i].fd >= 0 ? fd_enter(fds[i].fd) : (struct fd_use){NULL, 0};
    result = poll_with(fds, uses, count, deadline_ns);
    for (u32 i = 0; i < count; i++)
        fd_leave(uses[i]);
    kfree(uses);
    return result;
}
