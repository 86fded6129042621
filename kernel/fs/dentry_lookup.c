/*
 * The name cache: finding a name, and asking for it where it is not known, or not believed any
 * more.
 *
 * What exists is decided by the directory's inode.lock: who holds it and finds no dentry asks the
 * file system and enters what it says, so there is one dentry for a name, and a negative one that
 * is found under the lock stays true until the lock is let go.
 *
 *     dentry_lookup              the cache alone: without a lock, then under dentry_lock
 *     dentry_lookup_locked       inode.lock held: else asks the file system, and enters the answer
 *     dentry_lookup_or_read      takes inode.lock only if the cache has nothing that is believed
 *
 * A name from elsewhere (virtio-fs) is believed until valid_until_ns. Then the file system is asked
 * whether it still leads to the same file; if not, its dentry leaves the cache, though its users
 * keep it, and the name is looked up anew. An open asks earlier than that (dentry_renew): by then
 * the file may be another, and data are read of it and not only attributes.
 *
 * Locking: the directory's inode.lock, then dentry_lock. Context: sleeps, but for dentry_lookup.
 */
#include "dentry_internal.h"

/* What was asked for as lately as this is as good as a new answer (dentry_renew). */
#define RENEW_AFTER_NS (2 * NS_PER_MS)

/* Without a lock; under it only if that found nothing, since a rename may have hidden the name. */
struct dentry *dentry_lookup(struct dentry *parent, const struct name *name)
{
    struct dentry *dentry;

    rcu_read_lock();
    dentry = dentry_lookup_rcu(parent, name);
    if (dentry && dentry_get_if_alive(dentry)) {
        rcu_read_unlock();
        /* A rename may have moved it between the comparison and the reference. */
        if (likely(dentry->parent == parent && dentry->hash == name->hash &&
                   (READ_ONCE(dentry->flags) & DENTRY_HASHED)))
            return dentry;
        dentry_put(dentry);
    } else {
        rcu_read_unlock();
    }
    spin_lock(&dentry_lock);
    dentry = dentry_lookup_rcu(parent, name);
    if (dentry && !dentry_get_if_alive(dentry))
        dentry = NULL;
    spin_unlock(&dentry_lock);
    return dentry;
}

void dentry_expire(struct dentry *parent, const struct name *name)
{
    struct dentry *dentry = dentry_lookup(parent, name);

    if (!dentry)
        return;
    if (READ_ONCE(dentry->valid_until_ns) != U64_MAX)
        dentry_set_valid_until(dentry, 0);
    dentry_put(dentry);
}

/* An expired name: is it still right? Otherwise it leaves the cache and NULL comes back. */
static int dentry_revalidate(struct dentry *parent, struct dentry **dentry)
{
    const struct inode_operations *operations = parent->inode->operations;
    int valid = operations->revalidate ? operations->revalidate(parent->inode, *dentry) : 1;

    if (valid > 0)
        return 0;
    if (valid == 0)
        dentry_forget(*dentry);
    dentry_put(*dentry);
    *dentry = NULL;
    return valid;
}

int dentry_lookup_locked(struct dentry *parent, const struct name *name, struct dentry **dentry_out)
{
    const struct inode_operations *operations = parent->inode->operations;
    struct dentry *dentry = dentry_lookup(parent, name);
    struct inode *inode = NULL;
    int error = 0;

    if (dentry && dentry_is_expired(dentry))
        error = dentry_revalidate(parent, &dentry);
    if (error)
        return error;
    *dentry_out = dentry;
    if (dentry)
        return 0;
    if (name->bytes > NAME_MAX_BYTES)
        return -ENAMETOOLONG;
    if (!operations->lookup)
        return -ENOTDIR;
    dentry = dentry_alloc(parent, name, parent->file_system);
    if (!dentry)
        return -ENOMEM;
    error = operations->lookup(parent->inode, dentry, &inode);
    if (error) {
        dentry_put(dentry);
        return error;
    }
    dentry->inode = inode;
    spin_lock(&dentry_lock);
    dentry_hash_locked(dentry);
    spin_unlock(&dentry_lock);
    *dentry_out = dentry;
    return 0;
}

/* The directory that a name is in, with a reference. */
static struct dentry *parent_get(const struct dentry *dentry)
{
    struct dentry *parent;

    rcu_read_lock();
    do {
        parent = dentry_parent(dentry);
    } while (!dentry_get_if_alive(parent));
    rcu_read_unlock();
    return parent;
}

/*
 * Who waits for the directory while others ask for the same name takes the answer to what they sent
 * since it came here: a thousand processes that start at once ask for the interpreter but once.
 */
int dentry_renew(struct dentry *dentry)
{
    u64 until = READ_ONCE(dentry->valid_until_ns), now, late_enough;
    struct dentry *parent;
    int valid = 1;

    /* 0: each walk asks; and what it was told then is as good as a new answer. */
    if (likely(until == U64_MAX) || until == 0)
        return 0;
    now = clock_monotonic_ns();
    late_enough = now > RENEW_AFTER_NS ? now - RENEW_AFTER_NS : 0;
    if (READ_ONCE(dentry->asked_ns) > late_enough)
        return 0;
    parent = parent_get(dentry);
    valid = mutex_lock_killable(&parent->inode->lock);
    if (valid) {
        dentry_put(parent);
        return valid;
    }
    valid = 1;
    now = clock_monotonic_ns();
    if (dentry->parent == parent && (dentry->flags & DENTRY_HASHED) &&
        READ_ONCE(dentry->asked_ns) <= late_enough && parent->inode->operations->revalidate)
        valid = parent->inode->operations->revalidate(parent->inode, dentry);
    if (valid == 0)
        dentry_forget(dentry);
    else if (valid > 0 && READ_ONCE(dentry->asked_ns) > now)
        WRITE_ONCE(dentry->asked_ns, now);
    mutex_unlock(&parent->inode->lock);
    dentry_put(parent);
    return valid < 0 ? valid : valid ? 0 : -ESTALE;
}

int dentry_lookup_or_read(struct dentry *parent, const struct name *name,
                          struct dentry **dentry_out)
{
    struct dentry *dentry = dentry_lookup(parent, name);
    int error;

    if (likely(dentry)) {
        if (likely(!dentry_is_expired(dentry))) {
            *dentry_out = dentry;
            return 0;
        }
        dentry_put(dentry);
    }
    error = mutex_lock_killable(&parent->inode->lock);
    if (error)
        return error;
    error = dentry_lookup_locked(parent, name, dentry_out);
    mutex_unlock(&parent->inode->lock);
    return error;
}

struct dentry *dentry_find_child(struct dentry *parent, const char *text, u32 bytes)
{
    struct name name = name_of(text, bytes);

    return dentry_lookup(parent, &name);
}

int dentry_add_child(struct dentry *parent, const char *text, u32 bytes, struct inode *inode,
                     struct dentry **dentry_out)
{
    struct name name = name_of(text, bytes);
    struct dentry *dentry = dentry_alloc(parent, &name, parent->file_system);

    if (!dentry)
        return -ENOMEM;
    dentry->inode = inode;
    spin_lock(&dentry_lock);
    dentry_hash_locked(dentry);
    spin_unlock(&dentry_lock);
    *dentry_out = dentry;
    return 0;
}
