/*
 * What the links of /proc/PID/ns lead to: one file for each kind of namespace.
 *
 * There is one namespace of each kind, which all processes are in. Programs compare such files by
 * their inode numbers to learn whether two processes share a namespace, so each kind has one that
 * never changes: Linux's own numbers for those that its first process is in.
 *
 * The files are made at boot and stay. ioctl_ns(2) answers as it does for first namespaces: no
 * parents, the user namespace owns all others and belongs to root.
 */
#include "file.h"

#include "dentry.h"
#include "inode_internal.h"

#define FIRST_NUMBER 4026531834ul

static const char *const kinds[NAMESPACE_KINDS] = {
    [NAMESPACE_TIME] = "time", [NAMESPACE_CGROUP] = "cgroup", [NAMESPACE_PID] = "pid",
    [NAMESPACE_USER] = "user", [NAMESPACE_UTS] = "uts",       [NAMESPACE_IPC] = "ipc",
    [NAMESPACE_NET] = "net",   [NAMESPACE_MOUNT] = "mnt",
};

static struct dentry *dentries[NAMESPACE_KINDS]; /* [const] after boot */

/* ioctl_ns(2) */
#define NS_GET_USERNS    0xb701u
#define NS_GET_PARENT    0xb702u
#define NS_GET_NSTYPE    0xb703u
#define NS_GET_OWNER_UID 0xb704u

static const u32 clone_flags[NAMESPACE_KINDS] = {
    [NAMESPACE_TIME] = 0x80,       [NAMESPACE_CGROUP] = 0x02000000, [NAMESPACE_PID] = 0x20000000,
    [NAMESPACE_USER] = 0x10000000, [NAMESPACE_UTS] = 0x04000000,    [NAMESPACE_IPC] = 0x08000000,
    [NAMESPACE_NET] = 0x40000000,  [NAMESPACE_MOUNT] = 0x00020000,
};

static long namespace_ioctl(struct file *file, u32 command, u64 argument);
static const struct file_operations namespace_operations = {.ioctl = namespace_ioctl};

/* The user namespace that all others belong to. */
static long owner_open(void)
{
    struct file *file;
    struct path path;

    namespace_path(NAMESPACE_USER, &path);
    file = file_alloc(&path, O_RDONLY);
    path_put(&path);
    if (!file)
        return -ENOMEM;
    file->mode |= FILE_OPENED;
    return fd_create(file, O_CLOEXEC);
}

/* The first namespaces have no parents, and the first user namespace nobody above it. */
static long namespace_ioctl(struct file *file, u32 command, u64 argument)
{
    u64 kind = file->inode->number - FIRST_NUMBER;
    u32 root = 0;

    switch (command) {
    case NS_GET_USERNS:
        return kind == NAMESPACE_USER ? -EPERM : owner_open();
    case NS_GET_PARENT:
        return kind == NAMESPACE_USER || kind == NAMESPACE_PID ? -EPERM : -EINVAL;
    case NS_GET_NSTYPE:
        return clone_flags[kind];
    case NS_GET_OWNER_UID:
        return kind == NAMESPACE_USER ? copy_out((struct user_ptr){argument}, &root, sizeof(root))
                                      : -EINVAL;
    default:
        return -ENOTTY;
    }
}

void namespace_path(enum namespace_kind kind, struct path *path_out)
{
    *path_out = (struct path){anonymous_mount(), dentries[kind]};
    path_get(path_out);
}

void namespaces_init(void)
{
    for (unsigned kind = 0; kind < NAMESPACE_KINDS; kind++) {
        struct inode *inode = inode_create_anonymous(S_IFREG | 0444);
        char name[DENTRY_INLINE_NAME];

        assert(inode);
        inode->number = FIRST_NUMBER + kind;
        inode->file_operations = &namespace_operations;
        format_text(name, sizeof(name), "%s:[%lu]", kinds[kind], inode->number);
        dentries[kind] = dentry_create_anonymous(inode, name);
        assert(dentries[kind]);
    }
}
