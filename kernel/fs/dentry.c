/*
 * The name cache: which names a directory has, and which it has not.
 *
 *      parent <---------- child --------> inode
 *         \  children      | hash (parent, name)
 *          '---------------+--> bucket -> dentry -> dentry -> NULL
 *
 * A dentry is one name in one directory. It holds a reference on its parent and on its inode;
 * without an inode it is negative: the directory has no such name. A dentry that nobody uses
 * (references 0) stays in the cache until memory is short: a hand goes over the buckets and takes
 * those that were not used since it came by (dentry_reclaim.c). A name of what comes and goes by
 * itself, as a process in /proc, is fleeting: to keep it would keep the process's memory, so it
 * dies with its last user.
 *
 * A lookup takes no lock. It reads a chain under RCU, and a rename, which moves dentries between
 * chains, makes namespace_sequence odd meanwhile: who finds nothing, or finds the number changed,
 * looks again under dentry_lock. `inode` is set once, so a positive dentry that was found is what
 * it says; an unlinked one was so a moment ago. A reader may compare a name that is just being
 * changed; it then fails to match, or the sequence tells.
 *
 * Life:
 *
 *     dentry_alloc --> used (references > 0) <---------> only cached (0, hashed, not fleeting)
 *                        |  last reference, not hashed or fleeting     |  reclaim, prune
 *                        '------------> DENTRY_DEAD <------------------'
 *                                out of chain and list; inode and parent are put; freed under RCU
 *
 * The count goes from 0 to DENTRY_DEAD, far below 0, by one compare-and-exchange under dentry_lock,
 * and a reference is taken only from a count that is not negative: so of a dying dentry and a
 * lookup that found it, one wins and the other sees it. Who puts the last reference does not hold
 * the lock when the count becomes 0, and from then on anybody may kill the dentry; he may still
 * look at it, since he has not slept and its memory waits for all CPUs to have switched.
 *
 * Invariant: a dentry is in its bucket exactly while DENTRY_HASHED is set, and in its parent's list
 *            of children from alloc until it dies; so a directory with children has references.
 * Locking:   dentry_lock for chains, lists, names and parents; the directory's inode.lock for what
 *            names there are (who asks the file system, or adds and removes names, holds it).
 * Context:   dentry_put may end an inode, so it sleeps; lookups in the cache do not.
 */
#include "dentry_internal.h"

#include "name_word.h"
#include "notify.h"

struct name_cache names;

u32 namespace_sequence;
struct spinlock dentry_lock = SPINLOCK_INIT(LOCK_DENTRY);

/* As name_scan's, of a name without padding. */
u32 name_hash(const char *text, u32 bytes)
{
    u64 hash = 0, word = 0;

    for (; bytes >= sizeof(word); bytes -= sizeof(word), text += sizeof(word))
        hash = name_hash_step(hash, word_load_unchecked(text));
    memcpy(&word, text, bytes);
    return (u32)name_hash_step(hash, word);
}

/* Dentries are more than 64 bytes apart, so the parent's lowest 6 bits say little. */
static struct dentry **bucket_of(const struct dentry *parent, u32 hash)
{
    u64 mixed = ((u64)parent >> 6) ^ hash;

    return &names.buckets[(mixed * NAME_HASH_FACTOR) >> names.shift];
}

/* ---- Chains ---- */

void dentry_hash_locked(struct dentry *dentry)
{
    struct dentry **bucket = bucket_of(dentry->parent, dentry->hash);

    dentry->hash_next = *bucket;
    dentry->flags |= DENTRY_HASHED;
    /* Pairs with the dependent loads of dentry_lookup_rcu: the content comes before the link. */
    __atomic_store_n(bucket, dentry, __ATOMIC_RELEASE);
}

/* Leaves hash_next as it is: a walk that stands on the dentry goes on from there. */
void dentry_unhash_locked(struct dentry *dentry)
{
    struct dentry **link = bucket_of(dentry->parent, dentry->hash);

    if (!(dentry->flags & DENTRY_HASHED))
        return;
    while (*link != dentry)
        link = &(*link)->hash_next;
    __atomic_store_n(link, dentry->hash_next, __ATOMIC_RELEASE);
    dentry->flags &= ~DENTRY_HASHED;
}

struct dentry *dentry_lookup_rcu(const struct dentry *parent, const struct name *name)
{
    struct dentry *dentry = READ_ONCE(*bucket_of(parent, name->hash));

    for (; dentry; dentry = READ_ONCE(dentry->hash_next)) {
        if (dentry->hash != name->hash || READ_ONCE(dentry->parent) != parent ||
            dentry->name_bytes != name->bytes)
            continue;
        if (name_is_same(READ_ONCE(dentry->name), name->text, name->bytes))
            return dentry;
    }
    return NULL;
}

/* ---- References ---- */

bool dentry_get_if_alive(struct dentry *dentry)
{
    s32 count = __atomic_load_n(&dentry->references, __ATOMIC_RELAXED);

    do {
        if (count < 0)
            return false;
    } while (!__atomic_compare_exchange_n(&dentry->references, &count, count + 1, true,
                                          __ATOMIC_ACQUIRE, __ATOMIC_RELAXED));
    return true;
}

void dentry_get(struct dentry *dentry)
{
    s32 before = __atomic_fetch_add(&dentry->references, 1, __ATOMIC_RELAXED);

    if (SAN)
        assert(before >= 0);
}

static void dentry_free_rcu(struct rcu_head *head)
{
    struct dentry *dentry = container_of(head, struct dentry, rcu);

    if (dentry->name != dentry->inline_name)
        kfree((void *)dentry->name);
    slab_free(names.slab, dentry);
}

struct dentry *dentry_unlink_dead_locked(struct dentry *dentry)
{
    struct dentry *parent = dentry->parent;

    dentry_unhash_locked(dentry);
    list_remove(&dentry->sibling);
    return parent == dentry ? NULL : parent;
}

bool dentry_begin_death_locked(struct dentry *dentry)
{
    s32 none = 0;

    return __atomic_compare_exchange_n(&dentry->references, &none, DENTRY_DEAD, false,
                                       __ATOMIC_ACQ_REL, __ATOMIC_RELAXED);
}

void dentry_finish_death(struct dentry *dentry)
{
    struct inode *inode = dentry->inode;

    rcu_free(&dentry->rcu, dentry_free_rcu);
    if (!inode)
        return;
    if (unlikely(!inode->links))
        notify_removed(inode);
    inode_put(inode);
}

/* Whether it stays in the cache when nobody uses it. */
static bool dentry_is_kept(const struct dentry *dentry)
{
    return (READ_ONCE(dentry->flags) & (DENTRY_HASHED | DENTRY_FLEETING)) == DENTRY_HASHED;
}

/*
 * A dentry that is not kept and whose last reference went: it dies, and so may its parents, which
 * are taken in a loop, since a path may be deep.
 */
static noinline void dentry_kill(struct dentry *dentry)
{
    while (dentry) {
        struct dentry *parent;

        spin_lock(&dentry_lock);
        if (dentry_is_kept(dentry) || !dentry_begin_death_locked(dentry)) {
            spin_unlock(&dentry_lock);
            return;
        }
        parent = dentry_unlink_dead_locked(dentry);
        spin_unlock(&dentry_lock);
        dentry_finish_death(dentry);
        if (!parent || __atomic_sub_fetch(&parent->references, 1, __ATOMIC_ACQ_REL) > 0)
            return;
        dentry = parent;
    }
}

void dentry_put(struct dentry *dentry)
{
    s32 left = __atomic_sub_fetch(&dentry->references, 1, __ATOMIC_ACQ_REL);

    if (left > 0)
        return;
    if (SAN)
        assert(left == 0);
    WRITE_ONCE(dentry->used, 1);
    if (!dentry_is_kept(dentry))
        dentry_kill(dentry);
}

/* ---- Coming into being ---- */

static int dentry_set_name(struct dentry *dentry, const struct name *name)
{
    char *text = dentry->inline_name;

    if (name->bytes >= DENTRY_INLINE_NAME) {
        text = kmalloc(name->bytes + 1, 0);
        if (!text)
            return -ENOMEM;
    }
    memcpy(text, name->text, name->bytes);
    text[name->bytes] = '\0';
    dentry->name = text;
    dentry->name_bytes = name->bytes;
    dentry->hash = name->hash;
    return 0;
}

struct dentry *dentry_alloc(struct dentry *parent, const struct name *name,
                            struct file_system *file_system)
{
    struct dentry *dentry = slab_alloc(names.slab, ALLOC_CLEARED);

    if (!dentry)
        return NULL;
    if (dentry_set_name(dentry, name)) {
        slab_free(names.slab, dentry);
        return NULL;
    }
    dentry->references = 1;
    dentry->valid_until_ns = U64_MAX;
    dentry->file_system = file_system;
    list_init(&dentry->children);
    list_init(&dentry->sibling);
    dentry->parent = parent ? parent : dentry;
    if (!parent)
        return dentry;
    dentry_get(parent);
    spin_lock(&dentry_lock);
    list_push_back(&parent->children, &dentry->sibling);
    spin_unlock(&dentry_lock);
    return dentry;
}

struct dentry *dentry_create_root(struct inode *inode)
{
    struct name name = name_of("/", 1);
    struct dentry *dentry = dentry_alloc(NULL, &name, inode->file_system);

    if (dentry)
        dentry->inode = inode;
    return dentry;
}

struct dentry *dentry_create_anonymous(struct inode *inode, const char *kind)
{
    struct name name = name_of(kind, strlen(kind));
    struct dentry *dentry = dentry_alloc(NULL, &name, inode->file_system);

    if (dentry) {
        dentry->inode = inode;
        dentry->flags = DENTRY_ANONYMOUS;
    }
    return dentry;
}

/* Walkers may have the dentry in hand: the one store turns "no such name" into the file. */
void dentry_instantiate(struct dentry *dentry, struct inode *inode)
{
    assert(!dentry->inode);
    /* Pairs with the walk's load: the inode's fields come before it. */
    __atomic_store_n(&dentry->inode, inode, __ATOMIC_RELEASE);
}

void dentry_set_valid_until(struct dentry *dentry, u64 monotonic_ns)
{
    WRITE_ONCE(dentry->valid_until_ns, monotonic_ns);
    if (monotonic_ns != U64_MAX)
        WRITE_ONCE(dentry->asked_ns, clock_monotonic_ns());
}

void dentry_copy_validity(struct dentry *dentry, const struct dentry *lower)
{
    WRITE_ONCE(dentry->valid_until_ns, READ_ONCE(lower->valid_until_ns));
    WRITE_ONCE(dentry->asked_ns, READ_ONCE(lower->asked_ns));
}

void dentry_set_fleeting(struct dentry *dentry)
{
    dentry->flags |= DENTRY_FLEETING;
}

/* ---- What file systems see ---- */

const char *dentry_name(const struct dentry *dentry)
{
    return dentry->name;
}

u32 dentry_name_bytes(const struct dentry *dentry)
{
    return dentry->name_bytes;
}

struct inode *dentry_inode(const struct dentry *dentry)
{
    return READ_ONCE(dentry->inode);
}

struct dentry *dentry_parent(const struct dentry *dentry)
{
    return READ_ONCE(dentry->parent);
}

#define FRAMES_PER_BUCKET  8
#define BUCKETS_LEAST_BITS 10
#define BUCKETS_MOST       65536u

void dentry_init(void)
{
    u64 wanted = frames_total_count() / FRAMES_PER_BUCKET;
    u32 bits = BUCKETS_LEAST_BITS;

    while ((1u << bits) < BUCKETS_MOST && (1u << bits) < wanted)
        bits++;
    names.shift = 64 - bits;
    names.mask = (1u << bits) - 1;
    names.buckets = kmalloc(sizeof(*names.buckets) << bits, ALLOC_CLEARED);
    names.slab = slab_cache_create("dentry", sizeof(struct dentry), __alignof__(struct dentry));
    assert(names.buckets && names.slab);
    dentry_reclaim_init();
}
