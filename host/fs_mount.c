/*
 * The host's mounts, as far as files on them were seen.
 *
 * The guest has one file system where the host has many, so two things must be made up for:
 *  - Inode numbers repeat from device to device (every ext4 root is 2), and programs that walk
 * trees take equal numbers for the same file. The devices are numbered as they are seen; the first
 *    device's numbers stay as they are, others carry their device's number in bits 48 to 62, and
 *    an inode number that needs those bits itself is hashed together with the device.
 *  - Some mounts are no files but doors into the host's kernel (proc, sysfs, tracefs...): a read
 *    there may block for ever, act, or show other processes' memory. The guest has its own. Their
 *    mount points are empty directories.
 */
#include "fs_tree.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/magic.h>
#include <stdlib.h>
#include <sys/sysmacros.h>
#include <sys/vfs.h>
#include <unistd.h>

#define INODE_BITS      48
#define INODE_HASHED    (1ull << 63)
#define DEVICE_MAX      ((1u << (63 - INODE_BITS)) - 1)
#define HASH_MULTIPLIER 0x9e3779b97f4a7c15ull /* 2^64 over the golden ratio (Knuth 6.4) */
#define HASH_SHIFT      29

/* Numbers that <linux/magic.h> lacks; from each file system's source. */
#define FUSECTL_MAGIC  0x65735543
#define CONFIGFS_MAGIC 0x62656570
#define RPC_PIPE_MAGIC 0x67596969
#define MQUEUE_MAGIC   0x19800202

static const u64 unserved_magics[] = {
    PROC_SUPER_MAGIC, SYSFS_MAGIC,    DEBUGFS_MAGIC,      TRACEFS_MAGIC,       SECURITYFS_MAGIC,
    SELINUX_MAGIC,    SMACK_MAGIC,    CGROUP_SUPER_MAGIC, CGROUP2_SUPER_MAGIC, BPF_FS_MAGIC,
    PSTOREFS_MAGIC,   EFIVARFS_MAGIC, BINFMTFS_MAGIC,     DEVPTS_SUPER_MAGIC,  NSFS_MAGIC,
    FUSECTL_MAGIC,    CONFIGFS_MAGIC, RPC_PIPE_MAGIC,     MQUEUE_MAGIC,
};

/* Asks the mount itself; `name` is NULL for the directory. A mount that does not say is refused. */
static bool mount_is_served(int directory_fd, const char *name)
{
    int fd = name ? openat(directory_fd, name, O_PATH | O_NOFOLLOW | O_CLOEXEC) : directory_fd;
    struct statfs status;
    int failed;

    if (fd < 0)
        return false;
    failed = fstatfs(fd, &status);
    if (name)
        close(fd);
    if (failed)
        return false;
    for (size_t i = 0; i < ARRAY_SIZE(unserved_magics); i++) {
        if ((u64)(u32)status.f_type == unserved_magics[i])
            return false;
    }
    return true;
}

static int device_find(struct fs_tree *tree, u64 device, unsigned *index_out)
{
    u64 *grown;
    unsigned index = 0;

    while (index < tree->device_count && tree->devices[index] != device)
        index++;
    if (index == tree->device_count) {
        if (index > DEVICE_MAX)
            return -ENFILE;
        grown = realloc(tree->devices, (index + 1) * sizeof(*grown));
        if (!grown)
            return -ENOMEM;
        tree->devices = grown;
        tree->devices[tree->device_count++] = device;
    }
    *index_out = index;
    return 0;
}

int fs_mount_find(struct fs_tree *tree, int directory_fd, const char *name,
                  const struct statx *status, u32 *mount_out)
{
    u64 device = makedev(status->stx_dev_major, status->stx_dev_minor);
    u64 mount_id = status->stx_mask & STATX_MNT_ID ? status->stx_mnt_id : 0;
    struct fs_mount *grown;
    unsigned device_index;
    int error;

    /* Nearly always the one of the question before. */
    for (u32 i = 0; i < tree->mount_count; i++) {
        u32 mount = (tree->last_mount + i) % tree->mount_count;

        if (tree->mounts[mount].mount_id == mount_id && tree->mounts[mount].device == device) {
            *mount_out = tree->last_mount = mount;
            return 0;
        }
    }
    error = device_find(tree, device, &device_index);
    if (error)
        return error;
    grown = realloc(tree->mounts, (tree->mount_count + 1) * sizeof(*grown));
    if (!grown)
        return -ENOMEM;
    tree->mounts = grown;
    grown[tree->mount_count] = (struct fs_mount){
        .device = device,
        .mount_id = mount_id,
        .device_index = device_index,
        .is_served = mount_is_served(directory_fd, name),
    };
    *mount_out = tree->mount_count++;
    return 0;
}

u64 fs_inode_number(const struct fs_tree *tree, u32 mount, u64 inode)
{
    u64 device_index = tree->mounts[mount].device_index;

    if (inode >> INODE_BITS == 0)
        return inode | device_index << INODE_BITS;
    inode = (inode ^ device_index << INODE_BITS) * HASH_MULTIPLIER;
    return (inode ^ inode >> HASH_SHIFT) | INODE_HASHED;
}
