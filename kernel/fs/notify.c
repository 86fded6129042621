/*
 * Who watches inodes, and what they are told (inotify(7); dnotify.c).
 *
 *     inotify ---watches (by number)---> watch ---> inode
 *                                          ^----------'  inode.watches: a chain
 *
 * The calls that change files say so through notify.h. A word says how many watches there are at
 * all, so nobody pays for them but who has some; then an inode's chain is looked at without a lock,
 * and only what is watched takes notify_lock. What happens to a file is told to its own watchers
 * and, with its name, to those of the directory that the name lies in.
 *
 * The looks without a lock can miss a watch that is being set at that moment: what happens while
 * inotify_add_watch runs may be told or not. They cannot meet one that is freed: only whether there
 * is a chain is looked at, never into it.
 *
 * A watch holds a reference on its inode, so a file that is watched stays in memory; the event that
 * its last name is gone (IN_DELETE_SELF) takes the watch away. It is told by the name cache, when
 * the dentry of the last name dies, which is when nobody has the file open by that name any more.
 *
 * Invariant: a watch is in its instance's tree and in its inode's chain, or in neither.
 * Locking:   notify_lock guards instances, watches and chains. What is taken out under it is freed
 *            after it, since inode_put sleeps; until then only who took it out knows it.
 */
#include "inotify.h"

#define EVENT_BITS (IN_ALL_EVENTS | NOTIFY_RENAMED)

u32 notify_watches;
static u32 cookies; /* [atomic] */
struct spinlock notify_lock = SPINLOCK_INIT(LOCK_NOTIFY);
struct list inotify_instances = LIST_INIT(inotify_instances);

/* ---- Watches ---- */

static bool watch_before(const struct tree_node *a, const struct tree_node *b)
{
    return tree_entry(a, struct inotify_watch, node)->number <
           tree_entry(b, struct inotify_watch, node)->number;
}

void watch_insert_locked(struct inotify *inotify, struct inode *inode, u32 mask,
                         struct inotify_watch *fresh)
{
    *fresh = (struct inotify_watch){.inotify = inotify,
                                    .inode = inode,
                                    .next = inode->watches,
                                    .number = ++inotify->last_number,
                                    .mask = mask};
    inode_get(inode);
    tree_insert(&inotify->watches, &fresh->node, watch_before);
    inotify->watch_count++;
    WRITE_ONCE(inode->watches, fresh);
    WRITE_ONCE(notify_watches, notify_watches + 1);
}

void watch_remove_locked(struct inotify_watch *watch, struct inotify_watch **gone)
{
    struct inotify_watch **link = &watch->inode->watches;

    while (*link != watch)
        link = &(*link)->next;
    WRITE_ONCE(*link, watch->next);
    tree_remove(&watch->inotify->watches, &watch->node);
    watch->inotify->watch_count--;
    WRITE_ONCE(notify_watches, notify_watches - 1);
    inotify_event_push(watch->inotify, watch->number, IN_IGNORED, 0, NULL);
    watch->next = *gone;
    *gone = watch;
}

void watches_free(struct inotify_watch *gone)
{
    while (gone) {
        struct inotify_watch *watch = gone;

        gone = watch->next;
        inode_put(watch->inode);
        if (watch->inotify->told)
            kfree(watch->inotify);
        kfree(watch);
    }
}

/* ---- What happened ---- */

/* Tells an inode's watchers. `is_unlinked`: of a child by a name that is gone. */
static void inode_tell(struct inode *inode, u32 mask, u32 cookie, const struct name *name,
                       bool is_unlinked)
{
    struct inotify_watch *watch, *next, *gone = NULL;

    if (!READ_ONCE(inode->watches))
        return;
    spin_lock(&notify_lock);
    for (watch = inode->watches; watch; watch = next) {
        next = watch->next;
        if (!(watch->mask & mask & EVENT_BITS) || (is_unlinked && (watch->mask & IN_EXCL_UNLINK)))
            continue;
        inotify_event_push(watch->inotify, watch->number, mask, cookie, name);
        if (watch->mask & IN_ONESHOT)
            watch_remove_locked(watch, &gone);
    }
    spin_unlock(&notify_lock);
    watches_free(gone);
}

/* The watched directory of a name, with a reference, and a copy of the name; NULL: not watched. */
static struct inode *parent_get(const struct dentry *dentry, char copy[NAME_MAX_BYTES + 1],
                                struct name *name_out, bool *is_unlinked_out)
{
    struct inode *directory = NULL;

    spin_lock(&dentry_lock);
    if (dentry->parent != dentry && dentry->parent->inode && dentry->parent->inode->watches) {
        directory = dentry->parent->inode;
        inode_get(directory);
        memcpy(copy, dentry->name, dentry->name_bytes);
        *name_out = (struct name){.text = copy, .bytes = dentry->name_bytes};
        *is_unlinked_out = !(dentry->flags & DENTRY_HASHED);
    }
    spin_unlock(&dentry_lock);
    return directory;
}

void notify_dentry_watched(const struct dentry *dentry, u32 mask)
{
    struct inode *directory = NULL;
    char copy[NAME_MAX_BYTES + 1];
    bool is_unlinked;
    struct name name;
    struct inode *above;

    if (inode_is_directory(dentry->inode))
        mask |= IN_ISDIR;
    rcu_read_lock(); /* the parent may change, and go */
    above = READ_ONCE(READ_ONCE(dentry->parent)->inode);
    if (!above || !READ_ONCE(above->watches))
        above = NULL;
    rcu_read_unlock();
    if (above)
        directory = parent_get(dentry, copy, &name, &is_unlinked);
    if (directory) {
        inode_tell(directory, mask, 0, &name, is_unlinked);
        inode_put(directory);
    }
    inode_tell(dentry->inode, mask, 0, NULL, false);
}

void notify_inode_watched(struct inode *inode, u32 mask)
{
    inode_tell(inode, mask, 0, NULL, false);
}

void notify_name_watched(struct inode *directory, const struct name *name, u32 mask, u32 cookie)
{
    inode_tell(directory, mask, cookie, name, false);
}

u32 notify_cookie(void)
{
    return __atomic_add_fetch(&cookies, 1, __ATOMIC_RELAXED);
}

/* Tells `mask` to a watch whose inode goes, and takes it away. */
static void watch_end_locked(struct inotify_watch *watch, u32 mask, struct inotify_watch **gone)
    must_hold(&notify_lock)
{
    if (mask == IN_UNMOUNT || (watch->mask & mask))
        inotify_event_push(watch->inotify, watch->number, mask, 0, NULL);
    watch_remove_locked(watch, gone);
}

void notify_removed_watched(struct inode *inode)
{
    struct inotify_watch *gone = NULL;

    if (!READ_ONCE(inode->watches))
        return;
    spin_lock(&notify_lock);
    while (inode->watches)
        watch_end_locked(inode->watches, IN_DELETE_SELF, &gone);
    spin_unlock(&notify_lock);
    watches_free(gone);
}

void notify_unmounted_watched(struct file_system *file_system)
{
    struct inotify_watch *watch, *gone = NULL;
    struct inotify *inotify;
    struct tree_node *node, *next;

    spin_lock(&notify_lock);
    list_for_each (inotify, &inotify_instances, link) {
        for (node = tree_first(&inotify->watches); node; node = next) {
            next = tree_next(node);
            watch = tree_entry(node, struct inotify_watch, node);
            if (watch->inode->file_system == file_system)
                watch_end_locked(watch, IN_UNMOUNT, &gone);
        }
    }
    spin_unlock(&notify_lock);
    watches_free(gone);
}
