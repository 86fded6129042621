/*
 * Making, removing and moving names in directories.
 *
 * All follow one pattern: walk to the directory, lock it, look the last name up, check rights, ask
 * the file system, change the name cache. The directory's inode.lock is what makes looking and
 * changing one step: whoever else wants the name waits, then finds what we left.
 *
 *     make:    directory locked; dentry negative -> `create`, `mkdir`, ... -> dentry_instantiate
 *     remove:  directory, then what goes, locked -> `unlink`, `rmdir`      -> dentry_delete
 *     move:    below                             -> `rename`               -> dentry_move
 *
 * The file system comes first and the cache second, so that a failure leaves the cache as it was.
 * Between the two a lookup that hits sees what was so a moment ago, and one that misses waits for
 * the directory's lock.
 *
 * A move takes two directories. If each of two moves put its directory below the other's, both
 * checks would pass and the two would hang from each other, cut off from the root:
 *
 *     rename("/a", "/b/x")          rename("/b", "/a/y")          a is below b below a ...
 *
 * So rename_lock lets one move between directories happen at a time. Under it who is above whom
 * does not change, which also gives the order of the two locks: the upper directory first, so that
 * it agrees with the parent-before-child of all other calls; unrelated ones by address. `trap` is
 * the entry of the upper directory that leads to the lower one: to move it would close the circle,
 * and to replace it cannot be, since it is not empty. Within one directory no circle can be made.
 *
 * Locking: rename_lock (LOCK_RENAME), directories, then what is removed or replaced; inode_put and
 *          dentry_put come after all of them, since the last reference may end a file.
 * Errors:  as in the man pages; EEXIST, EBUSY, ENOTEMPTY for a last component that is no name come
 *          before any lookup, rights after it.
 */
#include "change_names.h"

#include "access_list.h"
#include "notify.h"
#include "permission.h"

static struct mutex rename_lock; /* LOCK_RENAME */

/* ---- Making ---- */

/* A place where a name is being made; its directory is locked. */
struct new_name {
    struct parent parent;
    struct dentry *dentry; /* negative, with a reference */
};

/*
 * Finds the place for a new name, and locks its directory. `mode`: of what is to be made. -EEXIST,
 * -ENOENT ("a/" of what is no directory; the directory was removed), -EACCES, -EROFS.
 */
static int new_name_begin(const struct path *start, const char *name, u32 mode,
                          struct new_name *new)
{
    struct dentry *directory;
    int error = parent_find(start, name, 0, &new->parent);

    if (error)
        return error;
    directory = new->parent.directory.dentry;
    error = -EEXIST;
    if (new->parent.last_type != LAST_NAME)
        goto put_parent;
    error = mutex_lock_killable(&directory->inode->lock);
    if (error)
        goto put_parent;
    error = dentry_lookup_locked(directory, &new->parent.last, &new->dentry);
    if (error)
        goto unlock;
    error = -EEXIST;
    if (new->dentry->inode)
        goto put_dentry;
    error = -ENOENT;
    if (new->parent.has_trailing_slash && (mode & S_IFMT) != S_IFDIR)
        goto put_dentry;
    error = may_create(&new->parent.directory);
    if (error)
        goto put_dentry;
    return 0;

put_dentry:
    dentry_put(new->dentry);
unlock:
    mutex_unlock(&directory->inode->lock);
put_parent:
    parent_put(&new->parent);
    return error;
}

/* `inode`: what came of it, with a reference, or NULL. */
static int new_name_end(struct new_name *new, struct inode *inode, int error)
{
    if (!error) {
        dentry_instantiate(new->dentry, inode);
        notify_name(new->parent.directory.dentry->inode, &new->parent.last, inode, IN_CREATE, 0);
    }
    dentry_put(new->dentry);
    mutex_unlock(&new->parent.directory.dentry->inode->lock);
    parent_put(&new->parent);
    return error;
}

int name_mkdir(const struct path *start, const char *name, u32 mode)
{
    struct inode *inode = NULL, *directory;
    struct creation creation;
    struct new_name new;
    int error = new_name_begin(start, name, S_IFDIR, &new);

    if (error)
        return error;
    directory = new.parent.directory.dentry->inode;
    error = creation_begin(
        directory, S_IFDIR | (mode & (PERMISSION_BITS | S_ISVTX | MODE_BY_UMASK)), &creation);
    if (error)
        return new_name_end(&new, NULL, error);
    error = -EPERM;
    if (directory->operations->mkdir)
        error = directory->operations->mkdir(directory, new.dentry, creation.mode, &inode);
    creation_end(&creation, inode);
    return new_name_end(&new, inode, error);
}

/*
 * Devices are root's to make, and the kernel's at boot, but for 0:0, which is a whiteout and opens
 * nothing.
 */
static bool may_make_device(u32 mode, u64 rdev)
{
    const struct credentials *credentials = thread_current()->credentials;
    bool is_whiteout = (mode & S_IFMT) == S_IFCHR && rdev == 0;

    return ((mode & S_IFMT) != S_IFCHR && (mode & S_IFMT) != S_IFBLK) || is_whiteout ||
           !credentials || credentials_can(credentials, CAPABILITY_MKNOD);
}

int name_mknod(const struct path *start, const char *name, u32 mode, u64 rdev,
               struct path *path_out)
{
    struct inode *inode = NULL, *directory;
    struct creation creation;
    struct new_name new;
    int error = new_name_begin(start, name, mode, &new);

    if (error)
        return error;
    directory = new.parent.directory.dentry->inode;
    error = may_make_device(mode, rdev) ? creation_begin(directory, mode, &creation) : -EPERM;
    if (error)
        return new_name_end(&new, NULL, error);
    error = -EPERM;
    if (directory->operations->mknod)
        error = directory->operations->mknod(directory, new.dentry, creation.mode, rdev, &inode);
    creation_end(&creation, inode);
    if (!error && path_out) {
        *path_out = (struct path){new.parent.directory.mount, new.dentry};
        path_get(path_out);
    }
    return new_name_end(&new, inode, error);
}

int name_symlink(const struct path *start, const char *name, const char *target)
{
    struct inode *inode = NULL, *directory;
    struct new_name new;
    int error = new_name_begin(start, name, S_IFLNK, &new);

    if (error)
        return error;
    directory = new.parent.directory.dentry->inode;
    error = -EPERM;
    if (directory->operations->symlink)
        error = directory->operations->symlink(directory, new.dentry, target, &inode);
    return new_name_end(&new, inode, error);
}

/* A directory has one name, so that trees have no circles. */
static int link_check(const struct path *target, const struct new_name *new)
{
    const struct inode *directory = new->parent.directory.dentry->inode;
    const struct inode *inode = target->dentry->inode;

    if (target->mount != new->parent.directory.mount)
        return -EXDEV;
    if (!directory->operations->link || inode_is_directory(inode))
        return -EPERM;
    return 0;
}

int name_link(const struct path *target, const struct path *start, const char *name)
{
    struct inode *inode = target->dentry->inode, *directory;
    struct new_name new;
    int error = new_name_begin(start, name, inode->mode, &new);

    if (error)
        return error;
    directory = new.parent.directory.dentry->inode;
    error = link_check(target, &new);
    if (error)
        return new_name_end(&new, NULL, error);
    /* A directory cannot be linked, so the inode comes after the directory in the order. */
    mutex_lock(&inode->lock);
    if (!inode->links && !(inode->flags & INODE_LINKABLE))
        error = -ENOENT;
    if (!error)
        error = directory->operations->link(directory, new.dentry, inode);
    if (!error) {
        inode->flags &= ~(u32)INODE_LINKABLE;
        inode_get(inode);
    }
    mutex_unlock(&inode->lock);
    if (!error)
        notify_inode(inode, IN_ATTRIB); /* its links */
    return new_name_end(&new, inode, error);
}

/* ---- Removing ---- */

/* Asks the file system, with the directory and what goes locked. */
static int victim_remove(struct inode *directory, struct dentry *victim, u32 type)
{
    const struct inode_operations *operations = directory->operations;
    int (*remove)(struct inode *, struct dentry *) =
        type == S_IFDIR ? operations->rmdir : operations->unlink;
    struct inode *inode = victim->inode;
    int error;

    if (!remove)
        return -EPERM;
    mutex_lock(&inode->lock);
    error = remove(directory, victim);
    mutex_unlock(&inode->lock);
    if (error)
        return error;
    if (type == S_IFDIR)
        dentry_prune_children(victim);
    else
        notify_inode(inode, IN_ATTRIB); /* its links */
    dentry_delete(victim);
    return 0;
}

/* type: S_IFDIR for rmdir(2), S_IFREG for unlink(2), which takes anything else. */
static int name_remove(const struct path *start, const char *name, u32 type)
{
    struct parent parent;
    struct dentry *directory, *victim;
    int error = parent_find(start, name, 0, &parent);

    if (error)
        return error;
    directory = parent.directory.dentry;
    error = type != S_IFDIR                   ? -EISDIR
            : parent.last_type == LAST_DOT    ? -EINVAL
            : parent.last_type == LAST_DOTDOT ? -ENOTEMPTY
                                              : -EBUSY;
    if (parent.last_type != LAST_NAME)
        goto put_parent;
    error = mutex_lock_killable(&directory->inode->lock);
    if (error)
        goto put_parent;
    error = dentry_lookup_locked(directory, &parent.last, &victim);
    if (error)
        goto unlock;
    if (parent.has_trailing_slash && type != S_IFDIR && victim->inode)
        error = inode_is_directory(victim->inode) ? -EISDIR : -ENOTDIR;
    if (!error)
        error = may_delete(&parent.directory, victim, type);
    if (!error)
        error = victim_remove(directory->inode, victim, type);
    if (!error)
        notify_name(directory->inode, &parent.last, victim->inode, IN_DELETE, 0);
    mutex_unlock(&directory->inode->lock);
    /* The last reference may end the file: outside of the directory's lock. */
    dentry_put(victim);
    parent_put(&parent);
    return error;

unlock:
    mutex_unlock(&directory->inode->lock);
put_parent:
    parent_put(&parent);
    return error;
}

int name_unlink(const struct path *start, const char *name)
{
    return name_remove(start, name, S_IFREG);
}

int name_rmdir(const struct path *start, const char *name)
{
    return name_remove(start, name, S_IFDIR);
}

/* ---- Moving ---- */

struct rename {
    struct parent from_parent, to_parent;
    struct dentry *from, *to; /* with references */
    struct dentry *trap;      /* a directory above the other: what must not be moved into it */
    u32 flags;
};

/* Locks both directories; where one is above the other, the upper one first. */
static void directories_lock(struct rename *rename)
{
    struct dentry *from = rename->from_parent.directory.dentry;
    struct dentry *to = rename->to_parent.directory.dentry;
    bool from_is_first = from < to;

    rename->trap = NULL;
    if (from == to) {
        mutex_lock(&from->inode->lock);
        return;
    }
    mutex_lock(&rename_lock);
    if (dentry_is_below(to, from)) {
        from_is_first = true;
        for (rename->trap = to; rename->trap->parent != from;)
            rename->trap = rename->trap->parent;
    } else if (dentry_is_below(from, to)) {
        from_is_first = false;
        for (rename->trap = from; rename->trap->parent != to;)
            rename->trap = rename->trap->parent;
    }
    mutex_lock(from_is_first ? &from->inode->lock : &to->inode->lock);
    mutex_lock(from_is_first ? &to->inode->lock : &from->inode->lock);
}

static void directories_unlock(const struct rename *rename)
{
    struct dentry *from = rename->from_parent.directory.dentry;
    struct dentry *to = rename->to_parent.directory.dentry;

    mutex_unlock(&from->inode->lock);
    if (from == to)
        return;
    mutex_unlock(&to->inode->lock);
    mutex_unlock(&rename_lock);
}

/* A slash behind a name that is no directory. */
static int slashes_check(const struct rename *rename)
{
    bool is_directory = inode_is_directory(rename->from->inode);

    if (!is_directory && rename->from_parent.has_trailing_slash)
        return -ENOTDIR;
    if (rename->flags & RENAME_EXCHANGE)
        is_directory = inode_is_directory(rename->to->inode);
    if (!is_directory && rename->to_parent.has_trailing_slash)
        return -ENOTDIR;
    return 0;
}

/* Whether both names may change, in the order of rename(2)'s errors. */
static int rename_check(const struct rename *rename)
{
    const struct dentry *from = rename->from, *to = rename->to;
    u32 to_type = rename->flags & RENAME_EXCHANGE   ? 0
                  : inode_is_directory(from->inode) ? S_IFDIR
                                                    : S_IFREG;
    int error;

    /* Into itself; onto a directory above. */
    if (from == rename->trap)
        return -EINVAL;
    if (to == rename->trap)
        return rename->flags & RENAME_EXCHANGE ? -EINVAL : -ENOTEMPTY;
    error = may_delete(&rename->from_parent.directory, from, 0);
    if (error)
        return error;
    error = to->inode ? may_delete(&rename->to_parent.directory, to, to_type)
                      : may_create(&rename->to_parent.directory);
    if (error)
        return error;
    /* A directory that moves elsewhere changes its "..". */
    if (inode_is_directory(from->inode) && from->parent != to->parent)
        error = inode_permission(from->inode, MAY_WRITE);
    if (!error && (rename->flags & RENAME_EXCHANGE) && inode_is_directory(to->inode) &&
        from->parent != to->parent)
        error = inode_permission(to->inode, MAY_WRITE);
    return error;
}

/* What moved away, what came, and what that did to the file that had the name. */
static void rename_notify(const struct parent *from, const struct parent *to, struct inode *moved,
                          struct inode *replaced)
{
    u32 cookie;

    if (!notify_is_on())
        return;
    cookie = notify_cookie();
    notify_name(from->directory.dentry->inode, &from->last, moved, NOTIFY_RENAMED, 0);
    notify_name(from->directory.dentry->inode, &from->last, moved, IN_MOVED_FROM, cookie);
    notify_name(to->directory.dentry->inode, &to->last, moved, IN_MOVED_TO, cookie);
    if (replaced)
        notify_inode(replaced, IN_ATTRIB);
    notify_inode(moved, IN_MOVE_SELF);
}

/* Two names of one file: rename(2) does nothing then, and says that it did. */
static int rename_do(struct rename *rename)
{
    struct inode *from_directory = rename->from_parent.directory.dentry->inode;
    struct inode *to_directory = rename->to_parent.directory.dentry->inode;
    struct inode *moved = rename->from->inode, *target = rename->to->inode;
    int error;

    if (moved == target)
        return 0;
    if (!from_directory->operations->rename)
        return -EPERM;
    if (target)
        mutex_lock(&target->lock);
    error = from_directory->operations->rename(from_directory, rename->from, to_directory,
                                               rename->to, rename->flags);
    if (target)
        mutex_unlock(&target->lock);
    if (error)
        return error;
    if (rename->flags & RENAME_EXCHANGE) {
        dentry_exchange(rename->from, rename->to);
        rename_notify(&rename->from_parent, &rename->to_parent, moved, NULL);
        rename_notify(&rename->to_parent, &rename->from_parent, target, NULL);
        return 0;
    }
    if (target && inode_is_directory(target))
        dentry_prune_children(rename->to);
    dentry_move(rename->from, rename->to);
    rename_notify(&rename->from_parent, &rename->to_parent, moved, target);
    return 0;
}

/* Looks both names up. On success, and if the move fails, the references are in `rename`. */
static int rename_locked(struct rename *rename)
{
    int error = dentry_lookup_locked(rename->from_parent.directory.dentry,
                                     &rename->from_parent.last, &rename->from);

    if (error)
        return error;
    error = -ENOENT;
    if (!rename->from->inode)
        goto put_from;
    error = dentry_lookup_locked(rename->to_parent.directory.dentry, &rename->to_parent.last,
                                 &rename->to);
    if (error)
        goto put_from;
    error = -EEXIST;
    if ((rename->flags & RENAME_NOREPLACE) && rename->to->inode)
        goto put_to;
    error = -ENOENT;
    if ((rename->flags & RENAME_EXCHANGE) && !rename->to->inode)
        goto put_to;
    error = slashes_check(rename);
    if (!error)
        error = rename_check(rename);
    if (!error)
        error = rename_do(rename);
    return error; /* both references go after the locks */

put_to:
    dentry_put(rename->to);
    rename->to = NULL;
put_from:
    dentry_put(rename->from);
    rename->from = NULL;
    return error;
}

static int rename_between(struct rename *rename)
{
    int error;

    if (rename->from_parent.directory.mount != rename->to_parent.directory.mount)
        return -EXDEV;
    if (rename->from_parent.last_type != LAST_NAME)
        return -EBUSY;
    if (rename->to_parent.last_type != LAST_NAME)
        return rename->flags & RENAME_NOREPLACE ? -EEXIST : -EBUSY;
    directories_lock(rename);
    error = rename_locked(rename);
    directories_unlock(rename);
    if (rename->to)
        dentry_put(rename->to);
    if (rename->from)
        dentry_put(rename->from);
    return error;
}

int name_rename(const struct path *from_start, const char *from, const struct path *to_start,
                const char *to, u32 flags)
{
    struct rename rename = {.flags = flags};
    int error;

    if ((flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE | RENAME_WHITEOUT)) ||
        ((flags & RENAME_EXCHANGE) && (flags & (RENAME_NOREPLACE | RENAME_WHITEOUT))))
        return -EINVAL;
    error = parent_find(from_start, from, 0, &rename.from_parent);
    if (error)
        return error;
    error = parent_find(to_start, to, 0, &rename.to_parent);
    if (!error) {
        error = rename_between(&rename);
        parent_put(&rename.to_parent);
    }
    parent_put(&rename.from_parent);
    return error;
}

void change_names_init(void)
{
    mutex_init(&rename_lock, LOCK_RENAME);
}
