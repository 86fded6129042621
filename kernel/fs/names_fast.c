/*
 * The path walk where everything is cached: no lock, no reference, no sleep.
 *
 * It walks under RCU, reading dentries and inodes that may be leaving meanwhile but whose memory
 * stays. What it concludes holds if namespace_sequence is even and the same before and after, since
 * every rename and every change of the mount tree moves it: then each step was true at some moment
 * in between, in order. Only then it takes references on the end:
 *
 *     walker                                  renames a -> b
 *     s = sequence, even                      sequence = s + 1
 *     "a": its parent, name, inode            a leaves its chain, enters another
 *     "c" in it                               sequence = s + 2
 *     references on the end
 *     sequence == s?  no: nothing is believed, the references go back, the slow walk decides
 *
 * Creating and unlinking do not move the number: one step alone depends on either, and what it saw
 * was so when it looked. The reference is taken before the last look at the number, and only if the
 * count was not dying, so what is returned is alive and was in place.
 *
 * Whatever this walk does not understand (a name that is not cached, a link whose text is not in
 * memory, a directory that may not be searched, an expired name), it leaves to the slow walk
 * (names.c), which also finds the errors.
 *
 * Invariant: with 0 or -ENOENT it says what the slow walk would say.
 * Locking:   RCU. Only what is [rcu], [const] or [atomic] in dentries, mounts and inodes is read;
 *            nothing here may be followed after rcu_read_unlock.
 * Context:   any thread; never sleeps, so it asks no file system.
 */
#include "names.h"

#include "directories.h"
#include "name_word.h"

#define FAST_LINKS   8
#define EXECUTE_BITS 0111u

/* As struct walk, without a reference anywhere. */
struct fast_walk {
    struct mount *mount; /* where it stands */
    struct dentry *dentry;
    struct path root;
    const char *text; /* what is still to be walked */
    u32 flags;        /* LOOKUP_* */
    u32 links;        /* rests in use; each link followed uses one up or none */
    u32 followed;     /* links, in all */
    const char *rests[FAST_LINKS];
};

enum step {
    STEP_ON,
    STEP_END,
    STEP_NO_NAME, /* a negative dentry */
    STEP_SLOW,    /* the slow walk must find out */
};

/* May be searched by everybody, or by the rule for the caller: without asking the file system. */
static bool may_search(struct inode *inode)
{
    if (unlikely(!inode_is_directory(inode)) || unlikely(inode->operations->permission))
        return false;
    if (likely((inode->mode & EXECUTE_BITS) == EXECUTE_BITS) && likely(!inode->access_list))
        return true;
    return inode_permission(inode, MAY_EXECUTE) == 0;
}

/* A count of mounts without a mount to be found is one of another mount of the same directory. */
static void fast_descend(struct fast_walk *walk)
{
    while (unlikely(READ_ONCE(walk->dentry->mounts))) {
        struct mount *mount = mount_find_rcu(walk->mount, walk->dentry);

        if (!mount)
            return;
        walk->mount = mount;
        walk->dentry = mount->root;
    }
}

/* Mount and mountpoint are read one by one; a change in between has moved namespace_sequence. */
static enum step fast_up(struct fast_walk *walk)
{
    for (;;) {
        if (walk->dentry == walk->root.dentry && walk->mount == walk->root.mount)
            return STEP_ON;
        if (walk->dentry != walk->mount->root)
            break;
        if (!READ_ONCE(walk->mount->parent))
            return STEP_SLOW;
        walk->dentry = READ_ONCE(walk->mount->mountpoint);
        walk->mount = READ_ONCE(walk->mount->parent);
        if (!walk->dentry || !walk->mount)
            return STEP_SLOW;
    }
    walk->dentry = READ_ONCE(walk->dentry->parent);
    fast_descend(walk);
    return STEP_ON;
}

/* The text lies in the link's inode, whose memory stays for as long as RCU is held. */
static enum step fast_follow(struct fast_walk *walk, const struct inode *link, const char *rest)
{
    if (!link->link_text || !*link->link_text || walk->followed++ == FAST_LINKS ||
        (walk->mount->flags & MS_NOSYMFOLLOW))
        return STEP_SLOW;
    if (*rest)
        walk->rests[walk->links++] = rest;
    walk->text = link->link_text;
    if (*walk->text == '/') {
        walk->mount = walk->root.mount;
        walk->dentry = walk->root.dentry;
    }
    return STEP_ON;
}

static enum step fast_name(struct fast_walk *walk, const struct name *name, const char *rest,
                           bool is_last)
{
    struct dentry *child = dentry_lookup_rcu(walk->dentry, name);
    struct inode *inode;

    if (unlikely(!child) || dentry_is_expired(child))
        return STEP_SLOW;
    /* Pairs with dentry_instantiate. */
    inode = __atomic_load_n(&child->inode, __ATOMIC_ACQUIRE);
    if (!inode)
        return STEP_NO_NAME;
    if (unlikely(inode_is_link(inode)) &&
        (!is_last || name->text[name->bytes] == '/' || (walk->flags & LOOKUP_FOLLOW))) {
        /* A slash at the very end demands a directory: the slow walk checks that. */
        if (is_last && name->text[name->bytes] == '/')
            return STEP_SLOW;
        return fast_follow(walk, inode, rest);
    }
    walk->dentry = child;
    fast_descend(walk);
    walk->text = rest;
    return STEP_ON;
}

static const char *slashes_skip(const char *text)
{
    while (*text == '/')
        text++;
    return text;
}

/* One component, or one step back to the rest behind a link. */
static enum step fast_step(struct fast_walk *walk, struct name *last_out)
{
    const char *text = slashes_skip(walk->text);
    u32 bytes, hash;
    struct name name;
    const char *rest;
    bool is_last;

    if (!*text) {
        if (!walk->links)
            return walk->flags & LOOKUP_PARENT ? STEP_SLOW : STEP_END;
        walk->text = walk->rests[--walk->links];
        return STEP_ON;
    }
    if (!may_search(walk->dentry->inode))
        return STEP_SLOW;
    bytes = name_scan(text, &hash);
    name = (struct name){text, bytes, hash};
    rest = slashes_skip(text + bytes);
    is_last = !*rest && !walk->links;
    if (text[0] == '.' && bytes <= 2 && (bytes == 1 || text[1] == '.')) {
        walk->text = rest;
        if (is_last && (walk->flags & LOOKUP_PARENT))
            return STEP_SLOW;
        return bytes == 1 ? STEP_ON : fast_up(walk);
    }
    if (is_last && (walk->flags & LOOKUP_PARENT)) {
        /* No rest is left, so the name lies in the caller's text, not in a link's. */
        if (bytes > NAME_MAX_BYTES)
            return STEP_SLOW;
        *last_out = name;
        return STEP_END;
    }
    if (is_last && text[bytes] == '/')
        walk->flags |= LOOKUP_DIRECTORY;
    return fast_name(walk, &name, rest, is_last);
}

/* References on the end, if nothing moved since `sequence` was read. */
static bool fast_take(const struct fast_walk *walk, u32 sequence, struct path *path_out)
{
    if (!refcount_inc_not_zero(&walk->mount->references))
        return false;
    if (!dentry_get_if_alive(walk->dentry))
        goto put_mount;
    /* The references above are full barriers on x86; the sequence is read after the walk. */
    if (__atomic_load_n(&namespace_sequence, __ATOMIC_ACQUIRE) != sequence)
        goto put_dentry;
    *path_out = (struct path){walk->mount, walk->dentry};
    return true;

put_dentry:
    rcu_read_unlock();
    dentry_put(walk->dentry);
    mount_put(walk->mount);
    rcu_read_lock();
    return false;
put_mount:
    rcu_read_unlock();
    mount_put(walk->mount);
    rcu_read_lock();
    return false;
}

/* What is not worth a second implementation. */
#define FLAGS_SLOW                                                                             \
    (LOOKUP_NO_XDEV | LOOKUP_NO_MAGIC | LOOKUP_NO_SYMLINKS | LOOKUP_BENEATH | LOOKUP_IN_ROOT | \
     LOOKUP_REVALIDATE)

static int fast_run(struct fast_walk *walk, u32 sequence, struct path *path_out,
                    struct name *last_out)
{
    enum step step;

    do {
        step = fast_step(walk, last_out);
    } while (step == STEP_ON);
    if (step == STEP_SLOW)
        return -EAGAIN;
    if (step == STEP_NO_NAME)
        return __atomic_load_n(&namespace_sequence, __ATOMIC_ACQUIRE) == sequence ? -ENOENT
                                                                                  : -EAGAIN;
    if ((walk->flags & (LOOKUP_DIRECTORY | LOOKUP_PARENT)) &&
        !inode_is_directory(walk->dentry->inode))
        return -EAGAIN;
    return fast_take(walk, sequence, path_out) ? 0 : -EAGAIN;
}

int walk_fast(const struct path *start, const char *name, u32 flags, struct path *path_out,
              struct name *last_out)
{
    struct fast_walk walk;
    struct path working;
    u32 sequence;
    int error;

    if (unlikely((flags & FLAGS_SLOW) || !*name || !thread_current()->directories))
        return -EAGAIN;
    walk.flags = flags;
    walk.text = name;
    walk.links = walk.followed = 0;
    rcu_read_lock();
    sequence = __atomic_load_n(&namespace_sequence, __ATOMIC_ACQUIRE);
    error = -EAGAIN;
    if (likely(!(sequence & 1))) {
        directories_peek(&walk.root, &working);
        if (*name == '/')
            working = walk.root;
        else if (start)
            working = *start;
        walk.mount = working.mount;
        walk.dentry = working.dentry;
        error = fast_run(&walk, sequence, path_out, last_out);
    }
    rcu_read_unlock();
    return error;
}
