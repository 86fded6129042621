/*
 * CREATE, MKNOD, MKDIR, SYMLINK and LINK: new names in a writable share.
 *
 * The new name is made in the open directory by the one call that fails if it exists, then looked
 * up like any other, so a node never stands for something that we only believe to have made.
 * Devices are not made: on the host they would be real ones.
 */
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs_private.h"

#define FD_NAME_SIZE 12
#define MODE_MASK    07777u

/* The directory of a new name, open, if the name may be made there: not a hidden one. */
static int directory_for(struct fs_server *server, struct fs_request *request, int *fd_out)
{
    if (fs_name_is_hidden(&server->tree, request->node, request->names[0]))
        return -EPERM;
    return fs_node_directory_fd(&server->tree, request->node, fd_out);
}

/*
 * The new name as LOOKUP would answer it. If it is gone already, that is the answer, as it would be
 * for two calls of a program's.
 */
static int answer_child(struct fs_server *server, struct fs_request *request)
{
    struct fs_node *node;
    struct statx status;
    int error = fs_node_lookup(&server->tree, request->node, request->names[0], &node, &status);

    return error ? error : fs_answer_entry(server, request, node, &status);
}

/* -EPERM: a device. Type 0 is a regular file (mknod(2)). */
int fs_do_mknod(struct fs_server *server, struct fs_request *request)
{
    const struct fuse_mknod_in *in = &request->arguments.mknod;
    u32 type = in->mode & S_IFMT;
    mode_t mode = (in->mode & MODE_MASK & ~in->umask) | type;
    int fd, failed, error = directory_for(server, request, &fd);

    if (error)
        return error;
    if (type != 0 && type != S_IFREG && type != S_IFIFO && type != S_IFSOCK)
        return -EPERM;
    error = fs_credentials_take(server, request);
    if (error)
        return error;
    failed = mknodat(fd, request->names[0], mode, 0);
    fs_credentials_return(server);
    return failed ? -errno : answer_child(server, request);
}

int fs_do_mkdir(struct fs_server *server, struct fs_request *request)
{
    const struct fuse_mkdir_in *in = &request->arguments.mkdir;
    int fd, failed, error = directory_for(server, request, &fd);

    if (error)
        return error;
    error = fs_credentials_take(server, request);
    if (error)
        return error;
    failed = mkdirat(fd, request->names[0], in->mode & MODE_MASK & ~in->umask);
    fs_credentials_return(server);
    return failed ? -errno : answer_child(server, request);
}

/*
 * The target is the guest's text and nobody here follows it: names are resolved one by one, never
 * through a link (fs_resolve.c).
 */
int fs_do_symlink(struct fs_server *server, struct fs_request *request)
{
    const char *target = request->names[1];
    int fd, failed, error = fs_name_check(request->names[0]);

    if (error)
        return error;
    if (strlen(target) == 0 || strlen(target) >= PATH_MAX)
        return -EINVAL;
    error = directory_for(server, request, &fd);
    if (error)
        return error;
    error = fs_credentials_take(server, request);
    if (error)
        return error;
    failed = symlinkat(target, fd, request->names[0]);
    fs_credentials_return(server);
    return failed ? -errno : answer_child(server, request);
}

/* By /proc's name for the open file, which is the node for certain; without /proc, not at all. */
int fs_do_link(struct fs_server *server, struct fs_request *request)
{
    struct fs_tree *tree = &server->tree;
    struct fs_node *from = fs_node_find(tree, request->arguments.link.oldnodeid);
    char name[FD_NAME_SIZE];
    int from_fd, fd, error;

    if (!from)
        return -ESTALE;
    if (from == &tree->root || from->share != request->node->share)
        return -EXDEV;
    if (from->type == DT_DIR || tree->proc_fd < 0)
        return -EPERM;
    error = directory_for(server, request, &fd);
    if (error)
        return error;
    fs_node_pin(tree, request->node);
    error = fs_node_path_fd(tree, from, &from_fd);
    if (!error) {
        snprintf(name, sizeof(name), "%d", from_fd);
        if (linkat(tree->proc_fd, name, fd, request->names[0], AT_SYMLINK_FOLLOW))
            error = -errno;
    }
    fs_node_unpin(tree, request->node);
    return error ? error : answer_child(server, request);
}

/* Makes the file and opens it for both, which a new file allows whatever its mode. */
static int file_create(struct fs_server *server, struct fs_request *request, int directory_fd,
                       int *fd_out)
{
    const struct fuse_create_in *in = &request->arguments.create;
    int fd, error = fs_credentials_take(server, request);

    if (error)
        return error;
    fd = openat(directory_fd, request->names[0],
                O_CREAT | O_EXCL | O_RDWR | O_NOFOLLOW | O_NONBLOCK | O_NOCTTY | O_CLOEXEC,
                in->mode & MODE_MASK & ~in->umask);
    fs_credentials_return(server);
    if (fd < 0)
        return -errno;
    *fd_out = fd;
    return 0;
}

/* The node of the file that was just made, with its descriptor, which is taken over. */
static int file_enter(struct fs_server *server, struct fs_request *request, int fd,
                      struct fs_node **node_out, struct statx *status_out)
{
    struct fs_tree *tree = &server->tree;
    int error = statx(fd, "", AT_EMPTY_PATH, FS_STATX_MASK, status_out) ? -errno : 0;
    u32 mount;

    if (!error)
        error = fs_mount_find(tree, fd, NULL, status_out, &mount);
    if (!error)
        error = fs_node_enter(tree, request->node, request->names[0], status_out, mount, node_out);
    if (!error) {
        error = fs_descriptor_install(tree, *node_out, fd, FS_RIGHT_READ | FS_RIGHT_WRITE);
        if (error)
            fs_node_release(tree, *node_out);
    }
    if (error)
        close(fd);
    return error;
}

/* A file that is there already: LOOKUP and OPEN in one. */
static int existing_open(struct fs_server *server, struct fs_request *request,
                         struct fs_node **node_out, struct statx *status_out)
{
    u32 flags = request->arguments.create.flags;
    int error;

    if (flags & O_EXCL)
        return -EEXIST;
    error = fs_node_lookup(&server->tree, request->node, request->names[0], node_out, status_out);
    if (error)
        return error;
    error = fs_open_node(server, *node_out, flags);
    if (!error)
        error = fs_node_status(&server->tree, *node_out, status_out);
    if (error)
        fs_node_release(&server->tree, *node_out);
    return error;
}

/*
 * One request makes, opens and answers both. Room for the answer is checked first: what was made
 * cannot be unmade, since the host may have seen it.
 */
int fs_do_create(struct fs_server *server, struct fs_request *request)
{
    struct fuse_open_out answer = {0};
    struct fs_node *node;
    struct statx status;
    int fd, error = directory_for(server, request, &fd);

    if (error)
        return error;
    if (fs_request_room(request) < sizeof(struct fuse_entry_out) + sizeof(answer))
        return -EINVAL;
    error = file_create(server, request, fd, &fd);
    if (error == 0)
        error = file_enter(server, request, fd, &node, &status);
    else if (error == -EEXIST)
        error = existing_open(server, request, &node, &status);
    if (error)
        return error;
    error = fs_answer_entry(server, request, node, &status);
    if (error)
        return error;
    fs_node_pin(&server->tree, node);
    return fs_request_answer(request, &answer, sizeof(answer));
}
