/*
 * epoll: sets of watched files.
 *
 *     epoll_control(ADD): item --waiter--> the file's wait queue(s)
 *                          |
 *     file becomes ready:  queue's waker -> item on epoll->ready, wakes who waits for the set
 *     epoll_wait_events:   takes items from the ready list, asks each file what is so now, and
 *                          reports it; level-triggered ones go back to the end of the list
 *
 * A waker only says "look": what is reported is always what the file says at that moment, so an
 * event that is over by then is not seen. An item that is on the list is not put on it twice.
 *
 * An item leaves the list before its file is asked. So an event that comes after the question puts
 * it back, and one that came before is in the answer:
 *
 *     epoll_wait: takes the item off      waker: item is on no list: puts it on, wakes
 *                 asks the file           waker: data is in; then looks at the list
 *
 * Adding and modifying work alike: the waiter is on the queue (the new interest stored) first, and
 * the file is asked after that.
 *
 * An item belongs to its set's tree (by file and number) and to the file's list of items, since a
 * file that ends leaves all sets. A set may watch another set: its file's poll looks into the ready
 * list of the inner set. Wakers and polls so recurse from set to set, on the kernel's stack; hence
 *
 * Invariant: sets lie in no circle, and no more than EPOLL_LEVELS of them one below the other. Who
 *          links two of them adds up what lies above the one and below the other.
 *
 * Locking: epoll_tree_lock (a mutex, global) guards who watches whom: items' lists and the sets'
 *          trees; it keeps the circle check simple and is held while files are asked, but never
 *          while the user's memory is waited for. A set's ready.lock guards its ready list; wakers
 *          take it inside the file's queue lock.
 */
#include <pith/epoll.h>
#include <pith/proc_fs.h>

#define EPOLL_LEVELS    6
#define EPOLL_WAYS      500 /* as Linux allows through two sets */
#define QUEUES_PER_ITEM 2   /* a pipe for both directions, at the most */
#define PRIVATE_BITS    (EPOLLEXCLUSIVE | EPOLLWAKEUP | EPOLLONESHOT | EPOLLET)

struct epoll {
    struct tree items;             /* guarded_by(&epoll_tree_lock) */
    struct wait_queue ready_queue; /* LOCK_WAIT_QUEUE_NESTED: threads in epoll_wait; its lock
                                      guards `ready` and items' ready links */
    struct list ready;
    struct wait_queue poll_queue; /* LOCK_EPOLL_WATCHERS: who watches this set's own file */
    struct file *file;            /* [const] not counted: the file owns the set */
    u64 walk;      /* guarded_by(&epoll_tree_lock) the last walk that came here ... */
    u32 levels;    /* guarded_by(&epoll_tree_lock) ... and what it found */
    u64 ways_walk; /* guarded_by(&epoll_tree_lock) the same ... */
    u32 ways;      /* guarded_by(&epoll_tree_lock) ... for `ways_above` */
    u64 round;     /* guarded_by(&epoll_tree_lock) of taking items off `ready` */
};

struct epoll_item;

/* An item's waiter on one of its file's queues. guarded_by(&epoll_tree_lock) */
struct epoll_entry {
    struct waiter waiter;
    struct wait_queue *queue; /* the file's, which keeps it until the item has left */
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
    u64 round;                /* guarded_by(&epoll_tree_lock) the last one that took it */
    struct epoll_entry entries[QUEUES_PER_ITEM];
    u32 entry_count;
};

/* What a file's poll operation is asked with when an item is added. [owner] */
struct epoll_table {
    struct poll_table table;
    struct epoll_item *item;
    int error; /* -ENOSPC: it names more queues than an item has entries */
};

static struct mutex epoll_tree_lock; /* LOCK_EPOLL */
static u64 walks guarded_by(&epoll_tree_lock);
static struct slab_cache *item_cache;

static const struct file_operations epoll_operations;

static struct epoll *epoll_of(const struct file *file)
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

    if (!(wanted & ~PRIVATE_BITS)) /* a one-shot item that has fired */
        return 0;
    if (events && !(events & wanted))
        return 0;
    /* With EPOLLEXCLUSIVE a set for which nobody waits leaves the event to the next. */
    return item_make_ready(item, events);
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
 * How many sets lie one below the other from `file` down (0: it is no set); more than EPOLL_LEVELS
 * if `outer` is among them. Each set is looked into once in a walk, however many watch it.
 */
static u32 levels_below(const struct file *file, const struct epoll *outer)
{
    struct epoll *epoll = epoll_of(file);
    struct epoll_item *item;
    u32 most = 0;

    if (!epoll)
        return 0;
    if (epoll == outer)
        return EPOLL_LEVELS + 1;
    if (epoll->walk == walks)
        return epoll->levels;
    tree_for_each (item, &epoll->items, node) {
        u32 levels = levels_below(item->file, outer);

        most = MAX(most, levels);
    }
    epoll->walk = walks;
    epoll->levels = most + 1;
    return epoll->levels;
}

/* The same, from the set up to those that watch it. */
static u32 levels_above(struct epoll *epoll)
{
    struct epoll_item *item;
    u32 most = 0;

    if (epoll->walk == walks)
        return epoll->levels;
    list_for_each (item, &epoll->file->epoll_items, file_link) {
        u32 levels = levels_above(item->epoll);

        most = MAX(most, levels);
    }
    epoll->walk = walks;
    epoll->levels = most + 1;
    return epoll->levels;
}

/* Whether the set may watch the file. */
static bool levels_allow(struct epoll *epoll, const struct file *file)
{
    u32 below;

    if (!epoll_of(file))
        return true;
    walks++;
    below = levels_below(file, epoll);
    walks++;
    return below + levels_above(epoll) <= EPOLL_LEVELS;
}

/* How many ways lead from the set up to one that nobody watches or on the way there, itself one. */
static u32 ways_above(struct epoll *epoll)
{
    struct epoll_item *item;
    u32 ways = 1;

    if (epoll->ways_walk == walks)
        return epoll->ways;
    list_for_each (item, &epoll->file->epoll_items, file_link)
        ways = MIN(ways + ways_above(item->epoll), EPOLL_WAYS + 2u);
    epoll->ways_walk = walks;
    epoll->ways = ways;
    return ways;
}

/*
 * Whether an event of the file, or of one below it, goes on from the sets that watch it by no more
 * than EPOLL_WAYS ways: the waker goes all of them, with interrupts off.
 */
static bool ways_allow(const struct file *file)
{
    struct epoll *epoll = epoll_of(file);
    struct epoll_item *item;
    u32 ways = 0;

    if (epoll && epoll->walk == walks)
        return true;
    list_for_each (item, &file->epoll_items, file_link) {
        ways += ways_above(item->epoll) - 1;
        if (ways > EPOLL_WAYS)
            return false;
    }
    if (!epoll)
        return true;
    epoll->walk = walks;
    tree_for_each (item, &epoll->items, node)
        if (!ways_allow(item->file))
            return false;
    return true;
}

/* After the link was made. One between a file that is no set and a set that nobody watches adds
 * none. */
static bool link_is_allowed(const struct epoll *epoll, const struct file *file)
{
    if (!epoll_of(file) && list_is_empty(&epoll->file->epoll_items))
        return true;
    walks++;
    return ways_allow(file);
}

/* ---- epoll_ctl ---- */

static int item_add(struct epoll *epoll, int fd, struct file *file, const struct epoll_event *event)
{
    struct epoll_table adding = {.table = {.add = table_add}};
    struct epoll_item *item;

    if (item_find(epoll, fd, file))
        return -EEXIST;
    if (!levels_allow(epoll, file))
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
    if (!link_is_allowed(epoll, file)) {
        item_destroy(item);
        return -EINVAL;
    }
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
 * The first ready item; NULL: there is none, or all were looked at in this round or a later one. So
 * an item is reported once a round, also where a waker puts it back at once: a program may end what
 * belongs to it with the first report. The look is without the list's lock: only wakers work on the
 * list meanwhile, and these add at its end.
 */
static struct epoll_item *ready_next(struct epoll *epoll, u64 round)
{
    struct list *first = READ_ONCE(epoll->ready.next);
    struct epoll_item *item = list_entry(first, struct epoll_item, ready_link);

    if (first == &epoll->ready || item->round >= round)
        return NULL;
    item->round = round;
    return item;
}

/*
 * Puts an item at the end or at the front, on which it may be already: it stayed, or a waker has
 * put it there. Who came to wait while it was not there is woken.
 */
static void item_put_back(struct epoll_item *item, void (*push)(struct list *, struct list *))
{
    struct epoll *epoll = item->epoll;

    spin_lock(&epoll->ready_queue.lock);
    if (list_is_linked(&item->ready_link))
        list_remove(&item->ready_link);
    push(&epoll->ready, &item->ready_link);
    if (!list_is_empty(&epoll->ready_queue.waiters))
        wait_queue_wake_locked(&epoll->ready_queue, 1, POLL_READABLE);
    spin_unlock(&epoll->ready_queue.lock);
}

/* For the next call. */
static void item_keep(struct epoll_item *item)
{
    item_put_back(item, list_push_back);
}

/* As if this round had not come to it. */
static void item_untake(struct epoll_item *item)
{
    item->round = 0;
    item_put_back(item, list_push_front);
}

/*
 * What the first item of the list has to tell. One that is told of for as long as it is ready
 * stays, at the list's end: nobody can miss it there. Any other leaves the list and is asked only
 * then, so that what comes after the question puts it back.
 */
static u32 item_collect(struct epoll_item *item)
{
    struct epoll *epoll = item->epoll;
    bool is_level = !(item->event.events & (EPOLLET | EPOLLONESHOT));
    u32 events = is_level ? item_ask(item) : 0;

    if (!events) {
        spin_lock(&epoll->ready_queue.lock);
        list_remove(&item->ready_link);
        spin_unlock(&epoll->ready_queue.lock);
        events = item_ask(item);
    }
    /* An item that is the last one is where it belongs; nobody begins to wait while it is there. */
    if (events && is_level &&
        (READ_ONCE(epoll->ready.previous) != &item->ready_link ||
         !list_is_empty(&epoll->ready_queue.waiters)))
        item_keep(item);
    return events;
}

/* What a caller of epoll_wait gets. */
struct epoll_report {
    struct user_ptr events;
    int most, count;
    u64 round;                 /* 0: none has begun */
    struct epoll_event missed; /* had no page to be written to */
};

/*
 * Reports what is ready, until `most` are. -EFAULT: the place of the next one, `missed`, is not in
 * memory now. A round that has told of nothing yet begins anew: others may have had rounds since.
 */
static int report_fill_locked(struct epoll *epoll, struct epoll_report *report)
    must_hold(&epoll_tree_lock)
{
    struct epoll_item *item;

    if (!report->round)
        report->round = ++epoll->round;
    while (report->count < report->most && (item = ready_next(epoll, report->round))) {
        u32 wanted = item->event.events;
        struct epoll_event event = {.events = item_collect(item), .data = item->event.data};
        struct user_ptr at = user_ptr_add(report->events, report->count * sizeof(event));

        if (!event.events)
            continue;
        if (copy_out_nofault(at, &event, sizeof(event))) {
            item_untake(item);
            report->missed = event;
            if (!report->count)
                report->round = 0;
            return -EFAULT;
        }
        if (wanted & EPOLLONESHOT)
            WRITE_ONCE(item->event.events, wanted & PRIVATE_BITS);
        report->count++;
    }
    return 0;
}

/*
 * Reports what is ready now. A page of the caller's may have to come from a device, and all sets
 * would wait for it with the lock held: so only what cannot fault is written under it, and an event
 * that finds no page goes back on the list. Written without the lock it brings its page in, and the
 * report goes on with whatever is so by then. How many, or -EFAULT.
 */
static int report_make(struct epoll *epoll, struct user_ptr events, int most)
{
    struct epoll_report report = {.events = events, .most = most};
    int error;

    for (;;) {
        mutex_lock(&epoll_tree_lock);
        error = report_fill_locked(epoll, &report);
        mutex_unlock(&epoll_tree_lock);
        if (!error)
            break;
        error = copy_out(user_ptr_add(events, report.count * sizeof(report.missed)), &report.missed,
                         sizeof(report.missed));
        if (error)
            break;
    }
    return report.count ? report.count : error;
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
        if (!list_is_empty(&epoll->ready))
            count = report_make(epoll, events, most);
        if (count || deadline_ns == 0 || error == -ETIMEDOUT)
            return count;
        if (error)
            return error;
        error = ready_wait(epoll, deadline_ns);
    }
}

/* ---- The set's own file ---- */

/* Whether the set would report something. Items that would not leave the list: each is asked once.
 */
static bool is_ready_locked(struct epoll *epoll) must_hold(&epoll_tree_lock)
{
    u64 round = ++epoll->round;
    struct epoll_item *item;

    while ((item = ready_next(epoll, round))) {
        if (item_collect(item)) {
            item_keep(item);
            return true;
        }
    }
    return false;
}

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
    ready = is_ready_locked(epoll);
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
