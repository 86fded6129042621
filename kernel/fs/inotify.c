/*
 * inotify(7): what happens to files, as a file to be read.
 *
 *     inotify ---watches (by number)---> watch ---> inode       (notify.c)
 *        |
 *        `-- events: oldest ... newest ---> read(2)
 *
 * An event that equals the newest one that waits is not added to it: nobody could tell how often
 * something happened anyway. When a queue is full, or memory is, one IN_Q_OVERFLOW says that events
 * were lost. The last event of a watch that goes is IN_IGNORED.
 *
 * A watch's number is never used again in its instance, so an event that waits while its watch is
 * replaced is not taken for the new one's.
 *
 * Invariant: event_count is the length of `events`; a watch that is gone gets no event any more.
 * Locking:   notify_lock guards instances and watches; queue.lock inside it the events. So the
 *            events of one watch come in the order in which things happened.
 * Context:   events are made under spinlocks: their memory comes without waiting, or not at all.
 */
#include <pith/abi/ioctl.h>
#include <pith/proc_fs.h>

#include "file_owner.h"
#include "inotify.h"

#define SETTABLE_BITS                                                                        \
    (IN_ALL_EVENTS | IN_UNMOUNT | IN_Q_OVERFLOW | IN_IGNORED | IN_ONLYDIR | IN_DONT_FOLLOW | \
     IN_EXCL_UNLINK | IN_MASK_CREATE | IN_MASK_ADD | IN_ISDIR | IN_ONESHOT)
#define KEPT_BITS (IN_ALL_EVENTS | IN_EXCL_UNLINK | IN_ONESHOT)

struct inotify_limits inotify_limits = {
    .instances = 128, .watches = 65536, .events = 16384}; /* [atomic] */

struct event {
    struct list link;
    struct inotify_event head;
    char name[]; /* name_bytes, padded */
};

static const struct file_operations inotify_operations;

/* ---- Events ---- */

static bool event_equals(const struct event *event, const struct inotify_event *head,
                         const struct name *name)
{
    return event->head.watch == head->watch && event->head.mask == head->mask &&
           event->head.name_bytes == head->name_bytes && !(head->mask & IN_IGNORED) &&
           (!name || (event->name[name->bytes] == '\0' &&
                      memcmp(event->name, name->text, name->bytes) == 0));
}

static struct event *event_alloc(const struct inotify_event *head, const struct name *name)
{
    struct event *event = kmalloc(sizeof(*event) + head->name_bytes, ALLOC_NOWAIT | ALLOC_CLEARED);

    if (!event)
        return NULL;
    event->head = *head;
    if (name)
        memcpy(event->name, name->text, name->bytes);
    return event;
}

void inotify_event_push(struct inotify *inotify, s32 watch, u32 mask, u32 cookie,
                        const struct name *name)
{
    struct inotify_event head = {.watch = watch, .mask = mask, .cookie = cookie};
    static const struct inotify_event overflow = {.watch = -1, .mask = IN_Q_OVERFLOW};
    struct event *newest, *event = NULL;

    if (inotify->told) {
        if (!(mask & IN_IGNORED))
            file_owner_tell(inotify->told, POLL_READABLE | POLL_MESSAGE);
        return;
    }
    if (name)
        head.name_bytes = ALIGN_UP(name->bytes + 1, (u32)sizeof(head));
    spin_lock(&inotify->queue.lock);
    newest = list_is_empty(&inotify->events)
                 ? NULL
                 : list_entry(list_last(&inotify->events), struct event, link);
    if (newest && event_equals(newest, &head, name))
        goto unlock;
    if (inotify->event_count < READ_ONCE(inotify_limits.events))
        event = event_alloc(&head, name);
    if (!event && !(newest && newest->head.mask == IN_Q_OVERFLOW))
        event = event_alloc(&overflow, NULL);
    if (event) {
        list_push_back(&inotify->events, &event->link);
        inotify->event_count++;
        wait_queue_wake_locked(&inotify->queue, 1, POLL_READABLE);
    }
unlock:
    spin_unlock(&inotify->queue.lock);
}

/* The newest watch with a number of at most `number`, or NULL. notify_lock is held. */
static struct inotify_watch *watch_up_to_locked(const struct inotify *inotify, s64 number)
{
    struct tree_node *node = inotify->watches.root;
    struct inotify_watch *found = NULL;

    while (node) {
        struct inotify_watch *watch = tree_entry(node, struct inotify_watch, node);

        if (watch->number <= number)
            found = watch;
        node = watch->number <= number ? node->right : node->left;
    }
    return found;
}

/* ---- The file ---- */

/* Waits for an event that fits, and takes it. */
static int event_take(struct file *file, u64 room, bool may_wait, struct event **event_out)
{
    struct inotify *inotify = file->private_data;
    struct event *event;
    int error = 0;

    spin_lock(&inotify->queue.lock);
    while (list_is_empty(&inotify->events) && !error) {
        if (!may_wait || (file->flags & O_NONBLOCK))
            error = -EAGAIN;
        else if (wait_queue_wait(&inotify->queue, WAIT_INTERRUPTIBLE, WAIT_FOR_FILE))
            error = -ERESTARTSYS;
    }
    if (!error) {
        event = list_entry(list_first(&inotify->events), struct event, link);
        if (sizeof(event->head) + event->head.name_bytes > room) {
            error = -EINVAL;
        } else {
            list_remove(&event->link);
            inotify->event_count--;
            *event_out = event;
        }
    }
    spin_unlock(&inotify->queue.lock);
    return error;
}

/* As many whole events as fit, at least one. */
static ssize_t inotify_read(struct file *file, struct io_buffer *io, u64 *offset)
{
    ssize_t done = 0;

    for (;;) {
        struct event *event = NULL;
        int error = event_take(file, io->bytes_left, done == 0, &event);
        size_t bytes;

        if (error)
            return done ? done : error;
        bytes = sizeof(event->head) + event->head.name_bytes;
        if (io_copy_to(io, &event->head, sizeof(event->head)) < sizeof(event->head) ||
            io_copy_to(io, event->name, event->head.name_bytes) < event->head.name_bytes)
            error = -EFAULT;
        kfree(event);
        if (error)
            return error;
        done += (ssize_t)bytes;
    }
}

static u32 inotify_poll(struct file *file, struct poll_table *table)
{
    struct inotify *inotify = file->private_data;

    poll_wait(table, &inotify->queue);
    return READ_ONCE(inotify->event_count) ? POLL_READABLE : 0;
}

static long inotify_ioctl(struct file *file, u32 command, u64 argument)
{
    struct inotify *inotify = file->private_data;
    struct event *event;
    int bytes = 0;

    if (command != FIONREAD)
        return -ENOTTY;
    spin_lock(&inotify->queue.lock);
    list_for_each (event, &inotify->events, link)
        bytes += (int)(sizeof(event->head) + event->head.name_bytes);
    spin_unlock(&inotify->queue.lock);
    return copy_out(user_ptr_at(argument), &bytes, sizeof(bytes));
}

/* One watch at a time, for text needs memory and the lock is a spinlock. */
static void inotify_describe(struct file *file, struct text_sink *sink)
{
    const struct inotify *inotify = file->private_data;
    s64 number = INT64_MAX;

    for (;;) {
        const struct inotify_watch *watch;
        u64 inode_number = 0, device = 0;
        u32 mask = 0;

        spin_lock(&notify_lock);
        watch = watch_up_to_locked(inotify, number - 1);
        if (watch) {
            number = watch->number;
            inode_number = watch->inode->number;
            device = watch->inode->file_system->device;
            mask = watch->mask;
        }
        spin_unlock(&notify_lock);
        if (!watch)
            break;
        text_print(sink, "inotify wd:%lx ino:%lx sdev:%x mask:%x ignored_mask:0 \n", number,
                   inode_number, DEVICE_WORD(device), mask);
    }
}

/* Its watches first: after that nobody can push an event. */
static void inotify_free(struct inotify *inotify)
{
    struct inotify_watch *gone = NULL;
    struct tree_node *node;
    struct list *link;

    spin_lock(&notify_lock);
    while ((node = tree_first(&inotify->watches)))
        watch_remove_locked(tree_entry(node, struct inotify_watch, node), &gone);
    list_remove(&inotify->link);
    spin_unlock(&notify_lock);
    watches_free(gone);
    while ((link = list_pop_front(&inotify->events)))
        kfree(list_entry(link, struct event, link));
    kfree(inotify);
}

static void inotify_release(struct file *file)
{
    inotify_free(file->private_data);
}

static const struct file_operations inotify_operations = {
    .flags = FILE_OPERATIONS_STREAM | FILE_OPERATIONS_NO_SEEK,
    .release = inotify_release,
    .read = inotify_read,
    .poll = inotify_poll,
    .describe = inotify_describe,
    .ioctl = inotify_ioctl,
};

/* ---- Calls ---- */

/* What the user has already: instances, and watches in all of them. notify_lock is held. */
static void count_locked(u32 uid, u32 *instances_out, u32 *watches_out)
{
    struct inotify *inotify;

    *instances_out = *watches_out = 0;
    list_for_each (inotify, &inotify_instances, link) {
        if (inotify->uid != uid)
            continue;
        ++*instances_out;
        *watches_out += inotify->watch_count;
    }
}

int inotify_open(u32 flags, struct file **file_out)
{
    struct inotify *inotify = kmalloc(sizeof(*inotify), ALLOC_CLEARED);
    u32 instance_count, watch_count;
    int error;

    if (!inotify)
        return -ENOMEM;
    wait_queue_init(&inotify->queue);
    list_init(&inotify->events);
    inotify->uid = thread_current()->credentials->uid;
    spin_lock(&notify_lock);
    count_locked(inotify->uid, &instance_count, &watch_count);
    list_push_back(&inotify_instances, &inotify->link);
    spin_unlock(&notify_lock);
    error = instance_count >= READ_ONCE(inotify_limits.instances)
                ? -EMFILE
                : file_create_anonymous("inotify", &inotify_operations,
                                        O_RDONLY | (flags & O_NONBLOCK), inotify, file_out);
    if (error)
        inotify_free(inotify);
    return error;
}

static struct inotify_watch *watch_of_inode_locked(const struct inotify *inotify,
                                                   const struct inode *inode)
{
    struct inotify_watch *watch = inode->watches;

    while (watch && watch->inotify != inotify)
        watch = watch->next;
    return watch;
}

/* Changes the watch that is there, or puts `fresh` in. The watch's number, or an error. */
static int watch_set_locked(struct inotify *inotify, struct inode *inode, u32 mask,
                            struct inotify_watch *fresh) must_hold(&notify_lock)
{
    struct inotify_watch *watch = watch_of_inode_locked(inotify, inode);
    u32 kept = mask & KEPT_BITS, instance_count, watch_count;

    if (watch) {
        if (mask & IN_MASK_CREATE)
            return -EEXIST;
        watch->mask = mask & IN_MASK_ADD ? watch->mask | kept : kept;
        return watch->number;
    }
    count_locked(inotify->uid, &instance_count, &watch_count);
    if (watch_count >= READ_ONCE(inotify_limits.watches) || inotify->last_number == INT32_MAX)
        return -ENOSPC;
    watch_insert_locked(inotify, inode, kept, fresh);
    return fresh->number;
}

bool inotify_mask_is_valid(u32 mask)
{
    return (mask & SETTABLE_BITS) && !(mask & ~SETTABLE_BITS);
}

int inotify_check(const struct file *file, u32 mask)
{
    if ((mask & IN_MASK_ADD) && (mask & IN_MASK_CREATE))
        return -EINVAL;
    return file->operations == &inotify_operations ? 0 : -EINVAL;
}

int inotify_add_watch(struct file *file, const struct path *path, u32 mask)
{
    struct inotify_watch *fresh;
    int number = path_permission(path, MAY_READ);

    if (number)
        return number;
    fresh = kmalloc(sizeof(*fresh), ALLOC_CLEARED);
    if (!fresh)
        return -ENOMEM;
    spin_lock(&notify_lock);
    number = watch_set_locked(file->private_data, path_inode(path), mask, fresh);
    spin_unlock(&notify_lock);
    if (!fresh->inotify)
        kfree(fresh);
    return number;
}

int inotify_remove_watch(struct file *file, s32 number)
{
    struct inotify *inotify = file->private_data;
    struct inotify_watch *watch, *gone = NULL;

    if (file->operations != &inotify_operations)
        return -EINVAL;
    spin_lock(&notify_lock);
    watch = watch_up_to_locked(inotify, number);
    if (watch && watch->number == number)
        watch_remove_locked(watch, &gone);
    spin_unlock(&notify_lock);
    if (!gone)
        return -EINVAL;
    watches_free(gone);
    return 0;
}
