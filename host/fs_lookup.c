/*
 * LOOKUP, GETATTR, READLINK, STATFS, ACCESS, and FORGET: names and attributes.
 *
 * An entry in an answer is a reference that the guest gives back with FORGET; it is counted when
 * the entry is put together, since from then on nothing can fail but the guest's own buffer.
 */
#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <sys/vfs.h>
#include <unistd.h>

#include "fs_private.h"

#define NANOSECONDS        1000000000ull
#define FORGETS_AT_ONCE    64
#define DEVICE_MINOR_LOW   0xffu /* of the 32-bit device number: Linux's new_encode_dev */
#define DEVICE_MAJOR_SHIFT 8
#define DEVICE_MINOR_SHIFT 12

static u32 device_number(u32 major_number, u32 minor_number)
{
    return (minor_number & DEVICE_MINOR_LOW) | (major_number << DEVICE_MAJOR_SHIFT) |
           ((minor_number & ~DEVICE_MINOR_LOW) << DEVICE_MINOR_SHIFT);
}

void fs_attributes_fill(const struct fs_server *server, const struct fs_node *node,
                        const struct statx *status, struct fuse_attr *attributes_out)
{
    const struct fs_tree *tree = &server->tree;

    *attributes_out = (struct fuse_attr){
        .ino = node == &tree->root ? FS_ROOT_NODE
                                   : fs_inode_number(tree, node->mount, status->stx_ino),
        .size = status->stx_size,
        .blocks = status->stx_blocks,
        .atime = (u64)status->stx_atime.tv_sec,
        .mtime = (u64)status->stx_mtime.tv_sec,
        .ctime = (u64)status->stx_ctime.tv_sec,
        .atimensec = status->stx_atime.tv_nsec,
        .mtimensec = status->stx_mtime.tv_nsec,
        .ctimensec = status->stx_ctime.tv_nsec,
        .mode = status->stx_mode,
        .nlink = status->stx_nlink,
        .uid = status->stx_uid,
        .gid = status->stx_gid,
        .rdev = device_number(status->stx_rdev_major, status->stx_rdev_minor),
        .blksize = status->stx_blksize,
    };
}

/* How long what is said of a node may be believed: what the guest may change, others change too. */
static u64 valid_ns(const struct fs_server *server, const struct fs_node *node)
{
    return fs_node_is_writable(&server->tree, node) ? server->valid_ns : server->valid_read_only_ns;
}

void fs_entry_fill(struct fs_server *server, struct fs_node *node, const struct statx *status,
                   struct fuse_entry_out *entry_out)
{
    u64 valid = valid_ns(server, node);

    node->lookups++;
    *entry_out = (struct fuse_entry_out){
        .nodeid = fs_node_number(&server->tree, node),
        .entry_valid = valid / NANOSECONDS,
        .entry_valid_nsec = valid % NANOSECONDS,
        .attr_valid = valid / NANOSECONDS,
        .attr_valid_nsec = valid % NANOSECONDS,
    };
    fs_attributes_fill(server, node, status, &entry_out->attr);
}

int fs_answer_entry(struct fs_server *server, struct fs_request *request, struct fs_node *node,
                    const struct statx *status)
{
    struct fuse_entry_out entry;

    fs_entry_fill(server, node, status, &entry);
    return fs_request_answer(request, &entry, sizeof(entry));
}

int fs_answer_attributes(struct fs_server *server, struct fs_request *request, struct fs_node *node)
{
    u64 valid = valid_ns(server, node);
    struct fuse_attr_out answer = {
        .attr_valid = valid / NANOSECONDS,
        .attr_valid_nsec = valid % NANOSECONDS,
    };
    struct statx status;
    int error = fs_node_status(&server->tree, node, &status);

    if (error)
        return error;
    fs_attributes_fill(server, node, &status, &answer.attr);
    return fs_request_answer(request, &answer, sizeof(answer));
}

/*
 * "There is none", for as long as that may be believed: programs ask the same directories again and
 * again for libraries and modules that are elsewhere.
 */
static int answer_absent(struct fs_server *server, struct fs_request *request)
{
    u64 valid = valid_ns(server, request->node);
    struct fuse_entry_out entry = {
        .nodeid = 0,
        .entry_valid = valid / NANOSECONDS,
        .entry_valid_nsec = valid % NANOSECONDS,
    };

    return fs_request_answer(request, &entry, sizeof(entry));
}

/*
 * -ENOENT is an answer that the guest may keep only where nobody can make the name meanwhile: in a
 * writable share guest and host may be waiting for each other's files.
 */
int fs_do_lookup(struct fs_server *server, struct fs_request *request)
{
    struct fs_node *node;
    struct statx status;
    int error = fs_node_lookup(&server->tree, request->node, request->names[0], &node, &status);

    /* In a writable share guest and host may be waiting for each other's files. */
    if (error == -ENOENT && !fs_node_is_writable(&server->tree, request->node))
        return answer_absent(server, request);
    if (error)
        return error;
    return fs_answer_entry(server, request, node, &status);
}

/* No answer. More references than the guest has count as all of them. */
int fs_do_forget(struct fs_server *server, struct fs_request *request)
{
    struct fs_node *node = fs_node_find(&server->tree, request->header.nodeid);

    if (node)
        fs_node_forget(&server->tree, node, request->arguments.forget.nlookup);
    return 0;
}

/* Many FORGETs, copied a few at a time, so their number needs no bound of its own. */
int fs_do_batch_forget(struct fs_server *server, struct fs_request *request)
{
    struct fuse_forget_one forgets[FORGETS_AT_ONCE];
    size_t offset = 0;

    for (u32 left = request->arguments.batch_forget.count; left > 0;) {
        u32 now = MIN(left, (u32)FORGETS_AT_ONCE);
        int error = fs_request_copy_data(request, offset, forgets, now * sizeof(forgets[0]));

        if (error)
            return error;
        for (u32 i = 0; i < now; i++) {
            struct fs_node *node = fs_node_find(&server->tree, forgets[i].nodeid);

            if (node)
                fs_node_forget(&server->tree, node, forgets[i].nlookup);
        }
        offset += now * sizeof(forgets[0]);
        left -= now;
    }
    return 0;
}

int fs_do_getattr(struct fs_server *server, struct fs_request *request)
{
    return fs_answer_attributes(server, request, request->node);
}

int fs_do_readlink(struct fs_server *server, struct fs_request *request)
{
    char target[PATH_MAX];
    ssize_t length;
    int fd, error;

    if (request->node->type != DT_LNK)
        return -EINVAL;
    error = fs_node_path_fd(&server->tree, request->node, &fd);
    if (error)
        return error;
    length = readlinkat(fd, "", target, sizeof(target));
    if (length < 0)
        return -errno;
    return fs_request_answer(request, target, (size_t)length);
}

/* Of the root: what the first share has. */
int fs_do_statfs(struct fs_server *server, struct fs_request *request)
{
    struct fs_tree *tree = &server->tree;
    struct fs_node *node = request->node == &tree->root ? tree->shares[0].node : request->node;
    struct fuse_statfs_out answer;
    struct statfs status;
    int fd, error = fs_node_path_fd(tree, node, &fd);

    if (error)
        return error;
    if (fstatfs(fd, &status))
        return -errno;
    memset(&answer, 0, sizeof(answer));
    answer.st.blocks = status.f_blocks;
    answer.st.bfree = status.f_bfree;
    answer.st.bavail = status.f_bavail;
    answer.st.files = status.f_files;
    answer.st.ffree = status.f_ffree;
    answer.st.bsize = (u32)status.f_bsize;
    answer.st.namelen = (u32)status.f_namelen;
    answer.st.frsize = (u32)status.f_frsize;
    return fs_request_answer(request, &answer, sizeof(answer));
}

/* The guest checks modes itself; what is left to say is what the server could not do. */
int fs_do_access(struct fs_server *server, struct fs_request *request)
{
    struct statx status;

    if ((request->arguments.access.mask & W_OK) &&
        !fs_node_is_writable(&server->tree, request->node))
        return -EROFS;
    return fs_node_status(&server->tree, request->node, &status);
}
