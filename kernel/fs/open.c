/*
 * Opening: from a name and flags to an open file (open(2), openat2(2)).
 *
 * What exists is found by a plain walk. With O_CREAT the walk stops at the directory, which is
 * locked while the last name is looked up, and made if it is not there; a link found there leads
 * the walk on, and the same begins at the directory where it stands then.
 *
 *     name --walk--> path --may it?--> file_alloc -> `open` -> file
 *                 \                    ^
 *                  directory locked: last name found, or made (FOUND_NEW)
 *
 * Who makes a file gets it open whatever its mode says, so rights are asked of a file that was
 * found, not of one that was made; the two must not be mixed up by a race, hence the one hold of
 * the directory's lock from the look to the making. With O_EXCL nothing may be found: a link that
 * dangles is something.
 *
 * A name that the host of a share has given to another file, or to none, is found out here at the
 * latest: dentry_renew asks for the name anew, `open` for the file. Either says ESTALE, which the
 * caller never sees: the walk is made again with LOOKUP_REVALIDATE.
 *
 * O_PATH opens nothing: the file names its place and has no operations.
 *
 * Order of errors: the walk's; O_EXCL's EEXIST; ELOOP and EISDIR by kind; EROFS and EACCES;
 * ETXTBSY; what the file's own `open` says.
 *
 * Locking: the directory's inode.lock while a name is made; none is held while `open` runs, which
 *          may wait for ever (a FIFO).
 */
#include "open.h"

#include "access_list.h"
#include "directories.h"
#include "file.h"
#include "inode_internal.h"
#include "names.h"
#include "notify.h"
#include "permission.h"

#define STALE_RETRIES 8

/* What an open wants, in the words of fs/. */
struct open_request {
    u32 flags;  /* O_* */
    u32 mode;   /* for O_CREAT */
    u32 wanted; /* MAY_* */
    u32 lookup; /* LOOKUP_* */
};

/* O_ACCMODE's fourth value asks for both rights and then gives neither (open(2)). */
static u32 wanted_of(u32 flags)
{
    static const u32 by_mode[] = {MAY_READ, MAY_WRITE, MAY_READ | MAY_WRITE, MAY_READ | MAY_WRITE};

    if (flags & O_PATH)
        return 0;
    return by_mode[flags & O_ACCMODE] | (flags & O_TRUNC ? MAY_WRITE : 0);
}

static u32 lookup_of(u32 flags, u64 resolve)
{
    return (flags & O_NOFOLLOW ? 0 : LOOKUP_FOLLOW) | (flags & O_DIRECTORY ? LOOKUP_DIRECTORY : 0) |
           (resolve & RESOLVE_NO_XDEV ? LOOKUP_NO_XDEV : 0) |
           (resolve & RESOLVE_NO_MAGICLINKS ? LOOKUP_NO_MAGIC : 0) |
           (resolve & RESOLVE_NO_SYMLINKS ? LOOKUP_NO_SYMLINKS | LOOKUP_NO_MAGIC : 0) |
           (resolve & RESOLVE_BENEATH ? LOOKUP_BENEATH : 0) |
           (resolve & RESOLVE_IN_ROOT ? LOOKUP_IN_ROOT : 0) |
           (resolve & RESOLVE_CACHED ? LOOKUP_CACHED : 0);
}

/* ---- May it be opened? ---- */

/* -ELOOP, -EISDIR, -EACCES, -EPERM (O_NOATIME), -EROFS. */
static int may_open(const struct path *path, const struct open_request *request)
{
    struct inode *inode = path->dentry->inode;

    switch (inode->mode & S_IFMT) {
    case S_IFLNK:
        return -ELOOP;
    case S_IFDIR:
        if (request->wanted & MAY_WRITE || request->flags & O_CREAT)
            return -EISDIR;
        break;
    case S_IFCHR:
    case S_IFBLK:
        if (READ_ONCE(path->mount->flags) & MS_NODEV)
            return -EACCES;
        break;
    default:
        break;
    }
    if ((request->flags & O_NOATIME) && !inode_is_owned(inode))
        return -EPERM;
    return path_permission(path, request->wanted);
}

static int file_truncate_at_open(struct file *file)
{
    int error;

    if (!inode_is_regular(file->inode))
        return 0;
    error = inode_truncate(file->inode, 0, CHANGE_OPEN);
    if (!error)
        notify_file(file, IN_MODIFY);
    return error;
}

/* What of it succeeded, file_put takes back: FILE_IS_WRITER and FILE_OPENED say so. */
static int file_do_open(struct file *file, u32 flags)
{
    int error = file_begin_writing(file);

    if (error)
        return error;
    if (file->operations && file->operations->open) {
        file->flags |= flags & O_NOCTTY; /* a terminal's open wants to know */
        error = file->operations->open(file->inode, file);
        if (error)
            return error;
        file->flags &= ~(u32)O_NOCTTY;
    }
    file->mode |= FILE_OPENED;
    return flags & O_TRUNC ? file_truncate_at_open(file) : 0;
}

/* Opens what the path leads to; rights were checked. */
static int open_checked(const struct path *path, u32 flags, struct file **file_out)
{
    struct file *file = file_alloc(path, flags & O_PATH ? flags : flags | O_LARGEFILE);
    int error = 0;

    if (!file)
        return -ENOMEM;
    if (flags & O_PATH)
        file->operations = &path_only_operations;
    else if (unlikely(!file->operations))
        error = -ENXIO;
    else
        error = file_do_open(file, flags);
    if (error) {
        file_put(file);
        return error;
    }
    notify_file(file, IN_OPEN);
    *file_out = file;
    return 0;
}

/* Opens what was found there. -ESTALE: by now it is another file. */
static int open_existing(const struct path *path, const struct open_request *request,
                         struct file **file_out)
{
    int error = 0;

    if ((request->wanted & MAY_EXECUTE) && !inode_is_regular(path->dentry->inode))
        return inode_is_link(path->dentry->inode) ? -ELOOP : -EACCES;
    if ((request->flags & O_DIRECTORY) && !inode_is_directory(path->dentry->inode))
        return -ENOTDIR;
    if (!(request->flags & O_PATH)) {
        if (inode_is_regular(path->dentry->inode) && !(request->lookup & LOOKUP_REVALIDATE))
            error = dentry_renew(path->dentry);
        if (!error)
            error = may_open(path, request);
    }
    return error ? error : open_checked(path, request->flags, file_out);
}

int file_open_path(const struct path *path, u32 flags, struct file **file_out)
{
    const struct open_request request = {.flags = flags, .wanted = wanted_of(flags)};

    return open_existing(path, &request, file_out);
}

/* ---- O_CREAT ---- */

/* The directory is locked, and `dentry` negative. */
static int create_locked(const struct path *directory, const struct name *name,
                         struct dentry *dentry, u32 mode)
{
    struct inode *parent = directory->dentry->inode, *inode;
    struct creation creation;
    int error = may_create(directory);

    if (error)
        return error;
    if (!parent->operations->mknod)
        return -EACCES;
    error = creation_begin(parent, S_IFREG | mode_for_creation(mode), &creation);
    if (error)
        return error;
    error = parent->operations->mknod(parent, dentry, creation.mode, 0, &inode);
    creation_end(&creation, error ? NULL : inode);
    if (error)
        return error;
    dentry_instantiate(dentry, inode);
    notify_name(parent, name, inode, IN_CREATE, 0);
    return 0;
}

enum found {
    FOUND_FILE,
    FOUND_LINK,
    FOUND_NEW,
};

/* The last name in a directory: what it is, or made. The dentry comes with a reference. */
static int last_find_or_create(const struct path *directory, const struct name *name,
                               const struct open_request *request, struct dentry **dentry_out,
                               enum found *found_out)
{
    struct inode *inode = directory->dentry->inode;
    struct dentry *dentry;
    int error;

    if (unlikely(request->lookup & LOOKUP_REVALIDATE))
        dentry_expire(directory->dentry, name);
    error = mutex_lock_killable(&inode->lock);
    if (error)
        return error;
    error = dentry_lookup_locked(directory->dentry, name, &dentry);
    if (error)
        goto unlock;
    if (!dentry->inode) {
        *found_out = FOUND_NEW;
        error = create_locked(directory, name, dentry, request->mode);
    } else if (request->flags & O_EXCL) {
        error = -EEXIST;
    } else {
        *found_out = inode_is_link(dentry->inode) && (request->lookup & LOOKUP_FOLLOW) ? FOUND_LINK
                                                                                       : FOUND_FILE;
    }
    if (error)
        dentry_put(dentry);
    else
        *dentry_out = dentry;
unlock:
    mutex_unlock(&inode->lock);
    return error;
}

/* Opens what was found or made. Takes over the dentry's reference. */
static int open_found(struct mount *mount, struct dentry *dentry, enum found found,
                      const struct open_request *request, struct file **file_out)
{
    struct path path = {mount, dentry};
    int error;

    mount_get(mount);
    path_descend(&path);
    /* Who makes a file may open it, whatever its mode says. */
    error = found == FOUND_NEW ? open_checked(&path, request->flags & ~(u32)O_TRUNC, file_out)
                               : open_existing(&path, request, file_out);
    path_put(&path);
    return error;
}

/* From the directory where the walk stopped, along as many links as there are. */
static int open_last(struct walk *walk, const struct open_request *request, struct file **file_out)
{
    struct dentry *dentry;
    enum found found;
    int error;

    for (;;) {
        if (walk->last_type == LAST_ROOT)
            return open_existing(&walk->at, request, file_out);
        if (walk->last_type != LAST_NAME || walk->has_trailing_slash)
            return -EISDIR;
        error = last_find_or_create(&walk->at, &walk->last, request, &dentry, &found);
        if (error)
            return error;
        if (found != FOUND_LINK)
            return open_found(walk->at.mount, dentry, found, request, file_out);
        error = walk_follow_last(walk, dentry);
        dentry_put(dentry);
        if (error)
            return error;
    }
}

/* With a walk that can go on behind a link. */
static noinline int open_creating_slowly(const struct path *start, const char *name,
                                         const struct open_request *request, struct file **file_out)
{
    struct walk walk;
    int error;

    error = walk_start(&walk, start, name, (request->lookup & ~LOOKUP_DIRECTORY) | LOOKUP_PARENT);
    if (!error && !inode_is_directory(walk.at.dentry->inode))
        error = -ENOTDIR;
    if (!error)
        error = open_last(&walk, request, file_out);
    walk_end(&walk);
    return error;
}

/* What mostly happens: the directory is cached, and the name new, or a file. */
static int open_creating(const struct path *start, const char *name,
                         const struct open_request *request, struct file **file_out)
{
    struct path directory;
    struct dentry *dentry;
    struct name last;
    enum found found = FOUND_FILE;
    int error = walk_fast(start, name, (request->lookup & ~LOOKUP_DIRECTORY) | LOOKUP_PARENT,
                          &directory, &last);

    if (error && error != -EAGAIN)
        return error;
    if (error || last.text[last.bytes] == '/') {
        if (!error)
            path_put(&directory);
        return open_creating_slowly(start, name, request, file_out);
    }
    error = last_find_or_create(&directory, &last, request, &dentry, &found);
    if (!error && found != FOUND_LINK)
        error = open_found(directory.mount, dentry, found, request, file_out);
    else if (!error)
        dentry_put(dentry);
    path_put(&directory);
    return !error && found == FOUND_LINK ? open_creating_slowly(start, name, request, file_out)
                                         : error;
}

/* ---- O_TMPFILE: a file without a name ---- */

static int tmpfile_make(const struct path *directory, const struct open_request *request,
                        struct path *path_out)
{
    struct inode *parent = directory->dentry->inode, *inode;
    char kind[DENTRY_INLINE_NAME];
    struct creation creation;
    int error = may_create(directory);

    if (error)
        return error;
    if (!parent->operations->tmpfile)
        return -EOPNOTSUPP;
    mutex_lock(&parent->lock);
    error = creation_begin(parent, S_IFREG | mode_for_creation(request->mode), &creation);
    mutex_unlock(&parent->lock);
    if (error)
        return error;
    error = parent->operations->tmpfile(parent, creation.mode, &inode);
    creation_end(&creation, error ? NULL : inode);
    if (error)
        return error;
    if (!(request->flags & O_EXCL))
        inode->flags |= INODE_LINKABLE;
    format_text(kind, sizeof(kind), "#%lu", inode->number);
    path_out->dentry = dentry_create_anonymous(inode, kind);
    if (!path_out->dentry) {
        inode_put(inode);
        return -ENOMEM;
    }
    path_out->mount = directory->mount;
    mount_get(path_out->mount);
    return 0;
}

static int open_tmpfile(const struct path *start, const char *name,
                        const struct open_request *request, struct file **file_out)
{
    struct path directory, path;
    int error = path_find(start, name, request->lookup | LOOKUP_DIRECTORY, &directory);

    if (error)
        return error;
    error = tmpfile_make(&directory, request, &path);
    path_put(&directory);
    if (error)
        return error;
    error = open_checked(&path, request->flags & ~(u32)O_DIRECTORY, file_out);
    path_put(&path);
    return error;
}

/* ---- Entry points ---- */

static int open_once(const struct path *start, const char *name, const struct open_request *request,
                     struct file **file_out)
{
    struct path path;
    int error;

    if (unlikely(request->flags & O_TMPFILE_BIT))
        return open_tmpfile(start, name, request, file_out);
    if (request->flags & O_CREAT)
        return open_creating(start, name, request, file_out);
    error = path_find(start, name, request->lookup, &path);
    if (error)
        return error;
    error = open_existing(&path, request, file_out);
    path_put(&path);
    return error;
}

/*
 * A file that its host moved, deleted or replaced is not what our cached names lead to any more:
 * ESTALE. Then a walk asks for each of them anew; a host may be faster than that, but not for ever.
 */
static int open_request_run(const struct path *start, const char *name,
                            const struct open_request *request, struct file **file_out)
{
    struct open_request again = *request;
    int error = open_once(start, name, request, file_out);

    again.lookup |= LOOKUP_REVALIDATE;
    for (unsigned i = 0; unlikely(error == -ESTALE) && i < STALE_RETRIES; i++)
        error = open_once(start, name, &again, file_out);
    return error;
}

int file_open_at(const struct path *start, const char *name, u32 flags, u32 mode,
                 struct file **file_out)
{
    const struct open_request request = {
        .flags = flags, .mode = mode, .wanted = wanted_of(flags), .lookup = lookup_of(flags, 0)};

    return open_request_run(start, name, &request, file_out);
}

int file_open_user(int directory_fd, struct user_ptr user_name, const struct open_how *how,
                   struct file **file_out)
{
    const struct open_request request = {.flags = (u32)how->flags,
                                         .mode = (u32)how->mode,
                                         .wanted = wanted_of((u32)how->flags),
                                         .lookup = lookup_of((u32)how->flags, how->resolve)};
    struct path start;
    char *name;
    int error = name_copy_in(user_name, 0, &name);

    if (error)
        return error;
    if (directory_fd == AT_FDCWD || (*name == '/' && !(how->resolve & RESOLVE_IN_ROOT))) {
        error = open_request_run(NULL, name, &request, file_out);
    } else {
        error = path_of_fd(directory_fd, &start);
        if (!error) {
            error = open_request_run(&start, name, &request, file_out);
            path_put(&start);
        }
    }
    name_free(name);
    return error;
}

int file_open_executable(const struct path *start, const char *name, u32 lookup_flags,
                         struct file **file_out)
{
    const struct open_request request = {
        .flags = O_RDONLY, .wanted = MAY_EXECUTE, .lookup = lookup_flags};

    return open_request_run(start, name, &request, file_out);
}
