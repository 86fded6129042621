/*
 * The table of FUSE operations: what each request brings, and who answers it.
 *
 * A request is checked here once, by its row: its arguments and names are copied, its node is
 * found, a request that changes something needs a writable share. So a handler sees only what is
 * well-formed; what is left to it is what the words mean. What has no row is ENOSYS.
 */
#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "fs_private.h"

#define MINOR_OLDEST   31 /* before it, structures are smaller; clients are newer */
#define INIT_OLD_SIZE  16 /* bytes of fuse_init_in before 7.36 */
#define BACKGROUND_MAX 64
#define LOG_LINE_SIZE  256

enum operation_flags {
    WITHOUT_NODE = BIT(0),   /* the header's node means nothing */
    WITHOUT_ANSWER = BIT(1), /* the guest waits for none */
    CHANGES = BIT(2),        /* the node's share must be writable */
    FREE_NAMES = BIT(3),     /* the names are not (all) names of files; the handler checks */
};

struct operation {
    int (*handle)(struct fs_server *server, struct fs_request *request);
    u16 arguments; /* bytes */
    u8 names;
    u8 flags;
};

static const struct operation operations[] = {
    [FUSE_INIT] = {fs_do_init, INIT_OLD_SIZE, 0, WITHOUT_NODE},
    [FUSE_DESTROY] = {fs_do_destroy, 0, 0, WITHOUT_NODE},
    [FUSE_LOOKUP] = {fs_do_lookup, 0, 1, 0},
    [FUSE_FORGET] = {fs_do_forget, sizeof(struct fuse_forget_in), 0, WITHOUT_NODE | WITHOUT_ANSWER},
    [FUSE_BATCH_FORGET] = {fs_do_batch_forget, sizeof(struct fuse_batch_forget_in), 0,
                           WITHOUT_NODE | WITHOUT_ANSWER},
    [FUSE_INTERRUPT] = {fs_do_nothing, 0, 0, WITHOUT_NODE | WITHOUT_ANSWER},
    [FUSE_GETATTR] = {fs_do_getattr, 0, 0, 0}, /* its arguments name a handle */
    [FUSE_READLINK] = {fs_do_readlink, 0, 0, 0},
    [FUSE_STATFS] = {fs_do_statfs, 0, 0, 0},
    [FUSE_ACCESS] = {fs_do_access, sizeof(struct fuse_access_in), 0, 0},
    [FUSE_OPENDIR] = {fs_do_opendir, 0, 0, 0},
    [FUSE_READDIR] = {fs_do_readdir, sizeof(struct fuse_read_in), 0, 0},
    [FUSE_READDIRPLUS] = {fs_do_readdir, sizeof(struct fuse_read_in), 0, 0},
    [FUSE_RELEASEDIR] = {fs_do_nothing, 0, 0, 0},
    [FUSE_OPEN] = {fs_do_open, sizeof(struct fuse_open_in), 0, 0},
    [FUSE_RELEASE] = {fs_do_release, 0, 0, 0},
    [FUSE_FLUSH] = {fs_do_nothing, 0, 0, 0},
    [FUSE_READ] = {fs_do_read, sizeof(struct fuse_read_in), 0, 0},
    [FUSE_WRITE] = {fs_do_write, sizeof(struct fuse_write_in), 0, CHANGES},
    [FUSE_FSYNC] = {fs_do_fsync, sizeof(struct fuse_fsync_in), 0, 0},
    [FUSE_FSYNCDIR] = {fs_do_fsync, sizeof(struct fuse_fsync_in), 0, 0},
    [FUSE_SYNCFS] = {fs_do_syncfs, 0, 0, 0},
    [FUSE_FALLOCATE] = {fs_do_fallocate, sizeof(struct fuse_fallocate_in), 0, CHANGES},
    [FUSE_SETATTR] = {fs_do_setattr, sizeof(struct fuse_setattr_in), 0, CHANGES},
    [FUSE_GETXATTR] = {fs_do_getxattr, sizeof(struct fuse_getxattr_in), 1, FREE_NAMES},
    [FUSE_LISTXATTR] = {fs_do_listxattr, sizeof(struct fuse_getxattr_in), 0, 0},
    [FUSE_SETXATTR] = {fs_do_setxattr, FUSE_COMPAT_SETXATTR_IN_SIZE, 1, FREE_NAMES | CHANGES},
    [FUSE_REMOVEXATTR] = {fs_do_removexattr, 0, 1, FREE_NAMES | CHANGES},
    [FUSE_CREATE] = {fs_do_create, sizeof(struct fuse_create_in), 1, CHANGES},
    [FUSE_MKNOD] = {fs_do_mknod, sizeof(struct fuse_mknod_in), 1, CHANGES},
    [FUSE_MKDIR] = {fs_do_mkdir, sizeof(struct fuse_mkdir_in), 1, CHANGES},
    [FUSE_SYMLINK] = {fs_do_symlink, 0, 2, FREE_NAMES | CHANGES},
    [FUSE_LINK] = {fs_do_link, sizeof(struct fuse_link_in), 1, CHANGES},
    [FUSE_UNLINK] = {fs_do_unlink, 0, 1, CHANGES},
    [FUSE_RMDIR] = {fs_do_rmdir, 0, 1, CHANGES},
    [FUSE_RENAME] = {fs_do_rename, sizeof(struct fuse_rename_in), 2, CHANGES},
    [FUSE_RENAME2] = {fs_do_rename, sizeof(struct fuse_rename2_in), 2, CHANGES},
    [FUSE_LSEEK] = {fs_do_lseek, sizeof(struct fuse_lseek_in), 0, 0},
};

/* What we use if the client can. */
static const u64 wanted_flags = FUSE_ASYNC_READ | FUSE_ATOMIC_O_TRUNC | FUSE_BIG_WRITES |
                                FUSE_DO_READDIRPLUS | FUSE_ASYNC_DIO | FUSE_NO_OPEN_SUPPORT |
                                FUSE_PARALLEL_DIROPS | FUSE_MAX_PAGES | FUSE_CACHE_SYMLINKS |
                                FUSE_NO_OPENDIR_SUPPORT | FUSE_INIT_EXT;

void fs_server_log(const struct fs_server *server, const char *format, ...)
{
    char line[LOG_LINE_SIZE];
    va_list arguments;
    int length;

    if (server->log_fd < 0)
        return;
    va_start(arguments, format);
    length = vsnprintf(line, sizeof(line), format, arguments);
    va_end(arguments);
    /* Nobody can be told that the log cannot be written. */
    if (length > 0 && write(server->log_fd, line, MIN((size_t)length, sizeof(line) - 1)) < 0)
        return;
}

/*
 * The first request of a client; a guest that was reset sends it again, and knows nothing of what
 * it knew before.
 */
int fs_do_init(struct fs_server *server, struct fs_request *request)
{
    const struct fuse_init_in *in = &request->arguments.init;
    struct fuse_init_out answer = {.major = FUSE_KERNEL_VERSION,
                                   .minor = FUSE_KERNEL_MINOR_VERSION};
    u64 flags;

    if (in->major < FUSE_KERNEL_VERSION ||
        (in->major == FUSE_KERNEL_VERSION && in->minor < MINOR_OLDEST))
        return -EPROTO;
    fs_tree_forget_all(&server->tree);
    if (in->major == FUSE_KERNEL_VERSION) {
        flags = in->flags & wanted_flags;
        /* Data is dropped when size or time changed, if the client can see to that itself. */
        if (in->flags & FUSE_AUTO_INVAL_DATA)
            flags |= FUSE_AUTO_INVAL_DATA;
        else
            flags |= in->flags & FUSE_EXPLICIT_INVAL_DATA;
        server->open_is_needless = (flags & FUSE_NO_OPEN_SUPPORT) && !server->has_writable_share;
        server->opendir_is_needless = flags & FUSE_NO_OPENDIR_SUPPORT;
        server->is_initialised = true;
        answer.max_readahead = in->max_readahead;
        answer.flags = (u32)flags;
        answer.max_background = BACKGROUND_MAX;
        answer.congestion_threshold = BACKGROUND_MAX;
        answer.max_write = FS_TRANSFER_MAX;
        answer.max_pages = FS_PAGES_MAX;
        answer.time_gran = 1;
    }
    return fs_request_answer(request, &answer, sizeof(answer));
}

int fs_do_destroy(struct fs_server *server, struct fs_request *request)
{
    fs_tree_forget_all(&server->tree);
    server->is_initialised = false;
    return 0;
}

static int names_check(const struct operation *operation, const struct fs_request *request)
{
    int error = 0;

    if (operation->flags & FREE_NAMES)
        return 0;
    for (unsigned i = 0; i < operation->names && !error; i++)
        error = fs_name_check(request->names[i]);
    return error;
}

/* Fills in what the operation's row asks for. */
static int request_prepare(struct fs_server *server, const struct operation *operation)
{
    struct fs_request *request = &server->request;
    int error = fs_request_take_arguments(request, operation->arguments);

    if (error)
        return error;
    if (operation->names > 0) {
        error = fs_request_take_names(request, server->text, operation->names);
        if (error)
            return error;
        error = names_check(operation, request);
        if (error)
            return error;
    }
    if (operation->flags & WITHOUT_NODE)
        return 0;
    if (!server->is_initialised)
        return -EIO;
    request->node = fs_node_find(&server->tree, request->header.nodeid);
    if (!request->node)
        return -ESTALE;
    if ((operation->flags & CHANGES) && !fs_node_is_writable(&server->tree, request->node))
        return -EROFS;
    return 0;
}

u32 fs_server_answer(struct fs_server *server)
{
    struct fs_request *request = &server->request;
    const struct operation *operation;
    int error;

    if (fs_request_begin(request, &server->chain))
        return 0;
    if (request->header.opcode >= ARRAY_SIZE(operations) ||
        !operations[request->header.opcode].handle)
        return fs_request_finish(request, -ENOSYS);
    operation = &operations[request->header.opcode];
    error = request_prepare(server, operation);
    if (!error) {
        struct fs_node *node = request->node;

        /* A reference of our own: the node stays whatever the handler does. */
        if (node)
            node->lookups++;
        error = operation->handle(server, request);
        if (node)
            fs_node_forget(&server->tree, node, 1);
    }
    return operation->flags & WITHOUT_ANSWER ? 0 : fs_request_finish(request, error);
}
