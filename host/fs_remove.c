/*
 * UNLINK, RMDIR and RENAME: names that go, or move.
 *
 * A file may lose its name while the guest still knows it (it is open, mapped, or somebody's
 * directory). Then the node keeps a descriptor, opened before the name goes, as the only way that
 * is left to it, until the guest forgets the node: it is an orphan. A node that moves gets its new
 * name here at once, because the guest goes on using its number without looking it up again.
 */
#include <errno.h>
#include <fcntl.h>
#include <linux/fs.h>
#include <stdio.h>
#include <unistd.h>

#include "fs_private.h"

/* The node that is about to lose this name, held open; NULL if the guest knows none. */
static struct fs_node *orphan_prepare(struct fs_tree *tree, struct fs_node *parent, int parent_fd,
                                      const char *name)
{
    struct fs_node *node = fs_node_known_child(tree, parent, parent_fd, name);
    int fd;

    if (!node || node->lookups == 0)
        return NULL;
    /* Without a descriptor it is just stale later on. */
    return fs_node_path_fd(tree, node, &fd) ? NULL : node;
}

static int name_remove(struct fs_server *server, struct fs_request *request, int flags)
{
    struct fs_tree *tree = &server->tree;
    const char *name = request->names[0];
    struct fs_node *node;
    int fd, error = 0;

    if (request->node == &tree->root || fs_name_is_hidden(tree, request->node, name))
        return -ENOENT;
    error = fs_node_directory_fd(tree, request->node, &fd);
    if (error)
        return error;
    fs_node_pin(tree, request->node);
    node = orphan_prepare(tree, request->node, fd, name);
    if (unlinkat(fd, name, flags))
        error = -errno;
    fs_node_unpin(tree, request->node);
    if (!error && node)
        fs_node_make_orphan(tree, node);
    return error;
}

int fs_do_unlink(struct fs_server *server, struct fs_request *request)
{
    return name_remove(server, request, 0);
}

int fs_do_rmdir(struct fs_server *server, struct fs_request *request)
{
    return name_remove(server, request, AT_REMOVEDIR);
}

static int rename_check(struct fs_server *server, const struct fs_request *request,
                        const struct fs_node *to, u32 flags)
{
    const struct fs_tree *tree = &server->tree;
    const struct fs_node *from = request->node;

    if (!to)
        return -ESTALE;
    if (to == &tree->root || to->share != from->share)
        return -EXDEV;
    /* RENAME_WHITEOUT would make a device. */
    if (flags & ~(u32)(RENAME_NOREPLACE | RENAME_EXCHANGE))
        return -EINVAL;
    if (fs_name_is_hidden(tree, from, request->names[0]))
        return -ENOENT;
    if (fs_name_is_hidden(tree, to, request->names[1]))
        return -EPERM;
    if (fs_name_leads_to_hidden(tree, from, request->names[0]) ||
        fs_name_leads_to_hidden(tree, to, request->names[1]))
        return -EBUSY;
    return 0;
}

/* Does it on the host, between two directories that stay open, and then among the nodes. */
static int names_rename(struct fs_tree *tree, struct fs_request *request, struct fs_node *to,
                        int from_fd, int to_fd, u32 flags)
{
    struct fs_node *from = request->node;
    struct fs_node *moved = fs_node_known_child(tree, from, from_fd, request->names[0]);
    struct fs_node *replaced = flags & RENAME_EXCHANGE
                                   ? fs_node_known_child(tree, to, to_fd, request->names[1])
                                   : orphan_prepare(tree, to, to_fd, request->names[1]);
    int error = 0;

    if (renameat2(from_fd, request->names[0], to_fd, request->names[1], flags))
        return -errno;
    if (moved == replaced) /* two names of one file: rename(2) leaves both */
        return 0;
    if (replaced && !(flags & RENAME_EXCHANGE))
        fs_node_make_orphan(tree, replaced);
    if (moved)
        error = fs_node_rename(tree, moved, to, request->names[1]);
    if (!error && replaced && (flags & RENAME_EXCHANGE))
        error = fs_node_rename(tree, replaced, from, request->names[0]);
    return error;
}

/* Also RENAME2; RENAME gives no flags. */
int fs_do_rename(struct fs_server *server, struct fs_request *request)
{
    const struct fuse_rename2_in *in = &request->arguments.rename;
    u32 flags = request->header.opcode == FUSE_RENAME2 ? in->flags : 0;
    struct fs_tree *tree = &server->tree;
    struct fs_node *to = fs_node_find(tree, in->newdir);
    int from_fd, to_fd, error = rename_check(server, request, to, flags);

    if (error)
        return error;
    error = fs_node_directory_fd(tree, request->node, &from_fd);
    if (error)
        return error;
    fs_node_pin(tree, request->node);
    error = fs_node_directory_fd(tree, to, &to_fd);
    if (!error) {
        fs_node_pin(tree, to);
        error = names_rename(tree, request, to, from_fd, to_fd, flags);
        fs_node_unpin(tree, to);
    }
    fs_node_unpin(tree, request->node);
    return error;
}
