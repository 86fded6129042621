/* What the files of fs/ share about inodes, beyond the public inode.h. */
#pragma once

#include <pith/fs.h>

void inode_init(void);
/* stat(2)'s fields, from the file system if it wants to be asked. */
int inode_get_attributes(struct inode *inode, struct attributes *attributes_out) must_check;
/* Asks the file system to change attributes; takes the lock, or the caller holds it. */
int inode_change(struct inode *inode, const struct attribute_change *change) must_check;
int inode_change_locked(struct inode *inode, const struct attribute_change *change) must_check;
/* Whether a file may become so long: -EFBIG beyond what its file system holds, and, with SIGXFSZ,
 * when it would grow beyond the caller's RLIMIT_FSIZE. */
int inode_check_size(const struct inode *inode, u64 size) must_check;
/* Whether a write by the caller takes set-user-ID and set-group-ID away. */
bool inode_must_kill_set_ids(const struct inode *inode);

/* What opens the special files (inode_init_special). */
extern const struct file_operations character_device_operations; /* device.c */
extern const struct file_operations block_device_operations;     /* device.c */
extern const struct file_operations socket_node_operations;      /* device.c */

/* hooks.c: to proc/, which stands above (fs_signal_current: pipe.h). */
int fs_process_id(void);
/* RLIMIT_FSIZE; none for the kernel's own threads. */
u64 fs_file_size_limit(void);
