/*
 * WRITE, FALLOCATE and FSYNC: data that changes.
 *
 * Data goes from guest memory to the file, at the offset that the guest says. An appending write
 * asks the host to append, since somebody there may append too.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs_private.h"

/* How the open file's flags make this one write differ (pwritev2(2)). */
static int write_flags(const struct fuse_write_in *in)
{
    int flags = 0;

    /* A delayed write is of pages that have their place; whose flags they carry is a guess. */
    if ((in->flags & O_APPEND) && !(in->write_flags & FUSE_WRITE_CACHE))
        flags |= RWF_APPEND;
    if ((in->flags & O_SYNC) == O_SYNC)
        flags |= RWF_SYNC;
    else if (in->flags & O_DSYNC)
        flags |= RWF_DSYNC;
    return flags;
}

int fs_do_write(struct fs_server *server, struct fs_request *request)
{
    const struct fuse_write_in *in = &request->arguments.write;
    struct iovec buffers[FS_CHAIN_MAX];
    struct fuse_write_out answer = {0};
    unsigned count;
    ssize_t put;
    int fd, error;

    if (in->size > request->data_size || in->offset > INT64_MAX)
        return -EINVAL;
    if (request->node->type == DT_DIR)
        return -EISDIR;
    error = fs_node_open(&server->tree, request->node, FS_RIGHT_WRITE, &fd);
    if (error)
        return error;
    count = fs_request_data_buffers(request, in->size, buffers);
    put = pwritev2(fd, buffers, (int)count, (off_t)in->offset, write_flags(in));
    if (put < 0)
        return -errno;
    answer.size = (u32)put;
    return fs_request_answer(request, &answer, sizeof(answer));
}

int fs_do_fallocate(struct fs_server *server, struct fs_request *request)
{
    const struct fuse_fallocate_in *in = &request->arguments.fallocate;
    int fd, error;

    if (in->offset > INT64_MAX || in->length > INT64_MAX)
        return -EINVAL;
    if (request->node->type == DT_DIR)
        return -EISDIR;
    error = fs_node_open(&server->tree, request->node, FS_RIGHT_WRITE, &fd);
    if (error)
        return error;
    return fallocate(fd, (int)in->mode, (off_t)in->offset, (off_t)in->length) ? -errno : 0;
}

/* A descriptor that can be synced: any that is not O_PATH. */
static int node_open_any(struct fs_server *server, struct fs_node *node, int *fd_out)
{
    int error = fs_node_open(&server->tree, node, FS_RIGHT_READ, fd_out);

    return error == -EACCES ? fs_node_open(&server->tree, node, FS_RIGHT_WRITE, fd_out) : error;
}

/* Also FSYNCDIR. What the guest cannot change needs no sync. */
int fs_do_fsync(struct fs_server *server, struct fs_request *request)
{
    int fd, error;

    if (!fs_node_is_writable(&server->tree, request->node))
        return 0;
    error = node_open_any(server, request->node, &fd);
    if (error)
        return error;
    if (request->arguments.fsync.fsync_flags & FUSE_FSYNC_FDATASYNC)
        return fdatasync(fd) ? -errno : 0;
    return fsync(fd) ? -errno : 0;
}

/* Everything that was written, through whichever node it was asked. */
int fs_do_syncfs(struct fs_server *server, struct fs_request *request)
{
    struct fs_tree *tree = &server->tree;

    for (unsigned i = 0; i < tree->share_count; i++) {
        int fd, error;

        if (!tree->shares[i].is_writable)
            continue;
        error = node_open_any(server, tree->shares[i].node, &fd);
        if (error)
            return error;
        if (syncfs(fd))
            return -errno;
    }
    return 0;
}
