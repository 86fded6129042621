/*
 * What the links of /proc/PID/ns lead to: one file for each kind of namespace.
 *
 * There is one namespace of each kind, which all processes are in. Programs compare such files by
 * their inode numbers to learn whether two processes share a namespace, so each kind has one that
 * never changes: Linux's own numbers for those that its first process is in.
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

static const struct file_operations namespace_operations = {.flags = 0};

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
