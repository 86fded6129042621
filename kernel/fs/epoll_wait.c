/*
 * What epoll_wait(2) reports: the items of a set's ready list whose files say that they are ready.
 *
 *     ready:  [oldest] item  item  item  item [newest]    <- wakers put items here
 *                        |                        ^
 *             asked, and told of if it is ready   '- level-triggered ones that were told of
 *
 * An item leaves the list before its file is asked for the last time. So an event that comes after
 * the question puts it back, and one that came before is in the answer:
 *
 *     epoll_wait: takes the item off      waker: item is on no list: puts it on, wakes
 *                 asks the file           waker: data is in; then looks at the list
 *
 * A level-triggered item that is ready has nothing to lose and stays on the list, at its end: the
 * next call asks again.
 *
 * Going through the list once is a round. Items that came back keep the round that took them, so no
 * item is told of twice in one call, and a round ends where it meets its own.
 *
 * Locking: epoll_tree_lock for a round; ready_queue.lock for each change of the list.
 * Context: sleeps, with nothing held while it waits for events or for the user's memory.
 */
#include "epoll.h"

/*
 * The first ready item; NULL: there is none, or all were looked at in this round or a later one. A
 * program may end what belongs to an item with the first report, so that there must be no second.
 * The look is without the list's lock: only wakers work on the list meanwhile, at its end.
 */
static struct epoll_item *ready_next(struct epoll *epoll, u64 round) must_hold(&epoll_tree_lock)
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
 * What the first item of the list has to tell. It stays on the list only if it is level-triggered.
 */
static u32 item_collect(struct epoll_item *item) must_hold(&epoll_tree_lock)
{
    struct epoll *epoll = item->epoll;
    bool is_level = !(item->event.events & (EPOLLET | EPOLLONESHOT));
    u32 events = is_level ? epoll_item_ask(item) : 0;

    if (!events) {
        epoll_item_unready(item);
        events = epoll_item_ask(item);
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
            WRITE_ONCE(item->event.events, wanted & EPOLL_PRIVATE_BITS);
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

/* ---- Asked by poll ---- */

/* Items that would not be reported leave the list: each is asked once. */
bool epoll_is_ready_locked(struct epoll *epoll)
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
