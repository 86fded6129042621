/*
 * The table of nodes: every file that the guest knows, without holding it open.
 *
 *     number = generation:slot          hash(share, mount, inode)
 *                     |                          |
 *                   slots[] ----> fs_node <---- buckets[]
 *                                  | parent, name       counted: a parent outlives its children
 *                                  v
 *                               fs_node ... root (number 1), shares (2, 3, ...)
 *
 * A host may know millions of files and a process has thousands of descriptors, so a node is a name
 * in its parent, plus what statx said when it was seen: whoever opens it later compares, and a file
 * that was replaced is stale, never another file. A number that the guest sends is an index and a
 * generation; a number that was given back finds nothing.
 *
 * All names of a file (hard links) meet in one node, by share, mount and inode number: the mount
 * because one directory may be seen in two places, the share because the same file may be writable
 * through one and not through another.
 *
 * Invariants: node->children is the number of nodes whose parent it is; a node exists while it has
 *             references of the guest's, children or pins, or is permanent; following parents ends
 *             at the root (fs_node_rename refuses a cycle).
 */
#include "fs_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#define FIRST_SLOTS        1024
#define FIRST_BUCKETS      4096
#define GENERATION_SHIFT   32
#define NANOSECONDS        1000000000ull
#define HASH_MULTIPLIER    0x9e3779b97f4a7c15ull /* 2^64 over the golden ratio (Knuth 6.4) */
#define HASH_SHIFT         32
#define SHARE_NAME_SIZE    16
#define MODE_TO_TYPE(mode) (((mode)&S_IFMT) >> 12) /* DT_* are the same numbers */

static u32 bucket_index(const struct fs_tree *tree, unsigned share, u32 mount, u64 inode)
{
    u64 key = (inode ^ ((u64)mount << HASH_SHIFT) ^ share) * HASH_MULTIPLIER;

    return (key >> HASH_SHIFT) & (tree->bucket_count - 1);
}

static void node_hash(struct fs_tree *tree, struct fs_node *node)
{
    u32 index = bucket_index(tree, node->share, node->mount, node->inode);

    node->hash_next = tree->buckets[index];
    tree->buckets[index] = node;
    node->is_hashed = true;
}

static void node_unhash(struct fs_tree *tree, struct fs_node *node)
{
    struct fs_node **link;

    if (!node->is_hashed)
        return;
    link = &tree->buckets[bucket_index(tree, node->share, node->mount, node->inode)];
    while (*link != node)
        link = &(*link)->hash_next;
    *link = node->hash_next;
    node->is_hashed = false;
}

/* Doubles the buckets; if there is no memory, chains just get longer. */
static void buckets_grow(struct fs_tree *tree)
{
    u32 old_count = tree->bucket_count;
    struct fs_node **old = tree->buckets, **grown = calloc(old_count * 2ul, sizeof(*grown));

    if (!grown)
        return;
    tree->buckets = grown;
    tree->bucket_count = old_count * 2;
    for (u32 i = 0; i < old_count; i++) {
        while (old[i]) {
            struct fs_node *node = old[i];

            old[i] = node->hash_next;
            node_hash(tree, node);
        }
    }
    free(old);
}

static int slots_grow(struct fs_tree *tree)
{
    u32 limit = tree->slot_limit * 2;
    struct fs_slot *grown = realloc(tree->slots, limit * sizeof(*grown));

    if (!grown)
        return -ENOMEM;
    memset(grown + tree->slot_limit, 0, (limit - tree->slot_limit) * sizeof(*grown));
    tree->slots = grown;
    tree->slot_limit = limit;
    return 0;
}

/*
 * Gives the node a slot. Slots that were given back are found again by a search that goes on where
 * it last ended, and begins anew only after half as many frees as there are slots: O(1) amortised.
 */
static int slot_install(struct fs_tree *tree, struct fs_node *node)
{
    u32 index;

    if (tree->node_count >= FS_NODES_MAX)
        return -ENFILE;
    if (tree->free_slot == tree->slot_count && tree->node_count < tree->slot_count / 2)
        tree->free_slot = FS_ROOT_NODE;
    while (tree->free_slot < tree->slot_count && tree->slots[tree->free_slot].node)
        tree->free_slot++;
    index = tree->free_slot;
    if (index == tree->slot_limit && slots_grow(tree))
        return -ENOMEM;
    tree->slots[index].node = node;
    tree->free_slot = index + 1;
    tree->slot_count = MAX(tree->slot_count, index + 1);
    tree->node_count++;
    node->index = index;
    return 0;
}

u64 fs_node_number(const struct fs_tree *tree, const struct fs_node *node)
{
    return ((u64)tree->slots[node->index].generation << GENERATION_SHIFT) | node->index;
}

struct fs_node *fs_node_find(const struct fs_tree *tree, u64 number)
{
    u32 index = (u32)number;

    if (index >= tree->slot_count || tree->slots[index].generation != number >> GENERATION_SHIFT)
        return NULL;
    return tree->slots[index].node;
}

bool fs_node_is_writable(const struct fs_tree *tree, const struct fs_node *node)
{
    return node != &tree->root && tree->shares[node->share].is_writable;
}

static u64 status_born_ns(const struct statx *status)
{
    if (!(status->stx_mask & STATX_BTIME))
        return 0;
    return (u64)status->stx_btime.tv_sec * NANOSECONDS + status->stx_btime.tv_nsec;
}

bool fs_node_is(const struct fs_node *node, const struct statx *status, u32 mount)
{
    return node->inode == status->stx_ino && node->mount == mount &&
           node->type == MODE_TO_TYPE(status->stx_mode) && node->born_ns == status_born_ns(status);
}

static int node_create(struct fs_tree *tree, struct fs_node *parent, const char *name,
                       const struct statx *status, u32 mount, struct fs_node **node_out)
{
    struct fs_node *node = calloc(1, sizeof(*node));
    int error = -ENOMEM;

    if (!node)
        return -ENOMEM;
    node->name = strdup(name);
    if (!node->name)
        goto free_node;
    node->parent = parent;
    node->inode = status->stx_ino;
    node->born_ns = status_born_ns(status);
    node->mount = mount;
    node->share = parent->share;
    node->type = MODE_TO_TYPE(status->stx_mode);
    error = slot_install(tree, node);
    if (error)
        goto free_name;
    parent->children++;
    if (tree->node_count > tree->bucket_count)
        buckets_grow(tree);
    node_hash(tree, node);
    *node_out = node;
    return 0;

free_name:
    free(node->name);
free_node:
    free(node);
    return error;
}

int fs_node_rename(struct fs_tree *tree, struct fs_node *node, struct fs_node *parent,
                   const char *name)
{
    struct fs_node *old_parent = node->parent;
    char *copy;

    if (node->is_permanent || (old_parent == parent && strcmp(node->name, name) == 0))
        return 0;
    for (const struct fs_node *above = parent; above; above = above->parent) {
        if (above == node)
            return -ESTALE;
    }
    copy = strdup(name);
    if (!copy)
        return -ENOMEM;
    free(node->name);
    node->name = copy;
    node->parent = parent;
    parent->children++;
    old_parent->children--;
    fs_node_release(tree, old_parent);
    return 0;
}

struct fs_node *fs_node_find_file(const struct fs_tree *tree, const struct fs_node *parent,
                                  const struct statx *status, u32 mount)
{
    struct fs_node *node = tree->buckets[bucket_index(tree, parent->share, mount, status->stx_ino)];

    while (node &&
           (node->inode != status->stx_ino || node->mount != mount || node->share != parent->share))
        node = node->hash_next;
    return node;
}

int fs_node_enter(struct fs_tree *tree, struct fs_node *parent, const char *name,
                  const struct statx *status, u32 mount, struct fs_node **node_out)
{
    struct fs_node *node = fs_node_find_file(tree, parent, status, mount);
    int error;

    if (node && !fs_node_is(node, status, mount)) {
        /* The inode number has a new file: the old node stays known, and stale, by its number. */
        node_unhash(tree, node);
        node = NULL;
    }
    if (!node)
        return node_create(tree, parent, name, status, mount, node_out);
    error = fs_node_rename(tree, node, parent, name);
    if (error)
        return error;
    if (node->is_orphan) {
        node->is_orphan = false;
        fs_descriptor_use(tree, node);
    }
    *node_out = node;
    return 0;
}

void fs_node_release(struct fs_tree *tree, struct fs_node *node)
{
    while (node && !node->is_permanent && node->lookups == 0 && node->children == 0 &&
           node->pins == 0) {
        struct fs_node *parent = node->parent;

        fs_descriptor_close(tree, node);
        node_unhash(tree, node);
        tree->slots[node->index].node = NULL;
        tree->slots[node->index].generation++;
        tree->node_count--;
        free(node->name);
        free(node);
        parent->children--;
        node = parent;
    }
}

void fs_node_forget(struct fs_tree *tree, struct fs_node *node, u64 count)
{
    node->lookups -= MIN(count, node->lookups);
    if (node->lookups == 0 && !node->is_permanent && node->pins > 0) {
        node->pins = 1; /* a guest that forgot the file has no open file of it */
        fs_node_unpin(tree, node);
        return;
    }
    fs_node_release(tree, node);
}

void fs_tree_forget_all(struct fs_tree *tree)
{
    for (u32 i = FS_ROOT_NODE; i < tree->slot_count; i++) {
        if (tree->slots[i].node)
            fs_node_forget(tree, tree->slots[i].node, U64_MAX);
    }
}

int fs_tree_init(struct fs_tree *tree, unsigned descriptor_limit)
{
    memset(tree, 0, sizeof(*tree));
    list_init(&tree->idle);
    tree->descriptor_limit = descriptor_limit;
    tree->slot_limit = FIRST_SLOTS;
    tree->bucket_count = FIRST_BUCKETS;
    tree->slots = calloc(FIRST_SLOTS, sizeof(*tree->slots));
    tree->buckets = calloc(FIRST_BUCKETS, sizeof(*tree->buckets));
    tree->proc_fd = open("/proc/self/fd", O_PATH | O_DIRECTORY | O_CLOEXEC);
    tree->has_openat2 = true;
    clock_gettime(CLOCK_REALTIME, &tree->started);
    if (!tree->slots || !tree->buckets)
        return -ENOMEM;
    tree->root.type = DT_DIR;
    tree->root.is_permanent = true;
    tree->free_slot = FS_ROOT_NODE;
    tree->slot_count = FS_ROOT_NODE;
    return slot_install(tree, &tree->root);
}

/* Opens the directory and gives it a permanent node below the root, named by its number. */
static int share_open(struct fs_tree *tree, const char *host_path, bool is_writable, int *fd_out)
{
    struct fs_share_root *share = &tree->shares[tree->share_count];
    char name[SHARE_NAME_SIZE];
    struct statx status;
    u32 mount;
    int error, fd = open(host_path, O_PATH | O_DIRECTORY | O_CLOEXEC);

    if (fd < 0)
        return -errno;
    *fd_out = fd;
    if (statx(fd, "", AT_EMPTY_PATH, FS_STATX_MASK, &status))
        return -errno;
    error = fs_mount_find(tree, fd, NULL, &status, &mount);
    if (error)
        return error;
    snprintf(name, sizeof(name), "%u", tree->share_count);
    tree->root.share = tree->share_count; /* a new node takes its parent's share */
    error = node_create(tree, &tree->root, name, &status, mount, &share->node);
    if (error)
        return error;
    share->node->is_permanent = true;
    share->is_writable = is_writable;
    share->path = realpath(host_path, NULL);
    return share->path ? 0 : -errno;
}

int fs_tree_add_share(struct fs_tree *tree, const char *host_path, bool is_writable)
{
    struct fs_share_root *grown =
        realloc(tree->shares, (tree->share_count + 1) * sizeof(*tree->shares));
    struct fs_node *node;
    int error, fd = -1;

    if (!grown)
        return -ENOMEM;
    tree->shares = grown;
    memset(&grown[tree->share_count], 0, sizeof(*grown));
    error = share_open(tree, host_path, is_writable, &fd);
    node = tree->shares[tree->share_count].node;
    if (!error)
        error = fs_descriptor_install(tree, node, fd, FS_RIGHT_NONE);
    if (error) {
        if (fd >= 0)
            close(fd);
        return error;
    }
    fs_node_pin(tree, node);
    tree->share_count++;
    return 0;
}

void fs_tree_fini(struct fs_tree *tree)
{
    for (u32 i = FS_ROOT_NODE; i < tree->slot_count; i++) {
        struct fs_node *node = tree->slots[i].node;

        if (!node)
            continue;
        fs_descriptor_close(tree, node);
        if (node != &tree->root) {
            free(node->name);
            free(node);
        }
    }
    for (unsigned i = 0; i < tree->share_count; i++)
        free(tree->shares[i].path);
    fs_hide_fini(&tree->hidden);
    if (tree->proc_fd >= 0)
        close(tree->proc_fd);
    free(tree->shares);
    free(tree->mounts);
    free(tree->devices);
    free(tree->slots);
    free(tree->buckets);
}
