/*
 * F_NOTIFY of fcntl(2): what happens in a directory, told by signals.
 *
 * A directory that tells has a watch like inotify's, of an instance that nobody reads: instead of
 * an event, the owner of the open directory gets a signal (file_owner.c). There is one for each
 * open directory and file table, and a process that closes any descriptor of the directory ends its
 * own. Without DN_MULTISHOT the first event ends it (IN_ONESHOT).
 *
 *     fcntl(F_NOTIFY) --> watch --> inode of the directory
 *          |                '--told--> file --> its owner: a signal, for F_SETSIG with the number
 *          '-- teller: the file table, only compared
 *
 * Lifetime: a watch does not count the file that it tells through; it is taken away when the file
 *           ends, before its owner is. So one that was made while another thread closed the
 *           descriptor lives as long as that file, and not longer.
 * Locking:  notify_lock.
 */
#include <pith/file_calls.h>

#include "file_owner.h"
#include "inotify.h"

s64 dnotify_is_on = 1;

/* DN_* and what they are among inotify's events (fcntl(2)). */
static const struct {
    u32 kind, events;
} kinds[] = {
    {DN_ACCESS, IN_ACCESS},
    {DN_MODIFY, IN_MODIFY},
    {DN_CREATE, IN_CREATE | IN_MOVED_TO},
    {DN_DELETE, IN_DELETE | IN_MOVED_FROM},
    {DN_RENAME, NOTIFY_RENAMED},
    {DN_ATTRIB, IN_ATTRIB},
};

static u32 events_of(u32 mask)
{
    u32 events = mask & DN_MULTISHOT ? 0 : IN_ONESHOT;

    for (u32 i = 0; i < ARRAY_SIZE(kinds); i++)
        if (mask & kinds[i].kind)
            events |= kinds[i].events;
    return events;
}

/* The watch that tells through a file, of these files or (NULL) of any. notify_lock is held. */
static struct inotify_watch *watch_find_locked(const struct file *file,
                                               const struct file_table *files)
{
    struct inotify_watch *watch = file->inode->watches;

    while (watch && (watch->inotify->told != file || (files && watch->inotify->teller != files)))
        watch = watch->next;
    return watch;
}

void dnotify_end(struct file *file, const struct file_table *files)
{
    struct inotify_watch *watch, *gone = NULL;

    spin_lock(&notify_lock);
    while ((watch = watch_find_locked(file, files)))
        watch_remove_locked(watch, &gone);
    spin_unlock(&notify_lock);
    watches_free(gone);
}

/* Adds to the watch that is there, or makes one. -ENOMEM. */
static int dnotify_add(struct file *file, u32 events)
{
    const struct file_table *files = thread_current()->files;
    struct inotify *instance = kmalloc(sizeof(*instance), ALLOC_CLEARED);
    struct inotify_watch *fresh = kmalloc(sizeof(*fresh), ALLOC_CLEARED), *present;
    int error = instance && fresh ? 0 : -ENOMEM;

    if (error)
        goto free_both;
    instance->told = file;
    instance->teller = files;
    __atomic_fetch_or(&file->mode, FILE_NOTIFIES, __ATOMIC_RELAXED);
    spin_lock(&notify_lock);
    present = watch_find_locked(file, files);
    if (present) {
        present->mask |= events & ~IN_ONESHOT;
        if (!(events & IN_ONESHOT))
            present->mask &= ~IN_ONESHOT;
    } else {
        watch_insert_locked(instance, file->inode, events, fresh);
    }
    spin_unlock(&notify_lock);
    if (!present)
        return 0;
free_both:
    kfree(instance);
    kfree(fresh);
    return error;
}

int file_notify(struct file *file, int fd, u32 mask)
{
    int error;

    if (!READ_ONCE(dnotify_is_on))
        return -EINVAL;
    if (!(mask & ~DN_MULTISHOT)) {
        dnotify_end(file, thread_current()->files);
        return 0;
    }
    if (!inode_is_directory(file->inode))
        return -ENOTDIR;
    error = file_owner_become(file, fd);
    return error ? error : dnotify_add(file, events_of(mask));
}
