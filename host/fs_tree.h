/*
 * What the guest knows of the host's files: nodes, the mounts they lie on, and the few of them that
 * are open. The server is one thread, so nothing here is locked.
 */
#pragma once

#include <pith/compiler.h>
#include <pith/list.h>

#include <dirent.h>
#include <sys/stat.h>

#include "fs_hide.h"

#define FS_ROOT_NODE  1           /* FUSE_ROOT_ID */
#define FS_NODES_MAX  (16u << 20) /* more known files than this are refused: about 2 GiB of ours */
#define FS_DEPTH_MAX  2048        /* directories below each other: PATH_MAX / 2 */

#define FS_STATX_MASK (STATX_BASIC_STATS | STATX_BTIME | STATX_MNT_ID)

/* A mount of the host's that a file was seen on. */
struct fs_mount {
    u64 device;
    u64 mount_id;
    unsigned device_index; /* devices are numbered as they are seen: makes inode numbers unique */
    bool is_served;        /* false: not files but the host's kernel (proc, sysfs, ...) */
};

/*
 * A file that the guest knows by number. It is found again by name from its parent, and is what it
 * was only if share, mount, inode number, birth and type are the same.
 */
struct fs_node {
    struct fs_node *parent; /* NULL: the root. Counted in parent->children */
    struct fs_node *hash_next;
    struct fs_descriptor *descriptor; /* NULL: not open */
    char *name;                       /* the last name under which it was seen */
    u64 inode;
    u64 born_ns; /* tells a file from a later one that got the same inode number */
    u64 lookups; /* references of the guest's */
    u32 index;   /* in fs_tree.slots */
    u32 children;
    u32 pins; /* while > 0 the descriptor stays open: OPEN requests, and moments of our own */
    u32 mount;
    u16 share;
    u8 type; /* DT_DIR, DT_REG, ... */
    bool is_permanent;
    bool is_hashed;
    bool is_orphan; /* the guest removed its last name: only the descriptor leads to it */
};

enum fs_rights {
    FS_RIGHT_NONE = 0, /* an O_PATH descriptor */
    FS_RIGHT_READ = 1,
    FS_RIGHT_WRITE = 2,
};

/* A node that is open. */
struct fs_descriptor {
    struct list link; /* on fs_tree.idle, oldest use first, unless the node is pinned */
    struct fs_node *node;
    int fd;
    unsigned rights;
    s64 position; /* of a directory being read: where its next entries come from; -1: unknown */
};

struct fs_slot {
    struct fs_node *node;
    u32 generation; /* the high half of a node's number: a number is never used twice */
};

/* A share, open for good. */
struct fs_share_root {
    struct fs_node *node;
    char *path; /* of the host, absolute, without symbolic links */
    bool is_writable;
};

struct fs_tree {
    struct fs_slot *slots; /* by the low half of a node's number */
    u32 slot_count;
    u32 slot_limit;
    u32 free_slot; /* a slot that was free when last seen; the search starts there */
    u32 node_count;

    struct fs_node **buckets; /* by share, mount and inode */
    u32 bucket_count;         /* a power of two */

    struct fs_mount *mounts;
    u32 mount_count;
    u32 last_mount; /* that was found: the search starts there */
    u64 *devices;
    u32 device_count;

    struct list idle; /* descriptors that may be closed, the longest unused first */
    unsigned descriptor_count;
    unsigned descriptor_limit;
    unsigned idle_writable_count; /* of those on `idle`, how many can write */
    int proc_fd;                  /* /proc/self/fd, or -1: then files are opened by name only */
    bool has_openat2;

    struct fs_share_root *shares;
    unsigned share_count;
    struct fs_node root;
    struct timespec started;
    struct fs_hidden_set hidden;
};

/* fs_node.c: the table of nodes. */
must_check int fs_tree_init(struct fs_tree *tree, unsigned descriptor_limit);
void fs_tree_fini(struct fs_tree *tree);
must_check int fs_tree_add_share(struct fs_tree *tree, const char *host_path, bool is_writable);

u64 fs_node_number(const struct fs_tree *tree, const struct fs_node *node);
/* The node with a number that the guest sent; NULL if there is none. */
struct fs_node *fs_node_find(const struct fs_tree *tree, u64 number);

/* The node for what statx said of `name` in `parent`: a known one, renamed, or a new one. */
must_check int fs_node_enter(struct fs_tree *tree, struct fs_node *parent, const char *name,
                             const struct statx *status, u32 mount, struct fs_node **node_out);
/* Whether statx, on that mount, spoke of this node. */
bool fs_node_is(const struct fs_node *node, const struct statx *status, u32 mount);
/* It has another name now: -ENOMEM; -ESTALE: that would be below itself. */
must_check int fs_node_rename(struct fs_tree *tree, struct fs_node *node, struct fs_node *parent,
                              const char *name);
/* The known node, in the parent's share, with that inode number; it may be an older file's. */
struct fs_node *fs_node_find_file(const struct fs_tree *tree, const struct fs_node *parent,
                                  const struct statx *status, u32 mount);
/* Gives up `count` of the guest's references; the node may be gone afterwards. */
void fs_node_forget(struct fs_tree *tree, struct fs_node *node, u64 count);
/* The same of all nodes and references: a new client knows nothing. */
void fs_tree_forget_all(struct fs_tree *tree);
/* Frees the node if nobody needs it. */
void fs_node_release(struct fs_tree *tree, struct fs_node *node);
bool fs_node_is_writable(const struct fs_tree *tree, const struct fs_node *node);

/* fs_mount.c: the host's mounts, and inode numbers that are unique without a device number. */
must_check int fs_mount_find(struct fs_tree *tree, int directory_fd, const char *name,
                             const struct statx *status, u32 *mount_out);
u64 fs_inode_number(const struct fs_tree *tree, u32 mount, u64 inode);

/* fs_descriptor.c: the nodes that are open. */
must_check int fs_descriptor_install(struct fs_tree *tree, struct fs_node *node, int fd,
                                     unsigned rights);
void fs_descriptor_use(struct fs_tree *tree, struct fs_node *node);
void fs_descriptor_close(struct fs_tree *tree, struct fs_node *node);
void fs_descriptor_close_idle_writable(struct fs_tree *tree);
void fs_node_pin(struct fs_tree *tree, struct fs_node *node);
/* The node lost its name while the guest knows it: from now on only its descriptor leads to it. */
void fs_node_make_orphan(struct fs_tree *tree, struct fs_node *node);
void fs_node_unpin(struct fs_tree *tree, struct fs_node *node);

/* fs_resolve.c: from a node to the file. All descriptors stay the tree's. -ESTALE: it is gone. */
must_check int fs_node_directory_fd(struct fs_tree *tree, struct fs_node *node, int *fd_out);
must_check int fs_node_path_fd(struct fs_tree *tree, struct fs_node *node, int *fd_out);
must_check int fs_node_open(struct fs_tree *tree, struct fs_node *node, unsigned rights,
                            int *fd_out);
must_check int fs_node_status(struct fs_tree *tree, struct fs_node *node, struct statx *status_out);
/* The node that the guest knows behind a name in an open directory, or NULL. */
struct fs_node *fs_node_known_child(struct fs_tree *tree, struct fs_node *parent, int parent_fd,
                                    const char *name);
/* Looks `name` up in an open directory, without taking a reference. */
must_check int fs_node_child(struct fs_tree *tree, struct fs_node *parent, int parent_fd,
                             const char *name, struct fs_node **child_out,
                             struct statx *status_out);
must_check int fs_node_lookup(struct fs_tree *tree, struct fs_node *parent, const char *name,
                              struct fs_node **child_out, struct statx *status_out);
