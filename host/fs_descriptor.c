/*
 * The nodes that are open: a cache of descriptors, bounded by what the process may have.
 *
 * A node has at most one descriptor, with the most rights that were needed so far. One that is not
 * pinned is idle and is closed when another node needs its place, the longest unused first; it can
 * be opened again by name. Pinned are the shares, the files that the guest has open, and for a
 * moment the directories that one request works in; an orphan (a file without a name) counts as
 * pinned too, since nothing leads to it again. If everything is pinned the answer is ENFILE.
 *
 * A descriptor that can write is not kept idle for long: while it is open, the host's user cannot
 * execute the file (ETXTBSY). It goes when the guest closes the file, else when the guest is quiet.
 *
 * Invariant: a descriptor is on `idle` exactly while its node has no pin and is no orphan.
 */
#include "fs_tree.h"

#include <errno.h>
#include <stdlib.h>
#include <unistd.h>

static bool node_holds_descriptor(const struct fs_node *node)
{
    return node->pins > 0 || node->is_orphan;
}

/* Takes the descriptor off the idle list, if it is there. */
static void descriptor_leave_idle(struct fs_tree *tree, struct fs_descriptor *descriptor)
{
    if (!list_is_linked(&descriptor->link))
        return;
    list_remove(&descriptor->link);
    if (descriptor->rights & FS_RIGHT_WRITE)
        tree->idle_writable_count--;
}

static void descriptor_join_idle(struct fs_tree *tree, struct fs_descriptor *descriptor)
{
    list_push_back(&tree->idle, &descriptor->link);
    if (descriptor->rights & FS_RIGHT_WRITE)
        tree->idle_writable_count++;
}

/* Closes idle ones until one more may be opened. */
static int descriptor_make_room(struct fs_tree *tree)
{
    while (tree->descriptor_count >= tree->descriptor_limit) {
        struct fs_descriptor *oldest = list_first_entry(&tree->idle, struct fs_descriptor, link);

        if (!oldest)
            return -ENFILE;
        fs_descriptor_close(tree, oldest->node);
    }
    return 0;
}

/*
 * Makes `fd` the node's descriptor, in place of one that it may have; takes it over on success.
 * -ENFILE: all are pinned; -ENOMEM.
 */
int fs_descriptor_install(struct fs_tree *tree, struct fs_node *node, int fd, unsigned rights)
{
    struct fs_descriptor *descriptor = node->descriptor;
    int error;

    if (!descriptor) {
        error = descriptor_make_room(tree);
        if (error)
            return error;
        descriptor = malloc(sizeof(*descriptor));
        if (!descriptor)
            return -ENOMEM;
        descriptor->node = node;
        list_init(&descriptor->link);
        tree->descriptor_count++;
        node->descriptor = descriptor;
    } else {
        descriptor_leave_idle(tree, descriptor);
        close(descriptor->fd);
    }
    descriptor->fd = fd;
    descriptor->rights = rights;
    descriptor->position = -1;
    if (!node_holds_descriptor(node))
        descriptor_join_idle(tree, descriptor);
    return 0;
}

/* The node's descriptor was used: it is the last to be closed, or not at all if it is now held. */
void fs_descriptor_use(struct fs_tree *tree, struct fs_node *node)
{
    if (!node->descriptor)
        return;
    descriptor_leave_idle(tree, node->descriptor);
    if (!node_holds_descriptor(node))
        descriptor_join_idle(tree, node->descriptor);
}

void fs_descriptor_close(struct fs_tree *tree, struct fs_node *node)
{
    struct fs_descriptor *descriptor = node->descriptor;

    if (!descriptor)
        return;
    descriptor_leave_idle(tree, descriptor);
    close(descriptor->fd);
    tree->descriptor_count--;
    node->descriptor = NULL;
    free(descriptor);
}

void fs_descriptor_close_idle_writable(struct fs_tree *tree)
{
    struct fs_descriptor *descriptor, *next;

    if (tree->idle_writable_count == 0)
        return;
    list_for_each_safe (descriptor, next, &tree->idle, link) {
        if (descriptor->rights & FS_RIGHT_WRITE)
            fs_descriptor_close(tree, descriptor->node);
    }
}

void fs_node_pin(struct fs_tree *tree, struct fs_node *node)
{
    node->pins++;
    fs_descriptor_use(tree, node);
}

/* Gives one pin back; the node may be gone afterwards. */
void fs_node_unpin(struct fs_tree *tree, struct fs_node *node)
{
    node->pins--;
    if (node->pins == 0 && !node->is_orphan && node->descriptor &&
        (node->descriptor->rights & FS_RIGHT_WRITE))
        fs_descriptor_close(tree, node);
    fs_descriptor_use(tree, node);
    fs_node_release(tree, node);
}

void fs_node_make_orphan(struct fs_tree *tree, struct fs_node *node)
{
    node->is_orphan = true;
    fs_descriptor_use(tree, node);
    fs_node_release(tree, node);
}
