/*
 * Credentials: copies to change, and what exec and uid changes make of capabilities.
 *
 * A struct credentials is never changed once a thread has it; whoever checks rights with a
 * reference, or as the thread itself, needs no lock. To change some is to copy, change the copy,
 * and install it:
 *
 *     changed = credentials_prepare()        a copy with one reference
 *     changed->euid = ...                    nobody else sees it
 *     credentials_install(changed)           swapped in; what was there is put
 *
 * Each thread has its own pointer, as on Linux: a C library that sets ids for a whole process calls
 * once in each thread. A change of effective or file-system ids, or one that adds capabilities,
 * makes the process not dumpable, so that others of its user cannot look at what it has read with
 * them (prctl(2), PR_SET_DUMPABLE), and clears PR_SET_PDEATHSIG.
 *
 * The rules for capabilities are capabilities(7)'s, "Transformation of capabilities during
 * execve()" and "Effect of user ID changes on capabilities". Files have none: only set-id bits and
 * uid 0 give any.
 *
 * process_space_inspect answers who may look at whose memory although an exec may come in between:
 * it asks again until the count of programs was the same before and after (process_programs in
 * proc.h).
 *
 * Locking: a thread swaps its own pointer under process_table_lock; others read it under that.
 * Context: preparing sleeps (memory).
 */
#include "internal.h"

#define CAPABILITIES_ALL (BIT(CAPABILITY_LAST + 1) - 1)
/* What the file-system uid 0 brings: CHOWN, DAC_*, FOWNER, FSETID, LINUX_IMMUTABLE, MKNOD,
 * MAC_OVERRIDE
 */
#define CAPABILITIES_FILE_SYSTEM (0x1ful | BIT(9) | BIT(CAPABILITY_MKNOD) | BIT(32))

static struct slab_cache *credentials_cache;

void credentials_init(void)
{
    credentials_cache = slab_cache_create("credentials", sizeof(struct credentials), 8);
    assert(credentials_cache);
}

struct credentials *credentials_create_root(void)
{
    struct credentials *root = slab_alloc(credentials_cache, ALLOC_CLEARED);

    if (!root)
        return NULL;
    refcount_set(&root->references, 1);
    root->capabilities_permitted = CAPABILITIES_ALL;
    root->capabilities_effective = CAPABILITIES_ALL;
    root->capabilities_bounding = CAPABILITIES_ALL;
    return root;
}

/*
 * The groups are an array of their own, which two credentials never share: so freeing one needs no
 * count of it.
 */
static struct credentials *credentials_copy(const struct credentials *from)
{
    struct credentials *copy = slab_alloc(credentials_cache, 0);
    size_t bytes = from->group_count * sizeof(u32);

    if (!copy)
        return NULL;
    *copy = *from;
    refcount_set(&copy->references, 1);
    copy->groups = NULL;
    if (bytes) {
        copy->groups = kmalloc(bytes, 0);
        if (!copy->groups) {
            slab_free(credentials_cache, copy);
            return NULL;
        }
        memcpy(copy->groups, from->groups, bytes);
    }
    return copy;
}

struct credentials *credentials_prepare(void)
{
    return credentials_copy(thread_current()->credentials);
}

void credentials_put(struct credentials *credentials)
{
    if (!refcount_dec_is_zero(&credentials->references))
        return;
    kfree(credentials->groups);
    slab_free(credentials_cache, credentials);
}

/* Whether the memory may hold from now on, or already, what the user was not to see (prctl(2)). */
static bool rights_differ(const struct credentials *before, const struct credentials *after)
{
    return before->euid != after->euid || before->egid != after->egid ||
           before->fsuid != after->fsuid || before->fsgid != after->fsgid ||
           (after->capabilities_permitted & ~before->capabilities_permitted);
}

void credentials_install(struct credentials *credentials)
{
    struct thread *thread = thread_current();
    struct credentials *before = thread->credentials;

    if (rights_differ(before, credentials)) {
        WRITE_ONCE(process_current()->dumpable, false);
        WRITE_ONCE(process_current()->parent_death_signal, 0);
    }
    spin_lock(&process_table_lock);
    thread->credentials = credentials;
    spin_unlock(&process_table_lock);
    credentials_put(before);
}

/* The list is sorted when it is set (setgroups(2)), so a long one costs a dozen comparisons. */
bool credentials_have_group(const struct credentials *credentials, u32 gid)
{
    u32 low = 0, high = credentials->group_count;

    if (credentials->fsgid == gid)
        return true;
    while (low < high) {
        u32 middle = (low + high) / 2;

        if (credentials->groups[middle] == gid)
            return true;
        if (credentials->groups[middle] < gid)
            low = middle + 1;
        else
            high = middle;
    }
    return false;
}

/* ---- Changes of ids ---- */

static bool any_uid_is_root(const struct credentials *credentials)
{
    return credentials->uid == 0 || credentials->euid == 0 || credentials->suid == 0;
}

/*
 * capabilities(7), "Effect of user ID changes on capabilities": only a process that leaves uid 0
 * altogether loses what it is permitted.
 */
void credentials_uids_changed(struct credentials *changed, const struct credentials *before)
{
    if (changed->secure_bits & SECURE_NO_SETUID_FIXUP)
        return;
    if (any_uid_is_root(before) && !any_uid_is_root(changed)) {
        if (!(changed->secure_bits & SECURE_KEEP_CAPABILITIES)) {
            changed->capabilities_permitted = 0;
            changed->capabilities_effective = 0;
        }
        changed->capabilities_ambient = 0;
    }
    if (before->euid == 0 && changed->euid != 0)
        changed->capabilities_effective = 0;
    if (before->euid != 0 && changed->euid == 0)
        changed->capabilities_effective = changed->capabilities_permitted;
}

/* The same for those capabilities alone that are about files. */
void credentials_fsuid_changed(struct credentials *changed, const struct credentials *before)
{
    u64 own = changed->capabilities_permitted & CAPABILITIES_FILE_SYSTEM;

    if (changed->secure_bits & SECURE_NO_SETUID_FIXUP)
        return;
    if (before->fsuid == 0 && changed->fsuid != 0)
        changed->capabilities_effective &= ~CAPABILITIES_FILE_SYSTEM;
    if (before->fsuid != 0 && changed->fsuid == 0)
        changed->capabilities_effective |= own;
}

/* ---- exec ---- */

/*
 * Not under PR_SET_NO_NEW_PRIVS, nor from a mount that is nosuid. S_ISGID without the group's
 * execute bit once meant mandatory locking, and gives nothing.
 */
static void take_set_ids(const struct file *file, struct credentials *credentials)
{
    const struct inode *inode = file->inode;

    if (credentials->no_new_privileges || !path_allows_set_ids(&file->path))
        return;
    if (inode->mode & S_ISUID)
        credentials->euid = inode->uid;
    if ((inode->mode & (S_ISGID | S_IXGRP)) == (S_ISGID | S_IXGRP))
        credentials->egid = inode->gid;
}

/*
 * capabilities(7), "Transformation of capabilities during execve()", for files without capabilities
 * of their own.
 */
static void transform_capabilities(struct credentials *credentials, bool ids_changed)
{
    if (ids_changed)
        credentials->capabilities_ambient = 0;
    if ((credentials->uid == 0 || credentials->euid == 0) &&
        !(credentials->secure_bits & SECURE_NO_ROOT)) {
        credentials->capabilities_permitted =
            credentials->capabilities_inheritable | credentials->capabilities_bounding;
        credentials->capabilities_effective =
            credentials->euid == 0 ? credentials->capabilities_permitted : 0;
    } else {
        credentials->capabilities_permitted = credentials->capabilities_ambient;
        credentials->capabilities_effective = credentials->capabilities_ambient;
    }
}

static void transform(const struct file *file, struct credentials *credentials)
{
    u32 euid = credentials->euid, egid = credentials->egid;

    take_set_ids(file, credentials);
    credentials->suid = credentials->euid;
    credentials->fsuid = credentials->euid;
    credentials->sgid = credentials->egid;
    credentials->fsgid = credentials->egid;
    credentials->secure_bits &= ~(u32)SECURE_KEEP_CAPABILITIES;
    transform_capabilities(credentials, credentials->euid != euid || credentials->egid != egid);
}

/* Most programs change nothing: they get a reference instead of a copy. */
int credentials_for_exec(const struct file *file, struct credentials **credentials_out,
                         u32 *secure_out, bool *dumpable_out)
{
    struct credentials *before = thread_current()->credentials, after = *before;

    transform(file, &after);
    *secure_out = after.uid != after.euid || after.gid != after.egid;
    *dumpable_out = before->uid == before->euid && before->gid == before->egid && !*secure_out &&
                    !rights_differ(before, &after) && inode_permission(file->inode, MAY_READ) == 0;
    after.references = before->references;
    if (memcmp(&after, before, sizeof(after)) == 0) {
        credentials_get(before);
        *credentials_out = before;
        return 0;
    }
    *credentials_out = credentials_copy(&after);
    return *credentials_out ? 0 : -ENOMEM;
}

/* ---- Looking into others ---- */

/*
 * ptrace(2), "Ptrace access mode checking", without security modules: all three of its ids are the
 * caller's, and it is dumpable.
 */
bool process_may_inspect(struct process *process)
{
    const struct credentials *own = thread_current()->credentials;
    struct credentials *theirs;
    bool same;

    if (process == process_current() || credentials_can(own, CAPABILITY_SYS_PTRACE))
        return true;
    theirs = process_credentials(process);
    if (!theirs)
        return false;
    same = own->uid == theirs->uid && own->uid == theirs->euid && own->uid == theirs->suid &&
           own->gid == theirs->gid && own->gid == theirs->egid && own->gid == theirs->sgid;
    credentials_put(theirs);
    return same && READ_ONCE(process->dumpable);
}

/* Asks again until nothing was executed between the two answers: see process_programs. */
int process_space_inspect(struct process *process, struct address_space **space_out)
{
    for (;;) {
        u64 programs = process_programs(process);
        struct address_space *space;

        if (!process_may_inspect(process))
            return -EPERM;
        space = process_space(process);
        if (!space)
            return -ESRCH;
        if (process_programs(process) == programs) {
            *space_out = space;
            return 0;
        }
        address_space_put(space);
    }
}
