/*
 * epoll: sets of watched files.
 *
 *     epoll_control(ADD): item --waiter--> the file's wait queue(s)
 *                          |
 *     file becomes ready:  queue's waker -> item on epoll->ready, wakes who waits for the set
 *     epoll_wait_events:   takes items from the ready list, asks each file what is so now, reports
 * it; level-triggered ones go back to the end of the list
 *
 * A waker only says "look": what is reported is always what the file says at that moment, so an
 * event that is over by then is not seen. An item that is on the list is not put on it twice.
 *
 * An item belongs to its set's tree (by file and number) and to the file's list of items, since a
 * file that ends leaves all sets. A set may watch another set (to a depth of EPOLL_DEPTH_MAX, with
 * no circles): its file's poll looks into the ready list of the inner set.
 *
 * Locking: epoll_tree_lock (a mutex, global) guards who watches whom: items' lists and the sets'
 *          trees; it keeps the circle check simple and is held while files are asked. A set's
 *          ready.lock guards its ready list; wakers take it inside the file's queue lock.
 */
#include <pith/epoll.h>

#define EPOLL_DEPTH_MAX 5
#define QUEUES_PER_ITEM 2 /* a pipe for both directions, at the most */
#define PRIVATE_BITS    (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET)

struct epoll {
    struct tree items;             /* guarded_by(&epoll_tree_lock) */
    struct wait_queue ready_queue; /* LOCK_WAIT_QUEUE_NESTED: threads in epoll_wait; its lock
                                      guards `ready` and items' ready links */
    struct list ready;
    struct wait_queue poll_queue; /* LOCK_EPOLL_WATCHERS: who watches this set's own file */
    struct file *file;            /* [const] not counted: the file owns the set */
};

struct epoll_item;

struct epoll_entry {
    struct waiter waiter;
    struct wait_queue *queue; /* NULL: not used */
    struct epoll_item *item;
};

struct epoll_item {
    struct tree_node node;    /* in epoll->items; guarded_by(&epoll_tree_lock) */
    struct list file_link;    /* on file->epoll_items; guarded_by(&epoll_tree_lock) */
    struct list ready_link;   /* guarded by epoll->ready_queue.lock */
    struct epoll *epoll;      /* [const] */
    struct file *file;        /* [const] not counted: it leaves us before it ends */
    int fd;                   /* [const] */
    struct epoll_event event; /* guarded_by(&epoll_tree_lock), `events` also read by wakers */
    struct epoll_entry entries[QUEUES_PER_ITEM];
    u32 entry_count;
};

struct epoll_table {
    struct poll_table table;
    struct epoll_item *item;
    int error;
};

static struct mutex epoll_tree_lock; /* LOCK_EPOLL */
static struct slab_cache *item_cache;

static const struct file_operations epoll_operations;

static struct epoll *epoll_of(const struct file *file)
{
    return file->operations == &epoll_operations ? file->private_data : NULL;
}

/* ---- The ready list ---- */

/* Puts the item on the list and wakes. Returns 1 if somebody was waiting for the set. */
static int item_make_ready(struct epoll_item *item, u32 events)
{
    struct epoll *epoll = item->epoll;
    int woken;

    spin_lock(&epoll->ready_queue.lock);
    if (!list_is_linked(&item->ready_link))
        list_push_back(&epoll->ready, &item->ready_link);
    woken = wait_queue_wake_locked(&epoll->ready_queue, 1, events);
    spin_unlock(&epoll->ready_queue.lock);
    return woken;
}

static int item_wake(struct waiter *waiter, u32 events)
{
    struct epoll_item *item = container_of(waiter, struct epoll_entry, waiter)->item;
    u32 wanted = READ_ONCE(item->event.events);

    if (!(wanted & ~PRIVATE_BITS)) /* a one-shot item that has fired */
        return 0;
    if (events && !(events & wanted))
        return 0;
    item_make_ready(item, events);
    wait_queue_wake(&item->epoll->poll_queue, WAKE_ALL, POLL_READABLE);
    return 1;
}

static void item_unready(struct epoll_item *item)
{
    spin_lock(&item->epoll->ready_queue.lock);
    list_remove(&item->ready_link);
    spin_unlock(&item->epoll->ready_queue.lock);
}

/* ---- Items ---- */

static bool item_before(const struct tree_node *a, const struct tree_node *b)
{
    const struct epoll_item *left = tree_entry(a, struct epoll_item, node);
    const struct epoll_item *right = tree_entry(b, struct epoll_item, node);

    return left->fd != right->fd ? left->fd < right->fd : left->file < right->file;
}

static struct epoll_item *item_find(struct epoll *epoll, int fd, const struct file *file)
{
    struct tree_node *node = epoll->items.root;

    while (node) {
        struct epoll_item *item = tree_entry(node, struct epoll_item, node);

        if (item->fd == fd && item->file == file)
            return item;
        if (fd != item->fd ? fd < item->fd : file < item->file)
            node = node->left;
        else
            node = node->right;
    }
    return NULL;
}

static void table_add(struct poll_table *table, struct wait_queue *queue)
{
    struct epoll_table *adding = container_of(table, struct epoll_table, table);
    struct epoll_item *item = adding->item;
    struct epoll_entry *entry;

    if (item->entry_count == QUEUES_PER_ITEM) {
        adding->error = -ENOSPC;
        return;
    }
    entry = &item->entries[item->entry_count++];
    entry->item = item;
    entry->queue = queue;
    entry->waiter = (struct waiter){
        .wake = item_wake, .exclusive = item->event.events & EPOLLEXCLUSIVE ? true : false};
    wait_queue_add(queue, &entry->waiter);
}

/* Takes the item out of its queues: no waker knows it afterwards. */
static void item_unwatch(struct epoll_item *item)
{
    for (u32 i = 0; i < item->entry_count; i++)
        wait_queue_remove(item->entries[i].queue, &item->entries[i].waiter);
    item->entry_count = 0;
}

/* epoll_tree_lock is held. */
static void item_destroy(struct epoll_item *item)
{
    item_unwatch(item);
    item_unready(item);
    tree_remove(&item->epoll->items, &item->node);
    list_remove(&item->file_link);
    slab_free(item_cache, item);
}

/* What the file says now of what the item wants: nothing, for a one-shot item that has fired. */
static u32 item_ask(struct epoll_item *item)
{
    return file_poll(item->file, NULL) & item->event.events & ~PRIVATE_BITS;
}

/*
 * How deep sets lie below `file` (0: it is no set); more than EPOLL_DEPTH_MAX also where `outer` is
 * among them. Bounded: depth counts down.
 */
static u32 depth_below(const struct file *file, const struct epoll *outer, u32 limit)
{
    struct epoll *epoll = epoll_of(file);
    struct epoll_item *item;
    u32 deepest = 0;

    if (!epoll)
        return 0;
    if (epoll == outer || limit == 0)
        return EPOLL_DEPTH_MAX + 1;
    tree_for_each (item, &epoll->items, node) {
        u32 depth = depth_below(item->file, outer, limit - 1);

        deepest = MAX(deepest, depth);
    }
    return deepest + 1;
}

/* ---- epoll_ctl ---- */

static int item_add(struct epoll *epoll, int fd, struct file *file, const struct epoll_event *event)
{
    struct epoll_table adding = {.table = {.add = table_add}};
    struct epoll_item *item;

    if (item_find(epoll, fd, file))
        return -EEXIST;
    if (depth_below(file, epoll, EPOLL_DEPTH_MAX) > EPOLL_DEPTH_MAX)
        return -ELOOP;
    item = slab_alloc(item_cache, ALLOC_CLEARED);
    if (!item)
        return -ENOMEM;
    item->epoll = epoll;
    item->file = file;
    item->fd = fd;
    item->event = *event;
    item->event.events |= POLL_ERR | POLL_HUP; /* told unasked */
    list_init(&item->ready_link);
    list_init(&item->file_link);
    tree_insert(&epoll->items, &item->node, item_before);
    list_push_back(&file->epoll_items, &item->file_link);
    adding.item = item;
    if (file_poll(file, &adding.table) & item->event.events & ~PRIVATE_BITS)
        item_make_ready(item, 0);
    if (adding.error) {
        item_destroy(item);
        return adding.error;
    }
    return 0;
}

static int item_modify(struct epoll_item *item, const struct epoll_event *event)
{
    if ((item->event.events | event->events) & EPOLLEXCLUSIVE)
        return -EINVAL;
    WRITE_ONCE(item->event.events, event->events | POLL_ERR | POLL_HUP);
    item->event.data = event->data;
    /* Orders the new interest before the question: a waker sees it, or we see the event. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (item_ask(item))
        item_make_ready(item, 0);
    return 0;
}

/* EPOLLEXCLUSIVE goes with few other bits (epoll_ctl(2)). */
static bool exclusive_is_valid(const struct file *file, int operation, u32 events)
{
    if (!(events & EPOLLEXCLUSIVE))
        return true;
    return operation == EPOLL_CTL_ADD && !epoll_of(file) &&
           !(events &
             ~(POLL_IN | POLL_OUT | POLL_ERR | POLL_HUP | EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLET));
}

int epoll_control(struct file *epoll_file, int operation, int fd, struct file *file,
                  const struct epoll_event *event)
{
    struct epoll *epoll = epoll_of(epoll_file);
    struct epoll_item *item;
    int error = -EINVAL;

    if (!file->operations->poll)
        return -EPERM;
    if (!epoll || file == epoll_file ||
        (operation != EPOLL_CTL_DEL && !exclusive_is_valid(file, operation, event->events)))
        return -EINVAL;
    mutex_lock(&epoll_tree_lock);
    item = item_find(epoll, fd, file);
    if (operation == EPOLL_CTL_ADD) {
        error = item_add(epoll, fd, file, event);
    } else if (!item && (operation == EPOLL_CTL_MOD || operation == EPOLL_CTL_DEL)) {
        error = -ENOENT;
    } else if (operation == EPOLL_CTL_MOD) {
        error = item_modify(item, event);
    } else if (operation == EPOLL_CTL_DEL) {
        item_destroy(item);
        error = 0;
    }
    mutex_unlock(&epoll_tree_lock);
    return error;
}

/* ---- epoll_wait ---- */

/*
 * Takes the first ready item off the list; NULL: there is none before `kept`, or none at all. That
 * is seen without the lock, as only wakers work on the list meanwhile, and these add at its end.
 */
static struct epoll_item *ready_pop(struct epoll *epoll, const struct epoll_item *kept)
{
    struct list *first = READ_ONCE(epoll->ready.next);

    if (first == &epoll->ready || (kept && first == &kept->ready_link))
        return NULL;
    spin_lock(&epoll->ready_queue.lock);
    list_remove(first);
    spin_unlock(&epoll->ready_queue.lock);
    return list_entry(first, struct epoll_item, ready_link);
}

/*
 * Puts an item back at the end for the next call, unless a waker has put it there meanwhile. Who
 * came to wait while it was not there is woken.
 */
static void item_keep(struct epoll_item *item)
{
    struct epoll *epoll = item->epoll;

    spin_lock(&epoll->ready_queue.lock);
    if (!list_is_linked(&item->ready_link))
        list_push_back(&epoll->ready, &item->ready_link);
    if (!list_is_empty(&epoll->ready_queue.waiters))
        wait_queue_wake_locked(&epoll->ready_queue, 1, POLL_READABLE);
    spin_unlock(&epoll->ready_queue.lock);
}

/*
 * Reports what is ready now, up to `most`. epoll_tree_lock is held: items stay, and nobody else
 * takes them off the list, so that the first one kept is where the next round would begin.
 */
static int ready_collect(struct epoll *epoll, struct user_ptr events, int most)
{
    struct epoll_item *item, *kept = NULL;
    int count = 0;

    while (count < most && (item = ready_pop(epoll, kept))) {
        u32 wanted = item->event.events;
        struct epoll_event event = {.events = item_ask(item), .data = item->event.data};
        bool failed;

        if (!event.events)
            continue;
        failed = copy_out(user_ptr_add(events, count * sizeof(event)), &event, sizeof(event));
        if (!failed && (wanted & EPOLLONESHOT)) {
            WRITE_ONCE(item->event.events, wanted & PRIVATE_BITS);
        } else if (failed || !(wanted & EPOLLET)) {
            item_keep(item);
            kept = kept ? kept : item;
        }
        if (failed)
            return count ? count : -EFAULT;
        count++;
    }
    return count;
}

static int ready_wait(struct epoll *epoll, u64 deadline_ns)
{
    int error = 0;

    spin_lock(&epoll->ready_queue.lock);
    while (list_is_empty(&epoll->ready) && !error)
        error = wait_queue_wait_until(&epoll->ready_queue, WAIT_INTERRUPTIBLE, WAIT_FOR_POLL,
                                      deadline_ns);
    spin_unlock(&epoll->ready_queue.lock);
    return error;
}

int epoll_wait_events(struct file *epoll_file, struct user_ptr events, int most, u64 deadline_ns)
{
    struct epoll *epoll = epoll_of(epoll_file);
    int count, error = 0;

    if (!epoll)
        return -EINVAL;
    for (;;) {
        count = 0;
        if (!list_is_empty(&epoll->ready)) {
            mutex_lock(&epoll_tree_lock);
            count = ready_collect(epoll, events, most);
            mutex_unlock(&epoll_tree_lock);
        }
        if (count || deadline_ns == 0 || error == -ETIMEDOUT)
            return count;
        if (error)
            return error;
        error = ready_wait(epoll, deadline_ns);
    }
}

/* ---- The set's own file ---- */

static u32 epoll_poll(struct file *file, struct poll_table *table)
{
    struct epoll *epoll = file->private_data;
    struct epoll_item *item;
    u32 events = 0;
    bool locked = !mutex_is_held(&epoll_tree_lock);

    poll_wait(table, &epoll->poll_queue);
    if (list_is_empty(&epoll->ready))
        return 0;
    /* Asked from another set's collection, the lock is held already. */
    if (locked)
        mutex_lock(&epoll_tree_lock);
    tree_for_each (item, &epoll->items, node) {
        if (list_is_linked(&item->ready_link) && item_ask(item)) {
            events = POLL_READABLE;
            break;
        }
    }
    if (locked)
        mutex_unlock(&epoll_tree_lock);
    return events;
}

static void epoll_release(struct file *file)
{
    struct epoll *epoll = file->private_data;
    struct tree_node *node;

    mutex_lock(&epoll_tree_lock);
    while ((node = tree_first(&epoll->items)))
        item_destroy(tree_entry(node, struct epoll_item, node));
    mutex_unlock(&epoll_tree_lock);
    kfree(epoll);
}

static const struct file_operations epoll_operations = {
    .flags = FILE_OPERATIONS_STREAM | FILE_OPERATIONS_NO_SEEK,
    .release = epoll_release,
    .poll = epoll_poll,
};

void epoll_file_released(struct file *file)
{
    struct list *link;

    if (list_is_empty(&file->epoll_items))
        return;
    mutex_lock(&epoll_tree_lock);
    while ((link = list_first(&file->epoll_items)))
        item_destroy(list_entry(link, struct epoll_item, file_link));
    mutex_unlock(&epoll_tree_lock);
}

int epoll_open(struct file **file_out)
{
    struct epoll *epoll = kmalloc(sizeof(*epoll), ALLOC_CLEARED);
    int error;

    if (!epoll)
        return -ENOMEM;
    wait_queue_init_class(&epoll->ready_queue, LOCK_WAIT_QUEUE_NESTED);
    wait_queue_init_class(&epoll->poll_queue, LOCK_EPOLL_WATCHERS);
    list_init(&epoll->ready);
    error = file_create_anonymous("[eventpoll]", &epoll_operations, O_RDWR, epoll, file_out);
    if (error)
        kfree(epoll);
    return error;
}

void epoll_init(void)
{
    mutex_init(&epoll_tree_lock, LOCK_EPOLL);
    item_cache = slab_cache_create("epoll_item", sizeof(struct epoll_item), 0);
    if (!item_cache)
        panic("no memory for the cache of epoll items");
}
