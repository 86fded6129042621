/*
 * From a name to a file: the path walk (path_resolution(7)).
 *
 * A walk stands on a directory and eats its text component by component: "." stays, ".." goes up
 * (across mounts, never above the root), a name is looked up, what is mounted there is entered. A
 * symbolic link puts its own text before what is left of ours: the rest is pushed on a stack, and
 * walked when the link's text is eaten. A link at the very end leaves no rest, so the stack is as
 * deep as links are nested, and at most SYMLINKS_MAX links are followed in all.
 *
 *     text "a/b/c", a -> "x/y":      text "x/y", rests ["b/c"]  ->  text "b/c", rests []
 *
 * This walk holds references and may sleep. names_fast.c does the same without either, where all
 * components are cached, and is tried first.
 *
 * Nothing is locked from one step to the next: others rename, unmount and remove meanwhile. The
 * result is a chain of steps each of which was true when it was taken, which is all that any
 * program can rely on; who goes on to change the directory locks it and looks again. What a walk
 * stands on cannot be freed under it, since `at` has references, and a removed directory stays a
 * directory without names, in which nothing is found.
 *
 * openat2(2)'s BENEATH and IN_ROOT make the start the root of the walk, and differ in what leaving
 * it means. ".." compares with the root where it stands, and that is too little here: a directory
 * that is moved out of the root while the walk stands in it has a ".." that leads past the root.
 *
 *     walk: at root/a/b                  other: rename("root/a/b", "/elsewhere/b")
 *     "..": at /elsewhere, above no root that it could still meet
 *
 * So a step up counts only if namespace_sequence has not moved since the walk began; else EAGAIN.
 *
 * A trailing slash asks for a directory, and has a link at the end followed. It is noted rather
 * than checked on the way, since mkdir("a/") and rename want to judge it themselves.
 *
 * Invariant: walk->at and walk->root have references until walk_end; `text` lies in `buffer`, or in
 *            the caller's name where that is NULL; each rest keeps the buffer that it lies in.
 * Locking:   none here; dentry_lookup_or_read takes the directory's inode.lock for a miss.
 * Context:   sleeps. struct walk has room for all rests and takes some hundred bytes of stack.
 */
#include "names.h"

#include "name_word.h"
#include "permission.h"

/* ---- Buffers for names ---- */

static struct slab_cache *name_slab;

char *name_buffer_alloc(void)
{
    return slab_alloc(name_slab, 0);
}

void name_free(char *name)
{
    if (name)
        slab_free(name_slab, name);
}

int name_copy_in(struct user_ptr from, u32 flags, char **name_out)
{
    char *name = name_buffer_alloc();
    ssize_t bytes;

    if (!name)
        return -ENOMEM;
    bytes = copy_in_string(name, from, PATH_MAX_BYTES);
    if (bytes == 0 && !(flags & LOOKUP_EMPTY))
        bytes = -ENOENT;
    if (bytes < 0) {
        name_free(name);
        return (int)bytes;
    }
    *name_out = name;
    return 0;
}

ssize_t inode_readlink(struct inode *inode, char *buffer, size_t size)
{
    size_t bytes;

    if (!inode->link_text) {
        if (!inode->operations->readlink)
            return -EINVAL;
        return inode->operations->readlink(inode, buffer, size);
    }
    bytes = MIN(strlen(inode->link_text), size);
    memcpy(buffer, inode->link_text, bytes);
    return (ssize_t)bytes;
}

/* ---- Steps ---- */

/* Takes over the references of `path`. */
static void walk_stand_on(struct walk *walk, const struct path *path)
{
    path_put(&walk->at);
    walk->at = *path;
}

/* An absolute name, or a link whose text is one. */
static int walk_to_root(struct walk *walk)
{
    struct path root = walk->root;

    if (walk->flags & LOOKUP_BENEATH)
        return -EXDEV;
    if ((walk->flags & LOOKUP_NO_XDEV) && walk->at.mount != root.mount)
        return -EXDEV;
    path_get(&root);
    walk_stand_on(walk, &root);
    return 0;
}

/* Whether ".." may have led out of a root that is not the thread's (head of this file). */
static bool walk_may_have_left(const struct walk *walk)
{
    return (walk->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)) &&
           __atomic_load_n(&namespace_sequence, __ATOMIC_ACQUIRE) != walk->sequence;
}

/* Goes up one directory, never out of the root. */
static int walk_up(struct walk *walk)
{
    struct path parent;

    for (;;) {
        if (path_is_same(&walk->at, &walk->root))
            return walk->flags & LOOKUP_BENEATH ? -EXDEV : 0;
        if (walk->at.dentry != walk->at.mount->root)
            break;
        if (walk->flags & LOOKUP_NO_XDEV && walk->at.mount->parent)
            return -EXDEV;
        if (!path_ascend(&walk->at))
            return 0;
    }
    parent.mount = walk->at.mount;
    rcu_read_lock();
    do {
        parent.dentry = dentry_parent(walk->at.dentry);
    } while (!dentry_get_if_alive(parent.dentry));
    rcu_read_unlock();
    mount_get(parent.mount);
    walk_stand_on(walk, &parent);
    path_descend(&walk->at);
    return walk_may_have_left(walk) ? -EAGAIN : 0;
}

/* Puts the text of a link before what is left; takes over `buffer`. */
static int walk_push(struct walk *walk, char *buffer)
{
    const char *rest = walk->text;

    while (*rest == '/')
        rest++;
    if (*rest) {
        if (walk->depth == SYMLINKS_MAX) {
            name_free(buffer);
            return -ELOOP;
        }
        walk->rests[walk->depth++] = (struct walk_rest){walk->text, walk->buffer};
    } else {
        name_free(walk->buffer);
    }
    walk->text = walk->buffer = buffer;
    return *buffer == '/' ? walk_to_root(walk) : 0;
}

/* A link that is no text (/proc/self/fd/3): jumps. -EOPNOTSUPP: this one leads by its text. */
static int walk_jump(struct walk *walk, struct inode *link)
{
    struct path target;
    int error;

    if (walk->flags & LOOKUP_NO_MAGIC)
        return -ELOOP;
    if (walk->flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT))
        return -EXDEV;
    error = link->operations->follow(link, &target);
    if (error)
        return error;
    walk_stand_on(walk, &target);
    return 0;
}

static int walk_follow(struct walk *walk, struct dentry *dentry)
{
    struct inode *link = dentry->inode;
    ssize_t bytes;
    char *buffer;

    if (walk->links++ >= SYMLINKS_MAX || (walk->flags & LOOKUP_NO_SYMLINKS) ||
        (walk->at.mount->flags & MS_NOSYMFOLLOW))
        return -ELOOP;
    if (link->operations->follow) {
        int error = walk_jump(walk, link);

        if (error != -EOPNOTSUPP)
            return error;
    }
    buffer = name_buffer_alloc();
    if (!buffer)
        return -ENOMEM;
    bytes = inode_readlink(link, buffer, PATH_MAX_BYTES - 1);
    if (bytes <= 0) {
        name_free(buffer);
        return bytes ? (int)bytes : -ENOENT;
    }
    buffer[bytes] = '\0';
    return walk_push(walk, buffer);
}

/* Enters the child, or what is mounted on it. Takes over the dentry's reference. */
static int walk_enter(struct walk *walk, struct dentry *child)
{
    struct path path = {walk->at.mount, child};

    mount_get(path.mount);
    walk_stand_on(walk, &path);
    if (likely(!child->mounts))
        return 0;
    if (walk->flags & LOOKUP_NO_XDEV) {
        struct mount *before = walk->at.mount;

        path_descend(&walk->at);
        return walk->at.mount == before ? 0 : -EXDEV;
    }
    path_descend(&walk->at);
    return 0;
}

/* `is_last`: nothing at all follows, so a link is followed only if flags or a slash say so. */
static int walk_component(struct walk *walk, const struct name *name, bool is_last)
{
    struct dentry *child;
    int error;

    if (unlikely(walk->flags & LOOKUP_REVALIDATE))
        dentry_expire(walk->at.dentry, name);
    error = dentry_lookup_or_read(walk->at.dentry, name, &child);
    if (error)
        return error;
    if (!child->inode) {
        dentry_put(child);
        return -ENOENT;
    }
    if (inode_is_link(child->inode) &&
        (!is_last || walk->has_trailing_slash || (walk->flags & LOOKUP_FOLLOW))) {
        error = walk_follow(walk, child);
        dentry_put(child);
        return error;
    }
    return walk_enter(walk, child);
}

/* ---- The loop ---- */

/* The next component of the text, which does not begin with a slash. */
static enum last_type component_next(const char *text, struct name *name_out)
{
    u32 hash, bytes = name_scan(text, &hash);

    *name_out = (struct name){text, bytes, hash};
    if (text[0] != '.' || bytes > 2)
        return LAST_NAME;
    if (bytes == 1)
        return LAST_DOT;
    return text[1] == '.' ? LAST_DOTDOT : LAST_NAME;
}

static const char *slashes_skip(const char *text)
{
    while (*text == '/')
        text++;
    return text;
}

/* Goes back to the rest behind a link whose text is eaten; false: there is none. */
static bool walk_pop(struct walk *walk)
{
    if (!walk->depth)
        return false;
    name_free(walk->buffer);
    walk->depth--;
    walk->text = walk->rests[walk->depth].text;
    walk->buffer = walk->rests[walk->depth].buffer;
    return true;
}

/* The directory must be one, and may be searched. */
static int walk_check_search(const struct walk *walk)
{
    struct inode *inode = walk->at.dentry->inode;

    if (!inode_is_directory(inode))
        return -ENOTDIR;
    return inode_permission(inode, MAY_EXECUTE);
}

/* Until all text is eaten, or (LOOKUP_PARENT) nothing but the last component is left. */
static int walk_loop(struct walk *walk)
{
    for (;;) {
        const char *after;
        struct name name;
        enum last_type type;
        bool is_last;
        int error;

        walk->text = slashes_skip(walk->text);
        if (!*walk->text) {
            if (walk_pop(walk))
                continue;
            return 0;
        }
        error = walk_check_search(walk);
        if (error)
            return error;
        type = component_next(walk->text, &name);
        after = slashes_skip(name.text + name.bytes);
        is_last = !*after && !walk->depth;
        if (is_last && name.text[name.bytes] == '/')
            walk->has_trailing_slash = true;
        walk->text = after;
        if (is_last && (walk->flags & LOOKUP_PARENT)) {
            walk->last = name;
            walk->last_type = type;
            return name.bytes > NAME_MAX_BYTES ? -ENAMETOOLONG : 0;
        }
        if (type == LAST_DOT)
            continue;
        error = type == LAST_DOTDOT ? walk_up(walk) : walk_component(walk, &name, is_last);
        if (error)
            return error;
    }
}

static void walk_init(struct walk *walk, const struct path *start, const char *name, u32 flags)
{
    *walk = (struct walk){
        .flags = flags,
        .sequence = __atomic_load_n(&namespace_sequence, __ATOMIC_ACQUIRE),
        .text = name,
        .last_type = LAST_ROOT,
    };
    if (start) {
        walk->at = *start;
        path_get(&walk->at);
    } else {
        path_get_working(&walk->at);
    }
    if (flags & (LOOKUP_BENEATH | LOOKUP_IN_ROOT)) {
        walk->root = walk->at;
        path_get(&walk->root);
    } else {
        path_get_root(&walk->root);
    }
}

int walk_start(struct walk *walk, const struct path *start, const char *name, u32 flags)
{
    int error = 0;

    walk_init(walk, start, name, flags);
    if (*name == '/')
        error = walk_to_root(walk);
    else if (!*name)
        return flags & LOOKUP_EMPTY ? 0 : -ENOENT;
    if (!error)
        error = walk_loop(walk);
    if (error || (flags & LOOKUP_PARENT))
        return error;
    if ((walk->has_trailing_slash || (flags & LOOKUP_DIRECTORY)) &&
        !inode_is_directory(walk->at.dentry->inode))
        return -ENOTDIR;
    return 0;
}

int walk_follow_last(struct walk *walk, struct dentry *link)
{
    int error;

    walk->text = "";
    walk->last_type = LAST_ROOT;
    error = walk_follow(walk, link);
    return error ? error : walk_loop(walk);
}

void walk_take(struct walk *walk, struct path *path_out)
{
    *path_out = walk->at;
    path_get(path_out);
}

void walk_end(struct walk *walk)
{
    while (walk_pop(walk))
        ;
    name_free(walk->buffer);
    path_put(&walk->at);
    path_put(&walk->root);
}

/* ---- Finding ---- */

static noinline int path_find_slow(const struct path *start, const char *name, u32 flags,
                                   struct path *path_out)
{
    struct walk walk;
    int error = walk_start(&walk, start, name, flags);

    if (!error)
        walk_take(&walk, path_out);
    walk_end(&walk);
    return error;
}

/* LOOKUP_CACHED wants nothing but the fast walk's answer: -EAGAIN says that it has none. */
int path_find(const struct path *start, const char *name, u32 flags, struct path *path_out)
{
    int error = walk_fast(start, name, flags, path_out, NULL);

    if (likely(error != -EAGAIN) || (flags & LOOKUP_CACHED))
        return error;
    return path_find_slow(start, name, flags, path_out);
}

int path_of_fd(int directory_fd, struct path *path_out)
{
    struct fd_use use;

    if (directory_fd == AT_FDCWD) {
        path_get_working(path_out);
        return 0;
    }
    use = fd_enter_any(directory_fd);
    if (!use.file)
        return -EBADF;
    *path_out = use.file->path;
    path_get(path_out);
    fd_leave(use);
    return 0;
}

int path_find_user(int directory_fd, struct user_ptr user_name, u32 flags, struct path *path_out)
{
    struct path start;
    char *name;
    int error = name_copy_in(user_name, flags, &name);

    if (error)
        return error;
    if (directory_fd == AT_FDCWD || *name == '/') {
        error = path_find(NULL, name, flags, path_out);
    } else {
        error = path_of_fd(directory_fd, &start);
        if (!error) {
            error = path_find(&start, name, flags, path_out);
            path_put(&start);
        }
    }
    name_free(name);
    return error;
}

/* ---- Parents ---- */

int parent_find(const struct path *start, const char *name, u32 flags, struct parent *parent_out)
{
    struct walk walk;
    int error =
        walk_fast(start, name, flags | LOOKUP_PARENT, &parent_out->directory, &parent_out->last);

    if (!error) {
        parent_out->last_type = LAST_NAME;
        parent_out->has_trailing_slash = parent_out->last.text[parent_out->last.bytes] == '/';
        return 0;
    }
    if (error != -EAGAIN)
        return error;
    error = walk_start(&walk, start, name, flags | LOOKUP_PARENT);
    if (!error && !inode_is_directory(walk.at.dentry->inode))
        error = -ENOTDIR;
    if (!error) {
        walk_take(&walk, &parent_out->directory);
        parent_out->last = walk.last;
        parent_out->last_type = walk.last_type;
        parent_out->has_trailing_slash = walk.has_trailing_slash;
        /* Nothing is followed at the end, so the last component lies in the caller's name. */
    }
    walk_end(&walk);
    return error;
}

void parent_put(struct parent *parent)
{
    path_put(&parent->directory);
}

/* ---- Paths ---- */

void path_get(const struct path *path)
{
    mount_get(path->mount);
    dentry_get(path->dentry);
}

/* The mount last: while it is there its file system's names are not destroyed. */
void path_put(const struct path *path)
{
    dentry_put(path->dentry);
    mount_put(path->mount);
}

struct inode *path_inode(const struct path *path)
{
    return path->dentry->inode;
}

void names_init(void)
{
    name_slab = slab_cache_create("name", PATH_MAX_BYTES, sizeof(u64));
    assert(name_slab);
}
