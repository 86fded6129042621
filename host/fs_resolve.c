/*
 * From a node to the file on the host.
 *
 * Every step is one name in one open directory, never through a symbolic link, and what is found
 * is compared with what the node was: so no path can be steered out of a share, and a file that was
 * moved, removed or replaced is ESTALE, never another file.
 *
 *     share (open) --name--> directory --name--> directory --name--> file
 *                            each opened O_PATH, compared, and kept in the descriptor cache
 *
 * To read or write, the O_PATH descriptor is opened again through /proc/self/fd once statx said of
 * it that it is a regular file: thus not even a race opens a device, a FIFO or a socket, which
 * could act or block. Without /proc the name is opened (without blocking) and compared afterwards.
 */
#include "fs_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/syscall.h>
#include <sys/sysmacros.h>
#include <unistd.h>

#define FD_NAME_SIZE 12
#define PATH_FLAGS   (O_PATH | O_NOFOLLOW | O_CLOEXEC)
#define REOPEN_FLAGS (O_CLOEXEC | O_NONBLOCK | O_NOCTTY)
#define STATX_FLAGS  (AT_SYMLINK_NOFOLLOW | AT_NO_AUTOMOUNT)

/* Opens one name; the kernel makes sure a second time that it is beneath. */
static int open_beneath(struct fs_tree *tree, int directory_fd, const char *name, int flags)
{
    struct open_how how = {
        .flags = (u64)flags,
        .resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
    };
    int fd;

    /* A name that is a symbolic link is opened itself: O_PATH | O_NOFOLLOW asks for just that. */
    if (flags & O_PATH)
        how.resolve = RESOLVE_BENEATH | RESOLVE_NO_MAGICLINKS;
    if (tree->has_openat2) {
        fd = (int)syscall(SYS_openat2, directory_fd, name, &how, sizeof(how));
        if (fd >= 0 || (errno != ENOSYS && errno != EPERM))
            return fd < 0 ? -errno : fd;
        tree->has_openat2 = false;
    }
    fd = openat(directory_fd, name, flags);
    return fd < 0 ? -errno : fd;
}

/* Whether an open descriptor is the node: 0 or -ESTALE. */
static int descriptor_verify(struct fs_tree *tree, const struct fs_node *node, int fd)
{
    struct statx status;
    u32 mount;
    int error;

    if (statx(fd, "", AT_EMPTY_PATH, FS_STATX_MASK, &status))
        return -errno;
    error = fs_mount_find(tree, fd, NULL, &status, &mount);
    if (error)
        return error;
    return fs_node_is(node, &status, mount) ? 0 : -ESTALE;
}

/* Opens the node in its parent, which is open as `parent_fd`, and compares. The caller owns it. */
static int node_open_in(struct fs_tree *tree, const struct fs_node *node, int parent_fd, int flags,
                        int *fd_out)
{
    int error, fd = open_beneath(tree, parent_fd, node->name, flags);

    if (fd < 0)
        return fd == -ENOENT || fd == -ENOTDIR || fd == -ELOOP ? -ESTALE : fd;
    error = descriptor_verify(tree, node, fd);
    if (error) {
        close(fd);
        return error;
    }
    *fd_out = fd;
    return 0;
}

/* The same, O_PATH, into the cache. */
static int node_install_path(struct fs_tree *tree, struct fs_node *node, int parent_fd, int *fd_out)
{
    int fd, error = node_open_in(tree, node, parent_fd, PATH_FLAGS, &fd);

    if (error)
        return error;
    error = fs_descriptor_install(tree, node, fd, FS_RIGHT_NONE);
    if (error) {
        close(fd);
        return error;
    }
    *fd_out = fd;
    return 0;
}

/*
 * A descriptor of a directory, good for names in it. It stays open at least until two more are
 * asked for (pin the node to keep it).
 */
int fs_node_directory_fd(struct fs_tree *tree, struct fs_node *node, int *fd_out)
{
    struct fs_node *closed[FS_DEPTH_MAX]; /* those to open, the deepest first */
    unsigned depth = 0;
    int fd, error;

    if (node->type != DT_DIR)
        return -ENOTDIR;
    for (; !node->descriptor; node = node->parent) {
        if (!node->parent || node->is_orphan)
            return -ESTALE;
        if (depth == FS_DEPTH_MAX)
            return -ENAMETOOLONG;
        closed[depth++] = node;
    }
    fs_descriptor_use(tree, node);
    fd = node->descriptor->fd;
    while (depth > 0) {
        error = node_install_path(tree, closed[--depth], fd, &fd);
        if (error)
            return error;
    }
    *fd_out = fd;
    return 0;
}

/* A descriptor of any file, perhaps only O_PATH. */
int fs_node_path_fd(struct fs_tree *tree, struct fs_node *node, int *fd_out)
{
    int parent_fd, error;

    if (node->descriptor) {
        fs_descriptor_use(tree, node);
        *fd_out = node->descriptor->fd;
        return 0;
    }
    if (node->is_orphan || !node->parent)
        return -ESTALE;
    error = fs_node_directory_fd(tree, node->parent, &parent_fd);
    if (error)
        return error;
    return node_install_path(tree, node, parent_fd, fd_out);
}

/* Opens what an O_PATH descriptor stands for once more, with rights. */
static int descriptor_reopen(struct fs_tree *tree, struct fs_node *node, int path_fd, int flags,
                             int *fd_out)
{
    char name[FD_NAME_SIZE];
    int fd, parent_fd, error;

    if (node->type == DT_DIR) {
        fd = openat(path_fd, ".", flags | O_DIRECTORY);
    } else if (tree->proc_fd >= 0) {
        snprintf(name, sizeof(name), "%d", path_fd);
        fd = openat(tree->proc_fd, name, flags);
    } else {
        error = fs_node_directory_fd(tree, node->parent, &parent_fd);
        return error ? error : node_open_in(tree, node, parent_fd, flags | O_NOFOLLOW, fd_out);
    }
    if (fd < 0)
        return -errno;
    *fd_out = fd;
    return 0;
}

/* With both rights if the user has them, since the next request may need the other one. */
static int node_reopen(struct fs_tree *tree, struct fs_node *node, int path_fd, unsigned *rights,
                       int *fd_out)
{
    int error;

    if (!(*rights & FS_RIGHT_WRITE))
        return descriptor_reopen(tree, node, path_fd, REOPEN_FLAGS | O_RDONLY, fd_out);
    error = descriptor_reopen(tree, node, path_fd, REOPEN_FLAGS | O_RDWR, fd_out);
    if (!error) {
        *rights |= FS_RIGHT_READ;
        return 0;
    }
    if (error != -EACCES || (*rights & FS_RIGHT_READ))
        return error;
    return descriptor_reopen(tree, node, path_fd, REOPEN_FLAGS | O_WRONLY, fd_out);
}

/* A descriptor of a regular file or directory with (at least) these rights. */
int fs_node_open(struct fs_tree *tree, struct fs_node *node, unsigned rights, int *fd_out)
{
    int fd, path_fd, error;

    if (node->descriptor && (node->descriptor->rights & rights) == rights) {
        fs_descriptor_use(tree, node);
        *fd_out = node->descriptor->fd;
        return 0;
    }
    if (node->type != DT_REG && node->type != DT_DIR)
        return node->type == DT_LNK ? -ELOOP : -ENXIO;
    if (node != &tree->root && !tree->mounts[node->mount].is_served)
        return -EACCES;
    error = fs_node_path_fd(tree, node, &path_fd);
    if (error)
        return error;
    if (node->pins > 0 && node->descriptor->rights != FS_RIGHT_NONE)
        rights |= node->descriptor->rights; /* an open file keeps what it has */
    error = node_reopen(tree, node, path_fd, &rights, &fd);
    if (error)
        return error;
    error = fs_descriptor_install(tree, node, fd, rights);
    if (error) {
        close(fd);
        return error;
    }
    *fd_out = fd;
    return 0;
}

static void root_status(const struct fs_tree *tree, struct statx *status)
{
    memset(status, 0, sizeof(*status));
    status->stx_mode = S_IFDIR | S_IRUSR | S_IXUSR | S_IRGRP | S_IXGRP | S_IROTH | S_IXOTH;
    status->stx_nlink = 2 + tree->share_count;
    status->stx_ino = FS_ROOT_NODE;
    status->stx_uid = getuid();
    status->stx_gid = getgid();
    status->stx_blksize = (u32)sysconf(_SC_PAGESIZE);
    status->stx_mtime.tv_sec = tree->started.tv_sec;
    status->stx_mtime.tv_nsec = (u32)tree->started.tv_nsec;
    status->stx_atime = status->stx_mtime;
    status->stx_ctime = status->stx_mtime;
}

int fs_node_status(struct fs_tree *tree, struct fs_node *node, struct statx *status_out)
{
    int parent_fd, error;
    u32 mount;

    if (node == &tree->root) {
        root_status(tree, status_out);
        return 0;
    }
    if (node->descriptor) {
        fs_descriptor_use(tree, node);
        return statx(node->descriptor->fd, "", AT_EMPTY_PATH, FS_STATX_MASK, status_out) ? -errno
                                                                                         : 0;
    }
    if (node->is_orphan)
        return -ESTALE;
    error = fs_node_directory_fd(tree, node->parent, &parent_fd);
    if (error)
        return error;
    if (statx(parent_fd, node->name, STATX_FLAGS, FS_STATX_MASK, status_out))
        return errno == ENOENT || errno == ENOTDIR ? -ESTALE : -errno;
    error = fs_mount_find(tree, parent_fd, node->name, status_out, &mount);
    if (error)
        return error;
    return fs_node_is(node, status_out, mount) ? 0 : -ESTALE;
}

int fs_node_child(struct fs_tree *tree, struct fs_node *parent, int parent_fd, const char *name,
                  struct fs_node **child_out, struct statx *status_out)
{
    u32 mount;
    int error;

    if (!tree->mounts[parent->mount].is_served || fs_name_is_hidden(tree, parent, name))
        return -ENOENT;
    if (statx(parent_fd, name, STATX_FLAGS, FS_STATX_MASK, status_out))
        return -errno;
    if (fs_file_is_hidden(tree, status_out))
        return -ENOENT;
    error = fs_mount_find(tree, parent_fd, name, status_out, &mount);
    if (error)
        return error;
    return fs_node_enter(tree, parent, name, status_out, mount, child_out);
}

struct fs_node *fs_node_known_child(struct fs_tree *tree, struct fs_node *parent, int parent_fd,
                                    const char *name)
{
    struct fs_node *node;
    struct statx status;
    u32 mount;

    if (statx(parent_fd, name, STATX_FLAGS, FS_STATX_MASK, &status) ||
        fs_mount_find(tree, parent_fd, name, &status, &mount))
        return NULL;
    node = fs_node_find_file(tree, parent, &status, mount);
    return node && fs_node_is(node, &status, mount) ? node : NULL;
}

/* The share whose number the name is, written as `snprintf` would. */
static int share_lookup(struct fs_tree *tree, const char *name, struct fs_node **child_out,
                        struct statx *status_out)
{
    for (unsigned i = 0; i < tree->share_count; i++) {
        struct fs_node *node = tree->shares[i].node;

        if (strcmp(node->name, name) == 0) {
            *child_out = node;
            return fs_node_status(tree, node, status_out);
        }
    }
    return -ENOENT;
}

int fs_node_lookup(struct fs_tree *tree, struct fs_node *parent, const char *name,
                   struct fs_node **child_out, struct statx *status_out)
{
    int parent_fd, fd, error;

    if (parent == &tree->root)
        return share_lookup(tree, name, child_out, status_out);
    error = fs_node_directory_fd(tree, parent, &parent_fd);
    if (!error)
        error = fs_node_child(tree, parent, parent_fd, name, child_out, status_out);
    if (error)
        return error;
    /*
     * What is looked up is mostly opened next. Its descriptor keeps the file as it was then, if the
     * host replaces it before the first read; where there is none, that read is ESTALE.
     */
    if ((*child_out)->type == DT_REG)
        (void)!fs_node_path_fd(tree, *child_out, &fd);
    return 0;
}
