/*
 * SETATTR: mode, owner, size and times.
 *
 * They change in an order in which no step undoes another: an owner's change clears the set-id bits
 * that a mode may set, and a new size touches the times. What was changed before a step failed
 * stays, as where a program makes the calls one by one.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <unistd.h>

#include "fs_private.h"

#define FD_NAME_SIZE 12
#define MODE_MASK    07777u
#define NO_ID        UINT32_MAX

/* There is no fchmod for an O_PATH descriptor before Linux 6.6; /proc's name for it will do. */
static int change_mode(struct fs_server *server, const struct fs_node *node, int path_fd, u32 mode)
{
    char name[FD_NAME_SIZE];

    if (node->type == DT_LNK || server->tree.proc_fd < 0)
        return -EOPNOTSUPP;
    snprintf(name, sizeof(name), "%d", path_fd);
    return fchmodat(server->tree.proc_fd, name, mode & MODE_MASK, 0) ? -errno : 0;
}

static int change_owner(int path_fd, const struct fuse_setattr_in *in)
{
    uid_t uid = in->valid & FATTR_UID ? in->uid : NO_ID;
    gid_t gid = in->valid & FATTR_GID ? in->gid : NO_ID;

    if ((uid == NO_ID && (in->valid & FATTR_UID)) || (gid == NO_ID && (in->valid & FATTR_GID)))
        return -EINVAL;
    return fchownat(path_fd, "", uid, gid, AT_EMPTY_PATH | AT_SYMLINK_NOFOLLOW) ? -errno : 0;
}

static int change_size(struct fs_server *server, struct fs_node *node, u64 size)
{
    int fd, error;

    if (size > INT64_MAX)
        return -EINVAL;
    if (node->type == DT_DIR)
        return -EISDIR;
    error = fs_node_open(&server->tree, node, FS_RIGHT_WRITE, &fd);
    if (error)
        return error;
    return ftruncate(fd, (off_t)size) ? -errno : 0;
}

static struct timespec time_to_set(u32 valid, u32 given, u32 now, u64 seconds, u32 nanoseconds)
{
    struct timespec time = {.tv_sec = (time_t)seconds, .tv_nsec = nanoseconds};

    if (!(valid & given))
        time.tv_nsec = UTIME_OMIT;
    else if (valid & now)
        time.tv_nsec = UTIME_NOW;
    return time;
}

static int change_times(int path_fd, const struct fuse_setattr_in *in)
{
    struct timespec times[] = {
        time_to_set(in->valid, FATTR_ATIME, FATTR_ATIME_NOW, in->atime, in->atimensec),
        time_to_set(in->valid, FATTR_MTIME, FATTR_MTIME_NOW, in->mtime, in->mtimensec),
    };

    return utimensat(path_fd, "", times, AT_EMPTY_PATH) ? -errno : 0;
}

int fs_do_setattr(struct fs_server *server, struct fs_request *request)
{
    const struct fuse_setattr_in *in = &request->arguments.setattr;
    struct fs_node *node = request->node;
    int fd, error = fs_node_path_fd(&server->tree, node, &fd);

    if (!error && (in->valid & (FATTR_UID | FATTR_GID)))
        error = change_owner(fd, in);
    if (!error && (in->valid & FATTR_MODE))
        error = change_mode(server, node, fd, in->mode);
    if (!error && (in->valid & FATTR_SIZE)) {
        error = change_size(server, node, in->size);
        fd = node->descriptor->fd; /* perhaps another one now */
    }
    if (!error && (in->valid & (FATTR_ATIME | FATTR_MTIME)))
        error = change_times(fd, in);
    if (error)
        return error;
    return fs_answer_attributes(server, request, node);
}
