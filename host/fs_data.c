/*
 * OPEN, READ and the like: what is in files.
 *
 * There are no file handles. A node has one descriptor for all who use it, reads and writes say
 * where (pread, pwrite), and OPEN only pins the descriptor, so that a file that loses its name
 * while the guest has it open stays readable. READ works by node without OPEN. So nothing that the
 * guest sends as a handle means anything, and data moves straight between file and guest memory.
 */
#include <errno.h>
#include <fcntl.h>
#include <sys/uio.h>
#include <unistd.h>

#include "fs_private.h"

#define PINS_MAX (1u << 30)

static unsigned open_rights(u32 flags)
{
    switch (flags & O_ACCMODE) {
    case O_RDONLY:
        return FS_RIGHT_READ;
    case O_WRONLY:
        return FS_RIGHT_WRITE;
    default:
        return FS_RIGHT_READ | FS_RIGHT_WRITE;
    }
}

/* Opens the node as open(2)'s flags say, without pinning it. */
int fs_open_node(struct fs_server *server, struct fs_node *node, u32 flags)
{
    unsigned rights = open_rights(flags);
    int fd, error;

    if (node->type == DT_DIR)
        return -EISDIR;
    if (node->pins >= PINS_MAX)
        return -ENFILE;
    if (flags & O_TRUNC)
        rights |= FS_RIGHT_WRITE;
    error = fs_node_open(&server->tree, node, rights, &fd);
    if (error)
        return error;
    return (flags & O_TRUNC) && ftruncate(fd, 0) ? -errno : 0;
}

int fs_do_open(struct fs_server *server, struct fs_request *request)
{
    struct fs_node *node = request->node;
    u32 flags = request->arguments.open.flags;
    bool writable = fs_node_is_writable(&server->tree, node);
    struct fuse_open_out answer = {.open_flags = writable ? 0 : FOPEN_KEEP_CACHE};
    int error;

    if (((open_rights(flags) & FS_RIGHT_WRITE) || (flags & O_TRUNC)) && !writable)
        return -EROFS;
    if (server->open_is_needless)
        return -ENOSYS;
    error = fs_open_node(server, node, flags);
    if (!error)
        error = fs_request_answer(request, &answer, sizeof(answer));
    if (!error)
        fs_node_pin(&server->tree, node);
    return error;
}

int fs_do_release(struct fs_server *server, struct fs_request *request)
{
    if (request->node->pins > 0 && !request->node->is_permanent)
        fs_node_unpin(&server->tree, request->node);
    return 0;
}

int fs_do_read(struct fs_server *server, struct fs_request *request)
{
    struct iovec buffers[FS_CHAIN_MAX];
    size_t size = MIN((size_t)request->arguments.read.size, fs_request_room(request));
    unsigned count;
    ssize_t got;
    int fd, error;

    if (request->node->type == DT_DIR)
        return -EISDIR;
    if (request->arguments.read.offset > INT64_MAX)
        return -EINVAL;
    error = fs_node_open(&server->tree, request->node, FS_RIGHT_READ, &fd);
    if (error)
        return error;
    count = fs_request_answer_buffers(request, size, buffers);
    got = preadv(fd, buffers, (int)count, (off_t)request->arguments.read.offset);
    if (got < 0)
        return -errno;
    request->answer_bytes += (size_t)got;
    return 0;
}

int fs_do_lseek(struct fs_server *server, struct fs_request *request)
{
    struct fuse_lseek_out answer = {0};
    u32 whence = request->arguments.lseek.whence;
    off_t offset;
    int fd, error;

    if (whence != SEEK_DATA && whence != SEEK_HOLE)
        return -EINVAL;
    if (request->node->type == DT_DIR)
        return -EISDIR; /* its position belongs to READDIR */
    error = fs_node_open(&server->tree, request->node, FS_RIGHT_READ, &fd);
    if (error)
        return error;
    offset = lseek(fd, (off_t)request->arguments.lseek.offset, (int)whence);
    if (offset < 0)
        return -errno;
    answer.offset = (u64)offset;
    return fs_request_answer(request, &answer, sizeof(answer));
}

/* FLUSH, RELEASEDIR, INTERRUPT: nothing is kept that they would end. */
int fs_do_nothing(struct fs_server *server, struct fs_request *request)
{
    return 0;
}
