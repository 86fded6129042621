/*
 * epoll: sets of watched files.
 *
 *     epoll_control(ADD): item --waiter--> the file's wait queue(s)
 *                          |
 *     file becomes ready:  queue's waker -> item on epoll->ready, wakes who waits for the set
 *     epoll_wait_events:   takes items from the ready list, asks each file what is so now, and
 *                          reports it (epoll_wait.c)
 *
 * A waker only says "look": what is reported is always what the file says at that moment, so an
 * event that is over by then is not seen. An item that is on the list is not put on it twice.
 *
 * Adding and modifying lose no event, since both make the change known first and ask the file then:
 *
 *     epoll_control                           who makes the file ready
 *     waiter on the queue (interest stored)   data is in
 *     asks the file: puts the item on         looks at the queue (interest): puts the item on
 *
 * Whichever comes second sees what the other did.
 *
 * An item belongs to its set's tree and to its file's list of items, since a file that ends leaves
 * all sets, and refers to neither: both end by destroying their items first. A set may watch
 * another set: its file's poll looks into the ready list of the inner one (epoll_levels.c).
 *
 * Invariant: an item's waiters are on its file's queues from epoll_control to item_destroy; a waker
 *            that runs holds such a queue's lock, so that item_unwatch has waited for it.
 * Locking: epoll_tree_lock (a mutex, global) guards who watches whom: items' lists and the sets'
 *          trees; it keeps the circle check simple and is held while files are asked, but never
 *          while the user's memory is waited for. A set's ready_queue.lock guards its ready list;
 *          wakers take it inside the file's queue lock.
 * Context: wakers run in interrupts too; all else sleeps.
 */
#include "epoll.h"

#include <pith/proc_fs.h>

/* What a file's poll operation is asked with when an item is added. [owner] */
struct epoll_table {
    struct poll_table table;
    struct epoll_item *item;
    int error; /* -ENOSPC: it names more queues than an item has entries */
};

struct mutex epoll_tree_lock;
static struct slab_cache *item_cache; /* [const] after epoll_init */

static const struct file_operations epoll_operations;

struct epoll *epoll_of(const struct file *file)
{
    return file->operations == &epoll_operations ? file->private_data : NULL;
}

/* ---- The ready list ---- */

/* Puts the item on the list, and wakes who waits for the set or watches it. 1: somebody waited. */
static int item_make_ready(struct epoll_item *item, u32 events)
{
    struct epoll *epoll = item->epoll;
    int woken;

    spin_lock(&epoll->ready_queue.lock);
    if (!list_is_linked(&item->ready_link))
        list_push_back(&epoll->ready, &item->ready_link);
    woken = wait_queue_wake_locked(&epoll->ready_queue, 1, events);
    spin_unlock(&epoll->ready_queue.lock);
    wait_queue_wake(&epoll->poll_queue, WAKE_ALL, POLL_READABLE);
    return woken;
}

static int item_wake(struct waiter *waiter, u32 events)
{
    struct epoll_item *item = container_of(waiter, struct epoll_entry, waiter)->item;
    u32 wanted = READ_ONCE(item->event.events);

    if (!(wanted & ~EPOLL_PRIVATE_BITS)) /* a one-shot item that has fired */
        return 0;
    if (events && !(events & wanted))
        return 0;
    /* With EPOLLEXCLUSIVE a set for which nobody waits leaves the event to the next. */
    return item_make_ready(item, events);
}

void epoll_item_unready(struct epoll_item *item)
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

    if (item->entry_count == EPOLL_QUEUES_PER_ITEM) {
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

static void item_destroy(struct epoll_item *item) must_hold(&epoll_tree_lock)
{
    item_unwatch(item);
    epoll_item_unready(item);
    tree_remove(&item->epoll->items, &item->node);
    list_remove(&item->file_link);
    slab_free(item_cache, item);
}

u32 epoll_item_ask(const struct epoll_item *item)
{
    return file_poll(item->file, NULL) & item->event.events & ~EPOLL_PRIVATE_BITS;
}

/* ---- epoll_ctl ---- */

static int item_add(struct epoll *epoll, int fd, struct file *file, const struct epoll_event *event)
    must_hold(&epoll_tree_lock)
{
    struct epoll_table adding = {.table = {.add = table_add}};
    struct epoll_item *item;

    if (item_find(epoll, fd, file))
        return -EEXIST;
    if (!epoll_levels_allow(epoll, file))
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
    if (!epoll_ways_allow(epoll, file)) {
        item_destroy(item);
        return -EINVAL;
    }
    adding.item = item;
    if (file_poll(file, &adding.table) & item->event.events & ~EPOLL_PRIVATE_BITS)
        item_make_ready(item, 0);
    if (adding.error) {
        item_destroy(item);
        return adding.error;
    }
    return 0;
}

static int item_modify(struct epoll_item *item, const struct epoll_event *event)
    must_hold(&epoll_tree_lock)
{
    if ((item->event.events | event->events) & EPOLLEXCLUSIVE)
        return -EINVAL;
    WRITE_ONCE(item->event.events, event->events | POLL_ERR | POLL_HUP);
    item->event.data = event->data;
    /* Orders the new interest before the question: a waker sees it, or we see the event. */
    __atomic_thread_fence(__ATOMIC_SEQ_CST);
    if (epoll_item_ask(item))
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

/* ---- The set's own file ---- */

/* Under the lock also to see that the list is empty: epoll_wait takes items off it for a moment. */
static u32 epoll_poll(struct file *file, struct poll_table *table)
{
    struct epoll *epoll = file->private_data;
    /* Asked from another set's collection, the lock is held already. */
    bool locks = !mutex_is_held(&epoll_tree_lock);
    bool ready;

    poll_wait(table, &epoll->poll_queue);
    if (locks)
        mutex_lock(&epoll_tree_lock);
    ready = epoll_is_ready_locked(epoll);
    if (locks)
        mutex_unlock(&epoll_tree_lock);
    return ready ? POLL_READABLE : 0;
}

static void epoll_describe(struct file *file, struct text_sink *sink)
{
    struct epoll *epoll = file->private_data;
    const struct epoll_item *item;

    mutex_lock(&epoll_tree_lock);
    tree_for_each (item, &epoll->items, node) {
        const struct inode *inode = item->file->inode;

        text_print(sink, "tfd: %8d events: %8x data: %16lx  pos:%ld ino:%lx sdev:%x\n", item->fd,
                   item->event.events, item->event.data, (s64)READ_ONCE(item->file->offset),
                   inode->number, DEVICE_WORD(inode->file_system->device));
    }
    mutex_unlock(&epoll_tree_lock);
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
    .describe = epoll_describe,
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
    else
        epoll->file = *file_out;
    return error;
}

void epoll_init(void)
{
    mutex_init(&epoll_tree_lock, LOCK_EPOLL);
    item_cache = slab_cache_create("epoll_item", sizeof(struct epoll_item), 0);
    if (!item_cache)
        panic("no memory for the cache of epoll items");
}
