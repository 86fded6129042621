/*
 * Extended attributes: read as the host has them; of those that the guest may set, only the ones
 * that mean nothing to the host's kernel beyond the file itself (`user.` and access control lists).
 *
 * The calls want a name; /proc's name for the node's descriptor is one that cannot be raced.
 */
#include <errno.h>
#include <limits.h>
#include <stdio.h>
#include <string.h>
#include <sys/xattr.h>
#include <unistd.h>

#include "fs_private.h"

#define FD_PATH_SIZE 32

static const char *const settable_prefixes[] = {
    "user.",
    "system.posix_acl_",
};

/*
 * /proc's name of the node's descriptor. -EOPNOTSUPP: there is no /proc; -ENODATA: the device's
 * root, which is no file of the host's.
 */
static int xattr_path(struct fs_server *server, struct fs_node *node, char path_out[FD_PATH_SIZE])
{
    int fd, error;

    if (server->tree.proc_fd < 0)
        return -EOPNOTSUPP;
    if (node == &server->tree.root)
        return -ENODATA;
    error = fs_node_path_fd(&server->tree, node, &fd);
    if (error)
        return error;
    snprintf(path_out, FD_PATH_SIZE, "/proc/self/fd/%d", fd);
    return 0;
}

static int xattr_name_check(const char *name)
{
    size_t length = strlen(name);

    return length == 0 || length > XATTR_NAME_MAX ? -ERANGE : 0;
}

/*
 * `security.` and `trusted.` mean something to the host's kernel: a guest could make a file of the
 * host's privileged.
 */
static bool xattr_is_settable(const char *name)
{
    for (size_t i = 0; i < ARRAY_SIZE(settable_prefixes); i++) {
        if (strncmp(name, settable_prefixes[i], strlen(settable_prefixes[i])) == 0)
            return true;
    }
    return false;
}

/* What the call returned: its length if the guest asks for no more, else the bytes. */
static int xattr_answer(struct fs_server *server, struct fs_request *request, ssize_t length)
{
    struct fuse_getxattr_out answer = {.size = (u32)length};

    if (length < 0)
        return -errno;
    if (request->arguments.getxattr.size == 0)
        return fs_request_answer(request, &answer, sizeof(answer));
    return fs_request_answer(request, server->scratch, (size_t)length);
}

int fs_do_getxattr(struct fs_server *server, struct fs_request *request)
{
    size_t size = MIN(request->arguments.getxattr.size, (u32)XATTR_SIZE_MAX);
    char path[FD_PATH_SIZE];
    int error = xattr_name_check(request->names[0]);

    if (!error)
        error = xattr_path(server, request->node, path);
    if (error)
        return error;
    return xattr_answer(server, request, getxattr(path, request->names[0], server->scratch, size));
}

int fs_do_listxattr(struct fs_server *server, struct fs_request *request)
{
    size_t size = MIN(request->arguments.getxattr.size, (u32)XATTR_LIST_MAX);
    char path[FD_PATH_SIZE];
    int error = xattr_path(server, request->node, path);

    if (error)
        return error;
    return xattr_answer(server, request, listxattr(path, (char *)server->scratch, size));
}

int fs_do_setxattr(struct fs_server *server, struct fs_request *request)
{
    const struct fuse_setxattr_in *in = &request->arguments.setxattr;
    char path[FD_PATH_SIZE];
    int error = xattr_name_check(request->names[0]);

    if (error)
        return error;
    if (in->size > request->value_size || (in->flags & ~(u32)(XATTR_CREATE | XATTR_REPLACE)))
        return -EINVAL;
    if (!xattr_is_settable(request->names[0]))
        return -EPERM;
    error = xattr_path(server, request->node, path);
    if (error)
        return error;
    return setxattr(path, request->names[0], request->value, in->size, (int)in->flags) ? -errno : 0;
}

int fs_do_removexattr(struct fs_server *server, struct fs_request *request)
{
    char path[FD_PATH_SIZE];
    int error = xattr_name_check(request->names[0]);

    if (error)
        return error;
    if (!xattr_is_settable(request->names[0]))
        return -EPERM;
    error = xattr_path(server, request->node, path);
    if (error)
        return error;
    return removexattr(path, request->names[0]) ? -errno : 0;
}
